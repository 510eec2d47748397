import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from c2pa import Reader
from certificates import make_identity
from conftest import require_weights
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import sample_clips
from cdrl_cli import editing, planning
from cdrl_cli.edited_row import average_reading
from cdrl_cli.editing import (
    EditOptions,
    _doubt,
    _mark,
    _same_file,
    edit_video,
)
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import DeviceError, NoFaceError, PolicyError, UsageError, WeightsError
from cdrl_cli.face.blendshapes import channels
from cdrl_cli.face.stream import open_faces
from cdrl_cli.generator.adjust import Adjustment
from cdrl_cli.media.credentials import CONSENT_LABEL, SigningIdentity
from cdrl_cli.media.encoder import ENCODERS
from cdrl_cli.media.provenance import PARTLY_GENERATED
from cdrl_cli.planning import plan_edit
from cdrl_cli.reference import Reference, read_reference
from cdrl_cli.schedule import Schedule, ScheduleRow
from pictures import read_pictures, write_pictures

SECONDS = st.fractions(0, 60, max_denominator=1000)


def test_an_emotion_by_label_by_reference_or_by_both():
    assert EditOptions(emotion="happy").reference is None
    assert EditOptions(reference=Path("joy.mp4")).emotion is None
    both = EditOptions(emotion="joy", reference=Path("joy.mp4"))
    assert (both.emotion, both.reference) == ("happy", Path("joy.mp4"))


def test_words_cannot_be_followed():
    with pytest.raises(UsageError, match="follow"):
        EditOptions(emotion="happy", follow_reference=True)


def test_no_emotion_is_refused():
    with pytest.raises(UsageError, match="by a reference, by a label or words, or by both"):
        EditOptions()


@pytest.mark.parametrize(
    ("option", "what"),
    [
        ({"reference_neutral": Path("calm.jpg")}, "neutral face"),
        ({"reference_face": 2}, "face"),
        ({"reference_start": Fraction(0)}, "start"),
        ({"reference_end": Fraction(2)}, "end"),
        ({"normalize": True}, "typical strength"),
    ],
)
def test_what_is_said_of_a_reference_needs_one(option, what):
    with pytest.raises(UsageError, match=f"the reference's {what} is asked for"):
        EditOptions(emotion="happy", **option)
    assert EditOptions(reference=Path("joy.mp4"), **option)


def test_faces_of_a_reference_count_from_one():
    with pytest.raises(UsageError, match="face 0"):
        EditOptions(reference=Path("joy.mp4"), reference_face=0)


@given(SECONDS, SECONDS)
def test_the_start_of_a_reference_is_before_its_end(start, end):
    part = {"reference_start": start, "reference_end": end}
    if start < end:
        assert EditOptions(reference=Path("joy.mp4"), **part).reference_end == end
    else:
        with pytest.raises(UsageError, match=r"the reference's start, .* is not before its end"):
            EditOptions(reference=Path("joy.mp4"), **part)


def test_files_of_a_reference_are_those_that_are_given():
    joy, calm = Path("joy.mp4"), Path("calm.jpg")
    assert EditOptions(emotion="happy").reference_files == ()
    assert EditOptions(reference=joy).reference_files == (joy,)
    assert EditOptions(reference=joy, reference_neutral=calm).reference_files == (joy, calm)


@pytest.mark.parametrize("name", ["joy.png", "calm.png"])
def test_the_output_is_no_file_of_the_reference(tmp_path, name):
    for one in ("joy.png", "calm.png"):
        (tmp_path / one).touch()
    options = EditOptions(
        reference=tmp_path / "joy.png", reference_neutral=tmp_path / "calm.png", overwrite=True
    )
    with pytest.raises(PolicyError, match="the output is the reference"):
        edit_video(tmp_path / "talk.mp4", tmp_path / name, options)


@pytest.mark.parametrize(
    ("word", "label"),
    [("happy", "happy"), ("Anger", "angry"), (" joy ", "happy"), ("surprise", "surprised")],
)
def test_common_words_for_an_emotion_become_its_label(word, label):
    assert EditOptions(emotion=word).emotion == label


def test_other_words_for_an_emotion_stay_as_they_are():
    assert EditOptions(emotion="  quietly\n furious ").emotion == "quietly furious"


@pytest.mark.parametrize("word", ["", " \t"])
def test_an_empty_emotion_is_refused_and_the_labels_named(word):
    with pytest.raises(UsageError, match="empty") as caught:
        EditOptions(emotion=word)
    assert "surprised" in caught.value.hint


@pytest.mark.parametrize("intensity", [-0.1, 2.01, float("nan"), float("inf")])
def test_an_intensity_out_of_range_is_refused(intensity):
    with pytest.raises(UsageError, match="intensity"):
        EditOptions(emotion="happy", intensity=intensity)


@pytest.mark.parametrize("intensity", [0.0, 1.0, 2.0])
def test_the_ends_of_the_range_are_in_it(intensity):
    assert EditOptions(emotion="happy", intensity=intensity).intensity == intensity


@given(SECONDS, SECONDS)
def test_the_start_is_before_the_end(start, end):
    if start < end:
        assert EditOptions(emotion="happy", start=start, end=end).start == start
    else:
        with pytest.raises(UsageError, match="not before"):
            EditOptions(emotion="happy", start=start, end=end)


def test_the_mark_says_what_was_done_and_not_with_whom():
    mark = _mark(EditOptions(reference=Path("secret/jane.mp4"), intensity=0.5))
    assert mark.startswith("AI-edited")
    assert "0.5" in mark
    assert "jane" not in mark
    assert "sad" in _mark(EditOptions(emotion="sad"))


def test_a_note_of_consent_needs_somebody_who_signs():
    with pytest.raises(UsageError, match="kept only in what is signed"):
        EditOptions(emotion="sad", consent="Ana Sol, 3 May, by letter")
    who = SigningIdentity(Path("chain.pem"), Path("key.pem"))
    kept = EditOptions(emotion="sad", consent="  Ana Sol,\n by letter ", signing=who)
    assert kept.consent == "Ana Sol, by letter"
    with pytest.raises(UsageError, match="may have 1 to 1000"):
        EditOptions(emotion="sad", consent=" ", signing=who)


def test_a_label_has_a_corner():
    with pytest.raises(UsageError, match="'middle' is no corner"):
        EditOptions(emotion="sad", disclose="middle")


def test_a_file_is_itself_by_every_name(tmp_path):
    (tmp_path / "a").touch()
    (tmp_path / "b").touch()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert _same_file(tmp_path / "a", tmp_path / "link")
    assert not _same_file(tmp_path / "a", tmp_path / "b")
    assert not _same_file(tmp_path / "a", tmp_path / "none")


@pytest.mark.weights
def test_what_is_read_from_a_reference_adds_up(models, clips):
    reference = Reference(clips / "grief.mp4", follow=True)
    reading = average_reading((read_reference(reference, models),))
    assert list(reading) == list(Emotion)
    assert sum(reading.values()) == pytest.approx(1)


def test_a_reference_that_reads_as_neutral_is_doubted():
    calm = dict.fromkeys(Emotion, 0.05) | {Emotion.NEUTRAL: 0.7}
    glad = dict.fromkeys(Emotion, 0.05) | {Emotion.HAPPY: 0.7}
    (line,) = _doubt(ScheduleRow(reference=Path("calm.mp4")), calm)
    assert line.startswith("calm.mp4: reads as neutral (70%)")
    assert "--normalize" in line
    assert not list(_doubt(ScheduleRow(reference=Path("glad.mp4")), glad))
    assert not list(_doubt(ScheduleRow(emotion="neutral"), calm))
    assert not list(_doubt(ScheduleRow(reference=Path("calm.mp4"), emotion="sad"), calm))


@pytest.mark.parametrize(
    ("words", "happy", "doubted"),
    [("happi", 0.44, True), ("happi", 0.6, False), ("unhappy", 0.06, False), ("hpapy", 0, True)],
)
def test_words_that_are_nearly_a_label_and_do_not_read_as_it_are_doubted(words, happy, doubted):
    reading = dict.fromkeys(Emotion, 0.05) | {Emotion.HAPPY: happy}
    lines = list(_doubt(ScheduleRow(emotion=words), reading))
    what = f"'{words}' is read as words (happy {happy:.0%}); if happy is meant, write it so"
    assert lines == [what] * doubted
    assert not list(_doubt(ScheduleRow(reference=Path("hm.mp4"), emotion=words), reading))


@pytest.mark.parametrize(("sad", "doubted"), [(0.35, True), (0.15, False)])
def test_two_readings_within_twenty_points_are_both_named(sad, doubted):
    reading = dict.fromkeys(Emotion, 0.02) | {Emotion.ANGRY: 0.45, Emotion.SAD: sad}
    lines = list(_doubt(ScheduleRow(reference=Path("hm.mp4")), reading))
    assert len(lines) == doubted
    for line in lines:
        assert "reads as angry (45%) or sad (35%)" in line
        assert "--emotion angry or --emotion sad beside --ref" in line
    assert not list(_doubt(ScheduleRow(reference=Path("hm.mp4"), emotion="sad"), reading))


@pytest.fixture(scope="module")
def man(clips, tmp_path_factory):
    """Four frames of a man who talks."""
    path = tmp_path_factory.mktemp("man") / "man.mp4"
    end = Fraction(4, 30)
    sample_clips.cut_clip(clips / "single_face.mp4", path, start=Fraction(0), end=end)
    return path


@pytest.fixture(scope="module")
def stills(clips, tmp_path_factory):
    """Folder of references: a woman who laughs; the man himself, who grins, and is calm."""
    folder = tmp_path_factory.mktemp("stills")
    his = read_pictures(clips / "single_face.mp4", 40)
    (hers,) = read_pictures(clips / "joy.mp4", 1)
    for name, picture in (("laughs", hers), ("grins", his[-1]), ("calm", his[0])):
        Image.fromarray(picture).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def edited(models, man, tmp_path_factory):
    """What an edit of the man says, and how many levels it moves his face in the mean."""
    folder = tmp_path_factory.mktemp("edited")

    def edit(**options):
        output = folder / "out.mkv"
        asked = EditOptions(codec="ffv1", overwrite=True, **options)
        result = edit_video(man, output, asked, models=models)
        return result, _rgb(output) - _rgb(man)

    return edit


@pytest.mark.weights
def test_two_references_of_one_emotion_give_two_edits(edited, stills):
    """Both are glad, each in their own way."""
    (hers, by_her), (his, by_him) = (
        edited(reference=stills / name) for name in ("laughs.png", "grins.png")
    )
    for result in (hers, his):
        assert max(result.reading, key=lambda one: result.reading[one]) is Emotion.HAPPY
        assert result.reference_neutral == "estimated"
        assert result.emotion is None
    assert np.abs(by_her - by_him).mean() > 0.2 * np.abs(by_her).mean()


@pytest.mark.weights
def test_a_weak_reference_gives_a_weak_edit_unless_it_is_normalised(edited, stills):
    strong, much = edited(reference=stills / "grins.png")
    weak, little = edited(reference=stills / "calm.png")
    normal, more = edited(reference=stills / "calm.png", normalize=True)
    assert weak.strength < 0.5 * strong.strength
    assert weak.strength < normal.strength
    assert np.abs(little).mean() < 0.8 * np.abs(much).mean()
    assert np.abs(little).mean() < np.abs(more).mean()
    assert not strong.warnings
    (warning,) = weak.warnings
    assert "reads as neutral" in warning


@pytest.mark.weights
def test_what_a_reference_shows_is_measured_from_its_neutral_picture(edited, stills):
    """Whoever is calm, and looks as in their neutral picture, asks for nothing."""
    result, moved = edited(reference=stills / "grins.png", reference_neutral=stills / "grins.png")
    assert result.reference_neutral == "given"
    assert result.strength == pytest.approx(0, abs=1e-6)
    other, much = edited(reference=stills / "grins.png", reference_neutral=stills / "calm.png")
    assert other.strength > 0.5
    assert np.abs(moved).mean() < 0.8 * np.abs(much).mean()


@pytest.mark.weights
def test_a_word_beside_a_reference_is_what_the_result_says(edited, stills):
    result, moved = edited(reference=stills / "laughs.png", emotion="surprise")
    assert result.emotion == "surprised"
    assert not result.warnings
    assert np.abs(moved).mean() > 0


@pytest.mark.weights
def test_by_label_there_is_no_neutral_face_of_a_reference(edited):
    result, _ = edited(emotion="sad")
    assert result.reference_neutral is None
    assert 0.3 < result.strength < 1.3


@pytest.fixture(scope="module")
def pair(clips, tmp_path_factory):
    """Six frames of the laughing woman, face 1 and on the right, beside the calm man, face 2."""
    path = tmp_path_factory.mktemp("pair") / "pair.mkv"
    his = read_pictures(clips / "single_face.mp4", 1)[0]
    hers = read_pictures(clips / "joy.mp4", 1)[0]
    small = [cv2.resize(one, (480, 270), interpolation=cv2.INTER_AREA) for one in (his, hers)]
    write_pictures(path, [np.hstack(small)] * 6)
    return path


@pytest.mark.weights
def test_several_people_show_several_emotions_in_one_pass(models, pair, tmp_path):
    row = {
        "hers": ScheduleRow(emotion="sad", face=1),
        "his first": ScheduleRow(emotion="happy", face=2, end=Fraction(3, 25)),
        "his then": ScheduleRow(emotion="angry", face=2, start=Fraction(3, 25), fade=Fraction(1)),
    }

    def edit(*names):
        options = EditOptions(
            schedule=Schedule(tuple(row[name] for name in names)), codec="ffv1", overwrite=True
        )
        result = edit_video(pair, tmp_path / "out.mkv", options, models=models)
        return result, _rgb(tmp_path / "out.mkv") - _rgb(pair)

    result, all_of_it = edit(*row)
    assert (result.faces, result.edited_frames) == (2, 6)
    assert [one.edited_frames for one in result.schedule] == [6, 6, 2]
    assert not result.warnings
    # Each face is edited as it is alone: the left half is his, the right hers.
    _, hers = edit("hers")
    np.testing.assert_array_equal(all_of_it[:, :, 480:], hers[:, :, 480:])
    assert not hers[:, :, :480].any()
    _, his = edit("his first", "his then")
    np.testing.assert_array_equal(all_of_it[:, :, :480], his[:, :, :480])


@pytest.fixture(scope="module")
def two_shots(clips, tmp_path_factory):
    """Folder with a clip of three frames of the man and, after a cut, of the woman; and photos."""
    folder = tmp_path_factory.mktemp("shots")
    his, hers = (
        [cv2.resize(one, (480, 270)) for one in read_pictures(clips / name, 40)]
        for name in ("single_face.mp4", "WolfgangLanger_Pexels.mp4")
    )
    write_pictures(folder / "shots.mkv", his[:3] + hers[:3])
    write_pictures(folder / "him.mkv", his[:3])
    for name, picture in (("him", his[-1]), ("her", hers[-1])):
        Image.fromarray(picture).save(folder / f"{name}.png")
    return folder


@pytest.mark.weights
@pytest.mark.parametrize(("who", "edited_frames"), [("him", [0, 1, 2]), ("her", [3, 4, 5])])
def test_a_photo_says_who_is_edited_through_cuts(models, two_shots, tmp_path, who, edited_frames):
    require_weights("identity")
    source, output = two_shots / "shots.mkv", tmp_path / "out.mkv"
    options = EditOptions(emotion="sad", who=two_shots / f"{who}.png", codec="ffv1")
    result = edit_video(source, output, options, models=models)
    changed = np.abs(_rgb(output) - _rgb(source)).mean(axis=(1, 2, 3)) > 0
    assert np.flatnonzero(changed).tolist() == edited_frames
    assert result.faces == 1


@pytest.mark.weights
def test_a_photo_of_somebody_else_says_who_was_nearest(models, two_shots, tmp_path):
    require_weights("identity")
    options = EditOptions(emotion="sad", who=two_shots / "her.png")
    with pytest.raises(NoFaceError, match=r"nobody looks like .*her\.png: the nearest, face 1, .*"):
        edit_video(two_shots / "him.mkv", tmp_path / "out.mkv", options, models=models)
    assert not list(tmp_path.iterdir())


@pytest.mark.weights
def test_without_the_weights_nobody_is_told_apart(models, two_shots, tmp_path, monkeypatch):
    monkeypatch.setenv("SPFEM_HOME", str(tmp_path / "home"))
    options = EditOptions(emotion="sad", who=two_shots / "her.png")
    with pytest.raises(WeightsError, match="telling people apart") as caught:
        edit_video(two_shots / "him.mkv", tmp_path / "o.mkv", options, models=replace(models))
    assert "spfem download-weights identity" in caught.value.hint


@pytest.mark.weights
def test_a_target_finds_its_intensity_and_says_so(models, man, tmp_path):
    outputs = [tmp_path / "found.mkv", tmp_path / "same.mkv"]
    options = EditOptions(emotion="happy", target_emotion=0.6, codec="ffv1")
    result = edit_video(man, outputs[0], options, models=models)
    (row,) = result.schedule
    assert row.target_emotion == 0.6
    assert 0 < row.intensity <= 2
    assert row.measured >= 0.6 or any("60% was asked for" in line for line in result.warnings)
    same = EditOptions(emotion="happy", intensity=row.intensity, codec="ffv1")
    edit_video(man, outputs[1], same, models=models)
    np.testing.assert_array_equal(_rgb(outputs[0]), _rgb(outputs[1]))


@pytest.mark.weights
def test_rows_that_met_nobody_are_named(models, pair, tmp_path):
    rows = (ScheduleRow(emotion="sad", face=1), ScheduleRow(emotion="sad", face=7))
    options = EditOptions(schedule=Schedule(rows))
    result = edit_video(pair, tmp_path / "out.mkv", options, models=models)
    assert result.warnings == ("row 2: face 7 was not there to be edited, or another row's",)


@pytest.mark.weights
def test_an_adjustment_needs_no_emotion_and_is_added_to_one(edited):
    alone, moved = edited(adjust=Adjustment.parse("brows=.6"))
    assert (alone.emotion, alone.strength) == (None, 0)
    assert alone.edited_frames == alone.frames
    _, sad = edited(emotion="sad")
    _, both = edited(emotion="sad", adjust=Adjustment.parse("brows=.6"))
    assert np.abs(moved).mean() > 0
    assert np.abs(both - sad).mean() > 0.3 * np.abs(moved).mean()
    _, same = edited(emotion="sad", adjust=Adjustment.parse("brows=0"))
    np.testing.assert_array_equal(same, sad)


@pytest.mark.weights
def test_a_label_stands_on_every_frame_edited_or_not(edited):
    _, plain = edited(emotion="sad", start=Fraction(2, 30))
    result, shown = edited(emotion="sad", start=Fraction(2, 30), disclose="top-right")
    assert result.edited_frames < result.frames
    label = np.abs(shown - plain).max(axis=(0, 3)) > 0
    assert (np.abs(shown - plain).max(axis=3) > 0).mean(axis=(1, 2)).min() > 0.005
    rows, columns = np.nonzero(label)
    assert rows.max() < 0.2 * label.shape[0]
    assert columns.min() > 0.7 * label.shape[1]


@pytest.mark.weights
def test_a_laugh_is_taken_away_first(models, pair, tmp_path):
    """Read from the pixels that come out: she smiles less, and he, who is calm, hardly changes."""
    options = EditOptions(neutralise=True, face="all", codec="ffv1")
    edit_video(pair, tmp_path / "out.mkv", options, models=models)
    smiles = []
    for path in (pair, tmp_path / "out.mkv"):
        with open_faces(path, models) as stream:
            _, faces = next(iter(stream.sampled(step_s=Fraction(1), length_s=1)))
            smiles.append([face.expression[channels("mouthSmile")].mean() for face in faces])
    (hers, his), (hers_after, his_after) = smiles
    assert hers_after < 0.7 * hers
    assert abs(his_after - his) < 0.1
    changed = np.abs(_rgb(tmp_path / "out.mkv") - _rgb(pair)).mean(axis=(0, 1, 3))
    assert changed[:480].sum() < changed[480:].sum()


def test_an_edit_comes_out_the_same_each_time(models, clips, tmp_path):
    source = tmp_path / "talk.mp4"
    sample_clips.cut_clip(clips / "single_face.mp4", source, start=Fraction(0), end=Fraction(2, 5))
    outputs = [tmp_path / name for name in ("first.mkv", "second.mkv")]
    for output in outputs:
        # Without loss: x264 itself does not compress the same frames the same way each time.
        edit_video(source, output, EditOptions(emotion="happy", codec="ffv1"), models=models)
    first, second = map(_planes, outputs)
    assert len(first) == 12
    np.testing.assert_array_equal(first, second)


@pytest.mark.weights
def test_a_start_after_the_end_of_the_clip_is_named(models, clips, tmp_path):
    clip = tmp_path / "a.mp4"
    sample_clips.cut_clip(clips / "single_face.mp4", clip, start=Fraction(0), end=Fraction(1, 3))
    options = EditOptions(emotion="sad", start=Fraction(100))
    with pytest.raises(NoFaceError, match=r"last frame is at 0\.3 s, .* to start at 100 s"):
        edit_video(clip, tmp_path / "out.mp4", options, models=models)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.weights
def test_an_edit_is_signed_by_whoever_says_so(models, clips, tmp_path):
    source, output = tmp_path / "talk.mp4", tmp_path / "out.mp4"
    sample_clips.cut_clip(clips / "single_face.mp4", source, start=Fraction(0), end=Fraction(1, 5))
    options = EditOptions(
        emotion="happy", signing=make_identity(tmp_path / "me"), consent="Ana, by letter"
    )
    edit_video(source, output, options, models=models)
    reader = Reader(output)
    told = reader.get_validation_results()["activeManifest"]["failure"]
    assert {one["code"] for one in told} == {"signingCredential.untrusted"}
    assertions = reader.get_active_manifest()["assertions"]
    assert _mark(options) in str(assertions)
    (consent,) = [one["data"] for one in assertions if one["label"] == CONSENT_LABEL]
    assert consent == {"note": "Ana, by letter"}
    # The mark that anybody reads says it too, in front of what is signed, and nothing of her.
    (packet,) = re.findall(rb"<\?xpacket begin.*<\?xpacket end", output.read_bytes(), re.DOTALL)
    assert PARTLY_GENERATED.encode() in packet
    assert b"Ana" not in packet


@pytest.mark.parametrize("resume", [False, True])
def test_a_part_that_leaves_no_room_for_an_edit_is_told_so(models, tmp_path, clips, resume):
    part = {"start": Fraction(1, 5), "end": Fraction(23, 100)}
    options = EditOptions(emotion="happy", resume=resume, **part)
    with pytest.raises(NoFaceError, match="the part to be edited is too short"):
        edit_video(clips / "single_face.mp4", tmp_path / "out.mp4", options, models=models)


def test_what_cannot_be_signed_is_refused_before_work(models, tmp_path, clips):
    options = EditOptions(emotion="happy", signing=SigningIdentity(Path("a.pem"), Path("b.pem")))
    for name in ("out.mkv", "out.mp4"):
        with pytest.raises(UsageError):
            edit_video(clips / "single_face.mp4", tmp_path / name, options, models=models)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("work", [edit_video, plan_edit])
@pytest.mark.parametrize(
    "asked",
    [{"codec": "ffv1", "crf": 1}, {"codec": "h264", "preset": "warp"}, {"codec": "h264_nvenc"}],
)
def test_what_cannot_be_encoded_is_refused_before_work(tmp_path, clips, monkeypatch, work, asked):
    nowhere = replace(ENCODERS["h264_nvenc"], library="h264_nowhere")
    monkeypatch.setitem(ENCODERS, "h264_nvenc", nowhere)
    for module in (editing, planning):
        monkeypatch.setattr(module, "load_models", lambda: pytest.fail("networks are loaded"))
    with pytest.raises((UsageError, DeviceError)):
        work(clips / "single_face.mp4", tmp_path / "a.mkv", EditOptions(emotion="sad", **asked))
    assert not list(tmp_path.iterdir())


def _rgb(path: Path) -> np.ndarray:
    with av.open(path) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return np.stack(frames).astype(float)


def _planes(path: Path) -> np.ndarray:
    with av.open(path) as container:
        return np.stack([frame.to_ndarray() for frame in container.decode(video=0)])
