import json
import random

import numpy as np
import pytest
import torch

from cdrl_cli.errors import UnreadableInputError, UsageError
from cdrl_cli.training.checkpoint import (
    RandomState,
    RunFacts,
    digest_data,
    restore_checkpoint,
    run_facts,
    save_checkpoint,
)
from cdrl_cli.training.config import DataConfig, ScheduleConfig
from cdrl_cli.training.recipes import CcrlConfig
from cdrl_cli.weight_set import WeightSet

FACTS = RunFacts({"rate": 1, "names": ["a"]}, "digest", "commit")


def new_network():
    torch.manual_seed(0)
    return torch.nn.Linear(4, 4)


def test_a_checkpoint_brings_every_part_back(tmp_path):
    network, path = new_network(), tmp_path / "run.pt"
    save_checkpoint(path, FACTS, {"network": network}, step=4)
    later = torch.nn.Linear(4, 4)
    assert restore_checkpoint(path, FACTS, {"network": later}) == 4
    assert torch.equal(network.weight, later.weight)
    assert [one.name for one in tmp_path.iterdir()] == ["run.pt"]


@pytest.mark.parametrize(
    ("facts", "parts", "reason"),
    [
        (RunFacts({"rate": 2}, "digest", "commit"), ["network"], "recipe"),
        (RunFacts(FACTS.config, "other", "commit"), ["network"], "data"),
        (FACTS, ["network", "critic"], "code"),
    ],
)
def test_another_run_is_not_continued(tmp_path, facts, parts, reason):
    save_checkpoint(tmp_path / "run.pt", FACTS, {"network": new_network()}, step=1)
    with pytest.raises(UsageError, match=reason):
        restore_checkpoint(tmp_path / "run.pt", facts, {name: new_network() for name in parts})


def test_a_file_that_is_no_checkpoint_is_named(tmp_path):
    (tmp_path / "run.pt").write_bytes(b"nothing")
    with pytest.raises(UnreadableInputError, match=r"run\.pt"):
        restore_checkpoint(tmp_path / "run.pt", FACTS, {})


def test_the_facts_of_a_recipe_survive_the_file(tmp_path):
    facts = run_facts(CcrlConfig(), "digest")
    save_checkpoint(tmp_path / "run.pt", facts, {}, step=1)
    restore_checkpoint(tmp_path / "run.pt", facts, {})
    assert facts.commit


def draws(generator):
    """One number from every source."""
    return [
        random.random(),
        float(np.random.random()),  # noqa: NPY002 - libraries draw from it
        float(torch.rand(())),
        float(torch.rand((), generator=generator)),
    ]


def test_every_source_of_randomness_goes_on_where_it_was(tmp_path):
    generator = torch.Generator().manual_seed(1)
    state = RandomState(generator, seed=3)
    with state:
        draws(generator)
        save_checkpoint(tmp_path / "run.pt", FACTS, {"random": state}, step=0)
        expected = draws(generator)
    other = torch.Generator()
    again = RandomState(other, seed=7)
    restore_checkpoint(tmp_path / "run.pt", FACTS, {"random": again})
    with again:
        assert draws(other) == expected


def test_a_run_leaves_the_callers_randomness_as_it_was():
    generator = torch.Generator()
    states = []
    for inside in (0, 5):
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002 - libraries draw from it
        torch.manual_seed(1)
        generator.manual_seed(1)
        with RandomState(generator, seed=3):
            for _ in range(inside):
                draws(torch.Generator())
        states.append(draws(generator))
    assert states[0] == states[1]


def test_what_a_run_draws_outside_counts_not():
    generator = torch.Generator().manual_seed(1)
    state = RandomState(generator, seed=3)
    with state:
        first = float(torch.rand(()))
    torch.rand(9)
    with state:
        second = float(torch.rand(()))
    torch.manual_seed(3)
    assert [first, second] == [float(torch.rand(())) for _ in range(2)]


def test_the_digest_of_data_sees_values_shapes_and_order():
    one, other = np.arange(6.0), np.ones(3)
    digests = {
        digest_data(arrays)
        for arrays in ([one, other], [other, one], [one.reshape(2, 3), other], [one + 1, other])
    }
    assert len(digests) == 4
    assert digest_data([one.copy(), other]) == digest_data([one, other])


def test_a_weight_file_says_what_was_set():
    config = CcrlConfig(
        data=DataConfig(weight_set=WeightSet.RESEARCH), schedule=ScheduleConfig(steps=7)
    )
    facts = run_facts(config, "digest").describe("spfem train ccrl")
    assert json.loads(facts["settings"])["schedule"]["steps"] == 7
    assert facts["weight_set"] == "research"
    assert all(isinstance(fact, str) for fact in facts.values())
