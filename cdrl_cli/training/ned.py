"""NED: learn the second backbone, a StarGAN v2 over windows of coefficients.

Its terms are those of Papantoniou et al. 2022, section 3.2 (adversarial, style, cycle, mouth); the
paper's CERL and CCRL come in beside them, each by a weight that may be 0: the ablation.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from cdrl_cli.array_types import Float, Int
from cdrl_cli.data.motions import AlignedTakes, MotionBatch, MotionSampler
from cdrl_cli.face.blendshapes import EXPRESSION_NAMES
from cdrl_cli.generator.ned_network import NedEditor
from cdrl_cli.representation.losses import direction_loss
from cdrl_cli.training.checkpoint import Stateful
from cdrl_cli.training.loop import Loss, Task, Update, Validation
from cdrl_cli.training.motion_losses import Discriminator, FrozenReaders, content_distance
from cdrl_cli.training.optimiser import Optimiser
from cdrl_cli.training.recipes import MotionTrainingConfig, NedLossConfig

JAW = EXPRESSION_NAMES.index("jawOpen")
"""Coefficient whose course over time the mouth's term keeps."""


class NedTask(Task):
    """Generator, style encoder and mapping network against a discriminator.

    Args:
        config: The recipe; ``ned`` of it.
        sampler: Draws windows to translate and real ones.
        validation: Pairs of takes of people to validate on.
        frozen: CERL and CCRL.
        spread: How much each coefficient moves; the discriminator's scale.
        device: Where networks and batches are.
    """

    has_parts = True

    def __init__(
        self,
        config: MotionTrainingConfig,
        sampler: MotionSampler,
        validation: Sequence[AlignedTakes],
        frozen: FrozenReaders,
        *,
        generator: torch.Generator,
        spread: Float[Tensor, " 52"],
        device: torch.device,
    ) -> None:
        schedule = config.schedule
        self._config, self._device, self._sampler = config, device, sampler
        self._pairs, self._frozen = validation, frozen.to(device)
        self.generator = generator
        with torch.random.fork_rng():
            torch.manual_seed(schedule.seed)
            self.editor = NedEditor(config.ned, frozen.emotion.labels)
            self.discriminator = Discriminator(spread)
        self.editor.to(device)
        self.discriminator.to(device)
        rates = {"learning_rate": schedule.learning_rate, "weight_decay": schedule.weight_decay}
        betas = (0.5, 0.99)
        self._learning = Optimiser(self.editor, steps=schedule.steps, betas=betas, **rates)
        self._judging = Optimiser(self.discriminator, steps=schedule.steps, betas=betas, **rates)

    @property
    def parts(self) -> dict[str, Stateful]:
        """See :class:`~cdrl_cli.training.loop.Task`."""
        return {
            "editor": self.editor,
            "discriminator": self.discriminator,
            "learning": self._learning,
            "judging": self._judging,
        }

    @property
    def product(self) -> NedEditor:
        """The editor."""
        return self.editor

    def updates(self, step: int) -> Iterator[Update]:  # noqa: ARG002 - every step is alike
        """The discriminator's step, then the generator's."""
        batch = self._sampler.draw(self._config.sampling.windows).to(self._device)
        noise = torch.randn(len(batch.source), self._config.ned.style, generator=self.generator)
        styles = draw_styles(self.editor, batch, noise.to(self._device))
        output = self.editor.translate(batch.source, styles)
        yield Update([judge_loss(self.discriminator, output.detach(), batch)], [self._judging])
        losses = ned_losses(
            self.editor,
            self.discriminator,
            batch,
            styles,
            output,
            frozen=self._frozen,
            weights=self._config.ned_loss,
        )
        yield Update(losses, [self._learning])

    def validate(self) -> Validation | None:
        """How surely CERL reads the emotion asked for, less what the jaw's course loses."""
        if not self._pairs:
            return None
        sure, kept = [], []
        emotion = self._frozen.emotion
        with torch.inference_mode():
            for pair in self._pairs:
                calm = torch.from_numpy(pair.neutral.expression).to(self._device)[None]
                label = pair.emotional.emotion.class_index
                one = torch.ones(1, device=self._device)
                output = self.editor(calm, emotion.labels[label][None], one)
                own = torch.from_numpy(pair.neutral.neutral).to(self._device)
                read = emotion.encoder(output - own) @ emotion.labels.T / emotion.temperature
                sure.append(float(read.softmax(dim=1)[0, label]))
                kept.append(float(jaw_loss(output, calm)))
        likely, lost = sum(sure) / len(sure), sum(kept) / len(kept)
        return Validation(likely - lost, {"likely": likely, "jaw": lost})


def draw_styles(
    editor: NedEditor, batch: MotionBatch, noise: Float[Tensor, "batch style"]
) -> Float[Tensor, "batch style"]:
    """Half of the styles by noise and the label asked for, half of the windows that are shown."""
    half = len(noise) // 2
    rows = torch.arange(len(noise), device=noise.device)
    mapped = editor.mapping(noise)[rows, batch.labels]
    shown = editor.encoder(batch.real, batch.real_labels)
    return torch.cat([mapped[:half], shown[half:]])


def asked_labels(batch: MotionBatch) -> Int[Tensor, " batch"]:
    """What the styles of :func:`draw_styles` ask for."""
    half = len(batch.labels) // 2
    return torch.cat([batch.labels[:half], batch.real_labels[half:]])


def judge_loss(
    discriminator: Discriminator, output: Float[Tensor, "batch frames 52"], batch: MotionBatch
) -> Loss:
    """Tell real windows from made ones of an emotion (LSGAN, Mao et al. 2017)."""
    told = discriminator(batch.real, batch.real_labels)
    fooled = discriminator(output, asked_labels(batch))
    return Loss("discriminator", (told - 1).square().mean() + fooled.square().mean())


def ned_losses(
    editor: NedEditor,
    discriminator: Discriminator,
    batch: MotionBatch,
    styles: Float[Tensor, "batch style"],
    output: Float[Tensor, "batch frames 52"],
    *,
    frozen: FrozenReaders,
    weights: NedLossConfig,
) -> list[Loss]:
    """Every term of the generator.

    ``style``: the style that is read again is the one that was asked for. ``cycle``: to the style
    and back to the source's own. ``mouth``: the jaw's course over time stays. ``emotion`` and
    ``content``: CERL and CCRL, with weights of the paper's section 3.4.
    """
    labels = asked_labels(batch)
    frozen_judge = {name: one.detach() for name, one in discriminator.named_parameters()}
    judged = functional_call(discriminator, frozen_judge, (output, labels))
    read = editor.encoder(output, labels)
    near = frozen.emotion.encoder(batch.source - batch.neutral[:, None]) @ frozen.emotion.labels.T
    own = editor.encoder(batch.source, near.argmax(dim=1))
    back = editor.translate(output, own)
    losses = [
        Loss("adversarial", (judged - 1).square().mean(), weights.adversarial),
        Loss("style", (read - styles.detach()).abs().mean(), weights.style),
        Loss("cycle", (back - batch.source).abs().mean(), weights.cycle),
        Loss("mouth", jaw_loss(output, batch.source), weights.mouth),
    ]
    if weights.emotion:
        emotion = frozen.emotion
        shown = emotion.encoder(output - batch.neutral[:, None])
        still = emotion.encoder(torch.zeros_like(output[:1]))
        wanted = emotion.labels[labels]
        felt = direction_loss(shown - still, wanted - still)
        losses.append(Loss("emotion", felt, weights.emotion))
    if weights.content:
        said = content_distance(output, batch.source, frozen.content)
        losses.append(Loss("content", said, weights.content))
    return losses


def jaw_loss(
    output: Float[Tensor, "batch frames 52"], source: Float[Tensor, "batch frames 52"]
) -> Float[Tensor, ""]:
    """1 - correlation over time of how far the jaw is open, mean over windows."""
    one, other = (x[..., JAW] - x[..., JAW].mean(dim=1, keepdim=True) for x in (output, source))
    alike = nn.functional.cosine_similarity(one, other, dim=1, eps=1e-4)
    return (1 - alike).mean()
