"""From a folder of clips to a file of weights: one function for each ``spfem train`` command.

Each reads the recipe, prepares the clips, trains, writes the file and says what came out. Long
stages are shown by ``stages``: called with a stage's name, it gives a context that gives a progress
callable (steps done, steps in all) or None.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from cdrl_cli.checkpoints.files import write_arrays
from cdrl_cli.checkpoints.load import find_weights
from cdrl_cli.checkpoints.models import GENERATOR_FILES, load_models, open_sentence_encoder
from cdrl_cli.checkpoints.trained import (
    ContentModels,
    load_content,
    load_emotion,
    open_prior,
    read_motion,
    write_appearance,
    write_content,
    write_emotion,
    write_motion,
    write_renderer,
    write_skin,
)
from cdrl_cli.data.augment import draw_noises
from cdrl_cli.data.index import Role, read_index
from cdrl_cli.data.motions import read_motion_takes
from cdrl_cli.data.packs import write_pack
from cdrl_cli.data.performances import acted_clips, find_neutrals, read_performances
from cdrl_cli.preparation import prepare_clips, read_takes
from cdrl_cli.representation.evidence import ARRAYS
from cdrl_cli.training.appearance import make_appearance
from cdrl_cli.training.ccrl import train_ccrl
from cdrl_cli.training.cerl import read_wording, train_cerl
from cdrl_cli.training.checkpoint import code_commit, digest_data, run_facts
from cdrl_cli.training.config import read_config
from cdrl_cli.training.core import ClipLandmarks, save_core
from cdrl_cli.training.differentiable import Chain
from cdrl_cli.training.evidence import EvidenceRecipe, fit_evidence, see
from cdrl_cli.training.generator import train_generator
from cdrl_cli.training.generator_data import gather_faces, unpack_faces
from cdrl_cli.training.loop import open_device
from cdrl_cli.training.motion import train_motion
from cdrl_cli.training.published import convert_published
from cdrl_cli.training.recipes import (
    CcrlConfig,
    CerlConfig,
    GeneratorConfig,
    MotionTrainingConfig,
    SkinConfig,
)
from cdrl_cli.training.skin import train_skin
from cdrl_cli.training.skin_data import read_skin_data
from cdrl_cli.training.split import find_clips, is_learned_from, is_validation, read_training_clips
from cdrl_cli.training.supervision import Supervision
from cdrl_cli.training.teachers.emotion import open_guides
from cdrl_cli.training.teachers.expression import train_expression_reader
from cdrl_cli.training.teachers.identity import Likeness
from cdrl_cli.weight_set import WeightSet

Progress = Callable[[int, int], None]
"""Called with (done, in all)."""

Stages = Callable[[str], AbstractContextManager[Progress | None]]
"""Shows a stage by its name while its context is open."""


def no_stages(name: str) -> AbstractContextManager[None]:  # noqa: ARG001 - see Stages
    """Show nothing."""
    return nullcontext()


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Where a run keeps itself, and where it computes."""

    run: Path
    """Folder of the checkpoint (``last.pt``) and the log (``log.jsonl``)."""
    resume: bool = False
    """Continue from the checkpoint there."""
    device: str = "cpu"
    """``cpu`` or ``cuda``."""


@dataclass(frozen=True, slots=True)
class Made:
    """A file of weights, or of what they are made of, and one line about it."""

    output: Path
    summary: str


def make_core(
    data: Path, cache: Path, output: Path, *, weight_set: WeightSet, stages: Stages = no_stages
) -> Made:
    """Fit the geometric core to the clips of the training split.

    Args:
        data: Folder with ``index.csv``.
        cache: Of prepared clips.
        output: The file.
        weight_set: ``permissive`` leaves research-only clips out; ``research`` takes all.
        stages: Shows progress.
    """
    models = load_models(core=True)
    clips = read_training_clips(data, weight_set=weight_set)
    with stages("preparing clips") as progress:
        prepared = prepare_clips(clips, models, cache, progress=progress)
        landmarks = [ClipLandmarks.of(one).thinned() for one in prepared]
    numbers = save_core(output, landmarks, models.landmarker_file, weight_set=weight_set)
    return Made(output, f"{len(landmarks)} clips, R2 {numbers.explained:.3f}")


def prepare_all(data: Path, cache: Path, *, stages: Stages = no_stages) -> Made:
    """Prepare all clips and stills of a folder, to be kept in the cache."""
    clips = find_clips(data)
    with stages("preparing clips") as progress:
        prepared = prepare_clips(clips, load_models(core=True), cache, progress=progress)
        found = sum(1 for _ in prepared)
    return Made(cache, f"{found} of {len(clips)} clips show a face")


def make_ccrl(
    config: Path,
    data: Path,
    cache: Path,
    output: Path,
    *,
    options: RunOptions,
    changes: Sequence[str] = (),
    stages: Stages = no_stages,
) -> Made:
    """Train the content representation and write it.

    Args:
        config: The recipe, a TOML file.
        data: Folder with ``index.csv``.
        cache: Of prepared clips.
        output: The file.
        options: Where the run is.
        changes: Of the recipe (:func:`~cdrl_cli.training.config.read_config`).
        stages: Shows progress.
    """
    recipe = read_config(config, CcrlConfig, changes=changes)
    open_device(options.device)
    prior = open_prior(recipe.prior)
    clips = [
        clip
        for clip in read_index(data)
        if is_learned_from(clip, recipe.data) or is_validation(clip, recipe.data)
    ]
    with stages("listening to clips") as progress:
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
    with stages("training") as progress:
        result = train_ccrl(
            recipe,
            takes,
            run=options.run,
            resume=options.resume,
            device=options.device,
            progress=progress,
        )
    models = ContentModels(
        result.content, result.speech, prior.name, result.identities, result.sentences
    )
    write_content(output, models, facts=result.facts)
    summary = f"step {result.best_step} of {result.steps}, top-1 {result.score:.3f}"
    return Made(output, summary)


def make_cerl(
    config: Path,
    data: Path,
    cache: Path,
    output: Path,
    *,
    options: RunOptions,
    changes: Sequence[str] = (),
    stages: Stages = no_stages,
) -> Made:
    """Train the emotion representation and write it; arguments as :func:`make_ccrl` has them."""
    recipe = read_config(config, CerlConfig, changes=changes)
    open_device(options.device)
    models = load_models(recipe.data.weight_set, core=True)
    clips = find_clips(data, stills=recipe.data.stills)
    with stages("preparing clips") as progress:
        prepared = prepare_clips(clips, models, cache, progress=progress)
        performances = read_performances(prepared)
    with stages("training") as progress:
        result = train_cerl(
            recipe,
            performances,
            find_neutrals(performances, models.neutral.mean),
            read_wording(open_sentence_encoder()),
            run=options.run,
            resume=options.resume,
            device=options.device,
            progress=progress,
        )
    write_emotion(output, result.models, facts=result.facts)
    summary = f"step {result.best_step} of {result.steps}, accuracy {result.score:.3f}"
    return Made(output, summary)


def make_appearance_file(
    config: Path, data: Path, cache: Path, output: Path, *, stages: Stages = no_stages
) -> Made:
    """Measure what a published expression net says of everybody, and write both.

    Args:
        config: A recipe of CERL, of which the data is taken.
        data: Folder with ``index.csv``.
        cache: Of prepared clips.
        output: The file.
        stages: Shows progress.
    """
    chosen = read_config(config, CerlConfig).data
    find_weights("guide-face-api-layout")
    folder = find_weights("guide-face-api").parent
    clips = acted_clips([one for one in read_index(data) if is_learned_from(one, chosen)])
    with stages("looking at clips") as progress:
        net, usual = make_appearance(
            folder, prepare_clips(clips, load_models(core=True), cache, progress=progress)
        )
    facts = {
        "recipe": "spfem train appearance",
        "weight_set": chosen.weight_set,
        "commit": code_commit(),
        "clips": str(len(clips)),
    }
    write_appearance(output, net, usual, facts=facts)
    return Made(output, f"{len(clips)} clips")


def make_published(folder: Path) -> Made:
    """Convert the published networks that an edit runs; see :mod:`cdrl_cli.training.published`."""
    files = convert_published(folder)
    return Made(folder, ", ".join(file.name for file in files))


def make_evidence(
    config: Path,
    data: Path,
    cache: Path,
    output: Path,
    *,
    changes: Sequence[str] = (),
    stages: Stages = no_stages,
) -> Made:
    """Fit what an edit concludes from evidence; arguments as :func:`make_ccrl` has them."""
    recipe = read_config(config, EvidenceRecipe, changes=changes)
    models = load_models(recipe.data.weight_set, core=True)
    clips = [
        clip
        for clip in find_clips(data, stills=recipe.data.stills)
        if is_learned_from(clip, recipe.data)
        and Role.REFRAMED not in clip.roles
        and clip.emotion is not None
    ]
    with stages("looking at faces") as progress:
        seen = see(clips, models, cache / "evidence", progress=progress)
    neutral = models.neutral.mean.astype(float)
    model, measured = fit_evidence(seen, neutral, recipe.fit)
    facts = {
        "recipe": "spfem train evidence",
        "weight_set": recipe.data.weight_set,
        "commit": code_commit(),
        "clips": str(len(seen)),
        "people": str(len({one.clip.identity for one in seen})),
        "measured": json.dumps(asdict(measured)),
    }
    arrays = {name: np.asarray(getattr(model, name), np.float32) for name in ARRAYS}
    write_arrays(output, {**arrays, "trust": np.array([model.trust], np.float32)}, facts)
    return Made(output, measured.describe())


def make_motion(
    config: Path,
    data: Path,
    cache: Path,
    output: Path,
    *,
    options: RunOptions,
    begin: Path | None = None,
    changes: Sequence[str] = (),
    stages: Stages = no_stages,
) -> Made:
    """Train the motion editor and write it; arguments as :func:`make_ccrl` has them.

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
    with stages("preparing clips") as progress:
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
            begin=None if begin is None else read_motion(begin),
            progress=progress,
        )
    write_motion(output, result.editor, facts=result.facts)
    return Made(output, f"step {result.best_step} of {result.steps}, score {result.score:.3f}")


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
    with stages("preparing clips") as progress:
        faces = gather_faces(recipe.data, data, cache, progress=progress)
    write_pack(output, faces)
    crops, megabytes = sum(len(one.place) for one in faces), output.stat().st_size / 1e6
    return Made(output, f"{crops} crops of {len(faces)} clips, {megabytes:.1f} MB")


def make_generator(
    config: Path,
    source: Path,
    cache: Path,
    output: Path,
    *,
    motion: Path,
    options: RunOptions,
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
        changes: Of the recipe.
        stages: Shows progress.
    """
    recipe = read_config(config, GeneratorConfig, changes=changes)
    editor = read_motion(motion)
    open_device(options.device)
    with stages("preparing clips") as progress:
        if source.is_dir():
            faces = gather_faces(recipe.data, source, cache, progress=progress)
        else:
            faces = unpack_faces(recipe.data, source)
    weight_set = recipe.data.weight_set
    models, guides = load_models(weight_set, core=True), open_guides()
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
        Likeness(find_weights("identity")),
        guides,
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
    """Learn light and creases of the skin from photographs, and write them.

    Args:
        config: The recipe, a TOML file.
        data: Folder with ``photos/`` and ``london/``.
        cache: Of the faces found.
        output: The file.
        options: Where the run is; on a CPU.
        changes: Of the recipe.
        stages: Shows progress.
    """
    recipe = read_config(config, SkinConfig, changes=changes)
    models = load_models(recipe.data.weight_set, core=True)
    with stages("looking at photographs") as progress:
        pairs = read_skin_data(recipe.data, data, cache, models, progress=progress)
    with stages("training") as progress:
        result = train_skin(
            recipe, pairs, run=options.run, resume=options.resume, progress=progress
        )
    write_skin(output, result.model, facts=result.facts)
    return Made(output, f"step {result.best_step} of {result.steps}, {len(pairs.share)} pairs")
