"""Draw a source above its edit, at several times, into one picture.

python benchmarks/contact_sheet.py SOURCE EDITED -o sheet.png
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

Rgb = UInt8[np.ndarray, "height width 3"]

CHANGE_LEVEL = 16
"""A pixel that differs by more than this (of 255) was edited; below it is the encoder's noise."""

NEIGHBOURHOOD_PX = 9
"""Noise is scattered, an edit is not: a change must hold on average over this many pixels."""

MARGIN = 0.35
"""How much to show around the edit, as a share of its size."""

LABEL_PX = 18


def draw_sheet(
    source: Path, edited: Path, *, columns: int, whole: bool, height_px: int
) -> Image.Image:
    """Two rows of pictures: the source above, the edit below.

    Args:
        source: The video before.
        edited: The same video after, with as many frames.
        columns: How many moments, spread evenly.
        whole: Show whole frames, not the part that changed.
        height_px: Height of one picture on the sheet.
    """
    total = sum(1 for _ in _read_frames(source))
    wanted = {round((column + 0.5) * total / columns) for column in range(columns)}
    above = {index: (time, rgb) for index, time, rgb in _read_frames(source) if index in wanted}
    below = {index: rgb for index, _, rgb in _read_frames(edited) if index in wanted}
    moments = sorted(above.keys() & below.keys())
    pairs = [(above[index][1], below[index]) for index in moments]
    left, top, right, bottom = _whole(pairs) if whole else _changed_box(pairs)
    width_px = round(height_px * (right - left) / (bottom - top))
    sheet = Image.new("RGB", (width_px * len(pairs), 2 * (height_px + LABEL_PX)), "white")
    pen = ImageDraw.Draw(sheet)
    for column, (index, pair) in enumerate(zip(moments, pairs, strict=True)):
        for row, (name, rgb) in enumerate(zip(("source", "edited"), pair, strict=True)):
            corner = (column * width_px, row * (height_px + LABEL_PX))
            label = f"{name} {above[index][0]:.2f} s"
            pen.text((corner[0] + 4, corner[1] + 3), label, fill="black")
            picture = Image.fromarray(np.ascontiguousarray(rgb[top:bottom, left:right]))
            resized = picture.resize((width_px, height_px), Image.Resampling.LANCZOS)
            sheet.paste(resized, (corner[0], corner[1] + LABEL_PX))
    return sheet


def _read_frames(path: Path) -> Iterator[tuple[int, float, Rgb]]:
    """Index, time in seconds and upright pixels of every frame."""
    with av.open(path) as container:
        for index, frame in enumerate(container.decode(video=0)):
            upright = np.rot90(frame.to_ndarray(format="rgb24"), k=frame.rotation // 90)
            yield index, float(frame.time or 0.0), upright


def _whole(pairs: list[tuple[Rgb, Rgb]]) -> tuple[int, int, int, int]:
    height, width = pairs[0][0].shape[:2]
    return 0, 0, width, height


def _changed_box(pairs: list[tuple[Rgb, Rgb]]) -> tuple[int, int, int, int]:
    """Where the pairs differ, with a margin; everything where they do not."""
    side = (NEIGHBOURHOOD_PX, NEIGHBOURHOOD_PX)
    changes = [cv2.blur(cv2.absdiff(*pair).max(axis=2), side) for pair in pairs]
    ys, xs = np.nonzero(np.max(changes, axis=0) > CHANGE_LEVEL)
    if not len(ys):
        return _whole(pairs)
    _, _, width, height = _whole(pairs)
    margin_x, margin_y = MARGIN * np.ptp(xs), MARGIN * np.ptp(ys)
    return (
        max(0, int(xs.min() - margin_x)),
        max(0, int(ys.min() - margin_y)),
        min(width, int(xs.max() + margin_x) + 1),
        min(height, int(ys.max() + margin_y) + 1),
    )


def main() -> None:
    """Read the command line, write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("source", type=Path)
    parser.add_argument("edited", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--columns", type=int, default=6, help="moments, spread evenly")
    parser.add_argument("--whole", action="store_true", help="whole frames, not what changed")
    parser.add_argument("--height", type=int, default=240, help="pixels of one picture")
    options = parser.parse_args()
    sheet = draw_sheet(
        options.source,
        options.edited,
        columns=options.columns,
        whole=options.whole,
        height_px=options.height,
    )
    sheet.save(options.output)
    print(options.output)


if __name__ == "__main__":
    main()
