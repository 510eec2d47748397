"""Moments of a clip before and after edits, drawn into one picture."""

from collections.abc import Sequence
from io import BytesIO
from math import ceil, floor
from typing import Final, Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cdrl_cli.array_types import UInt8
from cdrl_cli.media.frames import VideoFrame
from cdrl_cli.notation import clock
from cdrl_cli.preview import Moment

Crop = Literal["face", "frame"]
"""What a tile shows: the head, or the whole frame."""

HEAD_SHARE: Final = 2.0
"""Height of a tile of a head, by the height of the box around its landmarks."""

TILE_ASPECT: Final = 0.8
"""Width of a tile of a head, by its height."""

_GAP_PX: Final = 10
_TEXT_PX: Final = 15
_HEADER_PX: Final = 30
_PAPER, _INK, _FAINT = (250, 250, 248), (32, 32, 36), (120, 120, 126)


def draw_sheet(
    moments: Sequence[Moment], names: Sequence[str], *, crop: Crop = "face", side_px: int = 320
) -> Image.Image:
    """Draw a row for each moment: the frame as it is, then what each edit makes of it.

    Args:
        moments: One or more, each with as many edits as there are names.
        names: What the edits are called.
        crop: What a tile shows; the frame where a moment has no face.
        side_px: Longer side of a tile, pixels.

    Raises:
        ValueError: If there is no moment, or a name too few or too many.
    """
    if not moments or any(len(one.edited) != len(names) for one in moments):
        raise ValueError(f"names go with edits, got {len(moments)} moments, {len(names)} names")
    rows = [_tiles(moment, crop, side_px) for moment in moments]
    width = max(tile.width for row in rows for tile in row)
    height = max(tile.height for row in rows for tile in row)
    columns = len(names) + 1
    sheet = Image.new(
        "RGB",
        (
            _GAP_PX + columns * (width + _GAP_PX),
            _HEADER_PX + len(rows) * (height + _HEADER_PX) + _GAP_PX,
        ),
        _PAPER,
    )
    pen = ImageDraw.Draw(sheet)
    for column, name in enumerate(("source", *names)):
        pen.text(
            (_GAP_PX + column * (width + _GAP_PX), _HEADER_PX / 2),
            name,
            fill=_INK,
            font=_font(_TEXT_PX + 2),
            anchor="lm",
        )
    for place, (moment, tiles) in enumerate(zip(moments, rows, strict=True)):
        top = _HEADER_PX + place * (height + _HEADER_PX)
        for column, tile in enumerate(tiles):
            left = _GAP_PX + column * (width + _GAP_PX)
            sheet.paste(tile, (left + (width - tile.width) // 2, top + (height - tile.height) // 2))
            reason = moment.untouched[column - 1] if column else None
            text = clock(moment.time) if column == 0 else (f"unchanged: {reason}" if reason else "")
            line = top + height + _HEADER_PX / 2
            pen.text((left, line), text, fill=_FAINT, font=_font(_TEXT_PX - 1), anchor="lm")
    return sheet


def encode_sheet(sheet: Image.Image) -> bytes:
    """A sheet as a PNG file."""
    file = BytesIO()
    sheet.save(file, format="PNG", optimize=True)
    return file.getvalue()


def _tiles(moment: Moment, crop: Crop, side_px: int) -> list[Image.Image]:
    box = None if crop == "frame" else moment.face_xyxy
    return [_tile(frame, box, side_px) for frame in (moment.source, *moment.edited)]


def _tile(
    frame: VideoFrame, face_xyxy: tuple[float, float, float, float] | None, side_px: int
) -> Image.Image:
    picture: UInt8[np.ndarray, "height width 3"] = frame.picture(
        side_px if face_xyxy is None else max(frame.width, frame.height)
    )
    if face_xyxy is not None:
        picture = _cut_head(picture, face_xyxy, picture.shape[0] / frame.height)
    tile = Image.fromarray(picture)
    scale = side_px / max(tile.size)
    size = max(1, round(tile.width * scale)), max(1, round(tile.height * scale))
    return tile.resize(size, Image.Resampling.LANCZOS)


def _cut_head(
    picture: UInt8[np.ndarray, "height width 3"],
    face_xyxy: tuple[float, float, float, float],
    scale: float,
) -> UInt8[np.ndarray, "part_height part_width 3"]:
    """The head and what is around it, as far as the picture reaches."""
    left, top, right, bottom = (scale * each for each in face_xyxy)
    tall = HEAD_SHARE * (bottom - top)
    wide = TILE_ASPECT * tall
    x, y = (left + right) / 2, (top + bottom) / 2 - 0.06 * tall  # hair above, not chest below
    height, width = picture.shape[:2]
    columns = slice(max(0, floor(x - wide / 2)), min(width, ceil(x + wide / 2)))
    rows = slice(max(0, floor(y - tall / 2)), min(height, ceil(y + tall / 2)))
    return np.ascontiguousarray(picture[rows, columns])


def _font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size_px)
