import numpy as np

from cdrl_cli.checkpoints.models import load_models
from cdrl_cli.face.blendshapes import EXPRESSION_NAMES
from cdrl_cli.generator.sides import hold_sides, spare_sides
from heads import toy_head


def test_the_sides_of_a_face_keep_their_light():
    x = np.array([0.0, 0.45, 0.585, 0.72, 0.8, -0.585], np.float32)
    position = np.zeros((3, 6, 6), np.float32)
    position[0] = x
    np.testing.assert_allclose(spare_sides(position)[0], [1, 1, 0.5, 0, 0, 0.5], atol=1e-6)


def test_what_lies_far_back_is_held_and_the_front_of_the_face_moves():
    canonical = toy_head().canonical_xyz.copy()
    canonical[:5, 2] = -0.2, 0.1, 0.3, 0.5, 0.7
    wish = np.ones((52, 478, 3))
    held = hold_sides(wish, canonical)
    np.testing.assert_allclose(held[:, :5, 0], np.tile([1, 1, 0.5, 0, 0], (52, 1)), atol=1e-6)


def test_no_expression_of_the_shipped_core_moves_temples_or_the_corners_of_the_jaw():
    models = load_models(core=True)
    moved = np.linalg.norm(models.basis.displacement, axis=2)
    assert moved[:, [127, 234, 132, 356, 454, 361]].max() < 1e-6
    assert moved[EXPRESSION_NAMES.index("mouthFrownLeft"), [61, 205]].max() > 0.02
