"""A triangle mesh over the face: which triangles it has, when it folds, what it moves between.

Convention: points are (x, y) in pixels, y down; the centre of the top left pixel is (0, 0).
"""

import itertools
from dataclasses import dataclass

import cv2
import numpy as np

from cdrl_cli.array_types import Bool, Float, Float32, Int, Int32, Shaped

_LEAST_AREA_PX = 1e-3
"""A triangle seen edge-on covers no pixel and fixes no plane."""

_LEAST_HEIGHT_OF_EDGE = 1e-9
"""An edge that is less steep lies in a row, pixels: no row is crossed by it."""

_AREA_SLACK_PX = 0.1
"""By so much less than asked for a triangle may end. With a tenth of it neighbours that fold in
turn take a third more rounds, and nothing is seen of it."""

_LEAST_HEIGHT_PX = 1.0
"""A triangle thinner than a pixel has no slope across."""


@dataclass(frozen=True, slots=True)
class FaceMesh:
    """The fixed part: which landmark is whose neighbour."""

    triangles: Int32[np.ndarray, "triangles 3"]
    """Landmark indices, one turning sense for all that face the camera."""
    oval: Int32[np.ndarray, " rim"]
    """Landmarks on the outline of the face, in order around it."""

    def with_ring(self) -> Int32[np.ndarray, "more 3"]:
        """Triangles of the mesh and of a ring around it (see :func:`add_ring`)."""
        count = int(self.triangles.max()) + 1
        outer = count + np.arange(len(self.oval), dtype=np.int32)
        inner_next, outer_next = np.roll(self.oval, -1), np.roll(outer, -1)
        return np.concatenate(
            [
                self.triangles,
                np.stack([self.oval, outer, inner_next], axis=1),
                np.stack([inner_next, outer, outer_next], axis=1),
            ]
        ).astype(np.int32)


def add_ring(
    points_xy: Float[np.ndarray, "points 2"], oval: Int32[np.ndarray, " rim"], *, reach: float
) -> Float[np.ndarray, "more 2"]:
    """The points, then one more for each point of the oval, ``reach`` times as far from its middle.

    The ring stands still while the face moves, so motion fades to zero between oval and ring.

    Raises:
        ValueError: If ``reach`` is not above 1.
    """
    if reach <= 1:
        raise ValueError(f"the ring must lie outside the oval: reach > 1, got {reach}")
    rim = points_xy[oval]
    middle = rim.mean(axis=0)
    return np.concatenate([points_xy, middle + reach * (rim - middle)])


def signed_areas(
    points_xy: Float[np.ndarray, "points 2"], triangles: Int32[np.ndarray, "triangles 3"]
) -> Float[np.ndarray, " triangles"]:
    """Twice the area of each triangle; the sign tells the turning sense."""
    return _areas(_as_complex(points_xy).take(triangles.T))


def _as_complex(points_xy: Float[np.ndarray, "points 2"]) -> Shaped[np.ndarray, " points"]:
    """Places as complex numbers, x + iy: both in one step, and areas as products."""
    return np.ascontiguousarray(points_xy, float).view(complex)[:, 0]


def unfold(
    points_xy: Float[np.ndarray, "points 2"],
    displacement_xy: Float[np.ndarray, "points 2"],
    triangles: Int32[np.ndarray, "triangles 3"],
    *,
    least_area: float = 0.25,
    rounds: int = 24,
) -> Float[np.ndarray, "points 2"]:
    """Change a displacement as little as it needs so that no triangle folds over.

    A triangle folds when its area changes sign, and it is pressed flat when little is left. Where
    one would keep less than ``least_area`` of its area, its corners are drawn towards their common
    displacement, or towards a corner that stands still, just so far that it keeps that: the
    constraints of position-based dynamics (Mueller et al. 2007), one after another round. They
    grow from nothing, so that a face that moves steadily is still steady where triangles begin to
    fold. What still folds after the last round is weakened, and in the end does not move at all,
    nor do neighbours that would fold over it.

    Args:
        points_xy: Where the points are.
        displacement_xy: Where they want to go, relative to it; who does not want to move does not.
        triangles: Turned-away triangles may be among them; each is compared with itself.
        least_area: Share of its area that a triangle must keep, 0..1.
        rounds: Attempts to draw corners together, and as many to weaken what is left.

    Returns:
        The displacement, unchanged where nothing folds.
    """
    points, moved = _as_complex(points_xy), _as_complex(displacement_xy).copy()
    still = moved == 0
    corners_of = triangles.T
    before = _areas(points.take(corners_of))
    sense = np.sign(before)
    # Triangles seen edge-on have no area to keep; a pixel of slack frees them.
    floor = sense * before * least_area - 0.5
    # It ends: past the rounds each attempt stills at least one point more.
    for attempt in itertools.count():
        after = _areas((points + moved).take(corners_of)) * sense
        (folded,) = (after < floor - _AREA_SLACK_PX).nonzero()
        if not len(folded):
            break
        corners = corners_of[:, folded]
        if attempt < rounds:
            moves = moved[corners]
            kept = _shares_before_folding(points[corners], moves, sense[folded], floor[folded])
            # To one that stands still the others are drawn: their mean would be half of the way.
            held = still[corners].any(axis=0)
            free = ~held
            apart = moves[:, free] - moves[:, free].mean(axis=0)
            np.subtract.at(moved, corners[:, free], (1 - kept[free]) * apart)
            if held.any():
                shares = np.ones(len(moved))
                # Repeated by hand: numpy 2.4 reads beyond the end of what it is to repeat here.
                np.minimum.at(shares, corners[:, held].ravel(), np.tile(kept[held], 3))
                moved *= shares
        else:
            moved[np.unique(corners)] *= 0.8 if attempt < 2 * rounds else 0.0
    return moved[:, None].view(float)


def _areas(corners: Shaped[np.ndarray, "3 triangles"]) -> Float[np.ndarray, " triangles"]:
    """Twice the area of each triangle, with the sign of its turning sense; its corners, x + iy."""
    first, second, third = corners
    return np.asarray(((second - first).conj() * (third - first)).imag)


def _shares_before_folding(
    corners: Shaped[np.ndarray, "3 folded"],
    moves: Shaped[np.ndarray, "3 folded"],
    sense: Float[np.ndarray, " folded"],
    floor: Float[np.ndarray, " folded"],
) -> Float[np.ndarray, " folded"]:
    """How much of the differences between its corners' moves takes each triangle to its floor.

    Its area is a quadratic in that share, above the floor at 0 and below it at 1.
    """
    (u, v), (du, dv) = corners[1:] - corners[0], moves[1:] - moves[0]
    spare = sense * (u.conj() * v).imag - floor
    slope = sense * (u.conj() * dv + du.conj() * v).imag
    bend = sense * (du.conj() * dv).imag
    return 2 * spare / (-slope + np.sqrt(np.maximum(slope * slope - 4 * bend * spare, 0.0)))


def interpolate(
    points_xy: Float[np.ndarray, "points 2"],
    values: Float[np.ndarray, "points channels"],
    triangles: Int32[np.ndarray, "triangles 3"],
    depth: Float[np.ndarray, " points"],
    *,
    size: int,
) -> tuple[Float32[np.ndarray, "size size channels"], Bool[np.ndarray, "size size"]]:
    r"""Spread values at the points linearly over their triangles, on a square pixel grid.

    Inside triangle :math:`t`, channel :math:`k` is :math:`a_{tk} x + b_{tk} y + c_{tk}`, fixed by
    its three corners; a pixel asks only which triangle it lies in.

    Args:
        points_xy: Pixels of the grid.
        values: One row a point.
        triangles: Corners of each triangle.
        depth: Distance from the camera of each point; nearer triangles hide farther ones.
        size: Side of the grid, pixels.

    Returns:
        The values (0 where there is no triangle), and where there is one.
    """
    owner = draw_owners(points_xy, triangles, depth, size=size)
    planes = fit_planes(points_xy, values, triangles)
    return np.ascontiguousarray(read_planes(planes, owner).transpose(1, 2, 0)), owner > 0


def fit_planes(
    points_xy: Float[np.ndarray, "points 2"],
    values: Float[np.ndarray, "points channels"],
    triangles: Int32[np.ndarray, "triangles 3"],
) -> Float32[np.ndarray, "channels 3 planes"]:
    """The plane of each channel over each triangle: slopes in x and y, value at the origin.

    Args:
        points_xy: Pixels of the grid.
        values: One row a point.
        triangles: Corners of each triangle.

    Returns:
        A plane for each owner (:func:`draw_owners`); the first one, of those without, is 0.
    """
    corners = triangles.T
    # A column at a time, here and below: corner by corner takes twice as long.
    (x, y), held = points_xy.T.take(corners, axis=1), values.T.take(corners, axis=1)
    # Cramer's rule: ten times as fast as numpy's solver on so many so small systems.
    abx, acx, aby, acy = x[1] - x[0], x[2] - x[0], y[1] - y[0], y[2] - y[0]
    b, c = held[:, 1] - held[:, 0], held[:, 2] - held[:, 0]
    area = abx * acy - aby * acx
    per_area = np.zeros_like(area)
    np.divide(1, area, out=per_area, where=np.abs(area) > _LEAST_AREA_PX)  # the others never show
    across, down = (b * acy - c * aby) * per_area, (c * abx - b * acx) * per_area
    origin = held[:, 0] - across * x[0] - down * y[0]
    # A pixel drawn for a triangle may lie up to a pixel outside it. There the plane of a triangle
    # seen almost edge-on has run far away: such a one slopes along its longest side alone.
    dx, dy = np.stack([abx, acx - abx, -acx]), np.stack([aby, acy - aby, -acy])
    squares = dx * dx + dy * dy
    longest = squares.max(axis=0)
    (thin,) = np.nonzero(area * area < _LEAST_HEIGHT_PX**2 * longest)
    start = squares[:, thin].argmax(axis=0)
    rise = held[:, (start + 1) % 3, thin] - held[:, start, thin]
    across[:, thin], down[:, thin] = (
        rise * (side[start, thin] / longest[thin]) for side in (dx, dy)
    )
    middle = held[:, :, thin].mean(axis=1)
    for slope, axis in ((across, x), (down, y)):
        middle -= slope[:, thin] * axis[:, thin].mean(axis=0)
    origin[:, thin] = middle
    planes = np.zeros((values.shape[1], 3, 1 + len(triangles)), np.float32)
    for place, found in enumerate((across, down, origin)):
        planes[:, place, 1:] = found
    return planes


def read_planes(
    planes: Float32[np.ndarray, "channels 3 planes"],
    owner: Int32[np.ndarray, "size size"],
    *,
    step: int = 1,
) -> Float32[np.ndarray, "channels size size"]:
    """The values of each pixel by the plane of its triangle; 0 where there is none.

    Args:
        planes: Of :func:`fit_planes`.
        owner: Triangle of each pixel of the grid, from 1; 0 where there is none.
        step: The grid's pixels are squares of so many of those that the planes count.
    """
    left, top, columns, rows = cv2.boundingRect((owner > 0).astype(np.uint8))
    part = np.s_[top : top + rows, left : left + columns]
    middle = np.float32((step - 1) / 2)
    x = np.arange(left, left + columns, dtype=np.float32) * step + middle
    y = np.arange(top, top + rows, dtype=np.float32)[:, None] * step + middle
    spread = np.zeros((len(planes), *owner.shape), np.float32)
    chosen = owner[part].astype(np.intp)
    for channel, (a, b, c) in zip(spread, planes, strict=True):
        # Read a column at a time: five times as fast as whole rows of the table of planes.
        found = a.take(chosen)
        found *= x
        sloped = b.take(chosen)
        sloped *= y
        found += sloped
        np.add(found, c.take(chosen), out=channel[part])
    return spread


def draw_owners(
    points_xy: Float[np.ndarray, "points 2"],
    triangles: Int32[np.ndarray, "triangles 3"],
    depth: Float[np.ndarray, " points"],
    *,
    size: int,
) -> Int32[np.ndarray, "size size"]:
    """Which triangle each pixel of a grid lies in: its index plus one, 0 where there is none.

    Args:
        points_xy: Pixels of the grid.
        triangles: Corners of each triangle; one without an area is not drawn.
        depth: Distance from the camera of each point; nearer triangles hide farther ones.
        size: Side of the grid, pixels.
    """
    order = np.argsort(-depth[triangles.T].sum(axis=0), kind="stable")
    drawn = order[np.abs(signed_areas(points_xy, triangles))[order] > _LEAST_AREA_PX]
    # All triangles at once, row by row, the farthest first: half the time of a library's polygons
    # one by one, each of which would hand Python's lock to another thread.
    one, other, row, owner_of_row = _rows(points_xy, triangles[drawn].T, drawn + 1, size)
    first = np.ceil(np.minimum(one, other)).clip(0, size).astype(np.int32)
    behind = np.floor(np.maximum(one, other)).clip(-1, size - 1).astype(np.int32) + 1
    begin = row * size
    counts, place = _count_up(begin + first, begin + behind)
    owner = np.zeros((size, size), np.int32)
    owner.ravel()[place] = owner_of_row.repeat(counts)
    return owner


def _rows(
    points_xy: Float[np.ndarray, "points 2"],
    corners: Int32[np.ndarray, "3 triangles"],
    owners: Int[np.ndarray, " triangles"],
    size: int,
) -> tuple[
    Float[np.ndarray, " rows"],
    Float[np.ndarray, " rows"],
    Int32[np.ndarray, " rows"],
    Int32[np.ndarray, " rows"],
]:
    """The rows of a grid that triangles meet, triangle after triangle.

    Returns:
        Of each, the two x between which it is inside; which row it is; and whose.
    """
    x, y = points_xy.T.take(corners, axis=1)
    down = y.argsort(axis=0)
    x, y = (np.take_along_axis(one, down, axis=0) for one in (x, y))
    # The long edge is on one side; on the other one edge down to the middle corner, one below it.
    upper, lower = np.array([0, 0, 1]), np.array([2, 1, 2])
    height = y[lower] - y[upper]
    slope = np.zeros_like(height)
    np.divide(x[lower] - x[upper], height, out=slope, where=height > _LEAST_HEIGHT_OF_EDGE)
    at_zero = x[upper] - slope * y[upper]
    middle = np.ceil(y[1])
    low = np.stack([np.ceil(y[0]), middle]).clip(0, size).astype(np.int32)
    behind = np.stack([middle, np.floor(y[2]) + 1]).clip(0, size).astype(np.int32)
    # A triangle's upper part, its lower one, and then the next triangle.
    counts, row = _count_up(low.T.ravel(), behind.T.ravel())
    by_triangle = counts.reshape(-1, 2).sum(axis=1)
    one, other = (
        start.repeat(times) + tilt.repeat(times) * row
        for start, tilt, times in (
            (at_zero[0], slope[0], by_triangle),
            (at_zero[1:].T.ravel(), slope[1:].T.ravel(), counts),
        )
    )
    return one, other, row, owners.astype(np.int32).repeat(by_triangle)


def _count_up(
    low: Int32[np.ndarray, " ranges"], behind: Int32[np.ndarray, " ranges"]
) -> tuple[Int32[np.ndarray, " ranges"], Int32[np.ndarray, " all"]]:
    """The whole numbers of ranges, one after another: how many each has, and the numbers."""
    counts = np.maximum(behind - low, 0)
    begin = (low - counts.cumsum(dtype=np.int32) + counts).repeat(counts)
    begin += np.arange(len(begin), dtype=np.int32)
    return counts, begin
