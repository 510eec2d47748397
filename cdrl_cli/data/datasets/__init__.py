"""Data sets: what is peculiar to each, one file a data set. None of them runs a network.

A data set of clips needs no file here: ``index.csv`` names its clips
(:mod:`cdrl_cli.data.index`). One that says something by its very name, where the index says
nothing, has :class:`~cdrl_cli.data.datasets.facts.DatasetFacts`; one of pictures, with a list or
file names of its own, has a reader. One that is read as its owner lays it out, without an index,
has a :class:`~cdrl_cli.data.datasets.layouts.DatasetLayout`.
"""

from cdrl_cli.data.datasets import crema_d, grid, java_sed, mead, photo_sets, ravdess
from cdrl_cli.data.datasets.layouts import DatasetLayout
from cdrl_cli.errors import UsageError

DATASET_FACTS = {facts.name: facts for facts in (grid.FACTS, java_sed.FULL_FRAMES)}
"""What data sets say of their clips, by the name that the index has for them."""

DATASET_LAYOUTS: dict[str, DatasetLayout] = {
    layout.name: layout
    for layout in (
        mead.MeadLayout(),
        ravdess.RavdessLayout(),
        crema_d.CremaDLayout(),
        java_sed.JavaSedLayout(),
        photo_sets.KdefLayout(),
        photo_sets.RafdLayout(),
        photo_sets.NimStimLayout(),
    )
}
"""Data sets that are read as their owners lay them out, by the name that ``--dataset`` takes."""


def find_layout(name: str) -> DatasetLayout:
    """The layout of a data set.

    Raises:
        UsageError: If no data set is called so.
    """
    try:
        return DATASET_LAYOUTS[name.lower()]
    except KeyError:
        known = ", ".join(DATASET_LAYOUTS)
        raise UsageError(f"no data set '{name}'", hint=f"one of: {known}") from None
