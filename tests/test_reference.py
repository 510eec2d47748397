import numpy as np
import pytest

from cdrl_cli.editing import EditOptions, edit_video
from cdrl_cli.errors import NoFaceError
from cdrl_cli.reference import FOLLOW_STEP_S, read_reference


@pytest.mark.weights
def test_a_reference_is_followed_over_its_time(models, clips):
    one = read_reference(clips / "single_face.mp4", models)
    track = read_reference(clips / "single_face.mp4", models, follow=True)
    assert len(one.conditions) == 1
    assert track.times_s[0] == 0
    np.testing.assert_allclose(np.diff(track.times_s), FOLLOW_STEP_S)
    assert 2.0 < track.times_s[-1] < 4.0
    embeddings = np.stack([condition.embedding for condition in track.conditions])
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)
    assert np.ptp(embeddings, axis=0).max() > 0.01


def test_a_reference_without_a_face_leaves_no_output(models, clips, tmp_path):
    """It is read before the output is opened."""
    options = EditOptions(reference=clips / "no_face.mp4")
    with pytest.raises(NoFaceError, match="no face in the reference"):
        edit_video(clips / "single_face.mp4", tmp_path / "out.mp4", options, models=models)
    assert not list(tmp_path.iterdir())


@pytest.mark.weights
def test_networks_are_loaded_once_for_many_references(models, clips):
    reader = models.emotion_reader
    read_reference(clips / "joy.mp4", models)
    assert models.emotion_reader is reader
