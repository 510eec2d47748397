"""``spfem train skin`` as a whole, on two photographs of one person."""

import csv

import cv2
import pytest
from training.test_skin_refinement import TEACHERS

from cdrl_cli.nn.networks import open_network
from cdrl_cli.training import generator_pipelines
from cdrl_cli.training.generator_pipelines import make_skin
from cdrl_cli.training.pipelines import RunOptions
from pictures import read_pictures

COLUMNS = (
    "path", "dataset", "identity", "emotion", "label_certain", "licence_class", "width", "height",
    "split", "source",
)  # fmt: skip
pytestmark = [pytest.mark.weights, pytest.mark.slow]
RECIPE = """
rank = 3
batch = 2
[data]
weight_set = "research"
stills = ["photos"]
[schedule]
steps = 2
validate_every = 2
[refinement]
pairs = 2
edits = 2
schedule = { steps = 2, validate_every = 2 }
"""


@pytest.fixture(autouse=True)
def _teachers(monkeypatch):
    monkeypatch.setattr(generator_pipelines, "open_teachers", lambda: TEACHERS)


@pytest.fixture
def data(tmp_path, clips):
    """A person who is calm, and smiles; as the photographs for research are laid out."""
    folder = tmp_path / "data" / "photos"
    folder.mkdir(parents=True)
    taken = [read_pictures(clips / "joy.mp4", 30)[place] for place in (0, 29)]
    with (folder / "photos.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        for name, picture in zip(("neutral", "happy"), taken, strict=True):
            cv2.imwrite(str(folder / f"{name}.png"), picture[..., ::-1])
            high, wide = picture.shape[:2]
            rows.writerow(
                [f"{name}.png", "toy", "her", name, 1, "research", wide, high, "train", "joy.mp4"]
            )
    return tmp_path / "data"


def test_one_command_makes_the_file_and_goes_on_where_it_was(tmp_path, data):
    recipe = tmp_path / "toy.toml"
    recipe.write_text(RECIPE, "utf-8")
    output, cache = tmp_path / "skin.onnx", tmp_path / "faces"
    options = RunOptions(tmp_path / "run", resume=False, device="cpu")
    made = make_skin(recipe, data, cache, output, options=options)
    assert made.summary == "step 2 of 2, 1 pairs, then 2 steps, 6 edits, 0 min"
    first = output.read_bytes()
    assert {one.name for one in open_network(output).get_inputs()} == {"picture", "condition"}
    kept = [*cache.glob("faces-research-*.npz"), *cache.glob("edits-research-*.npz")]
    assert len(kept) == 2
    found = [one.stat().st_mtime_ns for one in kept]

    output.unlink()
    make_skin(
        recipe, data, cache, output, options=RunOptions(tmp_path / "run", resume=True, device="cpu")
    )
    assert output.read_bytes() == first
    assert [one.stat().st_mtime_ns for one in kept] == found


def test_other_photographs_are_looked_at_anew(tmp_path, data):
    recipe = tmp_path / "toy.toml"
    recipe.write_text(RECIPE, "utf-8")
    options = RunOptions(tmp_path / "run", resume=False, device="cpu")
    make_skin(recipe, data, tmp_path / "faces", tmp_path / "one.onnx", options=options)
    (data / "photos" / "happy.png").touch()
    make_skin(recipe, data, tmp_path / "faces", tmp_path / "two.onnx", options=options)
    assert len(list((tmp_path / "faces").glob("*.npz"))) == 4
