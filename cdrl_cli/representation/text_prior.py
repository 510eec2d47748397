"""The language prior of CERL: what emotions are called, and where a sentence lies among them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cdrl_cli.array_types import Float32
from cdrl_cli.emotion import Emotion
from cdrl_cli.nn.networks import open_network

SENTENCE_FEATURES = 384
"""Length of a MiniLM sentence embedding."""

WORDS = {
    Emotion.ANGRY: (
        "angry", "furious", "enraged", "irritated", "annoyed", "outraged", "hostile",
        "mad with rage", "seething", "cross", "bitter and resentful", "full of anger",
        "frowning with clenched jaw", "with furrowed brows, narrowed eyes and tense lips",
    ),
    Emotion.DISGUSTED: (
        "disgusted", "revolted", "repulsed", "nauseated", "grossed out", "sickened",
        "full of disgust", "full of loathing", "appalled by a foul smell",
        "with a wrinkled nose and lowered brows",
    ),
    Emotion.FEAR: (
        "afraid", "fearful", "scared", "terrified", "frightened", "anxious", "panicking",
        "worried", "nervous", "horrified", "full of dread",
        "with raised brows, parted lips and retracted chin",
    ),
    Emotion.HAPPY: (
        "happy", "joyful", "delighted", "cheerful", "pleased", "overjoyed", "amused", "laughing",
        "smiling", "content", "full of joy", "thrilled", "beaming",
        "with raised cheeks and wrinkles around the eyes",
    ),
    Emotion.NEUTRAL: (
        "neutral", "calm", "relaxed", "without emotion", "expressionless", "indifferent",
        "composed", "matter-of-fact", "at rest", "with relaxed muscles and a smooth forehead",
    ),
    Emotion.SAD: (
        "sad", "sorrowful", "unhappy", "depressed", "grieving", "heartbroken", "miserable",
        "gloomy", "in tears", "crying", "on the verge of tears", "disappointed", "full of grief",
        "with a downturned mouth and drooping eyelids",
    ),
    Emotion.SURPRISED: (
        "surprised", "astonished", "amazed", "startled", "shocked", "stunned", "taken aback",
        "in disbelief", "full of wonder", "with widened eyes, open mouth and raised brows",
    ),
}  # fmt: skip
"""Words for each emotion; the last phrase of each is what the paper's prompt describes."""

DEGREES = {"slightly {}": 0.5, "{}": 1.0, "very {}": 1.3}
"""Templates that make words weaker or stronger, and the strength of the emotion that is meant."""

FRAMES = ("a person who is {}", "a face that looks {}", "{}")
"""Templates of sentences around the words for an emotion."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """A way to name an emotion."""

    text: str
    emotion: Emotion
    strength: float
    is_plain: bool
    """Words alone, without a sentence around them."""


def make_phrases() -> tuple[Phrase, ...]:
    """All ways to name an emotion that CERL learns: words, by degree, in sentences."""
    return tuple(
        Phrase(frame.format(degree.format(word)), emotion, strength, frame == "{}")
        for emotion, words in WORDS.items()
        for word in words
        for degree, strength in DEGREES.items()
        if strength == 1 or word in words[:6]
        for frame in FRAMES
    )


class SentenceEncoder:
    """A frozen sentence encoder: all-MiniLM-L6-v2, mean of the tokens, unit length.

    Args:
        model: Its ONNX file (``spfem download-weights text``).
        tokenizer: Its ``tokenizer.json``.
    """

    def __init__(self, model: Path, tokenizer: Path) -> None:
        from tokenizers import Tokenizer

        self._session = open_network(model)
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(128)

    def encode(self, sentences: Sequence[str]) -> Float32[np.ndarray, "sentences 384"]:
        """What sentences mean, one row each."""
        # One at a time: the int8 model's numbers depend on the padding beside a sentence.
        return np.stack([self._encode(sentence) for sentence in sentences])

    def _encode(self, sentence: str) -> Float32[np.ndarray, " 384"]:
        ids = np.array([self._tokenizer.encode(sentence).ids], np.int64)
        (states,) = self._session.run(
            ["last_hidden_state"],
            {
                "input_ids": ids,
                "attention_mask": np.ones_like(ids),
                "token_type_ids": np.zeros_like(ids),
            },
        )
        mean = states[0].mean(axis=0)
        return (mean / np.linalg.norm(mean)).astype(np.float32)
