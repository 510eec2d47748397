"""The whole evaluation, on short cuts of the sample clips that stand in for the validation set."""

import csv
import json
import re
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import require, require_weights

import sample_clips
from cdrl_cli.checkpoints.models import load_models
from cdrl_cli.cli.app import run
from cdrl_cli.data.index import Clip, read_index
from cdrl_cli.editing import EditOptions
from cdrl_cli.emotion import Emotion
from cdrl_cli.evaluation import rows
from cdrl_cli.evaluation.plan import Task
from cdrl_cli.evaluation.protocol import EDITED_EMOTIONS
from cdrl_cli.evaluation.rows import count_changed_outside, make_edit
from cdrl_cli.media import open_video
from cdrl_cli.metrics import bootstrap

LENGTH_S = Fraction(1, 4)


@pytest.fixture(scope="module")
def cuts(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A quarter of a second each of the man at rest, and of the actress in joy and in grief."""
    folder = tmp_path_factory.mktemp("data")
    for name, source in (("man", "single_face"), ("joy", "joy"), ("grief", "grief")):
        sample_clips.cut_clip(
            clips / f"{source}.mp4", folder / f"{name}.mp4", start=Fraction(0), end=LENGTH_S
        )
    return folder


@pytest.fixture(scope="module")
def data(cuts: Path) -> Path:
    """An index that gives the few cuts the names of the protocol's people."""

    def row(file, dataset, person, emotion, sentence):
        return {"path": f"{file}.mp4", "audio": "", "dataset": dataset, "licence_class": "research",
                "identity": person, "emotion": emotion, "label_certain": "1", "sentence": sentence,
                "split": "val"}  # fmt: skip

    found = []
    for person in ("J01", "J03", "J05", "J07"):
        dataset = "Java-SED (full frame)" if person == "J05" else "Java-SED"
        found += [row("man", dataset, person, "neutral", f"S0{n}") for n in range(1, 5)]
        found.append(row("joy", dataset, person, "happy", "S04"))
    found += [
        row("joy" if emotion == "happy" else "grief", "MEAD", person, emotion, "001")
        for person in ("MEAD_W009", "MEAD_M030")
        for emotion in EDITED_EMOTIONS
    ]
    found.append(row("man", "MEAD", "MEAD_W009", "neutral", "001"))
    with (cuts / "index.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, found[0])
        writer.writeheader()
        writer.writerows(found)
    write_photos(cuts)
    return cuts


def write_photos(folder):
    """Frames of the cuts as photos: one person at rest and in joy, and a friend of hers in joy."""
    (folder / "photos").mkdir()
    lines = ["path,dataset,identity,emotion,label_certain,licence_class,split"]
    for name, clip, person, emotion in (
        ("rest", "man", "P1", "neutral"),
        ("joy", "joy", "P1", "happy"),
        ("hers", "joy", "P2", "happy"),
    ):
        with open_video(folder / f"{clip}.mp4") as video:
            frames = list(video)
        frame = frames[-1 if name == "hers" else 0]
        cv2.imwrite(str(folder / "photos" / f"{name}.png"), frame.rgb()[..., ::-1])
        lines.append(f"{name}.png,made up,{person},{emotion},1,research,val")
    (folder / "photos" / "photos.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def judging() -> None:
    """The optional parts that an evaluation needs."""
    require_weights("judge", "identity", "perceptual", "speech")
    require("ctranslate2", present=find_spec("ctranslate2") is not None)


def task_of(cuts: Path) -> Task:
    def clip(name, emotion):
        return Clip(cuts / f"{name}.mp4", None, "made up", "permissive", name, emotion, True, None,
                    "val")  # fmt: skip

    return Task(
        clip("man", Emotion.NEUTRAL), Emotion.HAPPY, "label", clip("joy", Emotion.HAPPY), None
    )


def test_an_edit_is_made_once_and_again_when_anything_differs(cuts, models, tmp_path):
    task, output = task_of(cuts), tmp_path / "row" / "edit.mp4"
    first = make_edit(task, models, EditOptions(emotion="happy"), output)
    written = output.stat().st_mtime_ns
    assert make_edit(task, load_models(), EditOptions(emotion="happy"), output) == first
    assert output.stat().st_mtime_ns == written
    make_edit(task, models, EditOptions(emotion="happy", intensity=0.5), output)
    again = output.stat().st_mtime_ns
    assert again != written
    make_edit(task, load_models("research"), EditOptions(emotion="happy", intensity=0.5), output)
    assert output.stat().st_mtime_ns != again


def test_an_edit_that_is_cut_off_leaves_no_note(cuts, models, tmp_path, monkeypatch):
    task, output = task_of(cuts), tmp_path / "edit.mp4"
    make_edit(task, models, EditOptions(emotion="happy"), output)

    def cut_off(*_args: object, **_kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(rows, "edit_video", cut_off)
    with pytest.raises(KeyboardInterrupt):
        make_edit(task, models, EditOptions(emotion="sad"), output)
    assert not output.with_suffix(".json").exists()


@pytest.mark.parametrize("note", ["", "[]", "{}", '{"digest": 1}'])
def test_a_damaged_note_makes_the_edit_anew(cuts, models, tmp_path, note):
    output = tmp_path / "edit.mp4"
    output.write_bytes(b"what was there before")
    output.with_suffix(".json").write_text(note)
    make_edit(task_of(cuts), models, EditOptions(emotion="happy"), output)
    assert output.stat().st_size > 1000


def test_nothing_changes_outside_the_mask_and_the_mask_leaves_much_outside(cuts, models):
    changed, outside = count_changed_outside(
        task_of(cuts), models, EditOptions(emotion="happy", intensity=2.0)
    )
    assert changed == 0
    assert outside > 100_000


@pytest.mark.weights
@pytest.mark.usefixtures("judging")
def test_the_command_measures_files_that_were_written_and_shows_them(
    data, tmp_path, capsys, monkeypatch
):
    # Every number gets its interval; of so few edits, a thousand resamples say no more than fifty.
    monkeypatch.setattr(bootstrap, "RESAMPLES", 50)
    out = tmp_path / "out"
    words = ["evaluate", "edits", "--data", data, "--cache", tmp_path / "cache", "--edits", "6"]
    assert run([*map(str, words), "--by", "reference", "-o", str(out)]) == 0
    page, _ = capsys.readouterr()
    assert "## Asked by reference, 6 edits a row, intensity 1" in page
    assert "## Ceiling" in page
    assert (out / "report.md").read_text() == page
    assert len(list((out / "core-only").glob("*.mp4"))) == 6

    facts = json.loads((out / "report.json").read_text())
    nothing, core, full = facts["rows"]
    assert [row["row"] for row in facts["rows"]] == ["no edit", "core only", "full"]
    assert len(facts["edits"]) == 18
    assert full["values"]["change of coefficients (L2)"]["value"] > 0.05
    assert np.sum(nothing["confusion"]) == np.sum(core["confusion"]) == 6
    # Over so short a time lips hardly part: that they keep their words is asked of a whole clip, in
    # tests/e2e.
    lips, identity = "lips: correlation of aperture", "identity (SFace), mean"
    assert nothing["values"][lips]["value"] == pytest.approx(1, abs=1e-6)
    assert nothing["values"][identity]["value"] == pytest.approx(1, abs=1e-6)
    for row in (core, full):
        assert row["values"][lips]["value"] < 1
        assert 0.5 < row["values"][identity]["value"] < 1
    assert nothing["values"]["change of coefficients (L2)"]["value"] == 0
    assert core["values"]["change of coefficients (L2)"]["value"] > 0.05
    assert core["values"]["colour values changed outside the mask, share"]["value"] == 0
    # The one real take is of happiness; a quarter of a second is too short for the speech.
    target = "distance to the real take: landmarks, times the source's"
    assert core["values"][target]["count"] == 1
    assert core["values"]["audio-visual sync, times the source's margin"] is None
    assert {one["person"] for one in facts["ceiling"]} == {"J05", "MEAD_W009", "all"}
    # What is acted is held against the neutral clip of its person that was edited, if one was.
    acted = {one["person"]: one for one in facts["ceiling"]}
    assert [who for who, one in acted.items() if one["identity"]] == ["J05", "all"]
    # Somebody else stands in for the acting, and is not taken for the person.
    assert 0 < acted["J05"]["other_picture"] < 0.5
    assert acted["J05"]["features"] != 1

    # No edit leaves the picture as it is; an edit is seen in it, and is still the same person.
    rim = "belief: step of colour across the rim (CIELAB)"
    assert nothing["values"][rim]["value"] == 0 < core["values"][rim]["value"] < 10
    # All of these people are one man, so that nobody is found first; his other picture is like him.
    assert core["values"]["identity: found first among 100 people"]["count"] == 6
    other = "identity: cosine to another picture, times the source's"
    assert 0.5 < core["values"][other]["value"] < 1.1
    told = "belief: patches told from real acted ones (AUC)"
    assert core["values"][told] is None  # one person alone was edited: nobody to learn from
    generic = "belief: generic features (Fréchet) to real photos, times the source's"
    assert nothing["values"][generic]["value"] == pytest.approx(1)
    edited = {one["row"]: one["distance"]["value"] for one in facts["photos"]}
    assert edited["no edit"] == 1 != edited["full"]
    assert len(list((out / "full" / "photos").glob("*.png"))) == 1
    assert "## Photos of neutral faces, edited" in page

    gallery = (out / "index.html").read_text()
    links = re.findall(r'<video src="([^"]+)"', gallery)
    assert len(links) == 6 * 4 + 1
    assert all((out / link).is_file() for link in links)


def test_the_index_must_have_the_protocols_clips(tmp_path, capsys):
    (tmp_path / "index.csv").write_text(
        "path,audio,dataset,licence_class,identity,emotion,label_certain,sentence,split\n"
    )
    assert read_index(tmp_path) == []
    assert run(["evaluate", "edits", "--data", str(tmp_path)]) == 2
    assert "the index has no clip of J05, neutral, sentence S04" in capsys.readouterr().err
