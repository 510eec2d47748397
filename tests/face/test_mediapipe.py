"""MediaPipe's own face landmarker as an oracle: the same regions, the same landmarks."""

from importlib.util import find_spec

import numpy as np
import pytest
from conftest import require, require_weights

from cdrl_cli.checkpoints.load import find_weights
from pictures import read_pictures

pytestmark = pytest.mark.weights

PICTURES = 12
"""So many of each clip are compared."""


@pytest.fixture(scope="module", params=["single_face.mp4", "joy.mp4"])
def seen(request, clips):
    """Pictures of one face, and its landmarks (pixels, z as well) and coefficients by MediaPipe."""
    require("mediapipe", present=find_spec("mediapipe") is not None)
    require_weights("face-landmarker")
    import mediapipe
    from mediapipe.tasks.python import vision
    from mediapipe.tasks.python.core.base_options import BaseOptions

    pictures = read_pictures(clips / request.param, PICTURES)
    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(find_weights("face-landmarker"))),
        running_mode=vision.RunningMode.IMAGE,
        num_faces=2,
        output_face_blendshapes=True,
    )
    found = []
    with vision.FaceLandmarker.create_from_options(options) as oracle:
        for picture in pictures:
            height, width = picture.shape[:2]
            image = mediapipe.Image(
                image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(picture)
            )
            result = oracle.detect(image)
            (points,), (told,) = result.face_landmarks, result.face_blendshapes
            landmarks = np.array([(p.x, p.y, p.z) for p in points]) * (width, height, width)
            found.append((landmarks, np.array([one.score for one in told])))
    return pictures, found


def apart_px(mine, oracle):
    """Distance of landmarks, pixels of a face 256 pixels large."""
    size = np.ptp(oracle[:, :2], axis=0).max()
    return np.linalg.norm((mine - oracle)[:, :2], axis=1) * 256 / size


def test_in_the_detectors_region_landmarks_and_coefficients_are_the_same(models, seen):
    networks = models.landmark_networks
    landmarker = models.open_landmarker()
    for picture, (landmarks, coefficients) in zip(*seen, strict=True):
        (mine,) = landmarker._read(picture, networks.detector(picture))
        assert np.percentile(apart_px(mine, landmarks), 95) < 0.1
        assert np.abs(mine - landmarks)[:, 2].mean() < 0.5
        assert np.abs(networks.coefficients(mine[None])[0] - coefficients).max() < 0.02


def test_followed_it_reads_the_same_face_but_for_the_detectors_tremble(models, seen):
    landmarker = models.open_landmarker()
    pairs = [
        (landmarker.detect(picture)[0], *told)
        for picture, told in zip(seen[0], seen[1], strict=True)
    ]
    apart = [apart_px(mine.landmarks_xyz, landmarks) for mine, landmarks, _ in pairs]
    assert np.mean(apart) < 1.0
    assert np.percentile(apart, 95) < 2.0
    off = np.array([mine.expression - coefficients for mine, _, coefficients in pairs])
    assert np.abs(off).mean() < 0.02
