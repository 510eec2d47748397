r"""What to ask of the warp so that this face shows the change that was asked for.

Two faces answer the same movement differently: where brows are high at rest, lowering them is read
as less raised, not as frowning; a small mouth smiles less for the same pull. So the landmarker's
last network is asked how it would read this face, moved. Its answer is linear in the movement
nearly enough: with :math:`A` the change that each channel's movement makes to the reading,

.. math:: q = \arg\min_q \lVert W (A q - \Delta) \rVert^2
          + \lVert \sqrt{\lambda} \odot (q - w \odot \Delta) \rVert^2

is the request that comes nearest to the change :math:`\Delta` asked for, and is not far from what
would be asked of an average face.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from cdrl_cli.array_types import Float
from cdrl_cli.face.alignment import FaceCrop
from cdrl_cli.face.blendshapes import COEFFICIENTS, SHARES
from cdrl_cli.face.coefficients import CoefficientReader
from cdrl_cli.generator.condition import Condition
from cdrl_cli.generator.lips import keep_aperture
from cdrl_cli.generator.renderer import ExpressionBasis
from cdrl_cli.generator.unseen_movements import UNSEEN_CHANNELS
from cdrl_cli.processors import usable_cores

EDITED = np.array(sorted({*np.flatnonzero(SHARES > 0).tolist()} - {*UNSEEN_CHANNELS}))
"""Indices of the channels that an edit may move and the landmarker's reading answers."""

STAY_CLOSE = 0.1
r"""Weight :math:`\lambda` of staying close to what would be asked of an average face."""

STAY_CLOSE_SPEECH = 10.0
"""The same for channels that speech and emotion share: correcting them would part lips that
speech keeps shut."""

SPEECH_WEIGHT = 0.3
"""Weight of leaving the channels of speech, gaze and blinks as they are, against 1 for the change
that is asked for."""

LONGEST_CORRECTION = 0.7
"""How far landmarks may be moved by what a request differs from that of an average face, against
how far that request moves them itself (root mean square)."""

STRENGTHENING = (1.0, 1.25)
"""Bounds of the factor by which a request is lengthened where the face answers it too weakly."""

ROUNDS = 3
"""How often the answer is measured: around the average request, then around each fit."""

STEP = 0.1
"""Length of the movements whose answer is measured, coefficients."""

READ_AT_ONCE = 6
"""Most faces that a thread reads at once: of more the memory grows, and the time for each stays."""


Answer = Callable[[Float[np.ndarray, "requests channels"]], Float[np.ndarray, "requests 52"]]
"""How the landmarker would read one face under requests, a row each."""


@dataclass(frozen=True, slots=True)
class FittedChange:
    """A change and the request that makes one face show it."""

    change: Float[np.ndarray, " 52"]
    """What was asked for, as the landmarker reads it."""
    correction: Float[np.ndarray, " 52"]
    """What is added to the change, at full strength, before the warp is asked for it."""

    def at(self, condition: Condition) -> Float[np.ndarray, " 52"]:
        """The correction of a change that is a part of this one, as in a followed reference."""
        whole = float(self.change @ self.change)
        share = float(condition.difference @ self.change) / whole if whole else 0.0
        return float(np.clip(share, 0.0, 1.0)) * self.correction


class ChangeFitter:
    """Fits changes to faces.

    Args:
        basis: What one unit of each coefficient does to the landmarks.
        read: How the landmarker reads landmarks.
    """

    def __init__(self, basis: ExpressionBasis, read: CoefficientReader) -> None:
        self._basis = basis
        self._read = read

    def fit(
        self,
        crop: FaceCrop,
        change: Float[np.ndarray, " 52"],
        *,
        own: Float[np.ndarray, " 52"] | None = None,
    ) -> FittedChange:
        """The request that makes a face show a change.

        Some hundred readings of one network, a tenth of a second: once for a face.

        Args:
            crop: The face, at rest or speaking.
            change: Coefficients to add, times :data:`~cdrl_cli.face.blendshapes.SHARES`.
            own: The face's own emotion, which an edit takes away: coefficients above its rest. The
                change is fitted to the face without it; a face that laughs already would answer a
                smile with nothing, however much was asked for.
        """
        usual = change[EDITED]
        if not usual.any():
            return FittedChange(change, np.zeros(COEFFICIENTS))
        moves = np.stack(
            [crop.crop_from_head.apply_direction(self._basis.displacement[c]) for c in EDITED]
        )
        calm = np.zeros(len(EDITED)) if own is None else -(SHARES * own)[EDITED]
        with ThreadPoolExecutor(usable_cores()) as pool:
            return _solve(partial(self._answer, pool, crop, moves), change, calm, moves)

    def _answer(
        self,
        pool: ThreadPoolExecutor,
        crop: FaceCrop,
        moves: Float[np.ndarray, "channels 478 3"],
        requests: Float[np.ndarray, "requests channels"],
    ) -> Float[np.ndarray, "requests 52"]:
        """How the landmarker would read the face under each request, lips kept."""
        seen = crop.landmarks_xyz
        moved = [seen + keep_aperture(seen, np.einsum("c,cij->ij", one, moves)) for one in requests]
        parts = np.array_split(np.stack(moved), -(-len(moved) // READ_AT_ONCE))
        return np.concatenate(list(pool.map(self._read, parts)))


def _solve(
    answer: Answer,
    change: Float[np.ndarray, " 52"],
    calm: Float[np.ndarray, " channels"],
    moves: Float[np.ndarray, "channels 478 3"],
) -> FittedChange:
    """By Gauss and Newton, around what was asked of the face before.

    Args:
        answer: How the landmarker would read the face under requests.
        change: Coefficients to add.
        calm: Takes away the face's own emotion.
        moves: Of the landmarks, by a unit of each channel that is asked for.
    """
    usual = change[EDITED]
    weights = np.where(SHARES > 0, 1.0, SPEECH_WEIGHT)
    identity = np.eye(len(EDITED))
    close = np.where(SHARES[EDITED] < 1, STAY_CLOSE_SPEECH, STAY_CLOSE)
    (rest,) = answer(calm[None])
    # What a channel has no room for is not asked for: a laughing mouth would be torn.
    asked = (rest + change).clip(0.0, 1.0) - rest
    flat = moves.reshape(len(EDITED), -1)
    request = around = usual
    for _ in range(ROUNDS):
        middle, *moved = answer(calm + np.vstack([around, around + STEP * identity]))
        slope = (np.stack(moved) - middle) / STEP * weights
        missing = weights * (asked - (middle - rest)) + slope.T @ around
        request = np.linalg.solve(slope @ slope.T + np.diag(close), slope @ missing + close * usual)
        request = around = usual + _hold(request - usual, usual, flat)
    (shown,) = answer((calm + request)[None]) - rest
    length = max(float(np.linalg.norm(shown[EDITED])), 1e-6)
    request = request * np.clip(np.linalg.norm(asked[EDITED]) / length, *STRENGTHENING)
    correction = np.zeros(COEFFICIENTS)
    correction[EDITED] = request - usual
    return FittedChange(change, correction)


def _hold(
    correction: Float[np.ndarray, " channels"],
    usual: Float[np.ndarray, " channels"],
    moves: Float[np.ndarray, "channels coordinates"],
) -> Float[np.ndarray, " channels"]:
    """A correction, shortened until it moves landmarks no further than it may."""
    longest = LONGEST_CORRECTION * float(np.linalg.norm(usual @ moves))
    length = float(np.linalg.norm(correction @ moves))
    return correction if length <= longest else correction * (longest / length)
