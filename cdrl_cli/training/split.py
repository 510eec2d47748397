"""Who is learned from, and who is kept for the proof."""

from cdrl_cli.data.clips import Clip
from cdrl_cli.training.config import DataConfig


def is_learned_from(clip: Clip, data: DataConfig) -> bool:
    """Whether a recipe lets us learn from a clip."""
    kept_back = {*data.validation_identities, *data.held_out_identities}
    return (
        clip.split == "train"
        and data.licence in ("research", clip.licence_class)
        and clip.identity not in kept_back
        and clip.sentence not in data.held_out_sentences
        and clip.path.stem not in data.left_out
    )


def is_validation(clip: Clip, data: DataConfig) -> bool:
    """Whether a clip says when to stop; another framing of the same take says nothing new."""
    return clip.identity in data.validation_identities and "full frame" not in clip.dataset
