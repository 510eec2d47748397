from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from cdrl_cli.errors import UsageError
from cdrl_cli.studio.session import (
    AS_REFERENCE,
    Change,
    Made,
    Session,
    Settings,
    Step,
    Wish,
    add_change,
    read_wish,
)

SETTINGS = Settings("happy", "", None, 1.0, "largest", ())


def test_words_count_before_the_label_and_a_reference_needs_neither():
    assert read_wish(SETTINGS).emotion == "happy"
    assert read_wish(SETTINGS._replace(words=" quietly furious ")).emotion == "quietly furious"
    shown = read_wish(SETTINGS._replace(emotion=AS_REFERENCE, reference="joy.mp4", face="2"))
    assert (shown.emotion, shown.reference, shown.face) == (None, Path("joy.mp4"), 2)
    with pytest.raises(UsageError, match="choose an emotion"):
        read_wish(SETTINGS._replace(emotion=AS_REFERENCE))


def test_the_command_line_says_the_same():
    wish = Wish("sad", Path("/tmp/it's joy.mp4"), 0.7, 2)
    command = wish.command(Path("/tmp/talk.mp4"))
    assert command == (
        """spfem edit talk.mp4 --ref 'it'"'"'s joy.mp4' --emotion sad --intensity 0.7 --face 2 """
        "-o talk-edited.mp4"
    )


def test_changes_over_time_are_a_schedule():
    wish = add_change(replace(Wish(), emotion="sad"), 4.0)
    wish = add_change(replace(wish, emotion="happy", intensity=0.5), 1.5)
    wish = add_change(replace(wish, emotion="angry", intensity=1.0), 4.0)
    assert wish.changes == (
        Change(Fraction(3, 2), "happy", None, 0.5),
        Change(Fraction(4), "angry", None, 1.0),
    )
    rows = wish.options().plan.rows
    assert [(row.start, row.end, row.emotion) for row in rows] == [
        (Fraction(3, 2), 4, "happy"),
        (4, None, "angry"),
    ]
    lines = wish.command(Path("talk.mp4")).splitlines()
    assert lines[0] == "spfem edit talk.mp4 --schedule schedule.csv -o talk-edited.mp4"
    assert lines[-2:] == ["0:01.500,0:04.000,largest,happy,,0.5", "0:04.000,,largest,angry,,1"]


def test_an_edit_that_is_cancelled_leaves_nothing(short, tmp_path):
    session = Session(tmp_path)
    for one in session.render(short, Wish()):
        assert isinstance(one, Step)
        session.cancel()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_an_edit_ends_with_a_video_and_its_report(short, tmp_path):
    *steps, made = Session(tmp_path).render(short, Wish("sad"))
    assert isinstance(made, Made)
    assert steps[-1] == Step("reading", 1.0)
    assert made.result.edited_frames == 10
    assert sorted(path.name for path in made.output.parent.iterdir()) == [
        "short-edited.html",
        "short-edited.mp4",
    ]
