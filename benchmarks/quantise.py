"""Make the renderers' int8 twins from their float networks, and say how far the answers differ.

    python benchmarks/quantise.py

Activations are calibrated on real inputs: faces of three clips (:mod:`sample_clips`) in six
edits, at their usual and at their full intensity. A twin names the digest of the network that it
was made from; an edit runs it only where that network is still the one in the manifest
(:mod:`cdrl_cli.checkpoints.models`).
"""

import argparse
import hashlib
import sys
import tempfile
from collections.abc import Mapping
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
CLIPS = ("single_face.mp4", "WolfgangLanger_Pexels.mp4", "face_noface.mov")
EMOTIONS = ("happy", "sad", "angry", "surprised", "fear", "disgusted")
INTENSITIES = (1.0, 2.0)
"""As asked for, and the most: what is larger than in calibration would be cut off."""

EVERY = 9
"""Of so many frames one is kept: neighbours say the same."""

Feeds = Mapping[str, NDArray[Any]]


class Tap:
    """A network that keeps some of what it is asked.

    Args:
        network: The session that answers.
    """

    def __init__(self, network: Any) -> None:
        self._network = network
        self._asked = 0
        self.kept: list[Feeds] = []

    def run(self, names: Any, feeds: Feeds) -> Any:
        """Answer, and keep the question now and then."""
        self._asked += 1
        if self._asked % EVERY == 0:
            self.kept.append({name: values.copy() for name, values in feeds.items()})
        return self._network.run(names, feeds)


def collect(weight_set: str, folder: Path) -> list[Feeds]:
    """What the renderer is asked over a second of each clip, in each edit."""
    from cdrl_cli.checkpoints import models as loading
    from cdrl_cli.editing import EditOptions, edit_video
    from cdrl_cli.generator.renderer import LearnedRenderer

    taps: list[Tap] = []
    plain = LearnedRenderer.__init__

    def tapped(self: LearnedRenderer, warp: Any, network: Any, skin: Any) -> None:
        taps.append(Tap(network))
        plain(self, warp, taps[-1], skin)

    with (
        patch.object(LearnedRenderer, "__init__", tapped),
        patch.object(loading, "multiplies_bytes", lambda: False),  # the float network
    ):
        models = loading.load_models(weight_set, device="cpu")
    output = Path(tempfile.gettempdir(), "calibrate.mkv")
    for clip in CLIPS:
        for emotion, intensity in product(EMOTIONS, INTENSITIES):
            asked = EditOptions(
                emotion=emotion,
                intensity=intensity,
                preset="ultrafast",
                end=Fraction(1),
                overwrite=True,
            )
            edit_video(folder / clip, output, asked, models=models)
    output.unlink()
    return taps[0].kept


def quantise(network: Path, twin: Path, feeds: list[Feeds]) -> None:
    """Write a network's twin (:mod:`cdrl_cli.training.renderer_int8`)."""
    from cdrl_cli.checkpoints.export import load_exported, read_exported
    from cdrl_cli.generator.unet import RendererNet
    from cdrl_cli.training.calibration import measure_ranges
    from cdrl_cli.training.renderer_int8 import write_int8

    tensors, facts = read_exported(network)
    renderer = RendererNet()
    load_exported(renderer, tensors, but=[])
    ranges = measure_ranges(renderer.eval(), feeds)
    made_from = hashlib.sha256(network.read_bytes()).hexdigest()
    write_int8(twin, renderer, ranges, facts={**facts, "made_from": made_from})


def print_difference(name: str, network: Path, twin: Path, feeds: list[Feeds]) -> None:
    """How far the twin's answers are from the network's, on inputs that did not calibrate it."""
    from cdrl_cli.nn.networks import open_network

    exact, quick = (open_network(path, threads=1) for path in (network, twin))
    answers = [(exact.run(None, one), quick.run(None, one)) for one in feeds]
    for place, output in enumerate(exact.get_outputs()):
        apart = np.array([np.abs(one[place] - two[place]) for one, two in answers])
        size = np.mean([np.abs(one[place]).mean() for one, _ in answers])
        print(f"| {name} | {output.name} | {size:.5f} | {apart.mean():.5f} | {apart.max():.4f} |")


def main() -> None:
    """Both sets."""
    parser = argparse.ArgumentParser(description="Make the renderers' int8 twins.")
    parser.add_argument("--clips", type=Path, default=ROOT / ".cache" / "clips")
    options = parser.parse_args()
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    import sample_clips

    sample_clips.fetch_clips(options.clips)
    print("| set | output | mean size | mean difference | largest |\n|---|---|---:|---:|---:|")
    research = ROOT / "weights" / "research" / "spfem_weights_research"
    for weight_set, folder in (("permissive", ROOT / "weights"), ("research", research)):
        network = folder / f"renderer-{weight_set}.onnx"
        twin = folder / f"renderer-{weight_set}-int8.onnx"
        feeds = collect(weight_set, options.clips)
        quantise(network, twin, feeds[::2])
        print_difference(weight_set, network, twin, feeds[1::4])


if __name__ == "__main__":
    main()
