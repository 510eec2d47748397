"""Side data: what frames and packets carry beside their picture, and what becomes of each kind.

Every kind that PyAV knows has its place in one of the tables here, and a test walks over them all:
a kind that a newer FFmpeg adds is noticed.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import av
from av.sidedata.sidedata import Type

SideDataKind = Type
"""A kind of side data."""

KEPT: Final[Mapping[Type, str]] = {
    Type.DISPLAYMATRIX: "written to the stream as it was",
    Type.MASTERING_DISPLAY_METADATA: "an option of h264, hevc and av1",
    Type.CONTENT_LIGHT_LEVEL: "an option of h264, hevc and av1",
    Type.A53_CC: "closed captions: h264 and hevc write them with each frame",
}
"""Kinds that reach an output, where its encoder can hold them."""

HARMLESS: Final[Mapping[Type, str]] = {
    Type.MOTION_VECTORS: "how the old packets were coded",
    Type.VIDEO_ENC_PARAMS: "how the old packets were coded",
    Type.VIDEO_HINT: "advice to an encoder",
    Type.REGIONS_OF_INTEREST: "advice to an encoder",
    Type.SEI_UNREGISTERED: "mostly the settings of the old encoder",
    Type.SKIP_SAMPLES: "of sound, which is copied as packets",
    Type.MATRIXENCODING: "of sound, which is copied as packets",
    Type.DOWNMIX_INFO: "of sound, which is copied as packets",
    Type.REPLAYGAIN: "of sound, which is copied as packets",
    Type.AUDIO_SERVICE_TYPE: "of sound, which is copied as packets",
    Type.PANSCAN: "which part a 4:3 screen of the 1990s shows; no player of files looks at it",
    Type.AFD: "which part a 4:3 screen shows; no player of files looks at it",
    Type.GOP_TIMECODE: "of MPEG-2's groups of pictures, which the new stream has not",
    Type.FILM_GRAIN_PARAMS: "the decoder has drawn the grain into the picture",
    Type.DETECTION_BBOXES: "what a filter of this very process found",
}
"""Kinds that may go without a word, and why."""

LOST: Final[Mapping[Type, str]] = {
    Type.STEREO3D: "that there is a picture for each eye (stereo 3D)",
    Type.SPHERICAL: "that the picture surrounds the viewer (spherical video)",
    Type.ICC_PROFILE: "the colour profile (ICC)",
    Type.S12M_TIMECODE: "the timecode of each frame",
    Type.DYNAMIC_HDR_PLUS: "the dynamic metadata of HDR10+",
    Type.DYNAMIC_HDR_VIVID: "the dynamic metadata of HDR Vivid",
    Type.DOVI_RPU_BUFFER: "the metadata of Dolby Vision",
    Type.DOVI_METADATA: "the metadata of Dolby Vision",
    Type.AMBIENT_VIEWING_ENVIRONMENT: "for what surroundings the picture was made",
}
"""Kinds that are lost, in words for a user, who is told."""

CAPTIONS: Final = "the closed captions"
"""What a user is told of captions that an encoder cannot write."""

PACKET_KINDS: Final[Mapping[str, str]] = {
    # Of the edited stream; a frame has them again, or the container declares them.
    "display_matrix": "kept, as the frame's",
    "mastering_display_metadata": "kept, as the frame's",
    "content_light_level": "kept, as the frame's",
    "a53_cc": "kept, as the frame's",
    "stereo_3d": "told, as the frame's",
    "spherical": "told, as the frame's",
    "icc_profile": "told, as the frame's",
    "s12m_timecode": "told, as the frame's",
    "dynamic_hdr10_plus": "told, as the frame's",
    "ambient_viewing_environment": "told, as the frame's",
    "dovi_conf": "told, as the container declares it",
    "frame_cropping": "applied, as the container declares it",
    "encryption_init_info": "refused, as the container declares it",
    "encryption_info": "refused, as the container declares it",
    "matroska_block_additional": "transparency is told, as the container declares it",
    "lcevc": "an enhancement that no decoder here applies; the base picture is edited",
    "3d_reference_displays": "told, with the stereo that it belongs to",
    "afd": "harmless, as the frame's",
    "palette": "applied by the decoder",
    "new_extradata": "applied by the decoder",
    "param_change": "applied by the decoder",
    "h263_mb_info": "harmless: how the old packets were coded",
    "quality_stats": "harmless: how the old packets were coded",
    "cpb_properties": "harmless: how the old packets were coded",
    "prft": "harmless: when the old packets were made",
    "rtcp_sr": "harmless: of the network that they came by",
    "mpegts_stream_id": "harmless: of the old container",
    "metadata_update": "harmless: tags that changed on the way, of radio streams",
    # Of streams that are copied: PyAV hands the packet on with them, and the muxer decides.
    "replay_gain": "copied with the packet",
    "audio_service_type": "copied with the packet",
    "fallback_track": "copied with the packet",
    "skip_samples": "copied with the packet",
    "jp_dual_mono": "copied with the packet",
    "strings_metadata": "copied with the packet",
    "subtitle_position": "copied with the packet",
    "webvtt_identifier": "copied with the packet",
    "webvtt_settings": "copied with the packet",
    "iamf_mix_gain_param": "copied with the packet",
    "iamf_info_param": "copied with the packet",
    "iamf_recon_gain_info_param": "copied with the packet",
}
"""What becomes of each kind of side data of packets."""


def side_data_kinds(picture: av.VideoFrame) -> frozenset[Type]:
    """The kinds of side data of a frame.

    PyAV gives up at a kind that it has no name for; then none is known.
    """
    try:
        return frozenset(each.type for each in picture.side_data)  # type: ignore[attr-defined]
    except ValueError:
        return frozenset()


def kinds_by_name(names: Iterable[str]) -> frozenset[SideDataKind]:
    """Kinds of side data, by the names that FFmpeg gives them."""
    return frozenset(Type[name] for name in names)
