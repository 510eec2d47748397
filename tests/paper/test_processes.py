"""Several processes learn what one learns, to rounding; also where they were cut in between."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.distributed.run import parse_args

from cdrl_cli.errors import UsageError
from cdrl_cli.training.config import read_config
from cdrl_cli.training.log import read_log
from cdrl_cli.training.processes import Processes
from cdrl_cli.training.whole_recipe import WholeConfig, check_parts

ROOT = Path(__file__).parents[2]
MEAD = ROOT / "configs/paper/mead.toml"
PROGRAM = Path(__file__).with_name("toy_run.py")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def launch(folder, *, processes, parts, until=None, check=True):
    words = [sys.executable]
    if processes > 1:
        words += ["-m", "torch.distributed.run", "--nproc-per-node", str(processes)]
        words += ["--master-port", str(free_port())]
    words += [PROGRAM, folder, str(parts), *([] if until is None else [str(until)])]
    paths = os.pathsep.join((str(ROOT), str(ROOT / "tests")))
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        [str(word) for word in words],
        env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not check or done.returncode == 0, done.stderr[-3000:]
    return done


def weights(folder, index=0):
    kept = torch.load(folder / f"weights-{index}.pt", weights_only=True)
    return {
        f"{part}.{name}": value for part, state in kept.items() for name, value in state.items()
    }


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    launch(folder, processes=1, parts=2)
    return folder


def test_two_processes_learn_what_one_learns(alone, tmp_path):
    launch(tmp_path, processes=2, parts=2)
    for index in (0, 1):
        for name, value in weights(tmp_path, index).items():
            torch.testing.assert_close(value, weights(alone)[name], rtol=1e-5, atol=1e-6)
    logs = [read_log(folder / "log.jsonl") for folder in (tmp_path, alone)]
    for ours, theirs in zip(*logs, strict=True):
        assert ours["step"] == theirs["step"]
        assert ours["losses"] == pytest.approx(theirs["losses"], rel=1e-5)  # of all parts
    assert "| processes | 2 |" in (tmp_path / "card.md").read_text()


def test_one_process_goes_on_where_two_were_cut(alone, tmp_path):
    launch(tmp_path, processes=2, parts=2, until=7)
    launch(tmp_path, processes=1, parts=2)
    for name, value in weights(tmp_path).items():
        torch.testing.assert_close(value, weights(alone)[name], rtol=1e-5, atol=1e-6)


def test_parts_that_cannot_be_shared_are_refused_by_all(tmp_path):
    done = launch(tmp_path, processes=2, parts=3, check=False)
    assert done.returncode != 0
    assert "3 parts of a batch cannot be shared by 2 processes" in done.stderr


def test_what_has_no_parts_is_learned_by_the_first_and_read_by_the_others(tmp_path):
    launch(tmp_path / "one", processes=1, parts=1)
    launch(tmp_path / "two", processes=2, parts=1)
    alone = weights(tmp_path / "one")
    for index in (0, 1):
        shared = weights(tmp_path / "two", index)
        assert all(torch.equal(value, shared[name]) for name, value in alone.items())


def test_torchrun_hands_all_our_options_over():
    written = (ROOT / "docs/guides/train.md").read_text() + MEAD.read_text()
    commands = re.findall(r"torchrun (.* train all --config .*)", written)
    assert len(commands) == 2
    for command in commands:
        launched = parse_args([*command.split(), "--run", "runs/mine"])
        assert (launched.module, launched.training_script) == (True, "cdrl_cli")
        own = ["train", "all", "--config", "configs/paper/mead.toml", "--data", "DATA"]
        assert launched.training_script_args == [*own, "--device", "cuda", "--run", "runs/mine"]


def test_a_recipe_that_its_processes_cannot_share_is_refused_before_its_first_stage():
    recipe = read_config(MEAD, WholeConfig)
    for count in (1, 2, 4, 8):
        check_parts(recipe, Processes(count))
    with pytest.raises(UsageError, match="ccrl: 8 parts of a batch cannot be shared by 3") as error:
        check_parts(recipe, Processes(3))
    assert "--set ccrl.schedule.parts=3" in error.value.hint
