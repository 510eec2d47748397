"""Where things live: a module's name is found once, and no file is too long to be read at once."""

from collections import defaultdict
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "cdrl_cli"
LONGEST = 400
"""Lines of a file of code."""

TWO_SIDES = {
    # What runs, the recipe that it is learned by, and the proof of it.
    "appearance": {"representation", "training"},
    "ccrl": {"representation", "training", "evaluation"},
    "cerl": {"representation", "training", "evaluation"},
    "coefficients": {"face", "training"},
    "evidence": {"representation", "training"},
    "motion": {"generator", "training"},
    "skin": {"generator", "training"},
    # The labels, and the networks that teach them; who a face is, and the network that holds it.
    "emotion": {"cdrl_cli", "teachers"},
    "identity": {"face", "teachers"},
}
"""Names that are found in several folders, which say what side of the thing a module is."""


def modules():
    return [path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"]


def test_a_module_has_a_name_of_its_own():
    found = defaultdict(set)
    for path in modules():
        if path.parent.name != "cli":  # a file a command, by the command's name
            found[path.stem].add(path.parent.name)
    repeated = {name: folders for name, folders in found.items() if len(folders) > 1}
    assert repeated == {name: folders for name, folders in TWO_SIDES.items() if name in found}


def test_no_file_is_longer_than_one_sitting():
    long = {
        str(path.relative_to(PACKAGE))
        for path in modules()
        if len(path.read_text("utf-8").splitlines()) > LONGEST
    }
    assert not long
