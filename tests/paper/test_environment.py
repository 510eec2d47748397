"""The environment to train in: the releases that go together, and nothing that warns."""

import re
from importlib.metadata import version
from pathlib import Path

import pytest

PINS = (Path(__file__).parents[2] / "constraints-train.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["torch", "torchaudio", "torchvision", "open-clip-torch"])
def test_what_is_installed_is_what_is_pinned(name):
    pinned = re.search(rf"^{name}==(.+)$", PINS, re.MULTILINE)
    assert pinned is not None
    assert version(name).split("+")[0] == pinned[1]
