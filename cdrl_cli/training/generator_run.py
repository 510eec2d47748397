"""A run of the generator's training, from faces to networks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from cdrl_cli.data.faces import FaceClip
from cdrl_cli.generator.motion_network import MotionEditor
from cdrl_cli.generator.ned_network import NedEditor
from cdrl_cli.generator.unet import RendererNet
from cdrl_cli.training.checkpoint import digest_data, run_facts
from cdrl_cli.training.differentiable import Chain
from cdrl_cli.training.generator import GeneratorTask
from cdrl_cli.training.loop import Trainer, open_device
from cdrl_cli.training.recipes import GeneratorConfig
from cdrl_cli.training.supervision import Supervision


@dataclass(frozen=True, slots=True)
class GeneratorResult:
    """What a run brought."""

    renderer: RendererNet
    editor: MotionEditor | NedEditor
    steps: int
    facts: dict[str, str]


def train_generator(
    config: GeneratorConfig,
    faces: Sequence[FaceClip],
    chain: Chain,
    editor: MotionEditor | NedEditor,
    supervision: Supervision,
    *,
    run: Path,
    resume: bool = False,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> GeneratorResult:
    """Train the renderer, and fine-tune the motion editor through it.

    Args:
        config: The recipe.
        faces: Learned from.
        chain: The differentiable generator.
        editor: A trained motion editor.
        supervision: Frozen encoders.
        run: Folder of the checkpoint (``last.pt``) and the log (``log.jsonl``).
        resume: Continue from the checkpoint there.
        device: ``cpu`` or ``cuda``.
        progress: Called with (steps done, steps in all).

    Raises:
        UsageError: If there is no such device.
    """
    torch.set_num_threads(config.schedule.threads)
    task = GeneratorTask(config, faces, chain, editor, supervision, device=open_device(device))
    facts = run_facts(config, digest_data(one.expression for one in faces))
    outcome = Trainer(run, task, config.schedule, facts, resume=resume, progress=progress).fit()
    return GeneratorResult(
        renderer=task.average.cpu().eval(),
        editor=task.editor.cpu().eval(),
        steps=outcome.steps,
        facts=facts.describe("spfem train renderer") | {"steps": str(outcome.steps)},
    )
