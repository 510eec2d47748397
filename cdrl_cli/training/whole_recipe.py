"""The paper's recipe as one: data sets, both representations, the generator, and an edit.

Every stage keeps itself in a folder of the run and writes its file when it is done. Killed and
started again, the command passes over what is done, goes on where it was, and ends with the same
weights (:class:`~cdrl_cli.training.loop.Trainer`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from cdrl_cli.checkpoints.models import GENERATOR_FILES, load_models
from cdrl_cli.checkpoints.priors import open_arcface_prior, open_clip_prior
from cdrl_cli.checkpoints.trained import read_content, read_emotion
from cdrl_cli.data.datasets import find_layout
from cdrl_cli.data.datasets.layouts import read_tree
from cdrl_cli.data.datasets.paper_split import EditPair, pair_edits, split_as_paper
from cdrl_cli.data.index import Clip, Role, read_index, write_index
from cdrl_cli.editing import EditOptions, edit_video
from cdrl_cli.errors import UsageError
from cdrl_cli.preparation import prepare_clips
from cdrl_cli.training.cerl import check_acted
from cdrl_cli.training.checkpoint import make_run_folder
from cdrl_cli.training.config import DataConfig, read_config
from cdrl_cli.training.generator_pipelines import make_generator, make_motion
from cdrl_cli.training.picture_supervision import ContentForm, PictureSupervision
from cdrl_cli.training.pipelines import Made, RunOptions, Stages, no_stages
from cdrl_cli.training.processes import Processes, open_processes
from cdrl_cli.training.recipes import CcrlConfig, CerlConfig, GeneratorConfig, MotionTrainingConfig
from cdrl_cli.training.representation_pipelines import make_ccrl, make_cerl

CONTENT, EMOTION, MOTION = "ccrl.safetensors", "cerl.onnx", "motion.onnx"
"""Names of what the stages write into the folder of the run."""

GENERATOR = "generator"
"""Name of the folder, in that of the run, with the files that ``spfem edit`` reads."""

EDITED = "edited.mp4"
"""Name of the edit, in the folder of the run."""

Backbone = Literal["editor", "ned"]
"""Ours, or one after Neural Emotion Director."""

VARIANTS = {
    "none": (False, False),
    "cerl": (True, False),
    "ccrl": (False, True),
    "cdrl": (True, True),
}
"""Rows of the paper's ablation: whether CERL and CCRL take part."""

Stage = TypeVar("Stage", CcrlConfig, CerlConfig, MotionTrainingConfig, GeneratorConfig)


@dataclass(frozen=True, slots=True)
class WholeConfig:
    """Recipe of everything."""

    datasets: dict[str, str] = field(default_factory=dict)
    """Folders of data sets, as their owners lay them out, relative to ``--data``; by the name that
    ``spfem data`` takes."""
    validation: tuple[str, ...] = ()
    """People who say when training ends; none: the last of each data set, by name."""
    data: DataConfig = field(default_factory=DataConfig)
    """What every stage learns from; ``[data]`` of a stage is not read."""
    ccrl: CcrlConfig = field(default_factory=CcrlConfig)
    cerl: CerlConfig = field(default_factory=CerlConfig)
    motion: MotionTrainingConfig = field(default_factory=MotionTrainingConfig)
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    content_form: ContentForm = "cosine"
    """How CCRL is asked about rendered faces."""

    def __post_init__(self) -> None:
        if not self.datasets:
            raise UsageError("a recipe of everything names data sets", hint='mead = "MEAD"')


class WholeRun:
    """A recipe of everything in its folder: each method makes what is not there yet.

    Args:
        recipe: What is made.
        data: Folder of the data sets.
        run: Folder of all that is made.
        device: ``cpu`` or ``cuda``.
        stages: Shows progress.

    Raises:
        UnreadableInputError: If a data set is not there.
        UsageError: If the split of its people cannot be, nobody acts, or the processes cannot share
            a stage.
        OutputError: If there can be no folder of that name.
        WeightsError: If a prior is missing.
    """

    def __init__(
        self,
        recipe: WholeConfig,
        data: Path,
        run: Path,
        *,
        device: str = "cpu",
        stages: Stages = no_stages,
    ) -> None:
        check_parts(recipe, open_processes())
        make_run_folder(run)
        self.recipe, self.run = recipe, run
        self._device, self._stages = device, stages
        # A prior that is missing is told before hours of preparation.
        self._clip = open_clip_prior(recipe.cerl.priors.clip)
        self._arcface = open_arcface_prior(recipe.ccrl.priors.arcface)
        self._index, self._cache = run / "index", run / "prepared"
        self.clips = index_datasets(recipe, data, self._index)
        kept_back = {Role.VALIDATION, Role.HELD_OUT}
        check_acted([clip for clip in self.clips if not clip.roles & kept_back])

    def prepare(self) -> None:
        """Find faces and sound of all clips."""
        models = load_models(self.recipe.data.weight_set, core=True)
        stage = self._stages("preparing clips")
        with stage as progress, open_processes().first_before_others():
            for _ in prepare_clips(self.clips, models, self._cache, progress=progress):
                pass

    def learn_representations(self) -> PictureSupervision:
        """CCRL and CERL, with the priors that they see through."""
        content, emotion = self.run / CONTENT, self.run / EMOTION
        ccrl = _with_data(self.recipe.ccrl, self.recipe.data)
        cerl = _with_data(self.recipe.cerl, self.recipe.data)
        if not content.exists():
            options = self._options(self.run / "ccrl")
            make_ccrl(ccrl, self._index, self._cache, content, options=options, stages=self._stages)
            open_processes().wait()
        if not emotion.exists():
            options = self._options(self.run / "cerl")
            make_cerl(cerl, self._index, self._cache, emotion, options=options, stages=self._stages)
            open_processes().wait()
        return PictureSupervision(
            read_emotion(emotion),
            self._clip,
            read_content(content),
            self._arcface,
            self.recipe.content_form,
        )

    def learn_generator(
        self,
        pictures: PictureSupervision,
        folder: Path,
        motion: MotionTrainingConfig,
        generator: GeneratorConfig,
    ) -> Path:
        """The backbone, and the renderer with it, under both representations.

        Args:
            pictures: Both.
            folder: For what is made; its ``generator`` is what ``spfem edit`` reads.
            motion: Recipe of the backbone.
            generator: Recipe of the renderer.

        Returns:
            The folder of the generator.
        """
        file, made = folder / MOTION, folder / GENERATOR
        if not file.exists():
            make_motion(
                _with_data(motion, self.recipe.data),
                self._index,
                self._cache,
                file,
                options=self._options(folder / "motion"),
                stages=self._stages,
            )
            open_processes().wait()
        if not is_generator(made):
            make_generator(
                _with_data(generator, self.recipe.data),
                self._index,
                self._cache,
                made,
                motion=file,
                options=self._options(folder / "renderer"),
                pictures=pictures,
                stages=self._stages,
            )
            open_processes().wait()
        return made

    def edit(self, generator: Path, output: Path) -> None:
        """Show what was learned: the first edit of the protocol."""
        if open_processes().is_first and not output.exists():
            pair = choose_edit(read_index(self._index))
            models = load_models(self.recipe.data.weight_set, generator=generator)
            options = EditOptions(reference=pair.reference.path)
            edit_video(pair.source.path, output, options, models=models)

    def _options(self, folder: Path) -> RunOptions:
        return RunOptions(folder, (folder / "last.pt").exists(), self._device)


def train_all(
    config: Path,
    data: Path,
    run: Path,
    *,
    device: str = "cpu",
    changes: Sequence[str] = (),
    stages: Stages = no_stages,
) -> Made:
    """Run every stage that is not done yet, from data sets to an edited video.

    Args:
        config: The recipe, a TOML file.
        data: Folder of the data sets.
        run: Folder of all that is made.
        device: ``cpu`` or ``cuda``.
        changes: Of the recipe.
        stages: Shows progress.
    """
    recipe = read_config(config, WholeConfig, changes=changes)
    whole = WholeRun(recipe, data, run, device=device, stages=stages)
    whole.prepare()
    pictures = whole.learn_representations()
    generator = whole.learn_generator(pictures, run, recipe.motion, recipe.generator)
    whole.edit(generator, run / EDITED)
    return Made(run / EDITED, f"{len(whole.clips)} clips; generator in {generator}")


def train_ablation(
    config: Path,
    data: Path,
    run: Path,
    *,
    backbone: Backbone = "editor",
    device: str = "cpu",
    changes: Sequence[str] = (),
    stages: Stages = no_stages,
) -> Made:
    """The paper's ablation: a backbone alone, with CERL, with CCRL, and with both.

    The representations are learned once; all variants have one recipe but for the weights of what
    is left out. Arguments as :func:`train_all` has them.

    Args:
        config: The recipe, a TOML file.
        data: Folder of the data sets.
        run: Folder of all that is made; each variant has one of its own in it.
        backbone: ``editor``: ours; ``ned``: after Neural Emotion Director.
        device: ``cpu`` or ``cuda``.
        changes: Of the recipe.
        stages: Shows progress.
    """
    recipe = read_config(config, WholeConfig, changes=changes)
    whole = WholeRun(recipe, data, run, device=device, stages=stages)
    whole.prepare()
    pictures = whole.learn_representations()
    rows = []
    for name, (with_emotion, with_content) in VARIANTS.items():
        motion, generator = leave_out(
            recipe, backbone, emotion=not with_emotion, content=not with_content
        )
        folder = run / f"{backbone}-{name}"
        made = whole.learn_generator(pictures, folder, motion, generator)
        whole.edit(made, folder / EDITED)
        rows.append(f"--row {name}={made}")
    return Made(run, f"measure them: spfem evaluate edits {' '.join(rows)}")


def leave_out(
    recipe: WholeConfig, backbone: Backbone, *, emotion: bool, content: bool
) -> tuple[MotionTrainingConfig, GeneratorConfig]:
    """The recipes of a backbone and its renderer, without CERL's or CCRL's terms.

    Args:
        recipe: Of everything.
        backbone: Which.
        emotion: Leave CERL out.
        content: Leave CCRL out.
    """
    motion, generator = replace(recipe.motion, backbone=backbone), recipe.generator
    if emotion:
        motion = replace(
            motion,
            loss=replace(motion.loss, emotion=0.0),
            ned_loss=replace(motion.ned_loss, emotion=0.0),
        )
        seen = replace(generator.loss, emotion=0.0, asked=0.0, picture_emotion=0.0)
        generator = replace(generator, loss=seen)
    if content:
        motion = replace(
            motion,
            loss=replace(motion.loss, content=0.0),
            ned_loss=replace(motion.ned_loss, content=0.0),
        )
        heard = replace(generator.loss, content=0.0, picture_content=0.0)
        generator = replace(generator, loss=heard)
    return motion, generator


def index_datasets(recipe: WholeConfig, data: Path, index: Path) -> list[Clip]:
    """The clips of all data sets, split as the paper splits them, and written as an index."""
    clips: list[Clip] = []
    for name, folder in recipe.datasets.items():
        clips += read_tree(find_layout(name), data / folder).clips
    clips = split_as_paper(clips, validation=recipe.validation)
    if open_processes().is_first:
        write_index(index, clips)
    open_processes().wait()
    return clips


def choose_edit(clips: Sequence[Clip]) -> EditPair:
    """The edit that shows what was learned: the first of the protocol, with another's reference.

    Raises:
        UsageError: If the data sets have no edit at all.
    """
    people = {clip.identity for clip in clips if Role.HELD_OUT in clip.roles}
    return pair_edits(clips, "cross" if len(people) > 1 else "same")[0]


def check_parts(recipe: WholeConfig, processes: Processes) -> None:
    """Whether some processes can share all stages: told before the first of them, not days later.

    Raises:
        UsageError: If they cannot.
    """
    for name in ("ccrl", "cerl", "motion", "generator"):
        parts = getattr(recipe, name).schedule.parts
        try:
            processes.own_parts(parts)
        except UsageError as error:
            hint = f"--set {name}.schedule.parts={processes.count}, or a multiple of it"
            raise UsageError(f"{name}: {error}", hint=hint) from error


def is_generator(folder: Path) -> bool:
    """Whether all files of a generator are there."""
    return all((folder / name).exists() for name in GENERATOR_FILES)


def _with_data(stage: Stage, data: DataConfig) -> Stage:
    changed: Mapping[str, Any] = {"data": data}
    return replace(stage, **changed)
