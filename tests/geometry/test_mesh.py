import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdrl_cli.geometry.mesh import (
    FaceMesh,
    add_ring,
    draw_owners,
    fit_planes,
    interpolate,
    read_planes,
    signed_areas,
    unfold,
)
from heads import pose, toy_head

SIZE = 64
SEEDS = st.integers(0, 2**32 - 1)


def frontal_face():
    """The toy head's mesh on a crop."""
    head = toy_head()
    carry = pose(scale=76.0, at=(127.5, 127.5))
    return carry.apply(head.canonical_xyz[:468]), head.mesh


def polygon_area(corners_xy):
    x, y = corners_xy.T
    return 0.5 * abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1)))


def grid_mesh(cells, side):
    """A square cut into equal triangles, corners at (2, 2) and (2 + side, 2 + side)."""
    ticks = 2 + np.linspace(0, side, cells + 1)
    points = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    i, j = (a.ravel() for a in np.mgrid[:cells, :cells])
    corner = i * (cells + 1) + j
    right, below = corner + 1, corner + cells + 1
    triangles = [[corner, right, below], [right, below + 1, below]]
    return points, np.concatenate(np.array(triangles).transpose(0, 2, 1)).astype(np.int32)


def barycentric(point, a, b, c):
    """Shares of the corners in a point, by Cramer's rule."""
    area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    of_b = ((point[0] - a[0]) * (c[1] - a[1]) - (point[1] - a[1]) * (c[0] - a[0])) / area
    of_c = ((b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0])) / area
    return np.array([1 - of_b - of_c, of_b, of_c])


def naive_interpolate(points, values, triangles, depth, size, *, margin):
    """Pixel by pixel, triangle by triangle; NaN where an edge is too near to call."""
    out, owned = np.full((size, size, values.shape[1]), np.nan), np.zeros((size, size), bool)
    for y in range(size):
        for x in range(size):
            hits, doubtful = [], False
            for corners in triangles:
                a, b, c = points[corners]
                shares = barycentric((x, y), a, b, c)
                doubled = abs(signed_areas(points, corners[None])[0])
                # Distance to the side opposite a corner: share times height.
                lengths = [np.hypot(*(c - b)), np.hypot(*(c - a)), np.hypot(*(b - a))]
                inside_px = shares * doubled / lengths
                doubtful |= bool(inside_px.min() > -margin and inside_px.min() < margin)
                if inside_px.min() >= margin:
                    hits.append((depth[corners].mean(), shares @ values[corners]))
            if doubtful:
                continue
            owned[y, x] = bool(hits)
            out[y, x] = min(hits, key=lambda hit: hit[0])[1] if hits else 0.0
    return out, owned


# The ring


@given(st.floats(1.05, 2.0))
def test_the_ring_covers_what_lies_between_oval_and_ring_once(reach):
    landmarks, mesh = frontal_face()
    points = add_ring(landmarks[:, :2], mesh.oval, reach=reach)
    ring_areas = signed_areas(points, mesh.with_ring()[len(mesh.triangles) :]) / 2
    between = polygon_area(points[468:]) - polygon_area(points[mesh.oval])
    assert np.abs(ring_areas).sum() == pytest.approx(between)
    assert (ring_areas > 0).all() or (ring_areas < 0).all()


def test_the_ring_turns_as_the_mesh_does():
    landmarks, mesh = frontal_face()
    points = add_ring(landmarks[:, :2], mesh.oval, reach=1.35)
    triangles = mesh.with_ring()
    of_mesh = signed_areas(points, triangles[: len(mesh.triangles)])
    of_ring = signed_areas(points, triangles[len(mesh.triangles) :])
    assert np.sign(of_ring[0]) == np.sign(np.median(of_mesh))


def test_ring_points_lie_farther_out_in_the_same_direction():
    landmarks, mesh = frontal_face()
    points = add_ring(landmarks[:, :2], mesh.oval, reach=1.5)
    np.testing.assert_array_equal(points[:468], landmarks[:, :2])
    middle = landmarks[mesh.oval, :2].mean(axis=0)
    np.testing.assert_allclose(
        points[468:] - middle, 1.5 * (landmarks[mesh.oval, :2] - middle), atol=1e-9
    )


def test_every_point_of_face_and_ring_has_a_triangle():
    _, mesh = frontal_face()
    assert set(mesh.with_ring().ravel()) == set(range(468 + len(mesh.oval)))


@pytest.mark.parametrize("reach", [1.0, 0.5])
def test_a_ring_inside_the_oval_is_refused(reach):
    landmarks, mesh = frontal_face()
    with pytest.raises(ValueError, match="outside the oval"):
        add_ring(landmarks[:, :2], mesh.oval, reach=reach)


def test_the_area_is_signed():
    points = np.array([(0.0, 0), (4, 0), (0, 3)])
    triangles = np.array([(0, 1, 2), (0, 2, 1)], np.int32)
    np.testing.assert_array_equal(signed_areas(points, triangles), [12.0, -12.0])


# Folding


@given(SEEDS, st.floats(0.0, 40.0))
def test_nothing_folds(seed, size_px):
    landmarks, mesh = frontal_face()
    points, triangles = add_ring(landmarks[:, :2], mesh.oval, reach=1.35), mesh.with_ring()
    wish = np.random.default_rng(seed).normal(0, size_px, points.shape)
    wish[468:] = 0
    before = signed_areas(points, triangles)
    after = signed_areas(points + unfold(points, wish, triangles), triangles)
    keeps = after * np.sign(before) >= 0.25 * np.abs(before) - 0.5 - 0.1 - 1e-9
    assert keeps.all()


@given(st.integers(0, 48), st.floats(-np.pi, np.pi))
def test_a_steady_move_stays_steady_where_triangles_begin_to_fold(point, angle):
    points, triangles = grid_mesh(6, 60.0)  # cells of 10 pixels
    step_px, way = 0.1, np.zeros(points.shape)
    way[point] = np.cos(angle), np.sin(angle)
    moved = np.stack([unfold(points, size * way, triangles) for size in np.arange(0, 14, step_px)])
    assert np.abs(np.diff(moved, axis=0)).max() <= 1.5 * step_px


@given(st.floats(0.0, 60.0))
def test_one_triangle_keeps_just_the_area_that_is_asked_for(size_px):
    points = np.array([(0.0, 0), (20, 0), (10, 17)])
    triangle = np.array([(0, 1, 2)], np.int32)
    way = np.array([(0.1, 0), (-0.1, 0), (0, -size_px)])
    least = 0.25 * signed_areas(points, triangle) - 0.5
    area = signed_areas(points + unfold(points, way, triangle), triangle)
    wanted = np.maximum(signed_areas(points + way, triangle), least)
    np.testing.assert_allclose(area, wanted, atol=0.11)


@given(SEEDS, st.floats(0.0, 40.0))
def test_who_stands_still_is_not_pushed(seed, size_px):
    points, triangles = grid_mesh(6, 60.0)
    generator = np.random.default_rng(seed)
    wish = generator.normal(0, size_px, points.shape)
    still = generator.random(len(points)) < 0.5
    wish[still] = 0
    np.testing.assert_array_equal(unfold(points, wish, triangles)[still], 0.0)


@given(SEEDS)
def test_what_does_not_fold_moves_as_asked(seed):
    points, triangles = grid_mesh(6, 60.0)  # cells of 10 pixels
    wish = np.random.default_rng(seed).uniform(-1, 1, points.shape)
    np.testing.assert_array_equal(unfold(points, wish, triangles), wish)


@given(st.floats(-300, 300), st.floats(-300, 300))
def test_what_moves_as_a_whole_moves_as_asked(dx, dy):
    points, triangles = grid_mesh(4, 40.0)
    wish = np.tile([dx, dy], (len(points), 1))
    np.testing.assert_array_equal(unfold(points, wish, triangles), wish)


def test_only_the_fold_and_its_corners_are_held_back():
    points, triangles = grid_mesh(6, 60.0)
    wish = np.zeros(points.shape)
    wish[8] = (25.0, 25.0)  # over its neighbours
    wish[-1] = (3.0, 3.0)  # far from it
    moved = unfold(points, wish, triangles)
    assert 0 < np.hypot(*moved[8]) < np.hypot(*wish[8])
    np.testing.assert_array_equal(moved[-1], wish[-1])


def test_turned_away_triangles_may_stay_turned_away():
    points, triangles = grid_mesh(4, 40.0)
    wish = np.full(points.shape, 1.5)
    flipped = triangles[:, ::-1].copy()
    np.testing.assert_array_equal(unfold(points, wish, flipped), wish)


# Interpolation


@given(SEEDS)
def test_a_linear_function_is_reproduced(seed):
    generator = np.random.default_rng(seed)
    points, triangles = grid_mesh(5, 50.0)
    points = points + unfold(points, generator.uniform(-4, 4, points.shape), triangles)
    slope, base = generator.normal(size=(2, 2)), generator.normal(size=2)
    spread, inside = interpolate(
        points, points @ slope + base, triangles, np.zeros(len(points)), size=SIZE
    )
    y, x = np.nonzero(inside)
    expected = np.stack([x, y], axis=1) @ slope + base
    np.testing.assert_allclose(spread[inside], expected, atol=1e-3)


def test_exact_at_the_corners_of_triangles(generator):
    points, triangles = grid_mesh(5, 50.0)  # corners on whole pixels
    values = generator.normal(size=(len(points), 3))
    spread, inside = interpolate(points, values, triangles, np.zeros(len(points)), size=SIZE)
    x, y = points.astype(int).T
    assert inside[y, x].all()
    np.testing.assert_allclose(spread[y, x], values, atol=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_the_barycentric_definition(seed):
    generator = np.random.default_rng(seed)
    points = generator.uniform(-4, 36, (9, 2))
    triangles = generator.permuted(np.tile(np.arange(9), (8, 1)), axis=1)[:, :3].astype(np.int32)
    areas = np.abs(signed_areas(points, triangles))
    triangles, depth = triangles[areas > 30], generator.normal(size=9)
    values = generator.normal(size=(9, 2))
    spread, inside = interpolate(points, values, triangles, depth, size=32)
    # Within a pixel of an edge the drawing decides, on a grid of 1/16.
    expected, owned = naive_interpolate(points, values, triangles, depth, 32, margin=1.0)
    sure = ~np.isnan(expected[..., 0])
    assert sure.sum() > 200
    np.testing.assert_array_equal(inside[sure], owned[sure])
    np.testing.assert_allclose(spread[sure], expected[sure], atol=1e-4)


@pytest.mark.parametrize("first", [0, 1])
def test_the_nearer_triangle_hides_the_farther(first):
    points = np.array([(4.0, 4), (60, 4), (4, 60), (4, 4), (60, 4), (4, 60)])
    triangles = np.array([(0, 1, 2), (3, 4, 5)], np.int32)[[first, 1 - first]]
    values = np.repeat([[1.0], [2.0]], 3, axis=0)
    near_first, _ = interpolate(points, values, triangles, np.repeat([0.0, 9], 3), size=SIZE)
    near_second, _ = interpolate(points, values, triangles, np.repeat([9.0, 0], 3), size=SIZE)
    assert near_first[10, 10, 0] == pytest.approx(1.0)
    assert near_second[10, 10, 0] == pytest.approx(2.0)


def test_where_there_is_no_triangle_there_is_nothing():
    points = np.array([(10.0, 10), (30, 10), (10, 30)])
    spread, inside = interpolate(
        points, np.ones((3, 2)), np.array([(0, 1, 2)], np.int32), np.zeros(3), size=SIZE
    )
    assert (spread[~inside] == 0).all()
    assert not inside[40:].any()
    assert inside[15, 15]


def test_a_triangle_seen_edge_on_covers_nothing():
    points = np.array([(10.0, 10), (30, 10), (20, 10)])
    spread, inside = interpolate(
        points, np.ones((3, 1)), np.array([(0, 1, 2)], np.int32), np.zeros(3), size=SIZE
    )
    assert not inside.any()
    assert (spread == 0).all()


@given(st.floats(-55, 55), st.floats(-30, 30), SEEDS)
def test_a_turned_face_has_no_spikes(yaw_deg, pitch_deg, seed):
    """Triangles seen almost edge-on must not throw their plane far over their corners' values."""
    head = toy_head()
    carry = pose(yaw_deg=yaw_deg, pitch_deg=pitch_deg, scale=76.0, at=(127.5, 127.5))
    points = carry.apply(head.canonical_xyz[:468])
    expression = np.random.default_rng(seed).normal(0, 0.3, 52)
    values = 76.0 * np.tensordot(expression, head.basis, axes=1)[:468, :2]
    spread, _ = interpolate(points[:, :2], values, head.mesh.triangles, points[:, 2], size=256)
    assert np.abs(spread).max() <= 1.5 * np.abs(values).max()


@given(SEEDS)
def test_a_mirrored_face_gives_the_mirror_image(seed):
    landmarks, mesh = frontal_face()
    values = np.random.default_rng(seed).normal(size=(468, 2))
    mirror = toy_head().mirror[:468]
    one, _ = interpolate(landmarks[:, :2], values, mesh.triangles, landmarks[:, 2], size=256)
    other, _ = interpolate(
        landmarks[:, :2], values[mirror] * (-1, 1), mesh.triangles, landmarks[:, 2], size=256
    )
    # Pixels on an edge may go to either side of it.
    differs = np.abs(other[:, ::-1] * (-1, 1) - one).max(axis=2) > 0.05
    assert differs.mean() < 0.12
    assert np.abs((other[:, ::-1] * (-1, 1) - one).mean()) < 0.02


def test_a_mesh_keeps_its_triangles_first():
    mesh = FaceMesh(np.array([(0, 1, 2)], np.int32), np.array([0, 1, 2], np.int32))
    np.testing.assert_array_equal(mesh.with_ring()[:1], mesh.triangles)
    assert len(mesh.with_ring()) == 1 + 2 * 3


def test_a_mesh_drawn_at_half_the_side_has_the_means_of_squares():
    points, mesh = frontal_face()
    planes = fit_planes(points[:, :2], points / 76, mesh.triangles)
    owner, coarse_owner = (
        draw_owners((points[:, :2] - middle) / step, mesh.triangles, points[:, 2], size=256 // step)
        for step, middle in ((1, 0), (2, 0.5))
    )
    fine, coarse = read_planes(planes, owner), read_planes(planes, coarse_owner, step=2)
    means = fine.reshape(3, 128, 2, 128, 2).mean(axis=(2, 4))
    # Of squares inside one triangle exactly, and of the others nearly.
    alike = (owner.reshape(128, 2, 128, 2) == coarse_owner[:, None, :, None]).all(axis=(1, 3))
    np.testing.assert_allclose(coarse[:, alike], means[:, alike], atol=1e-5)
    assert np.median(np.abs(coarse - means)[:, ~alike]) < 0.01
