"""The media contract, on clips with every property a real file may have.

Each clip goes through reader, patch and writer; then other code reads source and output again.
"""

import subprocess
from fractions import Fraction
from pathlib import Path

import pytest
from clips import BT2020_PQ, HDR10_X265, ROTATIONS, Audio, Clip, Subtitles, make_clip

from .contract import (
    Edited,
    chapters_of,
    edit_clip,
    ffprobe,
    read_packets,
    read_video,
    streams_of,
    tags_of,
)

F = Fraction
IRREGULAR = [F(tick, 1000) for tick in (0, 33, 67, 180, 181, 260, 400, 433, 900, 1017)]
CHAPTERS = (("one", F(0), F(1, 2)), ("two", F(1, 2), F(1)))
TWO_TRACKS = (
    Audio(language="ger", disposition=1),
    Audio(codec="libopus", pitch_hz=220, language="eng", title="Commentary", disposition=8),
)
RICH_MKV = Clip(
    audio=TWO_TRACKS,
    subtitles=(Subtitles(language="eng"),),
    chapters=CHAPTERS,
    tags={"title": "A talk", "comment": "from the camera", "artist": "Ana"},
    video_tags={"language": "ger", "title": "Main"},
    cover=True,
    attachments=(("font.ttf", "application/x-truetype-font", b"not really a font"),),
)
RICH_MP4 = Clip(
    audio=(TWO_TRACKS[0], Audio(pitch_hz=220, language="eng", title="Commentary")),
    subtitles=(Subtitles(codec="mov_text", language="eng"),),
    chapters=CHAPTERS,
    tags={"title": "A talk", "comment": "from the camera", "artist": "Ana"},
    video_tags={"language": "ger", "title": "Main"},
    cover=True,
)
X265 = {"preset": "ultrafast", "x265-params": "log-level=error"}
VP9 = {"deadline": "realtime", "cpu-used": "8"}

CLIPS = {
    "ordinary": ("source.mp4", Clip()),
    "ntsc": ("source.mp4", Clip(rate=F(30000, 1001))),
    "film rate, coarse ticks": ("source.mp4", Clip(rate=F(24000, 1001), time_base=F(1, 24000))),
    "variable rate": ("source.mp4", Clip(times=IRREGULAR, time_base=F(1, 90000))),
    "variable rate in mkv": ("source.mkv", Clip(times=IRREGULAR, time_base=F(1, 1000))),
    "no audio": ("source.mp4", Clip(audio=())),
    "no b-frames": ("source.mp4", Clip(options={"preset": "ultrafast", "bf": "0"})),
    "one frame": ("source.mp4", Clip(frames=1, audio=())),
    "audio starts late": ("source.mov", Clip(audio=(Audio(start=F(1, 3)),))),
    "all start late": (
        "source.mp4",
        Clip(start=F(3, 2), time_base=F(1, 12800), audio=(Audio(start=F(1)),)),
    ),
    "video starts late in mkv": ("source.mkv", Clip(start=F(1, 2), time_base=F(1, 1000))),
    "edit list hides the first frames": ("source.mp4", Clip(start=F(-1, 5))),
    "pcm": ("source.mov", Clip(audio=(Audio(codec="pcm_s16le"),))),
    "flac": ("source.mkv", Clip(audio=(Audio(codec="flac"),))),
    "rich mkv": ("source.mkv", RICH_MKV),
    "rich mp4": ("source.mp4", RICH_MP4),
    "name with 'quotes' and ünïcode": ("a 'b' \"c\" ü %d [x] #1.mp4", Clip()),
    "hdr10": (
        "source.mp4",
        Clip(
            codec="libx265",
            pixel_format="yuv420p10le",
            options={"preset": "ultrafast", "x265-params": HDR10_X265},
            context=BT2020_PQ,
        ),
    ),
    "hdr10 in mkv": (
        "source.mkv",
        Clip(
            codec="libx265",
            pixel_format="yuv420p10le",
            options={"preset": "ultrafast", "x265-params": HDR10_X265},
            context=BT2020_PQ,
        ),
    ),
    "hevc, 8 bit": ("source.mp4", Clip(codec="libx265", options=X265)),
    "4:2:2": ("source.mp4", Clip(pixel_format="yuv422p")),
    "4:2:2, 10 bit": (
        "source.mov",
        Clip(codec="prores_ks", pixel_format="yuv422p10le", options={}, audio=()),
    ),
    "4:4:4": ("source.mp4", Clip(pixel_format="yuv444p")),
    "full range": ("source.mp4", Clip(context={"color_range": 2, "colorspace": 6})),
    "bt709": (
        "source.mp4",
        Clip(
            context={"color_range": 1, "colorspace": 1, "color_primaries": 1, "color_trc": 1},
        ),
    ),
    "motion jpeg": (
        "source.mov",
        Clip(codec="mjpeg", pixel_format="yuvj420p", options={}, context={"color_range": 2}),
    ),
    "anamorphic": ("source.mp4", Clip(context={"sample_aspect_ratio": F(4, 3)})),
    "anamorphic in mkv": ("source.mkv", Clip(context={"sample_aspect_ratio": F(4, 3)})),
    "anamorphic and turned": (
        "source.mp4",
        Clip(context={"sample_aspect_ratio": F(4, 3)}, matrix=ROTATIONS[90, False]),
    ),
    "odd size": (
        "source.webm",
        Clip(width=97, height=65, codec="libvpx-vp9", options=VP9, audio=(Audio(codec="libopus"),)),
    ),
    "odd size, 4:4:4": ("source.mp4", Clip(width=97, height=65, pixel_format="yuv444p")),
    "webm": (
        "source.webm",
        Clip(codec="libvpx-vp9", options=VP9, audio=(Audio(codec="libopus", language="eng"),)),
    ),
    **{
        f"turned {turn}{', mirrored' if mirrored else ''}{suffix}": (
            f"source{suffix}",
            Clip(matrix=matrix, frames=5),
        )
        for (turn, mirrored), matrix in ROTATIONS.items()
        for suffix in (".mp4", ".mkv")
    },
}


@pytest.fixture(scope="module", params=CLIPS)
def edited(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Edited:
    name, clip = CLIPS[request.param]
    folder = tmp_path_factory.mktemp("contract")
    source = make_clip(folder / name, clip)
    (folder / "out").mkdir()
    return edit_clip(source, folder / "out" / name)


class TestContract:
    """Source and output in the same kind of container: everything is equal."""

    def test_nothing_is_lost_or_left_out(self, edited: Edited) -> None:
        assert edited.warnings == ()
        assert edited.lost_frames == 0

    def test_frames_appear_when_they_did(self, edited: Edited) -> None:
        source, output = read_video(edited.source), read_video(edited.output)
        assert output.times == source.times

    def test_picture_is_shown_as_it_was(self, edited: Edited) -> None:
        source, output = read_video(edited.source), read_video(edited.output)
        assert (output.width, output.height) == (source.width, source.height)
        assert output.pixel_format.replace("yuvj", "yuv") == source.pixel_format.replace(
            "yuvj", "yuv"
        )
        assert output.sample_aspect == source.sample_aspect
        assert output.matrix == source.matrix
        assert output.color[:3] == source.color[:3]
        # The decoders of h264 and hevc disagree on how to say that nothing is said: 0 or limited.
        assert (output.color[3] or 1) == (source.color[3] or 1)
        assert output.mastering == source.mastering
        assert output.content_light == source.content_light

    def test_other_streams_are_copied_bit_for_bit(self, edited: Edited) -> None:
        source, output = read_packets(edited.source), read_packets(edited.output)
        assert list(output.values()) == list(source.values())

    def test_streams_keep_language_title_and_disposition(self, edited: Edited) -> None:
        assert streams_of(edited.output) == streams_of(edited.source)

    def test_chapters_and_tags_are_kept(self, edited: Edited) -> None:
        assert chapters_of(edited.output) == chapters_of(edited.source)
        assert tags_of(edited.output) == tags_of(edited.source)

    def test_no_temporary_is_left(self, edited: Edited) -> None:
        assert [path.name for path in edited.output.parent.iterdir()] == [edited.output.name]

    @pytest.mark.ffmpeg
    def test_ffprobe_sees_the_same_times(self, edited: Edited) -> None:
        def times(path: Path) -> list[str]:
            found = ffprobe(path, "-select_streams", "V:0", "-show_entries", "frame=pts_time")
            return [frame["pts_time"] for frame in found["frames"]]

        assert times(edited.output) == times(edited.source)

    @pytest.mark.ffmpeg
    def test_ffmpeg_hashes_the_same_audio(self, edited: Edited) -> None:
        def hashes(path: Path) -> str:
            command = ["ffmpeg", "-v", "error", "-i", str(path), "-map", "0:a?", "-map", "0:s?"]
            command += ["-c", "copy", "-f", "streamhash", "-"]
            if not ffprobe(path, "-select_streams", "a", "-show_streams")["streams"]:
                return ""
            return subprocess.run(command, check=True, capture_output=True, text=True).stdout

        assert hashes(edited.output) == hashes(edited.source)
