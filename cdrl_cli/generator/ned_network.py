"""A motion editor after Neural Emotion Director: the second backbone that CDRL is plugged into.

NED's manipulator (Papantoniou et al. 2022, section 3.2) is a StarGAN v2 over sequences: a recurrent
generator translates windows of 3D expression coefficients to a style, and the style comes from a
reference, through a style encoder, or from noise and a label, through a mapping network.

Differs from NED: the 52 coefficients of the landmarker stand for its 51 of a 3D morphable model;
the answer is a change of the source, so that intensity 0 is the source itself; and each frame is
read from the window around it, where NED takes the mean over the windows that hold it. In an edit,
which has no window of the reference, styles of the labels are mixed as CERL reads the reference.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from cdrl_cli.array_types import Float, Int, Int64
from cdrl_cli.emotion import Emotion
from cdrl_cli.face.blendshapes import COEFFICIENTS
from cdrl_cli.generator.motion import CONTEXT_AFTER
from cdrl_cli.generator.motion_network import Observed, apply_change

WINDOW = 10
"""Frames of a window (NED, section 3.2)."""

BEFORE = WINDOW - 1 - CONTEXT_AFTER
"""Of them, those before the frame that is answered."""


@dataclass(frozen=True, slots=True)
class NedConfig:
    """Sizes of the backbone."""

    embedding: int = 64
    """Length of a CERL embedding."""
    style: int = 16
    """Length of a style, and of the noise that it may come from."""
    width: int = 128
    """Of the recurrent layers, either direction."""
    temperature: float = 0.2
    """At which an embedding is read as a mixture of labels."""


class LongShortTerm(nn.Module):
    """A recurrent layer (Hochreiter and Schmidhuber 1997), unrolled, so that it can be exported.

    Args:
        inputs: Features of a frame.
        width: Of the state.
        backward: From the last frame to the first.
    """

    def __init__(self, inputs: int, width: int, *, backward: bool = False) -> None:
        super().__init__()
        self.width, self.backward_in_time = width, backward
        self.seen, self.known = nn.Linear(inputs, 4 * width), nn.Linear(width, 4 * width)

    def forward(
        self, frames: Float[Tensor, "batch frames features"]
    ) -> Float[Tensor, "batch frames width"]:
        """The state after each frame."""
        seen = self.seen(frames).unbind(dim=1)
        state = cell = torch.zeros_like(seen[0][:, : self.width])
        states = []
        for one in reversed(seen) if self.backward_in_time else seen:
            into, keep, new, out = (one + self.known(state)).chunk(4, dim=1)
            cell = torch.sigmoid(keep) * cell + torch.sigmoid(into) * torch.tanh(new)
            state = torch.sigmoid(out) * torch.tanh(cell)
            states.append(state)
        if self.backward_in_time:
            states.reverse()
        return torch.stack(states, dim=1)


class BothWays(nn.Module):
    """Two recurrent layers, one in either direction."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.forth = LongShortTerm(inputs, width)
        self.back = LongShortTerm(inputs, width, backward=True)

    def forward(
        self, frames: Float[Tensor, "batch frames features"]
    ) -> Float[Tensor, "batch frames both"]:
        """Both states of each frame, side by side."""
        return torch.cat([self.forth(frames), self.back(frames)], dim=2)


class StyleEncoder(nn.Module):
    """A window of a reference to its style, by a head for each emotion (NED, section 3.2)."""

    def __init__(self, config: NedConfig) -> None:
        super().__init__()
        self.frames = BothWays(COEFFICIENTS, config.width)
        self.heads = nn.Linear(2 * config.width, len(Emotion) * config.style)
        self.style = config.style

    def forward(
        self, window: Float[Tensor, "batch frames 52"], labels: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch style"]:
        """Styles."""
        each = self.heads(self.frames(window).mean(dim=1)).view(-1, len(Emotion), self.style)
        return each[torch.arange(len(each), device=each.device), labels]


class MappingNetwork(nn.Module):
    """Noise to a style of each emotion (NED, section 3.2)."""

    def __init__(self, config: NedConfig) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(config.style, config.width), nn.ReLU(),
            nn.Linear(config.width, config.width), nn.ReLU(),
            nn.Linear(config.width, len(Emotion) * config.style),
        )  # fmt: skip
        self.style = config.style

    def forward(self, noise: Float[Tensor, "batch style"]) -> Float[Tensor, "batch 7 style"]:
        """Styles of all emotions."""
        styles: Tensor = self.layers(noise)
        return styles.view(-1, len(Emotion), self.style)


class NedEditor(nn.Module):
    """The backbone as a motion editor: asked as :class:`MotionEditor` is.

    Args:
        config: Sizes.
        labels: CERL's embeddings of the labels, by which an embedding is read.
    """

    neutral_high: Tensor
    scale: Tensor
    labels: Tensor

    def __init__(
        self,
        config: NedConfig | None = None,
        labels: Float[Tensor, "7 dimension"] | None = None,
    ) -> None:
        super().__init__()
        self.config = config or NedConfig()
        if labels is None:
            labels = torch.zeros(len(Emotion), self.config.embedding)
        self.register_buffer("labels", labels.clone())
        self.register_buffer("neutral_high", torch.zeros(COEFFICIENTS))
        self.register_buffer("scale", torch.ones(1))
        self.mapping = MappingNetwork(self.config)
        self.encoder = StyleEncoder(self.config)
        self.frames = BothWays(COEFFICIENTS + self.config.style, self.config.width)
        self.output = nn.Linear(2 * self.config.width, COEFFICIENTS)
        nn.init.normal_(self.output.weight, std=1e-3)
        nn.init.zeros_(self.output.bias)

    def forward(
        self,
        source: Float[Tensor, "batch frames 52"],
        embedding: Float[Tensor, "batch dimension"],
        intensity: Float[Tensor, " batch"],
        observed: Observed | None = None,  # noqa: ARG002 - NED shows no reference's own change
    ) -> Float[Tensor, "batch frames 52"]:
        """Edit sequences; arguments as :meth:`MotionEditor.forward` has them."""
        return self.translate(source, self.mix_styles(embedding), intensity)

    def translate(
        self,
        source: Float[Tensor, "batch frames 52"],
        style: Float[Tensor, "batch style"],
        intensity: Float[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch frames 52"]:
        """Sequences in a style: each frame as the window around it is translated."""
        padded = functional.pad(source.transpose(1, 2), (BEFORE, CONTEXT_AFTER), mode="replicate")
        windows = padded.unfold(2, WINDOW, 1).permute(0, 2, 3, 1)
        batch, frames = windows.shape[:2]
        flat = windows.reshape(batch * frames, WINDOW, COEFFICIENTS)
        change = self.change(flat, style.repeat_interleave(frames, dim=0))
        change = change.view(batch, frames, COEFFICIENTS)
        if intensity is not None:
            change = intensity[:, None, None] * change
        return apply_change(source, change)

    def change(
        self,
        windows: Float[Tensor, "windows 10 52"],
        style: Float[Tensor, "windows style"],
    ) -> Float[Tensor, "windows 52"]:
        """The change of each window's own frame at intensity 1."""
        told = style[:, None].expand(-1, WINDOW, -1)
        states = self.frames(torch.cat([windows, told], dim=2))
        change: Tensor = self.output(states[:, BEFORE])
        return change

    def mix_styles(
        self, embedding: Float[Tensor, "batch dimension"]
    ) -> Float[Tensor, "batch style"]:
        """The style of an embedding: those of the labels, as likely as it makes them."""
        likely = torch.softmax(embedding @ self.labels.T / self.config.temperature, dim=1)
        still = torch.zeros_like(likely[:1, :1]).expand(1, self.config.style)
        return likely @ self.mapping(still)[0]


class NedFrameEditor(nn.Module):
    """The backbone for one frame, as an edit asks it: what is exported.

    Args:
        editor: What was learned.
    """

    def __init__(self, editor: NedEditor) -> None:
        super().__init__()
        self.editor = editor

    def forward(  # noqa: PLR0917 - the exporter names inputs by their order
        self,
        expression: Float[Tensor, "1 52"],
        window: Float[Tensor, "frames 52"],
        now: Int64[Tensor, ""],
        embedding: Float[Tensor, "1 dimension"],
        difference: Float[Tensor, "1 52"],
        share: Float[Tensor, "1 1"],
        rest: Float[Tensor, "1 52"],
        amount: Float[Tensor, ""],
        intensity: Float[Tensor, ""],
    ) -> Float[Tensor, "1 52"]:
        """As :meth:`FrameEditor.forward`; of a reference, its label alone is shown."""
        near = now + torch.arange(-BEFORE, CONTEXT_AFTER + 1)
        near = near.clamp(min=0).minimum(torch.tensor(window.shape[0] - 1))
        change = self.editor.change(window[near][None], self.editor.mix_styles(embedding))
        # Every editor is asked in the same way; what this one does not use has no weight.
        unused = 0 * (difference * share + rest)
        return apply_change(expression, intensity * amount * change + unused)
