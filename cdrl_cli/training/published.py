"""Published networks as an edit runs them: converted to ONNX, nothing learned.

Two expression nets (face-api's and FER's, both MIT) and the three networks of MediaPipe's face
landmarker (Apache-2.0): its detector, its landmarks, and from these to coefficients.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from cdrl_cli.array_types import Float
from cdrl_cli.checkpoints.export import export_network
from cdrl_cli.checkpoints.load import find_weights
from cdrl_cli.emotion import Emotion
from cdrl_cli.face.coefficients import POINTS
from cdrl_cli.representation.expression_nets import COLOUR_SIDE, GREY_SIDE
from cdrl_cli.training.coefficients import read_coefficient_network
from cdrl_cli.training.landmarker import convert_landmarker
from cdrl_cli.training.teachers.emotion import FaceApi, MiniXception

NETS_FILE, COEFFICIENTS_FILE = "expression-nets.onnx", "coefficients.onnx"
"""Names of the files that are written: the two expression nets, and the network to coefficients."""


class BothNets(nn.Module):
    """Face-api's net and FER's, side by side, in the order of :class:`Emotion`."""

    sharpness: float = 1.0
    """Factor of the logits: 1 as published."""

    def __init__(self, face_api: FaceApi, xception: MiniXception) -> None:
        super().__init__()
        self.face_api, self.xception = face_api, xception

    @classmethod
    def published(cls) -> "BothNets":
        """Both as their authors published them.

        Raises:
            WeightsError: If they have not been brought (``download-weights guides``).
        """
        find_weights("guide-face-api-layout")
        return cls(
            FaceApi(find_weights("guide-face-api").parent),
            MiniXception(find_weights("guide-xception")),
        )

    def forward(
        self, colour: Float[Tensor, "looks 3 112 112"], grey: Float[Tensor, "looks 1 64 64"]
    ) -> Float[Tensor, "looks 2 7"]:
        """Log probabilities.

        Args:
            colour: Squares around the landmarks, sRGB 0..1.
            grey: The same, smaller.
        """
        told = []
        for net, picture in ((self.face_api, colour), (self.xception, grey.expand(-1, 3, -1, -1))):
            places = [net.order.index(emotion.value) for emotion in Emotion]
            logits = net.read(picture)[:, places]
            if self.sharpness != 1:
                logits = self.sharpness * logits
            told.append(torch.log_softmax(logits, dim=1))
        return torch.stack(told, dim=1)


def write_nets(path: Path, nets: BothNets, *, facts: Mapping[str, str]) -> None:
    """Write both nets as an edit runs them.

    Args:
        path: An ONNX file.
        nets: The nets.
        facts: What the file says of itself.
    """
    export_network(
        path,
        nets,
        [torch.zeros(2, 3, COLOUR_SIDE, COLOUR_SIDE), torch.zeros(2, 1, GREY_SIDE, GREY_SIDE)],
        inputs=["colour", "grey"],
        outputs=["judged"],
        dynamic={"colour": {0: "looks"}, "grey": {0: "looks"}},
        facts=facts,
        half=True,
    )


def convert_published(folder: Path) -> list[Path]:
    """Write the files into a folder.

    Raises:
        WeightsError: If the nets have not been brought (``download-weights guides
            face-landmarker``).
        UsageError: If LiteRT is not installed.
    """
    bundle = find_weights("face-landmarker")
    folder.mkdir(parents=True, exist_ok=True)
    facts = {"recipe": "spfem train published", "licence": "MIT"}
    write_nets(folder / NETS_FILE, BothNets.published(), facts=facts)
    export_network(
        folder / COEFFICIENTS_FILE,
        read_coefficient_network(bundle),
        [torch.rand(2, len(POINTS), 2)],
        inputs=["points"],
        outputs=["coefficients"],
        dynamic={"points": {0: "faces"}},
        facts={"recipe": "spfem train published", "licence": "Apache-2.0"},
        half=True,
    )
    return [
        folder / NETS_FILE,
        folder / COEFFICIENTS_FILE,
        *convert_landmarker(bundle, folder),
    ]
