"""Damaged media files: each ends in an edit or in one clear error, soon, and never in a crash.

A batch edits them, so that a crash of native code would cost one row and be named.
"""

import json
import random
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from .conftest import Spfem, count
from .test_inputs import remux

SUFFIXES = ("mp4", "mkv", "mov", "ts", "flv")

CLEAR = {"unreadable_input", "no_face", "output"}
"""How an edit of a damaged file may fail."""

ROW_LIMIT_S = 30
"""Ten frames take a second; a hundred times that would be a hang for a user."""


def flip(data: bytearray, rng: random.Random) -> None:
    """Single bytes anywhere."""
    for _ in range(rng.choice((1, 10, 100, 1000))):
        data[rng.randrange(len(data))] = rng.randrange(256)


def truncate(data: bytearray, rng: random.Random) -> None:
    """The end is missing."""
    del data[rng.randrange(len(data)) :]


def zero(data: bytearray, rng: random.Random) -> None:
    """A lost block of the disk."""
    start = rng.randrange(len(data))
    size = min(4096, len(data) - start)
    data[start : start + size] = bytes(size)


def lie(data: bytearray, rng: random.Random) -> None:
    """Numbers near the names of header fields: sizes, counts, times, dimensions."""
    names = (b"moov", b"trak", b"tkhd", b"mdhd", b"stsd", b"avcC", b"stts", b"stsz", b"stco",
             b"stsc", b"ctts", b"elst", b"esds", b"mvhd", b"FLV\x01", b"duration",
             b"\x1a\x45\xdf\xa3", b"\x16\x54\xae\x6b", b"\xb0\x82", b"\xba\x82", b"\x2a\xd7\xb1",
             b"\x1f\x43\xb6\x75", b"\x44\x89", b"G\x40")  # fmt: skip
    places = [place for name in names if (place := data.find(name)) >= 0]
    for _ in range(rng.randint(1, 3)):
        place = rng.choice(places) + rng.randrange(-4, 96)
        lies = (0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, rng.getrandbits(32))
        data[max(place, 0) : max(place, 0) + 4] = rng.choice(lies).to_bytes(4, "big")


def shuffle(data: bytearray, rng: random.Random) -> None:
    """Two pieces have changed places."""
    size = min(2000, len(data) // 3)
    a, b = rng.randrange(len(data) - size), rng.randrange(len(data) - size)
    data[a : a + size], data[b : b + size] = data[b : b + size], data[a : a + size]


MUTATIONS = (flip, truncate, zero, lie, shuffle)


def mutate(original: bytes, seed: int) -> tuple[str, bytes]:
    """Name of the mutation, and the damaged file: always the same for a seed."""
    rng = random.Random(seed)
    mutation = MUTATIONS[seed // len(SUFFIXES) % len(MUTATIONS)]
    data = bytearray(original)
    mutation(data, rng)
    return mutation.__name__, bytes(data)


@pytest.mark.timeout(0)  # it has a limit of its own, by the number of files
@pytest.mark.parametrize(
    "seeds",
    [range(1000, 1024), pytest.param(range(200), marks=pytest.mark.slow)],
    ids=["24", "200"],
)
def test_a_damaged_file_is_edited_or_refused(short, spfem: Spfem, seeds: range):
    originals = {}
    for suffix in SUFFIXES:
        whole = spfem.folder / f"whole.{suffix}"
        remux(short, whole)
        originals[suffix] = whole.read_bytes()
    rows = []
    for seed in seeds:
        suffix = SUFFIXES[seed % len(SUFFIXES)]
        name, data = mutate(originals[suffix], seed)
        damaged = spfem.folder / f"{seed}-{name}.{suffix}"
        damaged.write_bytes(data)
        output = f"out/{seed}.mkv"
        rows.append({"source": damaged.name, "emotion": "happy", "output": output})
    (spfem.folder / "out").mkdir()
    (spfem.folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    words = ["batch", "rows.jsonl", "--jobs", "2", "--preset", "ultrafast"]
    running = spfem.start(*words)
    try:
        _, err = running.communicate(timeout=ROW_LIMIT_S * len(rows))
    except subprocess.TimeoutExpired:
        running.kill()
        raise
    assert "Traceback" not in err, err
    assert running.returncode in (0, 7), err

    results = spfem.results("rows.jsonl.results.jsonl")
    assert len(results) == len(rows)
    wrong = [
        (Path(each["source"]).name, each["error"], each["seconds"])
        for each in results
        if each["seconds"] > ROW_LIMIT_S or (each["error"] and each["error"]["code"] not in CLEAR)
    ]
    assert not wrong
    done = {Path(each["output"]).name for each in results if each["status"] == "ok"}
    assert {path.name for path in (spfem.folder / "out").iterdir()} == done
    ends = Counter(each["error"]["code"] if each["error"] else "edited" for each in results)
    count(f"damaged files, seeds {seeds.start} to {seeds.stop - 1}", len(results))
    for end, number in ends.items():
        count(f"damaged files: {end}", number)
