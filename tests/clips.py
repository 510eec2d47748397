"""Makes clips for tests: every property a real file may have, asked for one by one.

Written with PyAV, so that what it makes owes nothing to the code under test; of that it takes only
what keeps the AV1 encoder from making the tests real-time.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from cdrl_cli.processors import keep_scheduling

ROTATIONS = {
    (0, True): (-65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30),
    (90, False): (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30),
    (90, True): (0, 65536, 0, 65536, 0, 0, 0, 0, 1 << 30),
    (180, False): (-65536, 0, 0, 0, -65536, 0, 0, 0, 1 << 30),
    (180, True): (65536, 0, 0, 0, -65536, 0, 0, 0, 1 << 30),
    (270, False): (0, -65536, 0, 65536, 0, 0, 0, 0, 1 << 30),
    (270, True): (0, -65536, 0, -65536, 0, 0, 0, 0, 1 << 30),
}
"""Display matrices by (clockwise turn, mirrored)."""

HDR10_X265 = (
    "log-level=error:master-display=G(13250,34500)B(7500,3000)R(34000,16000)"
    "WP(15635,16450)L(10000000,50):max-cll=1000,400"
)
BT2020_PQ = {"color_primaries": 9, "color_trc": 16, "colorspace": 9, "color_range": 1}


@dataclass(frozen=True)
class Audio:
    """A track that hums."""

    codec: str = "aac"
    pitch_hz: float = 440.0
    start: Fraction = Fraction(0)
    language: str | None = None
    title: str | None = None
    disposition: int = 0


@dataclass(frozen=True)
class Subtitles:
    """A track of two lines."""

    codec: str = "subrip"
    language: str | None = None
    lines: tuple[tuple[Fraction, Fraction, str], ...] = (
        (Fraction(1, 5), Fraction(2, 5), "Well, hello."),
        (Fraction(3, 5), Fraction(1, 5), "There."),
    )


@dataclass(frozen=True)
class Clip:
    """What a clip is like; the defaults are one second of an ordinary one."""

    width: int = 96
    height: int = 64
    rate: Fraction = Fraction(25)
    times: Sequence[Fraction] | None = None
    """Presentation times; None for ``frames`` at ``rate``."""
    frames: int = 25
    start: Fraction = Fraction(0)
    time_base: Fraction | None = None
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    options: Mapping[str, str] = field(default_factory=lambda: {"preset": "ultrafast", "bf": "2"})
    context: Mapping[str, Any] = field(default_factory=dict)
    """Attributes of the codec context: colour, sample aspect."""
    matrix: tuple[int, ...] | None = None
    audio: tuple[Audio, ...] = (Audio(),)
    subtitles: tuple[Subtitles, ...] = ()
    chapters: tuple[tuple[str, Fraction, Fraction], ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    video_tags: Mapping[str, str] = field(default_factory=dict)
    cover: bool = False
    attachments: tuple[tuple[str, str, bytes], ...] = ()
    container_options: Mapping[str, str] = field(default_factory=dict)
    paint: Callable[[int, int, int], np.ndarray] | None = None

    @property
    def presentation_times(self) -> list[Fraction]:
        """Times of the frames, seconds."""
        if self.times is not None:
            return list(self.times)
        return [self.start + index / self.rate for index in range(self.frames)]


def paint_scene(index: int, width: int, height: int) -> np.ndarray:
    """RGB of frame ``index``: coloured slopes, grain, and a square that wanders."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    rng = np.random.default_rng(index)
    picture = np.stack(
        [columns * 200 / width, rows * 200 / height, (columns + rows) * 100 / (width + height)], -1
    )
    picture += rng.uniform(0, 24, (height, width, 1))
    side = height // 4
    x = (index * 2) % max(width - side, 1)
    picture[height // 8 : height // 8 + side, x : x + side] = (230, 40, 120)
    return picture.clip(0, 255).astype(np.uint8)


def make_clip(path: Path, clip: Clip | None = None) -> Path:
    """Write a clip; the container is the suffix's.

    Returns:
        ``path``.
    """
    clip = clip or Clip()
    if clip.codec == "libx265" and len(clip.presentation_times) < 3:
        raise ValueError("x265 leaves the decoding times of one or two pictures to chance")
    muxers = {".mkv": "matroska", ".ts": "mpegts"}
    with av.open(
        str(path),
        "w",
        format=muxers.get(path.suffix, path.suffix[1:]),
        container_options=dict(clip.container_options),
    ) as output:
        output.metadata.update(clip.tags)
        video = _add_video(output, clip)
        sounds = [_add_audio(output, audio) for audio in clip.audio]
        texts = [_add_subtitles(output, each) for each in clip.subtitles]
        for name, mimetype, data in clip.attachments:
            output.add_attachment(name, mimetype, data)
        cover = _add_cover(output, path.suffix) if clip.cover else None
        output.set_chapters(
            [
                {
                    "id": number,
                    "start": int(start * 1000),
                    "end": int(end * 1000),
                    "time_base": Fraction(1, 1000),
                    "metadata": {"title": title},
                }
                for number, (title, start, end) in enumerate(clip.chapters, start=1)
            ]
        )
        packets = list(_video_packets(video, clip))
        end = max(clip.presentation_times) + 1 / clip.rate
        for stream, audio in zip(sounds, clip.audio, strict=True):
            packets += _audio_packets(stream, audio, end)
        for stream, each in zip(texts, clip.subtitles, strict=True):
            packets += _subtitle_packets(stream, each)
        if cover is not None:
            output.mux(cover)
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            output.mux(packet)
    return path


def _add_video(output, clip):
    stream = output.add_stream(clip.codec, rate=clip.rate)
    context = stream.codec_context
    context.width, context.height, context.pix_fmt = clip.width, clip.height, clip.pixel_format
    context.time_base = stream.time_base = clip.time_base or 1 / clip.rate
    context.options = dict(clip.options)
    for name, value in clip.context.items():
        setattr(context, name, value)
    if clip.matrix is not None:
        stream.set_display_matrix(clip.matrix)
    with keep_scheduling():  # else the AV1 encoder makes the tests real-time
        context.open()
    stream.metadata.update(clip.video_tags)
    return stream


def _video_packets(stream, clip):
    time_base = stream.codec_context.time_base
    paint = clip.paint or paint_scene
    times = clip.presentation_times
    for index, time in enumerate(times):
        rgb = av.VideoFrame.from_ndarray(paint(index, clip.width, clip.height), "rgb24")
        frame = rgb.reformat(format=clip.pixel_format, threads=1)
        frame.pts, frame.time_base = round(time / time_base), time_base
        following = times[index + 1] if index + 1 < len(times) else time + 1 / clip.rate
        frame.duration = round((following - time) / time_base)
        yield from stream.encode(frame)
    yield from stream.encode(None)


def _add_audio(output, audio):
    stream = output.add_stream(audio.codec, rate=48000 if "opus" in audio.codec else 44100)
    stream.codec_context.layout = "mono"
    stream.disposition = audio.disposition
    if audio.language:
        stream.metadata["language"] = audio.language
    if audio.title:
        stream.metadata["title"] = audio.title
    return stream


def _audio_packets(stream, audio, end):
    context = stream.codec_context
    context.open()
    rate, size = context.sample_rate, context.frame_size or 1024
    count = int((end - audio.start) * rate) // size + 1
    phase = 2 * np.pi * audio.pitch_hz * np.arange(count * size) / rate
    wave = (0.3 * np.sin(phase)).astype(np.float32)
    for index in range(count):
        samples = wave[None, index * size : (index + 1) * size]
        planar = av.AudioFrame.from_ndarray(samples, "fltp", "mono")
        planar.sample_rate = rate
        planar.pts, planar.time_base = index * size, Fraction(1, rate)
        resampled = av.AudioResampler(context.format.name, "mono", rate).resample(planar)
        for frame in resampled:
            frame.pts = round(audio.start * rate) + index * size
            yield from stream.encode(frame)
    yield from stream.encode(None)


def _add_subtitles(output, subtitles):
    stream = output.add_mux_stream(subtitles.codec)
    stream.time_base = Fraction(1, 1000)
    if subtitles.language:
        stream.metadata["language"] = subtitles.language
    return stream


def _subtitle_packets(stream, subtitles):
    for start, duration, text in subtitles.lines:
        data = text.encode()
        if subtitles.codec == "mov_text":
            data = len(data).to_bytes(2, "big") + data
        packet = av.Packet(data)
        packet.stream, packet.time_base = stream, Fraction(1, 1000)
        packet.pts = packet.dts = int(start * 1000)
        packet.duration = int(duration * 1000)
        packet.is_keyframe = True
        yield packet


def cover_jpeg() -> bytes:
    """A small red picture."""
    context = av.CodecContext.create("mjpeg", "w")
    context.width = context.height = 16
    context.pix_fmt, context.time_base = "yuvj420p", Fraction(1, 25)
    red = np.full((16, 16, 3), (200, 30, 30), np.uint8)
    frame = av.VideoFrame.from_ndarray(red, "rgb24").reformat(format="yuvj420p")
    frame.pts = 0
    packets = [*context.encode(frame), *context.encode(None)]
    return b"".join(bytes(packet) for packet in packets)


def _add_cover(output, suffix):
    """A cover as the container keeps it; in MP4 a packet to write first."""
    if suffix == ".mkv":
        output.add_attachment("cover.jpg", "image/jpeg", cover_jpeg())
        return None
    stream = output.add_mux_stream("mjpeg", width=16, height=16)
    stream.disposition = av.stream.Disposition.attached_pic
    packet = av.Packet(cover_jpeg())
    packet.stream, packet.time_base = stream, Fraction(1, 90000)
    packet.pts = packet.dts = 0
    packet.is_keyframe = True
    return packet
