import json
import os
import re
import subprocess
import sys

import pytest

from cdrl_cli import errors
from cdrl_cli.cli.app import run

REQUIRED = ["edit", "talk.mp4", "-e", "sad", "-o", "out.mp4"]

SPFEM = [sys.executable, "-m", "cdrl_cli"]

HEAVY = ("av", "cv2", "insightface", "numpy", "onnxruntime", "torch")

EXIT_CODES = {
    errors.SpfemError: 1,
    errors.UsageError: 2,
    errors.NoFaceError: 3,
    errors.WeightsError: 4,
    errors.UnreadableInputError: 5,
    errors.PolicyError: 6,
    errors.BatchError: 7,
    errors.DeviceError: 8,
    errors.OutputError: 1,
    errors.MemoryExhausted: 1,
}


@pytest.mark.parametrize(("error", "code"), EXIT_CODES.items())
def test_an_error_is_one_line_a_hint_and_its_exit_code(edit_fails, capsys, error, code):
    edit_fails(error("what [went] wrong", hint="what to do"))
    assert run(REQUIRED) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "error: what [went] wrong\nhint: what to do\n"


def test_without_a_hint_the_error_stands_alone(edit_fails, capsys):
    edit_fails(errors.NoFaceError("no face"))
    assert run(REQUIRED) == 3
    assert capsys.readouterr().err == "error: no face\n"


def test_a_long_error_stays_on_one_line(edit_fails, capsys):
    edit_fails(errors.OutputError("a very long name " * 30))
    run(REQUIRED)
    assert capsys.readouterr().err.count("\n") == 1


def test_every_child_of_the_tree_has_its_row():
    children = set(errors.SpfemError.__subclasses__())
    assert children - set(EXIT_CODES) == {errors.Interrupted}


def test_json_puts_the_error_on_stdout_too(edit_fails, capsys):
    edit_fails(errors.WeightsError("broken.onnx", hint="reinstall"))
    assert run([*REQUIRED, "--json"]) == 4
    out, err = capsys.readouterr()
    assert json.loads(out) == {
        "error": {"code": "weights", "message": "broken.onnx", "hint": "reinstall"}
    }
    assert err == "error: broken.onnx\nhint: reinstall\n"


def test_json_covers_usage_errors_of_the_parser(capsys):
    assert run(["edit", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "usage"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), errors.Interrupted("stopped")])
def test_ctrl_c_is_quiet_and_130(edit_fails, capsys, error):
    edit_fails(error)
    assert run(REQUIRED) == 130
    assert capsys.readouterr() == ("", "")


def test_ctrl_c_is_an_error_for_a_machine(edit_fails, capsys):
    edit_fails(KeyboardInterrupt())
    assert run([*REQUIRED, "--json"]) == 130
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "interrupted"


def test_a_bug_keeps_its_traceback_and_is_json_nevertheless(edit_fails, capsys):
    edit_fails(ZeroDivisionError("no frames"))
    with pytest.raises(ZeroDivisionError):
        run([*REQUIRED, "--json"])
    assert json.loads(capsys.readouterr().out)["error"] == {
        "code": "bug",
        "message": "ZeroDivisionError: no frames",
        "hint": None,
    }


@pytest.mark.parametrize("words", [[], ["edit"], ["probe"], ["download-weights"], ["doctor"]])
def test_help_shows_examples_or_exit_codes(capsys, words):
    assert run([*words, "--help"]) == 0
    assert re.search(r"^ *(Examples|Exit codes):$", capsys.readouterr().out, re.MULTILINE)


def test_version(capsys):
    assert run(["--version"]) == 0
    assert re.fullmatch(r"spfem \d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_bare_spfem_says_where_help_is(capsys):
    assert run([]) == 2
    assert "hint: see spfem --help" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["edit", "--help"],
        ["probe", "--help"],
        ["download-weights", "--help"],
        ["download-weights", "--list"],
        ["doctor", "--help"],
    ],
)
def test_help_imports_nothing_heavy(words):
    program = (
        "import sys; from cdrl_cli.cli.app import run; "
        f"code = run({words}); print(*sys.modules, file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not set(HEAVY) & set(done.stderr.split())


def test_help_imports_few_modules():
    """0.2 s on an idle machine; a busy one is slower, but imports no more."""
    program = (
        "import sys; from cdrl_cli.cli.app import run; run(['--help']); "
        "print(len(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert int(done.stderr) < 320  # 250; numpy would add a hundred, torch a thousand


def test_python_dash_m_is_the_command():
    done = subprocess.run([*SPFEM, "edit", "x"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")


def test_a_reader_that_leaves_is_no_traceback():
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*SPFEM, "edit", "--json"], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert done.returncode == 1
    assert done.stderr == ""
