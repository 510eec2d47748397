import numpy as np
import pytest

from cdrl_cli.data.prepared import PreparedClip
from cdrl_cli.evaluation.plausibility import learn_region
from heads import coefficients
from talkers import make_clip

SMILE = coefficients(mouthSmile=0.5, cheekSquint=0.2)


def played(identity, generator, *, shown=None, frames=40):
    """A clip of somebody around an expression of their own."""
    own = np.random.default_rng(sum(map(ord, identity))).uniform(0, 0.1, 52)
    base = own if shown is None else own + shown
    expression = np.clip(base + 0.03 * generator.standard_normal((frames, 52)), 0, 1)
    nothing = np.zeros((frames, 0), np.float32)
    return PreparedClip(
        clip=make_clip(identity, identity=identity),
        time_s=np.arange(frames) / 25,
        landmarks_xyz=np.zeros((frames, 478, 3), np.float32),
        expression=expression.astype(np.float32),
        face=np.zeros((frames, 112, 112, 3), np.uint8),
        mouth=np.zeros((frames, 64, 64), np.uint8),
        sound=nothing[0].astype(np.int16),
        sound_start_s=0.0,
    )


@pytest.fixture(scope="module")
def people():
    generator = np.random.default_rng(0)
    return [played(name, generator, shown=shown) for name in "abcdefgh" for shown in (None, SMILE)]


def test_a_stranger_is_inside_and_a_grimace_is_not(people, generator):
    region = learn_region(people)
    strangers = [played(name, generator, shown=SMILE) for name in "pqrstuvwxyz"]
    grimace = played("stranger", generator, shown=coefficients(mouthFunnel=0.9, browDown=0.9))
    assert np.mean([region.contains(one.expression) for one in strangers]) > 0.9
    assert region.contains(grimace.expression).mean() == 0


def test_where_somebody_looks_does_not_matter(people, generator):
    region = learn_region(people)
    looking = played("stranger", generator, shown=coefficients(eyeLookUp=0.9, eyeLookIn=0.9))
    assert region.contains(looking.expression).mean() > 0.9


def test_ninety_nine_in_a_hundred_real_frames_are_inside_what_the_others_show(people):
    """Leave one person out by hand: the threshold is what it says."""
    region = learn_region(people)
    threshold_only = []
    for name in "abcdefgh":
        others = learn_region([one for one in people if one.clip.identity != name])
        others = type(others)(others.frames, region.threshold)
        threshold_only += [
            others.contains(one.expression).mean() for one in people if one.clip.identity == name
        ]
    assert 0.97 < np.mean(threshold_only) <= 1


def test_one_person_makes_no_region(people):
    with pytest.raises(ValueError, match="two people"):
        learn_region(people[:2])
