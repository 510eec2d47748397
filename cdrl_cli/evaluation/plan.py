"""Which clips are edited, towards what, and what they would have looked like if acted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from cdrl_cli.data.index import Clip
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UsageError
from cdrl_cli.evaluation.protocol import Protocol, TakeName, is_reframed, without_crops

Asking = Literal["reference", "label"]
"""How the emotion of an edit is asked for."""

ReferenceChoice = Literal["protocol", "many"]
"""Whose references are shown: those that the protocol's rules name, or in turn those of all people
who have some (:func:`reference_pool`)."""


@dataclass(frozen=True, slots=True)
class Task:
    """One clip to edit."""

    source: Clip
    """Neutral."""
    emotion: Emotion
    """What it is to show."""
    asking: Asking
    """By a clip that shows it, or by its name."""
    reference: Clip
    """Somebody else's clip of that emotion; for people to compare with where a label asks."""
    target: Clip | None
    """The same person's real take of this sentence with this emotion; None if there is none."""
    neutral: Clip | None = None
    """A neutral clip or photo of the reference's person that the edit is given; None where it
    estimates that face."""

    @property
    def name(self) -> str:
        """Of the edited file, without suffix; unique in a plan."""
        asked = f"by-{self.asking}"
        if self.asking == "reference":
            asked += f"-{self.reference.path.parent.name}-{self.reference.path.stem}"
        if self.neutral is not None:
            asked += f"-from-{self.neutral.path.stem}"
        return f"{self.source.identity}-{self.source.path.stem}-{self.emotion}-{asked}"


def plan_edits(
    clips: Sequence[Clip],
    photos: Sequence[Clip],
    protocol: Protocol,
    *,
    edits: int,
    asking: Asking,
    references: ReferenceChoice = "protocol",
) -> list[Task]:
    """Edits that count every emotion alike, and people in turn.

    Each emotion takes the protocol's sources in their order. With the protocol's references, the
    first ``edits / emotions`` of them; with many, sources and references in turn: when all
    references have been shown, everybody meets the next source. By label there is one edit for each
    source and emotion at most.

    Args:
        clips: The index.
        photos: Photos of people; those of the protocol's split are references too.
        protocol: Names sources and references.
        edits: In all; a multiple of the number of emotions.
        asking: By reference or by label.
        references: Whose are shown.

    Raises:
        UsageError: If ``edits`` cannot be shared out, or is more than there are; or the index lacks
            clips.
    """
    sources = find_sources(clips, protocol)
    is_bounded = references == "protocol"
    each = _share_out(edits, protocol, most_each=len(sources) if is_bounded else None)
    if asking == "label":
        each = min(each, len(sources))
    tasks = []
    for emotion in protocol.emotions:
        pool = reference_pool(clips, photos, emotion, protocol)
        for turn in range(each):
            rounds, place = divmod(turn, max(len(pool), 1))
            if is_bounded or asking == "label":
                rounds, place = 0, turn
            source = sources[(place + rounds) % len(sources)]
            reference = None
            if references == "protocol":
                reference = _find_named(clips, protocol, source, emotion)
            reference = reference or _find_in_pool(pool, place, source, emotion)
            target = _find_target(clips, source, emotion, protocol)
            tasks.append(Task(source, emotion, asking, reference, target))
    return list({task.name: task for task in tasks}.values())


def find_sources(clips: Sequence[Clip], protocol: Protocol) -> list[Clip]:
    """The neutral takes that are edited, in order.

    Raises:
        UsageError: If the index lacks one that the protocol names, or has none at all.
    """
    if protocol.sources:
        return [_find_take(clips, name, Emotion.NEUTRAL) for name in protocol.sources]
    neutral = without_crops(
        clip
        for clip in clips
        if clip.identity in protocol.held_out_people and clip.emotion is Emotion.NEUTRAL
    )
    if not neutral:
        raise UsageError(f"the index has no neutral clip of {', '.join(protocol.held_out_people)}")
    return take_in_turn(
        [clip for clip in neutral if clip.identity == person] for person in protocol.held_out_people
    )


def reference_pool(
    clips: Sequence[Clip], photos: Sequence[Clip], emotion: Emotion, protocol: Protocol
) -> list[Clip]:
    """All references of an emotion, a data set after the other, a person after the other.

    So the first few are of different people. What nobody acts with a certain label is none.
    """
    named = protocol.reference_datasets
    found = [
        clip
        for clip in without_crops(clips)
        if (not named or clip.dataset in named) and _shows(clip, emotion)
    ]
    found += [
        photo
        for photo in photos
        if photo.split == protocol.reference_photo_split and _shows(photo, emotion)
    ]
    by_dataset: dict[str, dict[str, list[Clip]]] = {}
    for one in sorted(found, key=lambda one: (one.dataset, one.identity, one.path)):
        by_dataset.setdefault(one.dataset, {}).setdefault(one.identity, []).append(one)
    return take_in_turn([take_in_turn(list(people.values())) for people in by_dataset.values()])


def _find_named(
    clips: Sequence[Clip], protocol: Protocol, source: Clip, emotion: Emotion
) -> Clip | None:
    """The reference by the first rule that is for this edit; None if no rule is."""
    place = protocol.emotions.index(emotion)
    for rule in protocol.references:
        if rule.is_for(source, emotion):
            name = rule.takes[place % len(rule.takes)]
            return _find_take(clips, name, emotion)
    return None


def _find_in_pool(pool: Sequence[Clip], place: int, source: Clip, emotion: Emotion) -> Clip:
    """The next reference of another person than the source's."""
    for step in range(len(pool)):
        one = pool[(place + step) % len(pool)]
        if one.identity != source.identity:
            return one
    raise UsageError(f"the index has no reference of {emotion} for {source.identity}")


def _find_target(
    clips: Sequence[Clip], source: Clip, emotion: Emotion, protocol: Protocol
) -> Clip | None:
    return next(
        (
            clip
            for clip in clips
            if clip.identity == source.identity
            and clip.dataset == source.dataset
            and clip.sentence == source.sentence
            and clip.emotion is emotion
            and clip.dataset in protocol.repeated_datasets
        ),
        None,
    )


def _find_take(clips: Sequence[Clip], name: TakeName, emotion: Emotion) -> Clip:
    """The person's take; as recorded, where it is there also as a crop."""
    found = [
        clip
        for clip in clips
        if clip.identity == name.person
        and clip.emotion is emotion
        and clip.sentence == name.sentence
    ]
    if not found:
        raise UsageError(
            f"the index has no clip of {name.person}, {emotion}, sentence {name.sentence}",
            hint="the protocol names it; --protocol gives another one",
        )
    return max(found, key=is_reframed)


def _share_out(edits: int, protocol: Protocol, *, most_each: int | None) -> int:
    """How many edits each emotion has."""
    emotions = len(protocol.emotions)
    each, rest = divmod(edits, emotions)
    if rest or each <= 0 or (most_each is not None and each > most_each):
        most = "" if most_each is None else f", at most {most_each * emotions}"
        raise UsageError(
            f"{edits} edits cannot be shared out", hint=f"a multiple of {emotions}{most}"
        )
    return each


def _shows(clip: Clip, emotion: Emotion) -> bool:
    return clip.emotion is emotion and clip.label_certain


def take_in_turn(groups: Iterable[Sequence[Clip]]) -> list[Clip]:
    """The first of every group, then the second of every group that has two, and so on."""
    kept = list(groups)
    longest = max(map(len, kept), default=0)
    return [group[place] for place in range(longest) for group in kept if place < len(group)]
