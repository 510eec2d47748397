"""What a manifest asks to be written beside its results, and steered, as the command does it."""

import json

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
