"""Which clips are edited, towards what, and what they would have looked like if acted.

The rule is fixed, so that a report can be made again: from the index alone, without a draw.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cdrl_cli.data.index import Clip
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UsageError

HELD_OUT_PEOPLE = ("J05", "MEAD_W009")
"""Never learned from."""

HELD_OUT_SENTENCE = "S04"
"""Nobody's content code was learned from it."""

SENTENCE_PEOPLE = ("J01", "J03", "J07")
"""Actors who are learned from and act clearly; edited where they say the held-out sentence."""

DISGUST_ACTOR = "MEAD_M030"
"""Shows disgust to the one source that no held-out person can: the other's set has none."""

EDITED_EMOTIONS = tuple(emotion for emotion in Emotion if emotion is not Emotion.NEUTRAL)

Asking = Literal["reference", "label"]

ReferenceChoice = Literal["protocol", "many"]
"""Whose references are shown: one strong actor's to nearly all sources, or in turn those of all
people who have some (:func:`plan_many_references`)."""

REFERENCE_DATASETS = ("MEAD", "RAVDESS", "Java-SED (full frame)")
"""Data sets whose acted clips with a certain label are references of :func:`plan_many_references`,
beside the photos of the validation split."""


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

    @property
    def name(self) -> str:
        """Of the edited file, without suffix; unique in a plan."""
        asked = f"by-{self.asking}"
        if self.asking == "reference":
            asked += f"-{self.reference.path.parent.name}-{self.reference.path.stem}"
        return f"{self.source.identity}-{self.source.path.stem}-{self.emotion}-{asked}"


def plan_edits(clips: Sequence[Clip], *, edits: int, asking: Asking) -> list[Task]:
    """Edits that count every emotion alike, and people in turn.

    Sources, in this order and over again from the start: J05 as recorded, saying S04; W009; the
    S04 of J01; J05's S01; J03's S04; J05's S02; J07's S04; J05's S03. All neutral. Each emotion
    takes the first ``edits / 6``. References are held-out clips of another actor: W009's strong
    ones for the people of Java-SED; for W009 in turn J05's, and the S04 of the three; her disgust
    comes from M030, because Java-SED has none.

    Args:
        clips: The index.
        edits: In all; a multiple of six.
        asking: By reference or by label.

    Raises:
        UsageError: If ``edits`` is no multiple of six, or more than there are; or the index lacks
            the clips.
    """
    sources = _sources(clips)
    each = _share_out(edits, most_each=len(sources))
    return [
        Task(
            source=source,
            emotion=emotion,
            asking=asking,
            reference=_reference(clips, source, emotion),
            target=_target(clips, source, emotion),
        )
        for emotion in EDITED_EMOTIONS
        for source in sources[:each]
    ]


def plan_many_references(
    clips: Sequence[Clip], photos: Sequence[Clip], *, edits: int, asking: Asking
) -> list[Task]:
    """Edits like those of :func:`plan_edits`, with references of as many people as there are.

    Each emotion takes the sources in turn, and in turn the references of its pool: a data set
    after the other, a person after the other, so that the first few are of different people. What
    nobody acts with a certain label, and compound emotions, are no references. By label there is
    one edit for each source and emotion, held against such a reference too.

    Args:
        clips: The index.
        photos: Photos of people; those of the validation split are references too.
        edits: In all; a multiple of six.
        asking: By reference or by label.

    Raises:
        UsageError: If ``edits`` is no multiple of six, or the index lacks the clips, or an emotion
            has no reference.
    """
    sources = _sources(clips)
    each = _share_out(edits, most_each=None)
    if asking == "label":
        each = min(each, len(sources))
    tasks = []
    for emotion in EDITED_EMOTIONS:
        pool = reference_pool(clips, photos, emotion)
        for turn in range(each):
            # In the next round of the references everybody meets the next source.
            rounds, place = divmod(turn, max(len(pool), 1))
            if asking == "label":
                rounds, place = 0, turn
            source = sources[(place + rounds) % len(sources)]
            others = [
                one
                for one in pool[place % len(pool) :] + pool[: place % len(pool)]
                if _is_other(one, source)
            ]
            if not others:
                raise UsageError(f"the index has no reference of {emotion}")
            target = _target(clips, source, emotion)
            tasks.append(Task(source, emotion, asking, others[0], target))
    return list({task.name: task for task in tasks}.values())


def reference_pool(clips: Sequence[Clip], photos: Sequence[Clip], emotion: Emotion) -> list[Clip]:
    """All references of an emotion, a data set after the other, a person after the other."""
    found = [
        clip
        for clip in clips
        if clip.dataset in REFERENCE_DATASETS and clip.emotion is emotion and clip.label_certain
    ]
    found += [
        photo
        for photo in photos
        if photo.split == "val" and photo.emotion is emotion and photo.label_certain
    ]
    by_dataset: dict[str, dict[str, list[Clip]]] = {}
    for one in sorted(found, key=lambda one: (one.dataset, one.identity, one.path)):
        by_dataset.setdefault(one.dataset, {}).setdefault(one.identity, []).append(one)
    return _in_turn([_in_turn(list(people.values())) for people in by_dataset.values()])


def acted_clips(clips: Sequence[Clip]) -> list[Clip]:
    """Real emotional clips of the held-out people: what the judge makes of them is its ceiling."""
    return [
        clip
        for clip in clips
        if clip.identity in HELD_OUT_PEOPLE
        and clip.emotion in EDITED_EMOTIONS
        and clip.dataset in ("Java-SED (full frame)", "MEAD")
    ]


def region_clips(clips: Sequence[Clip]) -> list[Clip]:
    """Real acted clips of people who are learned from: they say what is plausible."""
    return [
        clip
        for clip in clips
        if clip.identity not in HELD_OUT_PEOPLE
        and clip.dataset in ("Java-SED", "MEAD", "RAVDESS")
        and clip.emotion is not None
        and clip.label_certain
    ]


def _share_out(edits: int, *, most_each: int | None) -> int:
    """How many edits each emotion has.

    Raises:
        UsageError: If it cannot be the same number, or is more than ``most_each``.
    """
    each, rest = divmod(edits, len(EDITED_EMOTIONS))
    if rest or each <= 0 or (most_each is not None and each > most_each):
        most = "" if most_each is None else f", at most {most_each * len(EDITED_EMOTIONS)}"
        raise UsageError(f"{edits} edits cannot be shared out", hint=f"a multiple of 6{most}")
    return each


def _is_other(one: Clip, other: Clip) -> bool:
    """Whether two clips show two people."""
    return one.identity != other.identity


def _in_turn(groups: Sequence[Sequence[Clip]]) -> list[Clip]:
    """The first of every group, then the second of every group that has two, and so on."""
    longest = max(map(len, groups), default=0)
    return [group[place] for place in range(longest) for group in groups if place < len(group)]


def _sources(clips: Sequence[Clip]) -> list[Clip]:
    j05, w009 = HELD_OUT_PEOPLE
    first, *others = SENTENCE_PEOPLE
    wanted = [(j05, HELD_OUT_SENTENCE), (w009, "001"), (first, HELD_OUT_SENTENCE), (j05, "S01")]
    for person, sentence in zip(others, ("S02", "S03"), strict=True):
        wanted += [(person, HELD_OUT_SENTENCE), (j05, sentence)]
    return [_only(clips, person, Emotion.NEUTRAL, sentence) for person, sentence in wanted]


def _reference(clips: Sequence[Clip], source: Clip, emotion: Emotion) -> Clip:
    j05, w009 = HELD_OUT_PEOPLE
    if source.identity != w009:
        return _only(clips, w009, emotion, "001")
    if emotion is Emotion.DISGUSTED:
        return _only(clips, DISGUST_ACTOR, emotion, "001")
    people = (j05, *SENTENCE_PEOPLE)
    person = people[EDITED_EMOTIONS.index(emotion) % len(people)]
    return _only(clips, person, emotion, HELD_OUT_SENTENCE)


def _target(clips: Sequence[Clip], source: Clip, emotion: Emotion) -> Clip | None:
    return next(
        (
            clip
            for clip in clips
            if clip.identity == source.identity
            and clip.dataset == source.dataset
            and clip.sentence == source.sentence
            and clip.emotion is emotion
            and clip.dataset.startswith("Java-SED")  # others act no sentence twice alike
        ),
        None,
    )


def _only(clips: Sequence[Clip], person: str, emotion: Emotion, sentence: str) -> Clip:
    """The person's take; as recorded, where it is there also as a crop."""
    found = [
        clip
        for clip in clips
        if clip.identity == person and clip.emotion is emotion and clip.sentence == sentence
    ]
    if not found:
        raise UsageError(
            f"the index has no clip of {person}, {emotion}, sentence {sentence}",
            hint="spfem evaluate edits needs the validation clips of Java-SED and MEAD",
        )
    return max(found, key=lambda clip: "full frame" in clip.dataset)
