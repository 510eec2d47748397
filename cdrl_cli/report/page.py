"""The report as one HTML file that needs nothing else: no network, no other file."""

import base64
import html
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib import resources
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from cdrl_cli import __version__
from cdrl_cli.array_types import Float, UInt8
from cdrl_cli.checkpoints.models import Models
from cdrl_cli.edit_options import EditOptions
from cdrl_cli.edited_row import EditedRow
from cdrl_cli.editing import ProgressCallable
from cdrl_cli.emotion import Emotion
from cdrl_cli.media import open_video, probe_video
from cdrl_cli.media.output import check_document, write_document
from cdrl_cli.media.stacked import LONGEST_S, StackedWriter
from cdrl_cli.notation import clock
from cdrl_cli.report.asked import say_asked, settle
from cdrl_cli.report.reading import ReadFace, Reading, read_edit

REFERENCE_SIDE: Final = 480
"""Longer side of the picture of a reference, pixels."""

DRAWN_POINTS: Final = 4000
"""Points of the curves of the lips, about: more cannot be told apart."""

LEAD_IN_S: Final = 5
"""Seconds before the edit that a clip too long to be shown whole begins with."""

MOST_NUMBERS: Final = 3
"""Emotions that have a number of their own, at most; all have curves."""

_WORTH_A_NUMBER: Final = 0.25
_GOOD_LIPS: Final = 0.97
_GOOD_IDENTITY: Final = 0.80


@dataclass(frozen=True, slots=True)
class Report:
    """What a report says, and where it was written."""

    output: Path
    """The page."""
    reading: Reading
    """What was read from both files."""
    size_bytes: int


def write_report(
    source: Path,
    output: Path,
    page: Path,
    models: Models,
    *,
    options: EditOptions | None = None,
    done: Sequence[EditedRow] = (),
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
        done: What each row of them did, if the edit has just been made; else intensities are found
            for targets once more, as the edit found them.
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
    options, found = settle(source, options, models, done)
    with tempfile.TemporaryDirectory(prefix="spfem-") as folder:
        file = Path(folder) / "both.mp4"
        begin = _begin(info.duration, options)
        with StackedWriter(file, like=info, sound_from=output, begin=begin) as clip:
            reading = read_edit(
                source, output, models, options=options, clip=clip, progress=progress
            )
        video = file.read_bytes()
    width, height = clip.size
    has_sound = any(one.kind == "audio" for one in info.streams)
    content = _fill(
        {
            "title": html.escape(f"{source.name}: what the edit did"),
            "heading": html.escape(source.name),
            "asked": say_asked(options, found),
            "choices": _choose_face(reading),
            "facts": "".join(
                _facts(face, reading, is_hidden=place > 0)
                for place, face in enumerate(reading.faces)
            ),
            "shape": "tall" if height > width else "wide",
            "aspect": f"{width / height:.4f}",
            "references": "".join(_references(options)),
            "untouched": _say_untouched(reading, known=options is not None),
            "files": html.escape(f"{source.name} → {output.name}"),
            "version": html.escape(__version__),
            "shown": _say_shown(begin, clip.end, reading),
            "video": base64.b64encode(video).decode(),
            "data": _data(reading, clip.size, float(begin), has_sound=has_sound),
        }
    ).encode()
    write_document(page, content, overwrite=overwrite)
    return Report(page, reading, len(content))


def _begin(duration: Fraction | None, options: EditOptions | None) -> Fraction:
    """Where the player begins: at the clip's beginning, or near the edit's in a long one."""
    start = None if options is None else options.plan.span[0]
    if start is None or duration is None or duration <= LONGEST_S:
        return Fraction(0)
    return max(start - LEAD_IN_S, Fraction(0))


def _fill(parts: dict[str, str]) -> str:
    folder = resources.files("cdrl_cli.report")
    names = {"style": "page.css", "script": "page.js"}
    page = folder.joinpath("page.html").read_text("utf-8")
    texts = {name: folder.joinpath(file).read_text("utf-8") for name, file in names.items()}
    for name, text in (texts | parts).items():
        page = page.replace("{{" + name + "}}", text)
    return page


def _data(reading: Reading, size: tuple[int, int], begin_s: float, *, has_sound: bool) -> str:
    """What the script draws, as JSON; numbers rounded, gaps as null."""
    facts: dict[str, Any] = {
        "width": size[0],
        "height": size[1],
        "begin": begin_s,
        "sound": has_sound,
        "duration": round(reading.duration_s, 3),
        "emotions": [str(one) for one in Emotion],
        "faces": [_curves(face) for face in reading.faces],
        "untouched": [[one.start, one.end, one.reason] for one in reading.untouched],
    }
    return json.dumps(facts, separators=(",", ":")).replace("<", "\\u003c")


def _curves(face: ReadFace) -> dict[str, Any]:
    step = len(face.lip_times_s) // DRAWN_POINTS + 1
    return {
        "emotion": str(face.emotion),
        "times": _rounded(face.times_s),
        "source": [_rounded(row) for row in face.source.T],
        "output": [_rounded(row) for row in face.output.T],
        "asked": None if face.asked is None else [_rounded(row) for row in face.asked.T],
        "lipTimes": _rounded(face.lip_times_s[::step]),
        "sourceLips": _rounded(face.source_lips[::step]),
        "outputLips": _rounded(face.output_lips[::step]),
        "lookTimes": _rounded(face.look_times_s),
        "identity": None if face.identity is None else _rounded(face.identity),
    }


def _rounded(values: Any) -> list[float | None]:
    return [None if np.isnan(one) else round(float(one), 4) for one in values]


def _choose_face(reading: Reading) -> str:
    """Buttons that choose whose numbers and curves are shown; nothing for one face."""
    if len(reading.faces) == 1:
        return ""
    buttons = "".join(
        f'<button type=button data-face={place} aria-pressed="{str(not place).lower()}">'
        f'<img alt="" src="{_jpeg(face.picture)}">{html.escape(face.name)}</button>'
        for place, face in enumerate(reading.faces)
    )
    return f'<div class=choices id=faces role=group aria-label="Whose face">{buttons}</div>'


def _facts(face: ReadFace, reading: Reading, *, is_hidden: bool) -> str:
    """The numbers of a face, each with what it means."""
    facts = [_reading_fact(face, emotion) for emotion in _emotions(face)]
    left_s = sum(one.end - one.start for one in reading.untouched)
    if reading.untouched:
        share = 1 - left_s / max(reading.duration_s, 1e-9)
        facts.append(_fact("Edited", f"{share:.0%}", "of the time; the rest passed through"))
    if np.isfinite(face.lip_correlation):
        verdict = "lips move as before" if face.lip_correlation >= _GOOD_LIPS else "look closely"
        facts.append(
            _fact(
                "Lips",
                f"{face.lip_correlation:.3f}",
                f"agreement of their opening, 1 is perfect: {verdict}",
            )
        )
    if np.isfinite(face.closures_kept):
        facts.append(
            _fact(
                "Closed lips stay closed",
                f"{face.closures_kept:.0%}",
                "for the p, b and m of the speech",
            )
        )
    if face.identity is not None and len(face.identity):
        likeness = float(face.identity.mean())
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
    return f"<dl class=facts{' hidden' if is_hidden else ''}>{''.join(facts)}</dl>"


def _emotions(face: ReadFace) -> list[Emotion]:
    """The emotions that are worth a number: those asked for, most first; else what has risen."""
    if face.asked is None:
        return [face.emotion]
    most, amounts = face.asked.max(axis=0), face.asked.sum(axis=0)
    named = [one for one in Emotion if most[one.class_index] >= _WORTH_A_NUMBER]
    ranked = sorted(named, key=lambda one: -amounts[one.class_index])
    return ranked[:MOST_NUMBERS] or [face.emotion]


def _reading_fact(face: ReadFace, emotion: Emotion) -> str:
    """How likely an emotion is read before and after, over the time in which it was asked for."""
    place = emotion.class_index
    where, span = "over the whole clip", np.full(len(face.times_s), fill_value=True)
    if face.asked is not None and face.asked[:, place].any():
        where = "where it was asked for"
        span = face.asked[:, place] >= face.asked[:, place].max() / 2
    before, after = (_mean(curve[span, place]) for curve in (face.source, face.output))
    return _fact(
        f"{str(emotion).capitalize()} is read",
        f"{before:.0%} → {after:.0%}",
        f"how likely our own reader finds it {where}, before and after",
    )


def _mean(values: Float[np.ndarray, " points"]) -> float:
    """Of what is known; 0 where nothing is."""
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
    return "data:," if picture is None else _jpeg(picture)


def _jpeg(picture: UInt8[np.ndarray, "height width 3"]) -> str:
    """A picture as a data URI."""
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
