"""Edit the emotion of a recorded talking video; keep the speech and the file.

>>> import cdrl_cli
>>> result = cdrl_cli.edit_video(
...     Path("talk.mp4"), Path("out.mp4"), cdrl_cli.EditOptions(emotion="happy")
... )  # doctest: +SKIP

Importing this package is cheap: a name is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from cdrl_cli._version import __version__ as __version__

if TYPE_CHECKING:
    from cdrl_cli.batch import (
        BatchRow,
        BatchSummary,
        RowDefaults,
        RowResult,
        read_manifest,
        run_batch,
    )
    from cdrl_cli.checkpoints.models import Models, load_models
    from cdrl_cli.control_sheet import write_controls
    from cdrl_cli.edit_options import EditOptions
    from cdrl_cli.editing import EditedRow, EditResult, Progress, edit_video
    from cdrl_cli.embedding import ClipEmotion, EmotionAt, embed_clip
    from cdrl_cli.emotion import Emotion
    from cdrl_cli.errors import (
        BatchError,
        DeviceError,
        Interrupted,
        MemoryExhausted,
        NoFaceError,
        OutputError,
        PolicyError,
        SpfemError,
        UnreadableInputError,
        UsageError,
        WeightsError,
    )
    from cdrl_cli.generator.adjust import Adjustment
    from cdrl_cli.inspection import FaceSpan, Inspection, inspect_video
    from cdrl_cli.media.credentials import SigningIdentity
    from cdrl_cli.media.frames import VideoInfo
    from cdrl_cli.media.reader import probe_video
    from cdrl_cli.planning import EditPlan, plan_edit
    from cdrl_cli.preview import Moment, preview_edits
    from cdrl_cli.schedule import Schedule, ScheduleRow
    from cdrl_cli.schedule_file import read_schedule

__all__ = [
    "Adjustment",
    "BatchError",
    "BatchRow",
    "BatchSummary",
    "ClipEmotion",
    "DeviceError",
    "EditOptions",
    "EditPlan",
    "EditResult",
    "EditedRow",
    "Emotion",
    "EmotionAt",
    "FaceSpan",
    "Inspection",
    "Interrupted",
    "MemoryExhausted",
    "Models",
    "Moment",
    "NoFaceError",
    "OutputError",
    "PolicyError",
    "Progress",
    "RowDefaults",
    "RowResult",
    "Schedule",
    "ScheduleRow",
    "SigningIdentity",
    "SpfemError",
    "UnreadableInputError",
    "UsageError",
    "VideoInfo",
    "WeightsError",
    "edit_video",
    "embed_clip",
    "inspect_video",
    "load_models",
    "plan_edit",
    "preview_edits",
    "probe_video",
    "read_manifest",
    "read_schedule",
    "run_batch",
    "write_controls",
]

_HOMES = {
    "cdrl_cli.batch": {
        "BatchRow",
        "BatchSummary",
        "RowDefaults",
        "RowResult",
        "read_manifest",
        "run_batch",
    },
    "cdrl_cli.checkpoints.models": {"Models", "load_models"},
    "cdrl_cli.control_sheet": {"write_controls"},
    "cdrl_cli.edit_options": {"EditOptions"},
    "cdrl_cli.editing": {"EditResult", "EditedRow", "Progress", "edit_video"},
    "cdrl_cli.embedding": {"ClipEmotion", "EmotionAt", "embed_clip"},
    "cdrl_cli.emotion": {"Emotion"},
    "cdrl_cli.generator.adjust": {"Adjustment"},
    "cdrl_cli.inspection": {"FaceSpan", "Inspection", "inspect_video"},
    "cdrl_cli.media.credentials": {"SigningIdentity"},
    "cdrl_cli.media.frames": {"VideoInfo"},
    "cdrl_cli.media.reader": {"probe_video"},
    "cdrl_cli.planning": {"EditPlan", "plan_edit"},
    "cdrl_cli.preview": {"Moment", "preview_edits"},
    "cdrl_cli.schedule": {"Schedule", "ScheduleRow"},
    "cdrl_cli.schedule_file": {"read_schedule"},
}


def __getattr__(name: str) -> object:
    """Load a public name on first use (PEP 562)."""
    if name not in __all__:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    home = next((home for home, names in _HOMES.items() if name in names), "cdrl_cli.errors")
    value: object = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
