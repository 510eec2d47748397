"""Tags: what a file and its streams say about themselves, and how another container says it."""

from collections.abc import Mapping
from typing import Final

_ABOUT_THE_OLD_FILE: Final = ("major_brand", "minor_version", "compatible_brands", "encoder")
_FALSE_AFTER_ENCODING: Final = (
    "encoder", "duration", "bps", "number_of_", "_statistics_", "vendor_id",
    "alpha_mode",
)  # fmt: skip
"""How the keys begin that describe the packets of a stream and not what it shows."""

_ISO_TAGS: Final = frozenset(
    (
        "title", "artist", "album_artist", "album", "composer", "date", "comment", "genre",
        "copyright", "grouping", "lyrics", "description", "synopsis", "show", "episode_id",
        "network", "keywords", "creation_time", "timecode",
    )
)  # fmt: skip
"""Tags with a place of their own in MP4 and MOV."""

# QuickTime numbers its languages. These are the names that FFmpeg's muxer knows the numbers by:
# ISO 639-2, sometimes its bibliographic and sometimes its terminological code.
_QUICKTIME_LANGUAGES: Final = frozenset(
    (
        "eng", "fra", "ger", "ita", "dut", "sve", "spa", "dan", "por", "nor", "heb", "jpn", "ara",
        "fin", "gre", "ice", "mlt", "tur", "chi", "urd", "hin", "tha", "kor", "lit", "pol", "hun",
        "est", "lav", "per", "rus", "alb", "ron", "ces", "slk", "slv", "yid", "mac", "bul", "ukr",
        "bel", "uzb", "kaz", "aze", "arm", "geo", "mol", "kir", "tgk", "tuk", "mon", "pus", "kur",
        "kas", "snd", "tib", "nep", "san", "mar", "ben", "asm", "guj", "ori", "mal", "kan", "tam",
        "tel", "sin", "bur", "khm", "lao", "vie", "ind", "tgl", "may", "amh", "tir", "orm", "som",
        "swa", "kin", "run", "nya", "mlg", "epo", "wel", "baq", "cat", "lat", "que", "grn", "aym",
        "tat", "uig", "dzo", "jav", "smi",
    )
)  # fmt: skip
_QUICKTIME_NAMES: Final[Mapping[str, str]] = {
    "deu": "ger", "nld": "dut", "swe": "sve", "zho": "chi", "ell": "gre", "isl": "ice",
    "fas": "per", "sqi": "alb", "mkd": "mac", "mya": "bur", "fre": "fra", "cze": "ces",
    "rum": "ron", "slo": "slk", "hye": "arm", "kat": "geo", "msa": "may", "cym": "wel",
    "eus": "baq", "bod": "tib",
}  # fmt: skip


def merge_tags(source: Mapping[str, str], added: Mapping[str, str]) -> dict[str, str]:
    """Tags of an edited file: the source's, with ours over them.

    A comment is added behind the source's own, once.
    """
    tags = {key: value for key, value in source.items() if key.lower() not in _ABOUT_THE_OLD_FILE}
    known = {key.lower(): key for key in tags}  # Matroska writes COMMENT
    for key, value in added.items():
        name = known.get(key.lower(), key)
        old = tags.get(name)
        if key.lower() == "comment" and old:
            tags[name] = old if value in old else f"{old}; {value}"
        else:
            tags[name] = value
    return tags


def need_general_form(tags: Mapping[str, str]) -> bool:
    """Tell whether an MP4 must keep these tags as keys and values of its own making."""
    return not _ISO_TAGS.issuperset(key.lower() for key in tags)


def stream_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags of a stream, its title under the key that muxers look for; MP4 calls it ``name``."""
    title = {"title": tags["name"]} if "name" in tags else {}
    return title | {key: value for key, value in tags.items() if key != "name"}


def lasting_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags of a video stream that stay true when it is encoded anew: language, title, timecode."""
    return {
        key: value
        for key, value in tags.items()
        if not key.lower().startswith(_FALSE_AFTER_ENCODING)
    }


def quicktime_language(language: str) -> str | None:
    """The name by which MOV's muxer knows a language, or None if QuickTime has no number for it.

    Args:
        language: ISO 639-2 code, bibliographic or terminological.

    >>> quicktime_language("deu")
    'ger'
    """
    name = _QUICKTIME_NAMES.get(language, language)
    return name if name in _QUICKTIME_LANGUAGES else None
