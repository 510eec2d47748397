import csv

import pytest

from cdrl_cli.data.index import Role, files_key, read_index
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UnreadableInputError

ROW = {
    "path": "a.mp4",
    "audio": "",
    "dataset": "MEAD",
    "licence_class": "permissive",
    "identity": "M003",
    "emotion": "happy",
    "label_certain": "1",
    "sentence": "",
    "split": "train",
}


def write_index(folder, *rows, without=None):
    columns = [column for column in ROW if column != without]
    with (folder / "index.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(ROW | row for row in rows)


def test_a_row_is_a_clip(tmp_path):
    write_index(tmp_path, {"audio": "a.wav", "sentence": "dogs sit", "label_certain": "0"})
    (clip,) = read_index(tmp_path)
    assert clip.path == tmp_path / "a.mp4"
    assert clip.audio == tmp_path / "a.wav"
    assert (clip.dataset, clip.identity, clip.split) == ("MEAD", "M003", "train")
    assert clip.emotion is Emotion.HAPPY
    assert clip.sentence == "dogs sit"
    assert not clip.label_certain


def test_sound_within_the_clip_is_no_wav_beside_it(tmp_path):
    write_index(tmp_path, {"audio": "in clip"}, {"audio": ""})
    assert [clip.audio for clip in read_index(tmp_path)] == [None, None]


def test_no_label_is_no_emotion(tmp_path):
    write_index(tmp_path, {"emotion": ""}, {"emotion": "puzzled"}, {"sentence": ""})
    assert [clip.emotion for clip in read_index(tmp_path)] == [None, None, Emotion.HAPPY]
    assert read_index(tmp_path)[2].sentence is None


def test_a_data_set_that_is_neutral_by_design_is_neutral(tmp_path):
    write_index(tmp_path, {"dataset": "GRID", "emotion": ""})
    assert read_index(tmp_path)[0].emotion is Emotion.NEUTRAL


def test_two_unnamed_speakers_are_not_taken_for_one(tmp_path):
    write_index(
        tmp_path,
        {"path": "a.mp4", "identity": "unknown"},
        {"path": "b.mp4", "identity": "unknown"},
        {"path": "c.mp4", "identity": "M003"},
        {"path": "d.mp4", "identity": "M003"},
    )
    one, other, *known = (clip.identity for clip in read_index(tmp_path))
    assert one != other
    assert known == ["M003", "M003"]


def test_a_folder_without_an_index_is_unreadable(tmp_path):
    with pytest.raises(UnreadableInputError, match=r"index\.csv") as caught:
        read_index(tmp_path)
    assert caught.value.hint


@pytest.mark.parametrize("column", list(ROW))
def test_a_missing_column_is_named(tmp_path, column):
    write_index(tmp_path, {}, without=column)
    with pytest.raises(UnreadableInputError, match=column):
        read_index(tmp_path)


def test_roles_are_a_column(tmp_path):
    with (tmp_path / "index.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*ROW, "roles"])
        writer.writeheader()
        writer.writerow(ROW | {"roles": "held_out reframed"})
        # What a data set says by its name counts no more once the index has the column.
        writer.writerow(ROW | {"roles": "", "dataset": "Java-SED (full frame)"})
    one, other = read_index(tmp_path)
    assert one.roles == {Role.HELD_OUT, Role.REFRAMED}
    assert other.roles == frozenset()


def test_a_role_that_nobody_knows_is_named(tmp_path):
    with (tmp_path / "index.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*ROW, "roles"])
        writer.writeheader()
        writer.writerow(ROW | {"roles": "spare"})
    with pytest.raises(
        UnreadableInputError, match=r"line 2: 'spare' is none of the roles .*held_out"
    ):
        read_index(tmp_path)


def test_a_certain_label_is_read_as_programs_write_it(tmp_path):
    certain = ["1", "1.0", "True", "0", "0.0", ""]
    write_index(tmp_path, *({"label_certain": cell} for cell in certain))
    assert [clip.label_certain for clip in read_index(tmp_path)] == [True] * 3 + [False] * 3
    write_index(tmp_path, {})
    index = tmp_path / "index.csv"
    header, row = index.read_text().splitlines()
    place = header.split(",").index("label_certain")
    index.write_text(f"{header}\n{','.join(row.split(',')[:place])}\n")
    assert [clip.label_certain for clip in read_index(tmp_path)] == [False]
    write_index(tmp_path, {}, {"label_certain": "perhaps"})
    with pytest.raises(
        UnreadableInputError, match="line 3: label_certain: 'perhaps' is not 0 or 1"
    ):
        read_index(tmp_path)


def test_files_that_have_changed_have_another_key(tmp_path):
    file = tmp_path / "a.jpg"
    file.write_bytes(b"a")
    before = files_key([file])
    assert files_key([file]) == before
    file.write_bytes(b"ab")
    assert files_key([file]) != before
    file.unlink()
    with pytest.raises(UnreadableInputError, match=r"a\.jpg: No such file"):
        files_key([file])


def test_a_data_set_of_other_framings_says_so_where_the_index_does_not(tmp_path):
    write_index(tmp_path, {"dataset": "Java-SED (full frame)"}, {"dataset": "Java-SED"})
    assert [clip.roles for clip in read_index(tmp_path)] == [{Role.REFRAMED}, frozenset()]
