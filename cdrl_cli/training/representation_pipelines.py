"""From a folder of clips to the weights that read faces: CCRL, CERL, appearance, evidence, nets.

One function for each command of ``spfem train`` that makes such a file; what they share stands in
:mod:`cdrl_cli.training.pipelines`.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from cdrl_cli.checkpoints.files import write_arrays
from cdrl_cli.checkpoints.load import find_weights
from cdrl_cli.checkpoints.models import Models, load_models, open_sentence_encoder
from cdrl_cli.checkpoints.priors import open_arcface_prior, open_clip_prior
from cdrl_cli.checkpoints.trained import (
    ContentModels,
    open_prior,
    write_appearance,
    write_content,
    write_emotion,
)
from cdrl_cli.data.augment import draw_noises
from cdrl_cli.data.datasets.photos import read_photos
from cdrl_cli.data.index import Clip, Role, read_index
from cdrl_cli.data.performances import acted_clips, find_neutrals, read_performances
from cdrl_cli.emotion import Emotion
from cdrl_cli.preparation import prepare_clips, prepare_crops, read_takes
from cdrl_cli.representation.clip_prior import FEATURES, ContextPrompts
from cdrl_cli.representation.evidence import ARRAYS
from cdrl_cli.training.appearance import make_appearance
from cdrl_cli.training.ccrl import train_ccrl
from cdrl_cli.training.cerl import train_cerl
from cdrl_cli.training.checkpoint import code_commit
from cdrl_cli.training.config import read_config
from cdrl_cli.training.evidence import EvidenceRecipe, fit_evidence, see
from cdrl_cli.training.loop import open_device
from cdrl_cli.training.picture_priors import (
    ClipSentences,
    FaceMaps,
    find_seen_neutrals,
    see_performances,
)
from cdrl_cli.training.pipelines import Made, RunOptions, Stages, no_stages
from cdrl_cli.training.processes import open_processes
from cdrl_cli.training.published import BothNets, write_nets
from cdrl_cli.training.recipes import CcrlConfig, CerlConfig
from cdrl_cli.training.split import (
    find_clips,
    is_learned_from,
    is_validation,
    may_be_used,
    may_teach,
)
from cdrl_cli.training.tuned_nets import NetsRecipe, look_at, tune_nets
from cdrl_cli.training.ways import find_ways
from cdrl_cli.training.wording import read_wording


def make_ccrl(
    config: Path | CcrlConfig,
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
        config: The recipe, or its TOML file.
        data: Folder with ``index.csv``.
        cache: Of prepared clips.
        output: The file.
        options: Where the run is.
        changes: Of the recipe (:func:`~cdrl_cli.training.config.read_config`).
        stages: Shows progress.
    """
    recipe = read_config(config, CcrlConfig, changes=changes)
    device = open_device(options.device)
    prior = open_prior(recipe.prior, xlsr=recipe.priors.xlsr)
    look = None
    if recipe.model.image == "arcface":
        arcface = open_arcface_prior(recipe.priors.arcface)
        look = FaceMaps(arcface, recipe.model.image_side, device)
    clips = [
        clip
        for clip in read_index(data)
        if is_learned_from(clip, recipe.data) or is_validation(clip, recipe.data)
    ]
    with stages("listening to clips") as progress, open_processes().first_before_others():
        prepared = prepare_clips(clips, load_models(core=True), cache, progress=progress)
        takes = list(
            read_takes(
                prepared,
                prior,
                cache / "speech",
                sound_late_s=recipe.data.sound_late_s,
                noises=partial(draw_noises, count=recipe.sampling.noisy_sound),
                faces=look is not None,
            )
        )
    with stages("training") as progress:
        result = train_ccrl(
            recipe,
            takes,
            run=options.run,
            resume=options.resume,
            device=options.device,
            look=look,
            progress=progress,
        )
    models = ContentModels(
        result.content, result.speech, prior.name, result.identities, result.sentences
    )
    if open_processes().is_first:
        write_content(output, models, facts=result.facts)
    summary = f"step {result.best_step} of {result.steps}, top-1 {result.score:.3f}"
    return Made(output, summary)


def make_cerl(
    config: Path | CerlConfig,
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
    device = open_device(options.device)
    models = load_models(recipe.data.weight_set, core=True)
    clips = find_clips(data, stills=recipe.data.stills)
    if recipe.prior == "clip":
        return _make_picture_cerl(
            recipe,
            clips,
            models,
            cache=cache,
            output=output,
            options=options,
            device=device,
            stages=stages,
        )
    with stages("preparing clips") as progress, open_processes().first_before_others():
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
    if open_processes().is_first:
        write_emotion(output, result.models, facts=result.facts)
    summary = f"step {result.best_step} of {result.steps}, accuracy {result.score:.3f}"
    return Made(output, summary)


def _make_picture_cerl(
    recipe: CerlConfig,
    clips: Sequence[Clip],
    models: Models,
    *,
    cache: Path,
    output: Path,
    options: RunOptions,
    device: torch.device,
    stages: Stages,
) -> Made:
    """The emotion representation at the paper's size: through CLIP, with learned tokens."""
    clip = open_clip_prior(recipe.priors.clip)
    chosen = [one for one in clips if may_be_used(one, recipe.data)]
    with stages("preparing clips") as progress, open_processes().first_before_others():
        prepared = prepare_clips(chosen, models, cache, progress=progress)
        crops = prepare_crops(prepared, models, cache / "crops")
        performances = list(see_performances(crops, clip, device, looks=recipe.sampling.looks))
    sizes = replace(recipe.model, features=FEATURES, sentence_features=FEATURES)
    recipe = replace(
        recipe,
        model=sizes,
        # The textbook's action units are of coefficients.
        sampling=replace(recipe.sampling, coded_performances=0),
    )
    learned = [one for one in performances if is_learned_from(one.clip, recipe.data)]
    neutrals = find_seen_neutrals(learned)
    every = find_seen_neutrals(performances)
    with torch.random.fork_rng():
        torch.manual_seed(recipe.schedule.seed)
        tokens = recipe.prompts.tokens if recipe.loss.learned_prompts else 0
        prompts = ContextPrompts(clip, replace(recipe.prompts, tokens=tokens))
    with stages("training") as progress:
        result = train_cerl(
            recipe,
            performances,
            replace(every, prior=neutrals.prior),
            read_wording(ClipSentences(clip), plain=True),
            run=options.run,
            resume=options.resume,
            device=options.device,
            prompts=prompts,
            progress=progress,
        )
    if open_processes().is_first:
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
    arrays["trust"] = np.array([model.trust], np.float32)
    arrays["ways"] = find_ways(seen).astype(np.float32)
    write_arrays(output, arrays, facts)
    return Made(output, measured.describe())


def make_nets(
    config: Path | NetsRecipe,
    data: Path,
    cache: Path,
    output: Path,
    *,
    options: RunOptions,
    changes: Sequence[str] = (),
    stages: Stages = no_stages,
) -> Made:
    """Tune the published expression nets and write them; arguments as :func:`make_ccrl` has them.

    Raises:
        WeightsError: If the nets have not been brought (``download-weights guides``).
    """
    recipe = read_config(config, NetsRecipe, changes=changes)
    open_device(options.device)
    nets = BothNets.published()
    models = load_models(recipe.data.weight_set, core=True)
    clips = find_clips(data, stills=[one for one in recipe.data.stills if one != "photos"])
    shown: list[tuple[Clip, tuple[Emotion, ...]]] = [
        (clip, () if clip.emotion is None else (clip.emotion,)) for clip in clips
    ]
    if "photos" in recipe.data.stills:
        shown += [(one.as_clip(), one.emotions) for one in read_photos(data / "photos")]
    sure = [
        (clip, emotions)
        for clip, emotions in shown
        if emotions
        and (clip.label_certain or clip.emotion is Emotion.NEUTRAL)
        and may_teach(clip, recipe.data.weight_set)
        and Role.REFRAMED not in clip.roles
    ]
    with stages("looking at faces") as progress:
        looks = look_at(sure, models, cache / "close-ups", progress=progress)
    learned = [one for one in looks if is_learned_from(one.clip, recipe.data)]
    proof = [
        one for one in looks if is_validation(one.clip, recipe.data) or one.clip.split == "val"
    ]
    with stages("training") as progress:
        result = tune_nets(
            recipe,
            learned,
            proof,
            nets,
            models.evidence,
            run=options.run,
            resume=options.resume,
            device=options.device,
            progress=progress,
        )
    if open_processes().is_first:
        licence = (
            f"{recipe.data.weight_set} only" if recipe.data.weight_set == "research" else "MIT"
        )
        write_nets(output, result.nets, facts=result.facts | {"licence": licence})
    people = len({one.clip.identity for one in learned})
    read = f"{result.read:.2f} of others read rightly, sharpness {result.nets.sharpness:.2f}"
    return Made(output, f"{len(learned)} clips and pictures of {people} people; {read}")
