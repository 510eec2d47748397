"""What is frozen while the generator learns, and what it has to say of an edit.

Moments of a clip, or photographs, are edited to an emotion, which has no real target: the paper's
regularisation (section 3.4) asks frozen encoders instead. CERL says whether the emotion has
arrived, CCRL whether the mouth says the same.

Differs from the paper: two published emotion nets look too, CERL also reads the coefficients that
are asked for, and SFace holds the edit to the person.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from cdrl_cli.array_types import Float, Int, Shaped
from cdrl_cli.checkpoints.trained import ContentModels, EmotionModels
from cdrl_cli.data.faces import MOMENTS, FaceBatch
from cdrl_cli.emotion import Emotion
from cdrl_cli.face.alignment import CROP_SIZE
from cdrl_cli.face.blendshapes import MOUTH_COEFFICIENTS
from cdrl_cli.face.landmarks import MESH_LANDMARKS
from cdrl_cli.preparation import MOUTH_REACH_PX
from cdrl_cli.representation.ccrl import CROP_SIDE
from cdrl_cli.training.picture_supervision import PictureSupervision
from cdrl_cli.training.requests import Edits
from cdrl_cli.training.teachers.emotion import Guide, luma
from cdrl_cli.training.teachers.expression import ExpressionReader
from cdrl_cli.training.teachers.identity import Likeness, template_grids

MIRRORED = 0.5
"""Share of the crops that are mirrored before the teachers of emotion see them."""

Guides = Sequence[tuple[Guide, Mapping[Emotion, float]]]
"""Frozen nets that see emotions, each with how far it is to be trusted about one, 0..1."""

_SURE = 0.9
"""A guide that is as sure asks for no more."""


@dataclass(frozen=True, slots=True)
class Supervision:
    """All that is frozen; each loss is 0 where nothing is left to ask for."""

    emotion: EmotionModels
    content: ContentModels
    reader: ExpressionReader
    likeness: Likeness | None
    """None: nobody holds edits to the person."""
    guides: Guides
    """Each with how far it is to be trusted about an emotion, 0..1."""
    pictures: PictureSupervision | None = None
    """CERL and CCRL at the paper's size, which look at rendered faces too."""

    def to(self, device: torch.device | str) -> "Supervision":
        """The same with its networks moved to a device."""
        guides = (guide for guide, _ in self.guides)
        for network in (
            self.emotion.encoder, self.content.content, self.reader, self.likeness, *guides
        ):  # fmt: skip
            if network is not None:
                network.to(device)
        return replace(
            self,
            emotion=replace(self.emotion, labels=self.emotion.labels.to(device)),
            pictures=None if self.pictures is None else self.pictures.to(device),
        )

    def guide_loss(
        self,
        edited: Float[Tensor, "crops 3 256 256"],
        landmarks: Float[Tensor, "crops 478 3"],
        edits: Edits,
        rng: np.random.Generator,
    ) -> Float[Tensor, ""]:
        """How hardly the guides see the emotion, each as far as it is to be trusted; nats."""
        wanted = edits.per_crop(edits.classes).to(edited.device)
        return ask_guides(self.guides, edited, landmarks, wanted, rng)

    def emotion_loss(
        self, expression: Float[Tensor, "crops 52"], edits: Edits
    ) -> Float[Tensor, ""]:
        """1 - cosine of what CERL reads from the coefficients with what is asked for."""
        wanted = edits.embeddings.to(expression.device)
        return (1 - self._cosines(expression, edits, wanted[:, None])[..., 0]).mean()

    def request_loss(
        self, expression: Float[Tensor, "crops 52"], edits: Edits
    ) -> Float[Tensor, ""]:
        """How hardly CERL reads the emotion among the others; nats.

        Guides do not know all emotions alike: left alone they turn anger into disgust.
        """
        labels = self.emotion.labels.expand(len(edits.requests), -1, -1)
        likely = (self._cosines(expression, edits, labels) / self.emotion.temperature).log_softmax(
            2
        )
        wanted = edits.classes.to(expression.device)[:, None, None].expand(-1, likely.shape[1], 1)
        return -likely.gather(2, wanted).mean()

    def content_loss(
        self,
        edited: Float[Tensor, "crops 3 256 256"],
        batch: FaceBatch,
        edits: Edits,
        mouth: Float[Tensor, " 3"],
    ) -> Float[Tensor, ""]:
        """1 - cosine of CCRL's codes of the mouth before and after, over the second around.

        Args:
            edited: The moments, changed.
            batch: The same as they were.
            edits: Those of clips count; stills say nothing, and cost nothing.
            mouth: Where the canonical face has it, head space.
        """
        of_clips = edits.of_clips
        if not of_clips.any():
            return 0 * edited.sum()
        content, device = self.content.content, edited.device
        frames = content.config.frames
        pose = batch.crop_from_head
        changed = cut_mouths(edited, pose, mouth) - cut_mouths(batch.image, pose, mouth)
        changed = _by_edit(changed)[of_clips.to(device)]
        shares, pictures, motions = [], [], []
        for moments, counts in zip(edits.moments, of_clips.tolist(), strict=True):
            if not counts:
                continue
            clip = moments[0][0]
            places = clip.place[[i for _, i in moments]]
            start = int((places[0] + places[-1] + 1) // 2 - frames // 2)
            start = min(max(start, 0), len(clip.expression) - frames)
            window = slice(start, start + frames)
            shares.append(_hat_weights(places - start, frames))
            pictures.append(torch.from_numpy(clip.mouth[window]))
            motions.append(torch.from_numpy(clip.expression[window][:, MOUTH_COEFFICIENTS]))
        # What changed at the moments rendered is carried over those between them.
        carried = torch.einsum("efm,emhw->efhw", torch.stack(shares).to(device), changed)
        was = torch.stack(pictures).to(device).float() / 127.5 - 1
        motion = torch.stack(motions).to(device)
        said = content.encode_views(was + 2 * carried, motion)
        with torch.no_grad():
            meant = content.encode_views(was, motion)
        return torch.stack(
            [1 - (said[v] * meant[v]).sum(dim=1).mean() for v in ("crops", "both")]
        ).mean()

    def alikeness(
        self, batch: FaceBatch, edited: Float[Tensor, "crops 3 256 256"]
    ) -> Float[Tensor, " crops"]:
        """Cosine of SFace, before and after."""
        assert self.likeness is not None
        where = template_grids(batch.template_from_crop)
        with torch.no_grad():
            was = self.likeness(batch.image, where)
        return (self.likeness(edited, where) * was).sum(dim=1)

    def _cosines(
        self,
        expression: Float[Tensor, "crops 52"],
        edits: Edits,
        others: Float[Tensor, "edits some 64"],
    ) -> Float[Tensor, "edits moments some"]:
        """Of what CERL reads with an edit's own vectors.

        Moments of one clip are one performance, told as often as there are moments; stills are
        one each.
        """
        shown = expression - torch.from_numpy(self.emotion.neutral).to(expression.device)
        shown = _by_edit(shown)
        of_clips = edits.of_clips.to(expression.device)[:, None, None]
        whole: Tensor = self.emotion.encoder(shown)
        single: Tensor = self.emotion.encoder(shown.flatten(0, 1)[:, None])
        read = torch.where(of_clips, whole[:, None], _by_edit(single))
        return read @ others.transpose(1, 2)


def ask_guides(
    guides: Guides,
    edited: Float[Tensor, "crops 3 256 256"],
    landmarks: Float[Tensor, "crops 478 3"],
    wanted: Int[Tensor, " crops"],
    rng: np.random.Generator,
) -> Float[Tensor, ""]:
    """How hardly guides see the emotion, each as far as it is to be trusted; nats.

    Args:
        guides: Each with how far it is to be trusted about an emotion, 0..1.
        edited: Crops, sRGB 0..1.
        landmarks: Crop pixels.
        wanted: Class index of the emotion asked for.
        rng: Draws how faces are cut out.
    """
    faces = _tight_crops(edited, landmarks, rng)
    loss = edited.new_zeros(())
    for guide, trust in guides:
        likely = functional.log_softmax(guide(faces), dim=1).gather(1, wanted[:, None])[:, 0]
        trusted = edited.new_tensor([trust.get(emotion, 0.0) for emotion in Emotion])[wanted]
        loss = loss - (trusted * likely.clamp(max=float(np.log(_SURE)))).mean()
    return loss


def _by_edit(values: Shaped[Tensor, "crops ..."]) -> Shaped[Tensor, "edits moments ..."]:
    return values.view(-1, MOMENTS, *values.shape[1:])


def cut_mouths(
    image: Float[Tensor, "batch 3 256 256"],
    crop_from_head: Float[Tensor, "batch 3 4"],
    mouth: Float[Tensor, " 3"],
) -> Float[Tensor, "batch 32 32"]:
    """Luma around the mouth, 0..1, as prepared clips hold it.

    Args:
        image: Crops.
        crop_from_head: Their poses.
        mouth: Where the canonical face has it, head space.
    """
    middle = crop_from_head[:, :2, :3] @ mouth + crop_from_head[:, :2, 3]
    return _cut(
        luma(image), middle, middle.new_full((len(image),), float(MOUTH_REACH_PX)), CROP_SIDE
    )[:, 0]


def _cut(
    image: Float[Tensor, "batch c 256 256"],
    middle: Float[Tensor, "batch 2"],
    reach: Float[Tensor, " batch"],
    side: int,
) -> Float[Tensor, "batch c side side"]:
    """Squares around points, shrunk by area as far as that matters."""
    steps = (torch.arange(2 * side, device=image.device) + 0.5) / side - 1
    gx = middle[:, 0, None] + reach[:, None] * steps
    gy = middle[:, 1, None] + reach[:, None] * steps
    scale = 2 / (CROP_SIZE - 1)
    grid = torch.stack(
        [
            (gx[:, None, :] * scale - 1).expand(-1, 2 * side, -1),
            (gy[:, :, None] * scale - 1).expand(-1, -1, 2 * side),
        ],
        dim=3,
    )
    cut = functional.grid_sample(image, grid, padding_mode="border", align_corners=True)
    return functional.avg_pool2d(cut, 2)


def _tight_crops(
    image: Float[Tensor, "batch 3 256 256"],
    landmarks: Float[Tensor, "batch 478 3"],
    rng: np.random.Generator,
) -> Float[Tensor, "batch 3 112 112"]:
    """Squares around the face, a little off, in another light: what a guide sees."""
    low = landmarks[:, :MESH_LANDMARKS, :2].amin(dim=1)
    high = landmarks[:, :MESH_LANDMARKS, :2].amax(dim=1)
    count = len(image)
    jitter = torch.from_numpy(rng.normal(0, 1, (count, 3))).float().to(image.device)
    reach = (high - low).amax(dim=1) / 2 * (1.08 + 0.06 * jitter[:, 2])
    middle = (low + high) / 2 + 3.0 * jitter[:, :2]
    cut = _cut(image, middle, reach, 112)
    gain = torch.from_numpy(rng.uniform(0.85, 1.15, (count, 1, 1, 1))).float().to(image.device)
    source = torch.Generator(image.device).manual_seed(int(rng.integers(2**31)))
    noise = 0.02 * torch.randn(cut.shape, generator=source, device=image.device)
    mirrored = torch.from_numpy(rng.random((count, 1, 1, 1)) < MIRRORED).to(image.device)
    return (torch.where(mirrored, cut.flip(3), cut) * gain + noise).clamp(0, 1)


def _hat_weights(places: np.ndarray, frames: int) -> Float[Tensor, "frames moments"]:
    """How much of each moment's change each frame has: linear between, held beyond."""
    grid = np.arange(frames)
    eye = np.eye(len(places))
    return torch.from_numpy(np.stack([np.interp(grid, places, row) for row in eye], axis=1)).float()
