"""Where the time of an edit goes, stage by stage: wall and processor time a frame, as Markdown.

The stages run one after another here, on one thread of ours, so that each can be told from the
others; in an edit they run side by side. Libraries keep their own threads, and their processor time
counts where it is spent: the encoder also works while the next frames are tracked and rendered.
"""

import argparse
import functools
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

STAGES = (
    "decode",
    "track",
    "crop",
    "motion",
    "mesh",
    "network",
    "render, rest",
    "composite",
    "encode",
)
"""In the order in which a frame meets them. ``crop`` reads the face's colours; ``network`` is the
renderer and the skin; ``composite`` warps the face's pixels and blends them into the planes."""


class StageClock:
    """Counts wall and processor time by stage; a stage inside another is counted as its own."""

    def __init__(self) -> None:
        self.wall_s: defaultdict[str, float] = defaultdict(float)
        self.cpu_s: defaultdict[str, float] = defaultdict(float)
        self._running: list[str] = []
        self._since = (0.0, 0.0)

    def reset(self) -> None:
        """Forget what was counted."""
        self.wall_s.clear()
        self.cpu_s.clear()

    @contextmanager
    def running(self, stage: str) -> Iterator[None]:
        """Count what happens inside as a stage's."""
        self._turn()
        self._running.append(stage)
        try:
            yield
        finally:
            self._turn()
            self._running.pop()

    def _turn(self) -> None:
        """Give the time since the last turn to the innermost stage that was running."""
        now = (time.perf_counter(), time.process_time())
        if self._running:
            self.wall_s[self._running[-1]] += now[0] - self._since[0]
            self.cpu_s[self._running[-1]] += now[1] - self._since[1]
        self._since = now

    def timed(
        self, stage: str, function: Callable[..., Any], *, within: str | None = None
    ) -> Callable[..., Any]:
        """The function, counted.

        Args:
            stage: As what.
            function: Which.
            within: Where it is called from another stage than this, it counts as that one's.
        """

        @functools.wraps(function)
        def call(*args: Any, **options: Any) -> Any:
            if within is not None and self._running[-1:] != [within]:
                return function(*args, **options)
            with self.running(stage):
                return function(*args, **options)

        return call

    def timed_items(self, stage: str, items: Iterable[Any]) -> Iterator[Any]:
        """The items, the drawing of each counted."""
        drawn = iter(items)
        while True:
            with self.running(stage):
                item = next(drawn, None)
            if item is None:
                return
            yield item


def measure(source: Path, options: argparse.Namespace) -> tuple[StageClock, int]:
    """Edit a clip, one stage after another, and count; with the number of frames counted."""
    from speed import CLIPS

    from cdrl_cli import editing
    from cdrl_cli.checkpoints.models import load_models
    from cdrl_cli.face.compositing import paste_face
    from cdrl_cli.face.stream import FaceStream
    from cdrl_cli.generator import face_task
    from cdrl_cli.generator.renderer import WarpRenderer
    from cdrl_cli.media.reader import VideoReader
    from cdrl_cli.media.writer import VideoWriter
    from cdrl_cli.nn.onnx import import_quietly

    clock = StageClock()
    warm_up = 30
    counted = 0

    @contextmanager
    def one_after_another(items: Iterable[Any], *, depth: int = 0) -> Iterator[Iterable[Any]]:
        del depth
        yield items

    @contextmanager
    def done_at_once(
        tasks: Iterable[Callable[[], Any]], *, workers: int = 0
    ) -> Iterator[Iterable[Any]]:
        del workers
        yield (task() for task in tasks)

    def count(_: object) -> None:
        nonlocal counted
        counted += 1
        if counted == warm_up:
            clock.reset()

    def follow(self: FaceStream, **wanted: Any) -> Iterator[Any]:
        return clock.timed_items("track", tracked(self, **wanted))

    models = load_models(options.weights)
    session = import_quietly().InferenceSession
    frames, tracked, read = VideoReader.__iter__, FaceStream.tracked, FaceStream.crop
    replaced: list[tuple[Any, str, Any]] = [
        (editing, "prefetch", one_after_another),
        (editing, "work_ahead", done_at_once),
        (VideoReader, "__iter__", lambda self: clock.timed_items("decode", frames(self))),
        (FaceStream, "tracked", follow),
        (FaceStream, "crop", clock.timed("crop", read)),
        (type(models.motion), "__call__", clock.timed("motion", type(models.motion).__call__)),
        (WarpRenderer, "move", clock.timed("mesh", WarpRenderer.move)),
        (session, "run", clock.timed("network", session.run, within="render, rest")),
        (face_task.FaceTask, "_render", clock.timed("render, rest", face_task.FaceTask._render)),
        (face_task, "paste_face", clock.timed("composite", paste_face)),
        (VideoWriter, "write", clock.timed("encode", VideoWriter.write)),
    ]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in replaced]
    for owner, name, substitute in replaced:
        setattr(owner, name, substitute)
    asked = (
        editing.EditOptions(emotion=options.emotion)
        if options.emotion
        else editing.EditOptions(reference=CLIPS / "grief.mp4")
    )
    try:
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder, "out.mp4")
            editing.edit_video(source, output, asked, progress=count, models=models)
    finally:
        for owner, name, original in before:
            setattr(owner, name, original)
    return clock, counted - warm_up


def print_table(size: str, source: Path, options: argparse.Namespace) -> None:
    """Measure the stages of an edit, and print them."""
    clock, frames = measure(source, options)
    print(f"Stages one after another, {size}, ms a frame over {frames} frames:\n")
    print("| stage | wall | CPU |\n|---|---:|---:|")
    for stage in STAGES:
        wall, cpu = (1000 * spent[stage] / frames for spent in (clock.wall_s, clock.cpu_s))
        print(f"| {stage} | {wall:.1f} | {cpu:.1f} |")
    walls, cpus = (1000 * sum(spent.values()) / frames for spent in (clock.wall_s, clock.cpu_s))
    print(f"| all | {walls:.1f} | {cpus:.1f} |", flush=True)
