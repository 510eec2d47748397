"""The renderer's network: what a warp cannot show. Torch, for training; an edit runs its ONNX copy.

It sees the warped crop and says how to go on: a finer flow (a wrinkled nose, raised cheeks), a
change of colour (folds, shade, teeth) and where each may show.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from cdrl_cli.array_types import Float
from cdrl_cli.emotion import Emotion
from cdrl_cli.face.blendshapes import COEFFICIENTS

CONDITION = 2 * COEFFICIENTS + len(Emotion)
"""Length of the condition: the source's coefficients, their change, the emotion."""

CHANNELS = 9
"""Warped RGB (-1..1), flow / 8 px (x, y), mask (0..1), position on the canonical face (x, y, z in
head space)."""

MAX_FLOW_PX = 5.0
"""Finer flow, at most; crop pixels."""

MAX_SHADE = 0.2
"""Change of brightness, at most; of the range 0..1."""

MAX_TINT = 0.05
"""Change of each colour beside it, at most."""

FULL_GATE = 0.15
"""Length of the condition's change from which the network's word counts in full (63 %)."""


LIPS_Y = 0.77
LIPS_REACH = (0.30, 0.10)
"""Middle and half-axes of the ellipse around the meeting lips on the canonical face, head space:
there the finer flow is 0."""

MOUTH_REACH = (0.34, 0.25)
"""The same around the mouth: there a drawing has no light and no shadow, which looked like a
moustache and reddened lips."""

DRAWN_SHADE = 0.13
"""Logarithm of the brightness that an emotion's drawing takes or gives, at most."""

DRAWN_FLOW_PX = 3.0
"""Its movement, at most; crop pixels, before the finer flow's own bound."""

DRAWN_ROWS, DRAWN_COLUMNS = 44, 24
DRAWN_TOP, DRAWN_BOTTOM, DRAWN_SIDE = -0.65, 1.40, 0.85
"""Cells of a drawing and the half of the canonical face that they cover, head space."""

FACE_MIDDLE_Y, FACE_REACH = 0.38, (0.78, 0.98)
EYE_MIDDLE, EYE_REACH = (0.345, 0.0), (0.17, 0.06)
"""Middle and half-axes of the ellipses around the face and around an eye, head space: drawings show
inside of the first and outside of the others."""

FADE = 0.3
"""Share of an ellipse, from its rim inwards, over which a drawing comes and goes."""

LIPS_FADE = 1.25
"""The same around lips and mouth, from the rim outwards, in squares of the half-axes."""

GROUPS = 8
"""Of channels, each normalised by itself."""

_OUTPUTS = 6
"""Of the last layer: finer flow (x, y), shade, tint (r, g, b)."""


@dataclass(frozen=True, slots=True)
class UNetConfig:
    """Size of the network."""

    widths: tuple[int, ...] = (32, 64, 96, 128)
    """Channels at a quarter, an eighth, ... of the crop's side; multiples of 8."""


class RendererNet(nn.Module):
    """U-Net at half the crop's side, first layer at a quarter, every block told the condition.

    What it adds is smooth: the picture's own pixels, at native resolution, carry what is sharp. So
    an edit asks it at half the crop's side (:meth:`at_half`).

    The output is times a gate that is 0 where neither expression nor emotion changes: nothing
    asked, nothing touched.
    """

    def __init__(self, config: UNetConfig | None = None) -> None:
        super().__init__()
        self.config = config or UNetConfig()
        widths = self.config.widths
        self.first = nn.Conv2d(4 * CHANNELS, widths[0], 3, 1, 1)
        self.condition = nn.Sequential(nn.Linear(CONDITION, 96), nn.SiLU(), nn.Linear(96, 96))
        inputs = (widths[0], *widths[:-1])
        self.halve = nn.ModuleList(
            Block(into, out, stride=1 + (level > 0))
            for level, (into, out) in enumerate(zip(inputs, widths, strict=True))
        )
        self.refine = nn.ModuleList(Block(width, width) for width in widths)
        self.up = nn.ModuleList(
            Block(widths[k] + widths[k - 1], widths[k - 1]) for k in range(len(widths) - 1, 0, -1)
        )
        self.drawings = Drawings()
        self.last = nn.Conv2d(widths[0], 4 * _OUTPUTS, 3, 1, 1)
        nn.init.zeros_(self.last.weight)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)

    def forward(
        self,
        picture: Float[Tensor, "batch 9 256 256"],
        condition: Float[Tensor, "batch 111"],
    ) -> tuple[Float[Tensor, "batch 2 256 256"], Float[Tensor, "batch 3 256 256"]]:
        """How to change the warped crop.

        Args:
            picture: See :data:`CHANNELS`.
            condition: The source's coefficients, the target's minus those, and the likelihood of
                each emotion times the intensity (0 for neutral).

        Returns:
            Finer flow, crop pixels, added to the warp's; change of colour, -1..1 of the range.
        """
        flow, colour = self.at_half(functional.avg_pool2d(picture, 2), condition)
        mask = picture[:, 5:6]  # doubling reaches a pixel over the mask's edge
        return _double(flow) * mask, _double(colour) * mask

    def at_half(
        self,
        picture: Float[Tensor, "batch 9 128 128"],
        condition: Float[Tensor, "batch 111"],
    ) -> tuple[Float[Tensor, "batch 2 128 128"], Float[Tensor, "batch 3 128 128"]]:
        """The same, of the crop at half its side: what an edit runs.

        Args:
            picture: The channels' means over squares of two by two pixels.
            condition: See :meth:`forward`.
        """
        told = self.condition(condition)
        x = convolve_squares(self.first, picture)
        kept = []
        for halve, refine in zip(self.halve, self.refine, strict=True):
            x = refine(halve(x, told), told)
            kept.append(x)
        x = kept.pop()
        for block in self.up:
            x = block(torch.cat([_double(x), kept.pop()], dim=1), told)
        out = functional.pixel_shuffle(self.last(x), 2)
        change = condition[:, COEFFICIENTS:]
        gate = 1 - torch.exp(-(change.square().sum(dim=1) + 1e-12).sqrt() / FULL_GATE)
        shown = gate.view(-1, 1, 1, 1) * picture[:, 5:6]
        drawn_flow, drawn_shade = self.drawings(picture[:, 6:8], condition[:, 2 * COEFFICIENTS :])
        flow = MAX_FLOW_PX * torch.tanh(out[:, :2] + drawn_flow / MAX_FLOW_PX)
        colour = MAX_SHADE * torch.tanh(out[:, 2:3]) + MAX_TINT * torch.tanh(out[:, 3:])
        colour = colour + (picture[:, :3] / 2 + 0.5) * torch.expm1(drawn_shade)
        return flow * shown * _off_the_lips(picture[:, 6:8], LIPS_REACH), colour * shown


class RendererAtHalf(RendererNet):
    """The network as it is exported: asked, and answering, at half the crop's side."""

    @classmethod
    def of(cls, network: RendererNet) -> "RendererAtHalf":
        """The same weights."""
        own = cls(network.config)
        own.load_state_dict(network.state_dict())
        return own

    def forward(
        self, picture: Float[Tensor, "batch 9 128 128"], condition: Float[Tensor, "batch 111"]
    ) -> tuple[Float[Tensor, "batch 2 128 128"], Float[Tensor, "batch 3 128 128"]]:
        """See :meth:`RendererNet.at_half`."""
        return self.at_half(picture, condition)


class Drawings(nn.Module):
    """What each emotion draws on a face: light, shadow and movement, coarse and symmetric.

    One drawing an emotion, on half of the canonical face, the same for everybody: what encoders
    and nets ask of pixels can be given here without painting what only they see. Given a free
    network they take bruises for disgust and one wide eye for surprise.
    """

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.Parameter(torch.zeros(len(Emotion), 3, DRAWN_ROWS, DRAWN_COLUMNS))
        """Shade, movement away from the middle, movement downwards; before their bounds."""

    def forward(
        self, position: Float[Tensor, "batch 2 side side"], emotion: Float[Tensor, "batch 7"]
    ) -> tuple[Float[Tensor, "batch 2 side side"], Float[Tensor, "batch 1 side side"]]:
        """Movement, crop pixels, and logarithm of the brightness.

        Args:
            position: On the canonical face, head space.
            emotion: The condition's.
        """
        mixed = torch.einsum("be,ekrc->bkrc", emotion, torch.tanh(self.cells))
        x, y = position[:, 0], position[:, 1]
        down = 2 * (y - DRAWN_TOP) / (DRAWN_BOTTOM - DRAWN_TOP) - 1
        grid = torch.stack([2 * x.abs() / DRAWN_SIDE - 1, down], dim=1)
        # Its cells are coarser than every second pixel, and reading them is slow.
        places = functional.avg_pool2d(grid, 2).permute(0, 2, 3, 1)
        drawn = _double(
            functional.grid_sample(mixed, places, padding_mode="border", align_corners=True)
        )
        inside = _fade(x / FACE_REACH[0], (y - FACE_MIDDLE_Y) / FACE_REACH[1])
        eye_x = (x.abs() - EYE_MIDDLE[0]) / EYE_REACH[0]
        off_the_eyes = 1 - _fade(eye_x, (y - EYE_MIDDLE[1]) / EYE_REACH[1])
        side = torch.tanh(x / 0.05)
        flow = DRAWN_FLOW_PX * torch.stack([drawn[:, 1] * side, drawn[:, 2]], dim=1)
        bare = off_the_eyes[:, None] * _off_the_lips(position, MOUTH_REACH)
        shown = bare * inside[:, None]
        shade = DRAWN_SHADE * drawn[:, :1] * shown
        # Darker here is lighter there: the face keeps the light of neck and ears.
        mean = shade.sum(dim=(2, 3), keepdim=True) / (shown.sum(dim=(2, 3), keepdim=True) + 1)
        return flow * inside[:, None], shade - mean * shown

    def roughness(self) -> Float[Tensor, ""]:
        """How much cells differ from their neighbours, and from nothing, squared."""
        down, across = self.cells.diff(dim=2), self.cells.diff(dim=3)
        return down.square().mean() + across.square().mean() + 0.02 * self.cells.square().mean()


def convolve_squares(
    convolution: nn.Conv2d, values: Float[Tensor, "batch channels height width"]
) -> Float[Tensor, "batch out height/2 width/2"]:
    """``convolution(pixel_unshuffle(values, 2))``, written so that ONNX Runtime is quick at it.

    It has one step for squares by offset, then channel, and a slow turn of six axes for the order
    in which the weights are stored: channel, then offset.
    """
    squares = torch.cat([values[:, :, y::2, x::2] for y in (0, 1) for x in (0, 1)], dim=1)
    stored = convolution.weight
    weight = stored.reshape(len(stored), -1, 4, *stored.shape[2:]).transpose(1, 2).flatten(1, 2)
    return functional.conv2d(squares, weight, convolution.bias, padding=convolution.padding)


def _double(values: Tensor) -> Tensor:
    """Twice the size."""
    return functional.interpolate(values, scale_factor=2.0, mode="bilinear", align_corners=False)


def _fade(
    x: Float[Tensor, "batch height width"], y: Float[Tensor, "batch height width"]
) -> Float[Tensor, "batch height width"]:
    """1 in the middle of an ellipse with axes of 1, 0 from its rim on."""
    return ((1 - (x.square() + y.square() + 1e-6).sqrt()) / FADE).clamp(0, 1)


def _off_the_lips(
    position: Float[Tensor, "batch 2 height width"], reach: tuple[float, float]
) -> Float[Tensor, "batch 1 height width"]:
    """0 in an ellipse around where the lips meet, 1 from half an ellipse further out."""
    x, y = position[:, :1] / reach[0], (position[:, 1:] - LIPS_Y) / reach[1]
    return ((x.square() + y.square() - 1) / LIPS_FADE).clamp(0, 1)


class Block(nn.Module):
    """Convolution, norm, scaled and shifted by the condition (FiLM)."""

    def __init__(self, into: int, out: int, stride: int = 1) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(into, out, 3, stride, 1)
        self.norm = nn.GroupNorm(GROUPS, out)
        self.film = nn.Linear(96, 2 * out)

    def forward(
        self, x: Float[Tensor, "batch into height width"], told: Float[Tensor, "batch 96"]
    ) -> Float[Tensor, "batch out rows columns"]:
        """The next feature map.

        Args:
            x: A feature map.
            told: The condition.
        """
        scale, shift = self.film(told)[:, :, None, None].chunk(2, dim=1)
        return functional.silu(self.norm(self.convolution(x)) * (1 + scale) + shift)
