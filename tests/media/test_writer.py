import errno
import sys
from fractions import Fraction
from pathlib import Path
from types import FrameType

import av
import numpy as np
import pytest
from clips import BT2020_PQ, HDR10_X265, ROTATIONS, Audio, Clip, Subtitles, make_clip

from cdrl_cli.errors import OutputError, PolicyError, UsageError
from cdrl_cli.media import VideoWriter, check_output, open_video, partial, probe_video
from cdrl_cli.media import writer as writer_module
from cdrl_cli.media.partial import PartialFile

from .contract import (
    PacketFacts,
    chapters_of,
    edit_clip,
    ellipse_mask,
    patch_box,
    read_packets,
    read_video,
    streams_of,
    tags_of,
)

F = Fraction
MILLISECOND = F(1, 1000)
CHAPTERS = (("one", F(0), F(1, 2)), ("two", F(1, 2), F(1)))
RICH = {
    "audio": (
        Audio(language="ger", disposition=1),
        Audio(language="eng", title="Commentary", disposition=8),
    ),
    "chapters": CHAPTERS,
    "tags": {"title": "A talk", "comment": "from the camera"},
    "cover": True,
}


def folder_of(path: Path) -> list[str]:
    return sorted(each.name for each in path.iterdir())


class TestOtherContainer:
    """From one kind of file to another: equal up to the ticks of the coarser one."""

    @pytest.mark.parametrize(
        ("source", "output"),
        [
            ("a.mkv", "b.mp4"),
            ("a.mkv", "b.mov"),
            ("a.mp4", "b.mkv"),
            ("a.mp4", "b.mov"),
            ("a.mov", "b.mp4"),
        ],
    )
    def test_times_packets_and_chapters_survive(
        self, tmp_path: Path, source: str, output: str
    ) -> None:
        clip = Clip(rate=F(30000, 1001), **(RICH | {"cover": False}))
        edited = edit_clip(make_clip(tmp_path / source, clip), tmp_path / output)
        assert edited.warnings == ()
        before, after = read_video(edited.source), read_video(edited.output)
        grid = MILLISECOND / 2 if output.endswith(".mkv") else 0
        assert len(after.times) == len(before.times)
        for old, new in zip(before.times, after.times, strict=True):
            assert abs(new - old) <= grid
        old_packets, new_packets = read_packets(edited.source), read_packets(edited.output)
        for index in (1, 2):
            assert len(new_packets[index]) == len(old_packets[index])
            for old, new in zip(old_packets[index], new_packets[index], strict=True):
                self.assert_same_packet(old, new)
        assert chapters_of(edited.output) == chapters_of(edited.source)
        assert tags_of(edited.output)["title"] == "A talk"
        assert [stream[:3] for stream in streams_of(edited.output)] == [
            stream[:3] for stream in streams_of(edited.source)
        ]

    @staticmethod
    def assert_same_packet(old: PacketFacts, new: PacketFacts) -> None:
        assert new.digest == old.digest
        assert abs(new.pts - old.pts) <= MILLISECOND / 2
        assert abs(new.dts - old.dts) <= MILLISECOND / 2

    @pytest.mark.parametrize(("source", "output"), [("a.mkv", "b.mp4"), ("a.mp4", "b.mkv")])
    def test_cover_art_moves_along(self, tmp_path: Path, source: str, output: str) -> None:
        edited = edit_clip(make_clip(tmp_path / source, Clip(cover=True)), tmp_path / output)
        assert edited.warnings == ()
        (cover,) = (
            packets for packets in read_packets(edited.output).values() if len(packets) == 1
        )
        assert cover[0].digest in {
            packet.digest for each in read_packets(edited.source).values() for packet in each
        }

    def test_what_mp4_cannot_hold_is_named_and_left_out(self, tmp_path: Path) -> None:
        clip = Clip(
            subtitles=(Subtitles(language="eng"),),
            attachments=(("a.ttf", "font/ttf", b"x"),),
        )
        edited = edit_clip(make_clip(tmp_path / "a.mkv", clip), tmp_path / "b.mp4")
        assert edited.warnings == (
            "stream 2 (subtitle, subrip, eng) is left out: .mp4 files cannot hold it",
            "stream 3 (attachment, a.ttf) is left out: .mp4 files cannot hold it",
        )
        assert [stream[0] for stream in streams_of(edited.output)] == ["video", "audio"]

    def test_webm_takes_opus_and_leaves_aac(self, tmp_path: Path) -> None:
        clip = Clip(audio=(Audio(), Audio(codec="libopus")))
        edited = edit_clip(make_clip(tmp_path / "a.mkv", clip), tmp_path / "b.webm")
        assert probe_video(edited.output).codec == "vp9"
        assert [stream[0] for stream in streams_of(edited.output)] == ["video", "audio"]
        assert edited.warnings == ("stream 1 (audio, aac) is left out: .webm files cannot hold it",)

    def test_cover_is_missed_in_mov(self, tmp_path: Path) -> None:
        edited = edit_clip(make_clip(tmp_path / "a.mp4", Clip(cover=True)), tmp_path / "b.mov")
        assert "left out" in edited.warnings[0]


class TestPixels:
    """What is not under a mask reaches the encoder bit for bit."""

    @pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le"])
    @pytest.mark.parametrize("orientation", [None, *ROTATIONS])
    def test_outside_the_mask_nothing_changes(
        self, tmp_path: Path, pixel_format: str, orientation: tuple[int, bool] | None
    ) -> None:
        clip = Clip(
            codec="ffv1",
            options={},
            pixel_format=pixel_format,
            frames=3,
            matrix=ROTATIONS[orientation] if orientation else None,
            width=98,
        )
        source = make_clip(tmp_path / "a.mkv", clip)
        edited = edit_clip(source, tmp_path / "b.mkv", codec="ffv1")
        before, after = read_video(source), read_video(edited.output)
        touched = self.touched_pixels(source, orientation)
        for old_planes, new_planes in zip(before.planes, after.planes, strict=True):
            for old, new in zip(old_planes, new_planes, strict=True):
                rows, columns = old.shape
                blocks = touched.reshape(rows, touched.shape[0] // rows, columns, -1)
                untouched = ~blocks.any(axis=(1, 3))
                np.testing.assert_array_equal(new[untouched], old[untouched])
                assert (new != old).any()

    @staticmethod
    def touched_pixels(source: Path, orientation: tuple[int, bool] | None) -> np.ndarray:
        with open_video(source) as video:
            frame = next(iter(video))
        x0, y0, x1, y1 = patch_box(frame)
        upright = np.zeros((frame.height, frame.width), bool)
        upright[y0:y1, x0:x1] = ellipse_mask(y1 - y0, x1 - x0) > 0
        turn, mirrored = orientation or (0, False)
        flipped = upright[:, ::-1] if mirrored else upright
        return np.rot90(flipped, turn // 90)

    def test_near_lossless_is_near(self, tmp_path: Path) -> None:
        clip = Clip(width=320, height=240, options={"crf": "20", "preset": "ultrafast"})
        source = make_clip(tmp_path / "a.mp4", clip)
        output = tmp_path / "b.mp4"
        with (
            open_video(source) as video,
            VideoWriter(output, like=video.info, copy_from=source) as writer,
        ):
            for frame in video:
                writer.write(frame)
        pairs = zip(read_video(source).planes, read_video(output).planes, strict=True)
        errors = [np.mean((a[0].astype(float) - b[0]) ** 2) for a, b in pairs]
        assert 10 * np.log10(255**2 / np.mean(errors)) > 42


class TestOddSize:
    """4:2:0 of odd size, which h264 and hevc cannot hold."""

    CLIP = Clip(width=97, height=65, codec="ffv1", options={}, audio=())

    @pytest.mark.parametrize(
        ("output", "codec", "expected"),
        [
            ("b.mp4", None, ("vp9", "yuv420p")),
            ("b.mkv", None, ("vp9", "yuv420p")),
            ("b.webm", None, ("vp9", "yuv420p")),
            ("b.mov", None, ("h264", "yuv444p")),
            ("b.mp4", "h264", ("h264", "yuv444p")),
            ("b.mp4", "hevc", ("hevc", "yuv444p")),
            ("b.mkv", "ffv1", ("ffv1", "yuv420p")),
        ],
    )
    def test_no_pixel_is_lost(
        self, tmp_path: Path, output: str, codec: str | None, expected: tuple[str, str]
    ) -> None:
        source = make_clip(tmp_path / "a.mkv", self.CLIP)
        edited = edit_clip(source, tmp_path / output, codec=codec)
        info = probe_video(edited.output)
        assert (info.codec, info.pixel_format) == expected
        assert (info.width, info.height) == (97, 65)
        assert bool(edited.warnings) == (expected[1] != "yuv420p")
        last_column = [
            facts.planes[0][0][:, -1] for facts in map(read_video, (source, edited.output))
        ]
        assert np.abs(last_column[0].astype(int) - last_column[1]).mean() < 6


class TestCodecs:
    """Encoders by name, and options that do not go together."""

    @pytest.mark.parametrize(
        ("output", "codec"),
        [
            ("b.mp4", "h264"), ("b.mp4", "hevc"), ("b.mp4", "vp9"), ("b.mp4", "av1"),
            ("b.mov", "hevc"), ("b.mkv", "av1"), ("b.mkv", "ffv1"), ("b.webm", "av1"),
        ],
    )  # fmt: skip
    def test_codec_by_name(
        self, tmp_path: Path, output: str, codec: str, capfd: pytest.CaptureFixture[str]
    ) -> None:
        source = make_clip(tmp_path / "a.mp4", Clip(audio=(), frames=12))
        edited = edit_clip(source, tmp_path / output, codec=codec)
        assert probe_video(edited.output).codec == codec
        assert len(read_video(edited.output).times) == 12
        assert capfd.readouterr() == ("", "")

    def test_deep_video_becomes_hevc_for_apple(self, tmp_path: Path) -> None:
        clip = Clip(
            codec="libx265",
            pixel_format="yuv420p10le",
            options={"preset": "ultrafast", "x265-params": HDR10_X265},
            context=BT2020_PQ,
        )
        edited = edit_clip(make_clip(tmp_path / "a.mkv", clip), tmp_path / "b.mp4")
        assert b"hvc1" in edited.output.read_bytes()
        assert probe_video(edited.output).hdr == probe_video(edited.source).hdr

    def test_hdr_in_h264_keeps_its_metadata(self, tmp_path: Path) -> None:
        clip = Clip(
            codec="libx265",
            pixel_format="yuv420p10le",
            options={"preset": "ultrafast", "x265-params": HDR10_X265},
            context=BT2020_PQ,
        )
        source = make_clip(tmp_path / "a.mkv", clip)
        edited = edit_clip(source, tmp_path / "b.mp4", codec="h264")
        info = probe_video(edited.output)
        assert (info.hdr, info.bit_depth) == (probe_video(source).hdr, 10)

    @pytest.mark.parametrize(
        ("output", "options", "message"),
        [
            ("b.avi", {}, "cannot write files of kind .avi"),
            ("b", {}, "no suffix"),
            ("b.mp4", {"codec": "mpeg2"}, "unknown codec"),
            ("b.webm", {"codec": "h264"}, "cannot hold h264"),
            ("b.mp4", {"crf": 99}, "crf of h264 is 0 to 51"),
            ("b.mp4", {"preset": "warp"}, "unknown preset"),
            ("b.mkv", {"codec": "ffv1", "crf": 3}, "takes no crf"),
            ("b.mkv", {"codec": "ffv1", "preset": "slow"}, "takes no preset"),
        ],
    )
    def test_options_that_do_not_go_together(
        self, tmp_path: Path, output: str, options: dict[str, object], message: str
    ) -> None:
        source = make_clip(tmp_path / "a.mp4", Clip(audio=(), frames=2))
        with pytest.raises(UsageError, match=message):
            VideoWriter(tmp_path / output, like=probe_video(source), **options)
        assert folder_of(tmp_path) == ["a.mp4"]

    def test_crf_is_obeyed(self, tmp_path: Path) -> None:
        source = make_clip(tmp_path / "a.mp4", Clip(audio=()))
        coarse = edit_clip(source, tmp_path / "b.mp4", crf=40).output
        fine = edit_clip(source, tmp_path / "c.mp4", crf=5).output
        assert fine.stat().st_size > 2 * coarse.stat().st_size


class TestMetadata:
    """Tags that the caller adds."""

    @pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
    @pytest.mark.parametrize("tags", [{}, {"title": "A talk", "com.apple.quicktime.make": "Apple"}])
    def test_comment_survives(self, tmp_path: Path, suffix: str, tags: dict[str, str]) -> None:
        clip = Clip(
            audio=(), frames=2, tags=tags, container_options={"movflags": "use_metadata_tags"}
        )
        source = make_clip(tmp_path / "a.mp4", clip)
        mark = {"comment": "Face edited by AI"}
        edited = edit_clip(source, tmp_path / f"b{suffix}", metadata=mark)
        assert tags_of(edited.output) == tags_of(source) | mark

    @pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
    def test_comment_is_appended_once(self, tmp_path: Path, suffix: str) -> None:
        clip = Clip(audio=(), frames=2, tags={"comment": "from the camera"})
        mark = {"comment": "edited"}
        first = edit_clip(
            make_clip(tmp_path / f"a{suffix}", clip), tmp_path / f"b{suffix}", metadata=mark
        ).output
        second = edit_clip(first, tmp_path / f"c{suffix}", metadata=mark).output
        assert tags_of(first)["comment"] == tags_of(second)["comment"] == "from the camera; edited"

    def test_cover_and_own_tags_together(self, tmp_path: Path) -> None:
        clip = Clip(frames=2, audio=(), cover=True, tags={"title": "A", "artist": "B"})
        source = make_clip(tmp_path / "a.mp4", clip)
        edited = edit_clip(source, tmp_path / "b.mp4", metadata={"comment": "c"})
        assert tags_of(edited.output) == {"title": "A", "artist": "B", "comment": "c"}
        assert len(streams_of(edited.output)) == 2

    @pytest.mark.parametrize("suffix", [".mp4", ".mov"])
    def test_timecode_is_kept(self, tmp_path: Path, suffix: str) -> None:
        clip = Clip(audio=(), video_tags={"timecode": "01:02:03:04"})
        source = make_clip(tmp_path / f"a{suffix}", clip)
        edited = edit_clip(source, tmp_path / f"b{suffix}")
        with av.open(str(edited.output)) as container:
            assert container.streams.video[0].metadata["timecode"] == "01:02:03:04"
            assert len(container.streams.data) == 1
        assert edited.warnings == ()


class TestPolicy:
    """Nothing is overwritten that the user did not name for it."""

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        return make_clip(tmp_path / "a.mp4", Clip(audio=(), frames=2))

    def test_existing_output_is_kept(self, tmp_path: Path, source: Path) -> None:
        output = tmp_path / "b.mp4"
        output.write_text("precious")
        with pytest.raises(PolicyError, match="exists already") as caught:
            edit_clip(source, output)
        assert "--overwrite" in (caught.value.hint or "")
        assert output.read_text() == "precious"
        assert folder_of(tmp_path) == ["a.mp4", "b.mp4"]

    def test_existing_output_is_replaced_when_told(self, tmp_path: Path, source: Path) -> None:
        output = tmp_path / "b.mp4"
        output.write_text("old")
        edit_clip(source, output, overwrite=True)
        assert probe_video(output).frame_count == 2

    @pytest.mark.parametrize("kind", ["same", "symlink", "hardlink", "other spelling"])
    def test_input_is_never_the_output(self, tmp_path: Path, source: Path, kind: str) -> None:
        before = source.read_bytes()
        output = tmp_path / "b.mp4"
        if kind == "same":
            output = source
        elif kind == "symlink":
            output.symlink_to(source)
        elif kind == "hardlink":
            output.hardlink_to(source)
        else:
            (tmp_path / "sub").mkdir()
            output = tmp_path / "sub" / ".." / "a.mp4"
        with pytest.raises(PolicyError, match="is also an input"):
            edit_clip(source, output, overwrite=True)
        assert source.read_bytes() == before

    def test_symlink_stays_a_symlink(self, tmp_path: Path, source: Path) -> None:
        (tmp_path / "sub").mkdir()
        target, output = tmp_path / "sub" / "real.mp4", tmp_path / "b.mp4"
        target.write_text("old")
        output.symlink_to(target)
        edit_clip(source, output, overwrite=True)
        assert output.is_symlink()
        assert probe_video(target).frame_count == 2
        assert folder_of(tmp_path / "sub") == ["real.mp4"]

    def test_reference_can_be_checked_too(self, tmp_path: Path, source: Path) -> None:
        with pytest.raises(PolicyError, match="is also an input"):
            check_output(source, inputs=[tmp_path / "none.mp4", source], overwrite=True)

    def test_file_that_appears_meanwhile_is_kept(self, tmp_path: Path, source: Path) -> None:
        output = tmp_path / "b.mp4"
        with open_video(source) as video:
            writer = VideoWriter(output, like=video.info)
            writer.write(next(iter(video)))
            output.write_text("precious")
            with pytest.raises(PolicyError, match="exists already"):
                writer.close()
        assert output.read_text() == "precious"
        assert folder_of(tmp_path) == ["a.mp4", "b.mp4"]


class TestFailure:
    """An output is whole or not there."""

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        return make_clip(tmp_path / "a.mp4", Clip())

    @pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
    def test_error_on_the_way_leaves_nothing(
        self, tmp_path: Path, source: Path, error: type[BaseException]
    ) -> None:
        def stop_halfway() -> None:
            with (
                open_video(source) as video,
                VideoWriter(tmp_path / "b.mp4", like=video.info, copy_from=source) as writer,
            ):
                for frame in video:
                    writer.write(frame)
                    if frame.index == 10:
                        assert len(folder_of(tmp_path)) == 2
                        assert not (tmp_path / "b.mp4").exists()
                        raise error

        with pytest.raises(error):
            stop_halfway()
        assert folder_of(tmp_path) == ["a.mp4"]

    def test_no_frame_leaves_nothing(self, tmp_path: Path, source: Path) -> None:
        writer = VideoWriter(tmp_path / "b.mp4", like=probe_video(source), copy_from=source)
        writer.close()
        writer.close()
        assert folder_of(tmp_path) == ["a.mp4"]

    def test_missing_folder(self, tmp_path: Path, source: Path) -> None:
        with pytest.raises(OutputError, match="there is no folder"):
            edit_clip(source, tmp_path / "none" / "b.mp4")

    def test_output_is_a_folder(self, tmp_path: Path, source: Path) -> None:
        (tmp_path / "b.mp4").mkdir()
        with pytest.raises(OutputError, match="is a folder"):
            edit_clip(source, tmp_path / "b.mp4")

    def test_folder_that_may_not_be_written(
        self, tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened = Path.open

        def refuse(path: Path, mode: str = "r", *rest: object) -> object:
            if "x" in mode:
                raise PermissionError(errno.EACCES, "Permission denied")
            return opened(path, mode, *rest)

        # Permissions do not bind root, who runs tests in containers.
        monkeypatch.setattr(Path, "open", refuse)
        with pytest.raises(OutputError, match="may not be written"):
            edit_clip(source, tmp_path / "b.mp4")

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
    def test_full_disk(self, tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def on_a_full_disk(output: Path) -> PartialFile:
            part = PartialFile(output)
            part.path.unlink()
            part.path.symlink_to("/dev/full")
            return part

        monkeypatch.setattr(writer_module, "PartialFile", on_a_full_disk)
        with pytest.raises(OutputError, match="the disk is full"):
            edit_clip(source, tmp_path / "b.mkv")
        assert folder_of(tmp_path) == ["a.mp4"]

    def test_closed_writer_takes_no_frame(self, tmp_path: Path, source: Path) -> None:
        with open_video(source) as video:
            frame = next(iter(video))
            writer = VideoWriter(tmp_path / "b.mp4", like=video.info)
            writer.write(frame)
            writer.close()
            with pytest.raises(ValueError, match="closed"):
                writer.write(frame)

    def test_frame_of_another_size(self, tmp_path: Path, source: Path) -> None:
        other = make_clip(tmp_path / "c.mp4", Clip(width=64, audio=()))
        with (
            open_video(other) as video,
            VideoWriter(tmp_path / "b.mp4", like=probe_video(source)) as writer,
            pytest.raises(ValueError, match="takes no frame"),
        ):
            writer.write(next(iter(video)))

    def test_long_name(self, tmp_path: Path, source: Path) -> None:
        output = tmp_path / ("ü" * 120 + ".mp4")
        edit_clip(source, output)
        assert output.exists()

    def test_part_gets_the_permissions_of_a_new_file(self, tmp_path: Path, source: Path) -> None:
        (tmp_path / "new").touch()
        output = edit_clip(source, tmp_path / "b.mp4").output
        assert output.stat().st_mode == (tmp_path / "new").stat().st_mode


@pytest.mark.parametrize("size", [(96, 64), (1280, 720)])
def test_rgb_video_keeps_its_colours(tmp_path: Path, size: tuple[int, int]) -> None:
    color = (200, 60, 90)
    source = make_clip(
        tmp_path / "a.mov",
        Clip(
            width=size[0],
            height=size[1],
            frames=2,
            codec="qtrle",
            options={},
            pixel_format="rgb24",
            audio=(),
            paint=lambda _, width, height: np.full((height, width, 3), color, np.uint8),
        ),
    )
    with (
        open_video(source) as video,
        VideoWriter(tmp_path / "b.mp4", like=video.info, copy_from=source) as writer,
    ):
        for frame in video:
            writer.write(frame)
    with open_video(tmp_path / "b.mp4") as video:
        rgb = next(iter(video)).rgb((8, 8, 24, 24))
    assert np.abs(rgb.astype(int) - color).max() <= 3


def test_grey_video_keeps_its_greys(tmp_path: Path) -> None:
    clip = Clip(codec="ffv1", options={}, pixel_format="gray", frames=2, audio=())
    source = make_clip(tmp_path / "a.mkv", clip)
    with open_video(source) as video:
        rgb = next(iter(video)).rgb()
    luma = read_video(source).planes[0][0]  # grey is stored in full range
    assert np.abs(rgb.astype(int) - luma[..., None]).max() <= 2


def test_damaged_source_is_written_as_far_as_it_goes(tmp_path: Path) -> None:
    clip = Clip(frames=50, container_options={"movflags": "+faststart"})
    source = make_clip(tmp_path / "a.mp4", clip)
    data = source.read_bytes()
    source.write_bytes(data[: len(data) // 2])
    edited = edit_clip(source, tmp_path / "b.mp4")
    with open_video(source) as video:
        times = [frame.time for frame in video]
    assert read_video(edited.output).times == times
    assert edited.lost_frames == 50 - len(times) > 0


def test_nothing_is_copied_without_a_source(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", Clip(**RICH))
    with open_video(source) as video, VideoWriter(tmp_path / "b.mp4", like=video.info) as writer:
        for frame in video:
            writer.write(frame)
    assert [stream[0] for stream in streams_of(tmp_path / "b.mp4")] == ["video"]
    assert read_video(tmp_path / "b.mp4").times == read_video(source).times


class TestInterrupt:
    """Ctrl-C may arrive between any two lines, also before the writer is in hand to close it."""

    # That a file is closed by its end alone is all right here.
    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    def test_at_any_line_nothing_half_written_is_left(self, tmp_path: Path) -> None:
        source = make_clip(tmp_path / "a.mp4", Clip(frames=2))
        with open_video(source) as video:
            like, frames = video.info, list(video)
        (folder := tmp_path / "out").mkdir()
        output = folder / "b.mp4"
        files = {writer_module.__file__, partial.__file__}

        def write(stop_at: int) -> int:
            """How many lines have run: less than ``stop_at`` where that was the end."""
            count = 0

            def trace(frame: FrameType, event: str, _: object) -> object:
                nonlocal count
                if frame.f_code.co_filename not in files:
                    return None
                if event == "line":
                    count += 1
                    if count == stop_at:
                        raise KeyboardInterrupt
                return trace

            old = sys.gettrace()
            sys.settrace(trace)
            try:
                with VideoWriter(output, like=like, copy_from=source) as writer:
                    for frame in frames:
                        writer.write(frame)
            except KeyboardInterrupt:
                pass
            finally:
                sys.settrace(old)
            return count

        lines = write(stop_at=-1)
        assert folder_of(folder) == ["b.mp4"]
        output.unlink()
        for number in range(1, lines + 1):
            assert write(number) >= number
            assert folder_of(folder) in ([], ["b.mp4"]), number
            output.unlink(missing_ok=True)
