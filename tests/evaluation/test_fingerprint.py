from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from cdrl_cli.checkpoints.models import load_models
from cdrl_cli.evaluation.fingerprint import fingerprint


class Holder:
    def __init__(self, value):
        self.value = value


@dataclass(frozen=True, slots=True)
class Slotted:
    value: object


@pytest.mark.parametrize("hold", [Holder, Slotted, lambda x: [x], lambda x: {"a": x}])
def test_it_sees_what_is_held(hold):
    one, same, other = np.zeros(3), np.zeros(3), np.array([0.0, 0.0, 1e-9])
    assert fingerprint(hold(one)) == fingerprint(hold(same))
    assert fingerprint(hold(one)) != fingerprint(hold(other))


def test_a_network_is_its_weights():
    torch.manual_seed(0)
    network = torch.nn.Linear(2, 2)
    before = fingerprint(Holder(network))
    assert fingerprint(Holder(network)) == before
    with torch.no_grad():
        network.bias += 1e-6
    assert fingerprint(Holder(network)) != before


def test_a_file_is_its_bytes(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(b"x")
    other.write_bytes(b"x")
    assert fingerprint(one) == fingerprint(other)
    other.write_bytes(b"y")
    assert fingerprint(one) != fingerprint(other)


def test_nesting_and_order_count():
    assert fingerprint([1, [2]]) != fingerprint([1], [2])
    assert fingerprint([1, 2]) != fingerprint([2, 1])


def test_what_cannot_be_looked_into_is_never_the_same():
    assert fingerprint(object()) != fingerprint(lambda: 1)


def test_what_takes_no_part_in_comparing_is_left_out():
    @dataclass
    class Cached:
        value: int
        kept: object = field(default=None, compare=False)

    assert fingerprint(Cached(1, object())) == fingerprint(Cached(1, object()))


def test_a_stream_is_not_touched(tmp_path):
    with (tmp_path / "text").open("w", encoding="utf-8") as stream:
        fingerprint(stream)
        stream.write("it still has its buffer")


@pytest.mark.weights
def test_models_loaded_twice_are_the_same_and_sets_differ():
    once, again, research = (load_models(s) for s in ("permissive", "permissive", "research"))
    assert fingerprint(once) == fingerprint(again) != fingerprint(research)


def test_the_order_of_a_set_does_not_count():
    assert fingerprint(frozenset("abc")) == fingerprint(frozenset("cba"))
    assert fingerprint(frozenset("abc")) != fingerprint(frozenset("ab"))
