"""Contrastive objectives of both representations."""

import torch
from torch import Tensor
from torch.nn import functional

from cdrl_cli.array_types import Float, Int


def info_nce(
    anchors: Float[Tensor, "batch dim"],
    positives: Float[Tensor, "batch dim"],
    *,
    temperature: float | Float[Tensor, ""] = 0.07,
    groups: Int[Tensor, " batch"] | None = None,
) -> Float[Tensor, ""]:
    r"""Pull each anchor to its positive, push it from every other positive in the batch.

    .. math:: \ell = -\frac1B \sum_i
              \log \frac{\exp(a_i \cdot p_i / \tau)}{\sum_j \exp(a_i \cdot p_j / \tau)}

    with unit vectors :math:`a_i, p_j` (van den Oord et al. 2018, eq. 4).

    Args:
        anchors: Codes; any length, we normalise.
        positives: Row ``i`` belongs to anchor ``i``.
        temperature: :math:`\tau`; smaller punishes near negatives harder.
        groups: If given, only positives of the anchor's own group are its negatives: what a
            group has in common is then of no use, and need not be represented.

    Returns:
        Mean loss over the batch, in nats, >= 0.

    Raises:
        ValueError: If ``temperature`` is not positive.
    """
    if (plain := float(torch.as_tensor(temperature).detach())) <= 0:
        raise ValueError(f"temperature must be positive, got {plain}")
    anchors, positives = (
        functional.normalize(anchors, dim=1),
        functional.normalize(positives, dim=1),
    )
    logits = anchors @ positives.T / temperature
    if groups is not None:
        logits = logits.masked_fill(groups[:, None] != groups, -torch.inf)
    return functional.cross_entropy(logits, torch.arange(len(logits), device=logits.device))


def symmetric_info_nce(
    one: Float[Tensor, "batch dim"],
    other: Float[Tensor, "batch dim"],
    *,
    temperature: float | Float[Tensor, ""] = 0.07,
    groups: Int[Tensor, " batch"] | None = None,
) -> Float[Tensor, ""]:
    """:func:`info_nce` both ways, halved: neither side can win by collapsing."""
    forth = info_nce(one, other, temperature=temperature, groups=groups)
    return (forth + info_nce(other, one, temperature=temperature, groups=groups)) / 2


def class_info_nce(
    embeddings: Float[Tensor, "batch dim"],
    prompts: Float[Tensor, "classes dim"],
    labels: Int[Tensor, " batch"],
    *,
    temperature: float = 0.07,
) -> Float[Tensor, ""]:
    r"""Emotion and language, both ways, over all embeddings of a batch.

    Embedding to prompt: each embedding picks its prompt among the classes. Prompt to embedding:
    each prompt picks its embeddings among all of the batch, which share its probability,

    .. math:: \ell_p = -\frac1C \sum_c \frac1{|P_c|} \sum_{i \in P_c}
              \log \frac{\exp(t_c \cdot v_i / \tau)}{\sum_j \exp(t_c \cdot v_j / \tau)}

    (supervised contrastive, Khosla et al. 2020, eq. 2). Differs from the paper (CERL, PatchNCE
    inside a set, text to image only): negatives come from the whole batch, and both directions
    count, through one shared head; with one head per emotion the loss falls to 0 on noise.

    Args:
        embeddings: Unit vectors :math:`v`.
        prompts: Unit vectors :math:`t`.
        labels: Class of each embedding; a class without embeddings is left out.
        temperature: :math:`\tau`.
    """
    logits = embeddings @ prompts.T / temperature
    to_prompt = functional.cross_entropy(logits, labels)
    own = functional.one_hot(labels, len(prompts)).T.to(logits.dtype)
    present = own.sum(dim=1) > 0
    log_share = functional.log_softmax(logits.T[present], dim=1)
    to_embedding = -(own[present] * log_share).sum(dim=1) / own[present].sum(dim=1)
    return (to_prompt + to_embedding.mean()) / 2


def clamped_cosine_loss(
    anchors: Float[Tensor, "batch dim"],
    positives: Float[Tensor, "batch dim"],
    negatives: Float[Tensor, "batch dim"],
) -> Float[Tensor, ""]:
    r"""CCRL's loss as the paper has it (section 3.2): 0 at best, 2 at worst.

    .. math:: \ell = 1 - \overline{\max(0, \cos(a, p))} + \overline{\max(0, \cos(a, n))}

    The gradient of a negative ends as soon as it is orthogonal. Where a positive shares the audio
    of its anchor and a negative does not, a code that attends by audio wins it without a look at
    the picture; what is learned by default is :func:`symmetric_info_nce`.
    """
    near = functional.cosine_similarity(anchors, positives, dim=1).clamp(min=0)
    far = functional.cosine_similarity(anchors, negatives, dim=1).clamp(min=0)
    return 1 - near.mean() + far.mean()


def direction_loss(
    changes: Float[Tensor, "batch dim"], directions: Float[Tensor, "batch dim"]
) -> Float[Tensor, ""]:
    """1 - cosine between what changed and the way it should have changed, mean over the batch.

    Supervision by differences (neutral to emotion), so that who it is drops out (PCMECL 2026).
    """
    return (1 - functional.cosine_similarity(changes, directions, dim=1)).mean()
