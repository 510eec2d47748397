"""Faces that travel: what comes out of a pack is what went in, but for JPEG."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from cdrl_cli.data.index import Role
from cdrl_cli.data.packs import read_pack, write_pack
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UnreadableInputError
from cdrl_cli.training.generator_data import draw_geometry
from heads import toy_head
from talking_faces import face_clip

DRAW = partial(draw_geometry, mesh=toy_head().mesh)


def in_role(face, role):
    clip = replace(face.clip, roles=frozenset({role}))
    return replace(face, crops=replace(face.crops, clip=clip))


def test_a_pack_holds_what_training_needs(tmp_path):
    clips = [face_clip("a", Emotion.HAPPY, 0), face_clip("b", None, 1, frames=4)]
    clips[0] = in_role(clips[0], Role.REFRAMED)
    write_pack(tmp_path / "faces.npz", clips)
    assert [path.name for path in tmp_path.iterdir()] == ["faces.npz"]
    for was, now in zip(clips, read_pack(tmp_path / "faces.npz", DRAW), strict=True):
        assert now.clip.identity == was.clip.identity
        assert now.clip.emotion is was.clip.emotion
        assert now.clip.roles == was.clip.roles
        assert np.abs(now.crops.landmarks_xyz - was.crops.landmarks_xyz).max() <= 1 / 128
        apart = now.crops.image.astype(int) - was.crops.image
        assert np.abs(apart).mean() < 5
        np.testing.assert_allclose(now.expression, was.expression, atol=1e-3)
        assert now.mouth.shape == was.mouth.shape
        np.testing.assert_array_equal(now.place, was.place)
        np.testing.assert_allclose(now.template_from_crop, was.template_from_crop, atol=1e-4)
        assert (now.owner == was.owner).mean() > 0.99


def test_only_what_is_wanted_is_read(tmp_path):
    clips = [face_clip("a", Emotion.HAPPY, 0, frames=2), face_clip("b", None, 1, frames=2)]
    write_pack(tmp_path / "faces.npz", clips)
    drawn = []

    def draw(landmarks):
        drawn.append(landmarks)
        return DRAW(landmarks)

    (one,) = read_pack(tmp_path / "faces.npz", draw, wanted=lambda clip: clip.identity == "b")
    assert (one.clip.identity, one.clip.emotion) == ("b", None)
    assert len(drawn) == 2


@pytest.mark.parametrize("kind", ["other arrays", "text", "cut short", "missing"])
def test_another_file_is_refused(tmp_path, kind):
    other = tmp_path / "other.npz"
    match kind:
        case "other arrays":
            np.savez(other, image=np.zeros(3))
        case "text":
            other.write_text("a,b\n")
        case "cut short":
            write_pack(other, [face_clip("a", None, 0, frames=2)])
            other.write_bytes(other.read_bytes()[:-100])
    with pytest.raises(UnreadableInputError, match="no pack"):
        read_pack(other, DRAW)
