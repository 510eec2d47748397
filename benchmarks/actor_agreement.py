"""How far actors agree on an emotion, and with the textbook: what the mean of them is worth.

    python benchmarks/actor_agreement.py --data DATA --cache runs/prepared

The motion editor learns the mean as far as they agree, else action units. Prints Markdown.
"""

import argparse
from pathlib import Path

import numpy as np

from cdrl_cli.checkpoints.models import load_models
from cdrl_cli.data.action_units import coded_expression
from cdrl_cli.data.index import read_index
from cdrl_cli.data.motions import agreement, clear_differences, read_motion_takes
from cdrl_cli.emotion import Emotion
from cdrl_cli.face.blendshapes import SHARES
from cdrl_cli.preparation import prepare_clips
from cdrl_cli.training.config import read_config
from cdrl_cli.training.recipes import MotionTrainingConfig
from cdrl_cli.training.split import is_learned_from


def main() -> None:
    """A row for each emotion."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("runs/prepared"))
    parser.add_argument("--config", type=Path, default=Path("configs/motion.toml"))
    words = parser.parse_args()

    recipe = read_config(words.config, MotionTrainingConfig)
    prepared = prepare_clips(read_index(words.data), load_models(core=True), words.cache)
    takes = [one for one in read_motion_takes(prepared) if is_learned_from(one.clip, recipe.data)]
    print("| emotion | act it clearly | cosine of two of them | of their mean with action units |")
    print("|---|---:|---:|---:|")
    for emotion in Emotion:
        clear = clear_differences(takes, emotion)
        if not clear:
            print(f"| {emotion} | 0 | | |")
            continue
        mean, units = np.mean(clear, axis=0), SHARES * coded_expression(emotion)
        cosine = mean @ units / max(float(np.linalg.norm(mean) * np.linalg.norm(units)), 1e-9)
        print(f"| {emotion} | {len(clear)} | {agreement(clear):.2f} | {cosine:.2f} |")


if __name__ == "__main__":
    main()
