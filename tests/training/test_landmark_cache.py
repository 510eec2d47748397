from pathlib import Path

import numpy as np
import pytest

from cdrl_cli.checkpoints.load import find_weights
from cdrl_cli.data.clips import Clip
from cdrl_cli.emotion import Emotion
from cdrl_cli.training import landmark_cache
from cdrl_cli.training.landmark_cache import read_landmarks

pytestmark = pytest.mark.weights

MODEL = find_weights("face-landmarker")


def clip_at(path, emotion=Emotion.HAPPY):
    return Clip(path, None, "toy", "permissive", "a", emotion, True, None, "train")


@pytest.fixture
def stills(clips, tmp_path):
    """A picture with a face and one without, as one-frame clips."""
    import av
    from PIL import Image

    paths = []
    for name in ("single_face.mp4", "no_face.mp4"):
        with av.open(clips / name) as container:
            frame = next(container.decode(video=0)).to_ndarray(format="rgb24")
        paths.append(tmp_path / f"{Path(name).stem}.png")
        Image.fromarray(frame).save(paths[-1])
    return [clip_at(path) for path in paths]


def test_a_clip_without_a_face_is_left_out(stills, tmp_path):
    steps = []
    found = list(
        read_landmarks(stills, MODEL, tmp_path / "cache", progress=lambda *s: steps.append(s))
    )
    assert len(found) == 1
    assert found[0].landmarks_xyz.shape == (1, 478, 3)
    assert found[0].expression.shape == (1, 52)
    assert (found[0].identity, found[0].emotion) == ("a", Emotion.HAPPY)
    assert steps == [(1, 2), (2, 2)]


def test_a_second_run_looks_at_no_clip_again(stills, tmp_path, monkeypatch):
    first = list(read_landmarks(stills, MODEL, tmp_path / "cache"))
    monkeypatch.setattr(landmark_cache, "_find", lambda *_: pytest.fail("looked again"))
    (again,) = read_landmarks(stills, MODEL, tmp_path / "cache")
    np.testing.assert_array_equal(again.landmarks_xyz, first[0].landmarks_xyz)


def test_a_cut_run_goes_on_where_it_stopped(stills, tmp_path):
    cache = tmp_path / "cache"
    next(read_landmarks(stills, MODEL, cache))  # and no further
    assert len(list(cache.glob("*.npz"))) == 1
    assert len(list(read_landmarks(stills, MODEL, cache))) == 1
    assert len(list(cache.glob("*.npz"))) == 2
    assert not list(cache.glob("*.part*"))


def test_labels_come_from_the_index_not_from_the_cache(stills, tmp_path):
    list(read_landmarks(stills, MODEL, tmp_path / "cache"))
    relabelled = [clip_at(clip.path, Emotion.SAD) for clip in stills]
    (again,) = read_landmarks(relabelled, MODEL, tmp_path / "cache")
    assert again.emotion is Emotion.SAD
