"""Smoothing over time that neither lags nor needs even steps."""

import numpy as np

from cdrl_cli.array_types import Float

_LEAST_SPREAD_S2 = 1e-12


def local_linear_weights(
    offsets_s: Float[np.ndarray, " n"], *, sigma_s: float
) -> Float[np.ndarray, " n"]:
    r"""How much each neighbour counts for the value now.

    The weights of a straight line fitted around ``offset = 0`` with Gaussian weight (local linear
    regression, Cleveland 1979): they sum to 1 and :math:`\sum_i w_i \tau_i = 0`, so steady motion
    passes unchanged, also at the ends of a clip where the window is one-sided. A centred window
    has no phase; a causal filter (one-euro, Kalman) would lag behind the speech.

    Args:
        offsets_s: Times of the neighbours minus the time now, seconds; contains 0.
        sigma_s: Standard deviation of the Gaussian, seconds.

    Raises:
        ValueError: If ``sigma_s`` is not positive.

    >>> local_linear_weights(np.array([-0.04, 0.0, 0.04]), sigma_s=0.04).round(3)
    array([0.274, 0.452, 0.274])
    """
    if sigma_s <= 0:
        raise ValueError(f"sigma_s must be positive, got {sigma_s}")
    weights = np.exp(-0.5 * (offsets_s / sigma_s) ** 2)
    weights /= weights.sum()
    mean = float(weights @ offsets_s)
    spread = float(weights @ (offsets_s - mean) ** 2)
    if (
        spread < _LEAST_SPREAD_S2
    ):  # one neighbour, or all at one time: there is no slope to take out
        return weights
    return weights * (1 - mean * (offsets_s - mean) / spread)
