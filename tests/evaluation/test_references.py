"""What is read of references, and of the neutral faces of the people in them."""

import shutil
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

import sample_clips
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import NoFaceError
from cdrl_cli.evaluation import measures
from cdrl_cli.evaluation.references import ReferenceReader, other_changes, simple_photos
from cdrl_cli.media import open_video
from talkers import make_clip

COLUMNS = "path,dataset,identity,emotion,label_certain,licence_class,width,height,split,source\n"


@pytest.fixture(scope="module")
def shown(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Half a second of a man at rest and of an actress's joy and grief, and a photo of her."""
    folder = tmp_path_factory.mktemp("references")
    found = {}
    for name, source in (("rest", "single_face"), ("joy", "joy"), ("grief", "grief")):
        found[name] = folder / f"{name}.mp4"
        sample_clips.cut_clip(
            clips / f"{source}.mp4", found[name], start=Fraction(0), end=Fraction(1, 2)
        )
    with open_video(found["joy"]) as video:
        frame = next(iter(video))
    found["photo"] = folder / "photo.png"
    cv2.imwrite(str(found["photo"]), frame.rgb()[..., ::-1])
    return found


def of(path, person, emotion, dataset="made up"):
    return make_clip(identity=person, emotion=emotion, dataset=dataset, path=path)


def test_a_photo_is_a_reference_of_one_frame(models, shown, tmp_path):
    reader = ReferenceReader(models, [], tmp_path)
    assert reader.expressions(of(shown["photo"], "A", Emotion.HAPPY)).shape == (1, 52)
    assert 1 < len(reader.expressions(of(shown["joy"], "A", Emotion.HAPPY))) <= 5


def test_the_change_is_from_the_persons_own_neutral(models, shown, tmp_path):
    joy, rest = of(shown["joy"], "A", Emotion.HAPPY), of(shown["rest"], "A", Emotion.NEUTRAL)
    stranger = of(shown["grief"], "B", Emotion.NEUTRAL)
    reader = ReferenceReader(models, [joy, rest, stranger], tmp_path)
    np.testing.assert_allclose(reader.neutral(joy), reader.expressions(rest).mean(axis=0))
    change = reader.change(joy)
    assert change.shape == (len(measures.EMOTION_CHANNELS),)
    assert np.linalg.norm(change) > 0.3
    assert reader.change(of(shown["joy"], "C", Emotion.HAPPY)) is None


def test_the_neutral_of_the_same_data_set_is_preferred(models, shown, tmp_path):
    joy = of(shown["joy"], "A", Emotion.HAPPY)
    near = of(shown["rest"], "A", Emotion.NEUTRAL)
    far = of(shown["grief"], "A", Emotion.NEUTRAL, dataset="another")
    both = ReferenceReader(models, [far, near], tmp_path)
    np.testing.assert_array_equal(
        both.neutral(joy), ReferenceReader(models, [near], tmp_path).neutral(joy)
    )
    assert both.neutral_clips(joy) == [near]
    assert ReferenceReader(models, [far], tmp_path).neutral(joy) is not None


def test_what_was_read_is_kept(models, shown, tmp_path):
    joy = of(shown["joy"], "A", Emotion.HAPPY)
    first = ReferenceReader(models, [], tmp_path).expressions(joy)
    (kept,) = tmp_path.glob("*.npy")
    np.save(kept, 2 * first)
    np.testing.assert_array_equal(ReferenceReader(models, [], tmp_path).expressions(joy), 2 * first)


def test_others_are_other_people_with_the_emotion_and_a_neutral(models, shown, tmp_path):
    mine, hers, his, theirs = (of(shown["joy"], person, Emotion.HAPPY) for person in "ABCD")
    sad = of(shown["grief"], "B", Emotion.SAD)
    neutrals = [of(shown["rest"], person, Emotion.NEUTRAL) for person in "ABC"]
    reader = ReferenceReader(models, neutrals, tmp_path)
    assert len(other_changes(mine, [mine, hers, his, theirs, sad], reader)) == 2


def test_a_reference_without_a_face_is_refused(models, tmp_path):
    path = tmp_path / "grey.png"
    cv2.imwrite(str(path), np.full((64, 64, 3), 128, np.uint8))
    with pytest.raises(NoFaceError):
        ReferenceReader(models, [], tmp_path / "kept").expressions(of(path, "A", Emotion.SAD))


def test_photos_of_compound_emotions_are_left_out(tmp_path):
    (tmp_path / "photos.csv").write_text(
        COLUMNS
        + "cfee/1_sad.jpg,CFEE,CFEE_1,sad,0,research,384,384,val,somewhere\n"
        + "cfee/1_awed.jpg,CFEE,CFEE_1,awed,1,research,256,256,val,somewhere\n"
    )
    (photo,) = simple_photos(tmp_path)
    assert photo.path == tmp_path / "cfee" / "1_sad.jpg"
    assert (photo.emotion, photo.label_certain, photo.split) == (Emotion.SAD, False, "val")
    shutil.rmtree(tmp_path)
    assert simple_photos(tmp_path) == []
