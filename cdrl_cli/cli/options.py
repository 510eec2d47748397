"""The options that commands share, and how their words are read."""

import re
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cdrl_cli.errors import UsageError
from cdrl_cli.limits import MAX_INTENSITY, MAX_PACE, WAYS
from cdrl_cli.notation import Corner, parse_time
from cdrl_cli.weight_set import WeightSet

if TYPE_CHECKING:
    from cdrl_cli.media.credentials import SigningIdentity

CodecName = Literal[
    "h264",
    "hevc",
    "vp9",
    "av1",
    "ffv1",
    "h264_nvenc",
    "hevc_nvenc",
    "h264_qsv",
    "hevc_qsv",
    "h264_videotoolbox",
    "hevc_videotoolbox",
]
PresetName = Literal[
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
    "placebo",
]


def read_time(word: str) -> Fraction:
    """Read a time as the value of an option.

    Raises:
        typer.BadParameter: If it is none.
    """
    try:
        return parse_time(word)
    except UsageError as error:
        raise typer.BadParameter(str(error)) from error


def read_signing(
    certificates: Path | None, key: Path | None, timestamp_url: str | None
) -> "SigningIdentity | None":
    """Who signs, by the options; None where nobody is named.

    Raises:
        UsageError: If a part is missing.
    """
    if certificates is None and key is None and timestamp_url is None:
        return None
    if certificates is None or key is None:
        raise UsageError("signing takes both --c2pa-cert and --c2pa-key")
    from cdrl_cli.media.credentials import SigningIdentity

    return SigningIdentity(certificates, key, timestamp_url)


Source = Annotated[
    Path, typer.Argument(metavar="SOURCE", help="The video, or -.", show_default=False)
]

Start = Annotated[
    Fraction | None,
    typer.Option(
        "--start",
        parser=read_time,
        metavar="TIME",
        help="Edit from here on: seconds or HH:MM:SS.mmm.",
        show_default=False,
    ),
]

End = Annotated[
    Fraction | None,
    typer.Option(
        "--end", parser=read_time, metavar="TIME", help="Edit up to here.", show_default=False
    ),
]

VideoStream = Annotated[
    int | None,
    typer.Option(
        "--video-stream",
        metavar="N",
        min=0,
        help="Stream to edit, as spfem probe numbers them. Default: the first video.",
        show_default=False,
    ),
]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.")]

Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Only warnings and errors; no progress, no summary.")
]

ScheduleFile = Annotated[
    Path | None,
    typer.Option(
        "--schedule",
        metavar="FILE",
        help="CSV or JSONL: who shows what, and when. Columns: start, end, face, emotion, ref, "
        "intensity, fade and more; --intensity, --pace, --face, --adjust and --neutralise hold for "
        "rows that do not say otherwise.",
        show_default=False,
    ),
]

Adjust = Annotated[
    str | None,
    typer.Option(
        "--adjust",
        metavar="CONTROLS",
        help="Fine controls such as smile=+.3,brows=-.2, with an emotion or alone; spfem adjust "
        "lists them.",
        show_default=False,
    ),
]

Neutralise = Annotated[
    bool,
    typer.Option(
        "--neutralise",
        "--neutralize",
        help="Take away first what the face shows itself.",
        show_default=False,
    ),
]

# An option with an envvar may be set in the configuration file too, by its name in Python.

Intensity = Annotated[
    float,
    typer.Option(
        min=0.0,
        max=MAX_INTENSITY,
        metavar="X",
        envvar="SPFEM_INTENSITY",
        help="0 changes nothing, 1 is as strong as the reference.",
    ),
]

Way = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=WAYS,
        metavar="N",
        help="Act --emotion in one of its usual ways, 1 the most usual. Default: a mean of all.",
        show_default=False,
    ),
]

Pace = Annotated[
    float,
    typer.Option(
        min=0.0,
        max=MAX_PACE,
        metavar="X",
        help="How far the strength varies over time, as over --ref or as actors' does: 0 holds it.",
    ),
]

FaceName = Annotated[
    str,
    typer.Option(
        "--face",
        metavar="largest|all|N",
        envvar="SPFEM_FACE",
        help="Whose face; spfem probe numbers them.",
    ),
]

Who = Annotated[
    Path | None,
    typer.Option(
        "--who",
        metavar="PHOTO",
        help="Whose face, by a photo, through cuts; instead of --face. Needs the weights identity.",
        show_default=False,
    ),
]

TargetEmotion = Annotated[
    float | None,
    typer.Option(
        "--target-emotion",
        metavar="SHARE",
        help="Find the intensity at which the emotion is read with this likelihood, such as .7, on "
        "some frames; instead of --intensity.",
        show_default=False,
    ),
]

EmotionPresetName = Annotated[
    str | None,
    typer.Option(
        "--preset-emotion",
        metavar="NAME",
        envvar="SPFEM_PRESET_EMOTION",
        help="subtle, natural, strong, or one of yours in config.toml.",
        show_default=False,
    ),
]

Codec = Annotated[
    CodecName | None,
    typer.Option(
        envvar="SPFEM_CODEC",
        help="Default: h264; hevc for 10-bit video, vp9 for .webm. Names with _ need a GPU.",
        show_default=False,
    ),
]

Crf = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=63,
        metavar="N",
        envvar="SPFEM_CRF",
        help="Encoder quality, lower is better: 0..51, 0..63 of vp9, av1. Default: near-lossless.",
        show_default=False,
    ),
]

Preset = Annotated[
    PresetName | None,
    typer.Option(
        envvar="SPFEM_PRESET",
        help="Encoder speed. Default: quicker than medium for h264 and hevc, else medium.",
        show_default=False,
    ),
]

DeviceName = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="auto|cpu|cuda[:N]|mps|openvino",
        envvar="SPFEM_DEVICE",
        help="What the networks run on; spfem doctor says which work here.",
    ),
]

CopyUntouchedMode = Annotated[
    Literal["auto", "never"],
    typer.Option(
        "--copy-untouched",
        envvar="SPFEM_COPY_UNTOUCHED",
        help=(
            "What lies outside of --start and --end: copied where a trial proves that it decodes, "
            "or encoded anew."
        ),
    ),
]

C2paCert = Annotated[
    Path | None,
    typer.Option(
        "--c2pa-cert",
        metavar="FILE",
        envvar="SPFEM_C2PA_CERT",
        help="Sign OUTPUT (C2PA) with these certificates, PEM.",
        show_default=False,
    ),
]

C2paKey = Annotated[
    Path | None,
    typer.Option(
        "--c2pa-key",
        metavar="FILE",
        envvar="SPFEM_C2PA_KEY",
        help="The signer's private key, PEM.",
        show_default=False,
    ),
]

C2paTsa = Annotated[
    str | None,
    typer.Option(
        "--c2pa-tsa",
        metavar="URL",
        envvar="SPFEM_C2PA_TSA",
        help="Authority that says when it was signed.",
        show_default=False,
    ),
]

Consent = Annotated[
    str | None,
    typer.Option(
        "--consent",
        metavar="NOTE",
        help="Who agreed to the edit: kept in what is signed, so only with --c2pa-cert.",
        show_default=False,
    ),
]

Disclose = Annotated[
    bool,
    typer.Option("--disclose", help='Show a small label, "AI-edited", on every frame.'),
]

DiscloseAt = Annotated[
    Corner,
    typer.Option(
        "--disclose-at", envvar="SPFEM_DISCLOSE_AT", help="Corner where --disclose shows it."
    ),
]

Weights = Annotated[
    WeightSet,
    typer.Option(
        "--weights",
        envvar="SPFEM_WEIGHTS",
        help="By what it was learned from; see weights/README.md.",
    ),
]

Compare = Annotated[
    str | None,
    typer.Option(
        "--compare",
        metavar="side|wipe|FILE",
        help="Also write before and after as one video, beside OUTPUT or into FILE.",
        show_default=False,
    ),
]

ReportFile = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="FILE.html",
        help="Also write a page that shows what the edit did.",
        show_default=False,
    ),
]

Overwrite = Annotated[bool, typer.Option("--overwrite", "-y", help="Replace OUTPUT if it exists.")]

ProgressMode = Annotated[
    Literal["auto", "text", "jsonl", "none"],
    typer.Option(
        "--progress",
        envvar="SPFEM_PROGRESS",
        help="On stderr: a bar on a terminal and else lines; lines; JSON lines; nothing.",
    ),
]


def parse_shard(word: str) -> tuple[int, int]:
    """Which part of the work is asked for, from 1, and of how many: ``2/8``.

    Raises:
        UsageError: If the word says no such thing.
    """
    match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", word, re.ASCII)
    if match is None:
        raise UsageError(f"--shard {word!r} is no part", hint="2/8 is the second of eight")
    return int(match[1]), int(match[2])
