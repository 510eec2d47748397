"""What a linear reader finds in features: a test of what was to be left out of them."""

from collections.abc import Container

import numpy as np

from cdrl_cli.array_types import Float, Int
from cdrl_cli.errors import UsageError

RIDGE = 1e-2
"""Weight of the squared coefficients beside the mean cross entropy, in nats."""

ITERATIONS = 1000
"""Steps of the solver at most."""


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

    Raises:
        UsageError: If scikit-learn is not installed.
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
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise UsageError(
            "probes are fitted by scikit-learn, which is not installed",
            hint="pip install 'spfem[evaluate]'",
        ) from error
    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-6
    # scikit-learn sums over the clips where the ridge is meant for their mean.
    strength = 1 / (2 * RIDGE * len(features))
    model = LogisticRegression(C=strength, class_weight="balanced", max_iter=ITERATIONS)
    model.fit((features - mean) / scale, labels)
    return np.asarray(model.predict((unknown - mean) / scale))
