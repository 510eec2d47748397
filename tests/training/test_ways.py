from pathlib import Path

import numpy as np
import pytest

from cdrl_cli.data.index import Clip
from cdrl_cli.emotion import Emotion
from cdrl_cli.face.blendshapes import SHARES, channels
from cdrl_cli.limits import WAYS
from cdrl_cli.representation.evidence import NETS, Evidence
from cdrl_cli.training.evidence import Seen
from cdrl_cli.training.ways import LEAST_TAKES, find_ways

FROWN, NARROW, SMILE = (channels(one) for one in ("browDown", "eyeSquint", "mouthSmile"))


def take(
    person: str, emotion: Emotion, moves: dict[int, float], *, read_as: Emotion | None = None
) -> Seen:
    """What a person shows: a rest of .1 everywhere, and some channels beyond it."""
    clip = Clip(Path(f"{person}.mp4"), None, "toy", "permissive", person, emotion, True, None, "t")
    shown = np.full(52, 0.1)
    for channel, amount in moves.items():
        shown[channel] += amount
    judged = np.full((NETS, len(Emotion)), -3.0)
    judged[:, (read_as or emotion).class_index] = -0.1
    return Seen(clip, Evidence(shown, np.zeros((478, 3)), judged), shown, is_still=False)


def people(count: int, first: int, emotion: Emotion, channel: list[int], **how) -> list[Seen]:
    """As many people, each neutral and with these channels moved, no two alike."""
    seen = []
    for number in range(first, first + count):
        moves = dict.fromkeys(channel, 0.5 + 0.01 * number)
        seen.append(take(f"p{number}", Emotion.NEUTRAL, {}))
        seen.append(take(f"p{number}", emotion, {**moves, SMILE[0]: 0.05}, **how))
    return seen


def test_two_ways_of_one_emotion_are_found_the_more_usual_first():
    seen = people(12, 0, Emotion.ANGRY, NARROW) + people(20, 50, Emotion.ANGRY, FROWN)
    ways = find_ways(seen)[Emotion.ANGRY.class_index]
    found = ways[np.any(ways != 0, axis=1)]
    assert len(found) in (2, WAYS)  # the larger group may be told in two
    for way, channel in ((found[0], FROWN), (found[-1], NARROW)):
        assert set(np.argsort(-way)[:2]) == set(channel)
    assert 0.7 < np.linalg.norm(found[-1]) < 1.2
    assert not ways[:, SMILE].any()  # teeth pass for smiles


def test_few_takes_and_takes_that_do_not_read_as_they_are_called_say_nothing():
    few = people(LEAST_TAKES - 1, 0, Emotion.SAD, FROWN)
    misread = people(20, 50, Emotion.FEAR, NARROW, read_as=Emotion.SURPRISED)
    unknown = [one for one in people(20, 90, Emotion.HAPPY, SMILE) if one.clip.emotion != "neutral"]
    assert not find_ways([*few, *misread, *unknown]).any()


def test_shipped_ways_move_what_an_emotion_may_move(models):
    known = {emotion: models.evidence.ways_of(emotion) for emotion in Emotion}
    assert len(known[Emotion.NEUTRAL]) == 0
    assert len(known[Emotion.HAPPY]) == WAYS
    for ways in known.values():
        for way in ways:
            assert 0.4 < np.linalg.norm(way) < 1.6
            assert not way[SHARES == 0].any()
    first, second, *_ = known[Emotion.HAPPY]
    cosine = first @ second / np.linalg.norm(first) / np.linalg.norm(second)
    assert cosine == pytest.approx(0.95, abs=0.05)
