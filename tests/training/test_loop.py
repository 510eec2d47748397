"""The trainer, on a task that fits in a few numbers."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from cdrl_cli.errors import UnreadableInputError, UsageError
from cdrl_cli.training.checkpoint import RunFacts
from cdrl_cli.training.config import ScheduleConfig
from cdrl_cli.training.log import read_log
from cdrl_cli.training.loop import (
    Loss,
    Task,
    Trainer,
    Update,
    Validation,
    open_device,
    sum_losses,
)
from cdrl_cli.training.optimiser import MovingAverage, Optimiser

FACTS = RunFacts({"rate": 1}, "digest", "commit")


class ToyTask(Task):
    """A network against a critic: two updates a step, dropout, a moving average, validation."""

    def __init__(self, *, scores=None, device="cpu", steps=20):
        self.generator = torch.Generator().manual_seed(1)
        self.device = device
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.network = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.Linear(4, 1))
            self.critic = nn.Linear(1, 1)
        self.network.to(device)
        self.critic.to(device)
        self.average = MovingAverage.of(self.network, decay=0.9)
        self.down = Optimiser(self.network, learning_rate=0.05, steps=steps, clip=1.0)
        self.up = Optimiser(self.critic, learning_rate=0.02, steps=None)
        self.scores = scores

    @property
    def parts(self):
        return {"network": self.network, "critic": self.critic, "down": self.down, "up": self.up}

    @property
    def product(self):
        return self.average.average.module

    @property
    def averages(self):
        return {"network": self.average}

    def updates(self, step):
        inputs = torch.randn(8, 4, generator=self.generator).to(self.device)
        outputs = self.network.train()(inputs)
        yield Update(
            [
                Loss("fit", (outputs - inputs.sum(dim=1, keepdim=True)).square().mean()),
                Loss("judged", self.critic(outputs).square().mean(), 0.1),
            ],
            [self.down],
            {"step squared": float(step**2)},
        )
        yield Update(
            [Loss("critic", (self.critic(outputs.detach()) - 1).square().mean())], [self.up]
        )

    def validate(self):
        if self.scores is None:
            return None
        return Validation(self.scores(self), {"weight": float(self.product[0].weight.sum())})


def by_weight(task):
    return float(task.product[0].weight.abs().sum())


def schedule(**more):
    return ScheduleConfig(**{"steps": 20, "validate_every": 5, "save_every_s": 0.0} | more)


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def tensors(task):
    parts = (task.network, task.critic, task.product)
    return [value for part in parts for value in part.state_dict().values()]


@pytest.mark.parametrize("cut", [1, 5, 13, 20])
@pytest.mark.parametrize("scores", [None, by_weight])
def test_a_run_cut_at_any_step_equals_one_that_was_not(tmp_path, cut, scores):
    whole = ToyTask(scores=scores)
    done = Trainer(tmp_path / "whole", whole, schedule(), FACTS).fit()

    class CutError(Exception):
        pass

    def stop(step, _):
        if step == cut:
            raise CutError

    with pytest.raises(CutError):
        Trainer(tmp_path / "cut", ToyTask(scores=scores), schedule(), FACTS, progress=stop).fit()
    torch.rand(7)
    later = ToyTask(scores=scores)
    again = Trainer(tmp_path / "cut", later, schedule(), FACTS, resume=True).fit()
    assert again == done
    assert same(tensors(whole), tensors(later))
    logs = [(tmp_path / run / "log.jsonl").read_text() for run in ("whole", "cut")]
    assert logs[0] == logs[1]


def test_going_on_in_one_process_is_the_same_run(tmp_path):
    whole, parts = ToyTask(), ToyTask()
    Trainer(tmp_path / "whole", whole, schedule(), FACTS).fit()
    trainer = Trainer(tmp_path / "parts", parts, schedule(), FACTS)
    for until in (3, 4, 11, None):
        trainer.fit(until=until)
        torch.rand(3)
    assert same(tensors(whole), tensors(parts))


RUN = """
import sys
from pathlib import Path
sys.path[:0] = {paths!r}
from tests.training.test_loop import FACTS, ToyTask, schedule
from cdrl_cli.training.loop import Trainer
import time
run = Path({run!r})
Trainer(
    run, ToyTask(steps=60), schedule(steps=60), FACTS, resume=(run / "last.pt").exists(),
    progress=lambda done, of: time.sleep(0.02),
).fit()
"""


def test_a_killed_run_loses_no_more_than_the_interval_between_checkpoints(tmp_path):
    root = str(Path(__file__).parents[2])
    code = RUN.format(paths=[root, f"{root}/tests"], run=str(tmp_path / "cut"))
    kills = [signal.SIGTERM, signal.SIGKILL]
    while True:
        child = subprocess.Popen([sys.executable, "-c", code], cwd=root, env=dict(os.environ))
        log = tmp_path / "cut/last.pt"
        seen = log.stat().st_mtime_ns if log.exists() else 0
        # Wait until it has begun again and saved some more, then kill it.
        while child.poll() is None and (not log.exists() or log.stat().st_mtime_ns == seen):
            time.sleep(0.01)
        if not kills:
            assert child.wait() == 0
            break
        time.sleep(0.1)
        child.send_signal(kills[0])
        assert child.wait() == -kills.pop(0)
    whole = ToyTask(steps=60)
    Trainer(tmp_path / "whole", whole, schedule(steps=60), FACTS).fit()
    kept = [torch.load(tmp_path / run / "last.pt", weights_only=True) for run in ("whole", "cut")]
    assert kept[0]["step"] == kept[1]["step"] == 60
    for part in ("network", "critic", "best"):
        one, other = (list(state["parts"][part].values()) for state in kept)
        assert same(one, other)
    logs = [(tmp_path / run / "log.jsonl").read_text() for run in ("whole", "cut")]
    assert logs[0] == logs[1]


def test_the_log_has_every_loss_by_its_name_and_their_weighted_sum(tmp_path):
    Trainer(tmp_path, ToyTask(scores=by_weight), schedule(validate_every=1), FACTS).fit(until=3)
    rows = read_log(tmp_path / "log.jsonl")
    assert [row["step"] for row in rows] == [1, 2, 3]
    for row in rows:
        losses = row["losses"]
        assert set(losses) == {"fit", "judged", "critic", "total"}
        expected = losses["fit"] + 0.1 * losses["judged"] + losses["critic"]
        assert losses["total"] == pytest.approx(expected, rel=1e-5)
        assert row["measures"] == {"step squared": (row["step"] - 1) ** 2}
        assert set(row["validation"]) == {"weight"}
        assert "score" in row


def test_a_row_is_the_mean_since_the_last_one(tmp_path):
    Trainer(tmp_path, ToyTask(), schedule(validate_every=4), FACTS).fit(until=8)
    rows = read_log(tmp_path / "log.jsonl")
    assert [row["measures"]["step squared"] for row in rows] == [3.5, 31.5]


def test_a_line_of_the_log_that_was_cut_short_is_done_again(tmp_path):
    Trainer(tmp_path, ToyTask(), schedule(), FACTS).fit(until=10)
    log = tmp_path / "log.jsonl"
    whole = log.read_text()
    log.write_text(whole + '{"step": 15, "los')
    Trainer(tmp_path, ToyTask(), schedule(), FACTS, resume=True)
    assert log.read_text() == whole


def test_the_best_weights_are_kept_and_training_ends_when_none_are_better(tmp_path):
    found = iter([0.2, 0.6, 0.4, 0.5, 0.1])
    kept = []

    def scores(task):
        kept.append([value.clone() for value in task.product.state_dict().values()])
        return next(found)

    task = ToyTask(scores=scores)
    outcome = Trainer(tmp_path, task, schedule(validate_every=2, patience=3), FACTS).fit()
    assert (outcome.steps, outcome.best_step, outcome.score) == (10, 4, 0.6)
    assert same(kept[1], task.product.state_dict().values())
    assert not task.product.training


def test_without_validation_the_last_weights_are_kept(tmp_path):
    outcome = Trainer(tmp_path, ToyTask(), schedule(patience=1), FACTS).fit()
    assert (outcome.steps, outcome.best_step) == (20, 20)


def test_losses_are_added_up_by_their_weights():
    one, two = torch.tensor(2.0), torch.tensor(3.0)
    assert sum_losses([Loss("a", one), Loss("b", two, 0.5)]) == 3.5
    with pytest.raises(ValueError, match="names of their own"):
        sum_losses([Loss("a", one), Loss("a", two)])
    with pytest.raises(ValueError, match="names of their own"):
        sum_losses([])


def test_a_loss_that_is_no_number_ends_the_run_by_name(tmp_path):
    task = ToyTask()
    task.network[0].weight.data.fill_(torch.inf)
    with pytest.raises(UsageError, match="fit"):
        Trainer(tmp_path, task, schedule(validate_every=1), FACTS).fit()


def test_the_average_begins_at_the_weights_and_follows_them():
    network = nn.Linear(1, 1, bias=False)
    network.weight.data.fill_(1.0)
    average = MovingAverage.of(network, decay=0.5)
    seen = []
    for value in (1.0, 2.0, 2.0):
        network.weight.data.fill_(value)
        average.average.update_parameters(network)
        seen.append(float(average.average.module.weight))
    # Step n keeps n / (n + 10) of what was there: nothing of the first, 1/11 and 2/12.
    assert seen == pytest.approx([1.0, 2 - 1 / 11, 2 - 1 / 11 / 6])
    assert not average.average.module.weight.requires_grad


def test_gradients_are_clipped_to_their_length():
    network = nn.Linear(2, 1, bias=False)
    optimiser = Optimiser(network, learning_rate=0.1, steps=None, clip=1e-3)
    Update([Loss("steep", 1e6 * network.weight.sum())], [optimiser]).apply()
    assert network.weight.grad.norm() == pytest.approx(1e-3, rel=1e-3)


def test_the_learning_rate_rises_and_falls_or_stays():
    network = nn.Linear(1, 1)
    cycle = Optimiser(network, learning_rate=1.0, steps=10)
    level = Optimiser(network, learning_rate=1.0, steps=None)
    rates = []
    for _ in range(10):
        rates.append(cycle.learning_rate)
        Update([Loss("a", network.weight.sum())], [cycle, level]).apply()
    assert max(rates) > 5 * rates[0]
    assert max(rates) > 5 * rates[-1]
    assert level.learning_rate == 1.0


def test_what_was_never_begun_is_not_resumed(tmp_path):
    with pytest.raises(UnreadableInputError, match=r"last\.pt"):
        Trainer(tmp_path, ToyTask(), schedule(), FACTS, resume=True)


def test_a_gpu_that_is_not_there_is_said(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UsageError, match="no GPU"):
        open_device("cuda")
    assert open_device("cpu").type == "cpu"


@pytest.mark.gpu
def test_a_run_on_a_gpu_goes_on_as_if_it_had_not_been_cut(tmp_path):
    whole, cut = ToyTask(device="cuda"), ToyTask(device="cuda")
    Trainer(tmp_path / "whole", whole, schedule(), FACTS).fit()
    Trainer(tmp_path / "cut", cut, schedule(), FACTS).fit(until=7)
    later = ToyTask(device="cuda")
    Trainer(tmp_path / "cut", later, schedule(), FACTS, resume=True).fit()
    assert same(tensors(whole), tensors(later))
