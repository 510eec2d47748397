"""Every stage of the paper's recipe, from a made-up tree to an edited video; killed, gone on."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from cdrl_cli.checkpoints.export import read_exported, read_tensors
from cdrl_cli.cli.app import run
from cdrl_cli.media import open_video
from cdrl_cli.training.log import read_log

from . import trees

ROOT = Path(__file__).parents[2]
SMOKE = ROOT / "configs" / "paper" / "smoke.toml"


@pytest.fixture(scope="module")
def data(clips, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    trees.write_tree(folder / "MEAD", clips)
    return folder


def words(data, run_folder, *more, command="all"):
    given = ["train", command, "--config", str(SMOKE), "--data", str(data)]
    return [*given, "--run", str(run_folder), "--quiet", *more]


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    assert run(words(data, folder)) == 0
    return folder


def weights(folder):
    """Of all that was made; what a file says of its run, such as the commit, does not count."""
    found = {"ccrl": read_tensors(folder / "ccrl.safetensors")[0]}
    for name in ("cerl", "motion", "generator/motion", "generator/renderer"):
        found[name] = read_exported(folder / f"{name}.onnx")[0]
    return {f"{part}/{name}": one for part, own in found.items() for name, one in own.items()}


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_it_ends_with_an_edited_video(whole):
    with open_video(whole / "edited.mp4") as video:
        assert sum(1 for _ in video) == trees.FRAMES
    for stage, loss in (
        ("ccrl", "speech"),
        ("cerl", "labels"),
        ("motion", "follow"),
        ("renderer", "picture emotion"),
    ):
        assert loss in read_log(whole / stage / "log.jsonl")[-1]["losses"], stage
        assert (whole / stage / "card.md").exists()


def test_what_it_made_is_read_by_edit(whole, data, tmp_path):
    source = data / "MEAD/M003/video/front/neutral/level_1/001.mp4"
    from cdrl_cli.checkpoints.models import load_models
    from cdrl_cli.editing import EditOptions, edit_video

    models = load_models("research", generator=whole / "generator")
    made = edit_video(source, tmp_path / "out.mp4", EditOptions(emotion="happy"), models=models)
    assert made.edited_frames > 0


@pytest.mark.slow
def test_killed_and_started_again_it_gives_the_same_weights(whole, data, tmp_path):
    folder = tmp_path / "killed"
    shutil.copytree(whole / "prepared", folder / "prepared")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests")))}
    for stage in ("ccrl", "renderer", None):
        command = [sys.executable, "-m", "cdrl_cli", *words(data, folder)]
        process = subprocess.Popen(command, env=environment)
        if stage is None:
            assert process.wait() == 0
            break
        while not (folder / stage / "last.pt").exists():
            assert process.poll() is None
            time.sleep(0.2)
        process.send_signal(signal.SIGKILL)
        process.wait()
    again, once = weights(folder), weights(whole)
    assert again.keys() == once.keys()
    assert not [name for name, one in once.items() if not torch.equal(one, again[name])]


@pytest.mark.slow
def test_the_ablation_of_the_second_backbone_is_one_command(whole, data, tmp_path):
    folder = tmp_path / "ablation"
    shutil.copytree(whole, folder)
    changes = (
        "motion.schedule.steps=1",
        "generator.reader.steps=1",
        "generator.schedule.steps=1",
        "generator.schedule.parts=1",
        "generator.editing.begins=0.0",
    )
    more = [word for one in changes for word in ("--set", one)]
    assert run(words(data, folder, "--backbone", "ned", *more, command="ablation")) == 0
    terms = {}
    for name in ("none", "cerl", "ccrl", "cdrl"):
        log = read_log(folder / f"ned-{name}/renderer/log.jsonl")
        terms[name] = {"picture emotion", "picture content"} & set(log[-1]["losses"])
        assert (folder / f"ned-{name}" / "edited.mp4").exists()
    assert terms == {
        "none": set(),
        "cerl": {"picture emotion"},
        "ccrl": {"picture content"},
        "cdrl": {"picture emotion", "picture content"},
    }


def line(capsys):
    """The one line that an error is, and its hint."""
    said = capsys.readouterr().err.strip().splitlines()
    assert len([one for one in said if one.startswith("error:")]) == 1, said
    assert not any("Traceback" in one for one in said)
    return " ".join(said)


def test_what_is_missing_or_wrong_is_one_clear_line(data, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("SPFEM_HOME", str(tmp_path / "home"))
    missing = ["--set", 'cerl.priors.clip="weights"']
    assert run(words(data, tmp_path / "a", *missing)) == 4
    assert "spfem download-weights prior-clip --from DIR" in line(capsys)

    assert run(words(tmp_path, tmp_path / "b")) == 5
    assert "no such folder" in line(capsys)

    (tmp_path / "MEAD").mkdir()
    assert run(words(tmp_path, tmp_path / "c")) == 5
    assert "no clip of MEAD" in line(capsys)

    (tmp_path / "file").touch()
    assert run(words(data, tmp_path / "file")) == 1
    assert "file: no folder for a run (File exists)" in line(capsys)

    for clips in (data / "MEAD").glob("*/video/front/neutral"):
        shutil.copytree(clips, tmp_path / "calm" / clips.relative_to(data))
    assert run(words(tmp_path / "calm", tmp_path / "c2")) == 2
    assert "shows an emotion" in line(capsys)

    assert run(words(data, tmp_path / "d", "--set", 'validation=["MEAD_M003"]')) == 2
    assert "nobody called MEAD_M003 is learned from" in line(capsys)

    assert run(words(data, tmp_path / "e", "--set", 'datasets={imagenet="X"}')) == 2
    assert "no data set 'imagenet'" in line(capsys)


def test_a_corrupt_clip_is_named(data, tmp_path, capsys):
    shutil.copytree(data, tmp_path / "data")
    broken = tmp_path / "data/MEAD/W011/video/front/angry/level_3/001.mp4"
    broken.write_bytes(broken.read_bytes()[:600])
    assert run(words(tmp_path / "data", tmp_path / "run")) == 5
    assert "W011/video/front/angry/level_3/001.mp4" in line(capsys)
    check = ["data", "check", str(tmp_path / "data/MEAD"), "--dataset", "mead", "--json"]
    assert run(check) == 5
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert [one["kind"] for one in findings] == ["broken"]


def test_machines_and_processes_share_the_preparation(data, tmp_path):
    folder = tmp_path / "data"
    for emotion in ("angry", "sad", "neutral", "happy"):
        level = "level_1" if emotion == "neutral" else "level_3"
        path = Path("MEAD/W011/video/front") / emotion / level / "001.mp4"
        (folder / path).parent.mkdir(parents=True)
        shutil.copy(data / path, folder / path)
    index = ["data", "index", str(folder / "MEAD"), "--dataset", "mead", "--split", "none"]
    assert run([*index, "-o", str(folder), "--quiet"]) == 0
    prepare = ["train", "prepare", "--data", str(folder), "--quiet", "--cache"]
    for shard in ("1/2", "2/2"):
        assert run([*prepare, str(tmp_path / "shards"), "--shard", shard]) == 0
    assert run([*prepare, str(tmp_path / "jobs"), "--jobs", "2"]) == 0
    digested = [
        {one.name: digest(one) for one in (tmp_path / name).glob("*.npz")}
        for name in ("shards", "jobs")
    ]
    assert len(digested[0]) == 4
    assert digested[0] == digested[1]
    assert run([*prepare, str(tmp_path / "none"), "--shard", "3/2"]) == 2
