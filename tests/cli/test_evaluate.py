"""What ``spfem evaluate`` and ``spfem train`` say to wrong words, before any work."""

import pytest

from cdrl_cli.checkpoints.load import find_weights
from cdrl_cli.checkpoints.trained import ContentModels, write_content
from cdrl_cli.cli.app import run
from cdrl_cli.representation.ccrl import ContentConfig, ContentEncoder, SpeechEncoder


@pytest.mark.parametrize("row", ["nothing", "=folder", "without CERL=nowhere"])
def test_a_row_without_a_generator_is_refused(tmp_path, capsys, row):
    assert run(["evaluate", "edits", "--data", str(tmp_path), "--row", row]) == 2
    error = capsys.readouterr().err
    assert "no such generator" in error
    assert "Traceback" not in error


def test_a_file_without_content_encoders_is_named(tmp_path, capsys):
    nothing = tmp_path / "nothing.safetensors"
    nothing.write_bytes(b"nothing")
    command = ["evaluate", "representations", "--data", str(tmp_path), "--content", str(nothing)]
    assert run(command) == 4
    assert "nothing.safetensors: no content encoders" in capsys.readouterr().err


def test_people_who_are_not_there_are_named(tmp_path, capsys):
    weights = tmp_path / "ccrl.safetensors"
    sizes = ContentConfig(speech_features=320)
    models = ContentModels(ContentEncoder(sizes), SpeechEncoder(sizes), "log-mel")
    write_content(weights, models, facts={})
    (tmp_path / "index.csv").write_text("path,audio,dataset\n")
    command = ["evaluate", "representations", "--data", str(tmp_path), "--cache", str(tmp_path)]
    assert run([*command, "--content", str(weights), "--person", "nobody"]) == 2
    assert "nobody: no clips" in capsys.readouterr().err


def test_training_without_a_motion_editor_says_so(tmp_path, capsys):
    recipe = tmp_path / "renderer.toml"
    recipe.write_text("[schedule]\nsteps = 1\n")
    command = ["train", "renderer", "--config", str(recipe), "--data", str(tmp_path)]
    missing = str(tmp_path / "none.safetensors")
    assert run([*command, "--motion", missing, "-o", str(tmp_path / "out")]) == 4
    assert "no motion editor" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "either --data FOLDER or --pack FILE"),
        (["--data", ".", "--pack", "faces.npz"], "either --data FOLDER or --pack FILE"),
        (["--pack", "faces.npz", "--device", "cuda"], "no GPU"),
    ],
)
def test_training_says_what_is_missing_before_it_begins(tmp_path, capsys, monkeypatch, words, told):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    recipe = tmp_path / "renderer.toml"
    recipe.write_text("[schedule]\nsteps = 1\n")
    editor = find_weights("motion-permissive")
    command = ["train", "renderer", "--config", str(recipe), "--motion", str(editor)]
    assert run([*command, *words, "-o", str(tmp_path / "out")]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_unknown_key_of_the_recipe_is_named(tmp_path, capsys):
    recipe = tmp_path / "renderer.toml"
    recipe.write_text("[loss]\nbeauty = 1.0\n")
    command = ["train", "renderer", "--config", str(recipe), "--data", str(tmp_path)]
    assert run([*command, "--motion", str(recipe), "-o", str(tmp_path / "out")]) == 2
    assert "loss.beauty" in capsys.readouterr().err
