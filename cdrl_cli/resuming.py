"""An edit in segments, each kept as it is finished, so that a killed edit goes on.

Every segment is a function of the source, the options, and what the segment before it has told:
faces are followed anew from 2.25 s before it, the editor is told what the one before knew, and an
encoder of its own begins with a key frame. So a segment comes out the same whether or not the
process was killed before it, and the joined stream does.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from cdrl_cli import __version__
from cdrl_cli.checkpoints.models import Models
from cdrl_cli.checkpoints.registry import read_manifest
from cdrl_cli.edit_options import EditOptions
from cdrl_cli.edited_row import Conditions
from cdrl_cli.errors import NoFaceError, raise_if_memory
from cdrl_cli.face.numbering import Numbering
from cdrl_cli.face.person import Person
from cdrl_cli.face.stream import FaceStream, open_faces
from cdrl_cli.face.tracking import WARM_UP_S, TrackedFrame, part_to_read
from cdrl_cli.face_editor import FaceEditor
from cdrl_cli.media.encoding import LIBRARIES, EncoderSetting
from cdrl_cli.media.frames import VideoFrame
from cdrl_cli.media.output import output_error
from cdrl_cli.media.segments import SegmentEncoder, SegmentStore, leftovers
from cdrl_cli.media.sidedata import SideDataKind, kinds_by_name
from cdrl_cli.media.timeline import Part, Timeline
from cdrl_cli.media.writer import VideoWriter
from cdrl_cli.prefetch import prefetch, work_ahead

SEGMENT_S: Final = 30
"""Length of a segment, seconds: what a killed edit loses at most, of the clip."""

NO_SEGMENTS: Final = "the edit cannot be resumed: its pictures' times are not in order"
"""A warning where an edit cannot be parted into segments."""

_UNRELATED: Final = ("overwrite", "signing", "resume")
"""Options that change nothing of what is encoded."""


@dataclass(frozen=True, slots=True)
class Met:
    """What an edit has met in its source."""

    lost_frames: int
    side_data: frozenset[SideDataKind]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SegmentedEdit:
    """What is edited in segments, and how."""

    source: Path
    output: Path
    options: EditOptions
    models: Models
    conditions: Conditions
    people: Mapping[Path, Person]
    """Who is in the photos of the plan."""
    timeline: Timeline
    encoded: Part
    """The frames that are encoded; what lies around them is copied."""
    setting: EncoderSetting

    @property
    def parts(self) -> list[Part]:
        """The segments, one after the other."""
        return part_into_segments(self.timeline, self.encoded)

    def write(
        self, writer: VideoWriter, editor: FaceEditor, report: Callable[[VideoFrame], None]
    ) -> Met:
        """Edit what is not yet there, and hand all segments to the writer.

        Args:
            writer: Of the output.
            editor: Gets to know what the segments' editors have met.
            report: Called after every frame that is encoded.

        Raises:
            NoFaceError: If no face was edited.
            OutputError: If the disk is full.
            PolicyError: If another process is at this very edit.
        """
        with self._opened() as store:
            others = remove_leftovers(self.output, but=store.folder)
            met = self._edit(store, editor, report)
            editor.check_found(self.source)
            writer.write_packets(store.packets(len(self.parts), self.timeline.time_base))
        if others:
            line = (
                "what an edit with other options or of another version had begun was removed: "
                "this one began afresh"
            )
            return replace(met, warnings=(*met.warnings, line))
        return met

    @contextmanager
    def _opened(self) -> Iterator[SegmentStore]:
        """Where the segments are kept; they stay there where the block ends with an error."""
        try:
            key = edit_key(self.source, self.options, self.models, self.setting)
            store = SegmentStore(self.output, key)
        except OSError as error:
            raise output_error(self.output, error) from error
        try:
            yield store
        except NoFaceError:
            store.remove()
            raise
        finally:
            store.close()

    def _edit(
        self, store: SegmentStore, editor: FaceEditor, report: Callable[[VideoFrame], None]
    ) -> Met:
        told: Mapping[str, Any] | None = None
        lost, kinds, warnings = 0, set[str](), dict[str, None]()
        for number, part in enumerate(self.parts):
            if (summary := store.summary(number)) is None:
                try:
                    store.keep(number, self._edit_part(store.path(number), part, told, report))
                except OSError as error:
                    raise_if_memory(error)
                    raise output_error(self.output, error) from error
                # Read back, so that all segments know alike what was kept.
                summary = store.summary(number)
                assert summary is not None
            told = summary
            lost += summary["lost_frames"]
            kinds.update(summary["side_data"])
            warnings.update(dict.fromkeys(summary["warnings"]))
        assert told is not None
        if lost:
            total = sum(map(self.timeline.count, self.parts))
            line = f"{lost} of {total} frames could not be decoded: the file is damaged or cut off"
            warnings[line] = None
        known = kinds_by_name(kinds)
        editor.restore(told["editor"])
        return Met(lost, known, tuple(warnings))

    def _edit_part(
        self,
        path: Path,
        part: Part,
        told: Mapping[str, Any] | None,
        report: Callable[[VideoFrame], None],
    ) -> dict[str, Any]:
        with open_faces(self.source, self.models, video_stream=self.options.video_stream) as stream:
            editor = FaceEditor(
                self.models, self.options, self.conditions, stream, people=self.people
            )
            numbering = Numbering(told and told["numbering"])
            if told is not None:
                editor.restore(told["editor"])
            done = editor.frames
            tracked_here = _before(self._tracked(stream, part), part.end)
            numbered = numbering.follow(tracked_here)
            wanted = (one for one in numbered if one.frame.time >= part.begin)
            with (
                SegmentEncoder(path, self.setting) as encoder,
                prefetch(wanted) as tracked,
                work_ahead(editor.begin_all(tracked), workers=self.models.renderers) as edited,
            ):
                for frame in edited:
                    encoder.write(frame)
                    report(frame)
            return {
                "editor": editor.state(),
                "numbering": numbering.state(),
                "lost_frames": self.timeline.count(part) - (editor.frames - done),
                "side_data": sorted(kind.name for kind in stream.video.side_data),
                "warnings": stream.video.warnings,
            }

    def _tracked(self, stream: FaceStream, part: Part) -> Iterator[TrackedFrame]:
        start, end = self.options.plan.span
        is_first = part.begin == self.encoded.begin
        if is_first and self.options.plan.names_numbers:
            start = None
        elif not is_first:
            # At least one frame that the last segment has seen, to know its faces by.
            number = self.timeline.number_at(part.begin) - 1
            before = self.timeline.time(int(self.timeline.shown[number]))
            begin = min(part.begin, before + WARM_UP_S)
            start = begin if start is None else max(start, begin)
        if part.end is not None:
            end = part.end if end is None else min(end, part.end)
        read = part_to_read(self.timeline, part, start=start, end=end)
        return stream.tracked(start=start, end=end, part=read)


def part_into_segments(timeline: Timeline, encoded: Part) -> list[Part]:
    """Parts of what is encoded, each of which ends with the first frame that is late enough.

    Args:
        timeline: Of the clip.
        encoded: The frames that are encoded.
    """
    end = encoded.end
    last = len(timeline.shown) if end is None else timeline.number_at(end)
    begins = [encoded.begin]
    while (number := timeline.number_at(begins[-1] + SEGMENT_S)) < last:
        begins.append(timeline.time(int(timeline.shown[number])))
    parts = [timeline.part(one, other) for one, other in pairwise(begins)]
    return [*parts, timeline.part(begins[-1], end)]


def _before(tracked: Iterator[TrackedFrame], end: Fraction | None) -> Iterator[TrackedFrame]:
    for one in tracked:
        if end is not None and one.frame.time >= end:
            return
        yield one


def remove_leftovers(output: Path, *, but: Path | None = None) -> int:
    """Remove what edits of an output that were killed have left, and say how many they were.

    Args:
        output: The file that they were to write.
        but: A folder that stays.
    """
    found = leftovers(output, but=but)
    for folder in found:
        shutil.rmtree(folder, ignore_errors=True)
    return len(found)


def edit_key(source: Path, options: EditOptions, models: Models, setting: EncoderSetting) -> str:
    """What an edit depends on, as 16 hexadecimal digits.

    Files are told by name, size and time of change; weights by their set and this version; the
    encoder by all that it is told, or segments of two versions might not decode together.
    """
    asked = [one.name for one in fields(options) if one.name not in _UNRELATED]
    words = [
        __version__,
        LIBRARIES,
        repr((models.weight_set, models.device, read_manifest())),
        repr((setting.encoder.library, sorted(setting.options.items()))),
        *map(_file_facts, (source, *options.reference_files)),
        *(repr(getattr(options, name)) for name in asked),
    ]
    return hashlib.sha256("\n".join(words).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _file_facts(path: Path) -> str:
    status = path.stat()
    return f"{path.resolve()} {status.st_size} {status.st_mtime_ns}"
