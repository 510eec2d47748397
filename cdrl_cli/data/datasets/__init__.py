"""Data sets: what is peculiar to each, one file a data set. None of them runs a network.

A data set of clips needs no file here: ``index.csv`` names its clips
(:mod:`cdrl_cli.data.index`). One that says something by its very name, where the index says
nothing, has :class:`~cdrl_cli.data.datasets.facts.DatasetFacts`; one of pictures, with a list or
file names of its own, has a reader.
"""

from cdrl_cli.data.datasets import grid, java_sed

DATASET_FACTS = {facts.name: facts for facts in (grid.FACTS, java_sed.FULL_FRAMES)}
"""What data sets say of their clips, by the name that the index has for them."""
