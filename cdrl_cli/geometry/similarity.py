"""Rigid motion with scale between two sets of points, in closed form."""

from dataclasses import dataclass

import numpy as np

from cdrl_cli.array_types import Float

_ROUNDING = 1e-12
"""Spread, relative to the distance from the origin, under which points are one place."""


@dataclass(frozen=True, slots=True)
class Similarity:
    """``target = scale * rotation @ source + translation``."""

    scale: float
    rotation: Float[np.ndarray, "dim dim"]
    """A rotation: determinant +1, never a mirror."""
    translation: Float[np.ndarray, " dim"]

    def apply(self, points: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n dim"]:
        """Carry points over."""
        return self.scale * points @ self.rotation.T + self.translation

    def apply_direction(self, vectors: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n dim"]:
        """Carry differences of points over: turned and scaled, not moved."""
        return self.scale * vectors @ self.rotation.T

    def inverse(self) -> "Similarity":
        """The way back."""
        rotation = self.rotation.T
        return Similarity(
            scale=1 / self.scale,
            rotation=rotation,
            translation=-(rotation @ self.translation) / self.scale,
        )


def fit_similarity(
    source: Float[np.ndarray, "n dim"],
    target: Float[np.ndarray, "n dim"],
    weights: Float[np.ndarray, " n"] | None = None,
) -> Similarity:
    r"""The similarity that carries ``source`` nearest to ``target``.

    .. math:: \min_{s, R, t} \sum_i w_i \lVert y_i - (s R x_i + t) \rVert^2

    Umeyama 1991, eqs. 34 to 42, with weights.

    Args:
        source: Points :math:`x_i`.
        target: Points :math:`y_i`, row by row their partners.
        weights: How much each pair counts, >= 0; None counts all alike.

    Raises:
        ValueError: If all source points coincide, which fixes no scale.
    """
    share = np.ones(len(source)) if weights is None else np.asarray(weights, float)
    share = share / share.sum()
    source_mean, target_mean = share @ source, share @ target
    centred_source, centred_target = source - source_mean, target - target_mean
    variance = float(share @ (centred_source**2).sum(axis=1))
    # Points that coincide differ from their own mean by rounding.
    if variance <= _ROUNDING**2 * float(share @ (source**2).sum(axis=1)):
        raise ValueError("the source points coincide: no scale can be read from them")
    u, singular, vt = np.linalg.svd((centred_target * share[:, None]).T @ centred_source)
    # diag(1, …, -1) turns the nearest reflection into the nearest rotation (eq. 43).
    sign = np.ones(len(singular))
    sign[-1] = np.sign(np.linalg.det(u) * np.linalg.det(vt))
    rotation = (u * sign) @ vt
    scale = float((singular * sign).sum() / variance)
    return Similarity(scale, rotation, target_mean - scale * rotation @ source_mean)
