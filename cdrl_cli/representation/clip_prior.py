"""The paper's vision-language prior: CLIP ViT-B/32 (Radford et al. 2021), by open_clip.

Both towers are frozen. What is learned of the words for an emotion are tokens in front of a fixed
sentence (:class:`ContextPrompts`).
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from cdrl_cli.array_types import Float, Int
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import WeightsError

ARCHITECTURE = "ViT-B-32-quickgelu"
"""open_clip's name of the network that OpenAI's weights are for."""

FEATURES = 512
"""Of a picture, and of a sentence."""

SIDE = 224
"""Of the pictures that it takes, pixels."""

MEAN_RGB = (0.48145466, 0.4578275, 0.40821073)
SPREAD_RGB = (0.26862954, 0.26130258, 0.27577711)
"""Of its training pictures, 0..1: subtracted, and divided by."""

DESCRIPTIONS = {
    Emotion.ANGRY: "a face with furrowed brows, narrowed eyes and tense lips",
    Emotion.DISGUSTED: "a face with a wrinkled nose and lowered brows",
    Emotion.FEAR: "a face with raised brows, parted lips and a retracted chin",
    Emotion.HAPPY: "a face with a smile, raised cheeks and wrinkles around the eyes",
    Emotion.NEUTRAL: "a face with relaxed muscles and a smooth forehead",
    Emotion.SAD: "a face with a downturned mouth and drooping upper eyelids",
    Emotion.SURPRISED: "a face with widened eyes, an open mouth and raised brows",
}
"""The fixed sentence of each emotion: what the paper's descriptors mean, in our words."""


@dataclass(frozen=True, slots=True)
class PromptConfig:
    """How prompts are learned."""

    tokens: int = 8
    """Learned tokens in front of each emotion's sentence (the paper's section 3.3)."""
    position: Literal["kept", "dropped"] = "kept"
    """Whether the text tower is told where each token stands. The published code adds the
    positional embedding and then drops it; words without an order say less."""


class ClipPrior(nn.Module):
    """Pictures and sentences in one space, frozen.

    Args:
        weights: open_clip's file of OpenAI's ViT-B/32; None for random weights, which tests use.

    Raises:
        WeightsError: If open_clip is not installed, or the file is not its.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, weights: Path | None) -> None:
        super().__init__()
        try:
            import open_clip
        except ImportError as error:
            raise WeightsError(
                "open_clip, which runs CLIP, is not installed",
                hint="pip install 'spfem[train]' -c constraints-train.txt",
            ) from error
        name = None if weights is None else str(weights)
        logging.getLogger().addFilter(_is_no_boast)
        try:
            with torch.random.fork_rng():
                torch.manual_seed(0)
                self.network: Any = open_clip.create_model(ARCHITECTURE, pretrained=name)
        except Exception as error:  # torch raises a dozen kinds for a damaged file
            raise WeightsError(f"{weights}: no weights of CLIP ViT-B/32 ({error})") from error
        finally:
            logging.getLogger().removeFilter(_is_no_boast)
        self._tokenizer = open_clip.get_tokenizer(ARCHITECTURE)
        self.register_buffer("mean", torch.tensor(MEAN_RGB).view(1, 3, 1, 1))
        self.register_buffer("spread", torch.tensor(SPREAD_RGB).view(1, 3, 1, 1))
        self.requires_grad_(requires_grad=False).eval()

    def encode_pictures(
        self, pictures: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch 512"]:
        """What pictures show, unit vectors with a slope.

        Args:
            pictures: sRGB 0..1, square.
        """
        resized = functional.interpolate(
            pictures, (SIDE, SIDE), mode="bicubic", antialias=True, align_corners=False
        )
        features: Tensor = self.network.encode_image(
            (resized.clamp(0, 1) - self.mean) / self.spread
        )
        return functional.normalize(features, dim=1)

    def tokenize(self, sentences: Sequence[str]) -> Int[Tensor, "batch 77"]:
        """Numbers of the tokens, padded by zeros."""
        tokens: Tensor = self._tokenizer(list(sentences))
        return tokens

    def encode_sentences(self, sentences: Sequence[str]) -> Float[Tensor, "batch 512"]:
        """What sentences mean, unit vectors."""
        tokens = self.tokenize(sentences).to(self.mean.device)
        last = tokens.argmax(dim=1)
        with torch.no_grad():
            embedded = self.network.token_embedding(tokens[:, : int(last.max()) + 1])
            return self.encode_embedded(embedded, last)

    def encode_embedded(
        self,
        embedded: Float[Tensor, "batch tokens width"],
        last: Int[Tensor, " batch"],
        *,
        position: bool = True,
    ) -> Float[Tensor, "batch 512"]:
        """What sentences of embedded tokens mean, unit vectors with a slope.

        Args:
            embedded: Tokens as vectors, 77 at most. Each sees those before it alone, so what comes
                after the longest sentence may be left out.
            last: Place of each sentence's end, whose state is the sentence's.
            position: Tell the tower where each token stands.
        """
        network = self.network
        length = embedded.shape[1]
        x = embedded + network.positional_embedding[:length] if position else embedded
        x = network.ln_final(network.transformer(x, attn_mask=network.attn_mask[:length, :length]))
        states = x[torch.arange(len(x), device=x.device), last]
        return functional.normalize(states @ network.text_projection, dim=1)


class ContextPrompts(nn.Module):
    """A sentence for each emotion, with learned tokens in front of it.

    Args:
        prior: Its text tower reads them; it is not a part of this module.
        config: How many, and whether their order counts.
    """

    embedded: Tensor
    last: Tensor

    def __init__(self, prior: ClipPrior, config: PromptConfig | None = None) -> None:
        super().__init__()
        self.config = config or PromptConfig()
        tokens = prior.tokenize([DESCRIPTIONS[emotion] for emotion in Emotion])
        longest = int(tokens.argmax(dim=1).max()) + 1
        with torch.no_grad():
            words = tokens[:, :longest].to(prior.mean.device)
            embedded = prior.network.token_embedding(words).cpu()
        self.register_buffer("embedded", embedded)
        self.register_buffer("last", tokens.argmax(dim=1) + self.config.tokens)
        shape = (len(Emotion), self.config.tokens, embedded.shape[2])
        self.context = nn.Parameter(0.02 * torch.randn(shape))
        self._prior = (prior,)  # in a tuple: its weights are not learned, nor kept with ours

    def forward(self) -> Float[Tensor, "7 512"]:
        """Unit vectors, in the order of :class:`~cdrl_cli.emotion.Emotion`."""
        begin, rest = self.embedded[:, :1], self.embedded[:, 1:]
        words = torch.cat([begin, self.context, rest], dim=1)
        kept = self.config.position == "kept"
        return self._prior[0].encode_embedded(words, self.last, position=kept)


def _is_no_boast(record: logging.LogRecord) -> bool:
    """Open_clip warns of random weights, which are meant."""
    return "initialized randomly" not in record.getMessage()
