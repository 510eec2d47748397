from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clips import BT2020_PQ, HDR10_X265, ROTATIONS, Audio, Clip, Subtitles, cover_jpeg, make_clip

from cdrl_cli.errors import UnreadableInputError
from cdrl_cli.media import ColorTags, probe_video

F = Fraction


def test_facts_of_an_ordinary_clip(tmp_path: Path) -> None:
    info = probe_video(make_clip(tmp_path / "a.mp4", Clip(rate=F(30000, 1001))))
    assert info.container == "mov,mp4,m4a,3gp,3g2,mj2"
    assert (info.width, info.height, info.rotation_deg, info.mirrored) == (96, 64, 0, False)
    assert info.frame_rate == F(30000, 1001)
    assert info.frame_count == 25
    assert info.duration == pytest.approx(25 * 1001 / 30000, abs=1e-3)  # an edit list's grid
    assert (info.codec, info.pixel_format, info.bit_depth) == ("h264", "yuv420p", 8)
    assert info.color == ColorTags(None, None, None, None)
    assert [(s.index, s.kind, s.codec) for s in info.streams] == [
        (0, "video", "h264"),
        (1, "audio", "aac"),
    ]
    assert info.sample_aspect == 1
    assert info.hdr is None


def test_streams_of_a_rich_file(tmp_path: Path) -> None:
    clip = Clip(
        audio=(Audio(language="ger"), Audio(codec="libopus", language="eng", title="Comment")),
        subtitles=(Subtitles(language="fre"),),
        chapters=(("one", F(0), F(1)),),
        attachments=(("a.ttf", "font/ttf", b"x"),),
    )
    info = probe_video(make_clip(tmp_path / "a.mkv", clip))
    assert [(s.kind, s.codec, s.language, s.title) for s in info.streams] == [
        ("video", "h264", None, None),
        ("audio", "aac", "ger", None),
        ("audio", "opus", "eng", "Comment"),
        ("subtitle", "subrip", "fre", None),
        ("attachment", "font/ttf", None, None),
    ]
    assert info.chapters == 1
    assert info.frame_count is None
    assert info.duration == 1


def test_hdr_is_read_exactly(tmp_path: Path) -> None:
    clip = Clip(
        codec="libx265",
        pixel_format="yuv420p10le",
        options={"preset": "ultrafast", "x265-params": HDR10_X265},
        context=BT2020_PQ,
    )
    info = probe_video(make_clip(tmp_path / "a.mp4", clip))
    assert info.bit_depth == 10
    assert info.color == ColorTags("bt2020", "smpte2084", "bt2020nc", full_range=False)
    assert info.hdr is not None
    assert info.hdr.primaries_xy == (
        (F(34, 50), F(16, 50)),
        (F(265, 1000), F(69, 100)),
        (F(15, 100), F(6, 100)),
        (F(3127, 10000), F(329, 1000)),
    )
    assert info.hdr.luminance_range == (F(5, 1000), 1000)
    assert (info.hdr.max_content_light, info.hdr.max_frame_average_light) == (1000, 400)


@pytest.mark.parametrize(("orientation", "matrix"), ROTATIONS.items())
def test_size_is_the_upright_size(
    tmp_path: Path, orientation: tuple[int, bool], matrix: tuple[int, ...]
) -> None:
    clip = Clip(matrix=matrix, frames=2, context={"sample_aspect_ratio": F(4, 3)})
    info = probe_video(make_clip(tmp_path / "a.mp4", clip))
    sideways = orientation[0] in (90, 270)
    assert (info.rotation_deg, info.mirrored) == orientation
    assert (info.width, info.height) == ((64, 96) if sideways else (96, 64))
    assert info.sample_aspect == (F(3, 4) if sideways else F(4, 3))


def test_cover_art_is_not_the_video(tmp_path: Path) -> None:
    info = probe_video(make_clip(tmp_path / "a.mp4", Clip(cover=True)))
    assert (info.codec, info.width) == ("h264", 96)


def test_hidden_frames_are_not_counted(tmp_path: Path) -> None:
    info = probe_video(make_clip(tmp_path / "a.mp4", Clip(start=F(-1, 5))))
    assert info.frame_count == 20


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def audio_with_cover(folder: Path) -> Path:
    """Sound and a cover, no film."""
    path = folder / "song.m4a"
    with av.open(str(path), "w", format="mp4") as output:
        sound = output.add_stream("aac", rate=44100)
        picture = output.add_mux_stream("mjpeg", width=16, height=16)
        picture.disposition = av.stream.Disposition.attached_pic
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
        frame.sample_rate, frame.pts = 44100, 0
        packets = [*sound.encode(frame), *sound.encode(None)]
        cover = av.Packet(cover_jpeg())
        cover.stream, cover.pts, cover.dts, cover.is_keyframe = picture, 0, 0, True
        output.mux([cover, *packets])
    return path


def headless(folder: Path) -> Path:
    """An MP4 cut off before its index."""
    whole = make_clip(folder / "whole.mp4").read_bytes()
    return write(folder / "cut.mp4", whole[: len(whole) // 2])


UNREADABLE = {
    "missing": (lambda folder: folder / "none.mp4", "no such file"),
    "folder": (lambda folder: folder, "is a folder"),
    "empty": (lambda folder: write(folder / "a.mp4", b""), "is empty"),
    "text": (lambda folder: write(folder / "a.mp4", b"To be or not to be.\n" * 90), "not a video"),
    "binary": (lambda folder: write(folder / "a.mp4", bytes(range(256)) * 40), "not a video"),
    "no index": (headless, "not a video"),
    "no video": (audio_with_cover, "no video stream"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_unreadable_input_is_one_clear_line(tmp_path: Path, case: str) -> None:
    make, message = UNREADABLE[case]
    path = make(tmp_path)
    with pytest.raises(UnreadableInputError, match=message) as caught:
        probe_video(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert caught.value.hint


def test_forbidden_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_clip(tmp_path / "a.mp4", Clip(frames=1, audio=()))

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    # Permissions do not bind root, who runs tests in containers.
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UnreadableInputError, match="may not be read"):
        probe_video(path)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "100%d[1]*.png"])
def test_still_image_is_one_frame(tmp_path: Path, name: str) -> None:
    from PIL import Image

    path = tmp_path / name
    Image.fromarray(np.full((40, 60, 3), 90, np.uint8)).save(path)
    info = probe_video(path)
    assert (info.width, info.height, info.frame_count) == (60, 40, 1)


def test_upright_by_exif(tmp_path: Path) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(tmp_path / "a.jpg", exif=exif)
    info = probe_video(tmp_path / "a.jpg")
    assert (info.width, info.height, info.rotation_deg) == (40, 60, 90)
