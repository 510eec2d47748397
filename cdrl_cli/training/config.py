"""What all recipes share, and how they are read from ``configs/*.toml``: unknown keys are refused.

The recipes themselves are in :mod:`cdrl_cli.training.recipes`.
"""

import dataclasses
import json
import tomllib
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from cdrl_cli.data.index import StillSet
from cdrl_cli.errors import UnreadableInputError, UsageError
from cdrl_cli.weight_set import WeightSet

Recipe = TypeVar("Recipe")
"""A dataclass that a TOML file is read into."""


@dataclass(frozen=True, slots=True)
class DataConfig:
    """What is learned from, and what is kept for the proof."""

    weight_set: WeightSet = WeightSet.PERMISSIVE
    """Which set is made: ``permissive`` leaves research-only clips out, ``research`` takes all."""
    validation_identities: tuple[str, ...] = ("J05",)
    """Never learned from; they say when to stop."""
    held_out_identities: tuple[str, ...] = ()
    """Never learned from, nor looked at during training."""
    held_out_sentences: tuple[str, ...] = ()
    """Nobody's clips of these are learned from."""
    stills: tuple[StillSet, ...] = ("london",)
    """Data sets of pictures that are learned from beside the clips, where a run can use pictures
    (CERL, the generator): ``london``, and ``photos``, whose ``photos.csv`` must be there."""
    left_out: tuple[str, ...] = ()
    """Clips, by the stem of the file's name, that are not learned from: no speech to be heard."""
    sound_late_s: dict[str, float] = field(default_factory=dict)
    """How much later than the picture the sound of some clips is, by stem; it is moved back."""


@dataclass(frozen=True, slots=True)
class ScheduleConfig:
    """How long, how fast, and when to stop."""

    steps: int = 600
    """Optimiser steps at most; the learning rate rises and falls over them (one cycle)."""
    learning_rate: float = 2e-3
    """At its highest."""
    weight_decay: float = 0.05
    """AdamW's."""
    validate_every: int = 100
    """Steps."""
    patience: int = 6
    """Validations without a better one after which training ends."""
    save_every_s: float = 120.0
    """Seconds between checkpoints."""
    seed: int = 0
    """Of first weights, batches and augmentation."""
    threads: int = 1
    """Of the CPU; part of the recipe, because the last bits of a sum depend on them."""
    parts: int = 1
    """Batches, as ``[sampling]`` has them, whose mean gradient is one step: shared out among
    processes, and accumulated where a process has several
    (:mod:`cdrl_cli.training.processes`)."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """In which losses are computed; weights and their changes are always ``float32``."""
    average_decay: float = 0.0
    """Share of a moving average of the weights that a step keeps; 0: no average, the last weights
    are validated and kept."""

    def __post_init__(self) -> None:
        for name in ("steps", "learning_rate", "validate_every", "patience", "parts"):
            if getattr(self, name) <= 0:
                raise UsageError(f"{name} must be positive, got {getattr(self, name)}")
        if not 0 <= self.average_decay < 1:
            raise UsageError(f"average_decay must be 0 or more and below 1: {self.average_decay}")


def read_config(
    path: Path | Recipe, recipe: type[Recipe], *, changes: Sequence[str] = ()
) -> Recipe:
    """A recipe from a TOML file; what the file leaves out has its default.

    Args:
        path: Tables are nested dataclasses. A recipe that was read before is given back.
        recipe: The dataclass.
        changes: ``table.key=value`` in TOML, each applied on top: one file, many experiments.

    Raises:
        UnreadableInputError: If the file cannot be read or is no TOML.
        UsageError: If a key is unknown, or a value has the wrong type.
    """
    if isinstance(path, recipe):
        return path
    assert isinstance(path, Path)
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UnreadableInputError(f"{path}: no recipe ({error})") from error
    for change in changes:
        table = _merge(table, _parse_change(change))
    return build_config(table, recipe)


def build_config(table: Mapping[str, Any], recipe: type[Recipe]) -> Recipe:
    """A dataclass from a table of its fields, the inverse of :func:`dataclasses.asdict`.

    Raises:
        UsageError: If a key is unknown, or a value has the wrong type.
    """
    # Read as JSON, in which alone a strict tuple may be written as a list and a dataclass as a
    # table; one level down, because a dataclass at the top would have rules of its own.
    adapter = TypeAdapter(tuple[recipe], config=ConfigDict(extra="forbid", strict=True))  # type: ignore[valid-type]
    try:
        (built,) = adapter.validate_json(json.dumps([table], default=str))
    except ValidationError as error:
        raise _explain(error.errors()[0], recipe) from error
    return built


def _explain(error: ErrorDetails, recipe: type[Any]) -> UsageError:
    """The first thing that is wrong, by the name of its key."""
    path = [str(key) for key in error["loc"][1:]]
    name = ".".join(path)
    if error["type"] != "unexpected_keyword_argument":
        wanted = error["msg"].removeprefix("Input should be ")
        return UsageError(f"{name} must be {wanted}, got {error['input']!r}")
    table = recipe
    for key in path[:-1]:
        table = typing.get_type_hints(table)[key]
    known = ", ".join(sorted(field.name for field in dataclasses.fields(table)))
    return UsageError(f"unknown key {name}", hint=f"known are: {known}")


def _parse_change(change: str) -> dict[str, Any]:
    try:
        return tomllib.loads(change)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(
            f"{change!r} is no change of a recipe", hint="for example schedule.steps=500"
        ) from error


def _merge(table: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(table)
    for key, value in change.items():
        below = merged.get(key)
        both = isinstance(value, Mapping) and isinstance(below, Mapping)
        merged[key] = _merge(below, value) if both else value  # type: ignore[arg-type]
    return merged
