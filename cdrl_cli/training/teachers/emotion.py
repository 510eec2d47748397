"""Guides: two published emotion nets, rebuilt in torch so that their slope can be followed.

They look at rendered faces during training of the generator, where the expression coefficients
are blind (a wrinkled nose, a fold, a shadow). Neither is the judge of the evaluation, and neither
is needed to run an edit. Their files come from packages (``weights/renderer.md`` says which).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from cdrl_cli.array_types import Float, Float32
from cdrl_cli.checkpoints.load import find_weights
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import WeightsError
from cdrl_cli.representation.appearance import MEAN_RGB, ORDER, SIDE

_XCEPTION: Final = ("angry", "disgusted", "fear", "happy", "sad", "surprised", "neutral")
_TRUST_FACE_API: Final = {
    Emotion.ANGRY: 0.4, Emotion.DISGUSTED: 1.0, Emotion.FEAR: 0.1, Emotion.HAPPY: 1.0,
    Emotion.SAD: 1.0, Emotion.SURPRISED: 1.0,
}  # fmt: skip
_TRUST_XCEPTION: Final = {
    Emotion.ANGRY: 1.0, Emotion.DISGUSTED: 0.1, Emotion.FEAR: 1.0, Emotion.HAPPY: 1.0,
    Emotion.SAD: 1.0, Emotion.SURPRISED: 0.6,
}  # fmt: skip
"""About the share of acted clips that each reads right: one hardly knows fear, the other hardly
disgust."""


def open_guides() -> list[tuple["Guide", Mapping[Emotion, float]]]:
    """Both, each with how far it is to be trusted about an emotion, 0..1.

    Raises:
        WeightsError: If their weights have not been brought (``download-weights guides``).
    """
    find_weights("guide-face-api-layout")
    return [
        (FaceApi(find_weights("guide-face-api").parent), _TRUST_FACE_API),
        (MiniXception(find_weights("guide-xception")), _TRUST_XCEPTION),
    ]


class Guide(nn.Module):
    """What both have in common: faces in, logits in the order of :class:`Emotion` out."""

    side: int
    """Of the picture it takes, pixels."""
    order: tuple[str, ...]
    """Emotions, as its last layer has them."""

    def forward(self, faces: Float[Tensor, "batch 3 side side"]) -> Float[Tensor, "batch 7"]:
        """Logits.

        Args:
            faces: Tight square crops, sRGB 0..1, of any size.
        """
        picture = functional.interpolate(
            faces, (self.side, self.side), mode="bilinear", antialias=True, align_corners=False
        )
        places = [self.order.index(emotion.value) for emotion in Emotion]
        return self.read(picture)[:, places]

    def read(self, picture: Float[Tensor, "batch 3 side side"]) -> Float[Tensor, "batch 7"]:
        """Logits in its own order."""
        raise NotImplementedError


class ExpressionNet(nn.Module):
    """The expression net of face-api: :meth:`AppearanceReader.judge`, with a slope.

    Args:
        weights: Under face-api's names and in its layout (height, width, inputs, outputs).
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.weights = nn.ParameterDict(
            {
                name.replace(".", "_"): nn.Parameter(value, requires_grad=False)
                for name, value in weights.items()
            }
        )

    def forward(self, picture: Float[Tensor, "batch 3 112 112"]) -> Float[Tensor, "batch 7"]:
        """Logits in the order of :data:`ORDER`, of tight square crops, sRGB 0..1."""
        mean = picture.new_tensor(MEAN_RGB).view(1, 3, 1, 1)
        x = (255 * picture - mean) / 255
        for block in range(4):
            first = functional.relu(self._convolve(x, f"dense{block}/conv0", 2))
            total = first
            for layer in (1, 2, 3):
                fed = first if layer == 1 else functional.relu(total)
                total = total + self._convolve(fed, f"dense{block}/conv{layer}", 1)
            x = functional.relu(total)
        return x.mean(dim=(2, 3)) @ self.weights["fc/weights"] + self.weights["fc/bias"]

    def _convolve(
        self, x: Float[Tensor, "batch inputs height width"], name: str, stride: int
    ) -> Float[Tensor, "batch outputs rows columns"]:
        if stride == 2 and x.shape[-1] % 2 == 0:  # noqa: PLR2004 - TensorFlow's "same"
            x, padding = functional.pad(x, (0, 1, 0, 1)), 0
        else:
            padding = 1
        bias = self.weights[f"{name}/bias"]
        if f"{name}/filters" in self.weights:
            kernel = self.weights[f"{name}/filters"].permute(3, 2, 0, 1)
            return functional.conv2d(x, kernel, bias, stride, padding)
        depth = self.weights[f"{name}/depthwise_filter"].permute(2, 3, 0, 1)
        point = self.weights[f"{name}/pointwise_filter"].permute(3, 2, 0, 1)
        x = functional.conv2d(x, depth, None, stride, padding, groups=x.shape[1])
        return functional.conv2d(x, point, bias)


class FaceApi(Guide):
    """The expression net of face-api (MIT), see :mod:`cdrl_cli.representation.appearance`."""

    side = SIDE
    order = ORDER

    def __init__(self, folder: Path) -> None:
        super().__init__()
        weights = read_face_api(folder)
        self.net = ExpressionNet({name: torch.from_numpy(one) for name, one in weights.items()})

    def read(self, picture: Float[Tensor, "batch 3 112 112"]) -> Float[Tensor, "batch 7"]:
        """See :class:`Guide`."""
        told: Tensor = self.net(picture)
        return told


class MiniXception(Guide):
    """FER's mini-Xception (MIT), on 64 x 64 grey."""

    side = 64
    order = _XCEPTION

    def __init__(self, file: Path) -> None:
        super().__init__()
        weights = _read_keras(file)
        self.stem = nn.Sequential(
            *_convolution(weights, "conv2d_1"),
            _norm(weights, 1),
            nn.ReLU(),
            *_convolution(weights, "conv2d_2"),
            _norm(weights, 2),
            nn.ReLU(),
        )
        self.shortcuts, self.modules_ = nn.ModuleList(), nn.ModuleList()
        for number in range(4):
            norm, sep = 3 + 3 * number, 1 + 2 * number
            self.shortcuts.append(
                nn.Sequential(
                    *_convolution(weights, f"conv2d_{3 + number}", stride=2), _norm(weights, norm)
                )
            )
            self.modules_.append(
                nn.Sequential(
                    *_separable(weights, sep),
                    _norm(weights, norm + 1),
                    nn.ReLU(),
                    *_separable(weights, sep + 1),
                    _norm(weights, norm + 2),
                )
            )
        self.last = _convolution(weights, "conv2d_7", padding=1)[0]
        self.requires_grad_(requires_grad=False).eval()

    def read(self, picture: Float[Tensor, "batch 3 64 64"]) -> Float[Tensor, "batch 7"]:
        """See :class:`Guide`."""
        x = self.stem(2 * luma(picture) - 1)
        for shortcut, module in zip(self.shortcuts, self.modules_, strict=True):
            y = module(x)
            # TensorFlow's "same": what an even side lacks is added at its end.
            y = functional.pad(y, (0, 1, 0, 1) if y.shape[-1] % 2 == 0 else (1,) * 4, value=-1e9)
            x = functional.max_pool2d(y, 3, 2) + shortcut(x)
        return self.last(x).mean(dim=(2, 3))


def luma(image: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 1 height width"]:
    """Grey of an sRGB picture (BT.601)."""
    shares = image.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    return (image * shares).sum(dim=1, keepdim=True)


def read_face_api(folder: Path) -> dict[str, Float32[np.ndarray, "..."]]:
    """Weights of face-api: bytes with a scale and a minimum each."""
    try:
        manifest = json.loads(
            (folder / "face_expression_model-weights_manifest.json").read_text("utf-8")
        )
        data = (folder / "face_expression_model.bin").read_bytes()
    except OSError as error:
        raise WeightsError(
            f"{folder}: no weights of face-api's expression net ({error.strerror})"
        ) from error
    weights, offset = {}, 0
    for entry in manifest[0]["weights"]:
        count = int(np.prod(entry["shape"]))
        quantised: Mapping[str, Any] | None = entry.get("quantization")
        kind = np.dtype(np.uint8 if quantised else np.float32)
        raw = np.frombuffer(data, kind, count, offset).astype(np.float32)
        offset += count * kind.itemsize
        value = raw * quantised["scale"] + quantised["min"] if quantised else raw
        weights[entry["name"]] = value.reshape(entry["shape"]).copy()
    return weights


def _read_keras(file: Path) -> dict[str, Tensor]:
    import h5py  # of the extra [train]

    weights: dict[str, Tensor] = {}
    try:
        with h5py.File(file) as stored:

            def visit(name: str, node: Any) -> None:
                if isinstance(node, h5py.Dataset):
                    layer, *_, kind = name.removesuffix(":0").split("/")
                    weights[f"{layer}/{kind}"] = torch.from_numpy(np.asarray(node, np.float32))

            stored["model_weights"].visititems(visit)
    except OSError as error:
        raise WeightsError(f"{file}: no weights of mini-Xception ({error})") from error
    return weights


def _convolution(
    weights: Mapping[str, Tensor], name: str, *, stride: int = 1, padding: int = 0
) -> list[nn.Module]:
    kernel = weights[f"{name}/kernel"].permute(3, 2, 0, 1).contiguous()
    bias = weights.get(f"{name}/bias")
    out, into, side, _ = kernel.shape
    layer = nn.Conv2d(into, out, side, stride, padding, bias=bias is not None)
    layer.weight = nn.Parameter(kernel)
    if bias is not None:
        layer.bias = nn.Parameter(bias)
    return [layer]


def _separable(weights: Mapping[str, Tensor], number: int) -> list[nn.Module]:
    name = f"separable_conv2d_{number}"
    depth = weights[f"{name}/depthwise_kernel"].permute(2, 3, 0, 1).contiguous()
    point = weights[f"{name}/pointwise_kernel"].permute(3, 2, 0, 1).contiguous()
    channels, out = depth.shape[0], point.shape[0]
    first = nn.Conv2d(channels, channels, 3, 1, 1, groups=channels, bias=False)
    second = nn.Conv2d(channels, out, 1, bias=False)
    first.weight, second.weight = nn.Parameter(depth), nn.Parameter(point)
    return [first, second]


def _norm(weights: Mapping[str, Tensor], number: int) -> nn.BatchNorm2d:
    name = f"batch_normalization_{number}"
    layer = nn.BatchNorm2d(len(weights[f"{name}/gamma"]), eps=1e-3)
    layer.weight = nn.Parameter(weights[f"{name}/gamma"])
    layer.bias = nn.Parameter(weights[f"{name}/beta"])
    layer.running_mean = weights[f"{name}/moving_mean"]
    layer.running_var = weights[f"{name}/moving_variance"]
    return layer
