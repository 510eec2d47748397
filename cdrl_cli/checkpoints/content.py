"""The content representation in a file: both encoders, and which prior hears for them."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from cdrl_cli.checkpoints.arrays import join_parts, part_of, reading
from cdrl_cli.checkpoints.load import WEIGHT_SETS, find_weights, name_in_set
from cdrl_cli.checkpoints.tensors import read_tensors, write_tensors
from cdrl_cli.representation.content import ContentConfig, ContentEncoder, SpeechEncoder
from cdrl_cli.representation.speech import LogMelPrior, SpeechPrior, WhisperPrior


@dataclass(frozen=True, slots=True)
class ContentModels:
    """A mouth's code and a voice's code, in one space."""

    content: ContentEncoder
    speech: SpeechEncoder
    prior: str
    """Name of what the speech encoder listens through (:func:`open_prior`)."""
    identities: frozenset[str] = frozenset()
    """People learned from: a proof needs others."""
    sentences: frozenset[str] = frozenset()
    """Sentences learned from."""


def load_content(weight_set: str = WEIGHT_SETS[0]) -> ContentModels:
    """The embedded encoders, ready for use; they need no prior to encode mouths.

    Raises:
        UsageError: If there is no such set.
        WeightsError: If the file is missing or damaged.
    """
    return read_content(find_weights(name_in_set("ccrl", weight_set)))


def read_content(path: Path) -> ContentModels:
    """Encoders from a file that :func:`write_content` wrote; frozen, in evaluation mode.

    Raises:
        WeightsError: If it is no such file.
    """
    with reading(path, "content encoders"):
        tensors, facts = read_tensors(path)
        config = ContentConfig(**json.loads(facts["config"]))
        models = ContentModels(
            ContentEncoder(config),
            SpeechEncoder(config),
            facts["prior"],
            frozenset(json.loads(facts["identities"])),
            frozenset(json.loads(facts["sentences"])),
        )
        for part, network in (("content", models.content), ("speech", models.speech)):
            network.load_state_dict(part_of(tensors, part))
            network.requires_grad_(requires_grad=False).eval()
        return models


def write_content(path: Path, models: ContentModels, *, facts: Mapping[str, str]) -> None:
    """Write both encoders, half precision.

    Args:
        path: ``ccrl-….safetensors``.
        models: What was learned, and from whom.
        facts: Recipe, licence class, commit, data digest and the like.
    """
    tensors = join_parts(
        {"content": models.content.state_dict(), "speech": models.speech.state_dict()}
    )
    own = {
        "config": json.dumps(asdict(models.content.config)),
        "prior": models.prior,
        "identities": json.dumps(sorted(models.identities)),
        "sentences": json.dumps(sorted(models.sentences)),
    }
    write_tensors(path, {name: t.half() for name, t in tensors.items()}, {**facts, **own})


def open_prior(name: str) -> SpeechPrior:
    """What hears speech, by name.

    Raises:
        WeightsError: If its weights are missing.
    """
    if name == LogMelPrior.name:
        return LogMelPrior()
    find_weights("speech-config")
    return WhisperPrior(find_weights("speech-model").parent)
