"""How the page looks (Gradio)."""

import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Thread
from typing import Any, Final
from uuid import uuid4

from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UsageError
from cdrl_cli.generator.adjust import CONTROLS
from cdrl_cli.limits import MAX_INTENSITY
from cdrl_cli.notation import CORNERS
from cdrl_cli.presets import PRESETS, EmotionPreset
from cdrl_cli.studio.controls import WHOSE, Controls
from cdrl_cli.studio.session import Session
from cdrl_cli.studio.wish import AS_REFERENCE, NO_EMOTION
from cdrl_cli.weight_set import WeightSet

ADDRESS: Final = "127.0.0.1"
"""The only one that the page is served at: nobody else on the network can see it."""

VIDEOS: Final = [".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".ts", ".mts"]
PHOTOS: Final = [".jpg", ".jpeg", ".png", ".webp", ".heic"]
REFERENCES: Final = [*VIDEOS, *PHOTOS]

INTENSITY_STEP: Final = 0.0125
"""Of the slider: both .05 and what a search halves down to are multiples of it."""

_STYLE: Final = """
footer { display: none !important; }
.gradio-container { max-width: 1280px !important; margin: 0 auto !important; }
#looking { position: sticky; top: 12px; align-self: flex-start; }
#faces { align-items: end; }
#changes table { width: 100%; margin: 0; border: 0; border-collapse: collapse; font-size: .9rem; }
#changes :is(table, thead, tbody, tr) { border: 0 !important; }
#changes th, #changes td { text-align: left; padding: 4px 12px 4px 0; border: 0; }
#changes tr { vertical-align: top; }
#changes th, #changes td:not(:last-child) { white-space: nowrap; }
#changes td:last-child { width: 100%; overflow-wrap: anywhere; }
@media (max-width: 767px) { #looking { order: -1; position: static; } }
#said:not(:has(p)), #found:not(:has(p)), #progress:not(:has(p)), #changes:not(:has(table)) {
  display: none;
}
#progress progress { width: 60%; height: 8px; border: 0; border-radius: 4px; overflow: hidden; }
#progress progress, #progress ::-webkit-progress-bar { background: var(--border-color-primary); }
#progress ::-webkit-progress-value { background: var(--color-accent); }
#progress ::-moz-progress-bar { background: var(--color-accent); }
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
    presets: Mapping[str, EmotionPreset] = PRESETS,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve the page on this machine until Ctrl-C; what was dropped and made goes with it.

    Args:
        source: Clip that it begins with.
        weight_set: Which weights.
        device: What the networks run on, as ``spfem edit --device`` takes it.
        port: Where; None takes a free one.
        open_browser: Whether to show it in the user's browser.
        presets: Ways to edit, by their names.
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
        page = build_page(Session(Path(folder), weight_set, device), source, presets)
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


def build_page(
    session: Session,
    source: Path | None = None,
    presets: Mapping[str, EmotionPreset] = PRESETS,
) -> Any:
    """The page of a session.

    Args:
        session: Does the work.
        source: Clip that it begins with.
        presets: Ways to edit, by their names.

    Raises:
        UsageError: If the extra ``studio`` is not installed.
    """
    gr = _gradio()
    Thread(target=session.models, name="models", daemon=True).start()
    controls = Controls(session, gr, presets)
    with gr.Blocks(title="spfem studio", analytics_enabled=False) as page:
        gr.Markdown(
            "## spfem studio\nEverything stays on this machine. Edit a face only with its owner's "
            "consent, and say that the video was edited."
        )
        changes = gr.State(())
        tab = gr.State(lambda: uuid4().hex)  # each page that is open cancels its own edit
        with gr.Row():
            clip = _file(gr, "Clip", VIDEOS, "clip", source)
            reference = _file(gr, "Reference (optional)", REFERENCES, "reference")
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                what = _What(gr, presets)
                whose = _Whose(gr)
                over_time = _OverTime(gr)
                disclose = gr.Dropdown(
                    [("none", ""), *((one.replace("-", " "), one) for one in CORNERS)],
                    value="",
                    label="Label “AI-edited” on every frame",
                    elem_id="disclose",
                )
            with gr.Column(scale=3, min_width=340, elem_id="looking"):
                look = _Looking(gr)
        report = gr.HTML(elem_id="report")

        settings = [
            *(what.emotion, what.words, reference, what.intensity),
            *(whose.face, whose.photo, what.neutralise, what.sided, disclose, changes),
            *what.amounts,
        ]
        fresh = {
            "fn": controls.show,
            "inputs": [clip, look.at, *settings],
            "outputs": [look.shown, look.said, look.command],
            "show_progress": "minimal",
        }
        opened = {
            "fn": controls.open,
            "inputs": clip,
            "outputs": [look.at, whose.face, changes, over_time.table, what.found],
        }
        clip.change(**opened).then(**fresh)
        sliders = [look.at, what.intensity, *what.amounts]
        for control, event in (
            *((one, "release") for one in sliders),
            *((one, "input") for one in (what.emotion, whose.face, what.neutralise, disclose)),
            *((one, "submit") for one in (what.words, what.sided)),
            *((one, "change") for one in (reference, whose.photo)),
        ):
            getattr(control, event)(**fresh, trigger_mode="always_last")
        what.preset.input(
            controls.use_preset,
            [what.preset, what.emotion, what.words, what.intensity],
            [what.emotion, what.words, what.intensity, what.neutralise, what.sided, *what.amounts],
        ).then(**fresh)
        what.find.click(
            controls.find_intensity, [clip, what.target, *settings], [what.intensity, what.found]
        ).then(**fresh)
        whose.find.click(controls.find_faces, clip, whose.face)
        kept = [changes, over_time.table]
        over_time.add.click(controls.add, [look.at, *settings], kept).then(**fresh)
        over_time.clear.click(lambda: ((), ""), None, kept).then(**fresh)
        made = [look.progress, look.files, report]
        look.make.click(controls.render, [clip, tab, *settings], made)
        look.stop.click(session.cancel, tab, None, queue=False)
        if source is not None:
            page.load(**opened).then(**fresh)
    return page


class _What:
    """The controls of what is shown."""

    def __init__(self, gr: Any, presets: Mapping[str, EmotionPreset]) -> None:
        self.emotion = gr.Radio(
            [*(str(one) for one in Emotion), AS_REFERENCE, NO_EMOTION],
            value="happy",
            label="Emotion",
            elem_id="emotion",
        )
        self.words = gr.Textbox(
            label="Or in words", info="Enter shows it", placeholder="quietly furious", max_lines=1
        )
        self.intensity = gr.Slider(
            0, MAX_INTENSITY, value=1, step=INTENSITY_STEP, label="Intensity", elem_id="intensity"
        )
        with gr.Accordion("Find the intensity", open=False, elem_id="target"):
            self.target = gr.Slider(
                0.05,
                0.95,
                value=0.7,
                step=0.05,
                label="How surely the emotion is to be read",
                info="by our own reader, on frames all over the clip",
            )
            self.find = gr.Button("Find", size="sm")
            self.found = gr.Markdown(elem_id="found")
        self.preset = gr.Radio(
            list(presets), label="Presets", info="set the controls at once", elem_id="preset"
        )
        with gr.Accordion("Fine controls", open=False, elem_id="fine"):
            self.neutralise = gr.Checkbox(
                label="Take away first what the face shows itself", elem_id="neutralise"
            )
            self.amounts = [_control(gr, name) for name in CONTROLS]
            self.sided = gr.Textbox(
                label="One side alone",
                info="Enter shows it",
                placeholder="smile-left=.4,brows-right=-.2",
                max_lines=1,
                elem_id="sided",
            )


class _Whose:
    """The controls of whose face is edited."""

    def __init__(self, gr: Any) -> None:
        with gr.Accordion("Whose face", open=False, elem_id="whose"):
            with gr.Row(elem_id="faces"):
                self.face = gr.Dropdown(
                    WHOSE, value="largest", label="In this clip", scale=2, min_width=260
                )
                self.find = gr.Button("Find the faces", size="sm", min_width=120)
            self.photo = _file(gr, "Or the person in a photo, through cuts", PHOTOS, "photo")


class _OverTime:
    """The controls of what changes over time."""

    def __init__(self, gr: Any) -> None:
        with gr.Accordion("Over time", open=False, elem_id="over-time"):
            gr.Markdown(
                "Let all that is set above hold from the shown moment on, for the faces that are "
                "chosen: several people may show several emotions."
            )
            with gr.Row():
                self.add = gr.Button("From here on", size="sm")
                self.clear = gr.Button("Start over", size="sm")
            self.table = gr.HTML(elem_id="changes")


class _Looking:
    """What is looked at, and made."""

    def __init__(self, gr: Any) -> None:
        self.shown = gr.ImageSlider(
            label="Before and after",
            type="numpy",
            format="png",
            elem_id="shown",
            max_height=620,
            interactive=False,
        )
        self.at = gr.Slider(0, 1, value=0, step=0.01, label="Moment, seconds", elem_id="time")
        self.said = gr.Markdown(elem_id="said")
        with gr.Row():
            self.make = gr.Button("Render", variant="primary", elem_id="render")
            self.stop = gr.Button("Cancel", elem_id="cancel")
        self.progress = gr.HTML(elem_id="progress")
        self.files = gr.File(label="Download", file_count="multiple", visible=False, elem_id="made")
        self.command = gr.Textbox(
            label="The same on the command line",
            lines=2,
            max_lines=12,
            interactive=False,
            buttons=["copy"],
            elem_id="command",
        )


def _file(gr: Any, label: str, kinds: list[str], name: str, value: Path | None = None) -> Any:
    """Where a file is dropped."""
    return gr.File(
        None if value is None else str(value),
        label=label,
        file_types=kinds,
        height=150,
        min_width=260,
        elem_id=name,
    )


def _control(gr: Any, name: str) -> Any:
    """The slider of a fine control."""
    return gr.Slider(
        -1,
        1,
        value=0,
        step=0.05,
        label=name,
        info=CONTROLS[name].meaning,
        elem_id=f"adjust-{name}",
    )


def _gradio() -> Any:
    try:
        import gradio
    except ModuleNotFoundError as error:
        raise UsageError(
            "the studio needs Gradio, which is not installed", hint="pip install 'spfem[studio]'"
        ) from error
    return gradio
