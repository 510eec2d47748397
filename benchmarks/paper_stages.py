"""What each part of the paper's recipe costs: operations, and time on this machine, as Markdown.

    python benchmarks/paper_stages.py

Random weights: they cost what trained ones do. Operations are counted by torch (a multiplication
and an addition are two); times are of the processor, all threads together, the best of two: what
else it does counts for little.
"""

import os
import time
from collections.abc import Callable

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from cdrl_cli.checkpoints.priors import open_arcface_prior, open_clip_prior, open_xlsr_prior
from cdrl_cli.representation.arcface import MAP_CHANNELS
from cdrl_cli.representation.ccrl import ContentConfig, ContentEncoder
from cdrl_cli.representation.clip_prior import ContextPrompts

REPEATS = 2
"""Times that each part is timed."""


def measure(name: str, unit: str, count: float, call: Callable[[], object]) -> str:
    """A row of the table: operations and time of one unit, of which a call computes so many."""
    call()
    with FlopCounterMode(display=False) as counter:
        call()
    times = []
    for _ in range(REPEATS):
        began = time.process_time()
        call()
        times.append(time.process_time() - began)
    operations = counter.get_total_flops() / count / 1e9
    return f"| {name} | {unit} | {operations:.1f} | {min(times) / count * 1e3:.0f} |"


def main() -> None:
    """Measure and print."""
    arcface, clip, xlsr = (
        open_arcface_prior("random"),
        open_clip_prior("random"),
        open_xlsr_prior("random"),
    )
    prompts = ContextPrompts(clip)
    content = ContentEncoder(ContentConfig(frames=5, image="arcface", width=512))
    faces, maps = torch.rand(4, 3, 224, 224), torch.rand(4, 5, MAP_CHANNELS, 28, 28)
    pictures = torch.rand(4, 3, 256, 256)
    sound = np.random.default_rng(0).normal(0, 0.1, 16_000 * 5).astype(np.float32)

    def see() -> object:
        with torch.no_grad():
            return arcface(faces)

    def look() -> object:
        with torch.no_grad():
            return clip.encode_pictures(pictures)

    def learn_content() -> object:
        return content(maps, None).sum().backward()

    def learn_prompts() -> object:
        return prompts().sum().backward()

    def guide() -> object:
        image = pictures.clone().requires_grad_()
        return clip.encode_pictures(image).sum().backward()  # type: ignore[no-untyped-call]

    print(f"{torch.get_num_threads()} threads of {os.cpu_count()} cores, torch {torch.__version__}")
    print("\n| part | of each | GFLOP | CPU ms |\n|---|---|---:|---:|")
    for name, unit, count, call in (
        ("ArcFace to stage 3, 224 pixels", "face", len(faces), see),
        ("CLIP, picture", "picture", len(pictures), look),
        ("CLIP, picture, with its gradient", "picture", len(pictures), guide),
        ("XLSR-53, layer 20", "second of sound", 5, lambda: xlsr.listen(sound)),
        ("CCRL's encoder, five frames, a step", "window", len(maps), learn_content),
        ("CERL's seven prompts, a step", "step", 1, learn_prompts),
    ):
        print(measure(name, unit, count, call), flush=True)


if __name__ == "__main__":
    main()
