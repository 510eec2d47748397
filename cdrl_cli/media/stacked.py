"""Two videos as one small file, the first above the second, so that they play in step."""

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Final

import av
import cv2
import numpy as np
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

from cdrl_cli.array_types import UInt8
from cdrl_cli.errors import UnreadableInputError
from cdrl_cli.media.clock import Clock
from cdrl_cli.media.frames import VideoFrame, VideoInfo
from cdrl_cli.media.input import open_container
from cdrl_cli.media.probe import is_main_candidate

MOST_BYTES: Final = 9_000_000
"""Size of the file, at most: as text in a page it grows by a third."""

BEST_BITS_PER_S: Final = 2_000_000
"""Bits a second of the pictures, at most, however short the clip is."""

LONGEST_S: Final = 300
"""Length that is shown, seconds: what comes after would be too coarse to judge by."""

_SOUND_BITS_PER_S: Final = 96_000
_SOUND_RATE_HZ: Final = 48_000
_TICKS_PER_S: Final = 90_000


class StackedWriter:
    """Writes both pictures of each moment and, in the end, the sound; a context manager.

    H.264 and AAC in MP4, which every browser plays.

    Args:
        file: To write; replaced if it is there.
        like: Facts of the videos.
        sound_from: File whose first track of sound goes along.
        begin: Time of the first moment that is shown, seconds on the videos' clock.
    """

    def __init__(
        self, file: Path, *, like: VideoInfo, sound_from: Path, begin: Fraction = Fraction(0)
    ) -> None:
        length_s = min(float(like.duration or LONGEST_S), LONGEST_S) or 1.0
        rate = min(8 * MOST_BYTES / length_s - _SOUND_BITS_PER_S, BEST_BITS_PER_S)
        # As large as its bits allow: small pictures look better than coarse ones.
        self._side = 960 if rate > 0.6 * BEST_BITS_PER_S else 640
        self._begin = begin
        self._sound_from = sound_from
        self._container = av.open(str(file), "w", format="mp4", options={"movflags": "faststart"})
        frames_per_s = min(max(like.frame_rate or Fraction(25), Fraction(1)), Fraction(120))
        stream = self._container.add_stream("libx264", rate=frames_per_s)
        assert isinstance(stream, VideoStream)
        self._video = stream
        self._video.options = {
            "crf": "23",
            "preset": "veryfast",
            "maxrate": str(round(rate)),
            "bufsize": str(round(2 * rate)),
            "threads": "0",
        }
        self._video.codec_context.time_base = Fraction(1, _TICKS_PER_S)
        self._video.codec_context.gop_size = max(1, round(frames_per_s))
        self._sound: AudioStream | None = None
        self._source = open_container(sound_from)
        if self._source.streams.audio:
            sound = self._container.add_stream("aac", rate=_SOUND_RATE_HZ)
            assert isinstance(sound, AudioStream)
            sound.codec_context.layout = "stereo"
            sound.codec_context.bit_rate = _SOUND_BITS_PER_S
            self._sound = sound
        self._size: tuple[int, int] | None = None
        self._end = begin

    @property
    def end(self) -> Fraction:
        """Time of the last moment written, seconds on the videos' clock."""
        return self._end

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of one of the two pictures, pixels."""
        assert self._size is not None, "no frame was added"
        return self._size

    def __enter__(self) -> "StackedWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None and self._size is not None:
                self._finish()
        finally:
            self._source.close()
            self._container.close()

    def add(self, upper: VideoFrame, lower: VideoFrame) -> None:
        """Write both frames of the next moment; what lies before the beginning or too late is left.

        Args:
            upper: The frame that is seen above.
            lower: Of the same moment.
        """
        if not self._begin <= upper.time <= self._begin + LONGEST_S:
            return
        pictures = [one.picture(self._side) for one in (upper, lower)]
        if self._size is None:
            height, width = pictures[0].shape[:2]
            self._size = width - width % 2, height - height % 2
            self._video.width, self._video.height = self._size[0], 2 * self._size[1]
            self._video.pix_fmt = "yuv420p"
        stack = np.concatenate([self._fit(one) for one in pictures])
        frame = av.VideoFrame.from_ndarray(stack, "rgb24")
        frame.pts = round((upper.time - self._begin) * _TICKS_PER_S)
        frame.time_base = Fraction(1, _TICKS_PER_S)
        self._container.mux(self._video.encode(frame))
        self._end = upper.time

    def _fit(
        self, picture: UInt8[np.ndarray, "height width 3"]
    ) -> UInt8[np.ndarray, "even_height even_width 3"]:
        if picture.shape[1::-1] == self.size:
            return picture
        return np.asarray(cv2.resize(picture, self.size, interpolation=cv2.INTER_AREA), np.uint8)

    def _finish(self) -> None:
        self._container.mux(self._video.encode(None))
        if self._sound is None:
            return
        try:
            self._add_sound(self._sound)
        except av.error.FFmpegError as error:
            raise UnreadableInputError(
                f"{self._sound_from}: the sound cannot be read ({error})"
            ) from error

    def _add_sound(self, sound: AudioStream) -> None:
        resampler = av.AudioResampler(format="fltp", layout="stereo", rate=_SOUND_RATE_HZ)
        stream = self._source.streams.audio[0]
        videos = [each for each in self._source.streams.video if is_main_candidate(each)]
        clock = Clock(self._source, videos[0] if videos else None)
        next_pts = None
        for packet in clock.follow(self._source.demux()):
            if packet.stream.index != stream.index:
                continue
            for frame in stream.decode(packet):
                time = Fraction(frame.pts or 0) * (frame.time_base or Fraction(1))
                if time < self._begin or time > self._end:
                    continue
                if next_pts is None:
                    next_pts = round((time - self._begin) * _SOUND_RATE_HZ)
                for piece in resampler.resample(frame):
                    piece.pts, piece.time_base = next_pts, Fraction(1, _SOUND_RATE_HZ)
                    next_pts += piece.samples
                    self._container.mux(sound.encode(piece))
        self._container.mux(sound.encode(None))
