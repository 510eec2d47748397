import json
from fractions import Fraction
from pathlib import Path
from typing import get_args

import pytest

from cdrl_cli import planning
from cdrl_cli.cli.app import run
from cdrl_cli.cli.options import CodecName, PresetName
from cdrl_cli.editing import EditOptions
from cdrl_cli.errors import UsageError
from cdrl_cli.media.credentials import SigningIdentity
from cdrl_cli.media.encoder import ENCODERS, PRESETS
from cdrl_cli.planning import EditPlan

REQUIRED = ["edit", "talk.mp4", "--ref", "joy.mp4", "-o", "out.mp4"]


def test_bare_edit_asks_for_the_defaults_of_the_library(edits):
    assert run(REQUIRED) == 0
    (call,) = edits
    assert (call.source, call.output) == (Path("talk.mp4"), Path("out.mp4"))
    assert call.options == EditOptions(reference=Path("joy.mp4"))


def test_a_reference_is_followed_when_asked_to(edits):
    assert run([*REQUIRED, "--follow-ref"]) == 0
    assert edits[0].options == EditOptions(reference=Path("joy.mp4"), follow_reference=True)


def test_every_option_arrives(edits):
    words = "edit talk.mp4 -e sad -o out.mkv --intensity 0.5 --face 2 --start 1:05 --end 66.25"
    words += " --codec hevc --crf 12 --preset fast --overwrite"
    assert run(words.split()) == 0
    assert edits[0].options == EditOptions(
        emotion="sad",
        intensity=0.5,
        face=2,
        start=Fraction(65),
        end=Fraction(265, 4),
        codec="hevc",
        crf=12,
        preset="fast",
        overwrite=True,
    )


def test_every_option_of_a_reference_arrives(edits):
    words = "--ref-neutral calm.jpg --ref-face 2 --ref-start 1:05 --ref-end 66.25 --normalize"
    assert run([*REQUIRED, *words.split(), "--emotion", "fear", "--pace", ".5"]) == 0
    assert edits[0].options == EditOptions(
        reference=Path("joy.mp4"),
        emotion="fear",
        reference_neutral=Path("calm.jpg"),
        reference_face=2,
        reference_start=Fraction(65),
        reference_end=Fraction(265, 4),
        normalize=True,
        pace=0.5,
    )


@pytest.mark.parametrize(
    ("word", "seconds"),
    [
        ("0", Fraction(0)),
        ("83.2", Fraction("83.2")),
        ("1:23.2", Fraction("83.2")),
        ("01:02:03.004", Fraction("3723.004")),
    ],
)
def test_times_are_exact(edits, word, seconds):
    assert run([*REQUIRED, "--start", word]) == 0
    assert edits[0].options.start == seconds


@pytest.mark.parametrize("word", ["", "-1", "1:60", "1:2:3:4", "ten", "1e3", "nan"])
def test_what_is_no_time_is_a_usage_error(edits, word):
    assert run([*REQUIRED, f"--start={word}"]) == 2
    assert not edits


@pytest.mark.parametrize(("word", "face"), [("largest", "largest"), ("all", "all"), ("12", 12)])
def test_a_face_is_a_choice_or_a_number(edits, word, face):
    assert run([*REQUIRED, "--face", word]) == 0
    assert edits[0].options.face == face


@pytest.mark.parametrize("word", ["Anger", "angry", " ANGRY "])
def test_an_emotion_is_passed_on_by_its_label(edits, word):
    assert run(["edit", "talk.mp4", "--emotion", word, "-o", "out.mp4"]) == 0
    assert edits[0].options.emotion == "angry"


def test_an_empty_emotion_lists_the_labels(edits, capsys):
    assert run(["edit", "talk.mp4", "--emotion", " ", "-o", "out.mp4"]) == 2
    assert not edits
    assert capsys.readouterr().err == (
        "error: the emotion is empty\n"
        "hint: one of angry, disgusted, fear, happy, neutral, sad, surprised, or words\n"
    )


@pytest.mark.parametrize(
    "words",
    [
        ["edit"],
        ["edit", "talk.mp4"],
        ["edit", "talk.mp4", "-o", "out.mp4"],
        [*REQUIRED, "--ref-face", "0"],
        [*REQUIRED, "--ref-start", "5", "--ref-end", "5"],
        ["edit", "talk.mp4", "-o", "out.mp4", "--emotion", "sad", "--ref-neutral", "calm.jpg"],
        ["edit", "talk.mp4", "-o", "out.mp4", "--emotion", "sad", "--normalize"],
        ["edit", "talk.mp4", "-o", "out.mp4", "--emotion", "sad", "--follow-ref"],
        [*REQUIRED, "--intensity", "2.1"],
        [*REQUIRED, "--intensity", "-0.1"],
        [*REQUIRED, "--face", "smallest"],
        [*REQUIRED, "--face", "-1"],
        [*REQUIRED, "--start", "5", "--end", "5"],
        [*REQUIRED, "--codec", "gif"],
        [*REQUIRED, "--crf", "64"],
        [*REQUIRED, "--preset", "placid"],
        [*REQUIRED, "--nope"],
        [*REQUIRED, "one-too-many.mp4"],
    ],
)
def test_wrong_words_are_usage_errors_and_nothing_is_edited(edits, capsys, words):
    assert run(words) == 2
    assert not edits
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")


def test_who_signs_arrives(edits, monkeypatch):
    monkeypatch.setenv("SPFEM_C2PA_KEY", "key.pem")
    assert run([*REQUIRED, "--c2pa-cert", "chain.pem", "--c2pa-tsa", "https://a.test"]) == 0
    assert edits[0].options.signing == SigningIdentity(
        Path("chain.pem"), Path("key.pem"), "https://a.test"
    )


@pytest.mark.parametrize("half", ["--c2pa-cert", "--c2pa-key"])
def test_half_a_signer_is_refused(edits, half, capsys):
    assert run([*REQUIRED, half, "some.pem"]) == 2
    assert not edits
    assert "both --c2pa-cert and --c2pa-key" in capsys.readouterr().err


def test_the_summary_on_stderr_says_what_was_read(edits, capsys):
    assert run(REQUIRED) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "warning: 1 frame could not be decoded",
        "edited 2 of 3 frames in 0.5 s (6.0 fps): out.mp4",
        "joy.mp4 reads as happy 88%, neutral 12%",
    ]


def test_a_label_needs_no_reading(edits, capsys):
    assert run(["edit", "talk.mp4", "-e", "sad", "-o", "out.mp4"]) == 0
    assert capsys.readouterr().err.endswith("(6.0 fps): out.mp4\n")


def test_a_label_beside_a_reference_needs_none_either(edits, capsys):
    assert run([*REQUIRED, "-e", "sad"]) == 0
    assert capsys.readouterr().err.endswith("(6.0 fps): out.mp4\n")


def test_quiet_leaves_the_warnings(edits, capsys):
    assert run([*REQUIRED, "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "warning: 1 frame could not be decoded\n"
    assert edits[0].progress is None


def test_json_is_exactly_one_object_on_stdout(edits, capsys):
    assert run([*REQUIRED, "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == {
        "output": "out.mp4",
        "frames": 3,
        "copied_frames": 0,
        "beside": [],
        "disclose": None,
        "consent": None,
        "edited_frames": 2,
        "lost_frames": 1,
        "faces": 1,
        "emotion": None,
        "reading": {
            "neutral": 0.125,
            "angry": 0.0,
            "disgusted": 0.0,
            "fear": 0.0,
            "happy": 0.875,
            "sad": 0.0,
            "surprised": 0.0,
        },
        "strength": 0.75,
        "reference_neutral": "estimated",
        "device": "cpu (ONNX Runtime)",
        "duration_s": 0.12,
        "elapsed_s": 0.5,
        "warnings": ["1 frame could not be decoded"],
        "schedule": [],
    }
    assert out.count("\n") == 1
    assert "edited 2 of 3" in err


def test_a_file_name_is_no_markup(edits, capsys):
    assert run(["edit", "talk.mp4", "-e", "sad", "-o", "out[red].mp4"]) == 0
    assert "out[red].mp4\n" in capsys.readouterr().err


def test_a_schedule_arrives_with_what_holds_for_its_rows(edits, tmp_path):
    table = tmp_path / "who-when.csv"
    table.write_text("face,emotion,adjust\n1,joy,\n2,sad,brows=.1\n")
    words = ["--intensity", ".5", "--adjust", "smile=-.2", "--neutralize"]
    assert run(["edit", "two.mp4", "--schedule", str(table), "-o", "out.mp4", *words]) == 0
    (call,) = edits
    first, second = call.options.plan.rows
    assert (first.emotion, first.face, first.intensity) == ("happy", 1, 0.5)
    assert (str(first.adjust), str(second.adjust)) == ("smile=-0.2", "brows=+0.1")
    assert first.neutralise


def test_an_adjustment_alone_is_an_edit_and_says_no_reading(edits, capsys):
    words = ["edit", "talk.mp4", "--adjust", "smile=+.3,brows-left=-.2", "-o", "out.mp4"]
    assert run(words) == 0
    assert edits[0].options.adjust.amounts == (("smile", 0.3), ("brows-left", -0.2))
    assert "reads as" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--adjust", "grin=.3"], "there is no control 'grin'"),
        (["--schedule", "FOLDER/when.csv"], "the schedule says what is shown and when: reference"),
    ],
)
def test_what_cannot_be_steered_is_named(edits, capsys, tmp_path, words, told):
    (tmp_path / "when.csv").write_text("emotion\nsad\n")
    assert run([*REQUIRED, *(word.replace("FOLDER", str(tmp_path)) for word in words)]) == 2
    assert not edits
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--adjust eyes=.4 --pace .5", "the pace, 0.5, is that of an emotion, and there is none"),
        ("--neutralise --intensity .5", "--intensity says how strong an emotion is, and there is"),
        ("-e sad --face largest --who jane.jpg", "--face and --who both say whose face it is"),
        ("-e sad --disclose-at top-left", "--disclose-at top-left says where the label is"),
        ("-e sad --format mp4", "--format says what - is, and OUTPUT is out.mp4"),
        ("-e angry,happy", "'angry,happy' are several emotions, and one is shown at a time"),
    ],
)
def test_what_would_have_no_effect_is_refused(edits, capsys, words, told):
    assert run(["edit", "talk.mp4", "-o", "out.mp4", *words.split()]) == 2
    assert not edits
    assert told in capsys.readouterr().err


def test_every_encoder_can_be_asked_for():
    assert set(get_args(CodecName)) == set(ENCODERS)
    assert get_args(PresetName) == PRESETS
    assert max(encoder.max_crf for encoder in ENCODERS.values()) == 63  # the option's bound


def test_what_settings_say_gives_way_to_the_command_line(edits, monkeypatch):
    for name, value in {
        "FACE": "2",
        "INTENSITY": ".5",
        "CRF": "18",
        "PRESET": "slow",
        "DISCLOSE_AT": "top-left",
    }.items():
        monkeypatch.setenv(f"SPFEM_{name}", value)
    assert run([*REQUIRED, "--who", "jane.jpg", "--codec", "ffv1", "-o", "out.mkv"]) == 0
    assert run(["edit", "talk.mp4", "-o", "out.mp4", "--adjust", "eyes=.4"]) == 0
    first, second = (call.options for call in edits)
    assert (first.face, first.disclose, first.intensity) == ("largest", None, 0.5)
    assert (first.crf, first.preset) == (None, None)
    assert (second.face, second.crf, second.preset) == (2, 18, "slow")


@pytest.mark.parametrize("option", ["--resume", "--dry-run"])
@pytest.mark.parametrize("files", [["-", "-o", "out.mp4"], ["talk.mp4", "-o", "-"]])
def test_what_is_asked_about_files_needs_them(edits, capsys, files, option):
    assert run(["edit", *files, "-e", "sad", option]) == 2
    assert "there are none with -" in capsys.readouterr().err
    assert not edits


def test_a_dry_run_shows_a_plan_and_edits_nothing(edits, capsys, monkeypatch):
    plan = EditPlan(
        source=Path("talk.mp4"),
        output=Path("out.mp4"),
        start=None,
        end=Fraction(5, 2),
        duration_s=3600.0,
        frames=90_000,
        frames_in_range=63,
        encoded_frames=250,
        copied_frames=89_750,
        tried_frames=50,
        edited_frames=25,
        faces=2,
        segments=1,
        segments_done=0,
        elapsed_s=200.0,
        output_bytes=1_500_000,
        disk_bytes=2_000_000_000,
        disk_free_bytes=3_000,
        warnings=("so it is",),
    )
    monkeypatch.setattr(planning, "plan_edit", lambda *_args, **_options: plan)
    words = ["edit", "talk.mp4", "-e", "sad", "-o", "out.mp4", "--dry-run"]
    assert run(words) == 0
    out, err = capsys.readouterr()
    assert err == "warning: so it is\n"
    assert out.splitlines() == [
        "would edit talk.mp4 to out.mp4; nothing is written",
        "range      the beginning to 0:00:02.500 of 1:00:00.000",
        "frames     63 of 90000 in the range; 250 encoded, 89750 copied",
        "faces      2; a face can be edited in 50% of 50 frames tried",
        "segments   0 of 1 done",
        "time       about 3 min",
        "size       about 1.5 MB",
        "room       about 2 GB beside the output; 3 kB are free",
    ]
    assert run([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["encoded_frames"] == 250
    assert not edits


def test_only_a_dry_run_does_without_an_output(edits, capsys, monkeypatch):
    planned = []

    def plan_edit(_source, output, *_args, **_options):
        planned.append(output)
        raise UsageError("that is enough")

    monkeypatch.setattr(planning, "plan_edit", plan_edit)
    for source in ("a/talk.mkv", "talk.avi"):
        run(["edit", source, "-e", "sad", "--dry-run"])
    assert planned == [Path("a/talk-edited.mkv"), Path("talk-edited.mp4")]
    capsys.readouterr()
    assert run(["edit", "talk.mp4", "-e", "sad"]) == 2
    assert "Missing option '--output' / '-o'" in capsys.readouterr().err
    assert not edits


@pytest.fixture
def presets(monkeypatch, tmp_path):
    """A user's configuration with a preset of their own."""
    path = tmp_path / "config.toml"
    path.write_text(
        '[presets.sly]\nemotion = "happy"\nintensity = 0.4\nadjust = "corners-left=.5"\n'
    )
    monkeypatch.setenv("SPFEM_CONFIG", str(path))
    return path


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["-e", "sad", "--preset-emotion", "subtle"], ("sad", 0.6, "")),
        (["-e", "sad", "--preset-emotion", "strong", "--intensity", "1"], ("sad", 1.0, "")),
        (["--preset-emotion", "sly"], ("happy", 0.4, "corners-left=+0.5")),
        (
            ["-e", "sad", "--preset-emotion", "sly", "--adjust", "nose=.1"],
            ("sad", 0.4, "nose=+0.1"),
        ),
    ],
)
def test_a_preset_says_what_is_not_said_beside_it(edits, presets, words, asked):
    assert presets.exists()
    assert run(["edit", "talk.mp4", "-o", "out.mp4", *words]) == 0
    options = edits[0].options
    assert (options.emotion, options.intensity, str(options.adjust)) == asked


def test_a_preset_counts_before_a_variable(edits, presets, monkeypatch):
    monkeypatch.setenv("SPFEM_INTENSITY", "2")
    assert presets.exists()
    assert (
        run(["edit", "talk.mp4", "-o", "out.mp4", "-e", "sad", "--preset-emotion", "subtle"]) == 0
    )
    assert edits[0].options.intensity == 0.6


def test_an_unknown_preset_lists_those_that_there_are(edits, presets, capsys):
    assert presets.exists()
    assert run([*REQUIRED, "--preset-emotion", "loud"]) == 2
    assert not edits
    assert capsys.readouterr().err.endswith("hint: known: subtle, natural, strong, sly\n")


def test_who_and_a_target_arrive(edits):
    assert run([*REQUIRED, "--who", "jane.jpg", "--target-emotion", ".7"]) == 0
    options = edits[0].options
    assert (options.who, options.target_emotion) == (Path("jane.jpg"), 0.7)


def test_how_an_output_is_disclosed_arrives(edits):
    assert run([*REQUIRED, "--disclose"]) == 0
    assert run([*REQUIRED, "--disclose", "--disclose-at", "top-right"]) == 0
    assert run(REQUIRED) == 0
    assert [call.options.disclose for call in edits] == ["bottom-left", "top-right", None]


def test_consent_goes_into_what_is_signed_or_nowhere(edits, capsys):
    signed = ["--c2pa-cert", "chain.pem", "--c2pa-key", "key.pem"]
    assert run([*REQUIRED, "--consent", "Ana, by letter", *signed]) == 0
    assert edits[0].options.consent == "Ana, by letter"
    assert run([*REQUIRED, "--consent", "Ana, by letter"]) == 2
    assert "kept only in what is signed" in capsys.readouterr().err
