"""Which clips are edited, towards what, and what they would have looked like if acted.

The rule is fixed, so that a report can be made again: from the index alone, without a draw.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cdrl_cli.data.clips import Clip
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
        return f"{self.source.identity}-{self.source.path.stem}-{self.emotion}-by-{self.asking}"


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
    each, rest = divmod(edits, len(EDITED_EMOTIONS))
    if rest or not 0 < each <= len(sources):
        most = len(sources) * len(EDITED_EMOTIONS)
        raise UsageError(
            f"{edits} edits cannot be shared out", hint=f"a multiple of 6, at most {most}"
        )
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
