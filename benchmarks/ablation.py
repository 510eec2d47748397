"""What each choice of CCRL and CERL is worth: learn without it, measure on people left out.

    python benchmarks/ablation.py --data DATA --cache runs/prepared --run runs/ablation

Every row is learned from each of three seeds; a run that was cut goes on where it was, and what was
measured is kept. Prints Markdown: the mean over seeds and clips with its 95 % interval (bootstrap
over both), and what a row differs by from the first one, clip by clip. Needs the optional weights
`text` and `speech`, and spfem[train,speech,evaluate]; about 75 minutes of one core. The part
Photos needs `photos/` beside the clips, and is left out without it.
"""

import argparse
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from jaxtyping import Float

from cdrl_cli.checkpoints.load import find_weights
from cdrl_cli.checkpoints.models import (
    GENERATOR_FILES,
    Models,
    load_models,
    open_sentence_encoder,
)
from cdrl_cli.checkpoints.motion_files import write_motion
from cdrl_cli.checkpoints.trained import ContentModels, load_content, load_emotion, open_prior
from cdrl_cli.data.datasets.london import read_london
from cdrl_cli.data.datasets.photos import read_photos
from cdrl_cli.data.index import Role, read_index
from cdrl_cli.data.motions import MotionTake, align_takes, read_motion_takes
from cdrl_cli.data.pairs import pair_takes
from cdrl_cli.data.performances import Performance, find_neutrals, read_performances
from cdrl_cli.data.prepared import PreparedClip
from cdrl_cli.data.takes import Take, Windows
from cdrl_cli.emotion import Emotion
from cdrl_cli.evaluation.ccrl import CANDIDATES, measure_leak, measure_window_readability
from cdrl_cli.evaluation.cerl import WAYS, measure_leaks, read_rightly, unknown_performances
from cdrl_cli.face.blendshapes import MOUTH_COEFFICIENTS
from cdrl_cli.generator.motion_network import MotionEditor
from cdrl_cli.metrics.linear_probe import probe_across_people
from cdrl_cli.metrics.retrieval import found_first
from cdrl_cli.preparation import prepare_clips, read_takes
from cdrl_cli.representation.ccrl import VIEWS
from cdrl_cli.representation.text_prior import SentenceEncoder
from cdrl_cli.training.ccrl import train_ccrl
from cdrl_cli.training.cerl import train_cerl
from cdrl_cli.training.config import read_config
from cdrl_cli.training.motion import MotionResult, train_motion
from cdrl_cli.training.recipes import CcrlConfig, CerlConfig, MotionTrainingConfig
from cdrl_cli.training.wording import Wording, read_wording

CONFIGS = Path(__file__).parents[1] / "configs"

SEEDS = (0, 1, 2)

CCRL_STEPS, CERL_STEPS = 200, 400
"""Fewer than the recipes have, which is 600 and 800: rows are compared with each other alone."""

RESAMPLES = 2000
"""Of seeds and clips."""

ACTOR = "J05"
LEFT_OUT = (ACTOR, "GRID_s1", "GRID_bbaf2n")
"""People whom CCRL is asked about: an actor, who acts, and a speaker with two names, who does
not."""

POSITIONS = "position_embeddings.weight_scale"
"""How the name of what the sentence encoder's positional embedding is multiplied by ends."""

PUBLISHED = "loss.contrast='published'"
ATTENTION = "model.attention='audio'"

CCRL = {
    "as shipped": [],
    "mouths pick voices, voices nothing": ["loss.contrast='one-way'"],
    "negatives of other takes too": ["loss.negatives='batch'"],
    "no pairs in two emotions": ["sampling.emotion_aware=false"],
    "audio says where to look": [ATTENTION],
    "the published loss, audio says where to look": [PUBLISHED, ATTENTION],
}
"""Rows by what the recipe has instead; the first is what others are compared with."""

CERL = {
    "as shipped": [],
    "no language prior": ["loss.language_prior=false"],
    "no learned part of prompts": ["loss.learned_prompts=false"],
    "positional embedding dropped": ["prompts.position='dropped'"],
    "sets as they come": ["sampling.emotion_augmented=false"],
    "no differences": ["sampling.differences=false"],
    "words pick pictures, pictures nothing": ["loss.contrast='text-to-image'"],
    "the same, a head for each emotion (as published)": [
        "loss.contrast='text-to-image'",
        "model.heads='one-each'",
    ],
}

LEARNED_PHOTOS = "CFEE"
"""Data set whose photographs are learned from; its split ``val`` chooses the step."""

MOTION = {
    "both": [],
    "CERL alone": ["loss.content=0.0"],
    "CCRL alone": ["loss.emotion=0.0"],
    "neither": ["loss.content=0.0", "loss.emotion=0.0"],
}
"""What supervises the motion editor, beside real takes."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One run."""

    by_clip: dict[str, list[float]]
    """By measure: a number for each clip, in the same order in all rows."""
    overall: dict[str, float]
    """By measure, where clips have none of their own."""
    seconds: float
    """To learn and to measure."""


Learn = Callable[[Path, Sequence[str]], tuple[dict[str, list[float]], dict[str, float]]]
"""Called with the folder of a run and the changes of its recipe: learns and measures."""


def main() -> None:
    """Learn and measure every row that was not yet, and draw the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("runs/prepared"))
    parser.add_argument("--run", type=Path, default=Path("runs/ablation"))
    parser.add_argument(
        "--part", choices=["CERL", "Photos", "Motion", "CCRL"], help="only this one"
    )
    words = parser.parse_args()

    models = load_models(core=True)
    wordings = read_wordings(words.cache)
    photos = words.data / "photos"
    if words.part in (None, "Photos") and photos.exists():
        learn = photo_rows(photos, models, words.cache / "photos", wordings)
        measure_part(words.run, "Photos", CERL, learn)
    if words.part == "Photos":
        return
    clips = [*read_index(words.data), *read_london(words.data / "london")]
    prepared = list(prepare_clips(clips, models, words.cache))
    takes = list(read_takes(prepared, open_prior("whisper"), words.cache / "speech"))
    parts: list[tuple[str, Mapping[str, Sequence[str]], Learn]] = [
        ("CERL", CERL, cerl_rows(prepared, models.neutral.mean, wordings)),
        ("Motion", MOTION, motion_rows(prepared, takes)),
        ("CCRL", CCRL, ccrl_rows(takes)),
    ]
    for part, rows, learn in parts:
        if words.part in (None, part):
            measure_part(words.run, part, rows, learn)


def measure_part(run: Path, part: str, rows: Mapping[str, Sequence[str]], learn: Learn) -> None:
    """Learn and measure the rows of a part, and draw their table."""
    found = {
        name: [
            measure_once(run / part / f"{_slug(name)}-{seed}", changes, seed, learn)
            for seed in SEEDS
        ]
        for name, changes in rows.items()
    }
    print("\n".join(draw(part, found)), flush=True)


def measure_once(folder: Path, changes: Sequence[str], seed: int, learn: Learn) -> Measured:
    """A run, or what was kept of it."""
    kept = folder / "measured.json"
    if not kept.exists():
        begun = time.monotonic()
        by_clip, overall = learn(folder, [*changes, f"schedule.seed={seed}"])
        measured = Measured(by_clip, overall, time.monotonic() - begun)
        kept.write_text(json.dumps(asdict(measured)), "utf-8")
    return Measured(**json.loads(kept.read_text("utf-8")))


def ccrl_rows(takes: Sequence[Take]) -> Learn:
    """Content encoders: do they find the speech, and the same words in another emotion?"""
    asked = [
        take
        for take in takes
        if take.clip.identity in LEFT_OUT and Role.REFRAMED not in take.clip.roles
    ]
    pairs = pair_takes(asked)

    def learn(
        folder: Path, changes: Sequence[str]
    ) -> tuple[dict[str, list[float]], dict[str, float]]:
        shorter = [f"schedule.steps={CCRL_STEPS}", *changes]
        recipe = read_config(CONFIGS / "ccrl.toml", CcrlConfig, changes=shorter)
        result = train_ccrl(recipe, takes, run=folder, resume=(folder / "last.pt").exists())
        content, speech = result.content.eval(), result.speech.eval()
        frames = content.config.frames
        voices: list[float] = []
        moments: list[float] = []
        with torch.inference_mode():
            for take in asked:
                if not take.has_speech or len(take.starts(frames)) < CANDIDATES:
                    continue
                windows = Windows.spread(take, frames, CANDIDATES)
                codes = content.encode_views(windows.crops, windows.coefficients)
                heard = speech(windows.speech)
                voices.append(_mean_over_views(codes, dict.fromkeys(VIEWS, heard)))
            for pair in pairs:
                starts = pair.neutral.starts(frames)
                spread = starts[np.linspace(0, len(starts) - 1, CANDIDATES).astype(int)]
                there = pair.moment[spread + frames // 2] - frames // 2
                room = set(pair.emotional.starts(frames).tolist())
                both = [(a, b) for a, b in zip(spread, there, strict=True) if int(b) in room]
                # Two moments of one take may be spoken at one moment of the other.
                both = list({int(b): (int(a), int(b)) for a, b in both}.values())
                if len(both) < CANDIDATES // 2:
                    continue
                calm, felt = (
                    content.encode_views(cut.crops, cut.coefficients)
                    for cut in (
                        Windows.of([(pair.neutral, a) for a, _ in both], frames),
                        Windows.of([(pair.emotional, b) for _, b in both], frames),
                    )
                )
                moments.append(_mean_over_views(calm, felt))
        models = ContentModels(content, speech, "whisper", result.identities, result.sentences)
        actor = [take for take in asked if take.clip.identity == ACTOR]
        leak = measure_leak(models, actor)[0]
        read = measure_window_readability(models, takes, asked={ACTOR})
        overall = {
            "same picture under other sound: cosine": leak.kept.value,
            "a still mouth's voice of 10, told it": leak.still.value,
            "emotion read in a window": float(np.mean([one.accuracy.value for one in read])),
        }
        return {"voice of a mouth, of 10": voices, "same words, other emotion": moments}, overall

    return learn


def read_wordings(cache: Path) -> dict[str, Wording]:
    """What the sentence encoder says of emotions: told where words stand, and without.

    Args:
        cache: Folder for the second, a copy whose positional embedding is 0.
    """
    model, tokenizer = find_weights("text-encoder"), find_weights("text-tokenizer")
    network = onnx.load(model)
    (scale,) = (one for one in network.graph.initializer if one.name.endswith(POSITIONS))
    scale.CopyFrom(onnx.numpy_helper.from_array(np.zeros(scale.dims, np.float32), scale.name))
    cache.mkdir(parents=True, exist_ok=True)
    onnx.save(network, cache / "without-positions.onnx")
    without = SentenceEncoder(cache / "without-positions.onnx", tokenizer)
    return {"kept": read_wording(open_sentence_encoder()), "dropped": read_wording(without)}


def cerl_rows(
    prepared: Sequence[PreparedClip],
    neutral: Float[np.ndarray, " 52"],
    wordings: Mapping[str, Wording],
) -> Learn:
    """Emotion encoders: do they read the emotion, and not the person?"""
    performances = read_performances(prepared)
    neutrals = find_neutrals(performances, neutral)

    def learn(
        folder: Path, changes: Sequence[str]
    ) -> tuple[dict[str, list[float]], dict[str, float]]:
        shorter = [f"schedule.steps={CERL_STEPS}", *changes]
        recipe = read_config(CONFIGS / "cerl.toml", CerlConfig, changes=shorter)
        resume = (folder / "last.pt").exists()
        wording = wordings[recipe.prompts.position]
        result = train_cerl(recipe, performances, neutrals, wording, run=folder, resume=resume)
        reader = result.models.reader
        asked = unknown_performances(reader, performances)
        by_clip = {
            f"emotion, {way.name}": read_rightly(reader, asked, neutrals, way).tolist()
            for way in WAYS
            if not way.pixels
        }
        leaks = {one.name: one.accuracy.value for one in measure_leaks(reader, asked, neutrals)}
        overall = {
            "person read": leaks["person, from the own neutral"],
            "sentence read": leaks["sentence, from the own neutral"],
        }
        return by_clip, overall

    return learn


def photo_rows(root: Path, models: Models, cache: Path, wordings: Mapping[str, Wording]) -> Learn:
    """Emotion encoders of photographs: of one set, asked about the people of others.

    What is measured is a number for each person: several photographs of one are no several people.
    Compound emotions are left out; labels of the set that is learned from are inferred.
    """
    photos = [one for one in read_photos(root) if not one.is_compound]
    prepared = prepare_clips([one.as_clip() for one in photos], models, cache)
    performances = [Performance(one.clip, one.expression) for one in prepared]
    neutrals = find_neutrals(performances, models.neutral.mean)
    learned = [one for one in performances if one.clip.dataset == LEARNED_PHOTOS]
    others = [one for one in performances if one.clip.dataset != LEARNED_PHOTOS]
    choosing = sorted({one.clip.identity for one in learned if one.clip.split != "train"})
    shared = [
        "data.weight_set='research'",
        f"data.validation_identities={choosing}",
        "sampling.frames=2",  # a photograph, and itself: nothing moves
        "sampling.coded_performances=0",  # played on people who talk
        f"schedule.steps={CERL_STEPS}",
    ]

    def learn(
        folder: Path, changes: Sequence[str]
    ) -> tuple[dict[str, list[float]], dict[str, float]]:
        recipe = read_config(CONFIGS / "cerl.toml", CerlConfig, changes=[*shared, *changes])
        resume = (folder / "last.pt").exists()
        wording = wordings[recipe.prompts.position]
        result = train_cerl(recipe, learned, neutrals, wording, run=folder, resume=resume)
        reader = result.models.reader
        asked = unknown_performances(reader, others)
        people = [one.clip.identity for one in asked]
        by_person = {}
        for way in WAYS:
            if not way.pixels:
                hits = read_rightly(reader, asked, neutrals, way)
                by_person[f"emotion, {way.name}"] = _mean_by_person(hits, people)
        leaks = {one.name: one.accuracy.value for one in measure_leaks(reader, asked, neutrals)}
        return by_person, {"person read": leaks["person, from the own neutral"]}

    return learn


def _mean_by_person(hits: Float[np.ndarray, " photos"], people: Sequence[str]) -> list[float]:
    names = np.array(people)
    return [float(hits[names == name].mean()) for name in sorted(set(people))]


def motion_rows(prepared: Sequence[PreparedClip], takes: Sequence[Take]) -> Learn:
    """Motion editors: is the emotion shown, as the person shows it, and are the words kept?

    Judged by what none of them learned under: a logistic model of other people's real takes, the
    person's own take, and the research set's content encoder.
    """
    motions = read_motion_takes(prepared)
    emotion, content = load_emotion(), load_content()
    judge = load_content("research")
    neutral = load_models().neutral
    speech = {take.clip.path: take for take in takes if take.has_speech}

    def learn(
        folder: Path, changes: Sequence[str]
    ) -> tuple[dict[str, list[float]], dict[str, float]]:
        recipe = read_config(CONFIGS / "motion.toml", MotionTrainingConfig, changes=changes)
        resume = (folder / "last.pt").exists()
        result = train_motion(recipe, motions, neutral, emotion, content, run=folder, resume=resume)
        write_generator(folder / "generator", result)
        editor = result.editor.eval()
        assert isinstance(editor, MotionEditor)
        asked = [one for one in motions if one.clip.identity in LEFT_OUT]
        calm = [one for one in asked if one.emotion is Emotion.NEUTRAL]
        shown = [_edit(editor, one, emotion.labels) for one in calm]
        real = [one for one in motions if one.clip.label_certain]
        hits, lengths = _read_emotions(calm, shown, real)
        alike = []
        for pair in align_takes(asked):
            output = _edit(editor, pair.neutral, emotion.labels)[pair.emotional.emotion]
            change = (output - pair.neutral.expression).mean(axis=0)
            other = pair.emotional.difference
            alike.append(float(change @ other / np.linalg.norm(change) / np.linalg.norm(other)))
        kept = [
            _voice_kept(judge, speech[one.clip.path], one, outputs)
            for one, outputs in zip(calm, shown, strict=True)
            if one.clip.path in speech
        ]
        by_clip = {
            "emotion read": hits,
            "cosine with the person's own take": alike,
            "voice of the mouth, of 10, less the source's": kept,
        }
        return by_clip, {"length of the change": float(np.mean(lengths))}

    return learn


def write_generator(folder: Path, result: MotionResult) -> None:
    """A motion editor beside the shipped renderer, as ``spfem evaluate edits --row`` takes them."""
    folder.mkdir(exist_ok=True)
    editor, renderer = GENERATOR_FILES
    write_motion(folder / editor, result.editor, facts=result.facts)
    shutil.copyfile(find_weights("renderer-permissive"), folder / renderer)


def _edit(
    editor: MotionEditor, one: MotionTake, labels: torch.Tensor
) -> dict[Emotion, Float[np.ndarray, "frames 52"]]:
    """A neutral clip with each of six emotions, by label."""
    asked = [emotion for emotion in Emotion if emotion is not Emotion.NEUTRAL]
    source = torch.from_numpy(one.expression).expand(len(asked), -1, -1)
    wanted = labels[[emotion.class_index for emotion in asked]]
    with torch.inference_mode():
        outputs = editor(source, wanted, torch.ones(len(asked))).numpy()
    return dict(zip(asked, outputs, strict=True))


def _read_emotions(
    calm: Sequence[MotionTake],
    shown: Sequence[Mapping[Emotion, Float[np.ndarray, "frames 52"]]],
    real: Sequence[MotionTake],
) -> tuple[list[float], list[float]]:
    """Share of six edits of each clip that are read as what was asked for; lengths of all changes.

    The reader is a logistic model of how real takes of other people differ from their neutral face.
    """
    features = [one.expression.mean(axis=0) - one.neutral for one in real]
    labels = [one.emotion.class_index for one in real]
    people = [one.clip.identity for one in real]
    lengths = []
    for one, edits in zip(calm, shown, strict=True):
        for emotion, output in edits.items():
            features.append(output.mean(axis=0) - one.neutral)
            labels.append(emotion.class_index)
            people.append(f"edit of {one.clip.identity}")
            lengths.append(float(np.linalg.norm((output - one.expression).mean(axis=0))))
    # Nobody's own takes help to read the edits: the reader is fitted to others' alone.
    edited = {f"edit of {one.clip.identity}" for one in calm}
    others = [i for i, name in enumerate(people) if name not in LEFT_OUT and name not in edited]
    places = [i for i, name in enumerate(people) if name in edited]
    kept = [*others, *places]
    read = probe_across_people(
        np.stack([features[i] for i in kept]),
        np.array([labels[i] for i in kept]),
        ["edit" if i in places else people[i] for i in kept],
        asked={"edit"},
    )[len(others) :]
    hits = (read == np.array([labels[i] for i in places])).astype(float)
    return hits.reshape(len(calm), -1).mean(axis=1).tolist(), lengths


def _voice_kept(
    judge: ContentModels,
    take: Take,
    one: MotionTake,
    outputs: Mapping[Emotion, Float[np.ndarray, "frames 52"]],
) -> float:
    """Share of the edits' mouths whose voice is found, less that of the source's: 0 keeps all."""
    frames = judge.content.config.frames
    mouth = list(MOUTH_COEFFICIENTS)
    starts = take.starts(frames)
    starts = starts[starts <= len(one.expression) - frames]
    chosen = starts[np.unique(np.linspace(0, len(starts) - 1, CANDIDATES).astype(int))]
    with torch.inference_mode():
        heard = judge.speech(
            torch.from_numpy(np.stack([take.speech[s : s + frames] for s in chosen]))
        )
        shares = [
            found_first(
                judge.content(
                    None,
                    torch.from_numpy(np.stack([motion[s : s + frames, mouth] for s in chosen])),
                ),
                heard,
            )
            .float()
            .mean()
            .item()
            for motion in (one.expression, *outputs.values())
        ]
    return float(np.mean(shares[1:]) - shares[0])


def _mean_over_views(
    queries: Mapping[str, torch.Tensor], answers: Mapping[str, torch.Tensor]
) -> float:
    found = [found_first(queries[view], answers[view]).float().mean() for view in VIEWS]
    return float(torch.stack(found).mean())


def draw(part: str, found: Mapping[str, Sequence[Measured]]) -> Iterator[str]:
    """A table: a line for each row."""
    first = next(iter(found.values()))
    by_clip, overall = list(first[0].by_clip), list(first[0].overall)
    clips = ", ".join(f"{name}: {len(first[0].by_clip[name])}" for name in by_clip)
    seconds = sum(one.seconds for ones in found.values() for one in ones)
    yield f"## {part}"
    yield ""
    yield f"{len(SEEDS)} seeds; clips: {clips}; {seconds / 60:.0f} minutes in all."
    yield ""
    columns = [column for name in by_clip for column in (name, "less the first row")]
    yield f"| {part} | {' | '.join([*columns, *overall])} |"
    yield f"|---|{'---|' * (len(columns) + len(overall))}"
    for name, ones in found.items():
        cells = []
        for measure in by_clip:
            values, compared = (
                np.array([one.by_clip[measure] for one in row]) for row in (ones, first)
            )
            cells.append(_interval(values))
            cells.append("" if ones is first else _interval(values - compared))
        for measure in overall:
            values = np.array([one.overall[measure] for one in ones])
            cells.append(f"{values.mean():.2f} ({values.min():.2f} to {values.max():.2f})")
        yield f"| {name} | {' | '.join(cells)} |"
    yield ""


def _interval(values: Float[np.ndarray, "seeds clips"]) -> str:
    """Mean and 95 % interval, of seeds and clips drawn anew."""
    rng = np.random.default_rng(0)
    seeds, clips = values.shape
    means = [
        values[rng.integers(0, seeds, seeds)][:, rng.integers(0, clips, clips)].mean()
        for _ in range(RESAMPLES)
    ]
    low, high = np.percentile(means, [2.5, 97.5])
    return f"{values.mean():.3f} [{low:.3f}, {high:.3f}]"


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower())


if __name__ == "__main__":
    main()
