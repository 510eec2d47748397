from pathlib import Path

import numpy as np
import torch

from cdrl_cli.data.index import Clip
from cdrl_cli.data.prepared import PreparedClip
from cdrl_cli.emotion import Emotion
from cdrl_cli.representation.appearance import AppearanceReader
from cdrl_cli.training.appearance import make_appearance

from .teachers.test_emotion import write_face_api


def prepare(identity, emotion, seed, count=3):
    clip = Clip(Path("a.mp4"), None, "toy", "permissive", identity, emotion, True, None, "train")
    faces = np.random.default_rng(seed).integers(0, 255, (count, 112, 112, 3)).astype(np.uint8)
    return PreparedClip(
        clip=clip,
        time_s=np.arange(count) / 25,
        landmarks_xyz=np.zeros((count, 478, 3), np.float32),
        expression=np.zeros((count, 52), np.float32),
        face=faces,
        mouth=np.zeros((count, 64, 64), np.uint8),
        sound=np.zeros(0, np.int16),
        sound_start_s=0.0,
    )


def test_what_is_usual_does_not_depend_on_who_has_more_clips(tmp_path):
    write_face_api(tmp_path, np.arange(7.0))
    few = [
        prepare("a", Emotion.SAD, 0),
        prepare("a", Emotion.HAPPY, 1),
        prepare("b", Emotion.SAD, 2),
    ]
    net, once = make_appearance(tmp_path, few)
    _, again = make_appearance(tmp_path, [*few, few[0], few[2], few[2]])
    np.testing.assert_allclose(again, once, atol=1e-6)

    def run(pictures):
        with torch.inference_mode():
            return net(torch.from_numpy(pictures)).numpy()

    told = [AppearanceReader(run).opinion(one.face) for one in few]
    expected = ((told[0] + told[1]) / 2 + told[2]) / 2
    np.testing.assert_allclose(once, expected, atol=1e-5)
