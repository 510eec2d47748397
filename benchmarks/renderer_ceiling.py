"""What a perfect renderer would bring, and cost: real frames, rebuilt from neutral ones.

    python benchmarks/renderer_ceiling.py --data DATA --cache runs/prepared

A frame of a neutral take is moved to one of the same person's emotional takes, in steps: by the
real landmarks, by the optical flow that they leave, and by the real colours of the eyes and the
skin, of the mouth, of all. Each step is shown to the judge of emotion, and compared with the
neutral frame by SFace: what makes the emotion visible changes the person's look. Diagnosis, not
selection: only people who are learned from. Two minutes on two cores once clips are prepared;
prints Markdown. Needs the optional weights `judge` and `identity`.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch.nn import functional

from cdrl_cli.checkpoints.load import find_weights
from cdrl_cli.checkpoints.models import Models, load_models
from cdrl_cli.data.faces import MAX_TURN, FaceBatch, FaceClip, join_clip
from cdrl_cli.data.index import read_index
from cdrl_cli.emotion import Emotion
from cdrl_cli.evaluation.judges import cut_tight, load_judge
from cdrl_cli.face.identity import IdentityEncoder
from cdrl_cli.preparation import prepare_clips, prepare_crops
from cdrl_cli.training.config import DataConfig, read_config
from cdrl_cli.training.differentiable import Chain
from cdrl_cli.training.generator_data import draw_geometry
from cdrl_cli.training.image_losses import match_colour, optical_flow
from cdrl_cli.training.recipes import GeneratorConfig
from cdrl_cli.training.split import is_learned_from

ROWS = (
    "neutral frame",
    "its landmarks moved",
    "and optical flow",
    "landmarks, colours but the mouth's",
    "landmarks, all colours",
    "emotional frame",
)
DATASETS = ("MEAD", "Java-SED")
MOUTH = [0, 17, 37, 61, 84, 267, 291, 314]
MOUTH_MARGIN = 0.05
"""Around the lips, head space."""


def main() -> None:
    """Rebuild and judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("runs/prepared"))
    parser.add_argument("--config", type=Path, default=Path("configs/renderer.toml"))
    words = parser.parse_args()

    models, judge = load_models(core=True), load_judge()
    chain = Chain(models.mesh, models.head.canonical_xyz, models.basis.displacement)
    lips = models.head.canonical_xyz[MOUTH, :2]
    recipe = read_config(words.config, GeneratorConfig, changes=['data.weight_set="research"'])
    who = IdentityEncoder(find_weights("identity"))
    right: dict[tuple[str, str, Emotion], list[bool]] = defaultdict(list)
    alike: dict[tuple[str, str, Emotion], list[float]] = defaultdict(list)
    for dataset in DATASETS:
        for neutral, emotional in draw_pairs(read_faces(words, models, dataset, recipe.data)):
            emotion = emotional[0].clip.emotion
            assert emotion is not None  # of clips that have one
            shown = rebuild(neutral, emotional, chain, lips)
            before = who.embed(*shown[0])
            for row, (picture, points) in zip(ROWS, shown, strict=True):
                crop = cut_tight(picture, points, judge.side_px)
                judged = int(judge.probabilities([crop])[0].argmax())
                right[dataset, row, emotion].append(judged == emotion.class_index)
                alike[dataset, row, emotion].append(float(who.embed(picture, points) @ before))

    print(
        "| judged right; identity | " + " | ".join(DATASETS) + " |\n|---|" + "---:|" * len(DATASETS)
    )
    for row in ROWS:
        shares = []
        for dataset in DATASETS:
            found = {e: right[dataset, row, e] for e in Emotion if right[dataset, row, e]}
            each = ", ".join(f"{e.value} {np.mean(hits):.2f}" for e, hits in found.items())
            person = np.mean([np.mean(alike[dataset, row, emotion]) for emotion in found])
            share = np.mean([np.mean(hits) for hits in found.values()])
            shares.append(f"{share:.2f}; {person:.2f} ({each})")
        print(f"| {row} | {' | '.join(shares)} |")


def read_faces(
    words: argparse.Namespace, models: Models, dataset: str, data: DataConfig
) -> list[FaceClip]:
    """Crops of a dataset's clips that are learned from."""
    clips = [
        clip
        for clip in read_index(words.data)
        if clip.dataset == dataset and clip.label_certain and clip.emotion is not None
    ]
    clips = [clip for clip in clips if is_learned_from(clip, data)]
    prepared = list(prepare_clips(clips, models, words.cache))
    found = prepare_crops(prepared, models, words.cache / "crops")
    return [
        join_clip(one, crops, [draw_geometry(p, models.mesh) for p in crops.landmarks_xyz])
        for one, crops in zip(prepared, found, strict=True)
    ]


def draw_pairs(faces: list[FaceClip]) -> Iterator[tuple[tuple[FaceClip, int], ...]]:
    """For three frames of each emotional clip the neutral frame that is most alike."""
    for one in faces:
        if one.clip.emotion is Emotion.NEUTRAL:
            continue
        count = len(one.place)
        for frame in sorted({count // 3, count // 2, 2 * count // 3}):
            fitting = [
                (apart, other, i)
                for other in faces
                if other.clip.identity == one.clip.identity
                and other.clip.emotion is Emotion.NEUTRAL
                for i, apart in enumerate(distances(one, frame, other))
                if np.isfinite(apart)
            ]
            if fitting:
                _, other, i = min(fitting, key=lambda fit: fit[0])
                yield (other, i), (one, frame)


def distances(one: FaceClip, frame: int, other: FaceClip) -> np.ndarray:
    """How far each frame of a clip is from a frame: expression, and infinity where it is turned."""
    lines = [clip.crops.crop_from_head[:, 2, :3] for clip in (one, other)]
    mine, others = (line / np.linalg.norm(line, axis=1, keepdims=True) for line in lines)
    apart = np.linalg.norm(other.crops.expression - one.crops.expression[frame], axis=1)
    return np.where(np.linalg.norm(others - mine[frame], axis=1) < MAX_TURN, apart, np.inf)


def rebuild(
    neutral: tuple[FaceClip, int],
    emotional: tuple[FaceClip, int],
    chain: Chain,
    lips: np.ndarray,
) -> list[tuple[UInt8[np.ndarray, "256 256 3"], Float32[np.ndarray, "478 3"]]]:
    """Each of :data:`ROWS`, with where its landmarks lie."""
    source, target = FaceBatch.of([neutral]), FaceBatch.of([emotional])
    moved, mask = chain.warp_flow(
        (target.landmarks - source.landmarks)[..., :2],
        source.landmarks,
        source.owner,
        source.inside_px,
    )
    warped = chain.warp(source.image, moved[:, :2])
    wanted = match_colour(target.image, warped, mask)
    low, high = torch.from_numpy(lips.min(axis=0)), torch.from_numpy(lips.max(axis=0))
    reach = ((high - low) / 2 + MOUTH_MARGIN).view(1, 2, 1, 1)
    inside = ((moved[:, 2:4] - ((low + high) / 2).view(1, 2, 1, 1)) / reach).square().sum(1) < 1
    mouth = inside[:, None].float()
    finer = optical_flow(warped * mask, wanted * mask) * mask * (1 - mouth)
    lost = functional.avg_pool2d((wanted - warped) * mask, 2)
    colour = functional.interpolate(lost, scale_factor=2.0, mode="bilinear")
    pictures = (
        source.image,
        warped,
        chain.warp(warped, finer),
        warped + colour * (1 - mouth),
        warped + colour,
        target.image,
    )
    shown = []
    for picture in pictures:
        points = (source if picture is source.image else target).landmarks[0].numpy()
        colours = (255 * picture[0].clamp(0, 1)).round().byte().permute(1, 2, 0).numpy()
        shown.append((colours, points))
    return shown


if __name__ == "__main__":
    main()
