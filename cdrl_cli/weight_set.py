"""Which of the project's weights: those anybody may use, or those for research only."""

from enum import StrEnum

from cdrl_cli.errors import UsageError


class WeightSet(StrEnum):
    """Weights by what they were learned from; the first is the default."""

    PERMISSIVE = "permissive"
    """Learned from recordings whose licences allow any use."""
    RESEARCH = "research"
    """Learned from these and from recordings for research only."""

    @classmethod
    def parse(cls, word: str) -> "WeightSet":
        """The set that a word names.

        >>> WeightSet.parse("research")
        <WeightSet.RESEARCH: 'research'>

        Raises:
            UsageError: If there is no such set.
        """
        try:
            return cls(word)
        except ValueError:
            raise UsageError(f"no weight set '{word}'", hint=f"one of: {', '.join(cls)}") from None

    def entry(self, part: str) -> str:
        """Name in the manifest of a part that each set has its own of.

        >>> WeightSet.RESEARCH.entry("cerl")
        'cerl-research'
        """
        return f"{part}-{self.value}"
