"""Would somebody believe an edit? Measures of the picture, beside the judge of emotions.

Convention: pictures are aligned crops (:mod:`cdrl_cli.face.alignment`), sRGB; landmarks are pixels
of theirs.
"""

import cv2
import numpy as np

from cdrl_cli.array_types import Bool, Float, Float32, Int, UInt8
from cdrl_cli.errors import UsageError

PATCH_SIDE_PX = 64
"""Side of a patch; a face is some 160 pixels wide on its crop."""

PATCH_STEP_PX = 40
"""Distance of the centres of two patches."""

RIM_INSIDE = (0.78, 0.95)
RIM_OUTSIDE = (1.08, 1.3)
"""The bands on both sides of the face's outline, in distances from its middle to the outline."""

RIM_SECTORS = 12
"""Parts of the rim, around the face, that are compared each with its own neighbourhood."""

FEWEST_PIXELS = 20
"""A sector with fewer pixels in one of its bands is not compared: it lies outside the picture."""

REGULARISATION = 1e-3
"""Inverse strength of the ridge of :func:`rate_patches`: there are more features than frames."""

Picture = UInt8[np.ndarray, "side side 3"]
Patch = UInt8[np.ndarray, "patch patch 3"]
Outline = Float[np.ndarray, "rim 2"]


def cut_patches(picture: Picture, outline_xy: Outline) -> list[Patch]:
    """The patches of a face: on an even grid, those whose centre lies inside its outline."""
    side, half = picture.shape[0], PATCH_SIDE_PX // 2
    inside = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillPoly(inside, [np.round(outline_xy).astype(np.int32)], 1)
    centres = range(half, side - half + 1, PATCH_STEP_PX)
    return [
        picture[y - half : y + half, x - half : x + half]
        for y in centres
        for x in centres
        if inside[y, x]
    ]


def rate_patches(
    features: Float32[np.ndarray, "patches dim"],
    is_edited: Bool[np.ndarray, " patches"],
    unknown: Float32[np.ndarray, "others dim"],
) -> Float[np.ndarray, " others"]:
    """How edited patches look to a classifier that learned from patches of other people.

    A logistic model of features, ridge, in which edited and real patches count alike.

    Args:
        features: Of patches to learn from.
        is_edited: Which of them are.
        unknown: Of patches of somebody who is not among them.

    Raises:
        UsageError: If scikit-learn is not installed.
    """
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise UsageError(
            "patches are rated by scikit-learn, which is not installed",
            hint="pip install 'spfem[evaluate]'",
        ) from error
    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-3
    model = LogisticRegression(C=REGULARISATION, class_weight="balanced", max_iter=300)
    model.fit((features - mean) / scale, is_edited)
    return np.asarray(model.decision_function((unknown - mean) / scale), float)


def separation(edited: Float[np.ndarray, " n"], real: Float[np.ndarray, " m"]) -> float:
    """Area under the ROC curve: how often an edited patch is rated more edited than a real one.

    Returns:
        0..1; .5 where nobody can tell; NaN where there is nothing to compare.

    >>> separation(np.array([2.0, 3.0]), np.array([0.0, 1.0]))
    1.0
    """
    if not len(edited) or not len(real):
        return float("nan")
    more = (edited[:, None] > real).mean()
    return float(more + 0.5 * (edited[:, None] == real).mean())


def rim_step(source: Picture, output: Picture, outline_xy: Outline) -> float:
    """Step of colour that an edit puts across the rim of the face.

    The difference of the mean colours just inside and just outside the face's outline, in each
    sector around it; how far it moved from source to output. Face, neck and ears of one light move
    together.

    Args:
        source: The aligned crop.
        output: The same crop after the edit.
        outline_xy: Of the source.

    Returns:
        Mean over the sectors of the Euclidean distance in CIELAB, 0 where nothing steps; 2.3 is
        just noticed (Mahy et al. 1994).
    """
    bands = _bands(source.shape[0], outline_xy)
    changes = (_lab(output) - _lab(source)).astype(float)
    steps = []
    for sector in range(RIM_SECTORS):
        inside, outside = (changes[band == sector] for band in bands)
        if min(len(inside), len(outside)) >= FEWEST_PIXELS:
            steps.append(float(np.linalg.norm(inside.mean(axis=0) - outside.mean(axis=0))))
    return float(np.mean(steps)) if steps else float("nan")


def principal_axes(
    features: Float[np.ndarray, "n dim"], *, count: int
) -> Float[np.ndarray, "dim axes"]:
    """The directions in which features vary most, unit vectors, at most ``count``.

    A Fréchet distance of few pictures is known only in few directions.
    """
    centred = features - features.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    return axes[:count].T


def is_found_first(
    shown: Float[np.ndarray, " dim"],
    own: Float[np.ndarray, " dim"],
    others: Float[np.ndarray, "people dim"],
) -> bool:
    """Whether a face is nearer to another picture of its person than to anybody else's.

    Args:
        shown: Unit vector of the face.
        own: Of another picture of the person.
        others: Of one picture each of other people.
    """
    return bool(shown @ own > (others @ shown).max(initial=-np.inf))


def _lab(picture: Picture) -> Float32[np.ndarray, "side side 3"]:
    return np.asarray(cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB))


def _bands(
    side: int, outline_xy: Outline
) -> tuple[Int[np.ndarray, "side side"], Int[np.ndarray, "side side"]]:
    """The sector of each pixel just inside and just outside the outline, -1 elsewhere."""
    middle = outline_xy.mean(axis=0)
    y, x = np.mgrid[:side, :side] - middle[::-1, None, None]
    sector = ((np.arctan2(y, x) / (2 * np.pi) + 0.5) * RIM_SECTORS).astype(int) % RIM_SECTORS

    def fill(reach: float) -> Bool[np.ndarray, "side side"]:
        canvas = np.zeros((side, side), np.uint8)
        points = middle + reach * (outline_xy - middle)
        cv2.fillPoly(canvas, [np.round(points).astype(np.int32)], 1)
        return canvas > 0

    near, far = (np.where(fill(high) & ~fill(low), sector, -1) for low, high in
                 (RIM_INSIDE, RIM_OUTSIDE))  # fmt: skip
    return near, far
