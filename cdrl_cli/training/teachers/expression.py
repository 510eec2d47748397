"""The reader: expression coefficients of a crop by a small network, so that they have a slope.

The landmarker reads them better but cannot be followed backwards. Through the reader, rendered
pixels reach the frozen emotion and content encoders, which take coefficients. It is made anew by
a renderer's training, from the same clips, and not shipped.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import cv2
import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor, nn
from torch.nn import functional

from cdrl_cli.face.blendshapes import COEFFICIENTS
from cdrl_cli.face.stream import FACE_SIDE

BATCH = 64

Faces = UInt8[np.ndarray, "frames side side 3"]
Expressions = Float32[np.ndarray, "frames 52"]


class Reader(nn.Module):
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


def train_reader(
    clips: Sequence[tuple[Faces, Expressions]],
    *,
    steps: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Reader, float]:
    """Learn to read coefficients.

    Args:
        clips: Aligned crops of each and their coefficients; every tenth clip is kept for the
            score.
        steps: Batches of 64.
        seed: Of weights, batches and augmentation.
        progress: Called with (steps done, steps in all).

    Returns:
        The reader, frozen, and the share of variance it explains on the clips kept (R2, over the
        coefficients that vary).
    """
    rng = np.random.default_rng(seed)
    small = [(_shrink(faces), expressions) for faces, expressions in clips]
    kept, learning = small[::10], [one for i, one in enumerate(small) if i % 10]
    places = [(i, f) for i, (_, told) in enumerate(learning) for f in range(len(told))]
    # A clip counts by the root of its length: 102 stills are people too.
    weights = np.array([len(learning[i][1]) ** -0.5 for i, _ in places])
    weights /= weights.sum()
    truth = np.concatenate([told for _, told in learning])
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        reader = Reader()
    reader.mean.copy_(torch.from_numpy(truth.mean(axis=0)))
    reader.scale.copy_(torch.from_numpy(truth.std(axis=0) + 0.01))
    optimiser = torch.optim.AdamW(reader.parameters(), 2e-3, weight_decay=0.02)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, steps)
    for step in range(steps):
        drawn = [places[i] for i in rng.choice(len(places), BATCH, p=weights)]
        faces = np.stack([learning[i][0][f] for i, f in drawn])
        wanted = torch.from_numpy(np.stack([learning[i][1][f] for i, f in drawn]))
        with torch.autocast("cpu", torch.bfloat16):
            read = reader(_disturb(faces, rng))
        loss = ((read.float() - wanted) / reader.scale).square().clamp(max=9).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        rate.step()
        if progress:
            progress(step + 1, steps)
    reader.requires_grad_(requires_grad=False).eval()
    return reader, _explained(reader, kept, truth.std(axis=0))


def _shrink(faces: Faces) -> Faces:
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
    reader: Reader, clips: Sequence[tuple[Faces, Expressions]], spread: Float[np.ndarray, " 52"]
) -> float:
    truth = np.concatenate([told for _, told in clips])
    with torch.inference_mode():
        faces = torch.from_numpy(np.concatenate([faces for faces, _ in clips]))
        read = reader(faces.permute(0, 3, 1, 2).float() / 255).numpy()
    varying = spread > 0.02  # noqa: PLR2004 - the others the landmarker never reports
    left = (truth - read)[:, varying].var(axis=0)
    return float(1 - (left / truth[:, varying].var(axis=0)).mean())
