"""The paper's protocol: names of measures, floor and ceiling, and the page."""

import numpy as np
import pytest

from cdrl_cli.cli.app import run
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UsageError, WeightsError
from cdrl_cli.evaluation.paper_protocol import FaceNetwork
from cdrl_cli.evaluation.protocol_page import PUBLISHED, draw_protocol
from cdrl_cli.evaluation.protocol_rows import (
    CEILING,
    ENCODED,
    FLOOR,
    LIP_SYNC,
    OWN,
    THEVAL,
    Shown,
    summarise_row,
)
from networks import write_likeness

NAMES = ("FAD", "CSIM-SFace")


def shown(emotion, away, *, seed=0, hit=True, lse=7.0):
    """A clip whose features lie so far from its real take's."""
    rng = np.random.default_rng(seed)
    real = rng.normal(size=(20, 3)).astype(np.float32)
    features = {name: real + np.float32(away) for name in NAMES}
    values = dict.fromkeys((*OWN, *THEVAL), 0.5) | dict.fromkeys(LIP_SYNC, lse)
    values |= {"emotion": float(hit), "manner": float("nan")}
    return Shown(
        emotion, values, features, dict.fromkeys(features, real), dict.fromkeys(THEVAL, 0.4)
    )


def test_a_clip_that_is_the_real_take_is_perfect():
    row = summarise_row("a", [shown(Emotion.SAD, 0.0)], NAMES)
    assert row.values["FAD"] == pytest.approx(0, abs=1e-4)
    assert row.values["CSIM-SFace"] == pytest.approx(1)
    assert row.values["emotion"] == 1
    assert row.values["lip dynamics"] == pytest.approx(0.75)
    assert np.isnan(row.values["manner"])
    assert "LSE-D" not in row.values


def test_emotions_count_alike_however_many_clips_they_have():
    many = [shown(Emotion.SAD, 0.0, seed=seed) for seed in range(3)]
    row = summarise_row("a", [*many, shown(Emotion.FEAR, 1.0, hit=False)], NAMES)
    assert row.values["FAD"] == pytest.approx(3 / 2, abs=1e-3)
    assert row.values["emotion"] == pytest.approx(1 / 2)
    assert row.clips == 4
    assert row.by_clip["emotion"] == (1, 1, 1, 0)


def test_the_page_marks_what_is_published_and_what_is_our_own():
    rows = [summarise_row(name, [shown(Emotion.SAD, 0.5)], NAMES) for name in ("x", "y")]
    page = "\n".join(draw_protocol(rows, identity="cross", command="spfem benchmark data"))
    assert "Made by `spfem benchmark data`" in page
    assert "| row | clips | FAD | CSIM-SFace |" in page
    assert f"| row | clips | {' | '.join(OWN)} |" in page
    assert "LSE-C |" not in page
    ours, published = page.split("Published")
    assert "NED + CDRL" not in ours
    assert "| NED + CDRL | 4.344 | 9.351 | 0.792 |" in published
    assert PUBLISHED["same"]["NED"][0] == 2.108


def test_lip_sync_comes_with_what_the_codec_alone_does_to_it():
    rows = [
        summarise_row(name, [shown(Emotion.SAD, 0.5, lse=lse)], NAMES, LIP_SYNC)
        for name, lse in ((FLOOR, 7.0), (ENCODED, 7.25), ("mine", 7.5), (CEILING, 7.0))
    ]
    page = "\n".join(draw_protocol(rows, identity="same", command="spfem benchmark data"))
    assert "| row | clips | FAD | CSIM-SFace | LSE-D | LSE-C |" in page
    assert "Encoding alone moves LSE-D by 0.250 on the mean, 0.250 at most" in page


def test_a_network_takes_pictures_of_one_size(tmp_path):
    write_likeness(tmp_path / "net.onnx")
    assert FaceNetwork(tmp_path / "net.onnx")._side == 112


@pytest.mark.parametrize("words", [["--row", "a"], ["--network", "FAD"]])
def test_what_is_no_name_and_path_is_refused(tmp_path, capsys, words):
    assert run(["benchmark", str(tmp_path), "-o", str(tmp_path / "out"), *words]) == 2
    assert "not NAME=PATH" in capsys.readouterr().err


def test_what_is_no_syncnet_is_refused(tmp_path):
    from cdrl_cli.evaluation.paper_protocol import ProtocolBench

    (tmp_path / "syncnet_v2.model").write_bytes(b"no weights")
    for name in ("syncnet_v2.model", "nowhere.model"):
        with pytest.raises(WeightsError, match=name):
            ProtocolBench(tmp_path, {"LSE": tmp_path / name})


def test_another_measure_takes_no_network(tmp_path):
    from cdrl_cli.evaluation.paper_protocol import ProtocolBench

    with pytest.raises(UsageError, match="no measure 'PSNR'"):
        ProtocolBench(tmp_path, {"PSNR": tmp_path})
