"""What each choice of CERL brings: train without it, measure on people never learned from.

    python benchmarks/cerl_ablations.py --data DATA --cache runs/prepared

One minute a row on one core; prints Markdown. Needs the optional weights `text`.
"""

import argparse
import tempfile
from pathlib import Path

from cdrl_cli.checkpoints.models import load_models, open_sentence_encoder
from cdrl_cli.data.datasets.london import read_london
from cdrl_cli.data.index import read_index
from cdrl_cli.data.performances import find_neutrals, read_performances
from cdrl_cli.evaluation.cerl import measure_accuracy, measure_leaks, unknown_performances
from cdrl_cli.preparation import prepare_clips
from cdrl_cli.training.cerl import train_cerl
from cdrl_cli.training.config import read_config
from cdrl_cli.training.recipes import CerlConfig
from cdrl_cli.training.wording import read_wording

LEAKS = ("person", "sentence")

ROWS = {
    "full": [],
    "no emotion-augmented sets": ["sampling.emotion_augmented=false"],
    "no language prior": ["loss.language_prior=false"],
    "no differences": ["sampling.differences=false"],
    "no coded performances": ["sampling.coded_performances=0"],
}


def main() -> None:
    """Train and measure every row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("runs/prepared"))
    parser.add_argument("--config", type=Path, default=Path("configs/cerl.toml"))
    words = parser.parse_args()

    models = load_models(core=True)
    clips = [*read_index(words.data), *read_london(words.data / "london")]
    performances = read_performances(prepare_clips(clips, models, words.cache))
    neutrals = find_neutrals(performances, models.neutral.mean)
    wording = read_wording(open_sentence_encoder())
    print("| recipe | own neutral | neutral prior | person read | sentence read |")
    print("|---|---:|---:|---:|---:|")
    for name, changes in ROWS.items():
        recipe = read_config(words.config, CerlConfig, changes=changes)
        with tempfile.TemporaryDirectory() as run:
            trained = train_cerl(
                recipe, performances, neutrals, wording, run=Path(run)
            ).models.reader
        asked = unknown_performances(trained, performances)
        own, prior = measure_accuracy(trained, asked, neutrals)[:2]
        leaks = {one.name: one for one in measure_leaks(trained, asked, neutrals)}
        person, sentence = (leaks[f"{leak}, from the own neutral"] for leak in LEAKS)
        cells = [
            f"{one.accuracy.value:.2f} ({one.accuracy.low:.2f} to {one.accuracy.high:.2f})"
            for one in (own, prior)
        ]
        cells += [
            f"{one.accuracy.value:.2f} (chance {one.chance:.2f})" for one in (person, sentence)
        ]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
