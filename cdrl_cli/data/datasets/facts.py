"""What a data set says of all its clips where the index does not."""

from dataclasses import dataclass

from cdrl_cli.emotion import Emotion


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """What holds for every clip of a data set whose row leaves it open."""

    name: str
    """Of the data set, as the index has it."""
    emotion: Emotion | None = None
    """Shown by every clip whose row names none; None: not known."""
    roles: str = ""
    """Roles of all clips (:class:`~cdrl_cli.data.index.Role`, separated by spaces), for an index
    without that column."""
