"""Edits that the generator learns from: which moments, what is asked of them, what changes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cdrl_cli.array_types import Bool, Float, Int, Shaped
from cdrl_cli.checkpoints.trained import EmotionModels
from cdrl_cli.data.faces import MOMENTS, FaceClip
from cdrl_cli.emotion import Emotion
from cdrl_cli.generator.motion_network import MotionEditor
from cdrl_cli.generator.ned_network import NedEditor

Moments = Sequence[tuple[FaceClip, int]]
"""Crops that are edited together, each a clip and the crop's number in it: moments of one clip, or
pictures of different people."""

CLIP_SHARE = 0.5
"""Share of the edits learned from that are asked for by a clip's embedding, where CERL reads a clip
of the emotion rightly; the others are asked for by the label's."""

_EMOTIONS = [emotion for emotion in Emotion if emotion is not Emotion.NEUTRAL]


@dataclass(frozen=True, slots=True)
class Request:
    """The edit that some moments are asked for."""

    emotion: Emotion
    embedding: Float[Tensor, " 64"]
    intensity: float
    asked: Float[Tensor, " 7"]
    """As the renderer is told, times the intensity."""


class RequestSampler:
    """Draws edits to ask for.

    Args:
        clips: Those that CERL reads as what they were meant to be serve as references.
        emotion: CERL.
    """

    def __init__(self, clips: Sequence[FaceClip], emotion: EmotionModels) -> None:
        self._emotion = emotion
        self._references = _clip_embeddings(clips, emotion)

    def draw(self, rng: np.random.Generator) -> Request:
        """One emotion, by a label or by a clip, at some intensity."""
        emotion = _EMOTIONS[int(rng.integers(len(_EMOTIONS)))]
        label = self._emotion.labels[emotion.class_index]
        read = self._references.get(emotion, [])
        from_clip = read and rng.random() < CLIP_SHARE
        embedding = read[int(rng.integers(len(read)))] if from_clip else label
        intensity = float(rng.uniform(0.7, 1.2))
        return Request(emotion, embedding, intensity, ask(self._emotion, embedding) * intensity)


@dataclass(frozen=True, slots=True)
class Edits:
    """Edits that are learned from together, each of :data:`MOMENTS` crops."""

    moments: Sequence[Moments]
    requests: Sequence[Request]

    def per_crop(self, values: Shaped[Tensor, "edits ..."]) -> Shaped[Tensor, "crops ..."]:
        """What holds for an edit, for each of its crops."""
        return values.repeat_interleave(MOMENTS, dim=0)

    @property
    def classes(self) -> Int[Tensor, " edits"]:
        """Class index of the emotion that each asks for."""
        return torch.tensor([one.emotion.class_index for one in self.requests])

    @property
    def embeddings(self) -> Float[Tensor, "edits 64"]:
        """What each asks for."""
        return torch.stack([one.embedding for one in self.requests])

    @property
    def asked(self) -> Float[Tensor, "edits 7"]:
        """As the renderer is told."""
        return torch.stack([one.asked for one in self.requests])

    @property
    def intensities(self) -> Float[Tensor, " edits"]:
        """Of each."""
        return torch.tensor([one.intensity for one in self.requests])

    @property
    def of_clips(self) -> Bool[Tensor, " edits"]:
        """Which are of one performance; the others are of stills of several people."""
        return torch.tensor([is_one_clip(one) for one in self.moments])


def change_expressions(
    edits: Edits, editor: MotionEditor | NedEditor, before: MotionEditor | NedEditor
) -> tuple[Float[Tensor, "crops 52"], Float[Tensor, "crops 52"], Float[Tensor, ""]]:
    """What the editor changes now, what it would have before, and how its change trembles.

    Args:
        edits: Moments and what is asked of them.
        editor: As it is now.
        before: As it was before fine-tuning.

    Returns:
        Change of each crop's coefficients by either, and the mean squared second difference over
        time of the first.
    """
    device = editor.scale.device
    sources: list[np.ndarray] = []
    rows: list[int] = []
    places: list[tuple[int, int]] = []
    for row, moments in enumerate(edits.moments):
        of_one = is_one_clip(moments)
        for clip, i in moments:
            if not of_one or not rows or rows[-1] != row:
                sources.append(clip.expression)
                rows.append(row)
            places.append((len(sources) - 1, int(clip.place[i])))
    longest = max(map(len, sources))
    # The editor repeats a clip's last frame beyond its end, so what is added changes nothing.
    padded = [np.pad(one, ((0, longest - len(one)), (0, 0)), "edge") for one in sources]
    source = torch.from_numpy(np.stack(padded)).to(device)
    embedding = edits.embeddings[rows].to(device)
    intensity = edits.intensities[rows].to(device)
    now, was = (one(source, embedding, intensity) - source for one in (editor, before))
    lengths = torch.tensor([len(one) for one in sources], device=device)
    inside = torch.arange(longest, device=device) < lengths[:, None]
    jolts = (now.diff(n=2, dim=1).square().sum(dim=2) * inside[:, 2:]).sum(dim=1) / lengths
    where = tuple(torch.tensor(places, device=device).T)
    return now[where], was[where], jolts.mean()


def ask(emotion: EmotionModels, embedding: Float[Tensor, " 64"]) -> Float[Tensor, " 7"]:
    """How an embedding is put to the renderer: the likelihood of each emotion, 0 for neutral."""
    likely = emotion.likelihoods(embedding).clone()
    likely[Emotion.NEUTRAL.class_index] = 0
    return likely


def is_one_clip(moments: Moments) -> bool:
    """Tell whether all are of the same clip."""
    return all(clip is moments[0][0] for clip, _ in moments)


def _clip_embeddings(
    clips: Sequence[FaceClip], emotion: EmotionModels
) -> dict[Emotion, list[Float[Tensor, " 64"]]]:
    """Of acted clips that CERL reads, as an edit does, as what they were meant to be."""
    found: dict[Emotion, list[Tensor]] = {}
    for one in clips:
        meant = one.clip.emotion
        if meant in (None, Emotion.NEUTRAL):
            continue
        embedding = emotion.embed(one.expression, faces=one.crops.image).clone()
        if int((emotion.labels @ embedding).argmax()) == meant.class_index:
            found.setdefault(meant, []).append(embedding)
    return found
