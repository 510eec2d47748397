"""``spfem probe``."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from cdrl_cli.cli.console import print_json, printable, say
from cdrl_cli.cli.options import Json, ProgressMode, Quiet, Source, VideoStream
from cdrl_cli.cli.pipes import read_source
from cdrl_cli.cli.progress import show_progress
from cdrl_cli.errors import check_memory_limit
from cdrl_cli.notation import clock

if TYPE_CHECKING:
    from cdrl_cli.inspection import FaceSpan, Inspection
    from cdrl_cli.media.frames import VideoInfo

EXAMPLES = """\
\b
Examples:
  spfem probe talk.mp4
  spfem probe talk.mp4 --json | jq '.faces[] | select(.largest)'

--json prints one object: info, frames, faces, shots, warnings. Times are seconds; frame_rate,
sample_aspect and time_base are ratios such as "30000/1001".
"""


def probe(
    source: Source,
    *,
    video_stream: VideoStream = None,
    progress: ProgressMode = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say what edit would find in SOURCE: streams, faces, shots. Writes nothing."""
    check_memory_limit()
    from cdrl_cli.inspection import inspect_video

    with (
        read_source(source) as readable,
        show_progress("reading", quiet=quiet, mode=progress) as report,
    ):
        found = inspect_video(readable, progress=report, video_stream=video_stream)
    found = replace(found, info=replace(found.info, path=source))  # not its copy, of a pipe
    for warning in found.warnings:
        say(warning, label="warning", style="yellow")
    if json:
        print_json(found)
    else:
        typer.echo("\n".join(map(printable, _describe(found))))


def _describe(found: "Inspection") -> Iterator[str]:
    yield from _describe_video(found.info)
    yield f"frames    {found.frames}"
    yield f"shots     {len(found.shots)}: {', '.join(f'{clock(time):>9}' for time in found.shots)}"
    yield f"faces     {len(found.faces)}"
    if found.faces:
        yield "          number  first      last       frames         editable  width"
    for face in found.faces:
        yield _describe_face(face, found.frames)


def _describe_video(info: "VideoInfo") -> Iterator[str]:
    rate = "unknown rate" if info.frame_rate is None else f"{float(info.frame_rate):.3f} fps"
    length = "" if info.duration is None else f", {clock(info.duration):>9}"
    yield f"file      {info.path} ({info.container})"
    yield f"picture   {info.width}x{info.height}, {rate}{length}"
    yield f"coding    {info.codec}, {info.pixel_format}, {info.bit_depth} bit"
    mirrored = ", mirrored" if info.mirrored else ""
    yield f"rotation  {info.rotation_deg} degrees clockwise{mirrored}"
    color = (info.color.primaries, info.color.transfer, info.color.matrix)
    full = {True: "full range", False: "limited range", None: "range unstated"}
    yield f"colour    {'/'.join(tag or '?' for tag in color)}, {full[info.color.full_range]}"
    for stream in info.streams:
        words = (stream.kind, stream.codec, stream.language, stream.title)
        yield f"stream {stream.index}  {' '.join(word for word in words if word)}"
    if info.chapters:
        yield f"chapters  {info.chapters}"


def _describe_face(face: "FaceSpan", frames: int) -> str:
    share = face.frames / frames if frames else 0.0
    return (
        f"          {face.number:<6}  {clock(face.first):>9}  {clock(face.last):>9}"
        f"  {face.frames:>6} ({share:>4.0%})  {face.editable_frames:>8}"
        f"  {face.median_width_px:.0f} px{'  largest' if face.largest else ''}"
    )
