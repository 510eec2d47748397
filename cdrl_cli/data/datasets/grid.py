"""GRID: commands spoken without an emotion, by design (Cooke et al. 2006)."""

from cdrl_cli.data.datasets.facts import DatasetFacts
from cdrl_cli.emotion import Emotion

FACTS = DatasetFacts("GRID", emotion=Emotion.NEUTRAL)
"""All clips are neutral: their rows name no emotion."""
