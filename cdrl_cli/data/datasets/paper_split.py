"""Who is learned from and who is edited in the paper's experiments (section 4.1)."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from cdrl_cli.data.clips import Clip, Role
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UsageError

TEST_PEOPLE = {
    "MEAD": ("M003", "M009", "M012", "M030", "W015", "W029"),
    "RAVDESS": ("01", "02", "03", "04", "05", "06"),
}
"""Actors that the paper tests on, by data set; all others are learned from."""

Identity = Literal["same", "cross"]
"""Whose clip the reference of an edit is: the source's person's own, or another's."""


def split_as_paper(
    clips: Iterable[Clip], *, validation: Sequence[str] = (), held_out: Sequence[str] = ()
) -> list[Clip]:
    """The same clips with the roles that the paper gives their people.

    The paper names no one to validate on; somebody must say when training ends.

    Args:
        clips: Of data sets in :data:`TEST_PEOPLE`, or of others, of which nobody is held out.
        validation: Identities that say so, such as ``MEAD_W040``; none: the last of each data
            set's other people, by name.
        held_out: Identities that are held out beside the paper's.

    Raises:
        UsageError: If nobody has such a name, or the paper tests on them; or if nobody is left.
    """
    clips = list(clips)
    tested = {f"{data_set}_{one}" for data_set, ones in TEST_PEOPLE.items() for one in ones}
    tested |= set(held_out)
    others: dict[str, set[str]] = defaultdict(set)
    for clip in clips:
        if clip.identity not in tested:
            others[clip.dataset].add(clip.identity)
    known = set().union(*others.values())
    if unknown := sorted(set(validation) - known):
        raise UsageError(
            f"nobody called {unknown[0]} is learned from", hint=f"some are: {_some(known)}"
        )
    chosen = set(validation) or {max(people) for people in others.values() if people}
    if not known - chosen:
        raise UsageError(f"nobody is left to learn from: {_some(known) or 'all are held out'}")
    return [_with_role(clip, tested, chosen) for clip in clips]


@dataclass(frozen=True, slots=True)
class EditPair:
    """One edit of the protocol."""

    source: Clip
    """A neutral clip."""
    reference: Clip
    """Shows the emotion."""
    target: Clip | None
    """The source's person's own take of the sentence with that emotion; None if there is none."""


def pair_edits(clips: Sequence[Clip], identity: Identity) -> list[EditPair]:
    """Every edit of the paper's protocol, in the order of the sources.

    Each neutral clip of a held-out person is edited to each emotion once. ``same``: the reference
    is the person's own clip of the emotion, of another sentence where there is one (the take of
    the same sentence is the target, and would say it all). ``cross``: it is another held-out
    person's; people take turns, so that each is shown alike.

    Raises:
        UsageError: If no held-out person has a neutral clip, or nobody has one to refer to.
    """
    tested = [clip for clip in clips if Role.HELD_OUT in clip.roles and clip.emotion]
    sources = [clip for clip in tested if clip.emotion is Emotion.NEUTRAL]
    acted: dict[tuple[str, Emotion | None], list[Clip]] = defaultdict(list)
    for clip in tested:
        if clip.emotion is not Emotion.NEUTRAL:
            acted[clip.dataset, clip.emotion].append(clip)
    pairs = []
    for turn, source in enumerate(sources):
        for emotion in Emotion:
            shown = acted[source.dataset, emotion]
            own = [clip for clip in shown if clip.identity == source.identity]
            targets = [clip for clip in own if clip.sentence == source.sentence]
            if identity == "same":
                pool = [clip for clip in own if clip not in targets] or own
            else:
                pool = _alternate([clip for clip in shown if clip not in own])
            if pool:
                target = targets[0] if targets and source.sentence else None
                pairs.append(EditPair(source, pool[turn % len(pool)], target))
    people = {clip.identity for clip in tested}
    if not pairs and identity == "cross" and len(people) == 1:
        raise UsageError(
            f"cross identity needs two people who are held out, and there is {min(people)} alone",
            hint="--identity same",
        )
    if not pairs:
        raise UsageError(
            f"no edit can be made: {len(sources)} neutral clips of people who are held out, "
            f"{len(tested) - len(sources)} acted ones",
            hint="spfem data index --split paper holds out the paper's test actors",
        )
    return pairs


def _with_role(clip: Clip, held_out: set[str], validation: set[str]) -> Clip:
    if clip.identity in held_out:
        return replace(clip, split="val", roles=clip.roles | {Role.HELD_OUT})
    if clip.identity in validation:
        return replace(clip, split="val", roles=clip.roles | {Role.VALIDATION})
    return clip


def _alternate(clips: Sequence[Clip]) -> list[Clip]:
    """One of each person in turn, until all are taken."""
    people: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        people[clip.identity].append(clip)
    longest = max(map(len, people.values()), default=0)
    return [own[i] for i in range(longest) for own in people.values() if i < len(own)]


def _some(names: Iterable[str]) -> str:
    names = sorted(names)
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")  # noqa: PLR2004
