"""``spfem train``: what the weights are made with."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from cdrl_cli.cli.console import say
from cdrl_cli.cli.options import Quiet
from cdrl_cli.cli.progress import count_progress

Config = Annotated[Path, typer.Option(help="The recipe: one of configs/.", show_default=False)]
Data = Annotated[Path, typer.Option(help="Folder with index.csv.", show_default=False)]
Output = Annotated[
    Path, typer.Option("--output", "-o", help="The safetensors file.", show_default=False)
]
Run = Annotated[Path, typer.Option(help="Folder of the checkpoint and the log.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change the recipe: schedule.steps=500. Repeatable."),
]
Cache = Annotated[Path, typer.Option(help="Where prepared clips are kept between runs.")]

app = typer.Typer(name="train", help="Make the weights from training clips.", no_args_is_help=True)


@app.callback()
def train() -> None:
    """Make the weights from training clips."""


@app.command()
def core(
    data: Data,
    *,
    output: Output,
    licence: Annotated[
        Literal["permissive", "research"],
        typer.Option(help="Learn from permissive clips only, or from all."),
    ] = "permissive",
    cache: Annotated[Path, typer.Option(help="Where landmarks are kept between runs.")] = Path(
        "runs/landmarks"
    ),
    quiet: Quiet = False,
) -> None:
    """Fit the geometric core: canonical face, expression basis, emotion differences.

    Clips of the training split only.
    """
    from cdrl_cli.checkpoints.models import load_models
    from cdrl_cli.data.clips import read_training_clips
    from cdrl_cli.training.core import ClipLandmarks, save_core
    from cdrl_cli.training.prepare import prepare_clips

    models = load_models(core=True)
    clips = read_training_clips(data, licence_class=licence)
    with count_progress("preparing clips", quiet=quiet) as progress:
        prepared = prepare_clips(clips, models, cache, progress=progress)
        landmarks = [ClipLandmarks.of(one).thinned() for one in prepared]
    numbers = save_core(output, landmarks, models.landmarker_file, licence_class=licence)
    if not quiet:
        say(f"{output}: {len(landmarks)} clips, R2 {numbers.explained:.3f}")


@app.command()
def prepare(
    data: Data,
    *,
    cache: Cache = Path("runs/prepared"),
    quiet: Quiet = False,
) -> None:
    """Find faces, coefficients and sound of all training clips once, and keep them.

    A run that was cut goes on where it stopped.
    """
    from cdrl_cli.checkpoints.models import load_models
    from cdrl_cli.data.clips import read_index, read_london
    from cdrl_cli.training.prepare import prepare_clips

    clips = [*read_index(data), *read_london(data / "london")]
    with count_progress("preparing clips", quiet=quiet) as progress:
        found = sum(
            1 for _ in prepare_clips(clips, load_models(core=True), cache, progress=progress)
        )
    if not quiet:
        say(f"{cache}: {found} of {len(clips)} clips show a face")


@app.command()
def ccrl(
    config: Config,
    *,
    data: Data,
    output: Output,
    cache: Cache = Path("runs/prepared"),
    run: Run = Path("runs/ccrl"),
    resume: Resume = False,
    change: Changes = None,
    quiet: Quiet = False,
) -> None:
    """Learn the content representation: what a mouth says, whatever the emotion.

    A run that was cut goes on, with --resume, as if it had not been.
    """
    from functools import partial

    from cdrl_cli.checkpoints.models import load_models
    from cdrl_cli.checkpoints.trained import ContentModels, open_prior, write_content
    from cdrl_cli.data.clips import read_index
    from cdrl_cli.data.noise import draw_noises
    from cdrl_cli.data.takes import read_takes
    from cdrl_cli.training.ccrl import train_ccrl
    from cdrl_cli.training.config import CcrlConfig, read_config
    from cdrl_cli.training.prepare import prepare_clips
    from cdrl_cli.training.split import is_learned_from, is_validation

    recipe = read_config(config, CcrlConfig, changes=change or ())
    prior = open_prior(recipe.model.prior)
    clips = [
        clip
        for clip in read_index(data)
        if is_learned_from(clip, recipe.data) or is_validation(clip, recipe.data)
    ]
    with count_progress("listening to clips", quiet=quiet) as progress:
        prepared = prepare_clips(clips, load_models(core=True), cache, progress=progress)
        takes = list(
            read_takes(
                prepared,
                prior,
                cache / "speech",
                sound_late_s=recipe.data.sound_late_s,
                noises=partial(draw_noises, count=recipe.sampling.noisy_sound),
            )
        )
    with count_progress("training", quiet=quiet) as progress:
        result = train_ccrl(recipe, takes, run=run, going_on=resume, progress=progress)
    models = ContentModels(
        result.content, result.speech, prior.name, result.identities, result.sentences
    )
    write_content(output, models, facts=result.facts)
    if not quiet:
        say(f"{output}: step {result.best_step} of {result.steps}, top-1 {result.score:.3f}")


@app.command()
def cerl(
    config: Config,
    *,
    data: Data,
    output: Output,
    cache: Cache = Path("runs/prepared"),
    run: Run = Path("runs/cerl"),
    resume: Resume = False,
    change: Changes = None,
    quiet: Quiet = False,
) -> None:
    """Learn the emotion representation: what a face feels, in one space with words for it.

    A run that was cut goes on, with --resume, as if it had not been.
    """
    from cdrl_cli.checkpoints.models import load_models
    from cdrl_cli.checkpoints.trained import open_sentence_encoder, write_emotion
    from cdrl_cli.data.clips import read_index, read_london
    from cdrl_cli.data.performances import find_neutrals, read_performances
    from cdrl_cli.training.cerl import read_wording, train_cerl
    from cdrl_cli.training.config import CerlConfig, read_config
    from cdrl_cli.training.prepare import prepare_clips

    recipe = read_config(config, CerlConfig, changes=change or ())
    models = load_models(recipe.data.licence, core=True)
    clips = [*read_index(data), *read_london(data / "london")]
    with count_progress("preparing clips", quiet=quiet) as progress:
        prepared = prepare_clips(clips, models, cache, progress=progress)
        performances = read_performances(prepared)
    neutrals = find_neutrals(performances, models.neutral.mean)
    wording = read_wording(open_sentence_encoder())
    with count_progress("training", quiet=quiet) as progress:
        result = train_cerl(
            recipe, performances, neutrals, wording, run=run, going_on=resume, progress=progress
        )
    write_emotion(output, result.models, facts=result.facts)
    if not quiet:
        say(f"{output}: step {result.best_step} of {result.steps}, accuracy {result.score:.3f}")


@app.command()
def appearance(
    config: Config,
    *,
    data: Data,
    output: Output,
    cache: Cache = Path("runs/prepared"),
    quiet: Quiet = False,
) -> None:
    """Give the emotion representation its view of pixels: a published net, frozen.

    What the net says of everybody is measured on the acted clips of the recipe. Needs the optional
    part guides.
    """
    from cdrl_cli.checkpoints.files import write_appearance
    from cdrl_cli.checkpoints.load import find_weights
    from cdrl_cli.checkpoints.models import load_models
    from cdrl_cli.data.clips import read_index
    from cdrl_cli.data.performances import acted_clips
    from cdrl_cli.training.appearance import make_appearance
    from cdrl_cli.training.checkpoint import code_commit
    from cdrl_cli.training.config import CerlConfig, read_config
    from cdrl_cli.training.prepare import prepare_clips
    from cdrl_cli.training.split import is_learned_from

    recipe = read_config(config, CerlConfig).data
    find_weights("guide-face-api-layout")
    net = find_weights("guide-face-api").parent
    clips = acted_clips([one for one in read_index(data) if is_learned_from(one, recipe)])
    with count_progress("looking at clips", quiet=quiet) as progress:
        reader = make_appearance(
            net, prepare_clips(clips, load_models(core=True), cache, progress=progress)
        )
    facts = {
        "recipe": "spfem train appearance",
        "licence_class": recipe.licence,
        "commit": code_commit(),
        "clips": str(len(clips)),
    }
    write_appearance(output, reader, facts=facts)
    if not quiet:
        say(f"{output}: {len(clips)} clips")


@app.command()
def motion(
    config: Config,
    *,
    data: Data,
    output: Output,
    cache: Cache = Path("runs/prepared"),
    run: Run = Path("runs/motion"),
    resume: Resume = False,
    change: Changes = None,
    quiet: Quiet = False,
) -> None:
    """Learn the motion editor: how a talking face moves when it feels.

    A run that was cut goes on, with --resume, as if it had not been.
    """
    from cdrl_cli.checkpoints.models import load_models
    from cdrl_cli.checkpoints.trained import load_content, load_emotion, write_motion
    from cdrl_cli.data.clips import read_index
    from cdrl_cli.data.motions import read_motion_takes
    from cdrl_cli.training.config import MotionTrainingConfig, read_config
    from cdrl_cli.training.motion import train_motion
    from cdrl_cli.training.prepare import prepare_clips

    recipe = read_config(config, MotionTrainingConfig, changes=change or ())
    licence = recipe.data.licence
    models = load_models(licence, core=True)
    with count_progress("preparing clips", quiet=quiet) as progress:
        prepared = prepare_clips(read_index(data), models, cache, progress=progress)
        takes = read_motion_takes(prepared)
    with count_progress("training", quiet=quiet) as progress:
        result = train_motion(
            recipe,
            takes,
            models.neutral,
            load_emotion(licence),
            load_content(licence),
            run=run,
            going_on=resume,
            progress=progress,
        )
    write_motion(output, result.editor, facts=result.facts)
    if not quiet:
        say(f"{output}: step {result.best_step} of {result.steps}, score {result.score:.3f}")


@app.command()
def pack(
    config: Config,
    *,
    data: Data,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The pack, .npz.", show_default=False)
    ],
    cache: Cache = Path("runs/prepared"),
    change: Changes = None,
    quiet: Quiet = False,
) -> None:
    """Pack the faces that train renderer learns from, to train on another machine.

    Crops as JPEG, landmarks, coefficients, mouths: there neither the clips nor the landmarker are
    needed. Then: spfem train renderer --pack FILE --device cuda.
    """
    from cdrl_cli.data.packs import write_pack
    from cdrl_cli.training.config import RendererTrainingConfig, read_config
    from cdrl_cli.training.renderer import gather_faces

    recipe = read_config(config, RendererTrainingConfig, changes=change or ())
    with count_progress("preparing clips", quiet=quiet) as progress:
        faces = gather_faces(recipe, data, cache, progress=progress)
    write_pack(output, faces)
    if not quiet:
        crops = sum(len(one.place) for one in faces)
        say(f"{output}: {crops} crops of {len(faces)} clips, {output.stat().st_size / 1e6:.1f} MB")


@app.command()
def renderer(
    config: Config,
    *,
    data: Annotated[Path | None, typer.Option(help="Folder with index.csv.")] = None,
    pack: Annotated[
        Path | None, typer.Option("--pack", help="What spfem train pack wrote, instead of --data.")
    ] = None,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="Folder for renderer.onnx and the fine-tuned motion.safetensors.",
            show_default=False,
        ),
    ],
    motion: Annotated[
        Path,
        typer.Option(help="The motion editor: what spfem train motion wrote.", show_default=False),
    ],
    cache: Cache = Path("runs/prepared"),
    run: Run = Path("runs/renderer"),
    device: Annotated[
        Literal["cpu", "cuda"], typer.Option(help="cuda: where there is a GPU.")
    ] = "cpu",
    resume: Resume = False,
    change: Changes = None,
    quiet: Quiet = False,
) -> None:
    """Learn which pixels, and fine-tune which expression, under CERL and CCRL.

    Needs the optional parts guides and identity (spfem download-weights guides identity). A run
    that was cut goes on, with --resume, as if it had not been.
    """
    from cdrl_cli.checkpoints.models import GENERATOR_FILES
    from cdrl_cli.checkpoints.trained import read_motion, write_motion, write_renderer
    from cdrl_cli.errors import UsageError
    from cdrl_cli.training.config import RendererTrainingConfig, read_config
    from cdrl_cli.training.renderer import (
        find_device,
        gather_faces,
        prepare_training,
        unpack_faces,
    )

    if (data is None) == (pack is None):
        raise UsageError("give what to learn from: either --data FOLDER or --pack FILE")
    recipe = read_config(config, RendererTrainingConfig, changes=change or ())
    editor, place = read_motion(motion), find_device(device)
    if pack is not None:
        faces = unpack_faces(recipe, pack)
    elif data is not None:
        with count_progress("preparing clips", quiet=quiet) as progress:
            faces = gather_faces(recipe, data, cache, progress=progress)
    training = prepare_training(recipe, faces, editor, run=run, going_on=resume, device=place)
    with count_progress("training", quiet=quiet) as progress:
        result = training.train(progress=progress)
    expression, picture = (output / name for name in GENERATOR_FILES)
    write_motion(expression, result.editor, facts=result.facts)
    write_renderer(picture, result.renderer, facts=result.facts)
    if not quiet:
        say(f"{output}: {result.steps} steps")
