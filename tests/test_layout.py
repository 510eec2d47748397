"""Where things live: a module's name is found once, and no file is too long to be read at once."""

import ast
import re
import sys
import tomllib
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


CALLED = {
    "PIL": "pillow",
    "c2pa": "c2pa-python",
    "cv2": "opencv-python",
    "open_clip": "open-clip-torch",
    "pydantic_core": "pydantic",
    "sklearn": "scikit-learn",
}
"""Packages of Python that are called otherwise than the distribution that brings them."""


def imported(path):
    """Names of the packages, not of Python itself nor ours, that a file imports."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module]
        tops = {name.partition(".")[0] for name in names}
        yield from tops - sys.stdlib_module_names - {"cdrl_cli", "_typeshed"}


def names(requirements):
    """Of distributions, from lines such as ``open_clip_torch>=2.24``."""
    return {re.match(r"[\w-]+", line)[0].lower().replace("_", "-") for line in requirements}


def test_what_is_imported_is_declared_and_what_is_declared_for_all_is_imported():
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text("utf-8"))["project"]
    found = {
        CALLED.get(name, name.replace("_", "-")) for one in modules() for name in imported(one)
    }
    base, extras = project["dependencies"], project["optional-dependencies"].values()
    assert found <= names(base).union(*map(names, extras))
    assert names(base) <= found
