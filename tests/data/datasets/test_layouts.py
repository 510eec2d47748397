"""Data sets as their owners lay them out: names say who, what and how; nothing is opened."""

from pathlib import Path

import pytest

from cdrl_cli.data.datasets import DATASET_LAYOUTS, find_layout
from cdrl_cli.data.datasets.layouts import read_tree
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UnreadableInputError, UsageError
from dataset_trees import mead_paths

NAMES = {
    "mead": (
        "M003/video/front/angry/level_3/001.mp4",
        "MEAD_M003",
        Emotion.ANGRY,
        "MEAD_001",
        ["M003/video/left_30/angry/level_3/001.mp4"],
        ["M003/video/front/grumpy/level_3/001.mp4", "M003/001.mp4"],
    ),
    "ravdess": (
        "Actor_01/01-01-05-02-01-01-01.mp4",
        "RAVDESS_01",
        Emotion.ANGRY,
        "RAVDESS_01",
        ["Actor_01/02-01-05-02-01-01-01.mp4", "Actor_01/01-02-05-02-01-01-01.mp4"],
        ["Actor_01/01-01-09-02-01-01-01.mp4", "Actor_01/a.mp4"],
    ),
    "crema-d": (
        "VideoFlash/1001_DFA_ANG_XX.flv",
        "CREMA-D_1001",
        Emotion.ANGRY,
        "CREMA-D_DFA",
        [],
        ["VideoFlash/1001_DFA_JOY_XX.flv", "VideoFlash/a.flv"],
    ),
    "java-sed": ("01-04-06_01.mp4", "Java-SED_01", Emotion.ANGRY, "Java-SED_04", [], ["a.mp4"]),
    "kdef": ("AF01/AF01ANS.JPG", "KDEF_F01", Emotion.ANGRY, None, ["AF01/AF01ANHL.JPG"], ["a.jpg"]),
    "rafd": (
        "Rafd090_01_Caucasian_female_angry_frontal.jpg",
        "RaFD_01",
        Emotion.ANGRY,
        None,
        ["Rafd045_01_Caucasian_female_angry_frontal.jpg"],
        ["Rafd090_01.jpg"],
    ),
    "nimstim": ("01F_AN_C.BMP", "NimStim_01F", Emotion.ANGRY, None, [], ["01F_XX_C.BMP"]),
}
"""A clip, what its name says, files that are not used, files that are foreign."""


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_every_data_set_is_tried():
    assert set(NAMES) == set(DATASET_LAYOUTS)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_says_who_and_what(name, tmp_path):
    path, person, emotion, sentence, unused, foreign = NAMES[name]
    touch(tmp_path, path, *unused, *foreign)
    tree = read_tree(find_layout(name), tmp_path)
    (clip,) = tree.clips
    assert clip.path == tmp_path / path
    assert (clip.identity, clip.emotion, clip.sentence) == (person, emotion, sentence)
    assert {str(one.relative_to(tmp_path)) for one in tree.foreign} == set(foreign)


@pytest.mark.parametrize("name", NAMES)
def test_the_example_is_one(name, tmp_path):
    layout = find_layout(name)
    touch(tmp_path, layout.example)
    assert len(read_tree(layout, tmp_path).clips) == 1


def test_sound_beside_a_clip_is_found(tmp_path):
    touch(
        tmp_path,
        "M003/video/front/angry/level_3/001.mp4",
        "M003/audio/angry/level_3/001.m4a",
        "VideoFlash/1001_DFA_ANG_XX.flv",
        "AudioWAV/1001_DFA_ANG_XX.wav",
    )
    for name in ("mead", "crema-d"):
        (clip,) = read_tree(find_layout(name), tmp_path).clips
        assert clip.audio is not None
        assert clip.audio.exists()


def test_a_sentence_of_mead_is_one_in_two_emotions_only_where_that_is_known(tmp_path):
    touch(tmp_path, *map(str, mead_paths(people=["M003"], sentences=5)))

    def sentences(emotion):
        clips = read_tree(find_layout("mead"), tmp_path).clips
        return [clip.sentence for clip in clips if clip.emotion is emotion]

    angry, sad = sentences(Emotion.ANGRY), sentences(Emotion.SAD)
    assert angry[:3] == sad[:3]
    assert not set(angry[3:]) & set(sad[3:])
    listed = tmp_path / "other"
    touch(listed, *map(str, mead_paths(people=["M003"], sentences=5)))
    (listed / "sentences.csv").write_text("emotion,number,sentence\nangry,4,dogs\nsad,5,dogs\n")
    clips = read_tree(find_layout("mead"), listed).clips
    said = [clip.emotion for clip in clips if clip.sentence == "MEAD_dogs"]
    assert said == [Emotion.ANGRY, Emotion.SAD]
    own = tmp_path / "own"
    touch(own, *map(str, mead_paths(people=["M003", "M009"], sentences=5)))
    rows = [
        "emotion,number,sentence,person",
        "angry,4,dogs,",
        "angry,5,dogs,M003",
        "angry,4,cats,M003",
    ]
    (own / "sentences.csv").write_text("\n".join(rows))
    said = {
        (clip.identity, clip.sentence): clip.path.stem
        for clip in read_tree(find_layout("mead"), own).clips
        if clip.sentence in ("MEAD_dogs", "MEAD_cats")
    }
    assert said == {
        ("MEAD_M003", "MEAD_dogs"): "005",
        ("MEAD_M003", "MEAD_cats"): "004",
        ("MEAD_M009", "MEAD_dogs"): "004",
    }


def test_what_is_wrong_is_one_line(tmp_path):
    with pytest.raises(UsageError, match="no data set 'imagenet'"):
        find_layout("imagenet")
    with pytest.raises(UnreadableInputError, match="no such folder"):
        read_tree(find_layout("mead"), tmp_path / "nowhere")
    with pytest.raises(UnreadableInputError, match="no clip of MEAD") as caught:
        read_tree(find_layout("mead"), tmp_path)
    assert "M003/video/front" in caught.value.hint
