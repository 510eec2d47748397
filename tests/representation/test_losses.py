import numpy as np
import pytest
import torch
from torch.nn import functional

from cdrl_cli.representation.losses import class_info_nce, direction_loss, info_nce


def unit(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return functional.normalize(torch.randn(*shape, generator=generator), dim=-1)


def naive_info_nce(anchors, positives, temperature):
    """Term by term, as the formula stands."""
    terms = []
    for i, anchor in enumerate(anchors):
        scores = [np.exp(float(anchor @ other) / temperature) for other in positives]
        terms.append(-np.log(scores[i] / sum(scores)))
    return np.mean(terms)


def naive_class_info_nce(embeddings, prompts, labels, temperature):
    forth = []
    for embedding, label in zip(embeddings, labels, strict=True):
        scores = [np.exp(float(embedding @ prompt) / temperature) for prompt in prompts]
        forth.append(-np.log(scores[label] / sum(scores)))
    back = []
    for label, prompt in enumerate(prompts):
        scores = [np.exp(float(prompt @ embedding) / temperature) for embedding in embeddings]
        own = [s for s, one in zip(scores, labels, strict=True) if one == label]
        if own:
            back.append(np.mean([-np.log(s / sum(scores)) for s in own]))
    return (np.mean(forth) + np.mean(back)) / 2


@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_info_nce_agrees_with_the_formula(temperature):
    anchors, positives = unit(5, 8), unit(5, 8, seed=1)
    expected = naive_info_nce(anchors.numpy(), positives.numpy(), temperature)
    assert info_nce(anchors, positives, temperature=temperature).item() == pytest.approx(expected)


def test_info_nce_does_not_depend_on_lengths():
    anchors, positives = unit(5, 8), unit(5, 8, seed=1)
    torch.testing.assert_close(info_nce(3 * anchors, positives), info_nce(anchors, positives))


def test_a_temperature_that_is_not_positive_is_refused():
    with pytest.raises(ValueError, match="temperature"):
        info_nce(unit(2, 3), unit(2, 3), temperature=0.0)


def test_class_info_nce_agrees_with_the_formula_also_where_a_class_is_missing():
    embeddings, prompts = unit(6, 8), unit(4, 8, seed=1)
    labels = torch.tensor([0, 0, 1, 3, 3, 3])
    expected = naive_class_info_nce(embeddings.numpy(), prompts.numpy(), labels.tolist(), 0.2)
    loss = class_info_nce(embeddings, prompts, labels, temperature=0.2)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_direction_loss_is_zero_along_and_two_against():
    ways = unit(4, 8)
    assert direction_loss(3 * ways, ways).item() == pytest.approx(0, abs=1e-6)
    assert direction_loss(-ways, ways).item() == pytest.approx(2, abs=1e-6)
