from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdrl_cli.face.alignment import CROP_SIZE, EYE_DISTANCE_PX, crop_face
from cdrl_cli.face.compositing import paste_face
from cdrl_cli.generator.folds import FoldMaps
from cdrl_cli.generator.lips import APERTURE_CHANGE, INNER_PAIRS, PAIRS, keep_aperture
from cdrl_cli.generator.renderer import (
    RING_REACH,
    ExpressionBasis,
    LearnedRenderer,
    WarpRenderer,
    spare_mouth,
)
from cdrl_cli.generator.sides import spare_sides
from cdrl_cli.generator.skin import (
    SEEN_SIZE,
    STRENGTHS,
    WINDOW_SIZE,
    Skin,
    SkinMasks,
    window_from_crop,
)
from cdrl_cli.geometry.mesh import add_ring
from cdrl_cli.geometry.similarity import Similarity
from heads import coefficients, pose, toy_head
from pictures import ArrayFrame, noise

JAW = int(coefficients(jawOpen=1.0).argmax())
FRAME = ArrayFrame(noise(300, 300))
SEEDS = st.integers(0, 2**32 - 1)
POSES = st.builds(
    lambda yaw, pitch, roll: pose(
        yaw_deg=yaw, pitch_deg=pitch, roll_deg=roll, scale=60, at=(150, 150)
    ),
    st.floats(-35, 35),
    st.floats(-25, 25),
    st.floats(-90, 90),
)


CALM = np.zeros(7)


def renderer():
    """The core, on the toy head, asked for no emotion."""
    toy = toy_head()
    core = WarpRenderer(toy.expression_basis, toy.mesh, toy.canonical_xyz)
    return lambda crop, expression: core(crop, expression, CALM)


def crop_of(head, expression=None):
    toy = toy_head()
    face = toy.face(head, expression)
    return crop_face(FRAME, face, toy.model.locate(face))


def random_expression(seed, size=0.15):
    return np.random.default_rng(seed).uniform(0, size, 52)


@given(POSES, SEEDS)
def test_no_change_of_expression_moves_nothing(head, seed):
    crop = crop_of(head, random_expression(seed))
    assert not renderer()(crop, crop.expression).flow.any()


def test_no_change_of_expression_leaves_every_bit():
    crop = crop_of(pose(roll_deg=20, scale=60, at=(150, 150)))
    pasted = paste_face(FRAME, crop, renderer()(crop, crop.expression))
    np.testing.assert_array_equal(pasted.pixels, FRAME.pixels)


@given(POSES, SEEDS)
def test_the_edit_ends_inside_the_ring_and_the_crop(head, seed):
    crop = crop_of(head)
    rendering = renderer()(crop, random_expression(seed))
    mask, flow = rendering.mask, rendering.flow
    assert mask.shape == (CROP_SIZE, CROP_SIZE)
    assert mask.min() == 0
    assert mask.max() == 1
    for border in (mask[0], mask[-1], mask[:, 0], mask[:, -1]):
        assert not border.any()
    assert not flow[:, mask == 0].any()
    ring = add_ring(crop.landmarks_xyz[:468, :2], toy_head().mesh.oval, reach=RING_REACH)[468:]
    y, x = np.nonzero(mask)
    assert x.min() >= ring[:, 0].min() - 1
    assert x.max() <= ring[:, 0].max() + 1
    assert y.min() >= ring[:, 1].min() - 1
    assert y.max() <= ring[:, 1].max() + 1


@given(POSES, SEEDS)
def test_the_flow_has_no_step(head, seed):
    flow = renderer()(crop_of(head), random_expression(seed)).flow
    steps = max(np.abs(np.diff(flow, axis=axis)).max() for axis in (1, 2))
    assert steps < 2.5


@settings(max_examples=20)
@given(POSES, SEEDS)
def test_pixels_come_from_where_the_landmarks_were(head, seed):
    toy, crop, expression = toy_head(), crop_of(head), random_expression(seed, 0.1)
    flow = renderer()(crop, expression).flow
    in_head = np.tensordot(expression, toy.basis, axes=1)
    moves = keep_aperture(crop.landmarks_xyz, crop.crop_from_head.apply_direction(in_head))
    faces_us = crop.crop_from_head.rotation @ np.array([0, 0, 1.0])
    assert faces_us[2] > 0.5
    inner = [1, 4, 5, 6, 9, 10, 151, 50, 280, 101, 330, 117, 346, 200, 199, 105, 334]
    arrived = (crop.landmarks_xyz + moves)[inner, :2]
    x, y = arrived.round().astype(int).T
    np.testing.assert_allclose(flow[:, y, x].T, -moves[inner, :2], atol=1.0)
    assert np.abs(moves[inner, :2]).max() > 0.5


@given(SEEDS)
def test_closed_lips_stay_closed(seed):
    """A pixel above the mouth's line comes from above it, one below from below."""
    toy = toy_head()
    canonical = toy.canonical_xyz.copy()
    canonical[INNER_PAIRS[:, 1]] = canonical[INNER_PAIRS[:, 0]]
    face = toy.face(pose(scale=76, at=(150, 150)))
    closed = replace(
        face, landmarks_xyz=pose(scale=76, at=(150, 150)).apply(canonical).astype(np.float32)
    )
    crop = crop_face(FRAME, closed, toy.model.locate(face))
    flow = renderer()(crop, random_expression(seed)).flow
    x, y = crop.landmarks_xyz[13, :2].round().astype(int)
    # Along the column through the middle of the mouth, order is kept and nothing is torn.
    sources = np.arange(y - 12, y + 13) + flow[1, y - 12 : y + 13, x]
    steps = [later - earlier for earlier, later in pairwise(sources)]
    assert min(steps) > 0
    assert max(steps) < 2.5


@settings(max_examples=15)
@given(SEEDS)
def test_a_mirrored_face_moves_in_mirror_image(seed):
    toy, expression = toy_head(), random_expression(seed)
    crop = crop_of(pose(yaw_deg=15, scale=60, at=(150, 150)))
    flow = renderer()(crop, expression).flow

    across = crop.crop_from_head
    mirror = np.diag([-1.0, 1, 1])
    twin = replace(
        crop,
        landmarks_xyz=crop.landmarks_xyz[toy.mirror] * (-1, 1, 1) + (CROP_SIZE - 1, 0, 0),
        crop_from_head=Similarity(
            across.scale,
            mirror @ across.rotation @ mirror,
            across.translation * (-1, 1, 1) + (CROP_SIZE - 1, 0, 0),
        ),
        expression=crop.expression[toy.mirror_names],
    )
    mirrored = renderer()(twin, expression[toy.mirror_names]).flow
    difference = mirrored[..., ::-1] * np.reshape((-1, 1), (2, 1, 1)) - flow
    # Which triangle owns a pixel on an edge, and rounding, may differ; motion may not.
    assert np.abs(difference).mean() < 0.03
    assert np.quantile(np.abs(difference), 0.99) < 0.4


@given(POSES, SEEDS, st.floats(0.1, 1))
def test_half_the_change_is_half_the_motion(head, seed, share):
    """Small motions add up linearly: nothing folds, nothing is clipped."""
    crop, expression = crop_of(head), random_expression(seed, 0.02)
    whole, part = (renderer()(crop, a * expression).flow for a in (1.0, share))
    np.testing.assert_allclose(part, share * whole, atol=0.25)


@pytest.mark.parametrize("name", ["browInnerUp", "mouthSmile", "noseSneer"])
def test_the_change_counts_not_the_expression(name):
    crop = crop_of(pose(scale=60, at=(150, 150)), coefficients(**{name: 0.4}))
    bare = replace(crop, expression=np.zeros(52))
    one = renderer()(crop, crop.expression + coefficients(jawOpen=0.1)).flow
    other = renderer()(bare, coefficients(jawOpen=0.1)).flow
    np.testing.assert_allclose(one, other, atol=1e-4)


def renderer_of(displacement):
    """A renderer whose jawOpen moves the landmarks so."""
    basis = np.zeros((52, 478, 3))
    basis[JAW] = displacement
    core = WarpRenderer(ExpressionBasis(basis), toy_head().mesh, toy_head().canonical_xyz)
    return lambda crop, expression: core(crop, expression, CALM)


def test_the_motion_shows_where_the_landmarks_arrive():
    """A face that grows by k from its middle: the pixel at q was at q / (1 + k), not (1 - k) q."""
    toy, growth = toy_head(), 0.15
    crop = crop_of(pose(scale=EYE_DISTANCE_PX, at=(150, 150)))
    grown = renderer_of(growth * toy.canonical_xyz * (1, 1, 0))
    flow = grown(crop, coefficients(jawOpen=1.0)).flow
    middle = np.full(2, (CROP_SIZE - 1) / 2)
    arrived = middle + (1 + growth) * (crop.landmarks_xyz[[50, 280, 118, 347], :2] - middle)
    x, y = arrived.round().astype(int).T
    expected = (np.stack([x, y], axis=1) - middle) * (1 / (1 + growth) - 1)
    np.testing.assert_allclose(flow[:, y, x].T, expected, atol=0.25)


def test_lips_pulled_apart_move_together():
    crop = crop_of(pose(scale=EYE_DISTANCE_PX, at=(150, 150)))
    displacement = np.zeros((478, 3))
    displacement[PAIRS[:, 1], 1] = 6 / EYE_DISTANCE_PX
    flow = renderer_of(displacement)(crop, coefficients(jawOpen=1.0)).flow
    upper, lower = crop.landmarks_xyz[INNER_PAIRS.T, :2]
    allowed = APERTURE_CHANGE * np.linalg.norm(lower - upper, axis=1).mean()
    lips_xy = crop.landmarks_xyz[[12, 15], :2].round().astype(int)
    above, below = (flow[1, y, x] for x, y in lips_xy)
    assert above < -1.5
    assert abs(below - above) < allowed + 1.2  # blurred, and 6 apart if not held


@settings(max_examples=15)
@given(SEEDS)
def test_an_impossible_expression_does_not_fold_the_face(seed):
    flow = renderer()(crop_of(pose(scale=60, at=(150, 150))), random_expression(seed, 4.0)).flow
    (dxx, dxy), (dyx, dyy) = (np.gradient(one, axis=(1, 0)) for one in flow)
    turned = (1 + dxx) * (1 + dyy) - dxy * dyx < 0
    assert turned.mean() < 0.002


class FakeNetwork:
    """Answers like the renderer's ONNX session: the same everywhere inside the mask."""

    def __init__(self, flow_px=0.0, colour=0.0):
        self.flow_px, self.colour = flow_px, colour
        self.told = {}

    def run(self, outputs, told):
        assert outputs is None
        self.told = told
        mask = told["picture"][:, 5:6]
        return [self.flow_px * np.repeat(mask, 2, 1), self.colour * np.repeat(mask, 3, 1)]


SMOOTH = FoldMaps(np.zeros((1, 256, 256), np.float32), np.zeros((1, 52), np.float32))


def learned(network, folds=SMOOTH):
    toy = toy_head()
    core = WarpRenderer(toy.expression_basis, toy.mesh, toy.canonical_xyz)
    return LearnedRenderer(core, network, folds)


def test_the_network_adds_to_the_warp():
    crop = crop_of(pose(scale=60, at=(150, 150)))
    target = random_expression(3)
    network = FakeNetwork(1.5, 0.1)
    core, full = renderer()(crop, target), learned(network)(crop, target, CALM)
    np.testing.assert_array_equal(full.mask, core.mask)
    # It answers at half the side: what it says of the mask's edge reaches a pixel over it.
    deep = cv2.erode(core.mask, np.ones((5, 5))) == 1
    position = network.told["picture"][0, 6:]
    spared = spare_mouth(position) * spare_sides(position)
    free = deep & (cv2.erode(cv2.resize(spared, (256, 256)), np.ones((5, 5))) == 1)
    np.testing.assert_allclose((full.flow - core.flow)[:, free], 1.5, atol=1e-5)
    assert free.any()
    assert free.sum() < deep.sum()
    np.testing.assert_allclose(full.colour[deep], 0.1, atol=1e-6)
    off = cv2.dilate(core.mask, np.ones((5, 5))) == 0
    assert not full.flow[:, off].any()
    assert not full.colour[off].any()


def test_the_network_moves_neither_lip_and_all_around():
    position = toy_head().canonical_xyz.T.astype(np.float32)[:, None]
    spared = spare_mouth(position).ravel()
    assert not spared[PAIRS].any()
    assert (spared[[101, 330, 9, 152]] == 1).all()


def test_a_silent_network_is_the_core():
    crop = crop_of(pose(yaw_deg=15, scale=60, at=(150, 150)))
    target = random_expression(4)
    full = paste_face(FRAME, crop, learned(FakeNetwork())(crop, target, CALM))
    core = paste_face(FRAME, crop, renderer()(crop, target))
    np.testing.assert_array_equal(full.pixels, core.pixels)


def test_folds_darken_what_lies_in_them_and_nothing_outside_the_mask():
    crop = crop_of(pose(scale=60, at=(150, 150)))
    target = crop.expression + coefficients(browDownLeft=0.8, browDownRight=0.8)
    full = learned(FakeNetwork(), FoldMaps.draw(toy_head().canonical_xyz))(crop, target, CALM)
    assert not full.colour[full.mask == 0].any()
    darkest = full.colour.mean(axis=2).min()
    assert -0.5 < darkest < -0.02
    # As a share of what is there: black stays black.
    lit = crop.image().astype(float) / 255
    assert (np.abs(full.colour) <= 0.6 * lit.max() + 1e-6).all()


def test_the_network_is_told_what_is_asked():
    network = FakeNetwork()
    crop = crop_of(pose(scale=60, at=(150, 150)), coefficients(jawOpen=0.3))
    asked = np.linspace(0, 0.6, 7)
    target = crop.expression + coefficients(browInnerUp=0.5)
    learned(network)(crop, target, asked)
    (told,) = network.told["condition"]
    np.testing.assert_allclose(told[:52], crop.expression, atol=1e-6)
    np.testing.assert_allclose(told[52:104], coefficients(browInnerUp=0.5), atol=1e-6)
    np.testing.assert_allclose(told[104:], asked, atol=1e-6)
    (seen,) = network.told["picture"]
    assert seen.shape == (9, CROP_SIZE // 2, CROP_SIZE // 2)
    assert -1 <= seen[:3].min() < seen[:3].max() <= 1
    # Where the canonical nose is, the position map says so.
    nose_xy = np.rint(crop.landmarks_xyz[1, :2] / 2).astype(int)
    np.testing.assert_allclose(
        seen[6:, nose_xy[1], nose_xy[0]], toy_head().canonical_xyz[1], atol=0.05
    )


class FakeSkinNetwork:
    """Answers like the skin's ONNX session: darker everywhere, as much as is asked for."""

    def __init__(self):
        self.told = {}

    def run(self, outputs, told):
        assert outputs is None
        self.told = told
        asked = np.abs(told["condition"][:, 52:]).sum()
        return [np.full((1, 1, WINDOW_SIZE, WINDOW_SIZE), -0.3 * asked, np.float32)]


class EvenSkinNetwork:
    """Answers the same whatever is asked for: only where it shows can change."""

    def run(self, outputs, told):  # noqa: ARG002 - the session's signature
        return [np.full((1, 1, WINDOW_SIZE, WINDOW_SIZE), -0.3, np.float32)]


def with_skin(network):
    toy = toy_head()
    core = WarpRenderer(toy.expression_basis, toy.mesh, toy.canonical_xyz)
    skin = Skin(SkinMasks.draw(toy.canonical_xyz, toy.mesh.oval), network)
    return LearnedRenderer(core, FakeNetwork(0.0, 0.1), skin)


def test_the_skin_is_shaded_and_colours_stay_on_eyes_and_mouth():
    crop = crop_of(pose(scale=60, at=(150, 150)))
    rendering = with_skin(FakeSkinNetwork())(crop, crop.expression, np.eye(7)[0])
    (nose_x, nose_y), (lip_x, lip_y) = crop.landmarks_xyz[[1, 13], :2].round().astype(int)
    assert len(rendering.colour) == CROP_SIZE // 2
    assert not rendering.colour[nose_y // 2, nose_x // 2].any()
    np.testing.assert_allclose(rendering.colour[lip_y // 2, lip_x // 2], 0.1, atol=1e-6)
    shade = rendering.shade
    (nose, lip) = crop.landmarks_xyz[[1, 13], :2] @ shade.from_crop[:, :2].T + shade.from_crop[:, 2]
    assert shade.logarithm[tuple(nose.round().astype(int)[::-1])] == pytest.approx(
        -0.3 * STRENGTHS[0], abs=1e-3
    )
    assert shade.logarithm[tuple(lip.round().astype(int)[::-1])] == 0
    for border in (shade.logarithm[0], shade.logarithm[-1], shade.logarithm[:, 0]):
        assert not border.any()


def test_a_shut_eye_gets_no_colour_and_no_shade_of_an_open_one():
    crop = crop_of(pose(scale=60, at=(150, 150)))
    emotion = np.eye(7)[0]
    shut, narrow, wide = (
        with_skin(FakeSkinNetwork())(crop, crop.expression, emotion, np.array([1.0, opened]))
        for opened in (0.0, 0.7, 1.0)
    )
    for corners, changed in (([33, 133], True), ([362, 263], False)):
        eye = crop.landmarks_xyz[corners, :2].mean(axis=0)
        x, y = (eye / 2).round().astype(int)
        assert bool((shut.colour[y, x] != wide.colour[y, x]).any()) is changed
        above = eye - (0, 0.16 * 60)
        x, y = wide.shade.from_crop[:, :2] @ above + wide.shade.from_crop[:, 2]
        at = round(y), round(x)
        assert wide.shade.logarithm[at] < -0.3
        assert shut.shade.logarithm[at] > -0.05 if changed else shut.shade.logarithm[at] < -0.3
    np.testing.assert_array_equal(narrow.colour, wide.colour)
    np.testing.assert_array_equal(narrow.shade.logarithm, wide.shade.logarithm)


def test_the_skin_sees_the_face_and_is_told_the_emotion_at_its_own_strength():
    network = FakeSkinNetwork()
    crop = crop_of(pose(scale=60, at=(150, 150)), coefficients(jawOpen=0.3))
    target = crop.expression + coefficients(browInnerUp=0.5)
    with_skin(network)(crop, target, np.full(7, 0.1))
    (told,) = network.told["condition"]
    np.testing.assert_allclose(told[:52], crop.expression, atol=1e-6)
    np.testing.assert_allclose(told[52:104], coefficients(browInnerUp=0.5), atol=1e-6)
    np.testing.assert_allclose(told[104:], 0.1 * STRENGTHS, atol=1e-6)
    (seen,) = network.told["picture"]
    assert seen.shape == (9, SEEN_SIZE, SEEN_SIZE)
    assert -1 <= seen[:3].min() < seen[:3].max() <= 1
    seen_from_crop = window_from_crop(SEEN_SIZE)
    nose = crop.landmarks_xyz[1, :2] @ seen_from_crop[:, :2].T + seen_from_crop[:, 2]
    x, y = nose.round().astype(int)
    np.testing.assert_allclose(seen[6:, y, x], toy_head().canonical_xyz[1], atol=0.06)
    assert seen[5, y, x] == 1


@settings(max_examples=15)
@given(SEEDS)
def test_an_edit_that_hardly_changes_changes_pixels_hardly(seed):
    """Steady over time: the shade follows the mesh, which follows the coefficients."""
    crop = crop_of(pose(yaw_deg=10, scale=60, at=(150, 150)))
    expression = random_expression(seed)
    shown = with_skin(EvenSkinNetwork())
    one, other = (
        shown(crop, expression + step, np.eye(7)[0]).shade.logarithm for step in (0.0, 0.002)
    )
    assert np.abs(one - other).max() < 0.15
    assert np.abs(one - other).mean() < 0.002
