"""A step whose batch is drawn in parts, by one process here; by two in tests/paper."""

import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from cdrl_cli.errors import UsageError
from cdrl_cli.training.balance import GradientBalance, LikenessPrice
from cdrl_cli.training.checkpoint import RunFacts, step_rng
from cdrl_cli.training.loop import Loss, Trainer
from cdrl_cli.training.optimiser import Optimiser
from cdrl_cli.training.processes import Processes
from cdrl_cli.training.run_card import write_card
from cdrl_cli.training.steps import Update, take_parts

from .test_loop import FACTS, ToyTask, by_weight, same, schedule, tensors


class PartedTask(ToyTask):
    has_parts = True


def train(run, *, parts, until=None, resume=False, **more):
    task = PartedTask(scores=by_weight)
    trainer = Trainer(run, task, schedule(parts=parts, **more), FACTS, resume=resume)
    trainer.fit(until=until)
    return task


def test_a_step_of_parts_follows_the_mean_of_their_gradients():
    weight = torch.nn.Linear(1, 1, bias=False)
    optimiser = Optimiser(weight, learning_rate=0.1, steps=None)
    drawn = []

    class Task:
        generator = torch.Generator()
        part = 0

        def updates(self, step):
            assert step == 3
            for _ in range(2):
                factor = torch.rand((), generator=self.generator) + torch.rand(())
                drawn.append((self.part, float(factor)))
                yield Update([Loss("all", factor * weight.weight.sum())], [optimiser])

    seen = []
    for update, total in take_parts(Task(), 3, parts=3, seed=1, processes=Processes()):
        assert update.optimisers == [optimiser]
        seen.append(float(total))
    assert [part for part, _ in drawn] == [0, 1, 2, 0, 1, 2]
    assert len({factor for _, factor in drawn}) == len(seen) == 6
    assert float(weight.weight.grad) == pytest.approx(sum(one for _, one in drawn[3:]) / 3)


def test_parts_draw_different_batches(tmp_path):
    one, two = train(tmp_path / "one", parts=1), train(tmp_path / "two", parts=2)
    assert not same(tensors(one), tensors(two))


@pytest.mark.parametrize("cut", [1, 7])
def test_a_run_in_parts_that_was_cut_goes_on_exactly(tmp_path, cut):
    whole = train(tmp_path / "whole", parts=3)
    train(tmp_path / "cut", parts=3, until=cut)
    torch.rand(5)
    rest = train(tmp_path / "cut", parts=3, resume=True)
    assert same(tensors(whole), tensors(rest))
    logs = [(tmp_path / run / "log.jsonl").read_text() for run in ("whole", "cut")]
    assert logs[0] == logs[1]


def test_losses_in_half_precision_change_weights_in_whole(tmp_path):
    task = train(tmp_path, parts=1, precision="bfloat16")
    assert all(value.dtype == torch.float32 for value in task.network.parameters())
    assert not same(tensors(task), tensors(train(tmp_path / "whole", parts=1)))


def test_what_cannot_be_shared_out_is_one_line(tmp_path):
    with pytest.raises(UsageError, match="3 parts of a batch cannot be shared by 2 processes"):
        Processes(count=2).own_parts(3)
    assert list(Processes(count=2, index=1).own_parts(6)) == [1, 3, 5]
    with pytest.raises(UsageError, match="not learned in parts"):
        Trainer(tmp_path, ToyTask(), schedule(parts=2), FACTS)


def test_weights_that_follow_from_the_run_hear_all_parts():
    price, balance = LikenessPrice(), GradientBalance()
    before = price.value
    price.follow(0.1)
    price.follow(-0.3)
    assert price.value == before
    price.settle(np.mean)
    assert price.value == pytest.approx(before * np.exp(2.0 * -0.1))
    image = torch.ones(1, 3, 4, 4, requires_grad=True)
    for factor in (1.0, 3.0):
        balance.weigh([Loss("seen", factor * image.sum())], image)
    balance.settle(np.mean)
    assert balance.state_dict()["lengths"]["seen"] == pytest.approx(2 * 48**0.5)
    assert balance.state_dict()["steps"] == 1


def test_randomness_of_the_first_part_is_that_of_the_step():
    draws = [step_rng(1, 2).random(), step_rng(1, 2, 0).random(), step_rng(1, 2, 1).random()]
    assert draws[0] == draws[1] != draws[2]


def test_a_run_has_a_card_with_its_curves(tmp_path):
    train(tmp_path, parts=1)
    card = (tmp_path / "card.md").read_text()
    assert card.startswith(f"# {tmp_path.name}\n\n20 steps. Code: commit commit. Data: sha256")
    assert '"rate": 1' in card
    assert torch.__version__ in card
    assert (tmp_path / "curves.svg").read_text().count("<polyline") == 2


def test_a_card_of_a_run_without_a_row_says_so_much(tmp_path):
    facts = RunFacts({}, "digest", "commit")
    assert "0 steps" in write_card(tmp_path, facts, step=0, processes=1).read_text()
    assert dataclasses.asdict(facts)["commit"] == "commit"


def test_several_processes_need_accelerate(tmp_path):
    program = (
        "import sys; sys.modules['accelerate'] = None\n"
        "from cdrl_cli.training.processes import open_processes\n"
        "from cdrl_cli.errors import UsageError\n"
        "try: open_processes()\n"
        "except UsageError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"WORLD_SIZE": "2"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "several processes need accelerate" in done.stdout
