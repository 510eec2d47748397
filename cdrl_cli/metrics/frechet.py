"""How far two clouds of features lie apart."""

import numpy as np

from cdrl_cli.array_types import Float


def frechet_distance(one: Float[np.ndarray, "n dim"], other: Float[np.ndarray, "m dim"]) -> float:
    r"""Fréchet distance of the normal distributions fitted to two sets of features.

    .. math:: d^2 = \lVert \mu_1 - \mu_2 \rVert^2
        + \operatorname{tr}\bigl(\Sigma_1 + \Sigma_2 - 2 (\Sigma_1 \Sigma_2)^{1/2}\bigr)

    (Dowson and Landau 1982; as :math:`d^2` in Heusel et al. 2017).

    Args:
        one: Two rows or more.
        other: Two rows or more.

    Returns:
        :math:`d^2`, >= 0.

    Raises:
        ValueError: If a set has fewer than two rows.

    >>> cloud = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    >>> round(frechet_distance(cloud, cloud + 3.0), 6)
    18.0
    """
    if min(len(one), len(other)) < 2:  # noqa: PLR2004 - a spread needs two
        raise ValueError(f"two rows or more, got {len(one)} and {len(other)}")
    apart = float(((one.mean(axis=0) - other.mean(axis=0)) ** 2).sum())
    # Sigma = R^T R, with R of the centred rows' QR decomposition; then the trace of the root is
    # the sum of the singular values of R1 R2^T, and no root of an asymmetric matrix is needed.
    one_root, other_root = (_root(x) for x in (one, other))
    traces = float((one_root**2).sum() + (other_root**2).sum())
    overlap = float(np.linalg.svd(one_root @ other_root.T, compute_uv=False).sum())
    return max(apart + traces - 2 * overlap, 0.0)


def _root(rows: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "rank dim"]:
    centred = (rows - rows.mean(axis=0)) / np.sqrt(len(rows) - 1)
    return np.asarray(np.linalg.qr(centred, mode="r"))
