"""Video files in and out: the only package that knows containers and codecs."""

from cdrl_cli.media.encoder import check_encoding
from cdrl_cli.media.frames import ColorTags, HdrMetadata, StreamInfo, VideoFrame, VideoInfo
from cdrl_cli.media.input import check_input
from cdrl_cli.media.output import check_output
from cdrl_cli.media.reader import VideoReader, open_video, probe_video
from cdrl_cli.media.writer import VideoWriter

__all__ = [
    "ColorTags",
    "HdrMetadata",
    "StreamInfo",
    "VideoFrame",
    "VideoInfo",
    "VideoReader",
    "VideoWriter",
    "check_encoding",
    "check_input",
    "check_output",
    "open_video",
    "probe_video",
]
