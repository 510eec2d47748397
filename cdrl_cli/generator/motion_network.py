"""The learned motion editor: which expression, from the source's speech and an emotion embedding.

NED's manipulator is the ancestor (Papantoniou et al. 2022, section 3.2): a source's sequence in,
the same speech with another emotion out. Differs: it predicts a change instead of the whole
expression, so that intensity 0 is the source itself, and it is convolutional and small enough to
run for every frame on a CPU.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from cdrl_cli.array_types import Float, Int64
from cdrl_cli.face.blendshapes import (
    BLINKS,
    CEILINGS,
    COEFFICIENTS,
    COUNTERPARTS,
    LIDS_LEFT,
    LIDS_RIGHT,
    RHYTHM,
    SHARES,
)
from cdrl_cli.generator.motion import (
    BLINK_GAIN,
    BLINK_NOISE,
    CONTEXT_AFTER,
    MAX_SHIFT,
    OWN_FRAMES,
    RATE_HZ,
)

KERNEL = 6
"""Taps of both temporal layers, frames."""

PACE = 0.6
"""How far each channel of a reference's change may depart from its mean over time, as a share."""

DILATION = 4
"""Frames between two taps of the second temporal layer."""

CONTEXT_BEFORE = (KERNEL - 1) * (1 + DILATION) - CONTEXT_AFTER
"""Frames before its own that both temporal layers see together, .88 s."""

SLOW_FRAMES = RATE_HZ
"""Frames up to its own whose mean is taken off: rhythm is what departs from it."""


@dataclass(frozen=True, slots=True)
class MotionConfig:
    """Sizes of the editor."""

    embedding: int = 64
    """Length of a CERL embedding."""
    width: int = 64
    """Channels of the temporal layers."""
    hidden: int = 96
    """Channels of the conditioned layers."""


class MotionEditor(nn.Module):
    r"""Source coefficients and the emotion asked for to target coefficients.

    .. math:: b' = b + r \tanh\bigl(a\, \beta(c) / r\bigr), \qquad
              c = (1 - \rho)\, w \odot f(e, h) + \rho\, p(e, h) \odot \Delta
                  - w \odot g(e) \odot o

    A name asks (:math:`\rho = 0`) for the way of acting :math:`f` that the editor has learned for
    its embedding :math:`e`. A reference (:math:`\rho = 1`) asks for its own change :math:`\Delta`,
    which the editor only paces: :math:`p` in 1 ± :data:`PACE` lets it grow and fade with speech.
    The other letters: intensity :math:`a`; channel shares :math:`w` (:data:`SHARES`); :math:`o`
    the source's own emotion, what its last two seconds show beyond its rest; :math:`h`
    the rhythm of its speech, gaze and blinks, from a second of them (temporal convolutions);
    :math:`f` layers conditioned on the embedding :math:`e` (FiLM, Perez et al. 2018); :math:`g`
    in 0..1, both alike for the two sides of the face (eight actors' crooked smiles are theirs);
    :math:`\beta` the bound that keeps the change's length under :data:`MAX_SHIFT`; and
    :math:`r` the room that a channel has before 0 or its ceiling (:data:`CEILINGS`).

    Every channel moves one way as the intensity grows. A frame's answer needs 1.9 s before it and
    .12 s after it at most; fewer at the ends of a clip.
    """

    neutral_high: Tensor
    scale: Tensor
    shares: Tensor
    lids: Tensor
    """1 at the channels that widen or narrow the left eye, and the right one."""

    def __init__(self, config: MotionConfig | None = None) -> None:
        super().__init__()
        self.config = config or MotionConfig()
        width, hidden = self.config.width, self.config.hidden
        self.register_buffer("neutral_high", torch.zeros(COEFFICIENTS))
        self.register_buffer("scale", torch.ones(len(RHYTHM)))
        self.register_buffer("shares", torch.from_numpy(SHARES).float(), persistent=False)
        lids = torch.zeros(2, COEFFICIENTS)
        lids[0, LIDS_LEFT] = lids[1, LIDS_RIGHT] = 1
        self.register_buffer("lids", lids, persistent=False)
        self.near = nn.Conv1d(len(RHYTHM), width, KERNEL)
        self.far = nn.Conv1d(width, width, KERNEL, dilation=DILATION)
        self.read = nn.Linear(self.config.embedding, hidden)
        self.film = nn.Linear(hidden, 4 * hidden)
        self.mix = nn.Linear(width, hidden)
        self.mix_again = nn.Linear(hidden, hidden)
        self.feel = nn.Linear(hidden, COEFFICIENTS)
        self.let_go = nn.Linear(hidden, COEFFICIENTS)
        self.pace = nn.Linear(hidden, COEFFICIENTS)
        nn.init.zeros_(self.pace.weight)
        nn.init.zeros_(self.pace.bias)

    def forward(
        self,
        source: Float[Tensor, "batch frames 52"],
        embedding: Float[Tensor, "batch dimension"] | Float[Tensor, "batch frames dimension"],
        intensity: Float[Tensor, " batch"],
        observed: "Observed | None" = None,
    ) -> Float[Tensor, "batch frames 52"]:
        """Edit sequences.

        Args:
            source: Coefficients 0..1, 25 frames a second.
            embedding: Unit vectors of CERL: one for the whole sequence, or one a frame.
            intensity: 0 returns the source, bit for bit; 1 is as asked for; at most 2.
            observed: Changes that references show; None where names ask.

        Returns:
            Coefficients, 0 to :data:`CEILINGS`; the change is no longer than
            ``MAX_SHIFT * max(1, intensity)``.
        """
        change = self.change(source, embedding, observed)
        return apply_change(source, intensity[:, None, None] * change)

    def change(
        self,
        source: Float[Tensor, "batch frames 52"],
        embedding: Float[Tensor, "batch dimension"] | Float[Tensor, "batch frames dimension"],
        observed: "Observed | None" = None,
    ) -> Float[Tensor, "batch frames 52"]:
        """The change at intensity 1, bounded, before it meets the limits of each coefficient."""
        usual = _mean_before(source, OWN_FRAMES)
        if embedding.ndim == 2:  # noqa: PLR2004 - one for all frames
            embedding = embedding[:, None]
        slow = _mean_before(source[..., RHYTHM], SLOW_FRAMES)
        moving = ((source[..., RHYTHM] - slow) / self.scale).transpose(1, 2)
        moving = functional.pad(moving, (CONTEXT_BEFORE, CONTEXT_AFTER), mode="replicate")
        rhythm = self._rhythm(moving).transpose(1, 2)
        if observed is None:
            observed = Observed.nothing(self.neutral_high)
        return self._change(source, usual, rhythm, embedding, observed)

    def _rhythm(
        self, moving: Float[Tensor, "batch channels padded"]
    ) -> Float[Tensor, "batch width frames"]:
        """What speech, gaze and blinks do around each frame, from their departure from the mean."""
        return functional.silu(self.far(functional.silu(self.near(moving))))

    def _change(
        self,
        expression: Float[Tensor, "*frames 52"],
        usual: Float[Tensor, "*frames 52"],
        rhythm: Float[Tensor, "*frames width"],
        embedding: Float[Tensor, "*embeddings dimension"],
        observed: "Observed",
        *,
        amount: Float[Tensor, "*amounts"] | float = 1.0,
    ) -> Float[Tensor, "*frames 52"]:
        """The bounded change of frames.

        Args:
            expression: Coefficients of each frame.
            usual: Their mean over :data:`OWN_FRAMES` up to each.
            rhythm: See :meth:`_rhythm`.
            embedding: Unit vectors of CERL.
            observed: Changes that references show, and the source's own rest.
            amount: How far it is an emotion rather than none, 0..1, times how much further a name
                acts it.
        """
        heard = functional.silu(self.read(embedding))
        gain, shift, gain_again, shift_again = self.film(heard).chunk(4, dim=-1)
        mixed = functional.silu((1 + gain) * self.mix(rhythm) + shift)
        mixed = functional.silu((1 + gain_again) * self.mix_again(mixed) + shift_again)
        felt = amount * torch.tanh(_both_sides(self.feel(mixed)))
        let_go = torch.sigmoid(_both_sides(self.let_go(heard)))
        own = torch.relu(usual - observed.rest)
        pace = 1 + PACE * torch.tanh(_both_sides(self.pace(mixed)))
        named = (1 - observed.share) * self.shares * felt
        change = named + observed.share * pace * observed.change - self.shares * let_go * own
        # A closed eye has no opening to widen: blinks stay whole.
        blinks = expression[..., BLINKS]
        added = BLINK_GAIN * (blinks - usual[..., BLINKS] - BLINK_NOISE)
        eyes = (1 - blinks) * (1 - added.clamp(0, 1))
        left, right = (1 - (1 - eyes[..., side, None]) * self.lids[side] for side in (0, 1))
        return _bound(change * left * right)


@dataclass(frozen=True, slots=True)
class Observed:
    """What references show, and what the source looks like at rest."""

    change: Float[Tensor, "*some 52"]
    """Coefficients of the reference minus those of its person's neutral face, by channel share."""
    share: Float[Tensor, "*some 1"]
    """1 where the change is asked for, 0 where the embedding alone names the emotion."""
    rest: Float[Tensor, "*resting 52"]
    """Coefficients of the source above which its own emotion begins."""

    @classmethod
    def nothing(cls, rest: Float[Tensor, " 52"]) -> "Observed":
        """Where names ask; with what people look like at rest."""
        return cls(torch.zeros_like(rest), torch.zeros_like(rest[:1]), rest)


class FrameEditor(nn.Module):
    """A motion editor for one frame, as an edit asks it: what is exported.

    The same layers with the same weights as in training. Means and context are taken from a window
    of the source by index, so that a graph of fixed shape serves windows of any length.

    Args:
        editor: What was learned.
    """

    def __init__(self, editor: MotionEditor) -> None:
        super().__init__()
        self.editor = editor

    def forward(  # noqa: PLR0917 - the exporter names inputs by their order
        self,
        expression: Float[Tensor, "1 52"],
        window: Float[Tensor, "frames 52"],
        now: Int64[Tensor, ""],
        embedding: Float[Tensor, "1 dimension"],
        difference: Float[Tensor, "1 52"],
        share: Float[Tensor, "1 1"],
        rest: Float[Tensor, "1 52"],
        amount: Float[Tensor, ""],
        intensity: Float[Tensor, ""],
    ) -> Float[Tensor, "1 52"]:
        """The coefficients that the frame should show, 0 to :data:`CEILINGS`.

        Args:
            expression: Of the frame.
            window: Of the frames around it, at :data:`~cdrl_cli.generator.motion.RATE_HZ`.
            now: The frame's place in the window.
            embedding: Unit vector of CERL.
            difference: What a reference shows; 0 where a name asks.
            share: 1 where a reference asks, 0 where a name does.
            rest: The source's coefficients above which its own emotion begins.
            amount: How far it is an emotion rather than none, 0..1, times how much further a name
                acts it.
            intensity: 0..2.
        """
        editor = self.editor
        index = torch.arange(window.shape[0])
        usual = _mean_up_to(now[None], OWN_FRAMES, index) @ window
        near = now + torch.arange(-CONTEXT_BEFORE, CONTEXT_AFTER + 1)
        near = near.clamp(min=0).minimum(index[-1])
        heard = window[:, RHYTHM]
        moving = (heard[near] - _mean_up_to(near, SLOW_FRAMES, index) @ heard) / editor.scale
        rhythm = editor._rhythm(moving.T[None])[..., 0]
        observed = Observed(difference, share, rest)
        change = editor._change(expression, usual, rhythm, embedding, observed, amount=amount)
        return apply_change(expression, intensity * change)


def apply_change(
    source: Float[Tensor, "*frames 52"], change: Float[Tensor, "*frames 52"]
) -> Float[Tensor, "*frames 52"]:
    """Add a change, softly stopped at 0 and the ceilings: a slope everywhere, no step beyond."""
    ceilings = torch.from_numpy(CEILINGS).to(source)
    room = torch.where(change > 0, ceilings - source, source).clamp(min=1e-6)
    return (source + room * torch.tanh(change / room)).clamp(min=0).minimum(ceilings)


def _both_sides(values: Float[Tensor, "*some 52"]) -> Float[Tensor, "*some 52"]:
    return (values + values[..., COUNTERPARTS]) / 2


def _bound(change: Float[Tensor, "*frames 52"]) -> Float[Tensor, "*frames 52"]:
    length = (change.square().sum(dim=-1, keepdim=True) + 1e-12).sqrt()
    return change * (MAX_SHIFT * torch.tanh(length / MAX_SHIFT) / length)


def _mean_before(
    values: Float[Tensor, "batch frames channels"], count: int
) -> Float[Tensor, "batch frames channels"]:
    """The mean over so many frames up to each, over fewer where there are no more."""
    padded = functional.pad(values.transpose(1, 2), (count - 1, 0))
    summed = functional.avg_pool1d(padded, count, stride=1).transpose(1, 2) * count
    there = torch.arange(1, values.shape[1] + 1, device=values.device).clamp(max=count)
    return summed / there[:, None]


def _mean_up_to(
    places: Int64[Tensor, " places"], count: int, index: Int64[Tensor, " frames"]
) -> Float[Tensor, "places frames"]:
    """Weights of the mean over so many frames up to each place, over fewer at the beginning."""
    inside = (index <= places[:, None]) & (index > places[:, None] - count)
    weights = inside.float()
    return weights / weights.sum(dim=1, keepdim=True)
