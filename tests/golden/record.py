"""Record what an edit does to real pixels, and what each command says of it.

    python tests/golden/record.py              # records anew, and shows what changed
    python tests/golden/record.py --compare    # shows what changed, and leaves the records
    python tests/golden/record.py probe        # this case alone; names are keys of EDITS, COMMANDS

The pictures hold every so-manyth pixel of the face in two frames of an edit that was written
without loss; they are true pixels of the output, not averages. They are compared by tolerance
(:data:`MEAN_LEVELS`, :data:`LARGEST_LEVELS`), not by digest: the last bit of a sum, and with it
here and there a level, differs from one processor and one release of ONNX Runtime to the next.
"""

import argparse
import csv
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from fractions import Fraction
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import av
import cv2
import numpy as np

FOLDER = Path(__file__).parent
sys.path[:0] = [str(FOLDER.parents[1]), str(FOLDER.parent)]

import sample_clips  # noqa: E402 - found by the line above
from cdrl_cli.checkpoints.models import load_models  # noqa: E402
from cdrl_cli.cli import app  # noqa: E402
from cdrl_cli.editing import EditOptions, edit_video  # noqa: E402

MEAN_LEVELS = 1.0
"""Mean difference from the record that a picture may have, levels of 255."""

LARGEST_LEVELS = 4.0
"""Largest difference from the record that one value of a picture may have, levels of 255."""

TOLERANCE = 2e-3
"""Difference that a number of a command's JSON may have: absolute under 1, relative above."""

FRAMES = (3, 8)
"""Frames of each edit that are kept, by index."""

FRAMES_CUT = 10
"""Length of each source, frames."""


@dataclass(frozen=True)
class Source:
    """A part of a real clip, or two parts side by side."""

    parts: tuple[tuple[str, Fraction], ...]
    """Name of each sample clip, and the second at which the part begins."""
    box_xyxy: tuple[int, int, int, int]
    """Where the faces are, pixels."""
    step: int
    """Every so-manyth row and column of the box is kept."""


ACTRESS = sample_clips.ACTRESS
SOURCES = {
    "man": Source((("single_face.mp4", Fraction(1)),), (210, 95, 380, 300), 2),
    "actress": Source(((ACTRESS, Fraction(14)),), (335, 55, 575, 345), 2),
    "two": Source(
        (("single_face.mp4", Fraction(1)), (ACTRESS, Fraction(14))), (210, 55, 1215, 345), 4
    ),
}
REFERENCES = {
    "joy": (ACTRESS, Fraction("12.1"), 36),
    "grief": (ACTRESS, Fraction("0.6"), 30),
}
"""Clip, first second and frames of what shows an emotion."""

EDITS: dict[str, tuple[str, tuple[str, ...]]] = {
    "man-label": ("man", ("--emotion", "angry")),
    "man-reference": ("man", ("--ref", "joy.mkv")),
    "man-words": ("man", ("--emotion", "quietly furious")),
    "man-follow": ("man", ("--ref", "grief.mkv", "--follow-ref")),
    "man-research": ("man", ("--emotion", "happy", "--weights", "research")),
    "man-research-words": ("man", ("--emotion", "scared to death", "--weights", "research")),
    "man-core": ("man", ()),
    "actress-label": ("actress", ("--emotion", "sad", "--intensity", "1.5")),
    "actress-reference": ("actress", ("--ref", "grief.mkv")),
    "actress-research": ("actress", ("--ref", "grief.mkv", "--weights", "research")),
    "two-label": ("two", ("--emotion", "surprised", "--face", "all")),
    "two-reference": ("two", ("--ref", "joy.mkv", "--face", "2")),
}
"""Source and options of each edit; the core has no option, and is called by the library."""

COMMANDS: dict[str, tuple[str, ...]] = {
    "probe": ("probe", "two.mkv", "--json"),
    "embed": ("embed", "joy.mkv", "--json"),
    "embed-neutral": ("embed", "grief.mkv", "--neutral", "joy.mkv", "--json"),
    "embed-research": ("embed", "grief.mkv", "--weights", "research", "--json"),
    "doctor": ("doctor", "--json"),
    "batch": ("batch", "batch.csv", "--json"),
}
"""What else is recorded; of the doctor the keys alone, for its values are the machine's."""

NEED_TEXT = frozenset({"man-words", "man-research-words"})
"""Cases that need the optional weights ``text``."""

PASSING = frozenset({"device", "elapsed_s", "seconds", "input_digest", "options_digest"})
"""Keys whose values differ from run to run, or from one machine to the next."""


def make_inputs(folder: Path, clips: Path) -> None:
    """Cut sources and references without loss, and write the batch's manifest."""
    for name, source in SOURCES.items():
        parts = [_read_part(clips / clip, start, FRAMES_CUT) for clip, start in source.parts]
        _write_clip(
            folder / f"{name}.mkv", [np.hstack(beside) for beside in zip(*parts, strict=True)]
        )
    for name, (clip, start, count) in REFERENCES.items():
        _write_clip(folder / f"{name}.mkv", _read_part(clips / clip, start, count))
    with (folder / "batch.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["source", "output", "emotion"])
        rows.writerow(["man.mkv", "batch-man.mkv", "happy"])
        rows.writerow(["no-such-clip.mkv", "batch-none.mkv", "sad"])


def run_case(name: str, folder: Path) -> tuple[np.ndarray | None, object]:
    """One edit or command: its picture, if it makes one, and what it says.

    By the float networks, which every processor runs: their int8 twins have a test of their own.
    """
    with patch("cdrl_cli.checkpoints.models.multiplies_bytes", lambda: False):
        return _run_case(name, folder)


def _run_case(name: str, folder: Path) -> tuple[np.ndarray | None, object]:
    if name in COMMANDS:
        said = _say(COMMANDS[name], folder)
        if name == "batch":
            lines = (folder / "batch.csv.results.jsonl").read_text("utf-8").splitlines()
            rows = [_lasting(json.loads(line.replace(f"{folder}/", ""))) for line in lines]
            said = {"report": said, "rows": rows}
        return None, _keys(said) if name == "doctor" else said
    source, words = EDITS[name]
    output = folder / f"{name}.mkv"
    if name == "man-core":
        options = EditOptions(emotion="angry", codec="ffv1", overwrite=True)
        edit_video(folder / f"{source}.mkv", output, options, models=load_models(core=True))
        said = None
    else:
        words = tuple(str(folder / word) if word.endswith(".mkv") else word for word in words)
        command = ("edit", f"{source}.mkv", "-o", f"{name}.mkv", "--codec", "ffv1", "--overwrite")
        said = _say((*command, "--json", *words), folder)
    return _picture(output, SOURCES[source]), said


def compare_pictures(found: np.ndarray, kept: np.ndarray) -> tuple[float, float]:
    """Mean and largest difference, levels of 255."""
    apart = np.abs(found.astype(float) - kept)
    return float(apart.mean()), float(apart.max())


def find_differences(found: object, kept: object, at: str = "") -> Iterator[str]:
    """Where two JSON values differ by more than :data:`TOLERANCE`."""
    if isinstance(found, dict) and isinstance(kept, dict):
        for key in sorted({*found, *kept}):
            if key not in found or key not in kept:
                yield f"{at}.{key}: {'gone' if key in kept else 'new'}"
            else:
                yield from find_differences(found[key], kept[key], f"{at}.{key}")
    elif isinstance(found, list) and isinstance(kept, list) and len(found) == len(kept):
        for index, (one, other) in enumerate(zip(found, kept, strict=True)):
            yield from find_differences(one, other, f"{at}[{index}]")
    elif isinstance(found, float) and isinstance(kept, float | int):
        if abs(found - kept) > TOLERANCE * max(1.0, abs(kept)):
            yield f"{at}: {found} was {kept}"
    elif found != kept:
        yield f"{at}: {found!r} was {kept!r}"


def read_picture(name: str) -> np.ndarray:
    """The recorded picture of a case, RGB."""
    return cv2.imread(str(FOLDER / f"{name}.png"), cv2.IMREAD_COLOR)[..., ::-1]


def read_said() -> dict[str, object]:
    """What each case said when it was recorded."""
    return json.loads((FOLDER / "said.json").read_text("utf-8"))


def _read_part(path: Path, start: Fraction, count: int) -> list[np.ndarray]:
    """Frames of one size (640 x 360), RGB."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        frames = (f for f in container.decode(stream) if f.pts * stream.time_base >= start)
        return [next(frames).to_ndarray(format="rgb24") for _ in range(count)]


def _write_clip(path: Path, frames: list[np.ndarray]) -> None:
    with av.open(path, "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))


def _picture(path: Path, source: Source) -> np.ndarray:
    left, top, right, bottom = source.box_xyxy
    with av.open(path) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    kept = [frames[i][top : bottom : source.step, left : right : source.step] for i in FRAMES]
    return np.hstack(kept)


def _say(words: tuple[str, ...], folder: Path) -> object:
    """The JSON of a command, without what differs from run to run."""
    arguments = [str(folder / w) if w.endswith((".mkv", ".csv")) else w for w in words]
    with redirect_stdout(StringIO()) as printed:
        app.run(arguments)
    lines = printed.getvalue().replace(f"{folder}/", "").strip()
    return _lasting(json.loads(lines))


def _lasting(said: object) -> object:
    if isinstance(said, dict):
        return {key: _lasting(value) for key, value in said.items() if key not in PASSING}
    return [_lasting(one) for one in said] if isinstance(said, list) else said


def _keys(said: object) -> object:
    """The shape of a JSON value: its keys, and of a list its first member."""
    if isinstance(said, dict):
        return {key: _keys(value) for key, value in said.items()}
    return [_keys(one) for one in said[:1]] if isinstance(said, list) else None


def main() -> None:
    """Run every case, show what changed, and record it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--compare", action="store_true", help="leave the records")
    parser.add_argument("cases", nargs="*", default=[*EDITS, *COMMANDS], help="these alone")
    options = parser.parse_args()
    clips = sample_clips.fetch_clips(FOLDER.parents[1] / ".cache" / "clips")
    kept = read_said() if (FOLDER / "said.json").exists() else {}
    all_said = dict(kept)
    show: Callable[[str], object] = sys.stdout.write
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_inputs(folder, clips)
        for name in options.cases:
            picture, all_said[name] = run_case(name, folder)
            changed = list(find_differences(all_said[name], kept.get(name)))
            if picture is not None and (FOLDER / f"{name}.png").exists():
                mean, largest = compare_pictures(picture, read_picture(name))
                show(f"{name:20} mean {mean:.4f} largest {largest:.0f} of 255\n")
            show(f"{name:20} {len(changed)} numbers or words changed\n")
            for line in changed[:10]:
                show(f"    {line[:150]}\n")
            if picture is not None and not options.compare:
                cv2.imwrite(str(FOLDER / f"{name}.png"), picture[..., ::-1])
    if not options.compare:
        text = json.dumps(all_said, indent=1, sort_keys=True)
        (FOLDER / "said.json").write_text(f"{text}\n", "utf-8")


if __name__ == "__main__":
    main()
