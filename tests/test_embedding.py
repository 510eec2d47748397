import json

import numpy as np
import pytest

from cdrl_cli.cli.app import run
from cdrl_cli.embedding import STEP_S, embed_clip
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import NoFaceError

pytestmark = pytest.mark.weights


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


def test_a_clip_measured_from_itself_shows_nothing(clips):
    read = embed_clip(clips / "joy.mp4", neutral=clips / "joy.mp4")
    plain = embed_clip(clips / "joy.mp4")
    assert read.probabilities[Emotion.HAPPY] < plain.probabilities[Emotion.HAPPY] / 2


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
