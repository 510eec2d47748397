from cdrl_cli.data.datasets.london import read_london
from cdrl_cli.emotion import Emotion


def test_stills_say_who_and_what_by_their_names(tmp_path):
    for name in (
        "002_smiling.jpg",
        "001_neutral.jpg",
        "notes.jpg",
        "003_angry.jpg",
        "001_neutral.txt",
    ):
        (tmp_path / name).touch()
    stills = read_london(tmp_path)
    assert [clip.identity for clip in stills] == ["London_001", "London_002"]
    assert [clip.emotion for clip in stills] == [Emotion.NEUTRAL, Emotion.HAPPY]


def test_a_folder_without_stills_has_none(tmp_path):
    assert read_london(tmp_path / "london") == []
