import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdrl_cli.target import find_intensity


@given(st.floats(0.05, 0.9), st.floats(0.5, 4))
def test_the_least_intensity_that_reaches_the_target_is_found(target, gain):
    def read(intensity):
        return float(np.tanh(gain * intensity))

    intensity, reached = find_intensity(read, target)
    assert reached == read(intensity)
    if read(2.0) < target:
        assert intensity == 2.0
    else:
        assert reached >= target
        assert read(intensity - 0.0626) < target or intensity == 0


def test_where_none_reaches_it_the_best_is_taken():
    readings = {0.0: 0.1, 0.5: 0.2, 1.0: 0.4, 1.5: 0.3, 2.0: 0.2}
    assert find_intensity(readings.__getitem__, 0.9) == (1.0, 0.4)


def test_what_is_there_already_needs_no_edit():
    assert find_intensity(lambda _: 0.8, 0.5) == (0.0, pytest.approx(0.8))
