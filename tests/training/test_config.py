import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from cdrl_cli.errors import UnreadableInputError, UsageError
from cdrl_cli.training.config import ScheduleConfig, build_config, read_config
from cdrl_cli.training.recipes import (
    CcrlConfig,
    CerlConfig,
    GeneratorConfig,
    MotionTrainingConfig,
)

CONFIGS = Path(__file__).parents[2] / "configs"


@dataclass(frozen=True, slots=True)
class Inner:
    names: tuple[str, ...] = ("a",)
    rate: float = 1.0


@dataclass(frozen=True, slots=True)
class Outer:
    inner: Inner = field(default_factory=Inner)
    kind: Literal["x", "y"] = "x"
    count: int = 1
    limit: float | None = None
    late_s: dict[str, float] = field(default_factory=dict)


def write(tmp_path, text):
    path = tmp_path / "recipe.toml"
    path.write_text(text, "utf-8")
    return path


def test_an_empty_file_is_the_defaults(tmp_path):
    assert read_config(write(tmp_path, ""), Outer) == Outer()


def test_tables_are_nested_values(tmp_path):
    text = 'kind = "y"\nlimit = 2\nlate_s.a = 1\n[inner]\nnames = ["b", "c"]\nrate = 3'
    read = read_config(write(tmp_path, text), Outer)
    assert read == Outer(Inner(("b", "c"), 3.0), "y", limit=2.0, late_s={"a": 1.0})
    assert isinstance(read.inner.rate, float)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("colour = 1", "colour"),
        ("[inner]\nraet = 1", "inner.raet"),
        ('kind = "z"', "kind"),
        ("count = 1.5", "count"),
        ("count = true", "count"),
        ("[inner]\nnames = 3", "inner.names"),
        ("inner = 3", "inner"),
        ('limit = "a"', "limit"),
        ('[late_s]\na = "b"', "late_s.a"),
    ],
)
def test_what_does_not_belong_is_refused_by_name(tmp_path, text, named):
    with pytest.raises(UsageError, match=named):
        read_config(write(tmp_path, text), Outer)


def test_a_change_wins_over_the_file_and_leaves_the_rest(tmp_path):
    path = write(tmp_path, 'count = 5\n[inner]\nnames = ["b"]')
    read = read_config(path, Outer, changes=["inner.rate=2", 'kind="y"'])
    assert read == Outer(Inner(("b",), 2.0), "y", 5)


def test_a_change_that_is_none_is_refused(tmp_path):
    with pytest.raises(UsageError, match="steps"):
        read_config(write(tmp_path, ""), Outer, changes=["steps"])


@pytest.mark.parametrize("text", ["= 3", None])
def test_a_file_that_is_no_recipe_is_named(tmp_path, text):
    path = tmp_path / "none.toml" if text is None else write(tmp_path, text)
    with pytest.raises(UnreadableInputError, match=path.name):
        read_config(path, Outer)


def test_a_recipe_survives_the_way_through_a_table():
    config = CcrlConfig(schedule=ScheduleConfig(steps=3))
    assert build_config(dataclasses.asdict(config), CcrlConfig) == config


def test_numbers_that_make_no_sense_are_refused():
    with pytest.raises(UsageError, match="steps"):
        ScheduleConfig(steps=0)


RECIPES = {
    "ccrl": CcrlConfig,
    "cerl": CerlConfig,
    "motion": MotionTrainingConfig,
    "renderer": GeneratorConfig,
}


@pytest.mark.parametrize(
    "path",
    [path for name in RECIPES for path in sorted(CONFIGS.glob(f"{name}*.toml"))],
    ids=lambda path: path.stem,
)
def test_shipped_recipes_can_be_read(path):
    recipe = RECIPES[path.stem.split("-")[0]]
    assert "J05" in read_config(path, recipe).data.validation_identities


def test_an_unknown_key_is_refused_with_those_there_are(tmp_path):
    with pytest.raises(UsageError, match=r"unknown key inner\.raet") as caught:
        read_config(write(tmp_path, "[inner]\nraet = 1"), Outer)
    assert caught.value.hint == "known are: names, rate"
