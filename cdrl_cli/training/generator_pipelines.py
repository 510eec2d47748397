"""From a folder of clips to the weights that change a face: motion editor, renderer, skin.

One function for each command of ``spfem train`` that makes such a file, or the pack that it is
made of; what they share stands in :mod:`cdrl_cli.training.pipelines`.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter

from cdrl_cli.checkpoints.files import open_motion
from cdrl_cli.checkpoints.load import find_weights
from cdrl_cli.checkpoints.models import GENERATOR_FILES, load_models
from cdrl_cli.checkpoints.trained import (
    load_content,
    load_emotion,
    read_motion,
    write_motion,
    write_renderer,
    write_skin,
)
from cdrl_cli.data.index import read_index
from cdrl_cli.data.motions import read_motion_takes
from cdrl_cli.data.packs import write_pack
from cdrl_cli.errors import UsageError
from cdrl_cli.generator.motion_network import MotionEditor
from cdrl_cli.nn.networks import open_network
from cdrl_cli.preparation import prepare_clips
from cdrl_cli.training.checkpoint import digest_data, run_facts
from cdrl_cli.training.config import read_config
from cdrl_cli.training.differentiable import Chain
from cdrl_cli.training.generator_data import gather_faces, unpack_faces
from cdrl_cli.training.generator_run import train_generator
from cdrl_cli.training.loop import open_device
from cdrl_cli.training.motion import train_motion
from cdrl_cli.training.picture_supervision import PictureSupervision
from cdrl_cli.training.pipelines import Made, RunOptions, Stages, no_stages
from cdrl_cli.training.processes import open_processes
from cdrl_cli.training.recipes import GeneratorConfig, MotionTrainingConfig, SkinConfig
from cdrl_cli.training.skin import train_skin
from cdrl_cli.training.skin_data import read_skin_data
from cdrl_cli.training.skin_edits import read_skin_edits
from cdrl_cli.training.skin_refinement import open_teachers, refine_skin
from cdrl_cli.training.supervision import Supervision
from cdrl_cli.training.teachers.emotion import open_guides
from cdrl_cli.training.teachers.expression import train_expression_reader
from cdrl_cli.training.teachers.identity import Likeness


def make_motion(
    config: Path | MotionTrainingConfig,
    data: Path,
    cache: Path,
    output: Path,
    *,
    options: RunOptions,
    begin: Path | None = None,
    changes: Sequence[str] = (),
    stages: Stages = no_stages,
) -> Made:
    """Train the motion editor and write it.

    Args:
        config: The recipe.
        data: Folder with ``index.csv``.
        cache: Of prepared clips.
        output: The file.
        options: Where the run is kept.
        begin: The file of an editor to begin with: only its pace is learned.
        changes: Of the recipe.
        stages: Shows progress.
    """
    recipe = read_config(config, MotionTrainingConfig, changes=changes)
    open_device(options.device)
    weight_set = recipe.data.weight_set
    models = load_models(weight_set, core=True)
    with stages("preparing clips") as progress, open_processes().first_before_others():
        prepared = prepare_clips(read_index(data), models, cache, progress=progress)
        takes = read_motion_takes(prepared)
    with stages("training") as progress:
        result = train_motion(
            recipe,
            takes,
            models.neutral,
            load_emotion(weight_set),
            load_content(weight_set),
            run=options.run,
            resume=options.resume,
            device=options.device,
            begin=None if begin is None else _read_ours(begin),
            progress=progress,
        )
    if open_processes().is_first:
        write_motion(output, result.editor, facts=result.facts)
    return Made(output, f"step {result.best_step} of {result.steps}, score {result.score:.3f}")


def _read_ours(path: Path) -> MotionEditor:
    """The file of an editor whose pace can be learned.

    Raises:
        UsageError: If it is of the other backbone.
    """
    editor = read_motion(path)
    if not isinstance(editor, MotionEditor):
        raise UsageError(f"{path}: the backbone ned has no pace to learn")
    return editor


def make_pack(
    config: Path,
    data: Path,
    cache: Path,
    output: Path,
    *,
    changes: Sequence[str] = (),
    stages: Stages = no_stages,
) -> Made:
    """Write the faces that a recipe of the generator learns from into one file.

    Args:
        config: The recipe.
        data: Folder with ``index.csv``.
        cache: Of prepared clips.
        output: The pack.
        changes: Of the recipe.
        stages: Shows progress.
    """
    recipe = read_config(config, GeneratorConfig, changes=changes)
    with stages("preparing clips") as progress, open_processes().first_before_others():
        faces = gather_faces(recipe.data, data, cache, progress=progress)
    write_pack(output, faces)
    crops, megabytes = sum(len(one.place) for one in faces), output.stat().st_size / 1e6
    return Made(output, f"{crops} crops of {len(faces)} clips, {megabytes:.1f} MB")


def make_generator(
    config: Path | GeneratorConfig,
    source: Path,
    cache: Path,
    output: Path,
    *,
    motion: Path,
    options: RunOptions,
    pictures: PictureSupervision | None = None,
    changes: Sequence[str] = (),
    stages: Stages = no_stages,
) -> Made:
    """Train the renderer, fine-tune the motion editor, and write both.

    Args:
        config: The recipe.
        source: Folder with ``index.csv``, or a pack of :func:`make_pack`.
        cache: Of prepared clips.
        output: Folder.
        motion: The trained motion editor.
        options: Where the run is.
        pictures: CERL and CCRL at the paper's size, where the recipe asks them.
        changes: Of the recipe.
        stages: Shows progress.
    """
    recipe = read_config(config, GeneratorConfig, changes=changes)
    editor = read_motion(motion)
    open_device(options.device)
    with stages("preparing clips") as progress, open_processes().first_before_others():
        if source.is_dir():
            faces = gather_faces(recipe.data, source, cache, progress=progress)
        else:
            faces = unpack_faces(recipe.data, source)
    weight_set = recipe.data.weight_set
    weights = recipe.loss
    models = load_models(weight_set, core=True)
    guides = open_guides() if weights.guide else []
    keeps_person = bool(weights.likeness or weights.identity)
    if pictures is None and (weights.picture_emotion or weights.picture_content):
        raise UsageError(
            "the recipe asks CERL or CCRL at the paper's size, and there is none",
            hint="spfem train all makes them; or loss.picture_emotion=0 and picture_content=0",
        )
    shown = [(one.crops.image, one.crops.expression) for one in faces]
    with stages("training the reader of expressions") as progress:
        reader, _ = train_expression_reader(
            shown,
            recipe.reader,
            run_facts(recipe, digest_data(array for pair in shown for array in pair)),
            run=options.run / "reader",
            resume=options.resume,
            device=options.device,
            progress=progress,
        )
    supervision = Supervision(
        load_emotion(weight_set),
        load_content(weight_set),
        reader,
        Likeness(find_weights("identity")) if keeps_person else None,
        guides,
        pictures,
    )
    with stages("training") as progress:
        result = train_generator(
            recipe,
            faces,
            Chain(models.mesh, models.head.canonical_xyz, models.basis.displacement),
            editor,
            supervision,
            run=options.run,
            # A run may have been cut before this, while the reader was trained.
            resume=options.resume and (options.run / "last.pt").exists(),
            device=options.device,
            progress=progress,
        )
    expression, picture = (output / name for name in GENERATOR_FILES)
    if open_processes().is_first:
        write_motion(expression, result.editor, facts=result.facts)
        write_renderer(picture, result.renderer, facts=result.facts)
    return Made(output, f"{result.steps} steps")


def make_skin(
    config: Path,
    data: Path,
    cache: Path,
    output: Path,
    *,
    options: RunOptions,
    changes: Sequence[str] = (),
    stages: Stages = no_stages,
) -> Made:
    """Learn light and creases of the skin from photographs and edits of them, and write them.

    Args:
        config: The recipe, a TOML file.
        data: Folder with ``photos/`` and ``london/``.
        cache: Of the faces found.
        output: The file.
        options: Where the run is kept, and on which device it is.
        changes: Of the recipe.
        stages: Shows progress.
    """
    began = perf_counter()
    recipe = read_config(config, SkinConfig, changes=changes)
    open_device(options.device)
    weight_set = recipe.data.weight_set
    # Not its renderer: that may be waiting for the file that is being made.
    models = replace(
        load_models(weight_set, core=True),
        motion=open_motion(find_weights(weight_set.entry("motion"))),
    )
    # What is missing is said before hours are spent.
    teachers = None if recipe.refinement is None else open_teachers()
    with stages("looking at photographs") as progress:
        pairs = read_skin_data(recipe.data, data, cache, models, progress=progress)
    with stages("training") as progress:
        result = train_skin(
            recipe,
            pairs,
            run=options.run,
            resume=options.resume,
            device=options.device,
            progress=progress,
        )
    said = f"step {result.best_step} of {result.steps}, {len(pairs.share)} pairs"
    if teachers is not None:
        network = open_network(find_weights(weight_set.entry("renderer")))
        kept = cache / f"edits-{weight_set}-{pairs.key}.npz"
        with stages("editing photographs") as progress:
            edits = read_skin_edits(pairs.photos, models, network, kept, progress=progress)
        second = options.run / "refinement"
        with stages("refining") as progress:
            result = refine_skin(
                recipe,
                pairs,
                result,
                edits,
                teachers,
                run=second,
                # A run may have been cut before this.
                resume=options.resume and (second / "last.pt").exists(),
                device=options.device,
                progress=progress,
            )
        said += f", then {result.facts['steps'].split()[-1]} steps, {len(edits.person)} edits"
    if open_processes().is_first:
        write_skin(output, result.model, facts=result.facts)
    minutes = (perf_counter() - began) / 60
    return Made(output, f"{said}, {minutes:.0f} min")
