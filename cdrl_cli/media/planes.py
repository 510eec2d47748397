"""Planes: how samples of a pixel format lie in memory, and which formats can be edited in place.

Frames are edited as planar YUV (one array for luma, two for chroma). Whatever a decoder delivers
otherwise is brought there once, by the reader, without losing depth or chroma.
"""

from dataclasses import dataclass
from typing import Any, Final

import av
import numpy as np
from numpy.typing import NDArray

from cdrl_cli.array_types import Float32, Shaped
from cdrl_cli.errors import UnreadableInputError
from cdrl_cli.media.orientation import Box

_CHROMA_NAMES: Final = {
    (1, 1): "420", (1, 0): "422", (0, 0): "444", (0, 1): "440", (2, 0): "411", (2, 2): "410",
}  # fmt: skip
TRANSPARENT: Final = "is partly transparent and becomes opaque"
"""What a user is told of alpha, which no output has."""
_BYTE_BITS: Final = 8
_DEPTHS: Final = (8, 9, 10, 12, 14, 16)


@dataclass(frozen=True, slots=True)
class PlanarFormat:
    """A planar YUV pixel format with samples of native byte order."""

    name: str
    """FFmpeg's name."""
    bit_depth: int
    chroma_shift_x: int
    """A chroma sample serves ``2 ** chroma_shift_x`` pixels of a row."""
    chroma_shift_y: int

    @property
    def is_deep(self) -> bool:
        """Samples have more bits than a byte and are stored in two."""
        return self.bit_depth > _BYTE_BITS

    @property
    def shifts(self) -> tuple[tuple[int, int], ...]:
        """(x, y) shift of each plane: luma, then the two chroma planes."""
        chroma = (self.chroma_shift_x, self.chroma_shift_y)
        return (0, 0), chroma, chroma


@dataclass(frozen=True, slots=True)
class Editable:
    """The planar format to edit a pixel format in."""

    format: PlanarFormat
    loss: str | None
    """What the conversion costs, or None if every sample keeps its value."""


def editable_format(name: str) -> Editable:
    """Nearest planar YUV format of at least the same depth and chroma resolution.

    Args:
        name: FFmpeg's name of a pixel format.
    """
    if is_floating(name):  # RGB or grey; goes through RGB
        return Editable(_planar(_DEPTHS[-1], (0, 0)), "is of floating point and becomes YUV")
    source = av.VideoFormat(name, 16, 16)
    components = source.components
    if not components:
        raise UnreadableInputError(f"pictures of the format {name} cannot be edited")
    bits = max(component.bits for component in components)
    depth = next((known for known in _DEPTHS if known >= bits), _DEPTHS[-1])
    if source.is_rgb or source.has_palette:
        return Editable(_planar(depth, (0, 0)), "is RGB and becomes YUV")
    has_alpha = any(component.is_alpha for component in components)
    _luma, *chroma = (component for component in components if not component.is_alpha)
    if not chroma:
        return Editable(_planar(depth, (1, 1)), "has no colour and gets neutral chroma")
    # Of 16 x 16 pixels: 16 chroma columns are a shift of 0, 8 of 1, 4 of 2.
    shift_x = (16 // source.chroma_width(16)).bit_length() - 1
    shift_y = (16 // source.chroma_height(16)).bit_length() - 1
    if name.startswith("yuvj"):
        return Editable(PlanarFormat(name, depth, shift_x, shift_y), None)
    loss = TRANSPARENT if has_alpha else None
    return Editable(_planar(depth, (shift_x, shift_y)), loss)


def is_floating(name: str) -> bool:
    """Whether samples of a pixel format are numbers of floating point.

    >>> is_floating("gbrpf32le"), is_floating("rgb24")
    (True, False)
    """
    return name.removesuffix("le").removesuffix("be").endswith(("f16", "f32"))


def planar_format(name: str) -> PlanarFormat:
    """Layout of a format that is planar YUV already."""
    return editable_format(name).format


def _planar(depth: int, shifts: tuple[int, int]) -> PlanarFormat:
    suffix = "p" if depth == _BYTE_BITS else f"p{depth}le"
    return PlanarFormat(f"yuv{_CHROMA_NAMES[shifts]}{suffix}", depth, *shifts)


def plane_arrays(frame: av.VideoFrame, layout: PlanarFormat) -> list[NDArray[Any]]:
    """Views of a planar frame's samples, (rows, columns) each, without the padding of rows.

    Writing to them writes to the frame, and to every other frame that shares its memory.
    """
    dtype = np.dtype("<u2" if layout.is_deep else np.uint8)
    arrays = []
    for plane in frame.planes:
        stride = abs(plane.line_size) // dtype.itemsize
        rows = np.frombuffer(memoryview(plane), dtype)[: stride * plane.height].reshape(
            plane.height, stride
        )
        if plane.line_size < 0:  # stored bottom row first
            rows = rows[::-1]
        arrays.append(rows[:, : plane.width])
    return arrays


def align_box(box_xyxy: Box, width: int, height: int, layout: PlanarFormat, margin: int) -> Box:
    """Grow a box to whole chroma samples, and by ``margin`` of them, inside the picture."""
    x0, y0, x1, y1 = box_xyxy
    step_x, step_y = 1 << layout.chroma_shift_x, 1 << layout.chroma_shift_y
    return (
        max(x0 // step_x - margin, 0) * step_x,
        max(y0 // step_y - margin, 0) * step_y,
        min((-(-x1 // step_x) + margin) * step_x, width),
        min((-(-y1 // step_y) + margin) * step_y, height),
    )


def crop_planes(planes: list[NDArray[Any]], box_xyxy: Box, layout: PlanarFormat) -> list[Any]:
    """Views of the samples that serve an aligned box."""
    x0, y0, x1, y1 = box_xyxy
    return [
        plane[y0 >> dy : -(-y1 >> dy), x0 >> dx : -(-x1 >> dx)]
        for plane, (dx, dy) in zip(planes, layout.shifts, strict=True)
    ]


def resize_plane(
    plane: Shaped[np.ndarray, "rows columns"], width: int, height: int
) -> tuple[Shaped[np.ndarray, "height width"], float]:
    """A plane at another size: halved while that leaves enough, then read between its samples.

    A tenth of the work of taking the mean of whatever each new sample covers.

    Args:
        plane: Samples.
        width: Columns of the result.
        height: Rows of the result.

    Returns:
        The result, and by how much its samples are too large on the mean: OpenCV rounds a half up
        whenever it takes the mean of four.
    """
    import cv2  # which mere reading and writing does without

    bias = 0.0
    while plane.shape[1] >= 2 * width and plane.shape[0] >= 2 * height:
        rows, columns = (side // 2 for side in plane.shape)
        even = plane[: 2 * rows, : 2 * columns]
        plane = cv2.resize(even, (columns, rows), interpolation=cv2.INTER_AREA)
        bias += 1 / 8
    if plane.shape != (height, width):
        # Of one with chroma at a quarter in one direction alone, the other may still be large.
        is_large = plane.shape[1] >= 2 * width or plane.shape[0] >= 2 * height
        how = cv2.INTER_AREA if is_large else cv2.INTER_LINEAR
        plane = cv2.resize(plane, (width, height), interpolation=how)
    return plane, bias


def blend_planes(
    targets: list[NDArray[Any]],
    patches: list[NDArray[Any]],
    mask: Float32[np.ndarray, "height width"],
    layout: PlanarFormat,
) -> None:
    """Move samples towards a patch, in place; samples under a mask of 0 keep their bits.

    Args:
        targets: Planes of an aligned box.
        patches: Planes of the same sizes.
        mask: Weight of each pixel of the box, 0..1. A chroma sample takes the mean over the pixels
            it serves, so it is touched where any of them is.
        layout: Of both.
    """
    chroma = block_means(mask, 1 << layout.chroma_shift_x, 1 << layout.chroma_shift_y)
    for target, patch, weight in zip(targets, patches, (mask, chroma, chroma), strict=True):
        mixed = target + (patch.astype(np.float32) - target) * weight
        np.copyto(target, np.rint(mixed).astype(target.dtype), where=weight > 0)


def block_means(
    mask: Float32[np.ndarray, "height width"], step_x: int, step_y: int
) -> Float32[np.ndarray, "rows columns"]:
    """Mean of a mask over the pixels that each sample serves.

    Args:
        mask: Of luma samples; begins at one that a sample begins at.
        step_x: Luma samples that each sample serves, in x.
        step_y: The same in y.
    """
    if step_x == step_y == 1:
        return mask
    import cv2  # which mere reading and writing does without

    height, width = mask.shape
    down, across = -height % step_y, -width % step_x
    if down or across:
        # At an odd edge the last sample serves fewer pixels; repeating them keeps their mean.
        mask = cv2.copyMakeBorder(mask, 0, down, 0, across, cv2.BORDER_REPLICATE)
    size = mask.shape[1] // step_x, mask.shape[0] // step_y
    # An eighth of the time of strided sums.
    return np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA))
