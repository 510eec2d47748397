import pytest

from cdrl_cli.errors import UsageError
from cdrl_cli.presets import PRESETS, find_preset


def test_ours_differ_in_strength():
    strengths = [PRESETS[name].intensity for name in ("subtle", "natural", "strong")]
    assert strengths == sorted(set(strengths))
    assert find_preset("natural", {}).intensity == 1.0


def test_a_users_own_counts_before_ours():
    own = {"subtle": {"intensity": 1, "adjust": "smile=.1", "neutralise": True, "emotion": "joy"}}
    found = find_preset("subtle", own)
    assert (found.intensity, str(found.adjust)) == (1.0, "smile=+0.1")
    assert (found.neutralise, found.emotion) == (True, "joy")


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"strength": 1}, "unknown key strength"),
        ({"intensity": "1"}, "intensity cannot be '1'"),
        ({"intensity": True}, "intensity cannot be True"),
        ({"intensity": 3}, "intensity 3 is not within 0..2"),
        ({"adjust": "grin=1"}, "no control 'grin'"),
        (3, "is no table"),
    ],
)
def test_what_is_wrong_with_one_is_named(table, told):
    with pytest.raises(UsageError, match=told):
        find_preset("mine", {"mine": table})


def test_an_unknown_one_lists_those_that_there_are():
    with pytest.raises(UsageError, match="no preset 'loud'") as caught:
        find_preset("loud", {"mine": {}})
    assert caught.value.hint == "known: subtle, natural, strong, mine"
