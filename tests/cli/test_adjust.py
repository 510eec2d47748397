import json

import pytest

from cdrl_cli.cli.app import run
from cdrl_cli.generator.adjust import CONTROLS


@pytest.mark.parametrize("words", [[], ["--list"]])
def test_it_lists_every_control(capsys, words):
    assert run(["adjust", *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[: len(CONTROLS)]] == list(CONTROLS)


def test_as_json_it_is_one_object(capsys):
    assert run(["adjust", "--json"]) == 0
    controls = json.loads(capsys.readouterr().out)["controls"]
    assert [one["name"] for one in controls] == list(CONTROLS)
    assert all(one["meaning"] for one in controls)


@pytest.mark.parametrize(
    "words", [["talk.mp4"], ["-o", "sheet.png"], ["--amount", "2"], ["--amount", ".5"]]
)
def test_half_a_request_is_refused(capsys, words):
    assert run(["adjust", *words]) == 2
    assert capsys.readouterr().err.startswith("error: ")
