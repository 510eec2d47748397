"""What CCRL minimises: mouth and voice agree, and so do the mouths of the same words."""

from collections.abc import Iterable
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from cdrl_cli.array_types import Float, Int
from cdrl_cli.data.pairs import Batch
from cdrl_cli.data.takes import Windows
from cdrl_cli.representation.ccrl import VIEWS, ContentEncoder
from cdrl_cli.representation.losses import clamped_cosine_loss, info_nce, symmetric_info_nce
from cdrl_cli.training.recipes import ContentLossConfig
from cdrl_cli.training.steps import Loss


def encode_windows(
    content: ContentEncoder, windows: Windows, generator: torch.Generator
) -> dict[str, Float[Tensor, "batch dimension"]]:
    """Content codes by view; an encoder that attends to audio is given that of half the windows.

    The other half is what it meets inside the generator, where there is no sound.
    """
    crops, coefficients = windows.crops, windows.coefficients
    if content.attention is None:
        return content.encode_views(crops, coefficients)
    order = torch.randperm(len(crops), generator=generator).to(crops.device)
    told, alone = order.tensor_split(2)
    parts = (
        content.encode_views(crops[told], coefficients[told], windows.speech[told]),
        content.encode_views(crops[alone], coefficients[alone]),
    )
    return {view: torch.cat([part[view] for part in parts])[order.argsort()] for view in VIEWS}


def ccrl_losses(
    codes: dict[str, Float[Tensor, "batch d"]],
    heard: Float[Tensor, "batch d"],
    batch: Batch,
    *,
    temperature: float | Float[Tensor, ""],
    config: ContentLossConfig,
) -> list[Loss]:
    """Mouth and voice of the same moment agree, and so do the mouths of the same words.

    Each term is the mean over the views. ``speech``, InfoNCE both ways: content codes against
    speech codes; the negatives of a voice are other frames of the same take ("same audio, other
    frame": the paper's loss, without them, can be won by the audio alone). ``words``, likewise:
    neutral against emotional moments of the same words; the negatives are other frames of that
    same emotional take, as in the paper's sampling. Where negatives come from other takes too,
    emotion and person help to exclude them, and the codes learn both. ``constant``: the mean code
    of a take's windows is to be short, for what a whole take has in common is not content, but
    emotion, person and camera.

    With the contrast ``one-way`` mouths pick voices and nothing picks mouths. Differs from the
    paper, whose own loss is :func:`published_loss`.

    Args:
        codes: Content codes by view.
        heard: Speech codes.
        batch: What belongs together.
        temperature: Of both contrasts.
        config: Which negatives, and the weights.
    """
    neutral, emotional = torch.from_numpy(batch.counterparts).to(heard.device).T
    take_of = torch.from_numpy(batch.take_of).to(heard.device)
    take = take_of if config.negatives == "take" else None
    pair = None if take is None else take[emotional]
    member = functional.one_hot(take_of).to(heard.dtype)
    share = member.T / member.sum(dim=0)[:, None]

    contrast = partial(
        symmetric_info_nce if config.contrast == "both-ways" else info_nce, temperature=temperature
    )
    views = codes.values()
    speech = (contrast(v, heard, groups=take) for v in views)
    constant = ((share @ view).square().sum(dim=1).mean() for view in views)
    losses = [
        Loss("speech", _mean(speech)),
        Loss("constant", _mean(constant), config.constant_weight),
    ]
    if config.emotion_weight and len(neutral):
        words = (contrast(v[neutral], v[emotional], groups=pair) for v in views)
        losses.append(Loss("words", _mean(words), config.emotion_weight))
    return losses


def published_loss(content: ContentEncoder, windows: Windows, batch: Batch) -> Float[Tensor, ""]:
    """The paper's loss (:func:`clamped_cosine_loss`), mean over the views.

    The anchor is a neutral moment under its own audio; the positive, the emotional counterpart
    under the *anchor's* audio; the negative, another moment of the same emotional take under its
    own. A moment whose take has no other in the batch is left out.

    Args:
        content: Learns.
        windows: Of the batch.
        batch: What belongs together.
    """
    device = windows.crops.device
    chosen = [torch.from_numpy(one).to(device) for one in find_triplets(batch).T]
    anchor, positive, negative = chosen
    crops, motion, speech = windows.crops, windows.coefficients, windows.speech
    own = content.encode_views(crops, motion, speech)
    if not len(anchor):
        return 0 * _mean(code.sum() for code in own.values())
    under = content.encode_views(crops[positive], motion[positive], speech[anchor])
    return _mean(
        clamped_cosine_loss(own[view][anchor], under[view], own[view][negative]) for view in VIEWS
    )


def find_triplets(batch: Batch) -> Int[np.ndarray, "triplets 3"]:
    """Anchor, positive and negative of the paper, as places in the batch's windows.

    The negative of a counterpart is the next one of the same emotional take.
    """
    take_of = batch.take_of
    emotional = batch.counterparts[:, 1]
    triplets = []
    for anchor, positive in batch.counterparts:
        same = emotional[take_of[emotional] == take_of[positive]]
        following = np.roll(same, -1)[same == positive]
        triplets += [(anchor, positive, other) for other in following[:1] if other != positive]
    return np.array(triplets, int).reshape(-1, 3)


def _mean(terms: Iterable[Float[Tensor, ""]]) -> Float[Tensor, ""]:
    return torch.stack(list(terms)).mean()
