import io
import json
from fractions import Fraction
from pathlib import Path

import pytest
from certificates import make_identity
from hypothesis import given
from hypothesis import strategies as st

from cdrl_cli.batch import RowDefaults, read_manifest, results_path, select_shard
from cdrl_cli.editing import EditOptions
from cdrl_cli.errors import UsageError
from cdrl_cli.media.credentials import SigningIdentity

EVERYTHING = {
    "source": "talk.mp4",
    "ref": "joy.mp4",
    "follow_ref": True,
    "output": "out.mkv",
    "intensity": 0.5,
    "face": 2,
    "start": "1:05",
    "end": 66.25,
    "codec": "hevc",
    "crf": 12,
    "preset": "fast",
    "weights": "research",
    "overwrite": True,
}


def check_everything(rows, folder):
    (row,) = rows
    assert (row.number, row.source, row.output) == (1, folder / "talk.mp4", folder / "out.mkv")
    assert row.weight_set == "research"
    assert row.options == EditOptions(
        reference=folder / "joy.mp4",
        follow_reference=True,
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
    text = "source,emotion,output,crf\na.mp4,sad,a.mkv,\nb.mp4,sad,b.mkv,3\n"
    defaults = RowDefaults(crf=20, intensity=0.3, face="all", overwrite=True)
    first, second = read_manifest(io.StringIO(text), defaults=defaults)
    assert (first.options.crf, second.options.crf) == (20, 3)
    assert (first.options.intensity, first.options.face) == (0.3, "all")
    assert first.options.overwrite


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
