"""Cuts: what PySceneDetect finds in the same pictures, we find."""

import numpy as np
import pytest
from scenedetect.common import FrameTimecode
from scenedetect.detector import FlashFilter
from scenedetect.detectors import ContentDetector

from cdrl_cli.face.cuts import CUT_SIDE_PX, CutFinder


@pytest.fixture
def pictures():
    """Shots of one to five pictures each, of colours that differ much or little, and of noise."""
    random = np.random.default_rng(5)
    made = []
    for _ in range(24):
        colour = random.integers(0, 256, 3)
        spread = random.choice([0, 20, 60])
        for _ in range(random.integers(1, 6)):
            noise = random.integers(-spread, spread + 1, (54, CUT_SIDE_PX, 3))
            made.append((colour + noise).clip(0, 255).astype(np.uint8))
    return made


def test_finds_what_pyscenedetect_finds(pictures):
    oracle = ContentDetector(min_scene_len=1, filter_mode=FlashFilter.Mode.SUPPRESS)
    finder = CutFinder()
    wanted = [
        bool(oracle.process_frame(FrameTimecode(number, fps=25.0), picture[..., ::-1]))
        for number, picture in enumerate(pictures)
    ]
    assert 10 < sum(wanted) < len(pictures) - 10
    assert [finder.is_cut(picture) for picture in pictures] == wanted


def test_a_large_picture_is_halved_first():
    random = np.random.default_rng(5)
    dark, bright = (random.integers(low, low + 9, (361, 641, 3), np.uint8) for low in (9, 200))
    finder = CutFinder()
    assert [finder.is_cut(each) for each in (dark, dark, bright, bright)] == [0, 0, 1, 0]
