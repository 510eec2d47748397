"""A matrix of files: each kind of source, made on the spot, edited four ways into four containers.

What is edited is an ellipse in every frame, not a face: the matrix is about media, and the learned
networks would only take time. Everything else is the product's: rows of a manifest, standard input
and output, reader, clock, copier, muxers. For each cell there is a line of text with what came out.
"""

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from clips import Audio, Clip, Subtitles, make_clip

from cdrl_cli.batch.manifest import read_manifest
from cdrl_cli.editing import EditOptions
from cdrl_cli.errors import SpfemError
from cdrl_cli.media import VideoWriter, open_video
from cdrl_cli.media.spool import spool_input, spool_output

HERE = Path(__file__).parent
TARGETS = ("mp4", "mov", "mkv", "webm")
OPERATIONS = ("edit", "part", "pipe", "batch")
START, END = Fraction(1, 8), Fraction(1, 4)
"""Seconds that an edit of a part changes."""

_HALF = 0.5

_BASE = Clip(width=160, height=120, frames=10, tags={"title": "A talk", "comment": "kept"})


def _clip(codec: str, sound: str | None, **changes: object) -> Clip:
    options = _OPTIONS.get(codec, {})
    audio = () if sound is None else (Audio(codec=sound, language="ger"),)
    return replace(_BASE, codec=codec, options=options, audio=audio, **changes)


_OPTIONS = {
    "libx264": {"preset": "ultrafast", "bf": "2"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=error"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
    "libsvtav1": {"preset": "12"},
}
_CHAPTERS = (("one", Fraction(0), Fraction(1, 5)), ("two", Fraction(1, 5), Fraction(2, 5)))

SOURCES: dict[str, Clip] = {
    "h264-aac.mp4": _clip("libx264", "aac", chapters=_CHAPTERS, cover=True),
    "h264-ac3.mp4": _clip("libx264", "ac3"),
    "h264-silent.mp4": _clip("libx264", None),
    "hevc-aac.mp4": _clip("libx265", "aac"),
    "hevc10-flac.mp4": _clip("libx265", "flac", pixel_format="yuv420p10le"),
    "mpeg4-mp3.mp4": _clip("mpeg4", "libmp3lame"),
    "vp9-opus.mp4": _clip("libvpx-vp9", "libopus"),
    "av1-aac.mp4": _clip("libsvtav1", "aac"),
    "h264-turned.mp4": _clip("libx264", "aac", matrix=(0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)),
    "h264-pcm.mov": _clip("libx264", "pcm_s16le"),
    "h264-mulaw.mov": _clip("libx264", "pcm_mulaw"),
    "mjpeg-pcm.mov": _clip("mjpeg", "pcm_s16be", pixel_format="yuvj420p"),
    "prores-alac.mov": _clip("prores_ks", "alac", pixel_format="yuv422p10le"),
    "rgb.mov": _clip("qtrle", None, pixel_format="rgb24"),
    "h264-aac.mkv": _clip("libx264", "aac", chapters=_CHAPTERS, subtitles=(Subtitles(),)),
    "h264-attached.mkv": _clip("libx264", "ac3", attachments=(("a.ttf", "font/ttf", b"x" * 99),)),
    "hevc-flac.mkv": _clip("libx265", "flac"),
    "mpeg2-mp2.mkv": _clip("mpeg2video", "mp2"),
    "ffv1-pcm.mkv": _clip("ffv1", "pcm_s24le", pixel_format="yuv422p10le"),
    "vp8-opus.mkv": _clip("libvpx", "libopus"),
    "variable.mkv": _clip(
        "libx264",
        "aac",
        times=[Fraction(t, 1000) for t in (0, 40, 90, 91, 200, 260, 300, 399)],
        time_base=Fraction(1, 1000),
    ),
    "late.mkv": _clip("libx264", "aac", start=Fraction(2)),
    "odd.mkv": _clip("ffv1", None, width=161, height=121),
    "vp9-opus.webm": _clip("libvpx-vp9", "libopus"),
    "vp8-opus.webm": _clip("libvpx", "libopus"),
    "av1-opus.webm": _clip("libsvtav1", "libopus"),
    "h264-aac.ts": _clip("libx264", "aac"),
    "hevc-ac3.ts": _clip("libx265", "ac3"),
    "mpeg2-mp2.ts": _clip("mpeg2video", "mp2"),
    "mpeg4-mp3.avi": _clip("mpeg4", "libmp3lame"),
    "mjpeg-pcm.avi": _clip("mjpeg", "pcm_s16le", pixel_format="yuvj420p"),
    "h264-aac.flv": _clip("libx264", "aac"),
}


@dataclass(frozen=True)
class Cell:
    """One source, edited in one way into one kind of file."""

    source: str
    operation: str
    target: str

    @property
    def name(self) -> str:
        return f"{self.operation} {self.target}"


CELLS = tuple(
    Cell(source, operation, target)
    for source in SOURCES
    for operation in OPERATIONS
    for target in TARGETS
)


def expected_file(source: str) -> Path:
    """Where the lines of a source's cells are kept."""
    return HERE / f"{source}.txt"


def read_expected(source: str) -> dict[str, str]:
    """The kept lines, by the names of their cells."""
    path = expected_file(source)
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return dict(line.split(": ", 1) for line in lines)


def run_cell(cell: Cell, folder: Path) -> str:
    """What comes of a cell, as a line of text.

    Args:
        cell: The cell.
        folder: Where sources are made, once, and outputs written.
    """
    source = folder / cell.source
    if not source.exists():
        make_clip(source, SOURCES[cell.source])
    output = folder / f"out.{cell.target}"
    output.unlink(missing_ok=True)
    limits = {"start": START, "end": END} if cell.operation == "part" else {}
    try:
        if cell.operation == "pipe":
            warnings = _pipe(source, output)
        elif cell.operation == "batch":
            warnings = _batch(source, output)
        else:
            options = EditOptions(emotion="happy", preset="ultrafast", **limits)
            warnings = edit(source, output, options)
    except SpfemError as error:
        return f"{error.code} {str(error).replace(str(folder), '.')}"
    copied = frozenset(data for _, data in _read_packets(source).values())
    return "; ".join([*_describe(output, copied), *(f"warning {warning}" for warning in warnings)])


def edit(source: Path, output: Path, options: EditOptions) -> tuple[str, ...]:
    """What ``edit_video`` does, with an ellipse for a face; the warnings."""
    from media.contract import paint_ellipse

    with (
        open_video(source, stream=options.video_stream) as video,
        VideoWriter(
            output,
            like=video.info,
            copy_from=source,
            codec=options.codec,
            crf=options.crf,
            preset=options.preset,
            metadata={"comment": "edited"},
        ) as writer,
    ):
        for frame in video:
            is_early = options.start is not None and frame.time < options.start
            is_late = options.end is not None and frame.time >= options.end
            writer.write(frame if is_early or is_late else paint_ellipse(frame))
        writer.note_side_data(video.side_data)
    return (*video.warnings, *writer.warnings)


def _pipe(source: Path, output: Path) -> tuple[str, ...]:
    options = EditOptions(emotion="happy", preset="ultrafast")
    with (
        source.open("rb") as stream,
        output.open("wb") as sent,
        spool_input(stream, "stdin") as readable,
        spool_output(sent, output.suffix) as writable,
    ):
        return edit(readable, writable, options)


def _batch(source: Path, output: Path) -> tuple[str, ...]:
    manifest = output.with_suffix(".csv")
    manifest.write_text(
        f"source,emotion,output,preset\n{source.name},happy,{output.name},ultrafast\n"
    )
    (row,) = read_manifest(manifest)
    return edit(row.source, row.output, row.options)


def _digest(*parts: object) -> str:
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:10]


def _read_packets(path: Path) -> dict[int, tuple[list[Fraction | None], str]]:
    """The times at which packets of each stream are shown, and the digest of what is in them."""
    with av.open(str(path)) as container:
        packets = {s.index: ([], []) for s in container.streams}
        for packet in container.demux():
            if packet.size:
                times, data = packets[packet.stream.index]
                times.append(None if packet.pts is None else packet.pts * packet.time_base)
                data.append(hashlib.sha256(_content(packet)).hexdigest())
    return {index: (times, _digest(*data)) for index, (times, data) in packets.items()}


def _content(packet: av.Packet) -> bytes:
    """What is in a packet; without the header (ADTS) that AAC has in transport streams alone."""
    content, context = bytes(packet), packet.stream.codec_context
    is_headed = context is not None and context.name == "aac" and content[:2] == b"\xff\xf1"
    return content[7:] if is_headed else content


def _describe(path: Path, copied: Collection[str]) -> Iterator[str]:
    """Facts of every stream; digests of times and, where packets are not encoded anew, of packets.

    The packets of the encoded video are not told: another processor may encode others.

    Args:
        path: The file.
        copied: Digests of the streams of its source, which another processor may have encoded
            otherwise, too.
    """
    yield f"inverted {_inverted(path)}"
    packets = _read_packets(path)
    with av.open(str(path)) as container:
        for stream in container.streams:
            yield " ".join(_describe_stream(stream, *packets[stream.index], copied))
        technical = {"major_brand", "minor_version", "compatible_brands", "encoder"}
        tags = {key.lower(): value for key, value in container.metadata.items()}
        told = sorted((key, value) for key, value in tags.items() if key not in technical)
        yield "tags " + ", ".join(f"{key}={value}" for key, value in told)
        if chapters := container.chapters():
            yield f"chapters {len(chapters)} #{_digest(*map(_chapter, chapters))}"


def _inverted(path: Path) -> str:
    """For each frame, whether the ellipse is painted; the scene is dark where it lies."""
    with open_video(path) as video:
        x, y = video.info.width * 5 // 12, video.info.height // 2
        box = (x - 4, y - 4, x + 4, y + 4)
        levels = []
        for frame in video:
            rgb = frame.rgb(box)
            levels.append(float(rgb[..., 0].mean() / np.iinfo(rgb.dtype).max))
    return "".join("E" if level > _HALF else "." for level in levels)


def _chapter(chapter: dict) -> tuple[object, ...]:
    base = chapter["time_base"]
    title = chapter["metadata"].get("title")
    return title, chapter["start"] * base, chapter["end"] * base


def _describe_stream(
    stream: av.stream.Stream, times: list[Fraction | None], data: str, copied: Collection[str]
) -> Iterator[str]:
    context = stream.codec_context
    yield f"{stream.type} {context.codec.canonical_name if context else 'data'}"
    if stream.type == "video":
        yield f"{context.width}x{context.height} {context.pix_fmt}"
    if stream.language not in (None, "und"):
        yield stream.language
    yield f"{len(times)} packets"
    shown = sorted(time for time in times if time is not None)
    if shown:
        yield f"{float(shown[0]):.3f}..{float(shown[-1]):.3f} #{_digest(*shown)}"
    is_cover = bool(stream.disposition & av.stream.Disposition.attached_pic)
    if times and (stream.type != "video" or is_cover):
        yield "data as in the source" if data in copied else f"data #{data}"
