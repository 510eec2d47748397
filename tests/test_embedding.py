import json

import numpy as np
import pytest

from cdrl_cli.checkpoints.models import load_models
from cdrl_cli.cli.app import run
from cdrl_cli.embedding import STEP_S, embed_clip
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import NoFaceError
from cdrl_cli.reference import Reference, read_reference
from cdrl_cli.weight_set import WeightSet

pytestmark = pytest.mark.weights
SADNESS = {"in tears", "full of grief", "on the verge of tears", "grieving", "crying", "gloomy"}


def test_laughter_is_read_as_happy_throughout(clips):
    read = embed_clip(clips / "joy.mp4")
    assert max(read.probabilities, key=read.probabilities.get) is Emotion.HAPPY
    assert sum(read.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert np.linalg.norm(read.embedding) == pytest.approx(1, abs=1e-5)
    times = [float(at.time) for at in read.curve]
    np.testing.assert_allclose(np.diff(times), STEP_S, atol=2e-3)
    assert all(
        max(at.probabilities, key=at.probabilities.get) is Emotion.HAPPY for at in read.curve
    )


@pytest.mark.parametrize("name", ["joy.mp4", "grief.mp4"])
@pytest.mark.parametrize("weight_set", WeightSet)
def test_it_says_what_an_edit_by_this_reference_says(clips, name, weight_set):
    """Frames that are followed differ a little from those that an edit looks at one by one."""
    read = embed_clip(clips / name, weight_set=weight_set)
    track = read_reference(Reference(clips / name), load_models(weight_set))
    edit = track.conditions[0].reading
    np.testing.assert_allclose(list(read.probabilities.values()), edit, atol=0.15)
    assert (
        list(read.probabilities.values()).index(max(read.probabilities.values())) == edit.argmax()
    )


def test_phrases_and_embedding_say_what_the_labels_say(clips):
    """CERL alone takes her grief for joy, by its pressed lips."""
    read = embed_clip(clips / "grief.mp4")
    assert max(read.probabilities, key=read.probabilities.get) is Emotion.SAD
    assert {phrase for phrase, _ in read.phrases} & SADNESS
    space = load_models(core=True).cerl.space
    labels = space.probabilities(np.array(read.embedding))
    assert max(labels, key=labels.get) is Emotion.SAD


def test_a_clip_measured_from_itself_is_less_of_what_it_shows(clips):
    """What the coefficients say is gone; what is seen in the pixels stays."""
    man = clips / "single_face.mp4"
    read, plain = (
        embed_clip(man, neutral=neutral, weight_set="research") for neutral in (man, None)
    )
    assert read.probabilities[Emotion.HAPPY] < 0.7 * plain.probabilities[Emotion.HAPPY]


def test_a_clip_without_a_face_says_so(clips, tmp_path):
    import av
    from PIL import Image

    with av.open(clips / "no_face.mp4") as container:
        picture = next(container.decode(video=0)).to_ndarray(format="rgb24")
    Image.fromarray(picture).save(tmp_path / "sky.png")
    with pytest.raises(NoFaceError, match="sky"):
        embed_clip(tmp_path / "sky.png")


def test_the_command_prints_one_object(clips, capsys):
    assert run(["embed", str(clips / "joy.mp4"), "--json", "--quiet"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert set(printed) == {"probabilities", "phrases", "curve", "embedding", "frames"}
    assert set(printed["probabilities"]) == {emotion.value for emotion in Emotion}
    assert set(printed["curve"][0]) == {"time", "probabilities"}


def test_a_person_reads_labels_words_and_the_curve(clips, capsys):
    assert run(["embed", str(clips / "joy.mp4"), "--quiet"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("happy ")
    assert lines[len(Emotion)].startswith("nearest:")


def test_the_help_says_that_people_must_be_told(capsys):
    run(["embed", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "not what the person feels" in text
    assert "must be told so (EU AI Act, Article 50)" in text
