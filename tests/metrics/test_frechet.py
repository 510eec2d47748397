import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdrl_cli.metrics.frechet import frechet_distance


def cloud(seed, rows=40, dim=5):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(rows, dim)) @ generator.normal(size=(dim, dim))


@given(st.integers(0, 99), st.integers(0, 99))
def test_agrees_with_the_formula(one, other):
    """Slow and obvious: the root by the eigenvalues of the product."""
    a, b = cloud(one), cloud(other, rows=33)
    cov_a, cov_b = (np.cov(x, rowvar=False) for x in (a, b))
    root = np.sqrt(np.maximum(np.linalg.eigvals(cov_a @ cov_b).real, 0)).sum()
    apart = ((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum()
    expected = apart + np.trace(cov_a) + np.trace(cov_b) - 2 * root
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert frechet_distance(b, a) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@given(st.integers(0, 99), st.floats(-5, 5))
def test_a_shift_alone_costs_its_square(seed, shift):
    a = cloud(seed)
    assert frechet_distance(a, a + shift) == pytest.approx(5 * shift**2, abs=1e-6)


def test_fewer_rows_than_dimensions_have_a_distance_too():
    assert frechet_distance(cloud(0, rows=4), cloud(0, rows=4)) == pytest.approx(0, abs=1e-9)


def test_one_row_has_no_spread():
    with pytest.raises(ValueError, match="two rows"):
        frechet_distance(cloud(0, rows=1), cloud(0))
