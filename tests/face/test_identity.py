import numpy as np
import pytest
from conftest import require_weights

from cdrl_cli.checkpoints.load import find_weights
from cdrl_cli.face.identity import IdentityEncoder, five_points
from cdrl_cli.media import open_video


def test_the_five_points_keep_the_template_order():
    landmarks = np.zeros((478, 3), np.float32)
    landmarks[[33, 133], :2] = (10, 20), (20, 20)
    landmarks[[362, 263], :2] = (40, 20), (50, 20)
    landmarks[4, :2], landmarks[61, :2], landmarks[291, :2] = (30, 35), (20, 50), (40, 50)
    expected = [(15, 20), (45, 20), (30, 35), (20, 50), (40, 50)]
    np.testing.assert_allclose(five_points(landmarks), expected)


@pytest.fixture
def encoder():
    require_weights("identity")
    return IdentityEncoder(find_weights("identity"))


@pytest.mark.weights
def test_one_person_is_told_from_another(encoder, clips, models, capsys):
    def faces(name, count=3):
        found = []
        landmarker = models.open_landmarker()
        with open_video(clips / name) as video:
            for frame in video:
                picture = frame.picture(640)
                if seen := landmarker.detect(picture):
                    found.append(encoder.embed(picture, seen[0].landmarks_xyz))
                if len(found) == count:
                    return found
        return found

    man, woman = faces("single_face.mp4"), faces("WolfgangLanger_Pexels.mp4")
    assert np.linalg.norm(man[0]) == pytest.approx(1, abs=1e-5)
    assert man[0] @ man[-1] > 0.7
    assert man[0] @ woman[0] < 0.3
    assert capsys.readouterr().out == ""
