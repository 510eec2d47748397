import subprocess
import sys

import numpy as np
import pytest
import torch

from cdrl_cli.checkpoints.trained import load_emotion
from cdrl_cli.weight_set import WeightSet

pytestmark = pytest.mark.weights


@pytest.mark.parametrize("weight_set", WeightSet)
@pytest.mark.parametrize("frames", [1, 40])
@pytest.mark.parametrize("knows_neutral", [False, True])
def test_it_reads_what_the_encoder_reads(weight_set, frames, knows_neutral):
    models, generator = load_emotion(weight_set), np.random.default_rng(frames)
    expressions = generator.uniform(0, 0.6, (frames, 52)).astype(np.float32)
    own = generator.uniform(0, 0.4, 52).astype(np.float32) if knows_neutral else None
    differences = expressions - (models.neutral if own is None else own)
    with torch.inference_mode():
        expected = models.encoder(torch.from_numpy(differences)[None])[0]
    torch.testing.assert_close(models.embed(expressions, own), expected, atol=2e-6, rtol=0)


def test_a_reference_is_read_without_torch(clips):
    program = (
        "import sys; from pathlib import Path; from cdrl_cli.checkpoints.models import load_models;"
        "from cdrl_cli.editing import read_reference;"
        f"read_reference(Path({str(clips / 'single_face.mp4')!r}), load_models());"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
