"""What was asked for of an edit, in the words of its report."""

import html
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Final

from cdrl_cli.checkpoints.models import Models
from cdrl_cli.conditions import read_conditions
from cdrl_cli.edit_options import EditOptions
from cdrl_cli.edited_row import EditedRow
from cdrl_cli.face_editor import read_people
from cdrl_cli.notation import clock
from cdrl_cli.schedule import ScheduleRow
from cdrl_cli.target import meet_targets, with_intensities

Found = tuple[float, float] | None
"""The likelihood that was asked for of a row, and the one that was reached, 0..1; or neither."""


def settle(
    source: Path, options: EditOptions | None, models: Models, done: Sequence[EditedRow]
) -> tuple[EditOptions | None, Sequence[Found]]:
    """The options with the intensities that were found for targets, and what was reached.

    Args:
        source: The clip before.
        options: What was asked for; None where nobody knows.
        models: Measure, where ``done`` does not say.
        done: What each row did; empty where nobody knows.

    Returns:
        The options, and of each row what was found; nothing at all where no row has a target.
    """
    if options is None or all(row.target_emotion is None for row in options.plan.rows):
        return options, ()
    if done:
        named = [None if one.target_emotion is None else one.intensity for one in done]
        reached = [
            None
            if one.target_emotion is None or one.measured is None
            else (one.target_emotion, one.measured)
            for one in done
        ]
        return with_intensities(options, named), reached
    options, measured = meet_targets(
        source, options, models, read_conditions(options, models), read_people(options, models)
    )
    return options, [None if one is None else (one.target, one.reached) for one in measured]


def say_asked(options: EditOptions | None, found: Sequence[Found] = ()) -> str:
    """What was asked for: a sentence, or a list where there are rows.

    Args:
        options: What it was; None where nobody knows.
        found: Of each row, what was found for its target.

    Returns:
        HTML.
    """
    if options is None:
        return "<p class=asked>What was asked for is not known here.</p>"
    rows = options.plan.rows
    with_face = len(options.plan.choices) > 1
    said = [
        html.escape(_describe(row, one, with_face=with_face))
        for row, one in zip_longest(rows, found)
    ]
    if len(said) == 1:
        return f"<p class=asked>{said[0]}</p>"
    return f"<ul class=asked>{''.join(f'<li>{one}</li>' for one in said)}</ul>"


def _describe(row: ScheduleRow, found: Found, *, with_face: bool) -> str:
    what = [row.emotion] if row.emotion else []
    if row.way is not None:
        what.append(f"way {row.way}")
    if row.reference is not None:
        what.append(f"as {row.reference.name} shows it")
    if row.names_emotion:
        what.append(f"at intensity {row.intensity:g}")
    if row.names_emotion and row.pace != 1:
        what.append(f"pace {row.pace:g}")
    if found is not None:
        target, reached = found
        what.append(f"found for {target:.0%} by measurement, which read {reached:.0%}")
    if row.adjust:
        what.append(f"adjusted: {row.adjust}")
    if row.neutralise:
        what.append("own emotion taken away")
    if row.start is not None or row.end is not None:
        begin = "the beginning" if row.start is None else clock(row.start)
        end = "the end" if row.end is None else clock(row.end)
        what.append(f"from {begin} to {end}")
    whose = _whose(row)
    return f"{whose}: {', '.join(what)}" if with_face or whose != _LARGEST else ", ".join(what)


_LARGEST: Final = "the largest face"


def _whose(row: ScheduleRow) -> str:
    if row.who is not None:
        return row.who.stem
    names = {"largest": _LARGEST, "all": "everybody"}
    return names.get(str(row.face), f"face {row.face}")
