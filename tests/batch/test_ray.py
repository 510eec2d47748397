"""Rows on a Ray cluster of two machines, one of which is lost on the way."""

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..conftest import require

ROOT = Path(__file__).parents[2]

ROWS = 12

pytestmark = pytest.mark.slow


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    require("ray", present=importlib.util.find_spec("ray") is not None)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_DISABLE_IMPORT_WARNING", "1")
    from ray.cluster_utils import Cluster

    found = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
    )
    yield found
    found.shutdown()


@pytest.mark.filterwarnings("ignore")
def test_a_lost_machine_loses_no_row(cluster, clips, tmp_path):
    other = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    source = clips / "single_face.mp4"
    rows = [f"{source},sad,{number}.mp4" for number in range(ROWS)]
    (tmp_path / "rows.csv").write_text("\n".join(["source,emotion,output", *rows]))
    command = [sys.executable, "-m", "cdrl_cli", "batch", "rows.csv", "--ray", cluster.address]
    running = subprocess.Popen(
        [*command, "--preset", "ultrafast", "--json"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"SPFEM_CONFIG": os.devnull},
    )
    results = tmp_path / "rows.csv.results.jsonl"
    end_s = time.monotonic() + 300
    while not results.exists() or results.read_text().count("\n") < 3:
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < end_s
        time.sleep(0.1)
    cluster.remove_node(other, allow_graceful=False)
    out, err = running.communicate(timeout=400)
    assert running.returncode == 0, err
    summary = json.loads(out)
    assert (summary["rows"], summary["ok"], summary["failed"]) == (ROWS, ROWS, 0)
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    assert Counter(line["row"] for line in lines) == Counter(range(1, ROWS + 1))
    assert all(line["status"] == "ok" and line["result"]["frames"] == 72 for line in lines)
    left = {path.name for path in tmp_path.iterdir()} - {"rows.csv", results.name}
    assert {name for name in left if name.endswith(".mp4")} == {f"{n}.mp4" for n in range(ROWS)}
    assert not {name for name in left if name.endswith(".part")}
