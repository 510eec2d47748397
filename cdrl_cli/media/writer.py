"""Writes an edited video beside its untouched sound, and gives it its name only when whole."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Final

import av
from av.container import OutputContainer
from av.sidedata.sidedata import Type as SideDataType
from av.video.stream import VideoStream

from cdrl_cli.errors import raise_if_memory
from cdrl_cli.media.codecs import check_hardware
from cdrl_cli.media.copying import StreamCopier
from cdrl_cli.media.encoder import (
    Container,
    encoder_format,
)
from cdrl_cli.media.encoding import EncoderSetting, Encoding, open_encoder
from cdrl_cli.media.frames import VideoFrame, VideoInfo
from cdrl_cli.media.muxer import AnyPacket, muxer_options, open_muxer
from cdrl_cli.media.output import check_output, output_error
from cdrl_cli.media.partial import PartialFile
from cdrl_cli.media.planes import PlanarFormat, editable_format
from cdrl_cli.media.provenance import Provenance
from cdrl_cli.media.sidedata import CAPTIONS, LOST
from cdrl_cli.media.splicing import Splice, Splicer
from cdrl_cli.media.tags import merge_tags, need_general_form
from cdrl_cli.media.timebase import common_timescale

_MAX_TIMESCALE: Final = 2**31 - 1


class VideoWriter:
    """Encodes frames like their source and copies everything else of it.

    Presentation times are the frames' own, in the source's time base. MP4 and MOV store them
    exactly. Matroska and WebM count milliseconds: times are rounded to the nearest one, so a
    Matroska source keeps its times and others move by half a millisecond at most.

    The file appears under its name when :meth:`close` has written its last byte; until then it is
    a hidden ``.part`` file beside it, removed upon any error.

    Args:
        output: File to write; its suffix chooses the container: mp4, mov, mkv or webm.
        like: Facts of the source, which the output shares.
        copy_from: File whose other streams, chapters and tags are copied; None copies nothing.
        codec: ``h264``, ``hevc``, ``vp9``, ``av1``, ``ffv1``, or one of a graphics processor such
            as ``h264_nvenc`` (:data:`~cdrl_cli.media.encoder.ENCODERS`); None chooses.
        crf: Quality of the encoder, lower is better; None is near-lossless.
        preset: Speed of the encoder, by x264's names; None is the codec's default.
        threads: Of x264; None for as many as keep up with an edit.
        metadata: Tags to add to those of ``copy_from``; a comment is appended to its comment.
        provenance: What the file is to say to machines of how it came about.
        sign: Called with the finished file and an empty one, which it fills and which is kept.
        splice: Packets of the source that go around what is encoded; None for none.
        overwrite: Whether an existing output may be replaced.

    Raises:
        PolicyError: If the output exists and ``overwrite`` is not set, or is an input.
        UsageError: If suffix, codec, crf or preset do not go together.
        DeviceError: If the codec is one of a graphics processor that is not here.
        OutputError: If the file cannot be written.
    """

    def __init__(
        self,
        output: Path,
        *,
        like: VideoInfo,
        copy_from: Path | None = None,
        codec: str | None = None,
        crf: int | None = None,
        preset: str | None = None,
        threads: int | None = None,
        metadata: Mapping[str, str] | None = None,
        provenance: Provenance | None = None,
        sign: Callable[[Path, Path], None] | None = None,
        splice: Splice | None = None,
        overwrite: bool = False,
    ) -> None:
        self._inputs = [like.path] if copy_from is None else [like.path, copy_from]
        check_output(output, inputs=self._inputs, overwrite=overwrite)
        params = "" if splice is None else splice.x264_params
        self.setting: Final = EncoderSetting.choose(
            like, Encoding(output, codec, crf, preset, x264_params=params, threads=threads)
        )
        """Of the encoder; segments that are written as they are must have the same."""
        self._container, self._encoder = self.setting.container, self.setting.encoder
        check_hardware(self._encoder)
        self._splicer = None if splice is None else Splicer(splice)
        self._output = output
        self._like = like
        self._provenance = provenance
        self._sign = sign
        self._overwrite = overwrite
        self._warnings: list[str] = []
        self._frames_written = 0
        self._is_joined = False
        self._copier: StreamCopier | None = None
        self._muxer: OutputContainer | None = None
        try:
            self._part = PartialFile(output)
        except OSError as error:
            raise output_error(output, error) from error
        try:
            with self._failures():
                self._open(copy_from, metadata or {})
        except BaseException:
            self._abort()
            raise

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the output could not keep of its source, a line each."""
        copied = self._copier.warnings if self._copier else ()
        marked = self._provenance.losses(self._container) if self._provenance else ()
        return (*self._warnings, *copied, *marked)

    @property
    def frames_written(self) -> int:
        """Frames handed to the encoder so far."""
        return self._frames_written

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            self._abort()

    def write(self, frame: VideoFrame) -> None:
        """Encode the next frame.

        Args:
            frame: One that :func:`~cdrl_cli.media.open_video` gave, patched or not; later than
                the one before.

        Raises:
            OutputError: If the disk is full or the encoder fails.
            ValueError: If the frame is not of this package, or of another size.
        """
        if self._muxer is None:
            raise ValueError(f"{self._output} is closed")
        picture = self.setting.picture(frame)
        with self._failures():
            if self._splicer is not None and not self._frames_written:
                self._mux(self._splicer.before())
            self._mux_encoded(self._video.encode(picture))
        self._frames_written += 1

    def write_packets(self, packets: Iterable[AnyPacket]) -> None:
        """Take what encoders of the same :attr:`setting` have made of all frames.

        Args:
            packets: In decoding order.

        Raises:
            OutputError: If the disk is full.
        """
        with self._failures():
            if self._splicer is not None:
                self._mux(self._splicer.before())
            self._mux_encoded(self._counted(packets))

    def _counted(self, packets: Iterable[AnyPacket]) -> Iterator[AnyPacket]:
        for packet in packets:
            self._frames_written += 1
            self._is_joined = True
            yield packet

    def close(self) -> None:
        """Finish the file and give it its name; without a frame, leave nothing behind.

        Raises:
            OutputError: If the disk is full.
            PolicyError: If a file of that name has appeared meanwhile.
        """
        if self._muxer is None:
            return
        if self._frames_written == 0:
            self._abort()
            return
        try:
            with self._failures():
                self._finish()
        except BaseException:
            self._abort()
            raise

    def _open(self, copy_from: Path | None, metadata: Mapping[str, str]) -> None:
        tags: dict[str, str] = {}
        starts: list[Fraction] = []
        if copy_from is not None:
            self._copier = StreamCopier(
                copy_from, self._container, video_stream=self._like.video_stream
            )
            tags, starts = self._copier.metadata, self._copier.start_times
        marks = self._provenance.tags(self._container) if self._provenance else {}
        tags = merge_tags(merge_tags(tags, metadata), marks)
        muxer = self._muxer = open_muxer(
            self._part.path,
            self._container,
            _muxer_options(self._container, self._like, tags, starts),
            is_indirect=self._copier is not None and self._copier.is_indirect,
        )
        if self._copier is None:
            self._video = self._add_video()
        else:
            self._video = self._copier.add_streams(muxer, self._add_video)
        muxer.metadata.update(tags)
        context = self._video.codec_context
        open_encoder(context)
        if self._splicer is not None:
            context.extradata = self._splicer.splice.header(context.extradata)
        # Only with the header written it is known in what ticks the muxer counts.
        muxer.start_encoding()

    def _add_video(self) -> VideoStream:
        assert self._muxer is not None
        like = self._like
        self._note_changes(encoder_format(self._encoder, like))
        stream = self._muxer.add_stream(self._encoder.library, rate=self.setting.rate)
        assert isinstance(stream, VideoStream)
        self.setting.apply(stream.codec_context)
        stream.time_base = like.time_base
        if like.display_matrix is not None:
            stream.set_display_matrix(like.display_matrix)
        return stream

    def _note_changes(self, layout: PlanarFormat) -> None:
        """Say what this encoder in this container cannot keep of the picture."""
        like = self._like
        source = editable_format(like.pixel_format).format
        if replace(layout, name="") != replace(source, name=""):  # yuvj420p is yuv420p, tagged
            self._warnings.append(
                f"the video becomes {layout.name}: {self._encoder.codec} cannot hold "
                f"{source.name} of {like.width} x {like.height}"
            )
        if like.sample_aspect != 1 and not (self._container.is_iso or self._encoder.states_aspect):
            # PyAV sets the aspect of the encoder, and Matroska's muxer looks at the stream's.
            self._warnings.append(
                f"pixels become square, they were {like.sample_aspect}: {self._encoder.codec} in "
                f"{self._container.suffix} cannot say so"
            )
        if like.hdr is not None and not self._encoder.knows_light:
            self._warnings.append(f"the HDR metadata are left out: {self._encoder.codec} has none")
        lost = [
            words
            for words, is_there in (
                (LOST[SideDataType.DOVI_METADATA], like.declared.dolby_vision_profile is not None),
                (LOST[SideDataType.SPHERICAL], like.declared.is_spherical),
                (LOST[SideDataType.STEREO3D], like.declared.is_stereo),
            )
            if is_there
        ]
        self._note_lost(lost)
        if like.interlaced and not self._encoder.knows_fields:
            self._warnings.append(
                f"the video is interlaced, which {self._encoder.codec} cannot say"
            )

    def note_side_data(self, kinds: Collection[SideDataType]) -> None:
        """Say which kinds of side data of the frames did not reach the output.

        Args:
            kinds: Of all frames; known when they have been read.
        """
        lost = [LOST[kind] for kind in kinds if kind in LOST]
        if SideDataType.A53_CC in kinds and not self._encoder.knows_captions:
            lost.append(CAPTIONS)
        self._note_lost(sorted(lost))

    def _note_lost(self, lost: Iterable[str]) -> None:
        for words in dict.fromkeys(lost):
            if (line := f"left out: {words}") not in self._warnings:
                self._warnings.append(line)

    def _mux_encoded(self, packets: Iterable[AnyPacket]) -> None:
        self._mux(packets if self._splicer is None else self._splicer.fitted(packets))

    def _mux(self, packets: Iterable[AnyPacket]) -> None:
        assert self._muxer is not None
        for packet in packets:
            packet.stream = self._video
            if self._copier is not None and packet.dts is not None:
                self._copier.copy_until(packet.dts * packet.time_base)
            self._muxer.mux(packet)

    def _finish(self) -> None:
        assert self._muxer is not None
        if not self._is_joined:
            self._mux_encoded(self.setting.in_decoding_order(self._video.encode(None)))
        if self._splicer is not None:
            self._mux(self._splicer.behind())
            self._splicer.close()
        if self._copier is not None:
            self._copier.copy_rest()
            self._copier.close()
        self._muxer.close()
        self._muxer = None
        if self._provenance is not None:
            self._provenance.add_to(self._part.path, self._container)
        check_output(self._output, inputs=self._inputs, overwrite=self._overwrite)
        if self._sign is not None:
            self._replace_part(self._sign)
        self._part.publish(overwrite=self._overwrite)

    def _replace_part(self, sign: Callable[[Path, Path], None]) -> None:
        signed = PartialFile(self._output)
        try:
            sign(self._part.path, signed.path)
        except BaseException:
            signed.remove()
            raise
        self._part.remove()
        self._part = signed

    def _abort(self) -> None:
        """Leave nothing behind; whatever else fails on the way is not the news."""
        muxer, self._muxer = self._muxer, None
        for each in (muxer, self._copier, self._splicer):
            if each is not None:
                with suppress(Exception):
                    each.close()
        self._part.remove()

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except (av.error.FFmpegError, OSError) as error:
            raise_if_memory(error)
            raise output_error(self._output, error) from error


def _muxer_options(
    container: Container, like: VideoInfo, tags: Mapping[str, str], starts: Iterable[Fraction]
) -> dict[str, str]:
    options = muxer_options(container)
    if not container.is_iso:
        return options
    # Edit lists hold start and duration in ticks of the movie: make them whole.
    times = (like.time_base, *starts)
    scale = common_timescale(times, multiple_of=1000, at_most=_MAX_TIMESCALE)
    options["video_track_timescale"] = str(like.time_base.denominator)
    options["movie_timescale"] = str(scale)
    if need_general_form(tags):
        options["movflags"] = "use_metadata_tags"
    return options
