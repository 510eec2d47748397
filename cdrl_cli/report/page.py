"""The report as one HTML file that needs nothing else: no network, no other file."""

import base64
import html
import json
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from importlib import resources
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from cdrl_cli import __version__
from cdrl_cli.checkpoints.models import Models
from cdrl_cli.edit_options import EditOptions
from cdrl_cli.editing import ProgressCallable
from cdrl_cli.emotion import Emotion
from cdrl_cli.media import open_video, probe_video
from cdrl_cli.media.output import check_document, write_document
from cdrl_cli.media.stacked import LONGEST_S, StackedWriter
from cdrl_cli.notation import clock
from cdrl_cli.report.reading import Reading, read_edit
from cdrl_cli.schedule import ScheduleRow

REFERENCE_SIDE: Final = 480
"""Longer side of the picture of a reference, pixels."""

DRAWN_POINTS: Final = 4000
"""Points of the curves of the lips, about: more cannot be told apart."""

LEAD_IN_S: Final = 5
"""Seconds before the edit that a clip too long to be shown whole begins with."""

_GOOD_LIPS: Final = 0.97
_GOOD_IDENTITY: Final = 0.80


@dataclass(frozen=True, slots=True)
class Report:
    """What a report says, and where it was written."""

    output: Path
    """The page."""
    reading: Reading
    """What was read from both files."""
    emotion: Emotion
    """The emotion that its first curve shows: most asked for, else what has risen most."""
    size_bytes: int


def write_report(
    source: Path,
    output: Path,
    page: Path,
    models: Models,
    *,
    options: EditOptions | None = None,
    overwrite: bool = False,
    progress: ProgressCallable | None = None,
) -> Report:
    """Write a page that shows what an edit did to a clip.

    Args:
        source: The clip before.
        output: The same clip after.
        page: Where the page goes, ``.html``; it appears when it is complete.
        models: Read faces.
        options: What was asked for, if that is known: then the page says it, and why stretches
            were left alone.
        overwrite: Whether an existing page may be replaced.
        progress: Called after every frame.

    Raises:
        NoFaceError: If no frame shows a face in both.
        OutputError: If the page cannot be written.
        PolicyError: If it exists and ``overwrite`` is not set.
        UnreadableInputError: If a file cannot be decoded.
        UsageError: If the output's frames are not those of the source.
        WeightsError: If weights are missing or damaged.
    """
    check_document(page, ".html", inputs=[source, output], overwrite=overwrite)
    info = probe_video(source, stream=None if options is None else options.video_stream)
    with tempfile.TemporaryDirectory(prefix="spfem-") as folder:
        file = Path(folder) / "both.mp4"
        begin = _begin(info.duration, options)
        with StackedWriter(file, like=info, sound_from=output, begin=begin) as clip:
            reading = read_edit(
                source, output, models, options=options, clip=clip, progress=progress
            )
        video = file.read_bytes()
    emotion = _main_emotion(reading)
    content = _fill(
        {
            "title": html.escape(f"{source.name}: what the edit did"),
            "heading": html.escape(source.name),
            "asked": _say_asked(options),
            "facts": "".join(_facts(reading, emotion)),
            "references": "".join(_references(options)),
            "untouched": _say_untouched(reading, known=options is not None),
            "files": html.escape(f"{source.name} → {output.name}"),
            "version": html.escape(__version__),
            "shown": _say_shown(begin, clip.end, reading),
            "video": base64.b64encode(video).decode(),
            "data": _data(reading, emotion, clip.size, float(begin)),
        }
    ).encode()
    write_document(page, content, overwrite=overwrite)
    return Report(page, reading, emotion, len(content))


def _begin(duration: Fraction | None, options: EditOptions | None) -> Fraction:
    """Where the player begins: at the clip's beginning, or near the edit's in a long one."""
    start = None if options is None else options.plan.span[0]
    if start is None or duration is None or duration <= LONGEST_S:
        return Fraction(0)
    return max(start - LEAD_IN_S, Fraction(0))


def _main_emotion(reading: Reading) -> Emotion:
    if reading.asked is not None and reading.asked.any():
        return list(Emotion)[int(reading.asked.sum(axis=0).argmax())]
    rise = np.nan_to_num(reading.output - reading.source).mean(axis=0)
    return list(Emotion)[int(rise.argmax())]


def _fill(parts: dict[str, str]) -> str:
    folder = resources.files("cdrl_cli.report")
    names = {"style": "page.css", "script": "page.js"}
    page = folder.joinpath("page.html").read_text("utf-8")
    texts = {name: folder.joinpath(file).read_text("utf-8") for name, file in names.items()}
    for name, text in (texts | parts).items():
        page = page.replace("{{" + name + "}}", text)
    return page


def _data(reading: Reading, emotion: Emotion, size: tuple[int, int], begin_s: float) -> str:
    """What the script draws, as JSON; numbers rounded, gaps as null."""
    step = len(reading.lip_times_s) // DRAWN_POINTS + 1
    facts: dict[str, Any] = {
        "width": size[0],
        "height": size[1],
        "begin": begin_s,
        "duration": round(reading.duration_s, 3),
        "emotions": [str(one) for one in Emotion],
        "emotion": str(emotion),
        "times": _rounded(reading.times_s),
        "source": [_rounded(row) for row in reading.source.T],
        "output": [_rounded(row) for row in reading.output.T],
        "asked": None if reading.asked is None else [_rounded(row) for row in reading.asked.T],
        "lipTimes": _rounded(reading.lip_times_s[::step]),
        "sourceLips": _rounded(reading.source_lips[::step]),
        "outputLips": _rounded(reading.output_lips[::step]),
        "lookTimes": _rounded(reading.look_times_s),
        "identity": None if reading.identity is None else _rounded(reading.identity),
        "untouched": [[one.start, one.end, one.reason] for one in reading.untouched],
    }
    return json.dumps(facts, separators=(",", ":")).replace("<", "\\u003c")


def _rounded(values: Any) -> list[float | None]:
    return [None if np.isnan(one) else round(float(one), 4) for one in values]


def _say_asked(options: EditOptions | None) -> str:
    if options is None:
        return "What was asked for is not known here."
    return "; ".join(html.escape(_describe(row)) for row in options.plan.rows)


def _describe(row: ScheduleRow) -> str:
    what = [row.emotion] if row.emotion else []
    if row.reference is not None:
        what.append(f"as {row.reference.name} shows it")
    if row.names_emotion:
        what.append(f"at intensity {row.intensity:g}")
    if row.adjust:
        what.append(f"adjusted: {row.adjust}")
    if row.neutralise:
        what.append("own emotion taken away")
    if row.start is not None or row.end is not None:
        begin = "the beginning" if row.start is None else clock(row.start)
        end = "the end" if row.end is None else clock(row.end)
        what.append(f"from {begin} to {end}")
    return ", ".join(what)


def _facts(reading: Reading, emotion: Emotion) -> list[str]:
    """The numbers of the page, each with what it means."""
    before, after = (_mean(one, emotion, reading) for one in (reading.source, reading.output))
    left_s = sum(one.end - one.start for one in reading.untouched)
    share = 1 - left_s / max(reading.duration_s, 1e-9)
    where = "over the whole clip" if reading.asked is None else "where it was asked for"
    facts = [
        _fact(
            f"{str(emotion).capitalize()} is read",
            f"{before:.0%} → {after:.0%}",
            f"how likely our own reader finds it {where}, before and after",
        )
    ]
    if reading.untouched:
        facts.append(_fact("Edited", f"{share:.0%} of the time", "the rest passed through"))
    if np.isfinite(reading.lip_correlation):
        verdict = "lips move as before" if reading.lip_correlation >= _GOOD_LIPS else "look closely"
        facts.append(
            _fact(
                "Lips",
                f"{reading.lip_correlation:.3f}",
                f"agreement of their opening, 1 is perfect: {verdict}",
            )
        )
    if np.isfinite(reading.closures_kept):
        facts.append(
            _fact(
                "Closed lips stay closed",
                f"{reading.closures_kept:.0%}",
                "for the p, b and m of the speech",
            )
        )
    if reading.identity is not None and len(reading.identity):
        likeness = float(reading.identity.mean())
        verdict = (
            "clearly the same person"
            if likeness >= _GOOD_IDENTITY
            else "a changed face: look closely"
        )
        facts.append(
            _fact(
                "Still the same person",
                f"{likeness:.2f}",
                f"likeness by SFace; two takes of one person reach .73 to .85: {verdict}",
            )
        )
    return facts


def _mean(curve: Float[np.ndarray, "points 7"], emotion: Emotion, reading: Reading) -> float:
    """Mean of an emotion's curve where any was asked for; of all of it where nobody knows."""
    values = curve[:, emotion.class_index]
    if reading.asked is not None and reading.asked.any():
        values = values[reading.asked.any(axis=1)]
    return float(np.nanmean(values)) if np.isfinite(values).any() else 0.0


def _fact(name: str, value: str, meaning: str) -> str:
    return (
        f"<div class=fact><dt>{html.escape(name)}</dt><dd><b>{html.escape(value)}</b>"
        f"<span>{html.escape(meaning)}</span></dd></div>"
    )


def _references(options: EditOptions | None) -> list[str]:
    if options is None:
        return []
    files = dict.fromkeys(row.reference for row in options.plan.rows if row.reference is not None)
    return [
        f'<figure><img alt="The reference {html.escape(file.name)}" src="{_picture(file)}">'
        f"<figcaption>reference: {html.escape(file.name)}</figcaption></figure>"
        for file in files
    ]


def _picture(file: Path) -> str:
    """The middle frame of a reference, as a data URI."""
    with open_video(file) as video:
        middle = (video.info.duration or Fraction(0)) / 2
        frame = next(video.frames_from(middle), None)
        picture: UInt8[np.ndarray, "height width 3"] | None = (
            None if frame is None else frame.picture(REFERENCE_SIDE)
        )
    if picture is None:
        return "data:,"
    _, jpeg = cv2.imencode(".jpg", np.ascontiguousarray(picture[..., ::-1]))
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg.tobytes()).decode()}"


def _say_untouched(reading: Reading, *, known: bool) -> str:
    if not known:
        return "<p>Which stretches passed through is not known without the options of the edit.</p>"
    if not reading.untouched:
        return "<p>Every frame was edited.</p>"
    rows = "".join(
        f'<tr><td><button type=button class=go data-time="{one.start:.3f}">{_time(one.start)}'
        f"</button></td><td>{_time(one.end)}</td><td>{html.escape(one.reason)}</td></tr>"
        for one in reading.untouched
    )
    return (
        "<table><thead><tr><th>from</th><th>to</th><th>why</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )


def _say_shown(begin: Fraction, end: Fraction, reading: Reading) -> str:
    if float(end - begin) >= reading.duration_s - 1:
        return ""
    return (
        f"<p class=note>Shown is {_time(float(begin))} to {_time(float(end))}; the curves are of "
        "the whole clip.</p>"
    )


def _time(seconds: float) -> str:
    return clock(Fraction(seconds))
