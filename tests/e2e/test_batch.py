"""What a manifest asks to be written beside its results, and steered, as the command does it."""

import csv
import json

import pytest
from c2pa import Reader
from certificates import make_identity
from PIL import Image

from cdrl_cli.media import open_video

from ..conftest import require_weights
from .conftest import spfem


def test_rows_are_steered_compared_and_reported(short, tmp_path):
    lines = [
        {"output": "a.mp4", "emotion": "happy", "compare": "side", "report": "a.html"},
        {"output": "b.mp4", "adjust": "smile=.4", "neutralise": True, "disclose": "top-left"},
        {"output": "c.mp4", "emotion": "sad", "target_emotion": 0.3, "resume": True},
    ]
    rows = (json.dumps({"source": str(short)} | line) for line in lines)
    (tmp_path / "rows.jsonl").write_text("\n".join(rows))
    done = spfem("batch", "rows.jsonl", "--jobs", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    written = ["a.html", "a.mp4", "a.side.mp4", "b.mp4", "c.mp4"]
    results = (tmp_path / "rows.jsonl.results.jsonl").read_text().splitlines()
    first, _, third = (json.loads(line)["result"] for line in results)
    assert [path.rsplit("/")[-1] for path in first["beside"]] == ["a.side.mp4", "a.html"]
    (row,) = third["schedule"]
    assert row["measured"] >= row["target_emotion"] == 0.3
    names = sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("rows."))
    assert names == written
    assert "<!doctype html>" in (tmp_path / "a.html").read_text("utf-8")


@pytest.mark.weights
def test_rows_say_who_agreed_how_strong_and_whose_face(short, tmp_path):
    require_weights("identity")
    with open_video(short) as video:
        Image.fromarray(next(iter(video)).rgb()).save(tmp_path / "him.png")
    shown = {"source": str(short), "emotion": "sad", "who": "him.png"}
    rows = [
        shown | {"output": "a.mp4", "preset_emotion": "subtle", "consent": "He agreed in writing."},
        shown | {"output": "b.mp4", "preset_emotion": "strong", "disclose": "true"},
    ]
    with (tmp_path / "rows.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, [*rows[0], "disclose"])
        table.writeheader()
        table.writerows(rows)
    signer = make_identity(tmp_path / "signer")
    sign = ["--c2pa-cert", signer.certificates, "--c2pa-key", signer.key]
    done = spfem("batch", "rows.csv", *sign, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "rows.csv.results.jsonl").read_text().splitlines()
    results = [json.loads(line)["result"] for line in lines]
    told = [(one["schedule"][0]["intensity"], one["consent"], one["disclose"]) for one in results]
    assert told == [(0.6, "He agreed in writing.", None), (1.5, None, "bottom-left")]
    assert all(one["schedule"][0]["who"].endswith("him.png") for one in results)
    assert all(one["edited_frames"] == 10 for one in results)
    assertions = Reader(tmp_path / "a.mp4").get_active_manifest()["assertions"]
    (note,) = (one["data"]["note"] for one in assertions if one["label"] == "org.spfem.consent")
    assert note == "He agreed in writing."
    refused = spfem("batch", "rows.csv", "--overwrite", cwd=tmp_path)
    assert refused.returncode == 2
    assert "line 2: a note of consent is kept only in what is signed" in refused.stderr
