"""The content representation in a file: both encoders, and which prior hears for them."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file

from cdrl_cli.checkpoints.load import WEIGHT_SETS, find_weights, name_in_set
from cdrl_cli.errors import WeightsError
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
    try:
        with safe_open(path, framework="pt") as file:
            facts = file.metadata() or {}
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 - not a dict
        config = ContentConfig(**json.loads(facts["config"]))
        models = ContentModels(
            ContentEncoder(config),
            SpeechEncoder(config),
            facts["prior"],
            frozenset(json.loads(facts["identities"])),
            frozenset(json.loads(facts["sentences"])),
        )
        for part, network in (("content", models.content), ("speech", models.speech)):
            network.load_state_dict(
                {k.removeprefix(f"{part}."): t for k, t in tensors.items() if k.startswith(part)}
            )
            network.requires_grad_(requires_grad=False).eval()
    except Exception as error:  # safetensors and torch raise a dozen kinds
        raise WeightsError(f"{path}: no content encoders ({error})") from error
    return models


def write_content(path: Path, models: ContentModels, *, facts: Mapping[str, str]) -> None:
    """Write both encoders, half precision.

    Args:
        path: ``ccrl-….safetensors``.
        models: What was learned, and from whom.
        facts: Recipe, licence class, commit, data digest and the like.
    """
    tensors = {
        f"{part}.{name}": tensor.half().contiguous()
        for part, network in (("content", models.content), ("speech", models.speech))
        for name, tensor in network.state_dict().items()
    }
    own = {
        "config": json.dumps(asdict(models.content.config)),
        "prior": models.prior,
        "identities": json.dumps(sorted(models.identities)),
        "sentences": json.dumps(sorted(models.sentences)),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, metadata={**facts, **own})


def open_prior(name: str) -> SpeechPrior:
    """What hears speech, by name.

    Raises:
        WeightsError: If its weights are missing.
    """
    if name == LogMelPrior.name:
        return LogMelPrior()
    find_weights("speech-config")
    return WhisperPrior(find_weights("speech-model").parent)
