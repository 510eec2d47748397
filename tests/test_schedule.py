import pickle
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdrl_cli.batch import read_manifest
from cdrl_cli.edit_options import EditOptions
from cdrl_cli.errors import UnreadableInputError, UsageError
from cdrl_cli.face.tracking import RAMP_S
from cdrl_cli.generator.adjust import Adjustment
from cdrl_cli.schedule import DEFAULT_FADE, Schedule, ScheduleRow
from cdrl_cli.schedule_file import read_schedule

SECONDS = st.fractions(0, 60, max_denominator=1000)


def weight(time_s, **limits):
    """How far an edit without a schedule counts at a time."""
    active = EditOptions(emotion="happy", **limits).plan.at("largest", time_s)
    assert all(one.share == 1 for one in active)
    return sum(one.weight for one in active)


@given(st.floats(-5, 100))
def test_without_a_range_the_edit_is_there_throughout(time_s):
    assert weight(time_s) == 1.0


@given(SECONDS, st.floats(-1, 61), st.floats(0, 1))
def test_the_edit_is_ramped_in_after_the_start(start, time_s, later_s):
    start += Fraction(1, 100)
    now, later = (weight(t, start=start) for t in (time_s, time_s + later_s))
    assert 0 <= now <= later <= 1
    if time_s <= start:
        assert now == 0
    if time_s >= start + RAMP_S + 1e-6:
        assert now == 1
    assert later - now <= later_s / RAMP_S + 1e-9


@given(SECONDS, st.floats(-1, 61))
def test_out_is_the_mirror_image_of_in(end, before_s):
    out = weight(float(end) - before_s, end=end)
    assert out == pytest.approx(weight(1 + before_s, start=Fraction(1)), abs=1e-6)


def test_what_is_shown_from_the_beginning_comes_in_from_nothing_only_if_asked():
    assert weight(0.0, start=Fraction(0)) == 1
    plan = Schedule((ScheduleRow(emotion="sad", start=Fraction(0), fade=Fraction(1)),))
    assert plan.at("largest", 0.0) == ()
    assert plan.at("largest", 0.5)[0].weight == 0.5


def test_a_range_too_short_for_its_ramps_stays_below_full():
    assert weight(1.05, start=Fraction(1), end=Fraction(11, 10)) == pytest.approx(0.25)


def rows(*spans, **same):
    """Rows of one face: emotion, start, end."""
    return [
        ScheduleRow(emotion=emotion, start=Fraction(start), end=Fraction(end), **same)
        for emotion, start, end in spans
    ]


def test_a_row_fades_into_the_one_that_begins_where_it_ends():
    plan = Schedule(tuple(rows(("happy", 0, 2), ("sad", 2, 4), fade=Fraction(1))))
    (alone,) = plan.at("largest", 1.9)
    assert (alone.index, alone.share, alone.weight) == (0, 1, 1)
    old, new = plan.at("largest", 2.25)
    assert (old.index, new.index) == (0, 1)
    assert (old.share, new.share) == (0.75, 0.25)
    assert old.weight == new.weight == 1
    (alone,) = plan.at("largest", 3.0)
    assert (alone.index, alone.share) == (1, 1)
    (leaving,) = plan.at("largest", 3.75)
    assert leaving.weight == 0.25
    assert plan.at("largest", 4.1) == ()


LENGTHS = st.lists(st.fractions("1/20", 3, max_denominator=100), min_size=1, max_size=4)
GAPS = st.lists(st.sampled_from([Fraction(0), Fraction(1, 10)]), min_size=4, max_size=4)


@given(LENGTHS, GAPS, st.fractions("1/10", 2, max_denominator=10), st.floats(0, 14))
def test_what_is_shown_never_jumps(lengths, gaps, fade, time_s):
    spans, now = [], Fraction(0)
    for length, gap in zip(lengths, gaps, strict=False):
        spans.append(("happy", now, now + length))
        now += length + gap
    plan = Schedule(tuple(rows(*spans, fade=fade)))

    def shown(at_s):
        amounts = dict.fromkeys(range(len(spans)), 0.0)
        for one in plan.at("largest", at_s):
            amounts[one.index] = one.share * one.weight
        return amounts

    active = plan.at("largest", time_s)
    assert not active or sum(one.share for one in active) == pytest.approx(1)
    step_s = 1e-4
    # A row shorter than its fade comes and goes within its own length.
    steepest = 2 / min(fade, *lengths)
    before, after = shown(time_s), shown(time_s + step_s)
    assert all(abs(after[i] - before[i]) <= steepest * step_s + 1e-9 for i in before)


def test_a_number_counts_before_the_largest_and_that_before_all():
    plan = Schedule(
        tuple(ScheduleRow(emotion="happy", face=face) for face in ("all", 2, "largest", 1))
    )
    assert list(plan.choices) == [1, 2, "largest", "all"]
    assert plan.at(2, 5.0)[0].index == 1


def test_rows_of_one_face_that_overlap_are_refused():
    with pytest.raises(UsageError, match=r"row 2 begins at 1\.5 s, and row 1 .* ends at 2 s"):
        Schedule(tuple(rows(("happy", 1, 2), ("sad", "3/2", 3))))
    with pytest.raises(UsageError, match=r"row 2 begins at 5 s, and row 1 .* never ends"):
        Schedule((ScheduleRow(emotion="happy"), ScheduleRow(emotion="sad", start=Fraction(5))))
    two = [*rows(("happy", 1, 2), face=1), *rows(("sad", 1, 2), face=2)]
    assert Schedule(tuple(two)).rows == tuple(two)


def test_a_schedule_is_read_from_csv_and_from_jsonl_alike(tmp_path):
    table, lines = tmp_path / "s.csv", tmp_path / "s.jsonl"
    table.write_text(
        "start,end,face,emotion,ref,intensity,adjust,fade\n"
        '0,1:02.5,1,joy,,0.5,"smile=+.3,brows=-.2",1\n'
        ",,2,,grief.mp4,,,\n"
    )
    lines.write_text(
        '{"start": 0, "end": "1:02.5", "face": 1, "emotion": "joy", "intensity": 0.5, '
        '"adjust": "smile=+.3,brows=-.2", "fade": 1}\n\n'
        '{"face": "2", "ref": "grief.mp4"}\n'
    )
    read = read_schedule(table, intensity=0.7)
    first, second = read.rows
    assert first == ScheduleRow(
        emotion="happy",
        start=Fraction(0),
        end=Fraction("62.5"),
        face=1,
        intensity=0.5,
        adjust=Adjustment((("smile", 0.3), ("brows", -0.2))),
        fade=Fraction(1),
        line=2,
    )
    assert (second.reference, second.face, second.intensity) == (tmp_path / "grief.mp4", 2, 0.7)
    assert second.fade_s == float(DEFAULT_FADE)
    again = read_schedule(lines, intensity=0.7)
    assert [(one.emotion, one.face, one.end) for one in again.rows] == [
        (one.emotion, one.face, one.end) for one in read.rows
    ]
    assert again.files == (tmp_path / "grief.mp4",)
    assert pickle.loads(pickle.dumps(read)) == read


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("start,emotion\n3,\n", "line 2: give the emotion"),
        ("start,emotion\nsoon,sad\n", "line 2: start: 'soon' is no time"),
        ("emotion,intensity\nsad,3\n", "line 2: intensity 3 is not within 0..2"),
        ("start,end,emotion\n3,2,sad\n", "line 2: the start, 3 s, is not before the end, 2 s"),
        ("emotion,fade\nsad,0\n", "line 2: the fade, 0 s, is not within 0..60 s"),
        ("emotion,target_emotion\nsad,1.5\n", "line 2: the target, 1.5, is not between 0 and 1"),
        ("adjust,target_emotion\nsmile=1,.5\n", "a target for an emotion, and no emotion"),
        ("emotion,face,who\nsad,2,jane.jpg\n", "either a number of a face or a photo"),
        ("emotion,way\nsad,4\n", "line 2: the way 4 is not within 1..3"),
        ("emotion,way\nneutral,1\n", "line 2: neutral is not acted in ways"),
        ("ref,way\njoy.mp4,1\n", "line 2: a way is one of those of an emotion that is named"),
        ("emotion,pace\nsad,nan\n", "line 2: the pace, nan, is not within 0..2"),
        ("ref,follow_ref,pace\njoy.mp4,yes,0\n", "line 2: the pace, 0, is asked for, and the ref"),
        (
            "adjust,pace\nsmile=1,0\n",
            "line 2: the pace, 0, is that of an emotion, and there is none",
        ),
        ("adjust,intensity\nsmile=1,1\n", "line 2: intensity says how strong an emotion is"),
        ("neutralise,neutralize\nyes,no\n", "line 2: neutralise and neutralize are one column"),
        ('emotion\n"anger, joy"\n', "line 2: 'anger, joy' are several emotions"),
        ("emotion,face\nsad,you\n", "no choice of a face (largest, all, or a number"),
    ],
)
def test_a_wrong_row_is_named_by_its_line(tmp_path, text, told):
    path = tmp_path / "s.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match="rows are wrong") as caught:
        read_schedule(path)
    assert any(told in line for line in caught.value.details), caught.value.details


def test_all_that_is_wrong_with_a_row_is_told_in_its_own_order(tmp_path):
    (tmp_path / "s.csv").write_text("emotion,way,pace,start,fade\nsad,x,x,x,x\n")
    with pytest.raises(UsageError) as caught:
        read_schedule(tmp_path / "s.csv")
    told = [line.split(": ")[1] for line in caught.value.details]
    assert told == ["way", "pace", "start", "fade"]


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_what_a_spreadsheet_writes_between_cells_is_found(tmp_path, delimiter):
    (tmp_path / "s.csv").write_text("face,emotion,adjust\n1,sad,smile=.1\n".replace(",", delimiter))
    (row,) = read_schedule(tmp_path / "s.csv").rows
    assert (row.face, row.emotion) == (1, "sad")


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_numbers_of_a_spreadsheet_may_have_decimal_commas(tmp_path, delimiter):
    table = "start;end;emotion;intensity;adjust\n,5;00:01:02,25;sad;0,75;smile=.1,eyes=.2\n"
    (tmp_path / "s.csv").write_text(table.replace(";", delimiter))
    (row,) = read_schedule(tmp_path / "s.csv").rows
    assert (row.start, row.end, row.intensity) == (Fraction(1, 2), Fraction(249, 4), 0.75)
    assert str(row.adjust) == str(Adjustment.parse("smile=.1,eyes=.2"))


def test_a_comma_in_a_name_stays(tmp_path):
    (tmp_path / "rows.csv").write_text("source;output;emotion;intensity\n1,2;b.mp4;sad;0,5\n")
    (row,) = read_manifest(tmp_path / "rows.csv")
    assert (row.source, row.options.intensity) == (tmp_path / "1,2", 0.5)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ('emotion,intensity\nsad,"0,5"\n', "'0,5' is not a number"),
        ("emotion\tstart\tend\nsad\t0,125\t1,200\n", "'1,200' between tabs may be 1.200 or 1200"),
    ],
)
def test_a_comma_that_may_be_no_decimal_one_is_refused(tmp_path, table, told):
    (tmp_path / "s.csv").write_text(table)
    with pytest.raises(UsageError) as caught:
        read_schedule(tmp_path / "s.csv")
    (line,) = caught.value.details
    assert told in line


def test_between_semicolons_every_comma_of_a_number_is_a_decimal_one(tmp_path):
    (tmp_path / "s.csv").write_text("emotion;start;end\nsad;0,125;1,200\n")
    (row,) = read_schedule(tmp_path / "s.csv").rows
    assert (row.start, row.end) == (Fraction(1, 8), Fraction(6, 5))


def test_overlaps_are_told_with_the_line(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("start,end,emotion\n0,2,sad\n1,3,happy\n")
    with pytest.raises(UsageError, match=r"s\.csv: row 2 \(line 3\) begins at 1 s, and row 1"):
        read_schedule(path)


@pytest.mark.parametrize("spelling", ["neutralise", "neutralize"])
def test_both_spellings_are_read(tmp_path, spelling):
    (tmp_path / "s.csv").write_text(f"emotion,{spelling}\nsad,yes\n")
    assert read_schedule(tmp_path / "s.csv").rows[0].neutralise
    rows = tmp_path / "rows.csv"
    rows.write_text(f"source,output,emotion,{spelling}\na.mp4,b.mp4,sad,yes\n")
    assert read_manifest(rows)[0].options.neutralise


def test_what_holds_for_all_rows_holds_for_those_that_it_says_something_of(tmp_path):
    (tmp_path / "s.csv").write_text(
        "end,start,ref,follow_ref,adjust,who\n"
        "2,,joy.mp4,,,\n3,2,joy.mp4,yes,,\n4,3,,,smile=.3,\n,4,joy.mp4,,,jane.jpg\n"
    )
    rows = read_schedule(tmp_path / "s.csv", pace=0.5, face=2).rows
    assert [row.pace for row in rows] == [0.5, 1.0, 1.0, 0.5]
    assert [row.face for row in rows] == [2, 2, 2, "largest"]


def test_whole_numbers_may_end_in_zeros_as_pandas_writes_them(tmp_path):
    text = "emotion,face,way,neutralise\nhappy,2.0,1.0,1.0\n"
    (tmp_path / "s.csv").write_text(text)
    (row,) = read_schedule(tmp_path / "s.csv").rows
    assert (row.face, row.way, row.neutralise) == (2, 1, True)
    (tmp_path / "s.csv").write_text(text.replace("1.0,1.0", "1.5,1.0"))
    with pytest.raises(UsageError) as caught:
        read_schedule(tmp_path / "s.csv")
    assert "line 2: way: '1.5' is not a whole number" in caught.value.details[0]


def test_a_schedule_that_is_no_file_is_named(tmp_path):
    with pytest.raises(UnreadableInputError, match=r"gone\.csv: cannot be read"):
        read_schedule(tmp_path / "gone.csv")
    (tmp_path / "s.csv").write_text("begin,emotion\n0,sad\n")
    with pytest.raises(UsageError, match="unknown column 'begin'"):
        read_schedule(tmp_path / "s.csv")
    (tmp_path / "s.csv").write_text(",emotion\n0,sad\n")
    with pytest.raises(UsageError, match="column 1 has no name"):
        read_schedule(tmp_path / "s.csv")
    (tmp_path / "s.json").write_text('[{"emotion": "sad"}]')
    with pytest.raises(UsageError, match="is a JSON array"):
        read_schedule(tmp_path / "s.json")


def test_beside_a_schedule_nothing_else_says_what_is_shown():
    plan = Schedule((ScheduleRow(emotion="sad"),))
    assert EditOptions(schedule=plan, codec="ffv1").plan is plan
    with pytest.raises(UsageError, match="emotion, start beside it"):
        EditOptions(schedule=plan, emotion="happy", start=Fraction(3))


def test_a_photo_is_a_choice_of_its_own():
    row = ScheduleRow(emotion="sad", who=Path("jane.jpg"))
    assert Schedule((row,)).files == (Path("jane.jpg"),)
    assert list(Schedule((row, ScheduleRow(emotion="happy"))).choices) == [
        Path("jane.jpg"),
        "largest",
    ]


def test_the_span_is_that_of_all_rows():
    first, second = rows(("happy", 1, 2), ("sad", 5, 7))
    assert Schedule((second, first)).span == (1, 7)
    open_ended = Schedule((first, ScheduleRow(emotion="sad", start=Fraction(5))))
    assert open_ended.span == (1, None)
    assert not open_ended.names_numbers
    assert Schedule((ScheduleRow(emotion="sad", face=2),)).names_numbers
