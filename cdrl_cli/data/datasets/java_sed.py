"""Java-SED: acted emotional speech, as face crops and, of one actor, as recorded."""

from cdrl_cli.data.datasets.facts import DatasetFacts

FULL_FRAMES = DatasetFacts("Java-SED (full frame)", roles="reframed")
"""The clips as recorded: each shows a take of which the face crop is a row of its own."""
