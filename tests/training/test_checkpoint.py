import json

import numpy as np
import pytest
import torch

from cdrl_cli.errors import UnreadableInputError, UsageError
from cdrl_cli.training.checkpoint import RunFacts, digest_data, resume, run_facts, save_checkpoint
from cdrl_cli.training.config import CcrlConfig, DataConfig, ScheduleConfig

FACTS = RunFacts({"rate": 1, "names": ["a"]}, "digest", "commit")


def new_parts():
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Dropout(0.5))
    optimiser = torch.optim.AdamW(network.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.1, 20)
    return {"network": network, "optimiser": optimiser, "schedule": schedule}


def train(parts, generator, steps):
    for _ in range(steps):
        loss = parts["network"](torch.randn(8, 4, generator=generator)).square().mean()
        parts["optimiser"].zero_grad()
        loss.backward()
        parts["optimiser"].step()
        parts["schedule"].step()


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path):
    whole, generator = new_parts(), torch.Generator().manual_seed(1)
    train(whole, generator, 9)

    cut, generator = new_parts(), torch.Generator().manual_seed(1)
    train(cut, generator, 4)
    save_checkpoint(
        tmp_path / "run.pt", FACTS, step=4, parts=cut, generator=generator, notes={"best": 0.5}
    )
    torch.randn(7)

    later, generator = new_parts(), torch.Generator().manual_seed(5)
    step, notes = resume(tmp_path / "run.pt", FACTS, parts=later, generator=generator)
    train(later, generator, 9 - step)

    assert (step, notes) == (4, {"best": 0.5})
    for one, other in zip(
        whole["network"].parameters(), later["network"].parameters(), strict=True
    ):
        assert torch.equal(one, other)
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (RunFacts({"rate": 2}, "digest", "commit"), "recipe"),
        (RunFacts(FACTS.config, "other", "commit"), "data"),
    ],
)
def test_another_run_is_not_continued(tmp_path, facts, reason):
    generator = torch.Generator()
    save_checkpoint(tmp_path / "run.pt", FACTS, step=1, parts=new_parts(), generator=generator)
    with pytest.raises(UsageError, match=reason):
        resume(tmp_path / "run.pt", facts, parts=new_parts(), generator=generator)


def test_a_file_that_is_no_checkpoint_is_named(tmp_path):
    (tmp_path / "run.pt").write_bytes(b"nothing")
    with pytest.raises(UnreadableInputError, match=r"run\.pt"):
        resume(tmp_path / "run.pt", FACTS, parts={}, generator=torch.Generator())


def test_the_facts_of_a_recipe_survive_the_file(tmp_path):
    facts = run_facts(CcrlConfig(), "digest")
    save_checkpoint(tmp_path / "run.pt", facts, step=1, parts={}, generator=torch.Generator())
    resume(tmp_path / "run.pt", facts, parts={}, generator=torch.Generator())
    assert facts.commit


def test_the_digest_of_data_sees_values_shapes_and_order():
    one, other = np.arange(6.0), np.ones(3)
    digests = {
        digest_data(arrays)
        for arrays in ([one, other], [other, one], [one.reshape(2, 3), other], [one + 1, other])
    }
    assert len(digests) == 4
    assert digest_data([one.copy(), other]) == digest_data([one, other])


def test_a_weight_file_says_what_was_set():
    config = CcrlConfig(data=DataConfig(licence="research"), schedule=ScheduleConfig(steps=7))
    facts = run_facts(config, "digest").describe("spfem train ccrl")
    assert json.loads(facts["settings"])["schedule"]["steps"] == 7
    assert facts["licence_class"] == "research"
    assert all(isinstance(fact, str) for fact in facts.values())
