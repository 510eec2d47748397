"""What may be written beside an edit to look at it: before and after as one video, a report."""

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from cdrl_cli.checkpoints.models import Models
from cdrl_cli.comparison import write_comparison
from cdrl_cli.edit_options import EditOptions
from cdrl_cli.edited_row import EditedRow
from cdrl_cli.editing import ProgressCallable
from cdrl_cli.errors import PolicyError
from cdrl_cli.media import check_output
from cdrl_cli.media.output import check_document
from cdrl_cli.media.side_by_side import Layout


class ShowProgress(Protocol):
    """What shows how far each of the files has come."""

    def __call__(
        self, verb: Literal["comparing", "reading"], /
    ) -> AbstractContextManager[ProgressCallable | None]:
        """Begin to show it."""
        ...


@dataclass(frozen=True, slots=True)
class Beside:
    """Files beside an output."""

    comparison: tuple[Layout, Path] | None = None
    """How before and after are laid out, and the video of both."""
    report: Path | None = None
    """A page that shows what the edit did."""

    def check(self, edited: Path, *, inputs: Sequence[Path], overwrite: bool) -> None:
        """Refuse, before any work is done, what would destroy something.

        Args:
            edited: The result that they are written beside.
            inputs: Files that are read: the source and references.
            overwrite: Whether existing files may be replaced.

        Raises:
            PolicyError: If one of them exists and ``overwrite`` is not set, is read, or is the
                result.
            OutputError: If one of them cannot be written.
            UsageError: If one of them is of a kind that cannot be written.
        """
        if self.comparison is not None:
            check_output(self.comparison[1], inputs=inputs, overwrite=overwrite)
        if self.report is not None:
            check_document(self.report, ".html", inputs=inputs, overwrite=overwrite)
        for one in self.files:
            if os.path.realpath(one) == os.path.realpath(edited):
                raise PolicyError(
                    f"{one}: is the result of the edit, too", hint="Name another file."
                )

    def write(
        self,
        source: Path,
        edited: Path,
        models: Models,
        options: EditOptions,
        done: Sequence[EditedRow] = (),
        *,
        show: ShowProgress = lambda _: nullcontext(None),
    ) -> None:
        """Write them.

        Args:
            source: The clip before.
            edited: The same clip after.
            models: Read faces.
            options: What was asked for.
            done: What each row of it did: its intensity where that was found for a target.
            show: Shows how far each has come.

        Raises:
            SpfemError: If one of them cannot be written, or no face can be read.
        """
        if self.comparison is not None:
            layout, path = self.comparison
            with show("comparing") as tell:
                write_comparison(
                    source,
                    edited,
                    path,
                    layout=layout,
                    video_stream=options.video_stream,
                    overwrite=options.overwrite,
                    progress=tell,
                )
        if self.report is not None:
            with show("reading") as tell:
                from cdrl_cli.report.page import write_report

                write_report(
                    source,
                    edited,
                    self.report,
                    models,
                    options=options,
                    done=done,
                    overwrite=options.overwrite,
                    progress=tell,
                )

    @property
    def files(self) -> tuple[Path, ...]:
        """Their names."""
        named = (self.comparison[1] if self.comparison else None, self.report)
        return tuple(one for one in named if one is not None)
