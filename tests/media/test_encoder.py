from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest
from clips import Clip, make_clip

from cdrl_cli.errors import DeviceError, UsageError
from cdrl_cli.media import HdrMetadata, VideoInfo, VideoWriter, encoding, open_video, probe_video
from cdrl_cli.media.encoder import (
    CONTAINERS,
    ENCODERS,
    PRESETS,
    choose_encoder,
    container_for,
    encoder_format,
    encoder_options,
)
from cdrl_cli.media.encoding import EncoderSetting, Encoding

F = Fraction


@pytest.fixture(scope="module")
def info(tmp_path_factory: pytest.TempPathFactory) -> VideoInfo:
    folder = tmp_path_factory.mktemp("encoder")
    return probe_video(make_clip(folder / "a.mp4", Clip(frames=1, audio=())))


@pytest.mark.parametrize(
    ("suffix", "pixel_format", "size", "codec"),
    [
        (".mp4", "yuv420p", (96, 64), "h264"),
        (".mp4", "nv12", (96, 64), "h264"),
        (".mp4", "yuv420p10le", (96, 64), "hevc"),
        (".mp4", "p010le", (96, 64), "hevc"),
        (".mp4", "yuv420p", (97, 64), "vp9"),
        (".mp4", "yuv444p", (97, 64), "h264"),
        (".mov", "yuv420p", (97, 64), "h264"),
        (".mkv", "yuv422p10le", (96, 64), "hevc"),
        (".webm", "yuv420p", (96, 64), "vp9"),
        (".webm", "yuv420p10le", (96, 64), "av1"),
    ],
)
def test_codec_suits_container_and_source(
    info: VideoInfo, suffix: str, pixel_format: str, size: tuple[int, int], codec: str
) -> None:
    like = replace(info, pixel_format=pixel_format, width=size[0], height=size[1])
    assert choose_encoder(CONTAINERS[suffix], None, like).codec == codec


@pytest.mark.parametrize(
    ("codec", "pixel_format", "size", "expected"),
    [
        ("h264", "yuv420p", (96, 64), "yuv420p"),
        ("h264", "yuvj420p", (96, 64), "yuvj420p"),
        ("h264", "nv12", (96, 64), "yuv420p"),
        ("h264", "yuv420p12le", (96, 64), "yuv420p10le"),
        ("h264", "yuv420p", (97, 64), "yuv444p"),
        ("h264", "yuv420p", (96, 65), "yuv422p"),
        ("hevc", "yuv422p10le", (96, 64), "yuv422p10le"),
        ("hevc", "yuv420p10le", (97, 65), "yuv444p10le"),
        ("av1", "yuv422p", (96, 64), "yuv420p"),
        ("vp9", "yuv411p", (96, 64), "yuv422p"),
        ("ffv1", "yuv410p", (97, 65), "yuv410p"),
    ],
)
def test_pixel_format_is_the_nearest(
    info: VideoInfo, codec: str, pixel_format: str, size: tuple[int, int], expected: str
) -> None:
    like = replace(info, pixel_format=pixel_format, width=size[0], height=size[1])
    assert encoder_format(ENCODERS[codec], like).name == expected


def test_parity_is_that_of_the_stored_picture(info: VideoInfo) -> None:
    turned = replace(info, width=64, height=97, rotation_deg=90)
    assert encoder_format(ENCODERS["h264"], turned).name == "yuv444p"


@pytest.mark.parametrize(
    "codec", [codec for codec in ENCODERS if codec != "ffv1" and "_" not in codec]
)
def test_every_preset_has_options(codec: str) -> None:
    for preset in PRESETS:
        options = encoder_options(ENCODERS[codec], crf=None, preset=preset, hdr=None)
        assert options["crf"] == str(ENCODERS[codec].default_crf)


def test_an_edit_goes_at_a_speed_of_its_own_and_a_speed_that_is_asked_for_is_the_librarys() -> None:
    own = encoder_options(ENCODERS["h264"], crf=None, preset=None, hdr=None)
    assert (own["preset"], own["x264-params"].split(":")[1:]) == (
        "fast",
        ["weightb=0", "mixed-refs=0", "partitions=p8x8,i8x8,i4x4"],
    )
    asked = encoder_options(ENCODERS["h264"], crf=None, preset="fast", hdr=None)
    assert asked == own | {"x264-params": "cpu-independent=1"}
    own = encoder_options(ENCODERS["hevc"], crf=None, preset=None, hdr=None)
    assert (own["preset"], own["x265-params"].split(":")[1:]) == (
        "superfast",
        ["aq-mode=2", "aq-strength=1"],
    )
    asked = encoder_options(ENCODERS["hevc"], crf=None, preset="superfast", hdr=None)
    assert asked == own | {"x265-params": "log-level=error"}


@pytest.mark.parametrize(
    ("codec", "preset", "words"),
    [
        ("h264", None, "subme=6 weightb=0 mixed_ref=0 analyse=0x3:0x13"),
        ("h264", "fast", "subme=6 weightb=1 mixed_ref=1 analyse=0x3:0x113"),
        ("h264", "medium", "subme=7 weightb=1 mixed_ref=1 rc_lookahead=40"),
        ("hevc", None, "aq-mode=2 aq-strength=1.00 rd=2"),
        ("hevc", "superfast", "aq-strength=0.00 rd=2"),
    ],
)
def test_an_encoder_takes_every_word_that_it_is_told(
    info: VideoInfo, tmp_path: Path, codec: str, preset: str | None, words: str
) -> None:
    output = tmp_path / "out.mp4"
    with (
        open_video(info.path) as video,
        VideoWriter(output, like=info, codec=codec, preset=preset) as writer,
    ):
        for frame in video:
            writer.write(frame)
    told = output.read_bytes().partition(b"options: ")[2].partition(b"\0")[0]
    assert set(words.split()) <= set(told[:3000].decode("latin1").split())


def test_each_preset_of_vp9_is_slower_than_the_one_before() -> None:
    speeds = [
        (words["deadline"], -int(words["cpu-used"]))
        for preset in PRESETS
        for words in [encoder_options(ENCODERS["vp9"], crf=None, preset=preset, hdr=None)]
    ]
    order = ["realtime", "good"]
    ranks = [(order.index(deadline), speed) for deadline, speed in speeds]
    assert ranks == sorted(ranks)
    assert len(set(ranks[:9])) == 9  # placebo is veryslow


def test_hdr_is_written_in_units_of_the_encoder() -> None:
    hdr = HdrMetadata(
        primaries_xy=(
            (F(34, 50), F(16, 50)),
            (F(265, 1000), F(69, 100)),
            (F(15, 100), F(6, 100)),
            (F(3127, 10000), F(329, 1000)),
        ),
        luminance_range=(F(5, 1000), F(1000)),
        max_content_light=1000,
        max_frame_average_light=400,
    )
    options = encoder_options(ENCODERS["hevc"], crf=None, preset=None, hdr=hdr)
    assert options["x265-params"] == (
        "log-level=error:aq-mode=2:aq-strength=1:"
        "master-display=G(13250,34500)B(7500,3000)R(34000,16000)"
        "WP(15635,16450)L(10000000,50):max-cll=1000,400"
    )


def test_unknown_suffix_names_the_known_ones() -> None:
    with pytest.raises(UsageError) as caught:
        container_for(Path("a.avi"))
    assert all(suffix in (caught.value.hint or "") for suffix in CONTAINERS)
    assert container_for(Path("A.MP4")) is CONTAINERS[".mp4"]


HARDWARE = [codec for codec, encoder in ENCODERS.items() if encoder.is_hardware]


@pytest.mark.parametrize("codec", HARDWARE)
def test_an_encoder_of_a_gpu_goes_where_its_codec_goes(info: VideoInfo, codec: str) -> None:
    encoder = choose_encoder(CONTAINERS[".mp4"], codec, info)
    assert encoder.stored in ("h264", "hevc")
    assert encoder_format(encoder, info).name == "nv12"
    deep = encoder_format(encoder, replace(info, pixel_format="yuv420p10le")).name
    assert deep == ("p010le" if encoder.stored == "hevc" else "nv12")
    assert encoder_options(encoder, crf=None, preset=None, hdr=None)
    with pytest.raises(UsageError, match="cannot hold"):
        choose_encoder(CONTAINERS[".webm"], codec, info)


def test_an_encoder_that_is_not_here_is_refused_before_anything_is_written(
    info: VideoInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = replace(ENCODERS["h264_nvenc"], library="h264_nowhere")
    monkeypatch.setitem(ENCODERS, "h264_nvenc", nowhere)  # type: ignore[misc]
    with pytest.raises(DeviceError, match="h264_nvenc: does not work here") as caught:
        VideoWriter(tmp_path / "out.mp4", like=info, codec="h264_nvenc")
    assert caught.value.exit_code == 8
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("cores", "size", "threads"),
    [
        (8, (640, 360), 1),
        (8, (1280, 720), 4),
        (8, (1920, 1080), 9),
        (2, (1920, 1080), 3),
        (16, (4096, 62), 1),
    ],
)
def test_small_pictures_take_one_thread_of_x264_and_large_ones_no_more_than_cores_keep_busy(
    info: VideoInfo,
    monkeypatch: pytest.MonkeyPatch,
    cores: int,
    size: tuple[int, int],
    threads: int,
) -> None:
    monkeypatch.setattr(encoding, "usable_cores", lambda: cores)
    like = replace(info, width=size[0], height=size[1], frame_count=1000)
    setting = EncoderSetting.choose(like, Encoding(Path("a.mp4"), "h264"))
    assert setting.open_context().thread_count == threads


@pytest.mark.parametrize(
    ("frames", "preset", "threads"),
    [(48, None, 2), (1000, "slow", 2), (1000, "medium", 1), (None, "ultrafast", 1)],
)
def test_all_cores_encode_what_was_looked_ahead_of_a_short_clip_and_by_slow_presets(
    info: VideoInfo,
    monkeypatch: pytest.MonkeyPatch,
    frames: int | None,
    preset: str | None,
    threads: int,
) -> None:
    monkeypatch.setattr(encoding, "usable_cores", lambda: 2)
    like = replace(info, width=640, height=360, frame_count=frames)
    setting = EncoderSetting.choose(like, Encoding(Path("a.mp4"), "h264", preset=preset))
    assert setting.open_context().thread_count == threads


def test_who_encodes_and_does_nothing_else_says_how_many_threads(info: VideoInfo) -> None:
    setting = EncoderSetting.choose(info, Encoding(Path("a.mp4"), "h264", threads=3))
    assert setting.open_context().thread_count == 3


@pytest.mark.parametrize("wild", [-7, 0, 3, 2**40, -(2**40)])
@pytest.mark.parametrize("shown", [[], [40], [40, 41], [41, 40]])
def test_times_that_x265_leaves_to_chance_are_ours(info, shown, wild):
    encoding = Encoding(Path("a.mp4"), codec="hevc")
    packets = [av.Packet(b"") for _ in shown]
    for packet, time in zip(packets, shown, strict=True):
        packet.pts, packet.dts = time, time - wild
    found = EncoderSetting.choose(info, encoding).in_decoding_order(packets)
    decoded = [packet.dts for packet in found]
    assert [packet.pts for packet in found] == shown
    assert decoded == sorted(set(decoded))
    assert all(0 <= packet.pts - packet.dts <= 2 for packet in found)


@pytest.mark.parametrize(("codec", "number"), [("hevc", 3), ("h264", 2), ("av1", 1)])
def test_times_that_an_encoder_knows_are_left_alone(info, codec, number):
    packets = [av.Packet(b"") for _ in range(number)]
    for place, packet in enumerate(packets):
        packet.pts, packet.dts = 40 + place, 30 + place
    found = EncoderSetting.choose(info, Encoding(Path("a.mp4"), codec=codec))
    times = [packet.dts for packet in found.in_decoding_order(packets)]
    assert times == [30 + place for place in range(number)]


@pytest.mark.parametrize("pictures", [1, 2, 3, 5])
def test_short_videos_are_decoded_in_time(tmp_path, pictures):
    source = make_clip(tmp_path / "a.mp4", Clip(frames=pictures, audio=()))
    with (
        open_video(source) as video,
        VideoWriter(tmp_path / "b.mkv", like=video.info, codec="hevc") as writer,
    ):
        for frame in video:
            writer.write(frame)
    with open_video(tmp_path / "b.mkv") as video:
        assert [frame.time for frame in video] == [F(index, 25) for index in range(pictures)]
