"""Making the edits of a row, through the shipped path; a clip that is there is not made again."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np

import cdrl_cli
from cdrl_cli.array_types import Bool, Float, Shaped
from cdrl_cli.checkpoints.models import Models
from cdrl_cli.conditions import read_conditions
from cdrl_cli.editing import EditOptions, edit_video
from cdrl_cli.emotion import Emotion
from cdrl_cli.evaluation.fingerprint import fingerprint
from cdrl_cli.evaluation.plan import Task
from cdrl_cli.face.alignment import FaceCrop
from cdrl_cli.face.compositing import RIM_PX, Rendering
from cdrl_cli.face.stream import open_faces
from cdrl_cli.face_editor import FaceEditor
from cdrl_cli.generator.eyes import OPEN
from cdrl_cli.generator.renderer import Renderer
from cdrl_cli.geometry.warp import resample

CHROMA_REACH_PX = 2
"""A chroma sample serves up to four pixels, and is read between samples: so far outside the mask
a colour may change although no sample there did."""

_CODE_OF_AN_EDIT = (
    "conditions.py", "editing.py", "face_editor.py", "row_editor.py", "schedule.py", "reference.py",
    "checkpoints", "face", "generator", "geometry", "media", "nn", "representation",
)  # fmt: skip

_NOT_PART = ("reference", "overwrite")
"""Options that say nothing of the result: a reference counts by its bytes."""


@dataclass(frozen=True, slots=True)
class Edited:
    """A clip that was edited."""

    path: Path
    edit_s: float
    """What the edit took, when it was made."""
    read_as: Emotion
    """What CERL takes what was asked for, above all."""


def make_edit(task: Task, models: Models, options: EditOptions, output: Path) -> Edited:
    """Edit the task's source into a file, unless the file was made by the same edit before.

    The same edit: the same bytes of source and reference, the same options, weights and code. A
    note beside the file says so.

    Raises:
        SpfemError: As :func:`~cdrl_cli.editing.edit_video` does.
    """
    note = output.with_suffix(".json")
    digest = fingerprint(
        task.source.path,
        options.reference,
        {name: value for name, value in asdict(options).items() if name not in _NOT_PART},
        models,
        list(_code()),
    )
    try:
        known = json.loads(note.read_text("utf-8"))
        if output.is_file() and known["digest"] == digest:
            return Edited(output, float(known["edit_s"]), Emotion(known["read_as"]))
    except (OSError, ValueError, KeyError, TypeError):
        pass  # no note, or none of ours: the edit is made
    output.parent.mkdir(parents=True, exist_ok=True)
    note.unlink(missing_ok=True)  # a run cut off after the edit must not leave the old note
    result = edit_video(task.source.path, output, replace(options, overwrite=True), models=models)
    read_as = max(result.reading, key=lambda emotion: result.reading[emotion])
    facts = {"digest": digest, "edit_s": result.elapsed_s, "read_as": read_as}
    note.write_text(json.dumps(facts) + "\n", "utf-8")
    return Edited(output, result.elapsed_s, read_as)


def edit_options(task: Task, *, intensity: float) -> EditOptions:
    """What to ask an edit for: the task's reference, or the name of its emotion."""
    if task.asking == "reference":
        neutral = None if task.neutral is None else task.neutral.path
        return EditOptions(
            reference=task.reference.path, reference_neutral=neutral, intensity=intensity
        )
    return EditOptions(emotion=task.emotion.value, intensity=intensity)


def count_changed_outside(task: Task, models: Models, options: EditOptions) -> tuple[int, int]:
    """Colour values outside the mask that an edit changes, and how many lie there.

    Before encoding: by the editor that :func:`~cdrl_cli.editing.edit_video` runs.
    """
    witness = _Witness(models.renderer)
    changed = outside = 0
    conditions = read_conditions(options, models)
    with open_faces(task.source.path, models) as stream:
        editor = FaceEditor(replace(models, renderer=witness), options, conditions, stream)
        for tracked in stream.tracked():
            frame = editor.edit(tracked)
            free = witness.take_free(frame.height, frame.width)
            differs = tracked.frame.rgb() != frame.rgb()
            changed += int(differs[free].sum())
            outside += 3 * int(free.sum())
    return changed, outside


def slug(row: str) -> str:
    """A row's name as the name of its folder."""
    return row.replace(" ", "-")


class _Witness:
    """A renderer that remembers where it was allowed to paint since it was last asked."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer
        self._masks: list[tuple[FaceCrop, Rendering]] = []

    def __call__(
        self,
        crop: FaceCrop,
        expression: Float[np.ndarray, " 52"],
        emotion: Float[np.ndarray, " 7"],
        eyes: Float[np.ndarray, " 2"] = OPEN,
    ) -> Rendering:
        rendering = self._renderer(crop, expression, emotion, eyes)
        self._masks.append((crop, rendering))
        return rendering

    def take_free(self, height: int, width: int) -> Bool[np.ndarray, "height width"]:
        """Pixels that no mask reached."""
        painted = np.zeros((height, width), np.uint8)
        for crop, rendering in self._masks:
            left, top, right, bottom = crop.box_xyxy
            mask = resample(_grown(rendering.mask, RIM_PX), crop.crop_from_frame, crop.box_xyxy)
            painted[top:bottom, left:right] |= mask > 0
        self._masks.clear()
        return _grown(painted, CHROMA_REACH_PX) == 0


def _grown(
    mask: Shaped[np.ndarray, "height width"], reach_px: int
) -> Shaped[np.ndarray, "height width"]:
    """The largest value of a mask so far around each pixel."""
    return cv2.dilate(mask, np.ones((2 * reach_px + 1,) * 2, np.uint8))


def _code() -> Iterable[Path]:
    root = Path(cdrl_cli.__file__).parent
    for name in _CODE_OF_AN_EDIT:
        yield from sorted((root / name).rglob("*.py")) if (root / name).is_dir() else [root / name]
