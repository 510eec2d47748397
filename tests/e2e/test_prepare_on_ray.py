"""Training clips prepared by a Ray cluster, into the same files as without."""

import importlib.util
import shutil
from pathlib import Path

import pytest

from cdrl_cli.cli.app import run

from ..conftest import require

ROOT = Path(__file__).parents[2]

COLUMNS = "path,audio,dataset,licence_class,identity,emotion,label_certain,sentence,split"


@pytest.fixture
def address(monkeypatch):
    require("ray", present=importlib.util.find_spec("ray") is not None)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_DISABLE_IMPORT_WARNING", "1")
    from ray.cluster_utils import Cluster

    found = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
    )
    yield found.address
    found.shutdown()


def write_index(folder, clips):
    rows = [f"{clip},,made up,permissive,A,neutral,1,,train" for clip in clips]
    (folder / "index.csv").write_text("\n".join([COLUMNS, *rows]))


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_prepares_what_one_process_does(address, clips, tmp_path, monkeypatch, capsys):
    (tmp_path / "broken.mp4").write_bytes(b"no clip")
    for name in ("one.mp4", "two.mp4"):
        shutil.copy(clips / "single_face.mp4", tmp_path / name)
    write_index(tmp_path, ["one.mp4", "two.mp4"])
    monkeypatch.chdir(tmp_path)
    # Paths of the index are relative to its folder, where no machine of the cluster works.
    prepare = ["train", "prepare", "--data", ".", "--cache"]
    assert run([*prepare, "here", "--quiet"]) == 0
    assert run([*prepare, "there", "--ray", address]) == 0
    assert "2 of 2 clips show a face" in capsys.readouterr().err
    names = [{one.name for one in Path(folder).glob("*")} for folder in ("here", "there")]
    assert names[0] == names[1]
    assert len(names[0]) == 2
    for name in names[0]:
        assert (Path("here") / name).read_bytes() == (Path("there") / name).read_bytes()

    write_index(tmp_path, ["broken.mp4", "two.mp4"])
    assert run([*prepare, "there", "--ray", address, "--quiet"]) == 5
    assert "broken.mp4" in capsys.readouterr().err


def test_a_cluster_and_processes_of_ones_own_do_not_go_together(tmp_path, capsys):
    words = ["--data", str(tmp_path), "--jobs", "2", "--ray", "auto"]
    assert run(["train", "prepare", *words, "--quiet"]) == 2
    assert "--jobs is of this machine alone" in capsys.readouterr().err
