"""Which people, clips and references an evaluation uses, read from ``configs/protocol.toml``.

The rules are data, so that others evaluate their own people without touching code, and fixed, so
that a report can be made again: from protocol and index alone, without a draw.
"""

import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from cdrl_cli.data.index import Clip, Role
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UnreadableInputError, UsageError

EDITED_EMOTIONS = tuple(emotion for emotion in Emotion if emotion is not Emotion.NEUTRAL)
"""All emotions that a clip can be edited towards."""

_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True, config=_STRICT)
class TakeName:
    """A clip of the index, named by who says what in it."""

    person: str
    """Column ``identity``."""
    sentence: str
    """Column ``sentence``."""


@dataclass(frozen=True, slots=True, config=_STRICT)
class ReferenceRule:
    """Which takes are the references of some edits."""

    takes: tuple[TakeName, ...]
    """Each emotion takes one of them, in turn; the clip of that emotion is the reference."""
    sources: tuple[str, ...] = ()
    """People whose clips are edited by this rule; empty for everybody."""
    emotions: tuple[Emotion, ...] = ()
    """Emotions that the rule is for; empty for all."""

    def is_for(self, source: Clip, emotion: Emotion) -> bool:
        """Whether the rule chooses the reference of an edit."""
        return (not self.sources or source.identity in self.sources) and (
            not self.emotions or emotion in self.emotions
        )


@dataclass(frozen=True, slots=True, config=_STRICT)
class Protocol:
    """Who is measured, by which clips, and against which."""

    held_out_people: tuple[str, ...]
    """People never learned from: their neutral clips are edited, their acted ones are the
    ceiling."""
    held_out_sentences: tuple[str, ...] = ()
    """Sentences that no content code was learned from, whoever says them."""
    emotions: tuple[Emotion, ...] = EDITED_EMOTIONS
    """Emotions that clips are edited towards; each counts alike."""
    plausible_datasets: tuple[str, ...] = ()
    """Data sets whose acted clips of other people say which expressions are plausible; empty for
    all."""
    repeated_datasets: tuple[str, ...] = ()
    """Data sets in which everybody says a sentence in each emotion: the same person's take with
    the emotion is what an edit should look like."""
    sources: tuple[TakeName, ...] = ()
    """Neutral takes that are edited, in this order; empty for all neutral takes of the held-out
    people, a person after the other."""
    references: tuple[ReferenceRule, ...] = ()
    """The first rule that is for an edit chooses its reference; where none is, it is one of
    :func:`~cdrl_cli.evaluation.plan.reference_pool`."""
    reference_datasets: tuple[str, ...] = ()
    """Data sets whose acted clips with a certain label are in the pool of references; empty for
    all."""
    reference_photo_split: str = "val"
    """Split of the photos that are in the pool of references."""
    photos: str = "photos"
    """Folder of ``photos.csv``, relative to the index."""

    def __post_init__(self) -> None:
        if not self.held_out_people:
            raise UsageError("a protocol names the people it measures: held_out_people")
        if Emotion.NEUTRAL in self.emotions or not self.emotions:
            raise UsageError("a protocol edits towards emotions, of which neutral is none")


def read_protocol(path: Path) -> Protocol:
    """A protocol from a TOML file.

    Raises:
        UnreadableInputError: If the file cannot be read or is no TOML.
        UsageError: If a key is unknown or missing, or a value has the wrong type.
    """
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UnreadableInputError(
            f"{path}: no protocol: {error}", hint="configs/protocol.toml is one; write your own"
        ) from error
    try:
        return TypeAdapter(Protocol).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{path}: {place}: {first['msg']}") from error


def is_reframed(clip: Clip) -> bool:
    """Whether a clip shows a take as recorded that is there as a crop too."""
    return Role.REFRAMED in clip.roles


def without_crops(clips: Iterable[Clip]) -> list[Clip]:
    """Clips but for crops of takes that are there as recorded, and edited so."""
    clips = list(clips)
    recorded = {name_take(clip) for clip in clips if is_reframed(clip)}
    return [clip for clip in clips if is_reframed(clip) or name_take(clip) not in recorded]


def acted_clips(clips: Sequence[Clip], protocol: Protocol) -> list[Clip]:
    """Real emotional clips of the held-out people: what the judge makes of them is its ceiling."""
    return without_crops(
        clip
        for clip in clips
        if clip.identity in protocol.held_out_people and clip.emotion in protocol.emotions
    )


def region_clips(clips: Sequence[Clip], protocol: Protocol) -> list[Clip]:
    """Real acted clips of people who are learned from: they say what is plausible."""
    named = protocol.plausible_datasets or _acted_datasets(clips)
    return [
        clip
        for clip in clips
        if clip.identity not in protocol.held_out_people
        and clip.dataset in named
        and clip.emotion is not None
        and clip.label_certain
    ]


def _acted_datasets(clips: Sequence[Clip]) -> set[str]:
    return {clip.dataset for clip in clips if clip.emotion not in (None, Emotion.NEUTRAL)}


def name_take(clip: Clip) -> tuple[str, Emotion | None, str | None]:
    """What two framings of one take have in common: who, with which emotion, saying what."""
    return clip.identity, clip.emotion, clip.sentence
