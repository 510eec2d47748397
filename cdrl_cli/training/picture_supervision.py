"""The paper's regularisation at full size (section 3.4): CERL and CCRL look at rendered faces.

CERL sees an edit through CLIP and says whether it has moved from neutral to the emotion; CCRL sees
it through ArcFace's third stage and says whether the mouth still says the same.
"""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from cdrl_cli.array_types import Float
from cdrl_cli.checkpoints.trained import ContentModels, EmotionModels
from cdrl_cli.data.faces import MOMENTS
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UsageError
from cdrl_cli.representation.arcface import ArcFacePrior, resize_faces
from cdrl_cli.representation.clip_prior import FEATURES, ClipPrior
from cdrl_cli.training.recipes import GeneratorLossConfig
from cdrl_cli.training.requests import Edits
from cdrl_cli.training.steps import Loss

ContentForm = Literal["cosine", "log"]
"""1 - cosine, or the paper's -log cosine, which begins to pull where two codes are apart most."""

LEAST_COSINE = 1e-3
"""Below which the paper's logarithm is not asked further."""


@dataclass(frozen=True, slots=True)
class PictureSupervision:
    """Both encoders with the priors that they see through, frozen."""

    emotion: EmotionModels
    clip: ClipPrior
    content: ContentModels
    arcface: ArcFacePrior
    form: ContentForm = "cosine"

    def __post_init__(self) -> None:
        if self.emotion.encoder.config.features != FEATURES:
            raise UsageError("the emotion encoder does not see through CLIP", hint='prior = "clip"')
        if self.content.content.config.image != "arcface":
            raise UsageError(
                "the content encoder does not see through ArcFace",
                hint='[model] image = "arcface" in the recipe of CCRL',
            )

    def to(self, device: torch.device | str) -> "PictureSupervision":
        """The same with its networks moved to a device."""
        for network in (self.emotion.encoder, self.clip, self.content.content, self.arcface):
            network.to(device)
        return replace(self, emotion=replace(self.emotion, labels=self.emotion.labels.to(device)))

    def emotion_loss(
        self,
        edited: Float[Tensor, "crops 3 256 256"],
        source: Float[Tensor, "crops 3 256 256"],
        edits: Edits,
    ) -> Float[Tensor, ""]:
        """1 - cosine of what CERL reads of the edits with the label that is asked for.

        What CLIP sees is measured from the source's own crops where they are neutral, so that who
        it is drops out; else from the neutral prior.
        """
        seen = self.clip.encode_pictures(edited)
        prior = torch.from_numpy(self.emotion.neutral).to(edited.device)
        with torch.no_grad():
            own = self.clip.encode_pictures(source)
        calm = torch.tensor(
            [
                clip.clip.emotion is Emotion.NEUTRAL
                for moments in edits.moments
                for clip, _ in moments
            ],
            device=edited.device,
        )
        differences = seen - torch.where(calm[:, None], own, prior)
        shown = differences.view(-1, MOMENTS, FEATURES)
        read = self.emotion.encoder(shown)
        wanted = self.emotion.labels[edits.classes.to(edited.device)]
        return (1 - (read * wanted).sum(dim=1)).mean()

    def content_loss(
        self,
        edited: Float[Tensor, "crops 3 256 256"],
        source: Float[Tensor, "crops 3 256 256"],
        edits: Edits,
    ) -> Float[Tensor, ""]:
        """How far the content features of an edit's moments are from their source's.

        Features are centred over the moments of an edit, as the encoder centres a window: what does
        not move, such as the person and the emotion, drops out. Stills say nothing, and cost
        nothing.
        """
        talking = edits.of_clips
        if not talking.any():
            return 0 * edited.sum()
        chosen = talking.repeat_interleave(MOMENTS).to(edited.device)
        with torch.no_grad():
            meant = self._features(source[chosen])
        said = self._features(edited[chosen])
        alike = functional.cosine_similarity(said, meant, dim=2)
        if self.form == "log":
            return -alike.clamp(min=LEAST_COSINE).log().mean()
        return (1 - alike).mean()

    def _features(
        self, crops: Float[Tensor, "crops 3 256 256"]
    ) -> Float[Tensor, "edits moments width"]:
        content = self.content.content
        maps = self.arcface(resize_faces(crops.clamp(0, 1), content.config.image_side))
        (features,) = content.features(maps.view(-1, MOMENTS, *maps.shape[1:]), None)
        return features


def picture_losses(
    pictures: PictureSupervision,
    edited: Float[Tensor, "crops 3 256 256"],
    source: Float[Tensor, "crops 3 256 256"],
    edits: Edits,
    weights: GeneratorLossConfig,
) -> list[Loss]:
    """What CERL and CCRL at the paper's size say of an edit; a term of weight 0 is left out."""
    losses = []
    if weights.picture_emotion:
        felt = pictures.emotion_loss(edited, source, edits)
        losses.append(Loss("picture emotion", felt, weights.picture_emotion))
    if weights.picture_content:
        said = pictures.content_loss(edited, source, edits)
        losses.append(Loss("picture content", said, weights.picture_content))
    return losses
