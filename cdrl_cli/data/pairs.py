"""Which windows belong together: moments of two takes of one sentence, and batches of them."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from cdrl_cli.array_types import Float, Int
from cdrl_cli.data.takes import Take
from cdrl_cli.emotion import Emotion


@dataclass(frozen=True, slots=True)
class TakePair:
    """One person says one sentence neutrally and with an emotion."""

    neutral: Take
    emotional: Take
    moment: Int[np.ndarray, " frames"]
    """For each frame of the neutral take, the frame of the emotional one where the same is said."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows: a take and first frame each."""

    windows: list[tuple[Take, int]]
    counterparts: Int[np.ndarray, "pairs 2"]
    """Pairs of windows (positions in ``windows``) that say the same in two emotions."""

    @property
    def take_of(self) -> Int[np.ndarray, " windows"]:
        """For each window a number that only windows of the same take share."""
        return np.unique([id(take) for take, _ in self.windows], return_inverse=True)[1]


def pair_takes(takes: Sequence[Take]) -> list[TakePair]:
    """Each emotional take with the same person's neutral take of the sentence, aligned.

    "Emotion-aware" as in the paper (section 3.2): anchor neutral, positive emotional.
    """
    neutral: dict[tuple[str, str, str], Take] = {}
    emotional: dict[tuple[str, str, str], list[Take]] = defaultdict(list)
    for take in takes:
        clip = take.clip
        if clip.sentence is None or clip.emotion is None or not take.has_speech:
            continue
        key = (clip.dataset, clip.identity, clip.sentence)
        if clip.emotion is Emotion.NEUTRAL:
            neutral.setdefault(key, take)
        else:
            emotional[key].append(take)
    return [
        TakePair(neutral[key], other, align(neutral[key].speech, other.speech))
        for key, others in emotional.items()
        if key in neutral
        for other in others
    ]


def align(
    one: Float[np.ndarray, "frames dim"], other: Float[np.ndarray, "others dim"]
) -> Int[np.ndarray, " frames"]:
    """For each frame of one recording, the frame of another where the same is said.

    Dynamic time warping over the cosine distance of features, each centred over its recording:
    that takes out voice and microphone.

    Returns:
        Never decreasing; the middle one where several frames match.
    """
    path = warping_path(_distances(one, other))
    return np.array([int(np.median(path[path[:, 0] == frame, 1])) for frame in range(len(one))])


def warping_path(cost: Float[np.ndarray, "frames others"]) -> Int[np.ndarray, "steps 2"]:
    r"""The cheapest way from corner to corner by steps (1, 0), (0, 1) and (1, 1).

    .. math:: D_{ij} = c_{ij} + \min(D_{i-1,j-1}, D_{i-1,j}, D_{i,j-1})

    filled one anti-diagonal at a time, whose cells do not depend on each other.
    """
    rows, columns = cost.shape
    total = np.full((rows + 1, columns + 1), np.inf)
    total[0, 0] = 0
    for diagonal in range(rows + columns - 1):
        i = np.arange(max(0, diagonal - columns + 1), min(rows, diagonal + 1))
        j = diagonal - i
        before = np.minimum(np.minimum(total[i, j], total[i, j + 1]), total[i + 1, j])
        total[i + 1, j + 1] = cost[i, j] + before

    i, j = rows, columns
    path = [(i - 1, j - 1)]
    while (i, j) != (1, 1):
        steps = ((i - 1, j - 1), (i - 1, j), (i, j - 1))
        i, j = min(steps, key=lambda cell: total[cell])
        path.append((i - 1, j - 1))
    return np.array(path[::-1])


def draw_batch(
    takes: Sequence[Take],
    pairs: Sequence[TakePair],
    *,
    count: int,
    windows: int,
    frames: int,
    generator: torch.Generator,
) -> Batch:
    """Windows of several takes, several of each, so that knowing the person does not help.

    Args:
        takes: Drawn from, each alike; each has room for a window.
        pairs: An emotional take among them brings its neutral one along.
        count: Takes.
        windows: Of each take; spread over it, a random start in each equal part.
        frames: Of a window.
        generator: Randomness.
    """
    partner = {id(pair.emotional): pair for pair in pairs}
    chosen: list[tuple[Take, int]] = []
    counterparts: list[tuple[int, int]] = []
    taken = 0
    while taken < count:
        take = takes[_draw(len(takes), generator)]
        pair = partner.get(id(take))
        if pair is None:
            chosen += [(take, start) for start in _spread(take, windows, frames, generator)]
            taken += 1
            continue
        room = set(take.starts(frames).tolist())
        for start in _spread(pair.neutral, windows, frames, generator):
            chosen.append((pair.neutral, start))
            middle = pair.moment[min(start + frames // 2, len(pair.moment) - 1)]
            if (other := int(middle) - frames // 2) in room:
                counterparts.append((len(chosen) - 1, len(chosen)))
                chosen.append((take, other))
        taken += 2
    return Batch(chosen, np.array(counterparts, int).reshape(-1, 2))


def _distances(
    one: Float[np.ndarray, "frames dim"], other: Float[np.ndarray, "others dim"]
) -> Float[np.ndarray, "frames others"]:
    centred = [x - x.mean(axis=0) for x in (one, other)]
    unit = [x / (np.linalg.norm(x, axis=1, keepdims=True) + 1e-9) for x in centred]
    return 1 - unit[0] @ unit[1].T


def _spread(take: Take, windows: int, frames: int, generator: torch.Generator) -> list[int]:
    """Starts, one in each of so many equal parts of a take."""
    starts = take.starts(frames)
    parts = np.array_split(starts, min(windows, len(starts)))
    return [int(part[_draw(len(part), generator)]) for part in parts]


def _draw(below: int, generator: torch.Generator) -> int:
    return int(torch.randint(below, (), generator=generator))
