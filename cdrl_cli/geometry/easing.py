"""Ways from 0 to 1."""

import numpy as np

from cdrl_cli.array_types import Float32


def smoothstep(t: Float32[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
    """From 0 to 1 without a corner at either end: 3 t^2 - 2 t^3; 0 below 0, and 1 above 1."""
    t = np.clip(t, np.float32(0), np.float32(1))
    return t * t * (3 - 2 * t)
