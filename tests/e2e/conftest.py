import json
import os
import subprocess
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import pytest

from commands import run_limited


@dataclass(frozen=True)
class Edit:
    """A finished ``spfem edit``."""

    source: Path
    output: Path
    report: dict[str, object]


ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


def _command(words: tuple[object, ...]) -> list[str]:
    return [sys.executable, "-m", "cdrl_cli", *map(str, words)]


def start_spfem(*words: object, cwd: Path, **variables: str) -> subprocess.Popen[str]:
    """Start the real command in a folder of its own, with some variables besides."""
    return subprocess.Popen(
        _command(words),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env=ENVIRONMENT | variables,
    )


def spfem(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the real command in a folder of its own, to its end."""
    return run_limited(_command(words), cwd=cwd, env=ENVIRONMENT)


def edit_clip(source: Path, output: Path, *words: object) -> Edit:
    """Edit with a reference or a label, expect success, read the report."""
    done = spfem("edit", source, "-o", output, "--json", *words, cwd=output.parent)
    assert done.returncode == 0, done.stderr
    return Edit(source, output, json.loads(done.stdout))


def frame_times(path: Path) -> list[Fraction]:
    """Exact presentation time of every frame that decodes, seconds."""
    with av.open(path) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


def audio_packets(path: Path) -> list[tuple[Fraction, bytes]]:
    """Exact time and bytes of every audio packet."""
    with av.open(path) as container:
        return [
            (packet.pts * packet.time_base, bytes(packet))
            for packet in container.demux(audio=0)
            if packet.pts is not None
        ]


@pytest.fixture(scope="session")
def joyful(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Edit:
    """The man of ``single_face.mp4`` with the joy of the actress, as a user would make it."""
    output = tmp_path_factory.mktemp("joyful") / "it's joy.mp4"
    return edit_clip(clips / "single_face.mp4", output, "--ref", clips / "joy.mp4")


@pytest.fixture(scope="session")
def lossless(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Edit:
    """The same, encoded without loss: what differs from the source was edited."""
    output = tmp_path_factory.mktemp("lossless") / "joy.mkv"
    source = clips / "single_face.mp4"
    return edit_clip(source, output, "--ref", clips / "joy.mp4", "--codec", "ffv1")
