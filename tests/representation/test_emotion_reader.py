import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cdrl_cli.checkpoints.models import load_models
from cdrl_cli.checkpoints.trained import load_emotion
from cdrl_cli.representation.emotion_reader import EmotionReader
from cdrl_cli.weight_set import WeightSet

pytestmark = pytest.mark.weights


@pytest.mark.parametrize("weight_set", WeightSet)
@pytest.mark.parametrize("frames", [1, 40])
@pytest.mark.parametrize("knows_neutral", [False, True])
def test_it_reads_what_the_trained_encoder_reads(weight_set, frames, knows_neutral):
    trained, generator = load_emotion(weight_set), np.random.default_rng(frames)
    cerl = load_models(weight_set, core=True).cerl
    expressions = generator.uniform(0, 0.6, (frames, 52)).astype(np.float32)
    own = generator.uniform(0, 0.4, 52).astype(np.float32) if knows_neutral else None
    differences = expressions - (trained.neutral if own is None else own)
    with torch.inference_mode():
        expected = trained.encoder(torch.from_numpy(differences)[None])[0].numpy()
    found = EmotionReader(cerl.embed_face, cerl.space).embed(expressions, own)
    np.testing.assert_allclose(found, expected, atol=2e-6, rtol=0)


@pytest.mark.parametrize("weight_set", WeightSet)
def test_a_still_face_is_read_as_it_was_learned(weight_set):
    """Where nothing moves, the root of the spread is of a tiny number that must not be lost."""
    trained, cerl = load_emotion(weight_set), load_models(weight_set, core=True).cerl
    still = np.full((5, 52), 0.1, np.float32)
    with torch.inference_mode():
        expected = trained.encoder(torch.from_numpy(still)[None])[0].numpy()
    np.testing.assert_allclose(cerl.embed_face(still), expected, atol=2e-6, rtol=0)


def test_sentences_are_embedded_as_the_trained_tower_embeds_them():
    trained, cerl = load_emotion(), load_models(core=True).cerl
    features = np.random.default_rng(0).standard_normal(384).astype(np.float32)
    with torch.inference_mode():
        expected = trained.tower(torch.from_numpy(features)[None])[0].numpy()
    np.testing.assert_allclose(cerl.embed_sentence(features), expected, atol=2e-6, rtol=0)


@pytest.mark.parametrize(
    "reading",
    [
        "read_reference(Reference(Path({clip!r})), load_models())",
        "read_named_emotion('angry', load_models())",
        "load_models().cerl.embed_sentence(np.ones(384, 'f'))",
        "embed_clip(Path({clip!r}))",
        "load_models('research')",
    ],
)
def test_no_emotion_is_read_with_torch(clips, reading):
    program = (
        "import sys; from pathlib import Path; import numpy as np;"
        "from cdrl_cli.checkpoints.models import load_models;"
        "from cdrl_cli.embedding import embed_clip;"
        "from cdrl_cli.reference import Reference, read_named_emotion, read_reference;"
        f"{reading.format(clip=str(clips / 'joy.mp4'))};"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@given(st.integers(0, 2**31), st.integers(0, 6), st.floats(0.2, 0.99))
def test_an_embedding_can_be_made_to_agree_with_what_was_read(models, seed, label, likely):
    """The move is the shortest, so it is none where they agree already."""
    space = models.cerl.space
    embedding = np.random.default_rng(seed).normal(size=space.labels.shape[1])
    embedding /= np.linalg.norm(embedding)
    read = np.full(7, (1 - likely) / 6)
    read[label] = likely
    agreed = space.agree(embedding, read)
    assert np.linalg.norm(agreed) == pytest.approx(1)
    if likely > 0.5:
        assert space.likelihoods(agreed).argmax() == label
    same = space.agree(embedding, space.likelihoods(embedding))
    np.testing.assert_allclose(same, embedding, atol=1e-6)
