import pytest

from cdrl_cli.errors import UsageError
from cdrl_cli.weight_set import WeightSet


def test_an_unknown_set_is_refused_and_the_known_ones_named():
    with pytest.raises(UsageError, match="purple") as caught:
        WeightSet.parse("purple")
    assert all(name in caught.value.hint for name in WeightSet)


def test_the_first_set_is_free_to_use():
    assert next(iter(WeightSet)) == "permissive"
    assert WeightSet.PERMISSIVE.entry("core") == "core-permissive"
