"""The numbers of faces where a clip is followed in segments: who was who in the last one.

Each segment is tracked anew, from some time before it. What is seen in that time was seen by the
tracking of the segment before, too, in the very same frames; so a face is whoever it was there.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from math import hypot
from typing import Any, Final

from cdrl_cli.face.tracking import WARM_UP_S, TrackedFace, TrackedFrame

SAME_PLACE: Final = 0.5
"""Of a face's width: two trackings of one frame find one face no further apart than this."""


class Numbering:
    """Numbers the faces of segment after segment as if they were of one clip.

    Args:
        state: What the numbering of the segment before has told; None for the first one.
    """

    def __init__(self, state: Mapping[str, Any] | None = None) -> None:
        self._count: int = state["count"] if state else 0
        self._seen: dict[int, list[list[float]]] = {
            int(index): faces for index, faces in (state["seen"] if state else {}).items()
        }
        self._is_first = state is None
        self._known: dict[int, int] = {}
        self._recent: deque[tuple[Fraction, int, list[list[float]]]] = deque()

    def state(self) -> dict[str, Any]:
        """What the next segment's numbering must know, in what JSON can hold."""
        return {"count": self._count, "seen": {str(i): faces for _, i, faces in self._recent}}

    def follow(self, tracked: Iterable[TrackedFrame]) -> Iterator[TrackedFrame]:
        """The same frames, their faces numbered as in the segments before."""
        for one in tracked:
            faces = tuple(self._numbered(face, one.frame.index) for face in one.faces)
            self._note(one.frame.time, one.frame.index, faces)
            yield replace(one, faces=faces)

    def _numbered(self, face: TrackedFace, index: int) -> TrackedFace:
        if face.number not in self._known:
            before = None if self._is_first else self._met(face, index)
            if self._is_first:
                before = face.number
            elif before is None:
                before = self._count + 1
            self._known[face.number] = before
            self._count = max(self._count, before)
        return replace(face, number=self._known[face.number])

    def _met(self, face: TrackedFace, index: int) -> int | None:
        """Whose place the face has in a frame that the segment before has seen."""
        x, y, width = _place(face)
        candidates = [
            (hypot(x - left, y - top) / width, int(number))
            for number, left, top in self._seen.get(index, ())
            if int(number) not in self._known.values()
        ]
        distance, number = min(candidates, default=(SAME_PLACE, 0))
        return number if distance < SAME_PLACE else None

    def _note(self, time: Fraction, index: int, faces: Iterable[TrackedFace]) -> None:
        places = [[float(face.number), *_place(face)[:2]] for face in faces]
        self._recent.append((time, index, places))
        while time - self._recent[0][0] > WARM_UP_S:
            self._recent.popleft()


def _place(face: TrackedFace) -> tuple[float, float, float]:
    """Middle of a face, and its width, pixels."""
    left, top, right, bottom = face.face.box_xyxy
    return (left + right) / 2, (top + bottom) / 2, right - left
