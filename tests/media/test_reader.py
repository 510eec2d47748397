from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from clips import Audio, Clip, make_clip

from cdrl_cli.errors import UnreadableInputError
from cdrl_cli.media import open_video

from .contract import copy_planes, read_video

F = Fraction
INDEX_FIRST = {"movflags": "+faststart"}
SHORT_GOPS = {"preset": "ultrafast", "bf": "2", "g": "10"}


def cut(path: Path, share: float) -> Path:
    """Keep the beginning of a file."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def scratch(path: Path, start: float, end: float) -> Path:
    """Overwrite a part of a file with noise."""
    data = bytearray(path.read_bytes())
    part = slice(int(len(data) * start), int(len(data) * end))
    data[part] = np.random.default_rng(1).bytes(part.stop - part.start)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_frames_are_the_decoder_s_with_its_times(tmp_path: Path, suffix: str) -> None:
    path = make_clip(tmp_path / f"a{suffix}")
    expected = read_video(path)
    with open_video(path) as video:
        frames = list(video)
    assert [frame.index for frame in frames] == list(range(25))
    # A transport stream's clock begins anywhere; ours where its first stream does, the sound.
    origin = video.info.origin
    assert [frame.time + origin for frame in frames] == expected.times
    assert bool(origin) == (suffix == ".ts")
    for frame, planes in zip(frames, expected.planes, strict=True):
        for ours, theirs in zip(copy_planes(frame.for_encoder()), planes, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_hidden_frames_of_an_edit_list_are_not_shown(tmp_path: Path) -> None:
    with open_video(make_clip(tmp_path / "a.mp4", Clip(start=F(-1, 5)))) as video:
        frames = list(video)
    assert frames[0].time == 0
    assert len(frames) == 20
    assert video.lost_frames == 0


def test_stream_without_timestamps_gets_them_from_its_rate(tmp_path: Path) -> None:
    path = make_clip(
        tmp_path / "a.h264", Clip(audio=(), options={"preset": "ultrafast", "bf": "0"})
    )
    with open_video(path) as video:
        times = [frame.time for frame in video]
    assert len(times) == 25
    assert all(late - early == F(1, 25) for early, late in pairwise(times))


@pytest.mark.parametrize("size", [(60, 40), (1280, 720)])
def test_still_image_is_a_video_of_one_frame(tmp_path: Path, size: tuple[int, int]) -> None:
    from PIL import Image

    picture = np.zeros((size[1], size[0], 3), np.uint8)
    picture[:, 30:] = (250, 120, 10)
    Image.fromarray(picture).save(tmp_path / "a.png")
    with open_video(tmp_path / "a.png") as video:
        (frame,) = video
    assert np.abs(frame.rgb().astype(int) - picture).max() <= 3
    assert video.lost_frames == 0


def test_photo_is_turned_upright_by_its_exif(tmp_path: Path) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[:20] = 255  # the upper half is the right half when turned clockwise
    Image.fromarray(picture).save(tmp_path / "a.jpg", exif=exif, quality=95)
    with open_video(tmp_path / "a.jpg") as video:
        rgb = next(iter(video)).picture(100)
    assert rgb.shape == (60, 40, 3)
    assert rgb[:, 25:].min() > 200
    assert rgb[:, :15].max() < 50


class TestDamage:
    """Damaged files are read as far as they go, and what is missing is counted."""

    def test_cut_mp4(self, tmp_path: Path) -> None:
        clip = Clip(audio=(), options=SHORT_GOPS, container_options=INDEX_FIRST, frames=50)
        with open_video(cut(make_clip(tmp_path / "a.mp4", clip), 0.5)) as video:
            frames = list(video)
        assert video.info.frame_count == 50
        assert 10 < len(frames) < 45
        assert video.lost_frames == 50 - len(frames)
        assert video.warnings == (
            f"{video.lost_frames} of 50 frames could not be decoded: "
            "the file is damaged or cut off",
        )

    def test_cut_mkv(self, tmp_path: Path) -> None:
        clip = Clip(audio=(), options=SHORT_GOPS, frames=50)
        with open_video(cut(make_clip(tmp_path / "a.mkv", clip), 0.5)) as video:
            frames = list(video)
        assert 10 < len(frames) < 45
        assert abs(video.lost_frames - (50 - len(frames))) <= 1
        assert "could not be decoded" in video.warnings[-1]

    @pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
    def test_scratched_middle(self, tmp_path: Path, suffix: str) -> None:
        clip = Clip(audio=(), options=SHORT_GOPS, container_options=INDEX_FIRST, frames=100)
        if suffix == ".mkv":
            clip = Clip(audio=(), options=SHORT_GOPS, frames=100)
        path = make_clip(tmp_path / f"a{suffix}", clip)
        expected = read_video(path).times
        with open_video(scratch(path, 0.4, 0.45)) as video:
            times = [frame.time for frame in video]
        assert len(times) > 60
        assert times == sorted(set(times))
        # A frame that comes out too late is shown a tick after the one before; all others are
        # shown exactly when they were.
        assert len(set(times) - set(expected)) <= 3
        if suffix == ".mp4":  # Matroska does not say how many there were
            assert len(times) + video.lost_frames == 100

    def test_video_that_never_decodes(self, tmp_path: Path) -> None:
        clip = Clip(audio=(), container_options=INDEX_FIRST)
        path = make_clip(tmp_path / "a.mp4", clip)
        data = path.read_bytes()
        start = data.index(b"mdat") + 4
        path.write_bytes(data[:start] + bytes(len(data) - start))
        with pytest.raises(UnreadableInputError, match="no picture of it can be decoded"):
            open_video(path)

    def test_longer_sound_is_no_loss(self, tmp_path: Path) -> None:
        path = tmp_path / "a.mkv"
        make_clip(path, Clip(frames=10, audio=(Audio(),)))
        with open_video(path) as video:
            assert len(list(video)) == 10
        assert video.lost_frames == 0


def test_second_reading_is_refused(tmp_path: Path) -> None:
    with open_video(make_clip(tmp_path / "a.mp4")) as video:
        list(video)
        with pytest.raises(ValueError, match="read already"):
            iter(video)


def test_frames_outlive_the_reader(tmp_path: Path) -> None:
    with open_video(make_clip(tmp_path / "a.mp4")) as video:
        frame = next(iter(video))
    assert frame.rgb().shape == (64, 96, 3)


def test_reading_can_stop_early(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4")
    with open_video(path) as video:
        next(iter(video))
    path.unlink()


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInputError, match="no such file"):
        open_video(tmp_path / "none.mp4")


def test_gif_is_converted_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("gif", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "rgb8"
        for index in range(3):
            picture = np.full((24, 32, 3), 80 * index, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="rgb8")
            frame.pts, frame.time_base = index, F(1, 10)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    with open_video(path) as video:
        frames = list(video)
    assert len(frames) == 3
    assert "RGB" in video.warnings[0]


CLOSED = {"preset": "ultrafast", "bf": "2", "g": "10"}
OPEN = {"preset": "veryfast", "bf": "3", "g": "12", "x264-params": "open-gop=1:b-pyramid=normal"}


@pytest.mark.parametrize(
    ("suffix", "clip"),
    [
        (".mp4", Clip(options=CLOSED, frames=50)),
        (".mp4", Clip(options=OPEN, frames=50)),
        (".mkv", Clip(options=OPEN, frames=50, start=F(3, 5))),
        (".mp4", Clip(options=CLOSED, frames=50, start=F(-1, 5))),  # an edit list hides some
        (".mp4", Clip(codec="libx265", options={"x265-params": "log-level=error:keyint=12"})),
        (".ts", Clip(options=CLOSED, frames=50)),
        (".h264", Clip(audio=(), options={"preset": "ultrafast", "bf": "0", "g": "10"})),
        (".avi", Clip(codec="mpeg4", audio=(), options={"g": "10"}, frames=50)),
    ],
    ids="closed open late hidden hevc ts bare avi".split(),
)
def test_frames_from_a_time_are_those_of_a_reading_from_the_beginning(tmp_path, suffix, clip):
    path = make_clip(tmp_path / f"a{suffix}", clip)
    with open_video(path) as video:
        whole = [(frame.time, copy_planes(frame.for_encoder())) for frame in video]
    with open_video(path) as video:
        for time in (F(1), F(13, 10), F(0), F(1, 3), whole[-1][0], F(99)):
            expected = [one for one in whole if one[0] >= time][:6]
            frames = video.frames_from(time)
            got = [frame for frame, _ in zip(frames, range(6), strict=False)]
            assert [frame.index for frame in got] == list(range(len(got)))
            assert [frame.time for frame in got] == [one[0] for one in expected]
            for frame, (_, planes) in zip(got, expected, strict=True):
                for ours, theirs in zip(copy_planes(frame.for_encoder()), planes, strict=True):
                    np.testing.assert_array_equal(ours, theirs)
