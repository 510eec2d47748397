import csv

import numpy as np
import pytest

from cdrl_cli.data.datasets.photos import parse_emotions, read_photos
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UnreadableInputError

ROW = {
    "path": "cfee/111_neutral_1.jpg",
    "dataset": "CFEE",
    "identity": "CFEE_111",
    "emotion": "neutral",
    "label_certain": "1",
    "licence_class": "research",
    "split": "train",
    "source": "somewhere",
}


def write_list(folder, *rows, without=None):
    columns = [column for column in ROW if column != without]
    with (folder / "photos.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(ROW | row for row in rows)


def test_a_row_is_a_photo(tmp_path):
    write_list(tmp_path, {"split": "val", "label_certain": "0", "emotion": "fear"})
    (photo,) = read_photos(tmp_path)
    assert photo.path == tmp_path / "cfee/111_neutral_1.jpg"
    assert (photo.dataset, photo.identity, photo.split) == ("CFEE", "CFEE_111", "val")
    assert (photo.emotions, photo.licence_class) == ((Emotion.FEAR,), "research")
    assert not photo.label_certain
    assert not photo.is_compound


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("happily_surprised", {Emotion.HAPPY, Emotion.SURPRISED}),
        ("sadly_fearful", {Emotion.SAD, Emotion.FEAR}),
        ("disgustedly_surprised", {Emotion.DISGUSTED, Emotion.SURPRISED}),
        ("hatred", {Emotion.ANGRY, Emotion.DISGUSTED}),
        ("awed", {Emotion.FEAR, Emotion.SURPRISED}),
        ("appalled", {Emotion.DISGUSTED, Emotion.SURPRISED}),
    ],
)
def test_a_compound_emotion_is_two_at_half_each(tmp_path, name, parts):
    write_list(tmp_path, {"emotion": name})
    (photo,) = read_photos(tmp_path)
    assert photo.is_compound
    assert set(photo.emotions) == parts
    shown = {emotion for emotion in Emotion if photo.shares[emotion.class_index]}
    assert shown == parts
    assert photo.shares.sum() == 1


@pytest.mark.parametrize("emotion", list(Emotion))
def test_a_simple_emotion_is_itself_and_neutral_is_none(emotion):
    from cdrl_cli.data.datasets.photos import emotion_shares

    assert parse_emotions(emotion.value) == (emotion,)
    expected = np.eye(len(Emotion))[emotion.class_index] * (emotion is not Emotion.NEUTRAL)
    np.testing.assert_array_equal(emotion_shares((emotion,)), expected)


def test_a_photo_is_a_clip_of_one_frame_and_a_compound_has_no_label(tmp_path):
    write_list(tmp_path, {"emotion": "angry"}, {"emotion": "sadly_angry"})
    one, other = (photo.as_clip() for photo in read_photos(tmp_path))
    assert (one.emotion, other.emotion) == (Emotion.ANGRY, None)
    assert (one.identity, one.audio, one.sentence) == ("CFEE_111", None, None)


def test_an_emotion_without_a_name_that_is_known_is_refused(tmp_path):
    write_list(tmp_path, {"emotion": "puzzled"})
    with pytest.raises(UnreadableInputError, match="puzzled"):
        read_photos(tmp_path)


def test_a_folder_without_a_list_is_unreadable(tmp_path):
    with pytest.raises(UnreadableInputError, match=r"photos\.csv") as caught:
        read_photos(tmp_path)
    assert caught.value.hint


@pytest.mark.parametrize("column", [column for column in ROW if column != "source"])
def test_a_missing_column_is_named(tmp_path, column):
    write_list(tmp_path, {}, without=column)
    with pytest.raises(UnreadableInputError, match=column):
        read_photos(tmp_path)
