import numpy as np
import pytest
from PIL import Image

from cdrl_cli.control_sheet import COLUMNS, SIDE_PX, draw_controls, write_controls
from cdrl_cli.errors import NoFaceError, PolicyError, UsageError
from cdrl_cli.generator.adjust import CONTROLS


@pytest.mark.weights
def test_each_control_has_its_pictures_and_each_changes_the_face(models, clips, tmp_path):
    output = tmp_path / "controls.png"
    write_controls(clips / "single_face.mp4", output, models=models)
    sheet = np.asarray(Image.open(output)).astype(float)
    rows = -(-(1 + 2 * len(CONTROLS)) // COLUMNS)
    height = sheet.shape[0] // rows
    assert sheet.shape == (rows * height, COLUMNS * SIDE_PX, 3)
    tiles = [
        sheet[row * height :, column * SIDE_PX :][:SIDE_PX, :SIDE_PX]
        for row in range(rows)
        for column in range(COLUMNS)
    ]
    source, *edited = tiles[: 1 + 2 * len(CONTROLS)]
    changed = [np.abs(one - source).mean() for one in edited]
    # Of what a calm face does not show there is nothing to take away.
    raised = dict(zip(CONTROLS, changed[::2], strict=True))
    assert all(change > 0.1 for change in raised.values()), raised
    with pytest.raises(PolicyError, match="exists already"):
        write_controls(clips / "single_face.mp4", output, models=models)


def test_a_sheet_is_a_png_of_a_face(models, clips, tmp_path):
    with pytest.raises(UsageError, match=r"does not end in \.png"):
        write_controls(clips / "single_face.mp4", tmp_path / "sheet.jpg", models=models)
    with pytest.raises(NoFaceError, match="no face to show the controls on"):
        draw_controls(clips / "no_face.mp4", models=models)
