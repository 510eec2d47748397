"""Teacher of expression: coefficients of a crop by a small network, so that they have a gradient.

The landmarker reads them better but has no gradient. Through the reader, rendered
pixels reach the frozen emotion and content encoders, which take coefficients. It is made anew by
a renderer's training, from the same clips, and not shipped.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from cdrl_cli.array_types import Float, Float32, UInt8
from cdrl_cli.face.blendshapes import COEFFICIENTS
from cdrl_cli.face.stream import FACE_SIDE
from cdrl_cli.training.checkpoint import RunFacts, Stateful, step_rng
from cdrl_cli.training.config import ScheduleConfig
from cdrl_cli.training.loop import Loss, Task, Trainer, Update, Validation, open_device
from cdrl_cli.training.optimiser import Optimiser

BATCH = 64
"""Crops that a training step of the reader learns from."""

Faces = UInt8[np.ndarray, "frames side side 3"]
"""Aligned crops of a clip, sRGB."""

Expressions = Float32[np.ndarray, "frames 52"]
"""Blendshape coefficients of the same frames."""


class ExpressionReader(nn.Module):
    """Crop in, coefficients out."""

    scale: Tensor
    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 24, 48, 96, 128)
        layers: list[nn.Module] = []
        for into, out in pairwise(widths):
            layers += [nn.Conv2d(into, out, 3, 2, 1), nn.GroupNorm(8, out), nn.SiLU()]
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Conv2d(128, 32, 1), nn.SiLU(), nn.Flatten(), nn.Linear(32 * 49, COEFFICIENTS)
        )
        self.register_buffer("scale", torch.ones(COEFFICIENTS))
        self.register_buffer("mean", torch.zeros(COEFFICIENTS))

    def forward(self, crops: Float[Tensor, "batch 3 side side"]) -> Float[Tensor, "batch 52"]:
        """Coefficients, about 0..1.

        Args:
            crops: Aligned crops, sRGB 0..1, 256 pixels or the stored 112.
        """
        if crops.shape[-1] != FACE_SIDE:
            crops = functional.interpolate(
                crops, (FACE_SIDE,) * 2, mode="bilinear", antialias=True, align_corners=False
            )
        picture = 2 * crops - 1
        picture = picture - picture.mean(dim=(2, 3), keepdim=True)
        return self.head(self.features(picture)) * self.scale + self.mean


class ExpressionTask(Task):
    """Learn to read coefficients from crops.

    Args:
        clips: Aligned crops of each and their coefficients; every tenth clip validates.
        schedule: How long and how fast.
        device: Where network and crops are.
    """

    def __init__(
        self,
        clips: Sequence[tuple[Faces, Expressions]],
        schedule: ScheduleConfig,
        *,
        device: torch.device,
    ) -> None:
        self._device, self._seed = device, schedule.seed
        small = [(_shrink(faces), expressions) for faces, expressions in clips]
        self._kept = small[::10]
        self._learning = [one for i, one in enumerate(small) if i % 10]
        self._places = [
            (i, f) for i, (_, told) in enumerate(self._learning) for f in range(len(told))
        ]
        # A clip counts by the root of its length: 102 stills are people too.
        weights = np.array([len(self._learning[i][1]) ** -0.5 for i, _ in self._places])
        self._weights = weights / weights.sum()
        truth = np.concatenate([told for _, told in self._learning])
        self._spread = truth.std(axis=0)
        self.generator = torch.Generator().manual_seed(schedule.seed)
        with torch.random.fork_rng():
            torch.manual_seed(schedule.seed)
            self.reader = ExpressionReader()
        self.reader.mean.copy_(torch.from_numpy(truth.mean(axis=0)))
        self.reader.scale.copy_(torch.from_numpy(self._spread + 0.01))
        self.reader.to(device)
        self._optimiser = Optimiser(
            self.reader,
            learning_rate=schedule.learning_rate,
            steps=schedule.steps,
            weight_decay=schedule.weight_decay,
        )

    @property
    def parts(self) -> dict[str, Stateful]:
        """See :class:`~cdrl_cli.training.loop.Task`."""
        return {"reader": self.reader, "optimiser": self._optimiser}

    @property
    def product(self) -> ExpressionReader:
        """The reader."""
        return self.reader

    def updates(self, step: int) -> Iterator[Update]:
        """See :class:`~cdrl_cli.training.loop.Task`."""
        rng = step_rng(self._seed, step)
        drawn = [self._places[i] for i in rng.choice(len(self._places), BATCH, p=self._weights)]
        faces = np.stack([self._learning[i][0][f] for i, f in drawn])
        told = np.stack([self._learning[i][1][f] for i, f in drawn])
        with torch.autocast(self._device.type, torch.bfloat16):
            read = self.reader(_disturb(faces, rng).to(self._device))
        apart = (read.float() - torch.from_numpy(told).to(self._device)) / self.reader.scale
        yield Update([Loss("coefficients", apart.square().clamp(max=9).mean())], [self._optimiser])

    def validate(self) -> Validation:
        """Share of variance explained on the clips kept (R2, over the coefficients that vary)."""
        return Validation(_explained(self.reader, self._kept, self._spread))


def train_expression_reader(
    clips: Sequence[tuple[Faces, Expressions]],
    schedule: ScheduleConfig,
    facts: RunFacts,
    *,
    run: Path,
    resume: bool = False,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> tuple[ExpressionReader, float]:
    """Learn to read coefficients.

    Args:
        clips: Aligned crops of each and their coefficients; every tenth clip is kept for the
            score.
        schedule: How long and how fast.
        facts: What run this is.
        run: Folder of the checkpoint and the log.
        resume: Continue from the checkpoint there; a run that is over is only read.
        device: ``cpu`` or ``cuda``.
        progress: Called with (steps done, steps in all).

    Returns:
        The reader, frozen, and the share of variance it explains on the clips kept.
    """
    task = ExpressionTask(clips, schedule, device=open_device(device))
    outcome = Trainer(run, task, schedule, facts, resume=resume, progress=progress).fit()
    return task.reader.cpu().requires_grad_(requires_grad=False).eval(), outcome.score


def _shrink(faces: Faces) -> UInt8[np.ndarray, "frames small small 3"]:
    """To the size that is read."""
    return np.stack(
        [cv2.resize(one, (FACE_SIDE,) * 2, interpolation=cv2.INTER_AREA) for one in faces]
    )


def _disturb(faces: np.ndarray, rng: np.random.Generator) -> Float[Tensor, "batch 3 112 112"]:
    """Other light, other colour, noise, a pixel or three of shift."""
    x = torch.from_numpy(faces).permute(0, 3, 1, 2).float() / 255
    count = len(x)
    gain = torch.from_numpy(rng.uniform(0.75, 1.25, (count, 3, 1, 1))).float()
    offset = torch.from_numpy(rng.uniform(-0.1, 0.1, (count, 1, 1, 1))).float()
    noise = torch.from_numpy(rng.normal(0, 0.02, x.shape)).float()
    dx, dy = rng.integers(-3, 4, 2)
    return torch.roll(x * gain + offset + noise, (int(dy), int(dx)), (2, 3)).clamp(0, 1)


def _explained(
    reader: ExpressionReader,
    clips: Sequence[tuple[Faces, Expressions]],
    spread: Float[np.ndarray, " 52"],
) -> float:
    truth = np.concatenate([told for _, told in clips])
    with torch.inference_mode():
        faces = torch.from_numpy(np.concatenate([faces for faces, _ in clips])).to(reader.mean)
        read = reader(faces.permute(0, 3, 1, 2) / 255).cpu().numpy()
    varying = spread > 0.02  # noqa: PLR2004 - the others the landmarker never reports
    left = (truth - read)[:, varying].var(axis=0)
    return float(1 - (left / truth[:, varying].var(axis=0)).mean())
