"""Recipes: frozen dataclasses, read from ``configs/*.toml``, with nothing that is not asked for."""

import dataclasses
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from cdrl_cli.errors import UnreadableInputError, UsageError

Recipe = TypeVar("Recipe")


@dataclass(frozen=True, slots=True)
class DataConfig:
    """What is learned from, and what is kept for the proof."""

    licence: Literal["permissive", "research"] = "permissive"
    """``permissive`` leaves research-only clips out; ``research`` takes all."""
    validation_identities: tuple[str, ...] = ("J05",)
    """Never learned from; they say when to stop."""
    held_out_identities: tuple[str, ...] = ()
    """Never learned from, nor looked at during training."""
    held_out_sentences: tuple[str, ...] = ()
    """Nobody's clips of these are learned from."""
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

    def __post_init__(self) -> None:
        for name in ("steps", "learning_rate", "validate_every", "patience"):
            if getattr(self, name) <= 0:
                raise UsageError(f"{name} must be positive, got {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class ContentSamplingConfig:
    """What a batch of CCRL consists of."""

    takes: int = 4
    """Takes a batch, half of them emotional partners of the others where there are any."""
    windows: int = 8
    """Windows a take; they are each other's negatives, alike in person, emotion and light."""
    emotion_aware: bool = True
    """Takes come with the same person's neutral take of the sentence, aligned in time."""
    noisy_sound: int = 0
    """Versions of each clip's sound with another gain and with noise; a window's speech is heard in
    one of them, or as recorded."""

    def __post_init__(self) -> None:
        if min(self.takes - 1, self.windows) < 1:
            raise UsageError(f"a batch needs two takes and a window, got {self}")
        if self.noisy_sound < 0:
            raise UsageError(f"noisy_sound must not be negative, got {self.noisy_sound}")


@dataclass(frozen=True, slots=True)
class ContentModelConfig:
    """Sizes of the content and speech encoders."""

    prior: Literal["whisper", "log-mel"] = "whisper"
    """What hears the speech."""
    attention: Literal["none", "audio"] = "none"
    """Who chooses where the content encoder looks: nobody, or what is heard (section 3.2)."""
    frames: int = 25
    """Of a window, at 25 Hz."""
    width: int = 128
    """Channels of the temporal layers."""
    dimension: int = 96
    """Length of a code."""


@dataclass(frozen=True, slots=True)
class ContentLossConfig:
    """Weights of CCRL's terms."""

    negatives: Literal["take", "batch"] = "take"
    """Windows of the same take only, which share emotion and person, or all of the batch."""
    emotion_weight: float = 0.5
    """Of agreement between a neutral moment and its emotional counterpart, against audio's 1."""
    constant_weight: float = 1.0
    """Of the squared length of a take's mean code: what a whole take shares is no content."""
    learned_temperature: bool = True
    """Else the temperature stays at .07."""


@dataclass(frozen=True, slots=True)
class CcrlConfig:
    """Recipe of the content representation."""

    data: DataConfig = field(default_factory=DataConfig)
    model: ContentModelConfig = field(default_factory=ContentModelConfig)
    sampling: ContentSamplingConfig = field(default_factory=ContentSamplingConfig)
    loss: ContentLossConfig = field(default_factory=ContentLossConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)


@dataclass(frozen=True, slots=True)
class EmotionSamplingConfig:
    """What a batch of CERL consists of."""

    sets: int = 16
    """Sets a batch, each one clip of every emotion."""
    frames: int = 40
    """Of a window."""
    emotion_augmented: bool = True
    """Sets of all emotions, of any people; else clips as they come, often many of one emotion."""
    coded_performances: int = 60
    """Of each emotion, played by the textbook's action units on neutral clips of the data."""
    differences: bool = True
    """Measured from the person's own neutral where it is known, for most windows, and emotions
    are taught as ways from neutral; else always measured from the neutral prior."""

    def __post_init__(self) -> None:
        if min(self.sets, self.frames) < 1:
            raise UsageError(f"a batch needs a set and a frame, got {self}")


@dataclass(frozen=True, slots=True)
class EmotionModelConfig:
    """Sizes of the emotion encoder."""

    width: int = 64
    dimension: int = 64
    """Length of an embedding."""
    dropout: float = 0.4


@dataclass(frozen=True, slots=True)
class EmotionLossConfig:
    """Weights of CERL's terms."""

    temperature: float = 0.2
    language_prior: bool = True
    """Prompts are projected sentence features; else a free vector for each emotion."""
    phrase_weight: float = 0.5
    """Of the contrast inside a set, between windows and phrases for them."""
    direction_weight: float = 0.5
    """Of supervision by differences."""


@dataclass(frozen=True, slots=True)
class CerlConfig:
    """Recipe of the emotion representation."""

    data: DataConfig = field(default_factory=DataConfig)
    model: EmotionModelConfig = field(default_factory=EmotionModelConfig)
    sampling: EmotionSamplingConfig = field(default_factory=EmotionSamplingConfig)
    loss: EmotionLossConfig = field(default_factory=EmotionLossConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)


@dataclass(frozen=True, slots=True)
class MotionSamplingConfig:
    """What a batch of the motion editor consists of."""

    windows: int = 48
    """Windows a batch."""
    frames: int = 60
    """Of a window, at 25 Hz."""


@dataclass(frozen=True, slots=True)
class MotionModelConfig:
    """Sizes of the motion editor."""

    width: int = 64
    """Channels of the temporal layers."""
    hidden: int = 96
    """Channels of the conditioned layers."""


@dataclass(frozen=True, slots=True)
class MotionLossConfig:
    """Weights of the motion editor's terms."""

    follow: float = 20.0
    """The real emotional take, frame by frame, low-passed where it was aligned by warping."""
    typical: float = 8.0
    """The mean change is that of actors who act the emotion clearly, as far as they agree, and of
    its action units."""
    strength: float = 1.6
    """Its length: what strong actors do (0.6 to 1.3); a face's limits take some of it."""
    emotion: float = 0.3
    """CERL: the output moves from neutral to the condition."""
    content: float = 0.5
    """CCRL: the output's mouth says what the source's says."""
    adversarial: float = 0.05
    """LSGAN over windows of motion."""
    cycle: float = 0.5
    """To the emotion and back to neutral."""
    closure: float = 50.0
    """Closed lips stay closed."""
    spread: float = 20.0
    """Each channel moves as much as in real takes of the emotion."""
    smooth: float = 1000.0
    """The change does not jitter."""


@dataclass(frozen=True, slots=True)
class MotionTrainingConfig:
    """Recipe of the motion editor."""

    data: DataConfig = field(default_factory=DataConfig)
    model: MotionModelConfig = field(default_factory=MotionModelConfig)
    sampling: MotionSamplingConfig = field(default_factory=MotionSamplingConfig)
    loss: MotionLossConfig = field(default_factory=MotionLossConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)


def read_config(path: Path, recipe: type[Recipe], *, changes: Sequence[str] = ()) -> Recipe:
    """A recipe from a TOML file; what the file leaves out has its default.

    Args:
        path: Tables are nested dataclasses.
        recipe: The dataclass.
        changes: ``table.key=value`` in TOML, each applied on top: one file, many experiments.

    Raises:
        UnreadableInputError: If the file cannot be read or is no TOML.
        UsageError: If a key is unknown, or a value has the wrong type.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UnreadableInputError(f"{path}: no recipe ({error})") from error
    for change in changes:
        table = _merge(table, _parse_change(change))
    return build_config(table, recipe)


def build_config(table: Mapping[str, Any], recipe: type[Recipe], *, where: str = "") -> Recipe:
    """A dataclass from a table of its fields, the inverse of :func:`dataclasses.asdict`.

    Raises:
        UsageError: If a key is unknown, or a value has the wrong type.
    """
    kinds = typing.get_type_hints(recipe)
    if unknown := sorted(set(table) - set(kinds)):
        raise UsageError(
            f"unknown key {where}{unknown[0]}", hint=f"known are: {', '.join(sorted(kinds))}"
        )
    return recipe(
        **{name: _value(value, kinds[name], where + name) for name, value in table.items()}
    )


def _value(value: Any, kind: Any, name: str) -> Any:
    if dataclasses.is_dataclass(kind) and isinstance(kind, type) and isinstance(value, Mapping):
        return build_config(value, kind, where=f"{name}.")
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        fitting = [one for one in arguments if _fits(value, one)]
        return _value(value, fitting[0] if fitting else arguments[0], name)
    if origin is dict and isinstance(value, Mapping):
        return {key: _value(one, arguments[1], f"{name}.{key}") for key, one in value.items()}
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(_value(one, arguments[0], name) for one in value)
    if not _fits(value, kind):
        wanted = " or ".join(map(repr, arguments)) if origin is Literal else f"{kind.__name__}"
        raise UsageError(f"{name} must be {wanted}, got {value!r}")
    return float(value) if kind is float else value


def _fits(value: Any, kind: Any) -> bool:
    if typing.get_origin(kind) is Literal:
        return value in typing.get_args(kind)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, typing.get_origin(kind) or kind)


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


@dataclass(frozen=True, slots=True)
class RendererModelConfig:
    """Sizes and rates of the generator's parts."""

    widths: tuple[int, ...] = (32, 64, 96, 128)
    """Channels of the U-Net at a quarter, an eighth, ... of the crop's side."""
    motion_rate: float = 1e-3
    """Learning rate of the motion editor at its highest; it has been trained before."""
    editing_from: float = 0.625
    """Share of the steps after which the motion editor learns too, through the renderer."""
    critic_rate: float = 4e-4
    """Of the discriminator."""
    reader_steps: int = 800
    """Of the reader of coefficients, which is made first."""
    alike: float = 0.9
    """Mean cosine of SFace, before and after, that edits are held to: .79 are two takes of one
    person in two emotions, .95 two moments of one take, 0 two people. What an emotion costs of it
    is left to the emotion: a smile is seen early, fear late."""
    least_alike: float = 0.82
    """Cosine under which each single edit costs."""
    guided_pixels: bool = True
    """What encoders and nets ask for reaches the emotions' drawings too, not the motion editor
    alone."""
    drawing_rate: float = 3e-2
    """Learning rate of the drawings at its highest."""
    largest_shift: float = 1.5
    """Of the coefficients (L2) at intensity 1 that guides may ask for: read again from the output,
    a third to two thirds of it is found, and real actors move by .6 to 1.3."""


@dataclass(frozen=True, slots=True)
class RendererSamplingConfig:
    """What a batch consists of, beside the moments of one clip to be edited."""

    pairs: int = 8
    """Frames to be moved to another of the same person; half as many while edits are learned."""
    edits: int = 1
    """Clips, or groups of stills, that are edited a step, four crops each."""


@dataclass(frozen=True, slots=True)
class RendererLossConfig:
    """Weights of the terms; those on the picture are of their gradients' lengths on it."""

    picture: float = 1.0
    """Reenactment."""
    guide: float = 6.0
    """Published emotion nets see the emotion asked for."""
    emotion: float = 1.0
    """CERL reads the reference's embedding from the output; 0 is the ablation."""
    asked: float = 0.4
    """CERL reads the emotion from the coefficients asked for, whatever pixels show of them."""
    content: float = 0.3
    """CCRL reads the same speech from the output's mouth; 0 is the ablation."""
    keep: float = 0.1
    """Speech read from the output is the source's."""
    size: float = 10.0
    """What guides ask for stays within actors' reach."""
    steady: float = 3000.0
    """The change does not tremble from frame to frame."""
    closure: float = 800.0
    """Closed lips stay closed."""
    identity: float = 1000.0
    """No single edit falls below ``least_alike``."""
    likeness: float = 1.0
    """The person stays the same, at a price that holds the mean at ``alike``."""
    drawn: float = 60.0
    """Drawings are smooth, and empty where nothing is gained."""
    natural: float = 0.5
    """The discriminator takes an edited face for a real one."""
    adversarial: float = 0.5
    flow: float = 0.1
    """The finer flow is the optical one that is left between the warp and the real frame."""
    sparse: float = 0.02
    """Change of colour and finer flow, L1: what is not needed is not touched."""
    smooth: float = 0.005
    lips: float = 3.0
    motion: float = 2.0
    """How far the motion editor strays from what it learned from actors."""


@dataclass(frozen=True, slots=True)
class RendererTrainingConfig:
    """Recipe of the generator."""

    data: DataConfig = field(default_factory=DataConfig)
    model: RendererModelConfig = field(default_factory=RendererModelConfig)
    sampling: RendererSamplingConfig = field(default_factory=RendererSamplingConfig)
    loss: RendererLossConfig = field(default_factory=RendererLossConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
