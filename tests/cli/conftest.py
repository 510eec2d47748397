import os
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pytest

from cdrl_cli import editing
from cdrl_cli.editing import EditOptions, EditResult, Progress, ProgressCallable
from cdrl_cli.emotion import Emotion


@dataclass
class Call:
    """What the command asked the library for."""

    source: Path
    output: Path
    options: EditOptions
    progress: ProgressCallable | None


@pytest.fixture
def edits(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """Calls of ``edit_video``, which answers at once: the command is tested, not the edit."""
    calls: list[Call] = []

    def edit_video(source, output, options, *, progress=None, models=None):
        calls.append(Call(source, output, options, progress))
        for done in range(1, 4):
            if progress is not None:
                progress(Progress(done, 3, Fraction(done, 25)))
        return EditResult(
            output=output,
            frames=3,
            edited_frames=2,
            lost_frames=1,
            faces=1,
            emotion=options.emotion,
            reading=dict.fromkeys(Emotion, 0.0) | {Emotion.HAPPY: 0.875, Emotion.NEUTRAL: 0.125},
            strength=0.75,
            reference_neutral=None if options.reference is None else "estimated",
            device="cpu (ONNX Runtime)",
            duration_s=0.12,
            elapsed_s=0.5,
            warnings=("1 frame could not be decoded",),
        )

    monkeypatch.setattr(editing, "edit_video", edit_video)
    return calls


@pytest.fixture
def edit_fails(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Let the next ``edit_video`` raise."""

    def prepare(error: BaseException) -> None:
        def edit_video(*_args: object, **_kwargs: object) -> None:
            raise error

        monkeypatch.setattr(editing, "edit_video", edit_video)

    return prepare


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the user's configuration nor variables reach a test."""
    for name in set(os.environ):
        if name.startswith("SPFEM_") and name != "SPFEM_REQUIRE":
            monkeypatch.delenv(name)
    monkeypatch.setenv("SPFEM_CONFIG", os.devnull)
