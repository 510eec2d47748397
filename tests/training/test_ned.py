"""The second backbone: windows in, another style out, the same speech."""

import numpy as np
import pytest
import torch

from cdrl_cli.checkpoints.trained import load_emotion
from cdrl_cli.generator.motion import CONTEXT_AFTER
from cdrl_cli.generator.ned_network import BEFORE, WINDOW, NedConfig, NedEditor, NedFrameEditor
from cdrl_cli.training.ned import JAW, jaw_loss


@pytest.fixture
def editor():
    torch.manual_seed(0)
    made = NedEditor(NedConfig(width=8, style=4), load_emotion().labels)
    torch.nn.init.normal_(made.output.weight, std=0.1)
    return made.eval()


@pytest.fixture
def source():
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, 30, 52, generator=generator) * 0.4 + 0.1


def ask(editor, source, *, intensity=1.0):
    embedding = editor.labels[[0, 3]]
    with torch.no_grad():
        return editor(source, embedding, torch.full((2,), intensity))


def test_at_intensity_zero_it_is_the_source(editor, source):
    assert torch.equal(ask(editor, source, intensity=0.0), source)
    changed = ask(editor, source)
    assert (changed - source).abs().max() > 0.01
    assert changed.min() >= 0


def test_another_label_is_another_style(editor):
    styles = editor.mix_styles(editor.labels)
    assert styles.shape == (7, 4)
    assert torch.cdist(styles, styles).add(torch.eye(7)).min() > 1e-4


def test_a_frame_is_answered_as_in_its_sequence(editor, source):
    whole = ask(editor, source)[0]
    frames = NedFrameEditor(editor)
    for now in (0, 12, 29):
        with torch.no_grad():
            found = frames(
                source[0, now][None], source[0], torch.tensor(now), editor.labels[:1],
                torch.zeros(1, 52), torch.zeros(1, 1), torch.zeros(1, 52),
                torch.tensor(1.0), torch.tensor(1.0),
            )  # fmt: skip
        torch.testing.assert_close(found[0], whole[now], atol=1e-6, rtol=1e-5)
    assert BEFORE + 1 + CONTEXT_AFTER == WINDOW


def test_the_jaws_course_is_kept_not_its_opening():
    generator = np.random.default_rng(0)
    source = torch.from_numpy(generator.uniform(0, 1, (3, 20, 52))).float()
    wider = source.clone()
    wider[..., JAW] = 0.5 * source[..., JAW] + 0.3
    assert jaw_loss(wider, source) == pytest.approx(0.0, abs=1e-4)
    turned = source.clone()
    turned[..., JAW] = 1 - source[..., JAW]
    assert jaw_loss(turned, source) == pytest.approx(2.0, abs=1e-3)
