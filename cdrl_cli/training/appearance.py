"""CERL's view of pixels: face-api's net, and what it says of everybody."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from cdrl_cli.array_types import Float32
from cdrl_cli.data.performances import spread_faces
from cdrl_cli.data.prepared import PreparedClip
from cdrl_cli.representation.appearance import AppearanceReader
from cdrl_cli.representation.emotion_reader import LOOKS
from cdrl_cli.training.teachers.emotion import ExpressionNet, FaceApi


def make_appearance(
    face_api: Path, prepared: Iterable[PreparedClip]
) -> tuple[ExpressionNet, Float32[np.ndarray, " 7"]]:
    """The net, and the mean of its opinions: what it says of everybody.

    Args:
        face_api: Folder of face-api's expression net.
        prepared: Acted clips with labels; each person counts alike, and of a person's clips each
            emotion.

    Raises:
        WeightsError: If the folder does not hold the net.
    """
    net = FaceApi(face_api).net

    def run(pictures: Float32[np.ndarray, "looks 3 112 112"]) -> Float32[np.ndarray, "looks 7"]:
        with torch.inference_mode():
            return net(torch.from_numpy(pictures)).numpy()

    reader = AppearanceReader(run)
    told: dict[str, dict[str, list[np.ndarray]]] = defaultdict(lambda: defaultdict(list))
    for one in prepared:
        assert one.clip.emotion is not None
        opinion = reader.opinion(spread_faces(one, LOOKS))
        told[one.clip.identity][one.clip.emotion.value].append(opinion)
    people = [
        np.mean([np.mean(opinions, axis=0) for opinions in by_emotion.values()], axis=0)
        for by_emotion in told.values()
    ]
    return net, np.stack(people).mean(axis=0)
