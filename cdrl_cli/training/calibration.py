"""What numbers a renderer's layers take and give, and how bytes stand for them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from cdrl_cli.generator import unet

Feeds = Mapping[str, NDArray[Any]]
"""An input: ``picture`` and ``condition``, of one face."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """How bytes stand for numbers: ``scale * (byte - zero)``."""

    scale: np.float32
    zero: np.uint8

    @classmethod
    def of(cls, low: float, high: float) -> "ByteRange":
        """What holds 0 and all between two numbers."""
        low, high = min(low, 0.0), max(high, 0.0)
        scale = max(high - low, 1e-6) / 255
        return cls(np.float32(scale), np.uint8(round(-low / scale)))


def measure_ranges(network: unet.RendererNet, feeds: Iterable[Feeds]) -> dict[str, ByteRange]:
    """What a network's layers take and give, over some inputs.

    Args:
        network: In evaluation mode.
        feeds: What it is asked in edits; in int8, what is larger than any of it is cut off.

    Returns:
        By name: ``picture``; each convolution, for its output; each block, for its output.
    """
    found: dict[str, list[float]] = {}

    def note(name: str, values: NDArray[Any] | torch.Tensor) -> None:
        low, high = found.setdefault(name, [0.0, 0.0])
        found[name] = [min(low, float(values.min())), max(high, float(values.max()))]

    hooks = []
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | unet.Block):
            hooks.append(
                module.register_forward_hook(
                    lambda _module, _given, answer, name=name: note(name, answer)
                )
            )
    # The first convolution is called as a function: its answer is what the second one is given.
    hooks.append(
        network.halve[0].register_forward_pre_hook(lambda _, given: note("first", given[0]))
    )
    with torch.inference_mode():
        for one in feeds:
            note("picture", one["picture"])
            network.at_half(torch.from_numpy(one["picture"]), torch.from_numpy(one["condition"]))
    for hook in hooks:
        hook.remove()
    return {name: ByteRange.of(low, high) for name, (low, high) in found.items()}
