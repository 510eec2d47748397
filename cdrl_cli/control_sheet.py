"""One picture of what each fine control does to a face: what ``spfem adjust`` draws."""

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from cdrl_cli.array_types import UInt8
from cdrl_cli.checkpoints.models import Models, load_models
from cdrl_cli.edit_options import EditOptions
from cdrl_cli.errors import NoFaceError
from cdrl_cli.face.stream import FaceStream, open_faces
from cdrl_cli.face.tracking import TrackedFace, TrackedFrame
from cdrl_cli.face_editor import FaceEditor
from cdrl_cli.generator.adjust import CONTROLS, Adjustment
from cdrl_cli.media import check_input
from cdrl_cli.media.frames import VideoFrame
from cdrl_cli.media.output import check_document, write_document

SIDE_PX = 160
"""Side of one face on the sheet, pixels."""

COLUMNS = 6
"""Faces beside each other."""

AROUND = 1.1
"""Side of what is shown around a face, by the larger side of the box of its landmarks."""

_STRIP_PX = 22
"""Height of the line of words under a face, pixels."""

_PAPER, _INK = 255, (24, 24, 24)


def draw_controls(
    source: Path,
    *,
    amount: float = 0.7,
    at: Fraction | None = None,
    models: Models | None = None,
) -> UInt8[np.ndarray, "height width 3"]:
    """The largest face of a clip as it is, and with each control moved up and down.

    Args:
        source: A clip or an image.
        amount: How far each is moved either way, 0..1.
        at: Time of the frame that is shown, seconds; None for the first that shows a face.
        models: Edit the face; None loads the embedded default.

    Returns:
        sRGB; :data:`COLUMNS` faces a row, the source first.

    Raises:
        NoFaceError: If no face can be edited there.
        UnreadableInputError: If the source cannot be decoded.
        UsageError: If the amount is out of range.
    """
    names = [f"{name}={sign * amount:+g}" for name in CONTROLS for sign in (1, -1)]
    asked = [Adjustment.parse(name) for name in names]
    models = models or load_models()
    with open_faces(source, models) as stream:
        tracked = _find(stream, at)
        if tracked is None:
            where = "" if at is None else f" from {float(at):g} s on"
            raise NoFaceError(f"{source}: no face to show the controls on{where}")
        frames = [("source", tracked.frame)]
        for name, adjust in zip(names, asked, strict=True):
            editor = FaceEditor(models, EditOptions(adjust=adjust), (None,), stream)
            frames.append((name, editor.edit(tracked)))
    tiles = [_tile(frame, tracked.faces[0], name) for name, frame in frames]
    blank = np.full_like(tiles[0], _PAPER)
    tiles += [blank] * (-len(tiles) % COLUMNS)
    rows = [np.hstack(tiles[first : first + COLUMNS]) for first in range(0, len(tiles), COLUMNS)]
    return np.vstack(rows)


def _find(stream: FaceStream, at: Fraction | None) -> TrackedFrame | None:
    """The first frame from a time on whose largest face is fully there."""
    for tracked in stream.tracked(start=at):
        is_late = at is None or tracked.frame.time >= at
        if is_late and tracked.faces and tracked.faces[0].presence == 1:
            return tracked
    return None


def _tile(frame: VideoFrame, face: TrackedFace, name: str) -> UInt8[np.ndarray, "height width 3"]:
    """The surroundings of a face, and words under it."""
    picture = frame.picture(max(frame.width, frame.height))
    # The picture has square pixels, as landmarks have.
    scale = picture.shape[0] / frame.height
    points = scale * face.face.landmarks_xyz[:, :2]
    low, high = points.min(axis=0), points.max(axis=0)
    side = AROUND * float((high - low).max())
    shift = (SIDE_PX - 1) / 2 - SIDE_PX / side * (low + high) / 2
    matrix = np.array([[SIDE_PX / side, 0, shift[0]], [0, SIDE_PX / side, shift[1]]])
    if side > SIDE_PX:  # else shrinking would alias
        picture = cv2.GaussianBlur(picture, (0, 0), sigmaX=0.4 * side / SIDE_PX)
    shown = cv2.warpAffine(picture, matrix, (SIDE_PX, SIDE_PX), borderMode=cv2.BORDER_REPLICATE)
    strip = np.full((_STRIP_PX, SIDE_PX, 3), _PAPER, np.uint8)
    where = (6, _STRIP_PX - 7)
    cv2.putText(strip, name, where, cv2.FONT_HERSHEY_SIMPLEX, 0.42, _INK, 1, cv2.LINE_AA)
    return np.vstack([shown, strip])


def write_controls(
    source: Path | str,
    output: Path | str,
    *,
    amount: float = 0.7,
    at: Fraction | None = None,
    models: Models | None = None,
    overwrite: bool = False,
) -> None:
    """Draw the sheet (:func:`draw_controls`) into a PNG that appears when it is complete.

    Raises:
        NoFaceError: If no face can be edited there.
        UnreadableInputError: If the source cannot be decoded.
        PolicyError: If the output exists, or is the source.
        OutputError: If the output cannot be written.
        UsageError: If it is no PNG by its name, or the amount is out of range.
    """
    source, output = Path(source), Path(output)
    check_input(source)
    check_document(output, ".png", inputs=[source], overwrite=overwrite)
    sheet = draw_controls(source, amount=amount, at=at, models=models)
    _, png = cv2.imencode(".png", np.ascontiguousarray(sheet[..., ::-1]))
    write_document(output, png.tobytes(), overwrite=overwrite)
