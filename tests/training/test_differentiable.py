"""The differentiable chain does what the shipped path does."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cdrl_cli.face.alignment import crop_face
from cdrl_cli.generator.folds import FoldMaps
from cdrl_cli.generator.renderer import WarpRenderer
from cdrl_cli.generator.unet import CONDITION, RendererNet, UNetConfig
from cdrl_cli.training.differentiable import Chain, Geometry
from heads import coefficients, pose, toy_head
from pictures import ArrayFrame, waves

FRAME = ArrayFrame(waves(300, 300))


def crop_at(yaw_deg=0.0, expression=None):
    toy = toy_head()
    face = toy.face(pose(yaw_deg=yaw_deg, scale=70, at=(150, 150)), expression)
    return crop_face(FRAME, face, toy.model.locate(face))


def tensors(crop):
    """Landmarks, pose, owner, depth as a batch of one."""
    head = crop.crop_from_head
    matrix = np.column_stack([head.scale * head.rotation, head.translation])
    geometry = Geometry.of(crop.landmarks_xyz, toy_head().mesh)
    return (
        torch.from_numpy(crop.landmarks_xyz).float()[None],
        torch.from_numpy(matrix).float()[None],
        torch.from_numpy(geometry.owner)[None],
        torch.from_numpy(geometry.inside_px)[None].float(),
    )


def chain():
    toy = toy_head()
    return Chain(toy.mesh, toy.canonical_xyz, toy.basis)


@settings(max_examples=8)
@given(st.floats(-25, 25), st.integers(0, 2**32 - 1))
def test_it_moves_as_the_shipped_path_does(yaw_deg, seed):
    crop, toy = crop_at(yaw_deg), toy_head()
    shift = np.random.default_rng(seed).uniform(-0.1, 0.1, 52)
    shipped = WarpRenderer(toy.expression_basis, toy.mesh, toy.canonical_xyz).move(
        crop, crop.expression + shift
    )
    landmarks, matrix, owner, inside = tensors(crop)
    displacement = chain().displace(torch.from_numpy(shift).float()[None], matrix, landmarks)
    moved, mask = chain().warp_flow(displacement, landmarks, owner, inside)
    flow = moved[0, :2].numpy()
    assert np.abs(shipped.flow).max() > 0.5
    error = np.abs(flow - shipped.flow)
    assert error.mean() < 0.05
    assert np.percentile(error, 99) < 0.6
    assert np.abs(mask[0, 0].numpy() - shipped.mask).mean() < 0.02
    # The shipped path reads them in the middles of squares of two by two pixels.
    face = inside[0, ::2, ::2].numpy() > 20
    positions = torch.nn.functional.avg_pool2d(moved[0, 2:], 2).numpy()
    assert np.median(np.abs(positions - shipped.position)[:, face]) < 0.01


def test_pixels_have_a_slope_towards_the_coefficients():
    crop = crop_at()
    landmarks, matrix, owner, inside = tensors(crop)
    shift = torch.from_numpy(coefficients(browInnerUp=0.4)).float()[None].requires_grad_()
    net = RendererNet(UNetConfig((8, 16)))
    moved, mask = chain().warp_flow(
        chain().displace(shift, matrix, landmarks), landmarks, owner, inside
    )
    image = torch.from_numpy(crop.image().copy()).permute(2, 0, 1)[None].float() / 255
    condition = torch.zeros(1, CONDITION)
    condition[:, 52:104] = shift.detach()
    out = chain().render(net, image, moved, mask, condition)
    out.image.square().mean().backward()
    assert shift.grad is not None
    assert shift.grad.isfinite().all()
    assert shift.grad.abs().max() > 0
    assert net.last.weight.grad is not None
    assert net.last.weight.grad.abs().max() > 0


def test_it_folds_as_the_shipped_path_does():
    toy, rng = toy_head(), np.random.default_rng(2)
    change = rng.uniform(-0.5, 0.8, 52)
    position = rng.uniform(-0.8, 0.8, (3, 256, 256)).astype(np.float32)
    shipped = FoldMaps.draw(toy.canonical_xyz).shade(change, position)
    seen = torch.from_numpy(position[:2])[None]
    found = chain().fold(torch.from_numpy(change).float()[None], seen)[0, 0].numpy()
    assert np.abs(shipped).max() > 0.05
    # OpenCV reads between pixels in steps of a 32nd.
    np.testing.assert_allclose(found, shipped, atol=0.02)


def test_no_shift_is_the_source_itself():
    crop = crop_at(10)
    landmarks, matrix, owner, inside = tensors(crop)
    moved, mask = chain().warp_flow(
        chain().displace(torch.zeros(1, 52), matrix, landmarks), landmarks, owner, inside
    )
    image = torch.rand(1, 3, 256, 256)
    net = RendererNet(UNetConfig((8, 16)))
    out = chain().render(net, image, moved, mask, torch.zeros(1, CONDITION))
    torch.testing.assert_close(out.image, image, atol=1e-4, rtol=0)


@pytest.mark.parametrize("aperture", [0.0, 0.5])
def test_lips_part_no_more_than_the_core_lets_them(aperture):
    from cdrl_cli.generator.lips import keep_aperture

    crop = crop_at(expression=coefficients(jawOpen=aperture))
    landmarks, matrix, _, _ = tensors(crop)
    shift = np.random.default_rng(5).uniform(-0.3, 0.3, 52)
    in_head = np.tensordot(shift, toy_head().basis, axes=1)
    kept = keep_aperture(crop.landmarks_xyz, crop.crop_from_head.apply_direction(in_head))
    found = chain().displace(torch.from_numpy(shift).float()[None], matrix, landmarks)
    np.testing.assert_allclose(found[0].numpy(), kept[:, :2], atol=2e-3)
