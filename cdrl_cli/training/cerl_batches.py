"""Batches of CERL: windows of emotion-augmented sets, and phrases for them."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from cdrl_cli.array_types import Float, Float32, Int
from cdrl_cli.data.performances import Neutrals, SetSampler
from cdrl_cli.emotion import Emotion
from cdrl_cli.training.recipes import CerlConfig
from cdrl_cli.training.wording import Wording

OWN_NEUTRAL_SHARE = 0.7
"""Share of the windows measured from the person's own neutral face; the others are measured from
the neutral prior, because a reference rarely brings a neutral clip."""

STRENGTH_SPREAD = 0.3
"""Largest share by which augmentation makes a window's expression stronger or weaker."""

NOISE = 0.05
"""Standard deviation of the noise that augmentation adds to a window's coefficients."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows of several sets, set after set."""

    differences: Float[Tensor, "batch frames features"]
    labels: Int[Tensor, " batch"]
    phrases: Int[Tensor, " batch"]
    """Index of a phrase that fits the window, by emotion and strength."""
    set_size: int

    def to(self, device: torch.device) -> "Batch":
        """The same on a device."""
        return replace(
            self,
            differences=self.differences.to(device),
            labels=self.labels.to(device),
            phrases=self.phrases.to(device),
        )


def draw_batch(
    sampler: SetSampler,
    neutrals: Neutrals,
    wording: Wording,
    config: CerlConfig,
    generator: torch.Generator,
) -> Batch:
    """Windows of some sets, in other strengths and with noise, and phrases that fit them.

    Args:
        sampler: Draws clips.
        neutrals: What expressions are measured from.
        wording: Phrases.
        config: The recipe.
        generator: Randomness.
    """
    sampling = config.sampling
    sets = [sampler.draw_set() for _ in range(sampling.sets)]
    drawn = [one for members in sets for one in members]
    if not sampling.emotion_augmented:
        drawn = sampler.draw_any(len(drawn))
    by_emotion = _phrases_by_emotion(wording)
    windows, phrases = [], []
    for one in drawn:
        choices = by_emotion[one.label]
        phrase = choices[int(torch.randint(len(choices), (1,), generator=generator))]
        own, spread = torch.rand(2, generator=generator).tolist()
        from_own = sampling.differences and own < OWN_NEUTRAL_SHARE
        neutral = neutrals.of(one.clip) if from_own else neutrals.prior
        strength = wording.phrases[phrase].strength * (1 + STRENGTH_SPREAD * (2 * spread - 1))
        window = _cut(one.expression, sampling.frames, generator) - neutral
        windows.append(window * (strength if one.label != Emotion.NEUTRAL.class_index else 1.0))
        phrases.append(phrase)
    differences = torch.from_numpy(np.stack(windows)).float()
    # Noise that holds for a whole window: what remains of the person after the subtraction.
    noise = torch.randn(len(drawn), 1, differences.shape[2], generator=generator)
    return Batch(
        differences=differences + NOISE * noise,
        labels=torch.tensor([one.label for one in drawn]),
        phrases=torch.tensor(phrases),
        set_size=len(sets[0]),
    )


def _phrases_by_emotion(wording: Wording) -> list[list[int]]:
    return [
        [index for index, phrase in enumerate(wording.phrases) if phrase.emotion is emotion]
        for emotion in Emotion
    ]


def _cut(
    expression: Float32[np.ndarray, "all features"], frames: int, generator: torch.Generator
) -> Float32[np.ndarray, "frames features"]:
    """So many successive frames from anywhere; a shorter clip repeats its own, in order."""
    count = len(expression)
    if count <= frames:
        return expression[np.linspace(0, count - 1, frames).round().astype(int)]
    start = int(torch.randint(count - frames + 1, (1,), generator=generator))
    return expression[start : start + frames]
