import io
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from certificates import make_identity
from hypothesis import given
from hypothesis import strategies as st

from cdrl_cli.batch import RowDefaults, read_manifest, results_path, select_shard
from cdrl_cli.batch.results import input_digest, options_digest
from cdrl_cli.editing import EditOptions
from cdrl_cli.errors import UsageError
from cdrl_cli.media.credentials import SigningIdentity
from cdrl_cli.report.beside import Beside

EVERYTHING = {
    "source": "talk.mp4",
    "ref": "joy.mp4",
    "follow_ref": True,
    "ref_neutral": "calm.jpg",
    "ref_face": 2,
    "ref_start": 0.5,
    "ref_end": "00:00:02",
    "normalize": True,
    "output": "out.mkv",
    "intensity": 0.5,
    "face": 2,
    "start": "1:05",
    "end": 66.25,
    "codec": "hevc",
    "crf": 12,
    "preset": "fast",
    "weights": "research",
    "compare": "wipe",
    "report": "out.html",
    "overwrite": True,
}


def check_everything(rows, folder):
    (row,) = rows
    assert (row.number, row.source, row.output) == (1, folder / "talk.mp4", folder / "out.mkv")
    assert row.weight_set == "research"
    assert row.beside == Beside(("wipe", folder / "out.wipe.mkv"), folder / "out.html")
    assert row.options == EditOptions(
        reference=folder / "joy.mp4",
        follow_reference=True,
        reference_neutral=folder / "calm.jpg",
        reference_face=2,
        reference_start=Fraction(1, 2),
        reference_end=Fraction(2),
        normalize=True,
        intensity=0.5,
        face=2,
        start=Fraction(65),
        end=Fraction(265, 4),
        codec="hevc",
        crf=12,
        preset="fast",
        overwrite=True,
    )


def test_every_column_arrives_from_jsonl(tmp_path):
    (tmp_path / "rows.jsonl").write_text(json.dumps(EVERYTHING) + "\n\n")
    check_everything(read_manifest(tmp_path / "rows.jsonl"), tmp_path)


def test_every_column_arrives_from_csv(tmp_path):
    text = ",".join(EVERYTHING) + "\r\n" + ",".join(map(str, EVERYTHING.values())) + "\r\n"
    (tmp_path / "rows.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    check_everything(read_manifest(tmp_path / "rows.csv"), tmp_path)


@pytest.mark.parametrize(
    "text",
    [json.dumps(EVERYTHING), ",".join(EVERYTHING) + "\n" + ",".join(map(str, EVERYTHING.values()))],
)
def test_a_stream_is_known_by_its_content(text):
    check_everything(read_manifest(io.StringIO(text)), Path.cwd())


def test_a_row_that_does_not_say_takes_the_defaults():
    text = "source,emotion,output,crf,way,pace\na.mp4,joy,a.mkv,,,\nb.mp4,joy,b.mkv,3,2,.25\n"
    defaults = RowDefaults(crf=20, intensity=0.3, face="all", overwrite=True)
    first, second = read_manifest(io.StringIO(text), defaults=defaults)
    assert (first.options.crf, second.options.crf) == (20, 3)
    assert (first.options.way, first.options.pace) == (None, 1)
    assert (second.options.way, second.options.pace) == (2, 0.25)
    assert (first.options.intensity, first.options.face) == (0.3, "all")
    assert first.options.overwrite


def test_what_holds_for_all_rows_says_nothing_of_one_without_loss():
    text = "source,emotion,output,codec\na.mp4,joy,a.mkv,ffv1\nb.mp4,joy,b.mkv,h264\n"
    rows = read_manifest(io.StringIO(text), defaults=RowDefaults(crf=20, preset="fast"))
    assert [(row.options.crf, row.options.preset) for row in rows] == [(None, None), (20, "fast")]


def test_one_signer_signs_all_rows_that_can_be_signed(tmp_path):
    identity = make_identity(tmp_path / "me")
    text = "source,emotion,output\na.mp4,sad,x.mp4\nb.mp4,sad,y.{}\n"
    defaults = RowDefaults(signing=identity)
    rows = read_manifest(io.StringIO(text.format("mov")), defaults=defaults)
    assert [row.options.signing for row in rows] == [identity, identity]
    with pytest.raises(UsageError) as caught:
        read_manifest(io.StringIO(text.format("mkv")), defaults=defaults)
    assert "line 3" in caught.value.details[0]
    nobody = RowDefaults(signing=SigningIdentity(tmp_path / "a.pem", tmp_path / "b.pem"))
    with pytest.raises(UsageError, match=r"a\.pem"):
        read_manifest(io.StringIO(text.format("mov")), defaults=nobody)


def test_lines_are_counted_where_cells_span_several():
    text = 'source,emotion,output\n"a\nb.mp4",sad,a.mkv\n\nc.mp4,sad,c.mkv\n'
    assert [row.line for row in read_manifest(io.StringIO(text))] == [2, 5]


@given(rows=st.integers(1, 40), count=st.integers(1, 12))
def test_shards_are_a_partition(rows, count):
    text = "source,emotion,output\n" + "".join(f"a.mp4,sad,{n}.mp4\n" for n in range(rows))
    manifest = read_manifest(io.StringIO(text))
    parts = [select_shard(manifest, index, count) for index in range(1, count + 1)]
    numbers = [[row.number for row in part] for part in parts]
    assert sorted(sum(numbers, [])) == list(range(1, rows + 1))  # noqa: RUF017
    for index, part in enumerate(numbers, start=1):
        assert all(number % count == index % count for number in part)


@pytest.mark.parametrize(("index", "count"), [(0, 2), (3, 2), (1, 0)])
def test_there_is_no_such_shard(index, count):
    with pytest.raises(UsageError):
        select_shard((), index, count)


def test_each_shard_has_its_own_results():
    names = {results_path(Path("rows.csv"), (index, 3)).name for index in (1, 2, 3)}
    assert len(names | {results_path(Path("rows.csv")).name}) == 4


def rows_of(*columns, folder=None):
    """Rows of a reference, each with some columns of its own."""
    row = {"source": "a.mp4", "ref": "b.mp4", "output": "c.mp4"}
    text = "\n".join(json.dumps(row | other) for other in columns)
    return read_manifest(io.StringIO(text), folder=folder)


@pytest.mark.parametrize(
    "column",
    [
        {"ref_face": 2},
        {"pace": 0},
        {"follow_ref": "yes"},
        {"ref_start": "0.333"},
        {"ref_end": 5},
        {"normalize": "yes"},
        {"ref_neutral": "calm.jpg"},
        {"emotion": "fear"},
    ],
)
def test_a_row_that_reads_its_reference_in_another_way_is_another_row(column):
    (plain,), (other,) = rows_of({}), rows_of(column)
    assert options_digest(plain) != options_digest(other)


def test_a_schedule_that_was_renamed_asks_for_the_same(tmp_path):
    digests = set()
    for name in ("one.csv", "other.csv"):
        (tmp_path / name).write_text("start,end,emotion\n0,1,happy\n")
        manifest = tmp_path / "rows.csv"
        manifest.write_text(f"source,output,schedule\na.mp4,b.mp4,{name}\n")
        digests |= {options_digest(row) for row in read_manifest(manifest)}
    assert len(digests) == 1


def test_times_that_differ_by_less_than_a_decimal_number_are_told_apart():
    (row,) = rows_of({"ref_start": 1})
    near = [
        replace(row, options=replace(row.options, reference_start=start))
        for start in (Fraction(1, 3), Fraction(1, 3) + Fraction(1, 10**20))
    ]
    assert len({options_digest(one) for one in near}) == 2


def test_a_neutral_picture_that_changes_makes_the_input_another(tmp_path):
    for name in ("a.mp4", "b.mp4", "calm.jpg"):
        (tmp_path / name).write_bytes(b"before")
    (row,) = rows_of({"ref_neutral": "calm.jpg"}, folder=tmp_path)
    digest = input_digest(row)
    assert digest == input_digest(row)
    (tmp_path / "calm.jpg").write_bytes(b"after that")
    assert input_digest(row) not in (digest, None)
    (tmp_path / "calm.jpg").unlink()
    assert input_digest(row) is None


def test_no_row_writes_the_neutral_picture_of_another(tmp_path):
    with pytest.raises(UsageError) as caught:
        rows_of({}, {"ref_neutral": "c.mp4", "output": "d.mp4"}, folder=tmp_path)
    (detail,) = caught.value.details
    assert "c.mp4, which line 2 reads" in detail


def test_what_is_written_beside_an_edit_is_written_once_and_read_by_no_row(tmp_path):
    with pytest.raises(UsageError) as caught:
        rows_of(
            {"compare": "both.mp4"}, {"output": "both.mp4", "compare": "c.mp4"}, folder=tmp_path
        )
    assert [line.split(": ", 1)[1] for line in caught.value.details] == [
        f"writes {tmp_path}/both.mp4, as line 1 does",
        f"writes {tmp_path}/c.mp4, as line 1 does",
    ]


def test_a_strength_is_said_or_found(tmp_path):
    with pytest.raises(UsageError) as caught:
        rows_of({"intensity": 0.5, "target_emotion": 0.7}, folder=tmp_path)
    (detail,) = caught.value.details
    assert "give one of them" in detail


def test_a_row_may_have_a_schedule_and_what_holds_for_its_rows(tmp_path):
    (tmp_path / "when.csv").write_text("face,emotion\n1,joy\n")
    manifest = tmp_path / "rows.csv"
    manifest.write_text(
        "source,output,schedule,adjust,neutralise,emotion\n"
        "a.mp4,b.mp4,when.csv,smile=.2,yes,\n"
        "a.mp4,c.mp4,,smile=.2,,\n"
    )
    first, second = read_manifest(manifest)
    (row,) = first.options.plan.rows
    assert (row.emotion, row.face, str(row.adjust), row.neutralise) == (
        "happy",
        1,
        "smile=+0.2",
        True,
    )
    assert second.options.adjust == row.adjust
    assert options_digest(first) != options_digest(second)


def test_what_is_wrong_with_a_schedule_is_told_with_the_row(tmp_path):
    (tmp_path / "when.csv").write_text("face,emotion\n1,\n")
    manifest = tmp_path / "rows.csv"
    manifest.write_text("source,output,schedule\na.mp4,b.mp4,when.csv\n")
    with pytest.raises(UsageError) as caught:
        read_manifest(manifest)
    (line,) = caught.value.details
    assert line.startswith(f"{manifest}, line 2: {tmp_path / 'when.csv'}, line 2: give the emotion")


def test_rows_may_be_disclosed_and_steered_as_an_edit_is(tmp_path):
    manifest = tmp_path / "rows.jsonl"
    rows = [
        {"preset_emotion": "sly", "who": "jane.jpg"},
        {"emotion": "sad", "disclose": False, "target_emotion": 0.5},
        {"emotion": "sad", "disclose": "top-left", "preset_emotion": "subtle"},
        {"emotion": "sad", "disclose": True},
    ]
    same = {"source": "a.mp4"}
    lines = (json.dumps(same | {"output": f"{n}.mp4"} | row) for n, row in enumerate(rows))
    manifest.write_text("\n".join(lines))
    own = {"sly": {"emotion": "joy", "intensity": 0.4}}
    defaults = RowDefaults(disclose="bottom-right", disclose_at="top-right", own_presets=own)
    first, second, third, fourth = (
        row.options for row in read_manifest(manifest, defaults=defaults)
    )
    assert (first.emotion, first.intensity, first.who) == ("happy", 0.4, tmp_path / "jane.jpg")
    assert first.disclose == "bottom-right"
    assert (second.disclose, second.target_emotion) == (None, 0.5)
    assert (third.disclose, third.intensity) == ("top-left", 0.6)
    assert fourth.disclose == "top-right"
