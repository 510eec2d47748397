"""How the page looks, and what its controls do (Gradio)."""

import html
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any, Final

from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import SpfemError, UsageError
from cdrl_cli.notation import clock
from cdrl_cli.studio.session import (
    AS_REFERENCE,
    Change,
    Made,
    Session,
    Settings,
    Wish,
    add_change,
    describe_error,
    read_wish,
)
from cdrl_cli.weight_set import WeightSet

ADDRESS: Final = "127.0.0.1"
"""The only one that the page is served at: nobody else on the network can see it."""

VIDEOS: Final = [".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".ts", ".mts"]
REFERENCES: Final = [*VIDEOS, ".jpg", ".jpeg", ".png", ".webp", ".heic"]

_STYLE: Final = """
footer { display: none !important; }
.gradio-container { max-width: 1280px !important; margin: 0 auto !important; }
#command textarea { font-family: ui-monospace, monospace; font-size: .85rem; }
#report iframe { width: 100%; height: 80vh; border: 0; border-radius: 8px; }
"""


def serve_studio(
    source: Path | None = None,
    *,
    weight_set: WeightSet = WeightSet.PERMISSIVE,
    device: str = "auto",
    port: int | None = None,
    open_browser: bool = True,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve the page on this machine until Ctrl-C; what was dropped and made goes with it.

    Args:
        source: Clip that it begins with.
        weight_set: Which weights.
        device: What the networks run on, as ``spfem edit --device`` takes it.
        port: Where; None takes a free one.
        open_browser: Whether to show it in the user's browser.
        ready: Is given the address.

    Raises:
        UsageError: If the extra ``studio`` is not installed, or the port is taken.
    """
    with tempfile.TemporaryDirectory(prefix="spfem-studio-") as folder:
        # Read when Gradio is imported: it reports nothing, and keeps uploads here.
        os.environ |= {
            "GRADIO_ANALYTICS_ENABLED": "False",
            "GRADIO_TEMP_DIR": str(Path(folder) / "uploads"),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_OFFLINE": "1",
        }
        page = build_page(Session(Path(folder), weight_set, device), source)
        gradio = _gradio()
        try:
            _, address, _ = page.launch(
                server_name=ADDRESS,
                server_port=port,
                inbrowser=open_browser,
                share=False,
                quiet=True,
                prevent_thread_lock=True,
                ssr_mode=False,
                allowed_paths=[folder],
                footer_links=[],
                theme=gradio.themes.Default(
                    primary_hue="orange",
                    neutral_hue="zinc",
                    font=["system-ui", "sans-serif"],
                    font_mono=["ui-monospace", "monospace"],
                ),
                css=_STYLE,
            )
        except OSError as error:
            raise UsageError(
                f"port {port} cannot be used ({error})", hint="name another one by --port"
            ) from error
        try:
            if ready:
                ready(address)
            while page.is_running:
                time.sleep(0.2)
        except KeyboardInterrupt:  # that is how it ends
            pass
        finally:
            page.close(verbose=False)


def build_page(session: Session, source: Path | None = None) -> Any:
    """The page of a session.

    Args:
        session: Does the work.
        source: Clip that it begins with.

    Raises:
        UsageError: If the extra ``studio`` is not installed.
    """
    gr = _gradio()
    Thread(target=session.models, name="models", daemon=True).start()
    controls = _Controls(session, gr)
    with gr.Blocks(title="spfem studio", analytics_enabled=False) as page:
        gr.Markdown(
            "## spfem studio\nEverything stays on this machine. Edit a face only with its owner's "
            "consent, and say that the video was edited."
        )
        changes = gr.State(())
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                clip = gr.File(
                    None if source is None else str(source),
                    label="Clip",
                    file_types=VIDEOS,
                    height=160,
                    elem_id="clip",
                )
                reference = gr.File(
                    label="Reference (optional)",
                    file_types=REFERENCES,
                    height=160,
                    elem_id="reference",
                )
                emotion = gr.Radio(
                    [*(str(one) for one in Emotion), AS_REFERENCE],
                    value="happy",
                    label="Emotion",
                    elem_id="emotion",
                )
                words = gr.Textbox(label="Or in words", placeholder="quietly furious", max_lines=1)
                intensity = gr.Slider(
                    0, 2, value=1, step=0.05, label="Intensity", elem_id="intensity"
                )
                with gr.Row():
                    face = gr.Dropdown(
                        [("the largest", "largest"), ("everybody", "all")],
                        value="largest",
                        label="Whose face",
                    )
                    look = gr.Button("Find the faces", size="sm")
                with gr.Accordion("Over time", open=False):
                    gr.Markdown(
                        "Let the emotion and intensity above hold from the shown moment on."
                    )
                    with gr.Row():
                        add = gr.Button("From here on", size="sm")
                        clear = gr.Button("Start over", size="sm")
                    table = gr.Dataframe(
                        headers=["from", "emotion", "intensity"],
                        interactive=False,
                        label="Changes",
                    )
            with gr.Column(scale=3, min_width=340):
                shown = gr.ImageSlider(
                    label="Before and after",
                    type="numpy",
                    format="png",
                    elem_id="shown",
                    max_height=620,
                    interactive=False,
                )
                at = gr.Slider(0, 1, value=0, step=0.01, label="Moment, seconds", elem_id="time")
                said = gr.Markdown(elem_id="said")
                with gr.Row():
                    make = gr.Button("Render", variant="primary", elem_id="render")
                    stop = gr.Button("Cancel", elem_id="cancel")
                progress = gr.HTML(elem_id="progress")
                files = gr.File(
                    label="Download", file_count="multiple", visible=False, elem_id="made"
                )
                command = gr.Textbox(
                    label="The same on the command line",
                    lines=2,
                    max_lines=12,
                    interactive=False,
                    buttons=["copy"],
                    elem_id="command",
                )
        report = gr.HTML(elem_id="report")

        settings = [emotion, words, reference, intensity, face, changes]
        moment = [clip, *settings, at]
        view = [shown, said, command]
        fresh = {"fn": controls.show, "inputs": moment, "outputs": view, "show_progress": "minimal"}
        clip.change(controls.open, clip, [at, face, changes, table]).then(**fresh)
        for control, event in (
            (at, "release"),
            (intensity, "release"),
            (emotion, "input"),
            (words, "submit"),
            (face, "input"),
            (reference, "change"),
        ):
            getattr(control, event)(**fresh, trigger_mode="always_last")
        look.click(controls.find_faces, clip, face)
        add.click(controls.add, [*settings, at], [changes, table]).then(**fresh)
        clear.click(lambda: ((), []), None, [changes, table]).then(**fresh)
        make.click(controls.render, [clip, *settings], [progress, files, report])
        stop.click(session.cancel, None, None, queue=False)
        if source is not None:
            page.load(controls.open, clip, [at, face, changes, table]).then(**fresh)
    return page


class _Controls:
    """What the controls of a page do.

    Args:
        session: Does the work.
        gr: Gradio.
    """

    def __init__(self, session: Session, gr: Any) -> None:
        self._session = session
        self._gr = gr

    def open(self, clip: str | None) -> tuple[Any, Any, tuple[()], list[Any]]:
        """Fit the controls to a new clip."""
        length = 1.0
        if clip is not None:
            with self._told():
                length = self._session.duration(Path(clip)) or 1.0
        last = round(max(length - 0.1, 0.01), 2)
        choices = [("the largest", "largest"), ("everybody", "all")]
        return (
            self._gr.Slider(maximum=last, value=round(min(last, length / 3), 2)),
            self._gr.Dropdown(choices=choices, value="largest"),
            (),
            [],
        )

    def show(self, clip: str | None, *values: Any) -> tuple[Any, str, str]:
        """The moment before and after, what there is to say of it, and the command."""
        *settings, time_s = values
        if clip is None:
            return None, "Drop a clip to begin.", ""
        with self._told():
            wish = read_wish(Settings(*settings))
            before, after, said = self._session.preview(Path(clip), wish, float(time_s))
            return (before, after), said, wish.command(Path(clip))
        raise AssertionError  # pragma: no cover - _told raises

    def find_faces(self, clip: str | None) -> Any:
        """Number the faces of the clip."""
        choices = [("the largest", "largest"), ("everybody", "all")]
        if clip is not None:
            with self._told():
                choices += [
                    (f"face {one.number}, from {clock(one.first)}", str(one.number))
                    for one in self._session.faces(Path(clip))
                ]
        return self._gr.Dropdown(choices=choices)

    def add(self, *values: Any) -> tuple[tuple[Change, ...], list[list[str]]]:
        """Let what is set hold from the shown moment on."""
        *settings, time_s = values
        with self._told():
            wish: Wish = add_change(read_wish(Settings(*settings)), float(time_s))
            wish.options()
            return wish.changes, [_row(one) for one in wish.changes]
        raise AssertionError  # pragma: no cover - _told raises

    def render(self, clip: str | None, *settings: Any) -> Iterator[tuple[Any, Any, Any]]:
        """Make the edit and its report, and say how far it has come."""
        gr = self._gr
        if clip is None:
            yield "Drop a clip first.", gr.skip(), gr.skip()
            return
        last = -1
        with self._told():
            yield _bar("starting", 0.0), gr.File(visible=False), ""
            for one in self._session.render(Path(clip), read_wish(Settings(*settings))):
                if isinstance(one, Made):
                    result = one.result
                    done = (
                        f"Edited {result.edited_frames} of {result.frames} frames in "
                        f"{result.elapsed_s:.1f} s."
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
        yield "Cancelled; nothing was kept.", gr.skip(), gr.skip()

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


def _row(change: Change) -> list[str]:
    shown = [change.emotion or "", "" if change.reference is None else change.reference.name]
    return [clock(change.start), " as ".join(one for one in shown if one), f"{change.intensity:g}"]


def _bar(stage: str, done: float) -> str:
    return (
        f'<label>{html.escape(stage)} <progress max="1" value="{done:.2f}" style="width:60%">'
        f"</progress> {done:.0%}</label>"
    )


def _gradio() -> Any:
    try:
        import gradio
    except ModuleNotFoundError as error:
        raise UsageError(
            "the studio needs Gradio, which is not installed", hint="pip install 'spfem[studio]'"
        ) from error
    return gradio
