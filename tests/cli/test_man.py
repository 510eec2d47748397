import re

import pytest
from typer.main import get_command

from cdrl_cli.cli.app import app, run

MACROS = {"TH", "SH", "SS", "TP", "PP", "B", "nf", "fi"}


@pytest.fixture
def page(capsys):
    assert run(["man"]) == 0
    return capsys.readouterr().out


def test_every_option_of_every_command_is_in_the_manual_page(page):
    plain = page.replace(r"\-", "-")

    def check(command, path):
        assert f'.SS "{path}' in plain or path == "spfem"
        for parameter in command.params:
            for name in parameter.opts if parameter.param_type_name == "option" else ():
                assert re.search(rf"\\fB.*{re.escape(name)}\b", plain), f"{path} {name}"
        for name, child in getattr(command, "commands", {}).items():
            check(child, f"{path} {name}")

    check(get_command(app), "spfem")


def test_no_line_of_text_is_taken_for_a_macro(page):
    for line in page.splitlines():
        if line.startswith("."):
            assert line[1:].split(maxsplit=1)[0] in MACROS, line
        assert not line.startswith("'")


def test_types_and_usage_are_in_a_reader_s_words(page):
    assert '.SS "spfem edit [OPTIONS] SOURCE"' in page
    assert '.SS "spfem adjust [OPTIONS] [SOURCE]"' in page
    assert not re.search(r"<(int|float|list)\b", page)
