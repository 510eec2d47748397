"""The paper's protocol: names of measures, floor and ceiling, and the page."""

import numpy as np
import pytest

from cdrl_cli.cli.app import run
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UsageError
from cdrl_cli.evaluation.paper_protocol import (
    CEILING,
    FLOOR,
    PUBLISHED,
    FaceNetwork,
    Shown,
    _row,
    draw_protocol,
)
from networks import write_likeness


def shown(emotion, away, *, seed=0, hit=True):
    """A clip whose features lie so far from its real take's."""
    rng = np.random.default_rng(seed)
    real = rng.normal(size=(20, 3)).astype(np.float32)
    judged = np.full((2, 7), 0.01, np.float32)
    judged[:, emotion.class_index if hit else 4] = 0.9
    features = {name: real + np.float32(away) for name in ("FAD", "CSIM-SFace")}
    return Shown(emotion, judged, features, dict.fromkeys(features, real), lips=0.9)


def test_a_clip_that_is_the_real_take_is_perfect():
    row = _row("a", [shown(Emotion.SAD, 0.0)], ("FAD", "CSIM-SFace"))
    assert row.values["FAD"] == pytest.approx(0, abs=1e-4)
    assert row.values["CSIM-SFace"] == pytest.approx(1)
    assert row.values["emotion"] == 1


def test_emotions_count_alike_however_many_clips_they_have():
    many = [shown(Emotion.SAD, 0.0, seed=seed) for seed in range(3)]
    row = _row("a", [*many, shown(Emotion.FEAR, 1.0, hit=False)], ("FAD", "CSIM-SFace"))
    assert row.values["FAD"] == pytest.approx(3 / 2, abs=1e-3)
    assert row.values["emotion"] == pytest.approx(1 / 2)
    assert row.clips == 4


def test_the_page_marks_what_is_published_and_what_is_our_own():
    rows = [_row(name, [shown(Emotion.SAD, 0.5)], ("FAD", "CSIM-SFace")) for name in ("x", "y")]
    page = "\n".join(draw_protocol(rows, identity="cross", command="spfem benchmark data"))
    assert "Made by `spfem benchmark data`" in page
    assert "| row | clips | FAD | CSIM-SFace | emotion | lips |" in page
    ours, published = page.split("Published")
    assert "NED + CDRL" not in ours
    assert "| NED + CDRL | 4.344 | 9.351 | 0.792 |" in published
    assert {FLOOR, CEILING} == {"no edit", "real clips"}
    assert PUBLISHED["same"]["NED"][0] == 2.108


def test_a_network_takes_pictures_of_one_size(tmp_path):
    write_likeness(tmp_path / "net.onnx")
    assert FaceNetwork(tmp_path / "net.onnx")._side == 112


@pytest.mark.parametrize("words", [["--row", "a"], ["--network", "FAD"]])
def test_what_is_no_name_and_path_is_refused(tmp_path, capsys, words):
    assert run(["benchmark", str(tmp_path), "-o", str(tmp_path / "out"), *words]) == 2
    assert "not NAME=PATH" in capsys.readouterr().err


def test_another_measure_takes_no_network(tmp_path):
    from cdrl_cli.evaluation.paper_protocol import ProtocolBench

    with pytest.raises(UsageError, match="no measure 'PSNR'"):
        ProtocolBench(tmp_path, {"PSNR": tmp_path})
