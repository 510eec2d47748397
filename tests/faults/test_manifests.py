"""Manifests with every kind of wrong row: all are named, and nothing starts."""

import json

import pytest

from .conftest import Spfem, count

GOOD = {"source": "a.mp4", "emotion": "sad", "output": "out.mp4"}

WRONG = {
    "no source": {"source": None},
    "no output": {"output": ""},
    "a neutral face without a reference": {"ref_neutral": "b.mp4"},
    "no such face of a reference": {"ref": "b.mp4", "ref_face": 0},
    "half a face of a reference": {"ref": "b.mp4", "ref_face": 1.5},
    "a reference that ends before it begins": {"ref": "b.mp4", "ref_start": 5, "ref_end": "0:04"},
    "no switch for the strength": {"ref": "b.mp4", "normalize": "perhaps"},
    "neither": {"emotion": None},
    "a blank emotion": {"emotion": " "},
    "too intense": {"intensity": 2.5},
    "no number": {"intensity": "strong"},
    "not a number": {"intensity": float("nan")},
    "a list": {"source": ["a.mp4"]},
    "an object": {"source": {"path": "a.mp4"}},
    "true as a name": {"source": True},
    "no face": {"face": "smallest"},
    "a negative face": {"face": -1},
    "no time": {"start": "soon"},
    "a time without end": {"end": "9" * 400},
    "the end before the start": {"start": 5, "end": "0:04"},
    "an unknown codec": {"codec": "gif"},
    "a codec for another container": {"codec": "ffv1"},
    "an unknown preset": {"preset": "placid"},
    "a quality out of range": {"crf": 99},
    "half a quality": {"crf": "1.5"},
    "an unknown weight set": {"weights": "stolen"},
    "an unknown kind of file": {"output": "out.gif"},
    "no switch": {"overwrite": "perhaps"},
    "an unknown column": {"emotoin": "sad"},
    "a zero byte": {"source": "a\0b.mp4"},
    "half a character": {"source": "\udc00.mp4"},
    "the source as output": {"output": "./a.mp4"},
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_row_is_named_by_its_line(spfem: Spfem, kind):
    from cdrl_cli.batch import read_manifest
    from cdrl_cli.errors import UsageError

    rows = [GOOD | {"output": "first.mp4"}, GOOD | WRONG[kind]]
    manifest = spfem.folder / "rows.jsonl"
    manifest.write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(UsageError, match="1 of 2 rows are wrong") as caught:
        read_manifest(manifest)
    (detail,) = caught.value.details
    assert detail.startswith(f"{manifest}, line 2: ")
    count("wrong rows refused")


def test_all_that_is_wrong_with_a_row_is_named(spfem: Spfem):
    from cdrl_cli.batch import read_manifest
    from cdrl_cli.errors import UsageError

    manifest = spfem.folder / "rows.csv"
    manifest.write_text(
        "source,output,face,intensity,start\n,out.mp4,smallest,strong,soon\na.mp4,,all,1,2\n"
    )
    with pytest.raises(UsageError, match="2 of 2 rows are wrong") as caught:
        read_manifest(manifest)
    told = [detail.removeprefix(f"{manifest}, ") for detail in caught.value.details]
    assert [detail.split(":")[0] for detail in told] == ["line 2"] * 4 + ["line 3"]
    for word in ("no source", "face: ", "intensity: ", "start: ", "no output"):
        assert sum(word in detail for detail in told) == 1, word


def test_all_wrong_rows_are_named_at_once_and_nothing_starts(short, spfem: Spfem):
    rows = [{**GOOD, "source": str(short)}, *(GOOD | change for change in WRONG.values())]
    written = [*map(json.dumps, rows), "{", "[1]", '"text"', '{"source": 1, "source": 2}']
    (spfem.folder / "rows.jsonl").write_text("\n".join(written))
    done = spfem("batch", "rows.jsonl", "--json")
    assert done.returncode == 2
    error = json.loads(done.stdout)["error"]
    assert error["code"] == "usage"
    lines = [f"rows.jsonl, line {number}:" for number in range(2, len(written) + 1)]
    for line in lines:
        assert any(detail.startswith(line) for detail in error["details"]), line
    assert done.stderr.count("error: ") == len(error["details"]) + 1
    assert spfem.visible() == {"rows.jsonl"}
    count("wrong rows refused", len(lines))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "holds no rows"),
        (b"source,emotion,output\n", "holds no rows"),
        (b"source,emotoin,output\na,b,c\n", "unknown column 'emotoin'"),
        (b"source,emotion\na,b\n", "no column output"),
        (b"source,source,output\na,b,c\n", "twice"),
        (b'source,emotion,output\n"a.mp4,sad,b.mp4\nc,d,e\n', "line 2: is no CSV"),
        (b"source,emotion,output\n\xff\xfe,sad,a.mp4\n", "not UTF-8"),
        (b"source,emotion,output\n" + b"x" * 200_000 + b",sad,a.mp4\n", "line 2: is no CSV"),
    ],
)
def test_a_file_that_is_no_manifest_is_one_error(spfem: Spfem, text, message):
    (spfem.folder / "rows.csv").write_bytes(text)
    assert message in spfem.refuse(2, "batch", "rows.csv")
    assert spfem.visible() == {"rows.csv"}


def test_a_manifest_that_is_not_there(spfem: Spfem):
    spfem.refuse(5, "batch", "rows.csv")
    spfem.refuse(5, "batch", ".")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["a.mp4,sad,out.mp4", "b.mp4,sad,./out.mp4"], "line 3: writes"),
        (["a.mp4,sad,b.mp4", "b.mp4,sad,c.mp4"], "line 2: writes"),
        (["a.mp4,sad,out.mp4", "b.mp4,sad"], "line 3: has 2 cells"),
    ],
)
def test_rows_that_meet_are_refused(spfem: Spfem, rows, message):
    (spfem.folder / "rows.csv").write_text("\n".join(["source,emotion,output", *rows]))
    done = spfem("batch", "rows.csv")
    assert done.returncode == 2
    assert message in done.stderr
    count("wrong rows refused")
