from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from cdrl_cli.edit_options import EditOptions
from cdrl_cli.errors import UsageError
from cdrl_cli.generator.adjust import Adjustment
from cdrl_cli.studio.session import Made, Session, Step
from cdrl_cli.studio.wish import (
    AS_REFERENCE,
    Look,
    Settings,
    Wish,
    add_change,
    read_wish,
    split_controls,
)

SETTINGS = Settings()
FROWN = Adjustment.parse("frown=.2,eyes=.1")


def test_words_count_before_the_label_and_a_reference_needs_neither():
    assert read_wish(SETTINGS).look.emotion == "happy"
    assert read_wish(SETTINGS._replace(words=" quietly furious ")).look.emotion == "quietly furious"
    shown = read_wish(SETTINGS._replace(emotion=AS_REFERENCE, reference="joy.mp4", face="2")).look
    assert (shown.emotion, shown.reference, shown.face) == (None, Path("joy.mp4"), 2)
    with pytest.raises(UsageError, match="choose an emotion"):
        read_wish(SETTINGS._replace(emotion=AS_REFERENCE))


def test_the_command_line_says_the_same():
    look = Look("sad", Path("/tmp/it's joy.mp4"), 0.7, face=2)
    command = Wish(look).command(Path("/tmp/talk.mp4"))
    assert command == (
        """spfem edit talk.mp4 --ref 'it'"'"'s joy.mp4' --emotion sad --intensity 0.7 --face 2 """
        "-o talk-edited.mp4"
    )
    controls = Settings(
        "none", photo="/tmp/jane.jpg", neutralise=True, sided="smile-left=.4", amounts=(0.3, -0.2)
    )
    wish = read_wish(controls._replace(disclose="top-left"))
    assert wish.command(Path("talk.mp4")) == (
        "spfem edit talk.mp4 --adjust smile=+0.3,corners=-0.2,smile-left=+0.4 --neutralise "
        "--who jane.jpg --disclose --disclose-at top-left -o talk-edited.mp4"
    )
    assert wish.options() == EditOptions(
        adjust=Adjustment.parse("smile=.3,corners=-.2,smile-left=.4"),
        neutralise=True,
        who=Path("/tmp/jane.jpg"),
        disclose="top-left",
    )
    amounts, sided = split_controls(wish.look.adjust)
    assert (amounts[:3], sided) == ([0.3, -0.2, 0.0], "smile-left=+0.4")


def test_changes_over_time_are_a_schedule():
    wish = add_change(Wish(Look("sad")), 4.2)
    wish = add_change(replace(wish, look=Look("happy", intensity=0.5)), 1.7)
    wish = add_change(replace(wish, look=Look("angry")), 4.2)
    wish = add_change(replace(wish, look=Look("fear", adjust=FROWN, face=2)), 2.2)
    rows = wish.options().plan.rows
    assert [(row.start, row.end, row.face, row.emotion) for row in rows] == [
        (Fraction(3, 2), 4, "largest", "happy"),
        (2, None, 2, "fear"),
        (4, None, "largest", "angry"),
    ]
    lines = wish.command(Path("talk.mp4")).splitlines()
    assert lines[0] == "spfem edit talk.mp4 --schedule schedule.csv -o talk-edited.mp4"
    assert lines[-4:] == [
        "start,end,face,emotion,intensity,adjust",
        "0:01.500,0:04.000,largest,happy,0.5,",
        '0:02.000,,2,fear,1,"frown=+0.2,eyes=+0.1"',
        "0:04.000,,largest,angry,1,",
    ]


def test_an_edit_that_is_cancelled_leaves_nothing(short, tmp_path):
    session = Session(tmp_path)
    for one in session.render(short, Wish()):
        assert isinstance(one, Step)
        session.cancel()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_each_page_cancels_its_own_edit(short, tmp_path):
    session = Session(tmp_path)
    edits = {tab: session.render(short, Wish(), tab) for tab in ("one", "other")}
    for edit in edits.values():
        assert isinstance(next(edit), Step)
    session.cancel("other")
    assert all(isinstance(step, Step) for step in edits["other"])
    assert isinstance(next(edits["one"]), Step)
    edits["one"].close()


def test_an_edit_whose_page_was_closed_ends(short, tmp_path):
    session = Session(tmp_path)
    edit = session.render(short, Wish(), "closed")
    next(edit)
    edit.close()
    assert session._running["closed"].is_set()


def test_the_intensity_for_a_target_is_found_for_what_is_set(short, tmp_path):
    session = Session(tmp_path)
    found = session.find_intensity(short, Wish(Look("happy", intensity=2.0)), 0.2)
    assert found.reached >= 0.2
    assert found.intensity < 2
    with pytest.raises(UsageError, match="no emotion"):
        session.find_intensity(short, Wish(Look(None, adjust=FROWN)), 0.2)


def test_an_edit_ends_with_a_video_and_its_report(short, tmp_path):
    *steps, made = Session(tmp_path).render(short, Wish(Look("sad")))
    assert isinstance(made, Made)
    assert steps[-1] == Step("reading", 1.0)
    assert made.result.edited_frames == 10
    assert sorted(path.name for path in made.output.parent.iterdir()) == [
        "short-edited.html",
        "short-edited.mp4",
    ]
