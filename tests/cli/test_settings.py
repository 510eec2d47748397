import pytest

from cdrl_cli.cli.app import run

REQUIRED = ["edit", "talk.mp4", "-e", "sad", "-o", "out.mp4"]


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Write the user's configuration file."""
    monkeypatch.delenv("SPFEM_CONFIG")
    monkeypatch.setenv("SPFEM_HOME", str(tmp_path))
    return (tmp_path / "config.toml").write_text


def test_flag_before_variable_before_file_before_default(edits, config, monkeypatch):
    def preset(*words):
        assert run([*REQUIRED, *words]) == 0
        return edits[-1].options.preset

    assert preset() is None
    config('preset = "slow"')
    assert preset() == "slow"
    monkeypatch.setenv("SPFEM_PRESET", "faster")
    assert preset() == "faster"
    assert preset("--preset", "fast") == "fast"


def test_a_table_is_for_one_command_and_comes_first(edits, config):
    config("crf = 20\nintensity = 0.5\n[edit]\ncrf = 3\n[batch]\ncrf = 4\njobs = 2")
    assert run(REQUIRED) == 0
    assert (edits[0].options.crf, edits[0].options.intensity) == (3, 0.5)


def test_a_file_may_be_named(edits, tmp_path):
    (tmp_path / "other.toml").write_text("crf = 7")
    assert run(["--config", str(tmp_path / "other.toml"), *REQUIRED]) == 0
    assert edits[0].options.crf == 7


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("crff = 3", "crff"),
        ("[edit]\ncrff = 3", "edit.crff"),
        ("[edit]\njobs = 3", "edit.jobs"),
        ("[editt]\ncrf = 3", "editt"),
        ("overwrite = true", "overwrite"),
    ],
)
def test_an_unknown_key_is_named_with_its_file(edits, config, capsys, text, key):
    config(text)
    assert run(REQUIRED) == 2
    assert f"config.toml: unknown key {key}\n" in capsys.readouterr().err
    assert not edits


@pytest.mark.parametrize("text", ["crf = ", "crf = 99", 'codec = "gif"', "crf = [1]"])
def test_a_wrong_value_is_a_usage_error(edits, config, text):
    config(text)
    assert run(REQUIRED) == 2
    assert not edits


def test_a_named_file_must_exist(edits, tmp_path):
    assert run(["--config", str(tmp_path / "none.toml"), *REQUIRED]) == 2
    assert not edits


def test_completion_is_on(capsys):
    assert run(["--help"]) == 0
    assert "--install-completion" in capsys.readouterr().out
