"""Frames of one stream as the edit takes them: all of one pixel format and size."""

import av

from cdrl_cli.errors import UnreadableInputError, raise_if_memory
from cdrl_cli.media import color
from cdrl_cli.media.frames import ColorTags
from cdrl_cli.media.planes import is_floating


class Normaliser:
    """Brings frames to one pixel format and size; returns them as they are when they have it.

    Args:
        pixel_format: The one to bring them to, by FFmpeg's name.
        first: A frame of the size to bring them to.
        tags: Colour as the stream states it.
    """

    def __init__(self, pixel_format: str, first: av.VideoFrame, tags: ColorTags) -> None:
        self._target = (pixel_format, first.width, first.height)
        self._matrix = color.SWS_MATRICES[color.working_matrix(tags, first.width, first.height)]
        self._range = color.working_range(tags)
        self._is_linear = first.color_trc == color.LINEAR
        self.resized = 0
        """Frames that were of another size, so far."""

    def __call__(self, picture: av.VideoFrame) -> av.VideoFrame:
        """The frame in that format and size.

        Raises:
            UnreadableInputError: If it is of a format that cannot be converted.
        """
        try:
            return self._normalised(picture)
        except (av.error.FFmpegError, OSError) as error:
            raise_if_memory(error)
            raise UnreadableInputError(
                f"pictures of the format {picture.format.name} cannot be edited"
            ) from error

    def _normalised(self, picture: av.VideoFrame) -> av.VideoFrame:
        pixel_format, width, height = self._target
        if is_floating(picture.format.name):
            picture = color.srgb_from_floating(picture, is_linear=self._is_linear)
        if (picture.format.name, picture.width, picture.height) == self._target:
            return picture
        if (picture.width, picture.height) != (width, height):
            self.resized += 1
        if picture.format.is_rgb or picture.format.has_palette:
            return picture.reformat(
                width,
                height,
                pixel_format,
                dst_colorspace=self._matrix,
                dst_color_range=self._range,
                threads=1,
            )
        return picture.reformat(width, height, pixel_format, threads=1)
