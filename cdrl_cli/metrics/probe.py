"""What a linear reader finds in features: a test of what was to be left out of them."""

from collections.abc import Container
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch.nn import functional

RIDGE = 1e-2
ITERATIONS = 60


def probe_across_people(
    features: Float[np.ndarray, "clips dim"],
    labels: Int[np.ndarray, " clips"],
    people: list[str],
    *,
    asked: Container[str] | None = None,
) -> Int[np.ndarray, " clips"]:
    """The label of each clip as read by a logistic model of everyone else's clips.

    Classes count alike in the fit, however many clips they have.

    Args:
        features: One row a clip.
        labels: Classes.
        people: Whose clip it is; nobody is both fitted and tested.
        asked: People whose clips are read, if not all; the others' labels are -1.
    """
    read = np.full_like(labels, -1)
    for person in sorted({person for person in people if asked is None or person in asked}):
        own = np.array([name == person for name in people])
        read[own] = _fit_and_read(features[~own], labels[~own], features[own])
    return read


def nearest_centroid(
    features: Float[np.ndarray, "clips dim"], labels: Int[np.ndarray, " clips"]
) -> Int[np.ndarray, " clips"]:
    """The class whose other members' mean lies nearest to each clip (leave one clip out).

    For questions that have few clips a class, where a fitted model would have nothing to fit.

    Args:
        features: One row a clip.
        labels: Classes; each has two clips or more.
    """
    classes = np.unique(labels)
    read = np.zeros_like(labels)
    for index, own in enumerate(features):
        others = np.arange(len(features)) != index
        means = [features[others & (labels == label)].mean(axis=0) for label in classes]
        read[index] = classes[np.linalg.norm(np.stack(means) - own, axis=1).argmin()]
    return read


def balanced_accuracy(read: Int[np.ndarray, " clips"], labels: Int[np.ndarray, " clips"]) -> float:
    """Mean over the classes that occur of the share recognised; chance is 1 / classes.

    >>> balanced_accuracy(np.array([0, 0, 0, 0]), np.array([0, 0, 0, 1]))
    0.5
    """
    return float(np.mean([(read[labels == label] == label).mean() for label in np.unique(labels)]))


def _fit_and_read(
    features: Float[np.ndarray, "clips dim"],
    labels: Int[np.ndarray, " clips"],
    unknown: Float[np.ndarray, "others dim"],
) -> Int[np.ndarray, " others"]:
    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-6
    known, asked = (torch.from_numpy((x - mean) / scale).double() for x in (features, unknown))
    classes, targets = np.unique(labels, return_inverse=True)
    wanted = torch.from_numpy(targets)
    weight = 1 / torch.bincount(wanted).double()
    matrix = torch.zeros(known.shape[1] + 1, len(classes), dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS([matrix], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> Any:
        solver.zero_grad()
        logits = known @ matrix[:-1] + matrix[-1]
        penalty = RIDGE * matrix[:-1].square().sum()
        value = functional.cross_entropy(logits, wanted, weight) + penalty
        value.backward()  # type: ignore[no-untyped-call]
        return value

    with torch.enable_grad():
        solver.step(loss)  # type: ignore[no-untyped-call]
    with torch.inference_mode():
        return classes[(asked @ matrix[:-1] + matrix[-1]).argmax(dim=1).numpy()]
