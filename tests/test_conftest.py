import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import require, require_weights


def test_a_missing_tool_skips_on_a_laptop(monkeypatch):
    monkeypatch.setenv("SPFEM_REQUIRE", "gpu")
    with pytest.raises(pytest.skip.Exception):
        require("ffmpeg", present=False)


def test_a_missing_tool_fails_where_it_is_required(monkeypatch):
    monkeypatch.setenv("SPFEM_REQUIRE", "gpu,ffmpeg")
    with pytest.raises(pytest.fail.Exception):
        require("ffmpeg", present=False)


def test_where_all_is_required_anything_missing_fails_but_what_may(monkeypatch):
    monkeypatch.setenv("SPFEM_REQUIRE", "all")
    with pytest.raises(pytest.fail.Exception):
        require("ffmpeg", present=False)
    with pytest.raises(pytest.skip.Exception):
        require("gpu", present=False)


def test_optional_weights_that_are_missing_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("SPFEM_HOME", str(tmp_path))
    monkeypatch.setenv("SPFEM_REQUIRE", "speech")
    with pytest.raises(pytest.fail.Exception, match="speech is missing"):
        require_weights("speech")
    with pytest.raises(pytest.skip.Exception, match="judge is missing"):
        require_weights("judge", "speech")


@pytest.mark.parametrize(
    ("required", "reason", "outcome"),
    [
        ("", "no such library", "skipped"),
        ("ffmpeg", "no such library", "skipped"),
        ("all", "no such library", "error"),
        ("all", "permissions do not bind root", "skipped"),
    ],
)
def test_a_skip_is_a_failure_where_all_is_required(tmp_path, required, reason, outcome):
    (tmp_path / "test_it.py").write_text(
        f"import pytest\n@pytest.mark.skipif(True, reason={reason!r})\ndef test_it(): pass\n"
        "@pytest.mark.xfail\ndef test_known(): assert False\n"
    )
    tests = Path(__file__).parent
    command = [sys.executable, "-m", "pytest", "-q", "-p", "conftest", "-c", os.devnull]
    done = subprocess.run(
        [*command, "--rootdir", tmp_path, tmp_path],
        env=os.environ | {"SPFEM_REQUIRE": required, "PYTHONPATH": f"{tests.parent}:{tests}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"1 {outcome}" in done.stdout, done.stdout
    assert "1 xfailed" in done.stdout, done.stdout


def test_a_tool_that_is_there_is_used():
    require("ffmpeg", present=True)
