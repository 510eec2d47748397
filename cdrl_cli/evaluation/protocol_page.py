"""The page of the paper's protocol, which says how it can be made again."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from cdrl_cli.data.datasets.paper_split import Identity
from cdrl_cli.evaluation.protocol_rows import (
    CEILING,
    ENCODED,
    FLOOR,
    LIP_SYNC,
    OWN,
    THEVAL,
    ProtocolRow,
)

PUBLISHED: Mapping[Identity, Mapping[str, tuple[float, float, float]]] = {
    "same": {
        "NED": (2.108, 9.454, 0.831),
        "NED + CERL": (1.161, 9.399, 0.911),
        "NED + CCRL": (1.025, 9.384, 0.896),
        "NED + CDRL": (1.025, 9.377, 0.914),
    },
    "cross": {
        "NED": (4.448, 9.906, 0.773),
        "NED + CERL": (4.401, 9.432, 0.776),
        "NED + CCRL": (4.374, 9.393, 0.774),
        "NED + CDRL": (4.344, 9.351, 0.792),
    },
}
"""FAD, LSE-D and CSIM on MEAD as the paper prints them (IJCV 133, 2025): mean over seven emotions,
one run, networks that are not to be had."""


def draw_protocol(
    rows: Sequence[ProtocolRow], *, identity: Identity, command: str
) -> Iterator[str]:
    """The page, in Markdown.

    Args:
        rows: Of :func:`~cdrl_cli.evaluation.paper_protocol.measure_protocol`.
        identity: Whose the references were.
        command: What was typed.
    """
    names = list(rows[0].values)
    theirs = [name for name in names if name not in OWN and name not in THEVAL]
    yield f"# The paper's protocol, {identity} identity"
    yield ""
    yield f"Made by `{command}`. Means over emotions, however many clips each has. The floor is"
    yield f"`{FLOOR}`; `{ENCODED}` is what decoding and encoding alone do; the ceiling is"
    yield f"`{CEILING}`, other real takes of the actors."
    yield ""
    yield "## The paper's measures"
    yield ""
    yield from _table(rows, theirs)
    yield ""
    yield "FAD, LSE-D: lower is better; CSIM, LSE-C: higher. A name that ends in -SFace is a"
    yield "measure of our own, not the paper's."
    if LIP_SYNC[0] in names:
        yield ""
        yield _codec_error(rows)
    yield ""
    yield "Published (MEAD, seven emotions, single runs, other networks and clips: not comparable"
    yield "with the table above):"
    yield ""
    yield "| row | FAD | LSE-D | CSIM |"
    yield "|---|---:|---:|---:|"
    for name, values in PUBLISHED[identity].items():
        yield f"| {name} | {values[0]:.3f} | {values[1]:.3f} | {values[2]:.3f} |"
    yield ""
    yield "## Our own measures"
    yield ""
    yield from _table(rows, [name for name in names if name in OWN])
    yield ""
    yield "Emotion, frames: share of clips and frames that a judge reads as what was asked for;"
    yield "rise: of its probability against the source; manner: cosine with the reference's own"
    yield "change; lips, closures: correlation and F1 of the lips with the source's; identity:"
    yield "cosine with the source; stability: trembling, relative to the source's; change: of the"
    yield "coefficients; distance: to the real take, relative to the source's."
    yield ""
    yield "## THEval"
    yield ""
    yield from _table(rows, list(THEVAL))
    yield ""
    yield "Four of its eight measures: 1 is as in the actors' real takes. The others need networks."
    yield "Speech is found by Silero VAD as faster-whisper has it; THEval pins its version 5.1.2."


def _codec_error(rows: Sequence[ProtocolRow]) -> str:
    """How far LSE moves where nothing but the encoding changes."""
    by_name = {row.name: row.by_clip for row in rows}
    parts = []
    for measure in LIP_SYNC:
        before, after = (np.array(by_name[name][measure]) for name in (FLOOR, ENCODED))
        moved = np.abs(after - before)
        if np.isnan(moved).all():
            return "No clip has sound that SyncNet could be asked about."
        parts.append(
            f"{measure} by {np.nanmean(moved):.3f} on the mean, {np.nanmax(moved):.3f} at most"
        )
    return f"Encoding alone moves {'; '.join(parts)}: smaller differences say nothing."


def _table(rows: Sequence[ProtocolRow], names: Sequence[str]) -> Iterator[str]:
    yield f"| row | clips | {' | '.join(names)} |"
    yield f"|---|---:|{'---:|' * len(names)}"
    for row in rows:
        cells = " | ".join(_number(row.values[name]) for name in names)
        yield f"| {row.name} | {row.clips} | {cells} |"


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.3f}"
