"""The second backbone in a file: training reads it again, and an edit runs it."""

import torch

from cdrl_cli.checkpoints.files import open_motion
from cdrl_cli.checkpoints.motion_files import read_motion, write_motion
from cdrl_cli.checkpoints.trained import load_emotion
from cdrl_cli.generator.ned_network import NedConfig, NedEditor


def test_it_comes_back_from_a_file_that_an_edit_reads(tmp_path):
    torch.manual_seed(0)
    editor = NedEditor(NedConfig(width=8, style=4), load_emotion().labels).eval()
    torch.nn.init.normal_(editor.output.weight, std=0.1)
    write_motion(tmp_path / "motion.onnx", editor, facts={})
    again = read_motion(tmp_path / "motion.onnx").eval()
    assert isinstance(again, NedEditor)
    source, embedding = torch.rand(2, 30, 52) * 0.4 + 0.1, editor.labels[[0, 3]]
    with torch.no_grad():
        found, expected = (one(source, embedding, torch.ones(2)) for one in (again, editor))
    torch.testing.assert_close(found, expected)
    assert open_motion(tmp_path / "motion.onnx") is not None
