"""What the controls of the page do."""

import html
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import SpfemError
from cdrl_cli.notation import clock
from cdrl_cli.presets import EmotionPreset
from cdrl_cli.studio.session import Made, Session, describe_error
from cdrl_cli.studio.wish import (
    Change,
    Wish,
    add_change,
    read_settings,
    read_wish,
    split_controls,
)

WHOSE: Final = [("the largest", "largest"), ("everybody", "all")]
"""Choices of faces that every clip has: what is shown, and what it stands for."""


class Controls:
    """What the controls of a page do.

    Args:
        session: Does the work.
        gr: Gradio.
        presets: Ways to edit, by their names.
    """

    def __init__(self, session: Session, gr: Any, presets: Mapping[str, EmotionPreset]) -> None:
        self._session = session
        self._gr = gr
        self._presets = presets

    def open(self, clip: str | None) -> tuple[Any, Any, tuple[()], str, str]:
        """Fit the controls to a new clip."""
        length = 1.0
        if clip is not None:
            with self._told():
                length = self._session.duration(Path(clip)) or 1.0
        last = round(max(length - 0.1, 0.01), 2)
        return (
            self._gr.Slider(maximum=last, value=round(min(last, length / 3), 2)),
            self._gr.Dropdown(choices=WHOSE, value="largest"),
            (),
            "",
            "",
        )

    def use_preset(
        self, name: str, emotion: str | None, words: str, intensity: float
    ) -> tuple[Any, ...]:
        """What a preset sets the controls to; what it does not speak of stays."""
        preset = self._presets[name]
        if preset.emotion is not None:
            label = Emotion.parse(preset.emotion)
            emotion, words = (emotion, preset.emotion) if label is None else (str(label), "")
        amounts, sided = split_controls(preset.adjust)
        strength = intensity if preset.intensity is None else preset.intensity
        return (emotion, words, strength, preset.neutralise, sided, *amounts)

    def show(self, clip: str | None, time_s: float, *settings: Any) -> tuple[Any, str, str]:
        """The moment before and after, what there is to say of it, and the command."""
        if clip is None:
            return None, "Drop a clip to begin.", ""
        with self._told():
            wish = read_wish(read_settings(settings))
            before, after, said = self._session.preview(Path(clip), wish, float(time_s))
            return (before, after), said, wish.command(Path(clip))
        raise AssertionError  # pragma: no cover - _told raises

    def find_intensity(
        self, clip: str | None, target: float, *settings: Any
    ) -> tuple[float | Any, str]:
        """The intensity at which the emotion is read so surely, and what was measured."""
        if clip is None:
            return self._gr.skip(), "Drop a clip first."
        with self._told():
            wish = read_wish(read_settings(settings))
            found = self._session.find_intensity(Path(clip), wish, target)
            said = (
                f"At intensity {found.intensity:g}, {found.emotion} is read with "
                f"{found.reached:.0%} by our own reader."
            )
            return found.intensity, " ".join(
                [said, *(f"{one[0].upper()}{one[1:]}." for one in found.warnings)]
            )
        raise AssertionError  # pragma: no cover - _told raises

    def find_faces(self, clip: str | None) -> Any:
        """Number the faces of the clip."""
        choices = list(WHOSE)
        if clip is not None:
            with self._told():
                choices += [
                    (f"face {one.number}, from {clock(one.first)}", str(one.number))
                    for one in self._session.faces(Path(clip))
                ]
        return self._gr.Dropdown(choices=choices)

    def add(self, time_s: float, *settings: Any) -> tuple[tuple[Change, ...], str]:
        """Let what is set hold from the shown moment on."""
        with self._told():
            wish: Wish = add_change(read_wish(read_settings(settings)), float(time_s))
            wish.options()
            return wish.changes, _table(wish.changes)
        raise AssertionError  # pragma: no cover - _told raises

    def render(self, clip: str | None, tab: str, *settings: Any) -> Iterator[tuple[Any, Any, Any]]:
        """Make the edit and its report, and say how far it has come."""
        gr = self._gr
        if clip is None:
            yield "<p>Drop a clip first.</p>", gr.skip(), gr.skip()
            return
        last = -1
        with self._told():
            wish = read_wish(read_settings(settings))
            yield _bar("starting", 0.0), gr.File(visible=False), ""
            for one in self._session.render(Path(clip), wish, tab):
                if isinstance(one, Made):
                    result = one.result
                    done = (
                        f"<p>Edited {result.edited_frames} of {result.frames} frames in "
                        f"{result.elapsed_s:.1f} s.</p>"
                    )
                    page = html.escape(one.report.read_text("utf-8"), quote=True)
                    made = gr.File(value=[str(one.output), str(one.report)], visible=True)
                    frame = (
                        f'<iframe title="Report" sandbox="allow-scripts" srcdoc="{page}"></iframe>'
                    )
                    yield done, made, frame
                    return
                percent = round(100 * one.done)
                if percent != last:
                    last = percent
                    yield _bar(one.stage, one.done), gr.skip(), gr.skip()
        yield "<p>Cancelled; nothing was kept.</p>", gr.skip(), gr.skip()

    def _told(self) -> Any:
        return _Told(self._gr)


class _Told:
    """Shows the errors that a user can meet in the page, in one line each."""

    def __init__(self, gr: Any) -> None:
        self._gr = gr

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, SpfemError):
            raise self._gr.Error(describe_error(error), duration=None) from error


def _table(changes: Sequence[Change]) -> str:
    """What is shown from which moment on, as HTML."""
    rows = "".join(
        f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in _cells(one))}</tr>"
        for one in changes
    )
    head = "<tr><th>from</th><th>whose</th><th>shows</th></tr>"
    return f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>" if rows else ""


def _cells(change: Change) -> list[str]:
    """A line of that table."""
    look = change.look
    names = {"largest": "the largest", "all": "everybody"}
    whose = names.get(str(look.face), f"face {look.face}")
    what = [look.emotion or ""]
    if look.reference is not None:
        what.append(f"as {look.reference.name}")
    if any(what):
        what.append(f"at {look.intensity:g}")
    if look.adjust:
        what.append(str(look.adjust))
    if look.neutralise:
        what.append("own emotion taken away")
    return [
        clock(change.start),
        whose if look.who is None else look.who.stem,
        ", ".join(one for one in what if one),
    ]


def _bar(stage: str, done: float) -> str:
    return (
        f'<p><label>{html.escape(stage)} <progress max="1" value="{done:.2f}"></progress> '
        f"{done:.0%}</label></p>"
    )
