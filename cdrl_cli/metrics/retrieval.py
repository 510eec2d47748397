"""Whether codes of two kinds find each other."""

import torch
from torch import Tensor

from cdrl_cli.array_types import Bool, Float


def found_first(
    queries: Float[Tensor, "batch dim"], answers: Float[Tensor, "batch dim"]
) -> Bool[Tensor, " batch"]:
    """Whether each query is nearer to its own answer than to any other one.

    A tie is a miss: codes that are all alike find nothing.

    Args:
        queries: Unit vectors.
        answers: Unit vectors; row ``i`` belongs to query ``i``.

    >>> found_first(torch.eye(3), torch.eye(3)).tolist()
    [True, True, True]
    >>> found_first(torch.ones(3, 2), torch.ones(3, 2)).tolist()
    [False, False, False]
    """
    likeness = queries @ answers.T
    own = likeness.diagonal()
    itself = torch.eye(len(queries), dtype=torch.bool, device=likeness.device)
    others = likeness.masked_fill(itself, -torch.inf)
    return own > others.amax(dim=1)
