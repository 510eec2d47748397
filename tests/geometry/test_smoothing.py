import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdrl_cli.geometry.smoothing import local_linear_weights

SIGMAS_S = st.floats(0.01, 0.2)
STEPS_S = st.lists(st.floats(0.001, 0.05), max_size=12)


def offsets_around_now(steps_before, steps_after):
    """Uneven times, with now among them; either side may be empty."""
    before, after = -np.cumsum(steps_before)[::-1], np.cumsum(steps_after)
    return np.concatenate([before, [0.0], after]).astype(float)


def line_at_zero(offsets, values, sigma_s):
    """Weighted least squares by the textbook: value at 0 of the best straight line."""
    roots = np.sqrt(np.exp(-0.5 * (offsets / sigma_s) ** 2))
    design = np.stack([np.ones_like(offsets), offsets], axis=1)
    answer, *_ = np.linalg.lstsq(design * roots[:, None], values * roots, rcond=None)
    return answer[0]


@given(STEPS_S, STEPS_S, SIGMAS_S)
def test_the_weights_sum_to_one(before, after, sigma_s):
    weights = local_linear_weights(offsets_around_now(before, after), sigma_s=sigma_s)
    assert weights.sum() == pytest.approx(1.0)


@given(STEPS_S, STEPS_S, SIGMAS_S, st.floats(-100, 100), st.floats(-100, 100))
def test_steady_motion_passes_unchanged(before, after, sigma_s, place, speed):
    offsets = offsets_around_now(before, after)
    weights = local_linear_weights(offsets, sigma_s=sigma_s)
    assert weights @ (place + speed * offsets) == pytest.approx(place, abs=1e-4)


@given(
    st.lists(st.floats(0.01, 0.05), min_size=1, max_size=8),
    st.lists(st.floats(0.01, 0.05), min_size=1, max_size=8),
    st.floats(0.03, 0.2),
    st.integers(0, 2**32 - 1),
)
def test_agrees_with_a_fitted_line(before, after, sigma_s, seed):
    offsets = offsets_around_now(before, after)
    values = np.random.default_rng(seed).normal(size=len(offsets))
    smoothed = local_linear_weights(offsets, sigma_s=sigma_s) @ values
    assert smoothed == pytest.approx(line_at_zero(offsets, values, sigma_s), abs=1e-6)


@given(SIGMAS_S)
def test_a_single_moment_is_itself(sigma_s):
    assert local_linear_weights(np.zeros(1), sigma_s=sigma_s) == pytest.approx([1.0])


@given(st.integers(2, 9), SIGMAS_S)
def test_moments_at_one_time_count_alike(count, sigma_s):
    weights = local_linear_weights(np.zeros(count), sigma_s=sigma_s)
    np.testing.assert_allclose(weights, 1 / count)


@given(st.integers(1, 8), SIGMAS_S)
def test_a_centred_window_has_no_phase(reach, sigma_s):
    weights = local_linear_weights(np.arange(-reach, reach + 1) * 0.04, sigma_s=sigma_s)
    np.testing.assert_allclose(weights, weights[::-1], atol=1e-12)
    assert weights.argmax() == reach


@given(STEPS_S, STEPS_S, SIGMAS_S)
def test_time_reversed_is_weights_reversed(before, after, sigma_s):
    offsets = offsets_around_now(before, after)
    np.testing.assert_allclose(
        local_linear_weights(-offsets[::-1], sigma_s=sigma_s),
        local_linear_weights(offsets, sigma_s=sigma_s)[::-1],
        atol=1e-7,
    )


@pytest.mark.parametrize("sigma_s", [0.0, -0.04])
def test_a_window_without_width_is_refused(sigma_s):
    with pytest.raises(ValueError, match="sigma_s"):
        local_linear_weights(np.zeros(1), sigma_s=sigma_s)
