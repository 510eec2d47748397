"""A video of an edit that shows before and after in one picture, with the edit's sound."""

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final, TypeVar

from cdrl_cli import __version__
from cdrl_cli.editing import Progress, ProgressCallable
from cdrl_cli.errors import UsageError
from cdrl_cli.media import VideoWriter, check_output, open_video
from cdrl_cli.media.provenance import Provenance
from cdrl_cli.media.side_by_side import Layout, PairPainter

Item = TypeVar("Item")

TOLERANCE_S: Final = Fraction(1, 500)
"""Difference of two times that a container's rounding explains, seconds."""

CRF: Final = 20
"""Quality of the comparison: it is for looking, not for working on."""


def name_comparison(asked: str, output: Path) -> tuple[Layout, Path]:
    """How a comparison is laid out and what it is called.

    Args:
        asked: ``side`` or ``wipe``, for a file beside the output; else the file, side by side.
        output: The edit.

    Raises:
        UsageError: If the output has no name to put it beside, or a word is neither of the layouts
            nor a file.

    >>> name_comparison("wipe", Path("out.mp4"))
    ('wipe', PosixPath('out.wipe.mp4'))
    """
    if asked in ("side", "wipe"):
        if str(output) == "-":
            raise UsageError("-o - has no name to put it beside: --compare FILE names one")
        layout: Layout = "side" if asked == "side" else "wipe"
        return layout, output.with_name(f"{output.stem}.{layout}{output.suffix}")
    if not Path(asked).suffix:
        raise UsageError(
            f"before and after are not compared by {asked!r}",
            hint="side, wipe, or a file: --compare both.mp4",
        )
    return "side", Path(asked)


def write_comparison(
    source: Path,
    edited: Path,
    output: Path,
    *,
    layout: Layout = "side",
    video_stream: int | None = None,
    overwrite: bool = False,
    progress: ProgressCallable | None = None,
) -> int:
    """Write before and after into one video; sound, subtitles and tags are the edit's.

    Args:
        source: The clip before.
        edited: The same clip after.
        output: Where it goes; it appears when it is complete.
        layout: Beside each other, or parted by a line that wanders.
        video_stream: Of the source; None for the usual one.
        overwrite: Whether an existing file may be replaced.
        progress: Called after every frame.

    Returns:
        How many frames it has.

    Raises:
        OutputError: If it cannot be written.
        PolicyError: If it exists and ``overwrite`` is not set, or is one of the two.
        UnreadableInputError: If one of the two cannot be decoded.
        UsageError: If the frames of the edit are not those of the source.
    """
    check_output(output, inputs=[source, edited], overwrite=overwrite)
    said = f"before and after an AI edit of a facial expression, by spfem {__version__}"
    with (
        open_video(source, stream=video_stream) as before,
        open_video(edited) as after,
    ):
        painter = PairPainter(before.info, layout)
        with VideoWriter(
            output,
            like=painter.info,
            copy_from=edited,
            crf=CRF,
            metadata={"comment": said},
            provenance=Provenance(said),
            overwrite=overwrite,
        ) as writer:
            pairs = in_step(before, after, source, edited, time=lambda frame: frame.time)
            for old, new in pairs:
                writer.write(painter.paint(old, new))
                if progress:
                    progress(Progress(old.index + 1, before.info.frame_count, old.time))
            count = writer.frames_written
    return count


def no_edit_of(source: Path, edited: Path) -> UsageError:
    """What is said of two files of which the second is no edit of the first."""
    return UsageError(
        f"{edited}: its frames are not those of {source}",
        hint="name the source first, and then what spfem edit made of it",
    )


def in_step(
    one: Iterable[Item],
    other: Iterable[Item],
    source: Path,
    edited: Path,
    *,
    time: Callable[[Item], Fraction],
) -> Iterator[tuple[Item, Item]]:
    """The frames of a source and of its edit, in pairs.

    Args:
        one: Of the source.
        other: Of the edit.
        source: For the message.
        edited: For the message.
        time: Of a frame, seconds.

    Raises:
        UsageError: If the two do not lie at the same times.
    """
    sought = no_edit_of(source, edited)
    rest = iter(other)
    for old in one:
        new = next(rest, None)
        if new is None or abs(time(new) - time(old)) > TOLERANCE_S:
            raise sought
        yield old, new
    if next(rest, None) is not None:
        raise sought
