"""Light and creases of skin: the window that they are seen in, and where on a face they may show.

The network of :mod:`cdrl_cli.generator.skin_network` answers with the logarithm of how much
lighter each point of the skin becomes. The person's own pixels are multiplied by it, so pores,
freckles and beard stay (expression ratio images, Liu et al. 2001).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np

from cdrl_cli.array_types import Float, Float32, Int32, Shaped, UInt8
from cdrl_cli.face.alignment import CROP_SIZE, EYE_DISTANCE_PX
from cdrl_cli.face.blendshapes import COEFFICIENTS, channels
from cdrl_cli.geometry.easing import smoothstep
from cdrl_cli.geometry.warp import chain

WINDOW_SIZE = 256
"""Side of the window, pixels."""

SEEN_SIZE = WINDOW_SIZE // 2
"""Side of what the network sees of it: pores and freckles are not in it, so it erases none."""

WINDOW_EYE_DISTANCE_PX = 112.0
"""Window pixels between the outer eye corners: 1.5 times the crop's, so that creases are as fine
as in photographs of 384 px."""

WINDOW_MIDDLE_Y = 0.38
"""Middle of the window below the crop's, head space: the middle of a face."""

MAP_SIDE = 512
MAP_REACH = 1.6
"""The canonical mask covers so much of head space to each side of the window's middle."""

RIM_FADE = 0.16
"""Over so much inside the outline of the face the change of light ends; head space."""

EYE_FADE, LIP_FADE = 0.045, 0.06
"""Over so much outside eyes and lips it begins."""

BROW_FADES = (0.01, 0.07)
"""Creases are bounded on brows up to the first distance outside of them, and no longer from the
second; head space."""

BROW_BOUND = 0.9
"""Share of a crease that is taken from brows. The network has learned from skin, not from hair, and
lines that it draws across hair look embossed."""

BROWS_DOWN = 0.3
"""But brows that are lowered by so much or more, coefficients, keep their creases: these are of the
skin that they fold."""

BRIDGE_Y = -0.08
BRIDGE_REACH = (0.14, 0.5)
"""Middle of the bridge of the nose and the forehead above it on the canonical face, and half-axes
of the ellipse around it; head space."""

LID_FADES = (0.05, 0.12)
"""Lids reach so far from the opening between them, and end at the second distance; head space."""

MOST_GLOW = 0.04
"""Logarithm of the brightness that lids and the bridge gain at most: a bright ring around eyes and
a bright stripe between brows look drawn."""

SMOOTH_PX = 16
"""What is narrower than about so many window pixels is a crease, what is wider is light."""

RATIO_SIDE, RATIO_REACH = 208, 1.04
"""Cells of the maps of expected ratios, and how much of head space they cover to each side of the
window's middle."""

FLOW_GAIN = 10.0
"""The network is told the flow in tenths of the eye distance."""

STRENGTHS = np.array([2.5, 2.1, 3.4, 2.3, 1.0, 2.5, 1.8], np.float32)
"""So many times each emotion is told the network, in the order of
:class:`~cdrl_cli.emotion.Emotion`: it draws half of the lines that actors show, and the mean of
their light. Chosen on people kept out of training: more where published nets then see the emotion
more surely, less where only the likeness falls (a surprised forehead is smooth); in all so much
that identity is .83 on these people, where .80 is asked for."""

FULL_INTENSITY, BEYOND = 1.1, 0.3
"""Up to the first number the network is told an emotion by its whole intensity, of what is above it
by the second share: the network has seen how people act, and no more. Told twice as much it paints
a mask; movement says the rest."""

LEVELS = (np.arange(256) / 127.5 - 1).astype(np.float32)
"""What networks are told of each level of a colour."""

_SEEN_SOFTNESS_PX = 0.5
"""Blur of the crop before it is shrunk to what the network sees."""

_SOFT = np.array([1, 2, 2, 2, 1], np.float32) / 8
"""A blur that leaves nothing of what repeats every four or two pixels."""
_ALIKE = np.tile(np.array([1, 0, 0, 0], np.float32), 5)[:-3] / 5
"""Mean of what lies alike in five neighbouring squares of four pixels."""
_BROWS_DOWN = channels("browDown")

_BROWS = (
    (70, 63, 105, 66, 107, 55, 65, 52, 53, 46),
    (300, 293, 334, 296, 336, 285, 295, 282, 283, 276),
)
_EYES = (
    (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246),
    (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466),
)
_LIPS = (
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185,
)  # fmt: skip


def window_from_crop(side: int = WINDOW_SIZE) -> Float[np.ndarray, "2 3"]:
    """The matrix that carries points of the aligned crop to points of the window.

    Args:
        side: Of the window's pixels; fewer are larger.
    """
    shrink = side / WINDOW_SIZE
    matrix = shrink * _window_from_crop()
    # Middles of pixels, not their corners, lie at whole numbers.
    matrix[:, 2] += (shrink - 1) / 2
    return matrix


def _window_from_crop() -> Float[np.ndarray, "2 3"]:
    zoom = WINDOW_EYE_DISTANCE_PX / EYE_DISTANCE_PX
    middle = (CROP_SIZE - 1) / 2
    shift = (WINDOW_SIZE - 1) / 2 - zoom * middle
    return np.array([(zoom, 0, shift), (0, zoom, shift - WINDOW_MIDDLE_Y * WINDOW_EYE_DISTANCE_PX)])


@dataclass(frozen=True)
class SkinMasks:
    """Which parts of the canonical face are skin, and which are eyes and mouth."""

    skin: Float32[np.ndarray, "512 512"]
    """How much of a change of light shows, 0..1: 0 outside the face, on its rim, on eyes and lips;
    1 on the rest, with smooth ways between."""
    parts: Float32[np.ndarray, "512 512"]
    """1 on eyes and lips, 0 from some way outside them."""
    brows: Float32[np.ndarray, "512 512"]
    """1 on brows, 0 from some way outside them."""
    calm: Float32[np.ndarray, "512 512"]
    """1 on lids and on the bridge of the nose, 0 from some way outside them."""

    @classmethod
    def draw(
        cls, canonical_xyz: Float[np.ndarray, "478 3"], oval: Int32[np.ndarray, " rim"]
    ) -> "SkinMasks":
        """Draw the masks of a face.

        Args:
            canonical_xyz: Canonical face, head space.
            oval: Landmarks of its outline.
        """
        face = canonical_xyz[:, :2]
        bare = np.ones((MAP_SIDE, MAP_SIDE), np.float32)
        for part, fade in ((_EYES[0], EYE_FADE), (_EYES[1], EYE_FADE), (_LIPS, LIP_FADE)):
            bare *= smoothstep(_depth(face[list(part)], outside=True) / fade)
        lids, brows = (
            1 - smoothstep((_off(face, parts) - start) / (end - start))
            for parts, (start, end) in ((_EYES, LID_FADES), (_BROWS, BROW_FADES))
        )
        return cls(
            skin=bare * smoothstep(_depth(face[oval]) / RIM_FADE),
            parts=1 - bare,
            brows=brows,
            calm=np.maximum(lids, _draw_bridge()),
        )

    def at(
        self, position: Float32[np.ndarray, "axes height width"]
    ) -> tuple[Float32[np.ndarray, "height width"], Float32[np.ndarray, "height width"]]:
        """Both masks where pixels lie at these positions: skin, and parts."""
        skin, parts = read_maps((self.skin, self.parts), position)
        return skin, parts

    @cached_property
    def upper_box(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The least and the largest x, and y, of :attr:`brows` and :attr:`calm`, head space."""
        drawn = (np.maximum(self.brows, self.calm) > 0).astype(np.uint8)
        x, y, columns, rows = cv2.boundingRect(drawn)
        cell = 2 * MAP_REACH / (MAP_SIDE - 1)
        left, top = x * cell - MAP_REACH, y * cell + WINDOW_MIDDLE_Y - MAP_REACH
        return (left, left + columns * cell), (top, top + rows * cell)


def read_maps(
    drawn: Iterable[Float32[np.ndarray, "512 512"]],
    position: Float32[np.ndarray, "axes height width"],
) -> list[Float32[np.ndarray, "height width"]]:
    """Maps of the canonical face, where pixels lie at these positions; 0 outside the face.

    Args:
        drawn: The maps.
        position: x, y and maybe more; head space.
    """
    x, y = (
        (position[axis] - np.float32(low)) * np.float32((MAP_SIDE - 1) / (2 * MAP_REACH))
        for axis, low in ((0, -MAP_REACH), (1, WINDOW_MIDDLE_Y - MAP_REACH))
    )
    # Outside the mesh positions are 0, which is a place on the face.
    np.putmask(x, (position[0] == 0) & (position[1] == 0), np.float32(-2))
    # One by one: two in one picture take half as long again.
    return [cv2.remap(one, x, y, cv2.INTER_LINEAR) for one in drawn]


class Skin:
    """The trained network on one face at a time.

    Args:
        masks: Where it may show.
        network: ONNX copy of :class:`~cdrl_cli.generator.skin_network.SkinModel`, as a session of
            ONNX Runtime.
    """

    def __init__(self, masks: SkinMasks, network: Any) -> None:
        self.masks = masks
        self._network = network
        self._seen_from_crop = window_from_crop(SEEN_SIZE)
        crop_from_half = np.array([(2, 0, 0.5), (0, 2, 0.5)])
        self._seen_from_half = chain(self._seen_from_crop, crop_from_half)
        self._window_from_half = chain(window_from_crop(), crop_from_half)

    def ask(
        self,
        warped: UInt8[np.ndarray, "256 256 3"],
        flow: Float32[np.ndarray, "2 256 256"],
        position: Float32[np.ndarray, "3 128 128"],
        mask: Float32[np.ndarray, "128 128"],
        condition: Float[np.ndarray, " 111"],
    ) -> Float32[np.ndarray, "256 256"]:
        """Logarithm of how much lighter each pixel of the window becomes, if it is skin.

        Args:
            warped: The aligned crop, moved.
            flow: By which it was moved, crop pixels.
            position: On the canonical face, head space; of the crop at half its side.
            mask: Where it is skin, of :meth:`SkinMasks.at`.
            condition: The source's coefficients, their change, the emotion.
        """
        seen = np.empty((1, 9, SEEN_SIZE, SEEN_SIZE), np.float32)
        picture = _see(cv2.GaussianBlur(warped, (0, 0), _SEEN_SOFTNESS_PX), self._seen_from_crop)
        cv2.split(cv2.LUT(picture, LEVELS), list(seen[0, :3]))
        for one, into in zip(flow, seen[0, 3:5], strict=True):
            _see(one, self._seen_from_crop, into)
        seen[0, 3:5] *= np.float32(FLOW_GAIN / EYE_DISTANCE_PX)
        for one, into in zip((mask, *position), seen[0, 5:], strict=True):
            _see(one, self._seen_from_half, into)
        told = condition[None].astype(np.float32)
        told[:, 2 * COEFFICIENTS :] = tell_skin(condition[2 * COEFFICIENTS :])
        (shade,) = self._network.run(None, {"picture": seen, "condition": told})
        return bound_upper_face(drop_pattern(shade[0, 0]), self.masks, seen[0, 6:], condition)

    def show(
        self, light: Float32[np.ndarray, "256 256"], mask: Float32[np.ndarray, "128 128"]
    ) -> Float32[np.ndarray, "256 256"]:
        """What :meth:`ask` answered, 0 where there is no skin.

        Args:
            light: That.
            mask: As of :meth:`ask`, or less of it.
        """
        shown = cv2.warpAffine(mask, self._window_from_half, (WINDOW_SIZE, WINDOW_SIZE))
        return np.asarray(light * shown)


def tell_skin(emotion: Float[np.ndarray, "*batch 7"]) -> Float[np.ndarray, "*batch 7"]:
    """What the network is told of how much of each emotion is asked for.

    Args:
        emotion: Likelihoods times the intensity.
    """
    asked = emotion.sum(axis=-1, keepdims=True)
    excess = np.maximum(asked - FULL_INTENSITY, 0)
    return emotion * STRENGTHS * (1 - (1 - BEYOND) * excess / np.maximum(asked, 1))


def drop_pattern(shade: Float32[np.ndarray, "256 256"]) -> Float32[np.ndarray, "256 256"]:
    """Light and creases without the pattern of squares that the network draws into them.

    It draws four pixels by four from each place that it works at, and some of them always darker
    (Odena et al. 2016, of checkerboards): what is fine and repeats from one such square to the next
    is no crease.

    Args:
        shade: Logarithm of the ratio of brightness.
    """
    fine = shade - cv2.sepFilter2D(shade, -1, _SOFT, _SOFT)
    return np.asarray(shade - cv2.sepFilter2D(fine, -1, _ALIKE, _ALIKE))


def bound_upper_face(
    shade: Float32[np.ndarray, "256 256"],
    masks: SkinMasks,
    position: Float32[np.ndarray, "axes 128 128"],
    condition: Float[np.ndarray, " 111"],
) -> Float32[np.ndarray, "256 256"]:
    """Light and creases without creases on brows, and without glow on lids and between brows.

    Lowered brows keep their creases, but none finer than the squares that the network draws.

    Args:
        shade: Logarithm of the ratio of brightness.
        masks: Tell where brows, lids and the bridge are.
        position: Where on the canonical face each place of the window lies, head space.
        condition: The source's coefficients, their change, the emotion.
    """
    across, down = (
        cv2.inRange(one, low, high)
        for one, (low, high) in zip(position[:2], masks.upper_box, strict=True)
    )
    left, top, columns, rows = cv2.boundingRect(across & down)
    if columns == 0:
        return shade
    zoom = WINDOW_SIZE // SEEN_SIZE
    brows, calm = (
        cv2.resize(one, None, fx=zoom, fy=zoom)
        for one in read_maps(
            (masks.brows, masks.calm), position[:, top : top + rows, left : left + columns]
        )
    )
    bounded = shade.copy()
    part = bounded[zoom * top :, zoom * left :][: len(brows), : brows.shape[1]]
    lowered = float(condition[COEFFICIENTS : 2 * COEFFICIENTS][_BROWS_DOWN].mean())
    bound = np.float32(BROW_BOUND * min(max(1 - lowered / BROWS_DOWN, 0.0), 1.0))
    soft, light = cv2.sepFilter2D(part, -1, _SOFT, _SOFT), cv2.blur(part, (SMOOTH_PX, SMOOTH_PX))
    held = soft + bound * (light - soft)
    part += brows * (held - part)
    glow = np.maximum(part, 0)
    part -= calm * (glow - np.float32(MOST_GLOW) * np.tanh(glow / np.float32(MOST_GLOW)))
    return bounded


def _see(
    values: Shaped[np.ndarray, "side side *more"],
    seen_from_values: Float[np.ndarray, "2 3"],
    into: Float32[np.ndarray, "128 128"] | None = None,
) -> Shaped[np.ndarray, "128 128 *more"]:
    """Values as the network sees them."""
    return cv2.warpAffine(values, seen_from_values, (SEEN_SIZE, SEEN_SIZE), dst=into)


def _off(
    face: Float[np.ndarray, "478 2"], parts: tuple[tuple[int, ...], ...]
) -> Float32[np.ndarray, "side side"]:
    """How far outside of the nearest of some outlines each cell of the map lies, head space."""
    return np.minimum.reduce([_depth(face[list(one)], outside=True) for one in parts])


def _draw_bridge() -> Float32[np.ndarray, "512 512"]:
    """1 in the inner half of the ellipse around the bridge of the nose, 0 outside of it."""
    cells = np.linspace(-MAP_REACH, MAP_REACH, MAP_SIDE, dtype=np.float32)
    x = cells / np.float32(BRIDGE_REACH[0])
    y = (cells[:, None] + np.float32(WINDOW_MIDDLE_Y - BRIDGE_Y)) / np.float32(BRIDGE_REACH[1])
    return np.clip(2 * (1 - np.hypot(x, y)), 0, 1)


def _depth(
    outline: Float[np.ndarray, "rim 2"], *, outside: bool = False
) -> Float32[np.ndarray, "side side"]:
    """How far inside (or outside) an outline each cell of the map lies, head space; 0 beyond it."""
    scale = (MAP_SIDE - 1) / (2 * MAP_REACH)
    cells = (outline - (-MAP_REACH, WINDOW_MIDDLE_Y - MAP_REACH)) * scale
    drawn = np.zeros((MAP_SIDE, MAP_SIDE), np.uint8)
    cv2.fillPoly(drawn, [np.round(cells * 16).astype(np.int32)], 1, shift=4)
    if outside:
        drawn = 1 - drawn
    off = cv2.distanceTransform(drawn, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # Their squares are whole numbers. OpenCV on one thread leaves some a bit beside them, which
    # ones depends on where in memory the map lies; rounded, the same face has the same map.
    return np.sqrt(np.rint(off * off)) / np.float32(scale)
