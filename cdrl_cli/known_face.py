"""What is found out about a face when it is first edited: how it rests, how it answers a change."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cdrl_cli.array_types import Float
from cdrl_cli.checkpoints.models import Models
from cdrl_cli.face.alignment import FaceCrop
from cdrl_cli.face.blendshapes import SHARES
from cdrl_cli.face.stream import FaceStream
from cdrl_cli.face.tracking import TrackedFace
from cdrl_cli.generator.condition import Condition
from cdrl_cli.generator.fitting import FittedChange
from cdrl_cli.generator.motion import Window
from cdrl_cli.representation.evidence import Evidence


@dataclass(frozen=True, slots=True)
class KnownFace:
    """What is found out about a face, to show a reference's change on it, or to calm it first."""

    rest: Float[np.ndarray, " 52"] | None = None
    """Coefficients above which its own emotion begins; None leaves what is usual."""
    calm: Float[np.ndarray, " 52"] | None = None
    """Coefficients below which it shows something too."""
    fitted: FittedChange | None = None
    """How this face is made to show the change; None where a name asks."""

    def state(self) -> dict[str, Any]:
        """It, in what JSON can hold."""
        fitted = self.fitted and (self.fitted.change.tolist(), self.fitted.correction.tolist())
        rest = None if self.rest is None else self.rest.tolist()
        calm = None if self.calm is None else self.calm.tolist()
        return {"rest": rest, "calm": calm, "fitted": fitted}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> "KnownFace":
        """From what :meth:`state` said."""
        rest, calm = (
            None if state[name] is None else np.array(state[name]) for name in ("rest", "calm")
        )
        fitted = state["fitted"] and FittedChange(*map(np.array, state["fitted"]))
        return cls(rest, calm, fitted or None)

    def own(self, window: Window) -> Float[np.ndarray, " 52"]:
        """The face's own emotion: what its last seconds show beyond how it rests."""
        assert self.rest is not None
        assert self.calm is not None
        usual = window.expressions.mean(axis=0)
        own: Float[np.ndarray, " 52"] = SHARES * (usual - np.clip(usual, self.calm, self.rest))
        return own


def meet_face(
    tracked: TrackedFace,
    crop: FaceCrop,
    condition: Condition | None,
    models: Models,
    stream: FaceStream,
) -> KnownFace:
    """Find out how a face rests and how it answers the change that is asked for."""
    shape = stream.locate(tracked.face).inverse().apply(tracked.face.landmarks_xyz.astype(float))
    usual = tracked.expressions.mean(axis=0, dtype=float)
    neutral = models.evidence.estimate_neutral(Evidence(usual, shape, None))
    spread = models.neutral.high - models.neutral.mean
    rest = neutral + spread
    if condition is None or not condition.observed:
        return KnownFace(rest, neutral - spread)
    own = np.maximum(tracked.face.expression - rest, 0.0)
    fitted = models.fitter.fit(crop, condition.difference, own=own)
    return KnownFace(rest, neutral - spread, fitted)
