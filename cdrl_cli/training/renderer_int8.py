r"""The renderer's network in few, large steps, its convolutions in int8. Nothing is learned.

ONNX Runtime takes time for each step and for each pass over memory, not only for the sums. So the
graph that an edit runs where the processor multiplies bytes is written step by step, from the
weights of the float network (:class:`~cdrl_cli.generator.unet.RendererNet`), which says what is
computed:

- A group norm with its own scale and shift and those of the condition (FiLM) is a norm and one
  step by channel: :math:`(w \hat x + b)(1 + s) + t = A \hat x + B`. One product of the condition
  gives :math:`A` and :math:`B` of all blocks.
- Bytes lie channels last, as convolutions in int8 want them. There a picture is enlarged, too:
  bilinear interpolation at twice the size is each pixel four times, then means of three by three
  with weights 1, 2, 1.
- The last convolution is one product of bytes, for ONNX Runtime has no other whose
  answer is in single precision: it would be cut off where it is larger than in calibration.
- The ellipses around face, eyes, lips and mouth come from one product of the position's squares.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cdrl_cli.array_types import Float32
from cdrl_cli.face.alignment import CROP_SIZE
from cdrl_cli.face.blendshapes import COEFFICIENTS
from cdrl_cli.generator import unet
from cdrl_cli.training.calibration import ByteRange
from cdrl_cli.training.onnx_graph import RUNTIMES_OWN, OnnxGraph


def write_int8(
    path: Path,
    network: unet.RendererNet,
    ranges: Mapping[str, ByteRange],
    *,
    facts: Mapping[str, str],
) -> None:
    """Write a renderer's twin in int8; it appears under its name when it is whole.

    It is asked, and answers, as what :func:`~cdrl_cli.checkpoints.trained.write_renderer` writes.

    Args:
        path: ``renderer-…-int8.onnx``.
        network: The float network.
        ranges: Of :func:`~cdrl_cli.training.calibration.measure_ranges`.
        facts: Metadata: texts by name.
    """
    graph = _Graph({k: v.numpy(force=True) for k, v in network.state_dict().items()}, ranges)
    graph.build(len(network.config.widths))
    side = CROP_SIZE // 2
    inputs = {"picture": (1, unet.CHANNELS, side, side), "condition": (1, unet.CONDITION)}
    outputs = {"flow": (1, 2, side, side), "colour": (1, 3, side, side)}
    graph.write(path, inputs, outputs, facts=facts)


class _Graph(OnnxGraph):
    """An ONNX graph under construction.

    Convention: floats are batch, channels, height, width; bytes are batch, height, width, channels.
    """

    def __init__(
        self, weights: Mapping[str, NDArray[Any]], ranges: Mapping[str, ByteRange]
    ) -> None:
        super().__init__()
        self._weights = weights
        self._ranges = dict(ranges)
        self._films: dict[str, tuple[str, str]] = {}

    def build(self, levels: int) -> None:
        """All of it.

        Args:
            levels: How often the picture is halved, the first layer's squares included.
        """
        blocks = [f"{part}.{k}" for k in range(levels) for part in ("halve", "refine")]
        blocks += [f"up.{k}" for k in range(levels - 1)]
        self._tell(blocks)
        # What is enlarged and what was kept at that size go as bytes into one convolution.
        for k in range(levels - 1):
            below = f"up.{k - 1}" if k else f"refine.{levels - 1}"
            self._share_range(below, f"refine.{levels - 2 - k}")
        side = CROP_SIZE // 4
        x = self._convolve(self._squares(), "first", "picture")
        given = "first"
        kept = []
        for k in range(levels):
            stride = 1 + (k > 0)
            side //= stride
            x = self._block(x, f"halve.{k}", given, side, stride=stride)
            x = self._block(x, f"refine.{k}", f"halve.{k}", side)
            given = f"refine.{k}"
            kept.append(x)
        x = kept.pop()
        for k in range(levels - 1):
            wide = self.node("Concat", [self._enlarge(x, given, side), kept.pop()], axis=3)
            side *= 2
            x = self._block(wide, f"up.{k}", given, side)
            given = f"up.{k}"
        self._answer(self._convolve_in_full(x, given, side))

    def _share_range(self, *names: str) -> None:
        ranges = [self._ranges[name] for name in names]
        low = min(-float(one.scale) * int(one.zero) for one in ranges)
        high = max(float(one.scale) * (255 - int(one.zero)) for one in ranges)
        for name in names:
            self._ranges[name] = ByteRange.of(low, high)

    def _tell(self, blocks: list[str]) -> None:
        """What the condition says to each block: a factor and a summand for each channel."""
        w = self._weights
        into, out = w["condition.2.weight"], w["condition.2.bias"]
        rows, offsets, sizes = [], [], []
        for block in blocks:
            own, shift = w[f"{block}.norm.weight"], w[f"{block}.norm.bias"]
            film, base = w[f"{block}.film.weight"], w[f"{block}.film.bias"]
            count = len(own)
            rows += [own[:, None] * film[:count], shift[:, None] * film[:count] + film[count:]]
            offsets += [own * (1 + base[:count]), shift * (1 + base[:count]) + base[count:]]
            sizes += [count, count]
        film = np.concatenate(rows)
        told = self.node(
            "Gemm",
            ["condition", *self.constants(w["condition.0.weight"], w["condition.0.bias"])],
            transB=1,
        )
        told = self.node("QuickGelu", [told], domain=RUNTIMES_OWN, alpha=1.0)
        # No activation lies between the condition's second layer and the blocks'.
        biases = film @ out + np.concatenate(offsets)
        told = self.node("Gemm", [told, *self.constants(film @ into, biases)], transB=1)
        parts = self.split(self.reshape(told, -1), *sizes, axis=0)
        self._films = dict(zip(blocks, zip(parts[::2], parts[1::2], strict=True), strict=True))

    def _squares(self) -> str:
        """Squares of two by two pixels as channels: offset, then channel."""
        side = CROP_SIZE // 4
        x = self.node("QuantizeLinear", ["picture", *self._range("picture")])
        x = self.node("Transpose", [x], perm=[0, 2, 3, 1])
        pairs = self.split(self.reshape(x, side, 2, side, 2 * unet.CHANNELS), 1, 1)
        return self.reshape(self.node("Concat", pairs, axis=3), 1, side, side, 4 * unet.CHANNELS)

    def _block(self, x: str, name: str, given: str, side: int, *, stride: int = 1) -> str:
        """Convolution, norm, condition, SiLU; bytes in and out."""
        x = self._convolve(x, f"{name}.convolution", given, stride=stride)
        x = self.node("Transpose", [x], perm=[0, 3, 1, 2])
        x = self.node("DequantizeLinear", [x, *self._range(f"{name}.convolution")])
        ones, zeros = np.ones(unet.GROUPS, np.float32), np.zeros(unet.GROUPS, np.float32)
        x = self.reshape(x, 1, unet.GROUPS, -1)
        x = self.node("InstanceNormalization", [x, *self.constants(ones, zeros)], epsilon=1e-5)
        count = len(self._weights[f"{name}.norm.weight"])
        x = self.reshape(x, 1, count, side, side)
        ones, zeros = np.ones(count, np.float32), np.zeros(count, np.float32)
        # Its mean is 0 and its variance 1 already: this is one pass that multiplies and adds.
        x = self.node(
            "BatchNormalization",
            [x, *self._films[name], *self.constants(zeros, ones)],
            epsilon=0.0,
        )
        x = self.node("QuickGelu", [x], domain=RUNTIMES_OWN, alpha=1.0)
        x = self.node("QuantizeLinear", [x, *self._range(name)])
        return self.node("Transpose", [x], perm=[0, 2, 3, 1])

    def _convolve(self, x: str, name: str, given: str, *, stride: int = 1) -> str:
        weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        if name == "first":
            weight = weight.reshape(len(weight), -1, 4, *weight.shape[2:])
            weight = weight.transpose(0, 2, 1, 3, 4).reshape(len(weight), -1, *weight.shape[3:])
        levels, scales = _in_bytes(weight)
        steps = self._ranges[given].scale * scales
        return self.node(
            "QLinearConv",
            [
                x,
                *self._range(given),
                *self.constants(levels, scales, np.zeros(len(weight), np.int8)),
                *self._range(name),
                self.constant(np.rint(bias / steps).astype(np.int32)),
            ],
            domain=RUNTIMES_OWN,
            channels_last=1,
            kernel_shape=[3, 3],
            pads=[1, 1, 1, 1],
            strides=[stride, stride],
        )

    def _enlarge(self, x: str, name: str, side: int) -> str:
        """Twice the size, bilinear."""
        count = len(self._weights[f"{name}.norm.weight"])
        wide = side + 2
        x = self.pad(x)
        x = self.reshape(x, wide, 1, wide, 1, count)
        x = self.node("Expand", [x, self.constant(np.array([wide, 2, wide, 2, count], np.int64))])
        x = self.reshape(x, 1, 2 * wide, 2 * wide, count)
        x = self.slice(x, {1: (1, 2 * wide - 1), 2: (1, 2 * wide - 1)})
        weights = np.tile(np.outer([1, 2, 1], [1, 2, 1]).astype(np.int8), (count, 1, 1, 1))
        return self.node(
            "QLinearConv",
            [
                x,
                *self._range(name),
                *self.constants(weights, np.float32(1 / 16), np.int8(0)),
                *self._range(name),
            ],
            domain=RUNTIMES_OWN,
            channels_last=1,
            group=count,
            kernel_shape=[3, 3],
        )

    def _convolve_in_full(self, x: str, given: str, side: int) -> str:
        """The last convolution: bytes in, floats out; batch, channels, twice the height and width.

        The three by three pixels around each, times weights.
        """
        weight, bias = self._weights["last.weight"], self._weights["last.bias"]
        count, channels = len(weight) // 4, weight.shape[1]
        # From channel, then offset in a square of two by two pixels, to offset, then channel.
        weight = weight.reshape(count, 4, -1).transpose(1, 0, 2).reshape(weight.shape)
        bias = bias.reshape(count, 4).T.reshape(-1)
        levels, scales = _in_bytes(weight)
        x = self.pad(x, self._ranges[given].zero)
        beside = [self.slice(x, {2: (k, k + side)}) for k in range(3)]
        x = self.node("Concat", beside, axis=3)
        x = self.node("Concat", [self.slice(x, {1: (k, k + side)}) for k in range(3)], axis=3)
        x = self.reshape(x, side * side, 9 * channels)
        step, zero = self._range(given)
        columns = levels.transpose(2, 3, 1, 0).reshape(9 * channels, 4 * count)
        factors, none = self.constants(scales, np.zeros(4 * count, np.int8))
        inputs = [x, self.constant(columns), step, factors, zero, none, self.constant(bias)]
        x = self.node("MatMulIntegerToFloat", inputs, domain=RUNTIMES_OWN)
        half = 2 * count
        rows = [self.reshape(one, side, 1, side * half) for one in self.split(x, half, half)]
        x = self.node("Concat", rows, axis=1)
        x = self.reshape(x, 4 * side * side, count)
        x = self.node("Transpose", [x], perm=[1, 0])
        return self.reshape(x, 1, count, 2 * side, 2 * side)

    def _answer(self, x: str) -> None:
        """Flow and colour: what the last layer says, and the drawings, where they may show."""
        place = self.slice("picture", {1: (6, 8)})
        across, down = self.split(place, 1, 1)
        away_down = self.node("Concat", [self.node("Abs", [across]), down], axis=1)
        outside, off_the_eyes, off_the_lips, off_the_mouth = self._ellipses(place, away_down)
        one = self.constant(np.float32(1))
        inside = self.node("Sub", [one, outside])
        drawn_shade, drawn_away, drawn_down = self.split(self._drawn(away_down), 1, 1, 1)

        side = self.node("Tanh", [self.node("Mul", [across, self.constant(np.float32(20))])])
        steps = [self.node("Mul", [drawn_away, side]), drawn_down]
        flow = self.node("Mul", [self.node("Concat", steps, axis=1), inside])
        moved, *shade_and_tint = self.split(x, 2, 1, 3)
        flow = self.node("Tanh", [self.node("Add", [moved, flow])])

        bare = self.node("Mul", [off_the_eyes, off_the_mouth])
        shown = self.node("Mul", [bare, inside])
        drawn = self.node("Mul", [drawn_shade, shown])
        sums = [self.node("ReduceSum", [values]) for values in (drawn, shown)]
        mean = self.node("Div", [sums[0], self.node("Add", [sums[1], one])])
        drawn = self.node("Sub", [drawn, self.node("Mul", [mean, shown])])
        lit = self.node("Sub", [self.node("Exp", [drawn]), one])

        # In units of the most tint: shade, tint, and (1 + picture) / 2 times the light.
        most_shade, half, unit = self.constants(
            np.float32(unet.MAX_SHADE / unet.MAX_TINT),
            np.float32(1 / 2 / unet.MAX_TINT),
            np.float32(unet.MAX_TINT),
        )
        shade, tint = (self.node("Tanh", [values]) for values in shade_and_tint)
        lit = self.node("Mul", [lit, half])
        even = self.node("Add", [self.node("Mul", [shade, most_shade]), lit])
        colours = self.node("Mul", [self.slice("picture", {1: (0, 3)}), lit])
        colour = self.node("Add", [self.node("Add", [tint, colours]), even])

        change = self.slice("condition", {1: (COEFFICIENTS, unet.CONDITION)})
        length = self.node("ReduceL2", [change])
        power = self.node("Mul", [length, self.constant(np.float32(-1 / unet.FULL_GATE))])
        gate = self.node("Sub", [one, self.node("Exp", [power])])
        asked = self.node("Mul", [self.slice("picture", {1: (5, 6)}), gate])
        self.node("Mul", [colour, self.node("Mul", [asked, unit])], outputs=["colour"])
        reach = self.node("Mul", [asked, self.constant(np.float32(unet.MAX_FLOW_PX))])
        self.node("Mul", [flow, self.node("Mul", [off_the_lips, reach])], outputs=["flow"])

    def _ellipses(self, place: str, away_down: str) -> list[str]:
        """1 outside of the face, of the eyes, around the lips and around the mouth; 0 within."""
        squares = self.node("Mul", [place, place])
        terms = self.node("Concat", [squares, away_down], axis=1)
        rows, offsets = [], []
        eyes = unet.EYE_MIDDLE
        for (middle_x, middle_y), (reach_x, reach_y), scale, offset in (
            ((0.0, unet.FACE_MIDDLE_Y), unet.FACE_REACH, unet.FADE**-2, 1e-6),
            (eyes, unet.EYE_REACH, unet.FADE**-2, 1e-6),
            ((0.0, unet.LIPS_Y), unet.LIPS_REACH, 1 / unet.LIPS_FADE, -1.0),
            ((0.0, unet.LIPS_Y), unet.MOUTH_REACH, 1 / unet.LIPS_FADE, -1.0),
        ):
            # ((|x| - m) / r)^2 + ((y - n) / s)^2, by x^2, y^2, |x| and y.
            a, b = scale / reach_x**2, scale / reach_y**2
            rows.append([a, b, -2 * a * middle_x, -2 * b * middle_y])
            offsets.append(a * middle_x**2 + b * middle_y**2 + scale * offset)
        side = CROP_SIZE // 2
        named = self.constants(np.array(rows, np.float32), np.array(offsets, np.float32)[:, None])
        terms = self.node("Gemm", [named[0], self.reshape(terms, 4, -1), named[1]])
        terms = self.reshape(terms, 1, 4, side, side)
        face, eye, lips, mouth = self.split(terms, 1, 1, 1, 1)
        rim = self.constant(np.float32(1 - 1 / unet.FADE))
        far = [
            self.node("Add", [self.node("Sqrt", [self.node("Relu", [one])]), rim])
            for one in (face, eye)
        ]
        bounds = self.constants(np.float32(0), np.float32(1))
        return [self.node("Clip", [one, *bounds]) for one in (*far, lips, mouth)]

    def _drawn(self, away_down: str) -> str:
        """Logarithm of the brightness, movement away from the middle and downwards."""
        bounds = [unet.DRAWN_SHADE, *2 * [unet.DRAWN_FLOW_PX / unet.MAX_FLOW_PX]]
        cells = np.tanh(self._weights["drawings.cells"])
        cells = cells * np.array(bounds, np.float32)[:, None, None]
        emotion = self.slice("condition", {1: (2 * COEFFICIENTS, unet.CONDITION)})
        drawing = self.node("MatMul", [emotion, self.constant(cells.reshape(len(cells), -1))])
        drawing = self.reshape(drawing, 1, *cells.shape[1:])
        # Means of two by two pixels of the position, in units of the drawing's half-sides.
        units = [2 / unet.DRAWN_SIDE, 2 / (unet.DRAWN_BOTTOM - unet.DRAWN_TOP)]
        weights = np.zeros((2, 2, 2, 2), np.float32)
        weights[[0, 1], [0, 1]] = np.array(units, np.float32)[:, None, None] / 4
        offsets = np.array([-1, -unet.DRAWN_TOP * units[1] - 1], np.float32)
        named = self.constants(weights, offsets)
        places = self.node("Conv", [away_down, *named], strides=[2, 2])
        places = self.node("Transpose", [places], perm=[0, 2, 3, 1])
        drawn = self.node("GridSample", [drawing, places], padding_mode="border", align_corners=1)
        scales = self.constant(np.array([1, 1, 2, 2], np.float32))
        return self.node("Resize", [drawn, "", scales], mode="linear")

    def _range(self, name: str) -> list[str]:
        return self.constants(self._ranges[name].scale, self._ranges[name].zero)


def _in_bytes(weight: NDArray[Any]) -> tuple[NDArray[Any], Float32[np.ndarray, " out"]]:
    """Weights of a convolution as signed bytes, and what one stands for in each output channel."""
    scales = np.abs(weight).reshape(len(weight), -1).max(axis=1).clip(1e-8) / np.float32(127)
    levels = np.rint(weight / scales.reshape(-1, 1, 1, 1)).astype(np.int8)
    return levels, scales.astype(np.float32)
