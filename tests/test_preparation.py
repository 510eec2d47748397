from pathlib import Path

import numpy as np
import pytest

from cdrl_cli.data.index import Clip
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UnreadableInputError
from cdrl_cli.preparation import MOUTH_REACH_PX, cut_mouth, prepare_clips
from pictures import waves

pytestmark = pytest.mark.weights


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


def test_a_clip_without_a_face_is_left_out(stills, models, tmp_path):
    steps = []
    found = list(
        prepare_clips(stills, models, tmp_path / "cache", progress=lambda *s: steps.append(s))
    )
    assert len(found) == 1
    assert found[0].landmarks_xyz.shape == (1, 478, 3)
    assert found[0].expression.shape == (1, 52)
    assert (found[0].clip.identity, found[0].clip.emotion) == ("a", Emotion.HAPPY)
    assert steps == [(1, 2), (2, 2)]


def test_a_second_run_looks_at_no_clip_again(stills, models, tmp_path):
    first = list(prepare_clips(stills, models, tmp_path / "cache"))
    for clip in stills:
        clip.path.unlink()
    (again,) = prepare_clips(stills, models, tmp_path / "cache")
    np.testing.assert_array_equal(again.landmarks_xyz, first[0].landmarks_xyz)


def test_a_cut_run_goes_on_where_it_stopped(stills, models, tmp_path):
    cache = tmp_path / "cache"
    next(prepare_clips(stills, models, cache))  # and no further
    assert len(list(cache.glob("*.npz"))) == 1
    assert len(list(prepare_clips(stills, models, cache))) == 1
    assert len(list(cache.glob("*.npz"))) == 2
    assert not list(cache.glob("*.part*"))


def test_labels_come_from_the_index_not_from_the_cache(stills, models, tmp_path):
    list(prepare_clips(stills, models, tmp_path / "cache"))
    relabelled = [clip_at(clip.path, Emotion.SAD) for clip in stills]
    (again,) = prepare_clips(relabelled, models, tmp_path / "cache")
    assert again.clip.emotion is Emotion.SAD


def test_the_mouth_is_cut_out_around_its_middle():
    picture = waves(256, 256)
    cut = cut_mouth(picture, np.array([127.5, 160.5]))
    assert cut.shape == (64, 64)
    luma = picture @ np.array([0.299, 0.587, 0.114])
    assert cut[31:33, 31:33].mean() == pytest.approx(luma[160:162, 127:129].mean(), abs=2)
    # One pixel of the cut is as many of the crop as the reach says.
    step = 2 * MOUTH_REACH_PX / 64
    x = 127.5 + step * (np.arange(64) - 31.5)
    inside = np.abs(x - 127.5) < 40
    expected = np.interp(x[inside], np.arange(256), luma[160:162].mean(axis=0))
    np.testing.assert_allclose(cut[31:33, inside].mean(axis=0), expected, atol=3)


@pytest.mark.parametrize("left", [0, 900])
def test_a_damaged_file_of_the_cache_is_named(stills, models, tmp_path, left):
    list(prepare_clips(stills[:1], models, tmp_path / "cache"))
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_bytes(kept.read_bytes()[:left])
    with pytest.raises(UnreadableInputError, match=kept.name) as error:
        list(prepare_clips(stills[:1], models, tmp_path / "cache"))
    assert "delete" in error.value.hint
