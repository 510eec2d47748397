"""``spfem edit``."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cdrl_cli.cli.console import print_json, say
from cdrl_cli.cli.options import (
    Adjust,
    C2paCert,
    C2paKey,
    C2paTsa,
    Codec,
    Compare,
    Consent,
    CopyUntouchedMode,
    Crf,
    DeviceName,
    Disclose,
    DiscloseAt,
    EmotionPresetName,
    End,
    FaceName,
    Intensity,
    Json,
    Neutralise,
    Overwrite,
    Pace,
    Preset,
    ProgressMode,
    Quiet,
    ReportFile,
    ScheduleFile,
    Source,
    Start,
    TargetEmotion,
    VideoStream,
    Way,
    Weights,
    Who,
    read_signing,
)
from cdrl_cli.cli.pipes import STANDARD, read_reference, read_source, write_output
from cdrl_cli.cli.plan import say_leftovers, say_room, show_plan
from cdrl_cli.cli.progress import show_progress
from cdrl_cli.cli.reference_options import (
    FollowReference,
    Normalize,
    ReferenceEnd,
    ReferenceFace,
    ReferenceNeutral,
    ReferenceStart,
)
from cdrl_cli.cli.settings import (
    check_strength,
    choose_corner,
    choose_face,
    choose_quality,
    find_chosen_preset,
    was_given,
)
from cdrl_cli.emotion import Emotion
from cdrl_cli.errors import UsageError, check_memory_limit
from cdrl_cli.processors import loading, settle_process
from cdrl_cli.weight_set import WeightSet

if TYPE_CHECKING:
    from cdrl_cli.editing import EditResult

WORTH_NAMING = 0.1
"""Less likely emotions are not worth a word."""

EXAMPLES = """\
\b
Examples:
  spfem edit talk.mp4 --ref angry.mp4 -o out.mp4
  spfem edit talk.mp4 --emotion happy --intensity 0.7 -o out.mp4
  spfem edit talk.mp4 --emotion "quietly furious" -o out.mp4
  spfem edit talk.mp4 -e sad --start 1:05 --end 1:12.5 --face 2 -o out.mp4
  spfem edit talk.mp4 --ref mood.mp4 --follow-ref -o out.mp4
  spfem edit talk.mp4 --ref angry.mp4 --ref-neutral calm.jpg -o out.mp4
  spfem edit talk.mp4 --ref film.mp4 --ref-start 1:05 --ref-end 1:08 --ref-face 2 -o out.mp4
  spfem edit talk.mp4 --ref wide-eyed.mp4 --emotion fear --normalize -o out.mp4
  spfem edit two.mp4 --schedule who-when.csv -o out.mp4
  spfem edit talk.mp4 -e happy --neutralise --adjust smile=+.2,inner-brows=.3 -o out.mp4
  spfem edit talk.mp4 -e happy --preset-emotion subtle -o out.mp4
  spfem edit talk.mp4 -e happy --target-emotion .7 -o out.mp4
  spfem edit film.mp4 -e sad --who jane.jpg -o out.mp4
  spfem edit talk.mp4 --adjust eyes=+.4 -o out.mp4
  spfem edit talk.mp4 -r joy.mov -o out.mkv --codec ffv1 --json --quiet
  spfem edit film.mp4 -e sad -o out.mp4 --resume        # killed? the same line goes on
  spfem edit film.mp4 -e sad -o out.mp4 --start 1:05:00 --end 1:05:10 --dry-run
  spfem edit - -e happy -o - < talk.mp4 > out.mkv

--json prints one object: output, frames, edited_frames, lost_frames, faces, emotion, reading,
strength, reference_neutral, device, duration_s, elapsed_s, warnings, schedule, copied_frames,
beside, disclose, consent; or {"error": {"code", "message", "hint"}}. With --dry-run: source,
output, start, end, duration_s, frames, frames_in_range, encoded_frames, copied_frames,
tried_frames, edited_frames, faces, segments, segments_done, elapsed_s, output_bytes, disk_bytes,
disk_free_bytes, warnings, targets.
"""


def edit(
    context: typer.Context,
    source: Source,
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="The result, or -. Only --dry-run does without.",
            show_default=False,
        ),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            "--ref", "-r", help="Clip or image that shows the emotion.", show_default=False
        ),
    ] = None,
    emotion: Annotated[
        str | None,
        typer.Option(
            "--emotion",
            "-e",
            metavar="WORDS",
            help=(
                f"One of {', '.join(Emotion)}; or any words, by the optional weights text. "
                "With --ref it says what the emotion is, and --ref how it looks."
            ),
            show_default=False,
        ),
    ] = None,
    way: Way = None,
    follow_reference: FollowReference = False,
    reference_neutral: ReferenceNeutral = None,
    reference_face: ReferenceFace = 1,
    reference_start: ReferenceStart = None,
    reference_end: ReferenceEnd = None,
    normalize: Normalize = False,
    intensity: Intensity = 1.0,
    preset_emotion: EmotionPresetName = None,
    target_emotion: TargetEmotion = None,
    pace: Pace = 1.0,
    adjust: Adjust = None,
    neutralise: Neutralise = False,
    schedule: ScheduleFile = None,
    face: FaceName = "largest",
    who: Who = None,
    start: Start = None,
    end: End = None,
    video_stream: VideoStream = None,
    codec: Codec = None,
    crf: Crf = None,
    preset: Preset = None,
    copy_untouched: CopyUntouchedMode = "auto",
    weight_set: Weights = WeightSet.PERMISSIVE,
    device: DeviceName = "auto",
    format_: Annotated[
        Literal["mkv", "mp4", "mov", "webm"],
        typer.Option("--format", help="Kind of file where OUTPUT is -, standard output."),
    ] = "mkv",
    compare: Compare = None,
    report: ReportFile = None,
    c2pa_cert: C2paCert = None,
    c2pa_key: C2paKey = None,
    c2pa_tsa: C2paTsa = None,
    consent: Consent = None,
    disclose: Disclose = False,
    disclose_at: DiscloseAt = "bottom-left",
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Keep finished segments beside OUTPUT; go on from those of a killed edit.",
        ),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Say what would be done, and with how much time and room; write nothing.",
        ),
    ] = False,
    overwrite: Overwrite = False,
    progress: ProgressMode = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Change the emotion of the face in SOURCE; keep everything else.

    Speech, timing, resolution, rotation, colour, audio, subtitles and metadata stay. Frames in
    which no face can be edited pass through. OUTPUT appears only when it is complete. A single -
    as SOURCE or OUTPUT is standard input or output.
    """
    output = output or _name_output(source, dry_run=dry_run)
    if was_given(context, "format_") and output != STANDARD:
        raise UsageError(
            f"--format says what - is, and OUTPUT is {output}", hint="its extension says it"
        )
    if json and output == STANDARD:
        raise UsageError("with -o - stdout is the video: there is no room for --json")

    if (resume or dry_run) and STANDARD in (source, output):
        raise UsageError(
            "--resume and --dry-run ask about files: there are none with -", hint="name files"
        )

    check_memory_limit()
    settle_process()
    with loading():
        from cdrl_cli.checkpoints.ahead import NetworksAhead

        ahead = context.with_resource(
            NetworksAhead(weight_set, device=device, reads_reference=reference is not None)
        )
        from cdrl_cli.checkpoints.models import load_models
        from cdrl_cli.comparison import name_comparison
        from cdrl_cli.edit_options import EditOptions
        from cdrl_cli.editing import edit_video
        from cdrl_cli.generator.adjust import Adjustment
        from cdrl_cli.report.beside import Beside
        from cdrl_cli.schedule_file import read_schedule

    chosen = find_chosen_preset(context, preset_emotion)
    is_named = emotion is not None or reference is not None or schedule is not None
    emotion = emotion if is_named else chosen.emotion
    check_strength(context, target_emotion, names_emotion=is_named or emotion is not None)
    shown_by: dict[str, Any] = {
        "intensity": intensity if chosen.intensity is None else chosen.intensity,
        "pace": pace,
        "adjust": chosen.adjust if adjust is None else Adjustment.parse(adjust),
        "neutralise": neutralise or chosen.neutralise,
        "face": choose_face(context, face, who),
    }
    options = EditOptions(
        **({} if schedule else shown_by),
        who=who,
        target_emotion=target_emotion,
        schedule=read_schedule(schedule, **shown_by) if schedule else None,
        reference=reference,
        emotion=emotion,
        way=way,
        follow_reference=follow_reference,
        reference_neutral=reference_neutral,
        reference_face=reference_face,
        reference_start=reference_start,
        reference_end=reference_end,
        normalize=normalize,
        start=start,
        end=end,
        video_stream=video_stream,
        codec=codec,
        crf=choose_quality(context, "crf", crf, codec),
        preset=choose_quality(context, "preset", preset, codec),
        copy_untouched=copy_untouched,
        resume=resume,
        overwrite=overwrite,
        signing=read_signing(c2pa_cert, c2pa_key, c2pa_tsa),
        consent=consent,
        disclose=choose_corner(context, disclose_at, disclose=disclose),
    )
    beside = Beside(name_comparison(compare, output) if compare is not None else None, report)
    with (
        read_source(source) as readable,
        read_reference(reference) as shown,
        read_reference(reference_neutral) as neutral,
        write_output(output, f".{format_}") as writable,
    ):
        options = replace(options, reference=shown, reference_neutral=neutral)
        read = [readable, *options.reference_files]
        beside.check(output, inputs=read, overwrite=overwrite)
        models = load_models(weight_set, device=device, ahead=ahead)
        if dry_run:
            from cdrl_cli.planning import plan_edit

            plan = plan_edit(readable, writable, options, models=models)
            show_plan(plan, beside.files, json=json)
            return
        if resume and not quiet:
            say_room(readable, writable, options)
        elif not quiet:
            say_leftovers(writable)
        with show_progress("editing", quiet=quiet, mode=progress) as tell:
            result = edit_video(readable, writable, options, progress=tell, models=models)
        beside.write(
            readable,
            writable,
            models,
            options,
            result.schedule,
            show=lambda verb: show_progress(verb, quiet=quiet, mode=progress),
        )
    result = replace(result, output=output, beside=beside.files)
    for warning in result.warnings:
        say(warning, label="warning", style="yellow")
    if not quiet:
        is_label = Emotion.parse(emotion or "") is not None  # that says itself how it reads
        _say_result(result, None if is_label else str(reference or emotion or ""))
    if json:
        print_json(result)


def _name_output(source: Path, *, dry_run: bool) -> Path:
    """What an edit that is only planned would be called, where nobody says."""
    if not dry_run:
        raise UsageError("Missing option '--output' / '-o'", hint="see spfem edit --help")
    from cdrl_cli.media.encoder import CONTAINERS

    suffix = source.suffix if source.suffix.lower() in CONTAINERS else ".mp4"
    return source.with_name(f"{source.stem}-edited{suffix}")


def _say_result(result: "EditResult", asked_by: str | None) -> None:
    """Say what was done.

    Args:
        result: Of the edit.
        asked_by: Reference or words whose reading is worth a line; None or empty for none.
    """
    rate = (result.frames - result.copied_frames) / max(result.elapsed_s, 1e-9)
    copied = f"({result.copied_frames} copied) " if result.copied_frames else ""
    say(
        f"edited {result.edited_frames} of {result.frames} frames {copied}"
        f"in {result.elapsed_s:.1f} s ({rate:.1f} fps): {result.output}"
    )
    for place, row in enumerate(result.schedule, start=1):
        # Where the target is out of reach, a warning has said so.
        if row.target_emotion is not None and (row.measured or 0) >= row.target_emotion:
            which = f"row {place}, " if len(result.schedule) > 1 else ""
            say(
                f"{which}intensity {row.intensity:g}: read with {row.measured:.0%} "
                f"by our own reader, {row.target_emotion:.0%} was asked for"
            )
    if asked_by:
        say(f"{asked_by} reads as {_name_likeliest(result.reading)}")
    for one in result.beside:
        say(f"beside it: {one}")


def _name_likeliest(reading: Mapping[Emotion, float]) -> str:
    """The first two emotions, or one where the other is unlikely."""
    ranked = sorted(reading.items(), key=lambda item: -item[1])[:2]
    likely = [one for one in ranked if one[1] >= WORTH_NAMING] or ranked[:1]
    return ", ".join(f"{emotion} {share:.0%}" for emotion, share in likely)
