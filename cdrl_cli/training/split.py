"""Which clips a recipe takes: who is learned from, who validates, and who is kept for the proof."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cdrl_cli.data.datasets.london import read_london
from cdrl_cli.data.datasets.photos import read_photos
from cdrl_cli.data.index import Clip, Role, StillSet, read_index
from cdrl_cli.emotion import Emotion
from cdrl_cli.training.config import DataConfig
from cdrl_cli.weight_set import WeightSet


def find_clips(root: Path, *, stills: Sequence[StillSet] = ("london",)) -> list[Clip]:
    """The clips of a folder with ``index.csv``, and the pictures of data sets beside it.

    Args:
        root: The folder.
        stills: Data sets of pictures. ``london`` is left out where its folder is missing.

    Raises:
        UnreadableInputError: If there is no index or no list of photographs, or one is damaged.
    """
    clips = read_index(root)
    if "london" in stills:
        clips += read_london(root / "london")
    if "photos" in stills:
        clips += [photo.as_clip() for photo in read_photos(root / "photos")]
    return clips


def read_training_clips(root: Path, *, weight_set: WeightSet) -> list[Clip]:
    """The clips and stills to learn from: training split, known licence, known label or none.

    Args:
        root: Folder with ``index.csv``, and maybe ``london/``.
        weight_set: ``permissive`` leaves research-only clips out; ``research`` takes all.

    Raises:
        UnreadableInputError: If there is no index, or it lacks a column.
    """
    return [
        clip
        if clip.label_certain or clip.emotion is Emotion.NEUTRAL
        else replace(clip, emotion=None)
        for clip in find_clips(root)
        if clip.split == "train" and may_teach(clip, weight_set)
    ]


def may_teach(clip: Clip, weight_set: WeightSet) -> bool:
    """Whether a clip's licence lets a set of weights be learned from it."""
    return weight_set is WeightSet.RESEARCH or clip.licence_class == weight_set


def is_learned_from(clip: Clip, data: DataConfig) -> bool:
    """Whether a recipe lets us learn from a clip."""
    kept_back = {*data.validation_identities, *data.held_out_identities}
    return (
        clip.split == "train"
        and may_teach(clip, data.weight_set)
        and clip.identity not in kept_back
        and not clip.roles & {Role.VALIDATION, Role.HELD_OUT}
        and clip.sentence not in data.held_out_sentences
        and clip.path.stem not in data.left_out
    )


def is_validation(clip: Clip, data: DataConfig) -> bool:
    """Whether a clip says when to stop; another framing of the same take says nothing new."""
    chosen = Role.VALIDATION in clip.roles or clip.identity in data.validation_identities
    return chosen and Role.REFRAMED not in clip.roles


def may_be_used(clip: Clip, data: DataConfig) -> bool:
    """Whether a recipe looks at a clip at all: to learn from it, or to say when to stop."""
    return is_learned_from(clip, data) or is_validation(clip, data)
