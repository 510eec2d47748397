"""How much an edit may be asked for; the command line knows it without a heavy import."""

from typing import Final

MAX_INTENSITY: Final = 2.0
"""Largest intensity; the least is 0, which changes nothing."""

MAX_PACE: Final = 2.0
"""Largest factor that the waves of an emotion's strength may be exaggerated by; 0 holds it."""

WAYS: Final = 3
"""Most ways of acting an emotion that are known; they count from 1."""
