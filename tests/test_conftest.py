import pytest

from .conftest import require


def test_a_missing_tool_skips_on_a_laptop(monkeypatch):
    monkeypatch.setenv("SPFEM_REQUIRE", "gpu")
    with pytest.raises(pytest.skip.Exception):
        require("ffmpeg", present=False)


def test_a_missing_tool_fails_where_it_is_required(monkeypatch):
    monkeypatch.setenv("SPFEM_REQUIRE", "gpu,ffmpeg")
    with pytest.raises(pytest.fail.Exception):
        require("ffmpeg", present=False)


def test_a_tool_that_is_there_is_used():
    require("ffmpeg", present=True)
