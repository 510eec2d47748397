"""Recipes: what ``configs/*.toml`` may say of each training run.

Frozen dataclasses with a default for everything. Sizes are those of the networks themselves,
declared beside them.
"""

from dataclasses import dataclass, field
from typing import Literal

from cdrl_cli.checkpoints.priors import PriorConfig
from cdrl_cli.errors import UsageError
from cdrl_cli.generator.motion_network import MotionConfig
from cdrl_cli.generator.ned_network import NedConfig
from cdrl_cli.generator.skin_network import SkinNetConfig
from cdrl_cli.generator.unet import UNetConfig
from cdrl_cli.representation.ccrl import ContentConfig
from cdrl_cli.representation.cerl import EmotionConfig
from cdrl_cli.representation.clip_prior import PromptConfig
from cdrl_cli.training.config import DataConfig, ScheduleConfig


@dataclass(frozen=True, slots=True)
class ContentSamplingConfig:
    """What a batch of CCRL consists of."""

    takes: int = 4
    """Takes a batch, half of them emotional partners of the others where there are any."""
    windows: int = 8
    """Windows a take; they are each other's negatives, alike in person, emotion and light."""
    emotion_aware: bool = True
    """Takes come with the same person's neutral take of the sentence, aligned in time."""
    noisy_sound: int = 0
    """Versions of each clip's sound with another gain and with noise; a window's speech is heard in
    one of them, or as recorded."""

    def __post_init__(self) -> None:
        if min(self.takes - 1, self.windows) < 1:
            raise UsageError(f"a batch needs two takes and a window, got {self}")
        if self.noisy_sound < 0:
            raise UsageError(f"noisy_sound must not be negative, got {self.noisy_sound}")


@dataclass(frozen=True, slots=True)
class ContentLossConfig:
    """Weights of CCRL's terms."""

    contrast: Literal["both-ways", "one-way", "published"] = "both-ways"
    """Mouths pick voices and voices mouths (InfoNCE); mouths pick voices alone; or the paper's
    cosines, in which a positive shares its anchor's audio and a negative does not."""
    negatives: Literal["take", "batch"] = "take"
    """Windows of the same take only, which share emotion and person, or all of the batch."""
    emotion_weight: float = 0.5
    """Of agreement between a neutral moment and its emotional counterpart, against audio's 1."""
    constant_weight: float = 1.0
    """Of the squared length of a take's mean code: what a whole take shares is no content."""
    learned_temperature: bool = True
    """Else the temperature stays at .07."""


@dataclass(frozen=True, slots=True)
class CcrlConfig:
    """Recipe of the content representation."""

    data: DataConfig = field(default_factory=DataConfig)
    prior: Literal["whisper", "log-mel", "xlsr-53"] = "whisper"
    """What hears the speech."""
    model: ContentConfig = field(default_factory=ContentConfig)
    """The network; ``speech_features`` is what the prior has."""
    sampling: ContentSamplingConfig = field(default_factory=ContentSamplingConfig)
    loss: ContentLossConfig = field(default_factory=ContentLossConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    priors: PriorConfig = field(default_factory=PriorConfig)
    """Where the weights of XLSR-53 and ArcFace are, for those who take them."""

    def __post_init__(self) -> None:
        if self.loss.contrast == "published" and not self.sampling.emotion_aware:
            raise UsageError(
                'loss.contrast = "published" needs the same words in two emotions',
                hint="sampling.emotion_aware=true",
            )


@dataclass(frozen=True, slots=True)
class EmotionSamplingConfig:
    """What a batch of CERL consists of."""

    sets: int = 16
    """Sets a batch, each one clip of every emotion."""
    frames: int = 40
    """Of a window."""
    emotion_augmented: bool = True
    """Sets of all emotions, of any people; else clips as they come, often many of one emotion."""
    coded_performances: int = 60
    """Of each emotion, played by the textbook's action units on neutral clips of the data."""
    differences: bool = True
    """Measured from the person's own neutral where it is known, for most windows, and emotions
    are taught as ways from neutral; else always measured from the neutral prior."""
    looks: int = 14
    """Pictures of a clip, spread over it, that CLIP sees where it is the prior."""

    def __post_init__(self) -> None:
        if min(self.sets, self.frames) < 1:
            raise UsageError(f"a batch needs a set and a frame, got {self}")


@dataclass(frozen=True, slots=True)
class EmotionLossConfig:
    """Weights of CERL's terms."""

    temperature: float = 0.2
    """Of the contrasts with names."""
    language_prior: bool = True
    """Prompts are projected sentence features; else a free vector for each emotion."""
    learned_prompts: bool = True
    """Each emotion's prompt has a learned part; else it is what the sentence encoder says."""
    phrase_weight: float = 0.5
    """Of the contrast inside a set, between windows and phrases for them."""
    direction_weight: float = 0.5
    """Of supervision by differences."""
    contrast: Literal["both-ways", "text-to-image"] = "both-ways"
    """Pictures pick words and words pictures, over the batch; or the paper's, in which words pick
    pictures of their set and nothing else counts."""


@dataclass(frozen=True, slots=True)
class CerlConfig:
    """Recipe of the emotion representation."""

    data: DataConfig = field(default_factory=DataConfig)
    model: EmotionConfig = field(default_factory=EmotionConfig)
    """The network; the lengths of its features are the prior's."""
    sampling: EmotionSamplingConfig = field(default_factory=EmotionSamplingConfig)
    loss: EmotionLossConfig = field(default_factory=EmotionLossConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    prior: Literal["minilm", "clip"] = "minilm"
    """What reads the names of emotions; ``clip`` also looks at the faces, and the encoder takes
    what it sees instead of coefficients."""
    priors: PriorConfig = field(default_factory=PriorConfig)
    """Where CLIP's weights are."""
    prompts: PromptConfig = field(default_factory=PromptConfig)
    """How tokens in front of CLIP's sentences are learned."""


@dataclass(frozen=True, slots=True)
class MotionSamplingConfig:
    """What a batch of the motion editor consists of."""

    windows: int = 48
    """Windows a batch."""
    frames: int = 60
    """Of a window, at 25 Hz."""


@dataclass(frozen=True, slots=True)
class MotionLossConfig:
    """Weights of the motion editor's terms."""

    follow: float = 20.0
    """The real emotional take, frame by frame, low-passed where it was aligned by warping."""
    typical: float = 8.0
    """The mean change is that of actors who act the emotion clearly, as far as they agree, and of
    its action units."""
    strength: float = 1.6
    """Its length: what strong actors do (0.6 to 1.3); a face's limits take some of it."""
    emotion: float = 0.3
    """CERL: the output moves from neutral to the condition."""
    content: float = 0.5
    """CCRL: the output's mouth says what the source's says."""
    adversarial: float = 0.05
    """LSGAN over windows of motion."""
    cycle: float = 0.5
    """To the emotion and back to neutral."""
    closure: float = 50.0
    """Closed lips stay closed."""
    spread: float = 20.0
    """Each channel moves as much as in real takes of the emotion."""
    smooth: float = 1000.0
    """The change does not jitter."""


@dataclass(frozen=True, slots=True)
class NedLossConfig:
    """Weights of the second backbone's terms (NED, section 3.2, and the paper's 3.4)."""

    adversarial: float = 1.0
    style: float = 1.0
    """The style that is read again is the one asked for."""
    cycle: float = 1.0
    """To the style and back."""
    mouth: float = 1.0
    """The jaw's course over time stays."""
    emotion: float = 1.0
    """CERL; 0 is the ablation."""
    content: float = 1.0
    """CCRL; 0 is the ablation."""


@dataclass(frozen=True, slots=True)
class MotionTrainingConfig:
    """Recipe of the motion editor."""

    data: DataConfig = field(default_factory=DataConfig)
    model: MotionConfig = field(default_factory=MotionConfig)
    sampling: MotionSamplingConfig = field(default_factory=MotionSamplingConfig)
    loss: MotionLossConfig = field(default_factory=MotionLossConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    backbone: Literal["editor", "ned"] = "editor"
    """Ours, or one after Neural Emotion Director."""
    ned: NedConfig = field(default_factory=NedConfig)
    ned_loss: NedLossConfig = field(default_factory=NedLossConfig)


@dataclass(frozen=True, slots=True)
class EditingConfig:
    """When and how the generator learns edits, and what they are held to."""

    motion_rate: float = 1e-3
    """Learning rate of the motion editor at its highest; it has been trained before."""
    begins: float = 0.625
    """Share of the steps after which the motion editor learns too, through the renderer."""
    alike: float = 0.9
    """Mean cosine of SFace, before and after, that edits are held to: .79 are two takes of one
    person in two emotions, .95 two moments of one take, 0 two people. What an emotion costs of it
    is left to the emotion: a smile is seen early, fear late."""
    least_alike: float = 0.82
    """Cosine under which each single edit costs."""
    guided_pixels: bool = True
    """What encoders and nets ask for reaches the emotions' drawings too, not the motion editor
    alone."""
    drawing_rate: float = 3e-2
    """Learning rate of the drawings at its highest."""
    largest_shift: float = 1.5
    """Of the coefficients (L2) at intensity 1 that guides may ask for: read again from the output,
    a third to two thirds of it is found, and real actors move by .6 to 1.3."""


@dataclass(frozen=True, slots=True)
class GeneratorSamplingConfig:
    """What a batch consists of, beside the moments of one clip to be edited."""

    pairs: int = 8
    """Frames to be moved to another of the same person; half as many while edits are learned."""
    edits: int = 1
    """Clips, or groups of stills, that are edited a step, four crops each."""


@dataclass(frozen=True, slots=True)
class GeneratorLossConfig:
    """Weights of the terms; those on the picture are of their gradients' lengths on it."""

    picture: float = 1.0
    """Reenactment."""
    guide: float = 6.0
    """Published emotion nets see the emotion asked for."""
    emotion: float = 1.0
    """CERL reads the reference's embedding from the output; 0 is the ablation."""
    asked: float = 0.4
    """CERL reads the emotion from the coefficients asked for, whatever pixels show of them."""
    content: float = 0.3
    """CCRL reads the same speech from the output's mouth; 0 is the ablation."""
    picture_emotion: float = 0.0
    """CERL at the paper's size sees the emotion in the rendered face; 0: it is not asked."""
    picture_content: float = 0.0
    """CCRL at the paper's size sees the same speech in it; 0: it is not asked."""
    keep: float = 0.1
    """Speech read from the output is the source's."""
    size: float = 10.0
    """What guides ask for stays within actors' reach."""
    steady: float = 3000.0
    """The change does not tremble from frame to frame."""
    closure: float = 800.0
    """Closed lips stay closed."""
    identity: float = 1000.0
    """No single edit falls below ``least_alike``."""
    likeness: float = 1.0
    """The person stays the same, at a price that holds the mean at ``alike``."""
    drawn: float = 60.0
    """Drawings are smooth, and empty where nothing is gained."""
    natural: float = 0.5
    """The discriminator takes an edited face for a real one."""
    adversarial: float = 0.5
    """The discriminator takes a reenacted face for a real one."""
    discriminator_rate: float = 4e-4
    """Learning rate of the discriminator."""
    flow: float = 0.1
    """The finer flow is the optical one that is left between the warp and the real frame."""
    sparse: float = 0.02
    """Change of colour and finer flow, L1: what is not needed is not touched."""
    smooth: float = 0.005
    """Change of colour and finer flow differ little between neighbouring pixels."""
    lips: float = 3.0
    """The finer flow neither opens nor closes the mouth."""
    motion: float = 2.0
    """How far the motion editor strays from what it learned from actors."""


def _reader_schedule() -> ScheduleConfig:
    return ScheduleConfig(steps=800, weight_decay=0.02, patience=8)


@dataclass(frozen=True, slots=True)
class GeneratorConfig:
    """Recipe of the generator."""

    data: DataConfig = field(default_factory=DataConfig)
    model: UNetConfig = field(default_factory=UNetConfig)
    """The renderer's network."""
    reader: ScheduleConfig = field(default_factory=_reader_schedule)
    """Of the network that reads coefficients from pixels, which is trained first."""
    editing: EditingConfig = field(default_factory=EditingConfig)
    sampling: GeneratorSamplingConfig = field(default_factory=GeneratorSamplingConfig)
    loss: GeneratorLossConfig = field(default_factory=GeneratorLossConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)


@dataclass(frozen=True, slots=True)
class SkinLossConfig:
    """Weights of the terms of light and creases."""

    light: float = 12.0
    """Of what is missed of the smooth part."""
    crease: float = 5.0
    """Of what is missed of the rest; more of it blurs lines away whose place nobody can know."""
    energy: float = 24.0
    """Of how much more or less line there is hereabouts than there should be."""
    texture: float = 0.15
    """Of what is taken away of the skin's own texture."""
    sparse: float = 0.2
    """Of all creases beyond what is expected of everybody."""
    adversarial: float = 0.1
    """Of what the critic says."""


def _refinement_schedule() -> ScheduleConfig:
    return ScheduleConfig(steps=300, learning_rate=3e-4, weight_decay=1e-4, validate_every=50)


@dataclass(frozen=True, slots=True)
class SkinRefinementConfig:
    """Second stage of light and creases: what they do to a picture of an edit; weights of terms."""

    schedule: ScheduleConfig = field(default_factory=_refinement_schedule)
    pairs: int = 4
    """A step, beside the edits."""
    edits: int = 6
    """A step."""
    guide: float = 0.5
    """Of how hardly published nets see the emotion; 0: they are not asked."""
    identity: float = 20.0
    """Of how little the edit is like another photograph of the person."""
    perceptual: float = 1.0
    """Of how far pictures of pairs are from those with the real ratio."""
    natural: float = 0.3
    """Of what the critic says of edits."""
    jagged: float = 5.0
    """Of a grid of pixels in them."""


@dataclass(frozen=True, slots=True)
class SkinConfig:
    """Recipe of light and creases of the skin."""

    data: DataConfig = field(default_factory=DataConfig)
    model: SkinNetConfig = field(default_factory=SkinNetConfig)
    loss: SkinLossConfig = field(default_factory=SkinLossConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    refinement: SkinRefinementConfig | None = None
    """None: there is no second stage, and its teachers are not needed."""
    ridge: float = 40.0
    """Of the regression that says what is expected of everybody; pairs."""
    rank: int = 28
    """Maps of it that are kept."""
    batch: int = 8
    """Pairs a step."""
    critic_from: float = 0.2
    """Share of the steps from which the critic counts."""
    critic_rate: float = 4e-4
    """Its learning rate."""

    def __post_init__(self) -> None:
        if min(self.ridge, self.rank, self.batch, self.critic_rate) <= 0:
            raise UsageError(f"ridge, rank, batch and critic_rate must be positive, got {self}")
