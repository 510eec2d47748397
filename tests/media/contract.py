"""What the contract tests read files with: PyAV alone, and ffprobe where it is there."""

import hashlib
import json
import struct
import subprocess
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
from av.sidedata.sidedata import Type as SideDataType

from cdrl_cli.media import VideoFrame, VideoWriter, open_video


@dataclass(frozen=True)
class PacketFacts:
    """One packet, with exact times in seconds."""

    digest: str
    pts: Fraction | None
    dts: Fraction | None
    duration: Fraction


@dataclass(frozen=True)
class VideoFacts:
    """What a decoder sees of a video stream."""

    times: list[Fraction]
    time_base: Fraction
    width: int
    height: int
    sample_aspect: Fraction
    pixel_format: str
    color: tuple[int, int, int, int]
    matrix: tuple[int, ...] | None
    mastering: bytes | None
    content_light: bytes | None
    planes: list[list[np.ndarray]]


def ellipse_mask(height: int, width: int) -> np.ndarray:
    """1 inside, 0 outside, soft in between; zero along the border."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return np.clip(1.2 - 1.6 * np.hypot(x, y), 0, 1).astype(np.float32)


def patch_box(frame: VideoFrame) -> tuple[int, int, int, int]:
    """Where the tests paint: off the centre, at odd coordinates."""
    x, y = frame.width // 4 | 1, frame.height // 3 | 1
    return x, y, x + frame.width // 3, y + frame.height // 3


def paint_ellipse(frame: VideoFrame) -> VideoFrame:
    """Invert the colours inside an ellipse."""
    box = patch_box(frame)
    rgb = frame.rgb(box)
    return frame.with_patch(box, np.iinfo(rgb.dtype).max - rgb, ellipse_mask(*rgb.shape[:2]))


@dataclass(frozen=True)
class Edited:
    """A source, its edit, and what reader and writer had to say."""

    source: Path
    output: Path
    warnings: tuple[str, ...]
    lost_frames: int


def edit_clip(source: Path, output: Path, **options: object) -> Edited:
    """Carry a clip through the package with an ellipse painted into every frame."""
    options.setdefault("preset", "ultrafast")
    if options.get("codec") == "ffv1":
        del options["preset"]
    with (
        open_video(source) as video,
        VideoWriter(output, like=video.info, copy_from=source, **options) as writer,
    ):
        for frame in video:
            writer.write(paint_ellipse(frame))
    return Edited(source, output, (*video.warnings, *writer.warnings), video.lost_frames)


def main_index(path: Path) -> int:
    """Index of the video that is no cover."""
    with av.open(str(path)) as container:
        return next(
            stream.index
            for stream in container.streams.video
            if not stream.disposition & av.stream.Disposition.attached_pic
        )


@cache
def read_video(path: Path) -> VideoFacts:
    """Decode a video and note everything."""
    with av.open(str(path)) as container:
        stream = container.streams[main_index(path)]
        frames = list(container.decode(stream))
        first, context = frames[0], stream.codec_context
        found = {each.type: bytes(each) for each in first.side_data}
        matrix = found.get(SideDataType.DISPLAYMATRIX)
        return VideoFacts(
            times=[frame.pts * stream.time_base for frame in frames],
            time_base=stream.time_base,
            width=first.width,
            height=first.height,
            sample_aspect=Fraction(stream.sample_aspect_ratio or 1),
            pixel_format=first.format.name,
            color=(
                context.color_primaries,
                context.color_trc,
                context.colorspace,
                context.color_range,
            ),
            matrix=struct.unpack("=9i", matrix) if matrix else None,
            mastering=found.get(SideDataType.MASTERING_DISPLAY_METADATA),
            content_light=found.get(SideDataType.CONTENT_LIGHT_LEVEL),
            planes=[copy_planes(frame) for frame in frames],
        )


def copy_planes(frame: av.VideoFrame) -> list[np.ndarray]:
    """Samples of a planar frame, without the padding of rows."""
    dtype = np.uint8 if frame.format.components[0].bits == 8 else np.uint16
    planes = []
    for plane in frame.planes:
        rows = np.frombuffer(plane, dtype).reshape(plane.height, -1)
        planes.append(rows[:, : plane.width].copy())
    return planes


@cache
def read_packets(path: Path) -> dict[int, list[PacketFacts]]:
    """Packets by stream, without the edited video's."""
    with av.open(str(path)) as container:
        main = main_index(path)
        found: dict[int, list[PacketFacts]] = {
            stream.index: [] for stream in container.streams if stream.index != main
        }
        for packet in container.demux():
            if packet.stream_index == main or not packet.size:
                continue
            tick = packet.time_base
            found[packet.stream_index].append(
                PacketFacts(
                    hashlib.sha256(bytes(packet)).hexdigest(),
                    None if packet.pts is None else packet.pts * tick,
                    None if packet.dts is None else packet.dts * tick,
                    (packet.duration or 0) * tick,
                )
            )
        return found


def streams_of(path: Path) -> list[av.stream.Stream]:
    """Facts of the streams; closed, so only what is not media may be asked."""
    with av.open(str(path)) as container:
        return [
            (
                stream.type,
                stream.metadata.get("language", "und"),
                stream.metadata.get("title", stream.metadata.get("name")),
                int(stream.disposition),
            )
            for stream in container.streams
            if stream.type != "data"
        ]


def chapters_of(path: Path) -> list[tuple[str, Fraction, Fraction]]:
    """Title, start and end in seconds."""
    with av.open(str(path)) as container:
        return [
            (
                chapter["metadata"].get("title", ""),
                chapter["start"] * chapter["time_base"],
                chapter["end"] * chapter["time_base"],
            )
            for chapter in container.chapters()
        ]


def tags_of(path: Path) -> dict[str, str]:
    """Container tags that say something about the content, keys in lower case."""
    technical = {"major_brand", "minor_version", "compatible_brands", "encoder"}
    with av.open(str(path)) as container:
        tags = {key.lower(): value for key, value in container.metadata.items()}
    return {key: value for key, value in tags.items() if key not in technical}


def ffprobe(path: Path, *arguments: str) -> dict:
    """Ask another program."""
    command = ["ffprobe", "-v", "error", "-of", "json", *arguments, str(path)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
