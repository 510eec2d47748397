"""What only the container says: tiles, borders, keys, Dolby Vision, transparency, chroma."""

import struct
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from boxes import add_to_sample_entry, box, clean_aperture, dolby_vision, full, write_photo
from clips import BT2020_PQ, HDR10_X265, Audio, Clip, make_clip, paint_scene

from cdrl_cli.errors import UnreadableInputError, UsageError
from cdrl_cli.media import open_video, probe_video
from cdrl_cli.media.cropping import Cropper
from cdrl_cli.media.declared import Declarations, _read_track, read_declarations
from cdrl_cli.media.planes import editable_format

from .contract import copy_planes, edit_clip, read_video

F = Fraction
PLAIN = Clip(frames=3, audio=())
HDR10 = Clip(
    codec="libx265",
    pixel_format="yuv420p10le",
    options={"preset": "ultrafast", "x265-params": HDR10_X265},
    context=BT2020_PQ,
    frames=3,
    audio=(),
)


class TestTiles:
    """A photo of a phone is one picture, whatever it is stored in."""

    @pytest.mark.parametrize("turns", [0, 1, 3])
    def test_a_photo_is_its_tiles_put_together(self, tmp_path: Path, turns: int) -> None:
        rgb = paint_scene(3, 200, 150)
        photo = write_photo(tmp_path / "a.heic", rgb, side=64, turns=turns)
        with open_video(photo) as video:
            (frame,) = list(video)
            assert video.warnings == ()
            assert video.info.frame_count in (None, 1)
            found = frame.rgb().astype(int)
        expected = np.rot90(rgb, turns).astype(int)
        assert found.shape == expected.shape
        assert np.abs(found - expected).mean() < 12
        edited = edit_clip(photo, tmp_path / "b.mp4")
        assert (probe_video(edited.output).width, len(edited.warnings)) == (expected.shape[1], 0)

    def test_one_tile_can_be_had_by_its_number(self, tmp_path: Path) -> None:
        photo = write_photo(tmp_path / "a.heic", paint_scene(3, 200, 150), side=64)
        assert probe_video(photo, stream=1).width == 64
        with pytest.raises(UsageError, match="stream 99 is no video"):
            probe_video(photo, stream=99)

    def test_a_photo_that_lies_about_its_tiles_is_no_crash(self, tmp_path: Path) -> None:
        photo = write_photo(tmp_path / "a.heic", paint_scene(3, 200, 150), side=64)
        data = photo.read_bytes()
        for kind in (b"iref", b"iloc", b"iinf", b"ipma", b"idat", b"pitm"):
            for change in (b"\xff", b"\x00", b"\x7f"):
                at = data.index(kind) + 4
                (tmp_path / "b.heic").write_bytes(data[:at] + change * 12 + data[at + 12 :])
                assert isinstance(read_declarations(tmp_path / "b.heic"), Declarations)


class TestBorders:
    """What players hide is no part of the picture."""

    def test_a_clean_aperture_is_cut_out(self, tmp_path: Path) -> None:
        source = make_clip(tmp_path / "a.mov", PLAIN)
        add_to_sample_entry(source, tmp_path / "b.mov", clean_aperture(80, 40, right=4, down=-2))
        edited = edit_clip(tmp_path / "b.mov", tmp_path / "c.mp4")
        assert edited.warnings == ("the borders that the file hides are cut off",)
        info = probe_video(edited.output)
        assert (info.width, info.height) == (80, 40)
        whole, part = read_video(source).planes[0][0], read_video(edited.output).planes[0][0]
        assert np.abs(whole[10:14, 12:40].astype(int) - part[:4, :28]).mean() < 3

    def test_an_aperture_of_everything_is_no_word_worth(self, tmp_path: Path) -> None:
        source = make_clip(tmp_path / "a.mov", PLAIN)
        add_to_sample_entry(source, tmp_path / "b.mov", clean_aperture(96, 64))
        assert edit_clip(tmp_path / "b.mov", tmp_path / "c.mp4").warnings == ()

    def test_matroska_s_cropping(self) -> None:
        crops = b"\x54\xcc\x81\x0a" + b"\x54\xbb\x81\x08"  # 10 px at the left, 8 at the top
        track = b"\x83\x81\x01" + b"\xe0" + bytes([0x80 | len(crops)]) + crops
        assert _read_track(track).crop == (10, 8, 0, 0)

    def test_borders_are_cut_by_whole_chroma_samples(self, tmp_path: Path) -> None:
        with av.open(str(make_clip(tmp_path / "a.mkv", PLAIN))) as container:
            picture = next(container.decode(video=0))
        cropper = Cropper((3, 2, 5, 0))
        cropped = cropper.crop(picture)
        assert (cropped.width, cropped.height, cropper.cuts) == (96 - 2 - 4, 62, True)
        old, new = copy_planes(picture), copy_planes(cropped)
        np.testing.assert_array_equal(new[0], old[0][2:, 2:92])
        np.testing.assert_array_equal(new[1], old[1][1:, 1:46])
        nothing = Cropper((96, 0, 0, 0))
        assert nothing.crop(picture) is picture
        assert not nothing.cuts


class TestLosses:
    """What an output cannot keep is named, once."""

    def test_dolby_vision_is_named(self, tmp_path: Path) -> None:
        source = make_clip(tmp_path / "a.mov", HDR10)
        add_to_sample_entry(source, tmp_path / "b.mov", dolby_vision(8, 4))
        edited = edit_clip(tmp_path / "b.mov", tmp_path / "c.mp4")
        assert edited.warnings == ("left out: the metadata of Dolby Vision",)

    def test_profile_5_is_refused(self, tmp_path: Path) -> None:
        source = make_clip(tmp_path / "a.mov", HDR10)
        add_to_sample_entry(source, tmp_path / "b.mov", dolby_vision(5, 0), rename=b"dvh1")
        with pytest.raises(UnreadableInputError, match="profile 5"):
            open_video(tmp_path / "b.mov")

    @pytest.mark.parametrize(
        ("extra", "words"),
        [
            (
                box(
                    b"sv3d",
                    full(b"svhd", b"x\0")
                    + box(b"proj", full(b"prhd", bytes(12)) + full(b"equi", bytes(16))),
                ),
                "surrounds the viewer",
            ),
            (full(b"st3d", b"\1"), "a picture for each eye"),
        ],
    )
    def test_spherical_and_stereo_are_named(self, tmp_path: Path, extra: bytes, words: str) -> None:
        source = make_clip(tmp_path / "a.mp4", PLAIN)
        add_to_sample_entry(source, tmp_path / "b.mp4", extra)
        (warning,) = edit_clip(tmp_path / "b.mp4", tmp_path / "c.mp4").warnings
        assert words in warning

    def test_transparency_beside_the_pictures_is_named(self, tmp_path: Path) -> None:
        clip = Clip(codec="libvpx-vp9", pixel_format="yuva420p", options={"deadline": "realtime"},
                    frames=3, audio=())  # fmt: skip
        source = make_clip(tmp_path / "a.webm", clip)
        edited = edit_clip(source, tmp_path / "b.mkv")
        assert "partly transparent" in edited.warnings[0]
        with av.open(str(edited.output)) as container:
            tags = {key.lower() for key in container.streams.video[0].metadata}
        assert "alpha_mode" not in tags

    def test_mastering_data_reach_av1(self, tmp_path: Path) -> None:
        source = make_clip(tmp_path / "a.mp4", HDR10)
        edited = edit_clip(source, tmp_path / "b.webm", codec="av1")
        assert edited.warnings == ()
        old, new = probe_video(source).hdr, probe_video(edited.output).hdr
        assert new is not None
        assert old is not None
        assert new.max_content_light == old.max_content_light == 1000
        assert new.luminance_range is not None
        assert abs(new.luminance_range[1] - 1000) < 1

    @pytest.mark.parametrize("codec", ["vp9", "ffv1"])
    def test_mastering_data_that_a_codec_has_no_place_for_are_named(
        self, tmp_path: Path, codec: str
    ) -> None:
        source = make_clip(tmp_path / "a.mp4", HDR10)
        warnings = edit_clip(source, tmp_path / "b.mkv", codec=codec).warnings
        assert any("HDR metadata" in warning for warning in warnings)

    @pytest.mark.parametrize(
        ("suffix", "codec"), [("mp4", "h264"), ("mkv", "hevc"), ("mov", "h264"), ("mkv", "av1")]
    )
    def test_chroma_stays_where_it_was(self, tmp_path: Path, suffix: str, codec: str) -> None:
        options = {"preset": "ultrafast", "x264-params": "chromaloc=2"}
        source = make_clip(tmp_path / "a.mp4", Clip(options=options, frames=3, audio=()))
        edited = edit_clip(source, tmp_path / f"b.{suffix}", codec=codec)
        assert probe_video(source).chroma_location == "topleft"
        assert probe_video(edited.output).chroma_location == "topleft"

    def test_it_is_read_while_another_thread_decodes_a_damaged_file(self, tmp_path: Path) -> None:
        options = {"preset": "ultrafast", "x264-params": "chromaloc=2"}
        source = make_clip(tmp_path / "a.mp4", Clip(options=options, frames=12, audio=()))
        damaged = bytearray(source.read_bytes())
        damaged[len(damaged) // 2 : -2000 : 37] = bytes(
            len(damaged[len(damaged) // 2 : -2000 : 37])
        )
        (tmp_path / "b.mp4").write_bytes(damaged)
        is_done = threading.Event()

        def decode_damaged() -> None:
            while not is_done.is_set():
                with suppress(av.FFmpegError), av.open(str(tmp_path / "b.mp4")) as container:
                    container.streams.video[0].thread_type = "AUTO"
                    for _ in container.decode(video=0):
                        pass

        with ThreadPoolExecutor(3) as threads:
            decoding = threads.submit(decode_damaged)
            probing = [threads.submit(probe_video, source) for _ in range(60)]
            found = [each.result().chroma_location for each in probing]
            is_done.set()
            decoding.result()
        assert set(found) == {"topleft"}

    def test_chroma_that_lies_nowhere_stays_unstated(self, tmp_path: Path) -> None:
        assert probe_video(make_clip(tmp_path / "a.mp4", PLAIN)).chroma_location is None


class TestKeys:
    """What only a key opens is not called damaged."""

    @pytest.mark.parametrize("entry", [b"encv", b"drmi"])
    def test_an_encrypted_mp4(self, tmp_path: Path, entry: bytes) -> None:
        source = make_clip(tmp_path / "a.mp4", PLAIN)
        frame = box(b"sinf", box(b"frma", b"avc1"))
        add_to_sample_entry(source, tmp_path / "b.mp4", frame, rename=entry)
        with pytest.raises(UnreadableInputError, match="encrypted"):
            open_video(tmp_path / "b.mp4")

    def test_an_encrypted_matroska(self) -> None:
        encryption = b"\x50\x35\x80"
        encoding = b"\x62\x40" + bytes([0x80 | len(encryption)]) + encryption
        track = b"\x83\x81\x01" + b"\x6d\x80" + bytes([0x80 | len(encoding)]) + encoding
        assert _read_track(track).is_encrypted

    def test_a_scrambled_transport_stream(self, tmp_path: Path) -> None:
        source = make_clip(tmp_path / "a.ts", Clip(frames=12, audio=()))
        data = bytearray(source.read_bytes())
        rng = np.random.default_rng(0)
        for at in range(0, len(data), 188):
            if (data[at + 1] & 0x1F, data[at + 2]) == (1, 0):  # packets of the video, PID 0x100
                data[at + 3] |= 0x80
                data[at + 4 : at + 188] = rng.bytes(184)
        source.write_bytes(data)
        with pytest.raises(UnreadableInputError):
            open_video(source)


class TestFloatingPoint:
    """Pictures whose samples are numbers, not codes."""

    @pytest.mark.parametrize(("suffix", "codec"), [(".exr", "exr"), (".pfm", "pfm")])
    def test_a_picture_of_floating_point_is_read(self, tmp_path, suffix, codec):
        context = av.CodecContext.create(codec, "w")
        context.width, context.height, context.pix_fmt = 64, 48, "gbrpf32le"
        context.time_base = F(1, 25)
        light = np.full((48, 64, 3), 0.5, np.float32)
        picture = av.VideoFrame.from_ndarray(light, "gbrpf32le")
        picture.pts = 0
        source = tmp_path / f"a{suffix}"
        source.write_bytes(b"".join(map(bytes, context.encode(picture) + context.encode(None))))
        edited = edit_clip(source, tmp_path / "b.mp4")
        assert "floating point" in edited.warnings[0]
        with open_video(source) as video:
            code = next(iter(video)).rgb()[4, 4, 0] / 65535
        assert abs(code - (0.735 if codec == "exr" else 0.5)) < 0.02  # sRGB of half the light

    def test_every_pixel_format_is_known_or_refused(self):
        refused = set()
        for name in sorted(av.video.format.names):
            try:
                editable_format(name)
            except UnreadableInputError:
                refused.add(name)
        assert {"cuda", "vaapi"} <= refused
        assert all(not av.VideoFormat(name, 16, 16).components for name in refused)


@pytest.mark.parametrize("codec", ["av1", "vp9", "h264"])
def test_more_frames_a_second_than_an_encoder_knows(tmp_path, codec, capfd):
    clip = Clip(codec="ffv1", options={}, pixel_format="yuv420p10le", rate=F(1000), frames=6,
                audio=(), time_base=F(1, 1000))  # fmt: skip
    edited = edit_clip(make_clip(tmp_path / "a.mkv", clip), tmp_path / "b.mkv", codec=codec)
    assert len(read_video(edited.output).times) == 6
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("audio", "source", "output"),
    [
        ("pcm_mulaw", "a.mov", "b.mkv"),
        ("pcm_alaw", "a.mov", "b.mkv"),
        ("adpcm_ima_qt", "a.mov", "b.mov"),
        ("adpcm_ms", "a.avi", "b.mkv"),
        ("flac", "a.mkv", "b.mp4"),
    ],
)
def test_sound_that_the_muxer_holds_is_kept(tmp_path, audio, source, output):
    check_sound_is_kept(
        make_clip(tmp_path / source, Clip(audio=(Audio(codec=audio),))), tmp_path / output
    )


@pytest.mark.ffmpeg
@pytest.mark.parametrize(
    ("audio", "suffix", "output"),
    [
        ("libspeex -ar 16000", "mkv", "b.mkv"),
        ("wmav2", "mkv", "b.mkv"),
        ("libvorbis", "mkv", "b.mov"),
        ("truehd -strict -2", "mp4", "b.mp4"),
    ],
)
def test_sound_that_pyav_cannot_make_is_kept(tmp_path, audio, suffix, output):
    plain, clip = make_clip(tmp_path / "plain.mp4"), tmp_path / f"a.{suffix}"
    words = f"ffmpeg -v error -i {plain} -c:v copy -c:a {audio} {clip}".split()
    subprocess.run(words, check=True)
    check_sound_is_kept(clip, tmp_path / output)


def check_sound_is_kept(clip: Path, output: Path) -> None:
    edited = edit_clip(clip, output)
    assert edited.warnings == ()
    with av.open(str(clip)) as old, av.open(str(edited.output)) as new:
        names = [c.streams.audio[0].codec_context.codec.canonical_name for c in (old, new)]
        assert names[0] == names[1]
        counts = [sum(p.size > 0 for p in c.demux(c.streams.audio[0])) for c in (old, new)]
        assert counts[0] == counts[1]


def test_data_that_no_player_could_read_again_are_left_out(tmp_path):
    source = tmp_path / "a.mov"
    with av.open(str(source), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.metadata["timecode"] = "01:02:03:04"
        for index in range(3):
            frame = av.VideoFrame.from_ndarray(paint_scene(index, 96, 64), "rgb24")
            frame.pts = index
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    data = source.read_bytes()
    # As phones do it: timed metadata, whose description FFmpeg does not copy.
    assert b"tmcd" in data
    data = data.replace(b"mhlrtmcd", b"mhlrmeta").replace(b"tmcd", b"mebx")
    source.write_bytes(data)
    edited = edit_clip(source, tmp_path / "b.mov")
    assert len(edited.warnings) == 1
    assert "left out: .mov files cannot hold it" in edited.warnings[0]
    assert struct.unpack(">I", edited.output.read_bytes()[:4])[0] > 0
    with av.open(str(edited.output)) as container:
        assert [stream.type for stream in container.streams] == ["video"]


def test_sound_that_an_edit_list_hides_stays_hidden(tmp_path):
    """Cut without encoding anew: a second of sound before the first moment is in the file."""
    source = make_clip(tmp_path / "whole.mp4", Clip(frames=50))
    cut = tmp_path / "cut.mp4"
    with av.open(str(source)) as read, av.open(str(cut), "w") as written:
        targets = {s.index: written.add_stream_from_template(s, opaque=True) for s in read.streams}
        for packet in read.demux():
            if packet.dts is not None and (packet.stream.type == "audio"):
                packet.pts -= round(1 / packet.time_base)
                packet.dts = packet.pts
            if packet.dts is not None:
                packet.stream = targets[packet.stream.index]
                written.mux(packet)
    kept = edit_clip(cut, tmp_path / "b.mp4")
    assert kept.warnings == ()
    edited = edit_clip(cut, tmp_path / "b.mkv")
    (warning,) = edited.warnings
    assert "packets that the source hides are left out" in warning
    with av.open(str(edited.output)) as container:
        assert container.streams.audio[0].start_time * F(1, 1000) > F(-1, 4)


class TestLies:
    """A file that lies about its own sizes declares nothing, and is no crash."""

    @pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "webm"])
    def test_any_byte_may_be_wrong(self, tmp_path: Path, suffix: str) -> None:
        codec = "libvpx-vp9" if suffix == "webm" else "libx264"
        clip = Clip(frames=2, audio=(), codec=codec, options={})
        data = make_clip(tmp_path / f"a.{suffix}", clip).read_bytes()
        rng = np.random.default_rng(0)
        headers = data[:600] if suffix in ("mkv", "webm") else data[data.index(b"moov") - 4 :]
        begin = data.index(headers)
        for _ in range(300):
            damaged = bytearray(data)
            for at in rng.integers(begin, begin + len(headers), 4):
                damaged[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF])
            (tmp_path / "b").write_bytes(damaged)
            assert isinstance(read_declarations(tmp_path / "b"), Declarations)

    def test_what_is_no_file_declares_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "text").write_text("no video at all")
        for name in ("text", "none"):
            assert read_declarations(tmp_path / name) == Declarations()

    def test_wide_boxes_are_read(self, tmp_path: Path) -> None:
        source = make_clip(tmp_path / "a.mov", PLAIN)
        add_to_sample_entry(source, tmp_path / "b.mov", clean_aperture(80, 40))
        data = (tmp_path / "b.mov").read_bytes()
        at = data.index(b"moov") - 4
        moov = data[at + 8 :]
        wide = struct.pack(">I4sQ", 1, b"moov", 16 + len(moov)) + moov
        (tmp_path / "c.mov").write_bytes(data[:at] + wide)
        endless = struct.pack(">I4s", 0, b"moov") + moov
        (tmp_path / "d.mov").write_bytes(data[:at] + endless)
        for name in ("c.mov", "d.mov"):
            assert read_declarations(tmp_path / name).videos[0].crop == (8, 12, 8, 12)

    @pytest.mark.parametrize("numbers", [(0, 40), (97, 40), (80, -1)])
    def test_an_aperture_that_cannot_be_is_none(self, tmp_path: Path, numbers: tuple) -> None:
        source = make_clip(tmp_path / "a.mov", PLAIN)
        add_to_sample_entry(source, tmp_path / "b.mov", clean_aperture(*numbers))
        assert read_declarations(tmp_path / "b.mov").videos[0].crop == (0, 0, 0, 0)

    def test_spherical_video_of_the_first_kind(self, tmp_path: Path) -> None:
        source = make_clip(tmp_path / "a.mp4", PLAIN)
        data = source.read_bytes()
        at = data.index(b"trak") - 4
        (size,) = struct.unpack_from(">I", data, at)
        extra = box(b"uuid", bytes.fromhex("ffcc8263f8554a938814587a02521fdd") + b"<rdf/>")
        changed = bytearray(data[: at + size] + extra + data[at + size :])
        struct.pack_into(">I", changed, at, size + len(extra))
        moov = data.index(b"moov") - 4
        (length,) = struct.unpack_from(">I", data, moov)
        struct.pack_into(">I", changed, moov, length + len(extra))
        source.write_bytes(changed)
        assert read_declarations(source).videos[0].is_spherical

    def test_matroska_s_words(self) -> None:
        def element(kind: bytes, data: bytes) -> bytes:
            return kind + bytes([0x80 | len(data)]) + data

        profile = dolby_vision(8, 4)[8:]
        mapping = element(b"\x41\xe7", b"dvvC") + element(b"\x41\xed", profile)
        video = element(b"\x53\xc0", b"\1") + element(b"\x53\xb8", b"\1")
        video += element(b"\x76\x70", element(b"\x76\x71", b"\1"))
        track = _read_track(element(b"\x83", b"\1") + element(b"\xe0", video)
                            + element(b"\x41\xe4", mapping))  # fmt: skip
        assert track.dolby_vision_profile == 8
        assert (track.has_alpha, track.is_stereo, track.is_spherical) == (True, True, True)


@pytest.mark.parametrize("output", ["b.mkv", "b.mov"])
def test_chapters_beside_sound_that_goes_through_tee_are_named(tmp_path, output):
    chapters = (("one", F(0), F(1, 2)), ("two", F(1, 2), F(1)))
    clip = Clip(audio=(Audio(codec="adpcm_ms"),), frames=5)
    source = make_clip(tmp_path / "a.avi", clip)
    assert edit_clip(source, tmp_path / "b.mkv").warnings == ()
    mulaw = make_clip(tmp_path / "c.mov", Clip(audio=(Audio("pcm_mulaw"),), chapters=chapters))
    warnings = edit_clip(mulaw, tmp_path / f"c-{output}").warnings
    told = any("2 chapters are left out" in warning for warning in warnings)
    assert told == (output == "b.mkv")


def test_chapters_of_a_clock_that_begins_late_move_with_it(tmp_path):
    clip = Clip(start=F(20), audio=(), chapters=(("one", F(20), F(41, 2)), ("two", F(0), F(1))))
    edited = edit_clip(make_clip(tmp_path / "a.mkv", clip), tmp_path / "b.mkv")
    with av.open(str(edited.output)) as container:
        first = next(c for c in container.chapters() if c["metadata"]["title"] == "one")
        assert (first["start"] * first["time_base"], first["end"] * first["time_base"]) == (
            0,
            F(1, 2),
        )
