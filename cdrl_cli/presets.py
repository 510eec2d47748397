"""Named ways to edit: how strongly, with which fine controls; three of ours, and a user's own."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from cdrl_cli.errors import UsageError
from cdrl_cli.generator.adjust import Adjustment
from cdrl_cli.limits import MAX_INTENSITY


@dataclass(frozen=True, slots=True)
class EmotionPreset:
    """What a name stands for; what is said beside it counts before it."""

    emotion: str | None = None
    """A label or words, where neither an emotion nor a reference is given beside the preset."""
    intensity: float | None = None
    """0..2."""
    adjust: Adjustment = Adjustment()  # noqa: RUF009 - it is frozen
    """Fine controls."""
    neutralise: bool = False
    """Take away first what the face shows itself."""


PRESETS: Final[Mapping[str, EmotionPreset]] = MappingProxyType(
    {
        "subtle": EmotionPreset(intensity=0.6),
        "natural": EmotionPreset(intensity=1.0),
        "strong": EmotionPreset(intensity=1.5),
    }
)
"""Presets that everybody has."""

_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    "emotion": (str,),
    "intensity": (int, float),
    "adjust": (str,),
    "neutralise": (bool,),
}


def find_preset(name: str, own: Mapping[str, Mapping[str, object]]) -> EmotionPreset:
    """The preset of a name; a user's own one counts before ours.

    Args:
        name: What it is called.
        own: Presets of the user, as tables of TOML.

    Raises:
        UsageError: If there is none, or the user's cannot be read.

    >>> find_preset("sly", {"sly": {"adjust": "corners-left=.4", "intensity": 0.5}}).intensity
    0.5
    """
    if name in own:
        return _read(name, own[name])
    if name in PRESETS:
        return PRESETS[name]
    known = ", ".join(dict.fromkeys([*PRESETS, *own]))
    raise UsageError(f"there is no preset {name!r}", hint=f"known: {known}")


def _read(name: str, table: Mapping[str, object]) -> EmotionPreset:
    where = f"the preset {name!r}"
    if not isinstance(table, Mapping):
        raise UsageError(f"{where} is no table", hint=f"[presets.{name}]")
    for key, value in table.items():
        if key not in _KINDS:
            raise UsageError(f"{where}: unknown key {key}", hint=f"known: {', '.join(_KINDS)}")
        is_switch = isinstance(value, bool) and bool not in _KINDS[key]
        if is_switch or not isinstance(value, _KINDS[key]):
            raise UsageError(f"{where}: {key} cannot be {value!r}")
    values = dict(table)
    try:
        adjust = Adjustment.parse(str(values["adjust"])) if "adjust" in values else Adjustment()
    except UsageError as error:
        raise UsageError(f"{where}: {error}", hint=error.hint) from error
    intensity = float(str(values["intensity"])) if "intensity" in values else None
    if intensity is not None and not 0 <= intensity <= MAX_INTENSITY:
        raise UsageError(f"{where}: intensity {intensity:g} is not within 0..{MAX_INTENSITY:g}")
    emotion = str(values["emotion"]) if "emotion" in values else None
    return EmotionPreset(emotion, intensity, adjust, bool(values.get("neutralise", False)))
