"""Made-up takes: one hidden movement opens the mouth, moves the coefficients and sounds."""

from pathlib import Path

import numpy as np

from cdrl_cli.data.index import Clip
from cdrl_cli.data.takes import Take
from cdrl_cli.emotion import Emotion
from cdrl_cli.face.blendshapes import MOUTH_COEFFICIENTS
from cdrl_cli.representation.ccrl import CROP_SIDE, RATE_HZ

SPEECH_FEATURES = 24


def make_clip(name="a", *, identity="A", emotion=Emotion.NEUTRAL, sentence="S01", **other):
    fields = {
        "path": Path(f"{name}.mp4"),
        "audio": None,
        "dataset": "made up",
        "licence_class": "permissive",
        "identity": identity,
        "emotion": emotion,
        "label_certain": True,
        "sentence": sentence,
        "split": "train",
    }
    return Clip(**fields | other)


def movement(frames, generator):
    """Smooth, -1..1, in two dimensions."""
    rough = generator.normal(size=(frames + 8, 2))
    smooth = np.stack([np.convolve(column, np.ones(5) / 5, "same") for column in rough.T], axis=1)
    return np.tanh(2 * smooth[4:-4])


def make_take(clip, opening, generator, *, smile=0.0, speech=True):
    """A take whose every modality shows ``opening`` (frames, 2), the speech in its own way."""
    frames = len(opening)
    row = np.arange(CROP_SIDE)[:, None]
    column = np.arange(CROP_SIDE)
    reach = 6 + 4 * opening[:, 0, None, None]
    width = 6 + 4 * opening[:, 1, None, None]
    dark = (np.abs(row - 16) < reach) & (np.abs(column - 16) < width)
    crops = np.where(dark, 40, 180) + generator.normal(0, 4, (frames, CROP_SIDE, CROP_SIDE))
    mouth = np.random.default_rng(1).normal(size=(2, len(MOUTH_COEFFICIENTS)))
    voice = np.random.default_rng(2).normal(size=(2, SPEECH_FEATURES))
    sound = opening @ voice + 0.05 * generator.normal(size=(frames, SPEECH_FEATURES))
    return Take(
        clip=clip,
        time_s=np.arange(frames) / RATE_HZ,
        crops=crops.clip(0, 255).astype(np.uint8),
        coefficients=(0.3 + smile + 0.2 * opening @ mouth).astype(np.float32),
        speech=sound.astype(np.float32) if speech else np.zeros((frames, 0), np.float32),
        seen=np.ones(frames, bool),
    )


def make_takes(*, people=3, frames=60, seed=0):
    """Some people say a sentence neutrally and happily, twice as slowly; the last is J05."""
    generator = np.random.default_rng(seed)
    takes = []
    for person in range(people):
        identity = "J05" if person == people - 1 else f"A{person}"
        neutral = movement(frames, generator)
        happy = np.repeat(neutral, 2, axis=0)
        for emotion, opening, smile in (
            (Emotion.NEUTRAL, neutral, 0.0),
            (Emotion.HAPPY, happy, 0.4),
        ):
            clip = make_clip(f"{identity}-{emotion}", identity=identity, emotion=emotion)
            takes.append(make_take(clip, opening, generator, smile=smile))
    return takes
