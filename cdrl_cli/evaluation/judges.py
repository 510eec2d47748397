"""Networks that score edits and took no part in making them, behind one interface.

A judge is never a training loss, nor does it choose between models: it would be flattered.
"""

from collections.abc import Sequence
from math import ceil, floor
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

import cv2
import numpy as np

from cdrl_cli.array_types import Float, Float32, UInt8
from cdrl_cli.checkpoints.load import find_weights
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UsageError
from cdrl_cli.nn.litert import open_interpreter

CROP_MARGIN = 0.1
"""Of the box around the landmarks, added on each side. Chosen on acted clips of people who are
learned from, none of them held out: share of clips that facex reads right, of 46 of MEAD and
RAVDESS and of 24 of Java-SED, at -.05, 0, .05, .1 and .2: .61 .63 .70 .74 .65, and .25 .38 .38 .46
.38. In grey, as the package itself shows it faces, it reads fewer (.65 and .38 at .1)."""


@runtime_checkable
class Judge(Protocol):
    """What says which emotion a face shows; it declares what it wants to see."""

    name: ClassVar[str]
    side_px: ClassVar[int]
    """Side of the square crop."""
    channels: ClassVar[str]
    """``RGB``, ``BGR`` or ``grey``: the order in which it takes colours."""
    value_range: ClassVar[tuple[float, float]]
    """What black and white become."""
    classes: ClassVar[tuple[Emotion, ...]]
    """Order of its outputs; all of :class:`~cdrl_cli.emotion.Emotion`."""

    def probabilities(
        self, crops: Sequence[UInt8[np.ndarray, "side side 3"]]
    ) -> Float[np.ndarray, "crops 7"]:
        """How likely each emotion is, in the order of :class:`~cdrl_cli.emotion.Emotion`.

        Args:
            crops: sRGB, of :func:`cut_tight`.
        """
        ...


class FacexJudge:
    """The classifier of PyPI's ``facex`` (MIT; its training data is not stated).

    ``spfem download-weights judge`` brings it; it runs in LiteRT, an extra.

    Args:
        model: The ``.tflite`` file.

    Raises:
        UsageError: If LiteRT is not installed.
    """

    name: ClassVar[str] = "facex"
    side_px: ClassVar[int] = 200
    channels: ClassVar[str] = "RGB"
    value_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    classes: ClassVar[tuple[Emotion, ...]] = (
        Emotion.ANGRY,
        Emotion.DISGUSTED,
        Emotion.FEAR,
        Emotion.HAPPY,
        Emotion.NEUTRAL,
        Emotion.SAD,
        Emotion.SURPRISED,
    )

    def __init__(self, model: Path) -> None:
        try:
            self._network = open_interpreter(model)
        except ImportError as error:
            raise UsageError(
                "the judge runs in LiteRT, which is not installed",
                hint="pip install 'spfem[evaluate]'",
            ) from error
        self._input = self._network.get_input_details()[0]["index"]
        self._output = self._network.get_output_details()[0]["index"]

    def probabilities(
        self, crops: Sequence[UInt8[np.ndarray, "side side 3"]]
    ) -> Float[np.ndarray, "crops 7"]:
        """See :class:`Judge`."""
        answers = [self._answer(present(crop, self)) for crop in crops]
        return reorder(np.array(answers).reshape(-1, len(self.classes)), self.classes)

    def _answer(self, image: Float32[np.ndarray, "side side 3"]) -> Float32[np.ndarray, " 7"]:
        self._network.set_tensor(self._input, image[None])
        self._network.invoke()
        return self._network.get_tensor(self._output)[0].copy()


def load_judge() -> Judge:
    """The judge of the reports.

    Raises:
        WeightsError: If it has not been downloaded.
        UsageError: If LiteRT is not installed.
    """
    return FacexJudge(find_weights("judge"))


def cut_tight(
    picture: UInt8[np.ndarray, "height width 3"],
    landmarks_xyz: Float[np.ndarray, "478 3"],
    side_px: int,
    *,
    margin: float = CROP_MARGIN,
) -> UInt8[np.ndarray, "side side 3"]:
    """The face on a square: the box around its landmarks, made square by its longer side.

    What lies outside the picture repeats its edge.

    Args:
        picture: sRGB.
        landmarks_xyz: Pixels of the picture.
        side_px: Of the result.
        margin: Added on each side, in sides of the box.
    """
    low, high = landmarks_xyz[:, :2].min(axis=0), landmarks_xyz[:, :2].max(axis=0)
    middle, reach = (low + high) / 2, (0.5 + margin) * float((high - low).max())
    (left, top), (right, bottom) = middle - reach, middle + reach
    x0, y0, x1, y1 = floor(left), floor(top), ceil(right), ceil(bottom)
    height, width = picture.shape[:2]
    rows, columns = np.arange(y0, y1).clip(0, height - 1), np.arange(x0, x1).clip(0, width - 1)
    crop = picture[np.ix_(rows, columns)]
    shrinks = crop.shape[0] > side_px
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(crop, (side_px, side_px), interpolation=interpolation)


def present(
    crop: UInt8[np.ndarray, "side side 3"], judge: Judge
) -> Float32[np.ndarray, "side side 3"]:
    """A crop as a judge wants it: its colour order, its range.

    Raises:
        ValueError: If the crop has another side than it wants.
    """
    if crop.shape[0] != judge.side_px:
        raise ValueError(f"{judge.name} wants {judge.side_px} pixels, got {crop.shape = }")
    low, high = judge.value_range
    match judge.channels:
        case "BGR":
            crop = crop[..., ::-1]
        case "grey":
            crop = np.repeat(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    return (low + (high - low) / 255 * crop.astype(np.float32)).astype(np.float32)


def reorder(
    answers: Float[np.ndarray, "crops 7"], classes: Sequence[Emotion]
) -> Float[np.ndarray, "crops 7"]:
    """A judge's outputs in the order of :class:`~cdrl_cli.emotion.Emotion`."""
    return answers[:, [list(classes).index(emotion) for emotion in Emotion]]
