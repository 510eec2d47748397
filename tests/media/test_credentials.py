"""What is signed holds, says what was done, and is else the file that it was."""

import builtins
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from c2pa import Reader
from certificates import KEYS, make_identity
from clips import Audio, Clip, Subtitles, make_clip

from cdrl_cli.errors import OutputError, UsageError
from cdrl_cli.media.credentials import (
    PARTLY_GENERATED,
    CredentialSigner,
    SigningIdentity,
    check_signable,
)

from .contract import chapters_of, edit_clip, main_index, read_packets, read_video, tags_of

WHAT = "AI-edited: facial expression changed"


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> SigningIdentity:
    return make_identity(tmp_path_factory.mktemp("identity"))


def signed_edit(source: Path, output: Path, identity: SigningIdentity) -> Path:
    """Edit and sign; returns a copy of what was signed."""
    unsigned = output.with_stem("unsigned")
    signer = CredentialSigner(identity)

    def sign(part: Path, signed: Path) -> None:
        shutil.copy(part, unsigned)
        signer.sign(part, signed, output=output, source=source, what=WHAT)

    edit_clip(source, output, sign=sign)
    return unsigned


def failures_of(path: Path) -> set[str]:
    """What does not hold, but that nobody knows the authority."""
    told = Reader(path).get_validation_results()["activeManifest"]["failure"]
    return {one["code"] for one in told} - {"signingCredential.untrusted"}


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_the_manifest_says_what_was_done_to_what(tmp_path, identity, suffix):
    source = make_clip(tmp_path / f"jane{suffix}", Clip(frames=5))
    output = tmp_path / f"out{suffix}"
    signed_edit(source, output, identity)
    manifest = Reader(output).get_active_manifest()
    assert failures_of(output) == set()
    assert manifest["title"] == output.name
    assert manifest["claim_generator_info"][0]["name"] == "spfem"
    (ingredient,) = manifest["ingredients"]
    assert ingredient["relationship"] == "parentOf"
    assert "jane" not in str(manifest)
    (actions,) = [one for one in manifest["assertions"] if one["label"].startswith("c2pa.actions")]
    opened, edited = actions["data"]["actions"]
    assert opened["action"] == "c2pa.opened"
    assert (edited["action"], edited["digitalSourceType"]) == ("c2pa.edited", PARTLY_GENERATED)
    assert edited["description"] == WHAT


def test_but_for_the_signature_the_file_is_the_same(tmp_path, identity):
    rich = Clip(
        audio=(Audio(language="ger"), Audio(pitch_hz=220, language="eng")),
        subtitles=(Subtitles(codec="mov_text", language="eng"),),
        chapters=(("one", 0, 1),),
        tags={"title": "A talk"},
    )
    source = make_clip(tmp_path / "source.mp4", rich)
    output = tmp_path / "out.mp4"
    unsigned = signed_edit(source, output, identity)
    before, after = read_video(unsigned), read_video(output)
    assert after.times == before.times
    np.testing.assert_equal(after.planes, before.planes)
    assert read_packets(output) == read_packets(unsigned)
    assert read_packets(output)
    assert main_index(output) == main_index(unsigned)
    assert chapters_of(output) == chapters_of(unsigned)
    assert tags_of(output) == tags_of(unsigned)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "out.mp4", "source.mp4", "unsigned.mp4",
    ]  # fmt: skip


def test_a_changed_picture_is_found_out(tmp_path, identity):
    source = make_clip(tmp_path / "source.mp4", Clip(frames=5))
    output = tmp_path / "out.mp4"
    signed_edit(source, output, identity)
    forged = bytearray(output.read_bytes())
    forged[forged.index(b"mdat") + 1000] ^= 1
    (tmp_path / "forged.mp4").write_bytes(forged)
    assert failures_of(tmp_path / "forged.mp4") == {"assertion.bmffHash.mismatch"}


def test_an_edit_of_an_edit_keeps_the_first_ones_credentials(tmp_path, identity):
    source = make_clip(tmp_path / "source.mkv", Clip(frames=5))
    signed_edit(source, tmp_path / "once.mp4", identity)
    signed_edit(tmp_path / "once.mp4", tmp_path / "twice.mp4", identity)
    once, twice = (
        Reader(tmp_path / name).get_active_manifest() for name in ("once.mp4", "twice.mp4")
    )
    assert twice["ingredients"][0]["active_manifest"] == once["label"]
    assert failures_of(tmp_path / "twice.mp4") == set()


@pytest.mark.parametrize("kind", KEYS)
def test_keys_of_every_kind(tmp_path, kind):
    source = make_clip(tmp_path / "source.mp4", Clip(frames=2))
    output = tmp_path / "out.mp4"
    signed_edit(source, output, make_identity(tmp_path / "identity", kind=kind))
    assert Reader(output).get_active_manifest()["signature_info"]["alg"] == kind
    assert failures_of(output) == set()


def test_who_cannot_sign_learns_it_at_once(tmp_path, identity):
    good, other = identity, make_identity(tmp_path / "other")
    text = tmp_path / "text.pem"
    text.write_text("no key")
    cases = [
        (replace(good, key=tmp_path / "none.pem"), "cannot be read"),
        (replace(good, certificates=tmp_path / "none.pem"), "cannot be read"),
        (replace(good, key=text), "is no private key"),
        (replace(good, certificates=text), "cannot sign"),
        (make_identity(tmp_path / "locked", password=b"secret"), "is encrypted"),
        (replace(good, key=other.key), "does not match"),
        (make_identity(tmp_path / "old", days=-1), "not valid at"),
        (make_identity(tmp_path / "web", for_signing=False), "certificate is invalid"),
    ]
    for wrong, reason in cases:
        with pytest.raises(UsageError, match=reason) as caught:
            CredentialSigner(wrong)
        assert "\n" not in str(caught.value)
        assert "PRIVATE" not in str(caught.value)


def test_without_the_library_the_command_that_brings_it_is_named(identity, monkeypatch):
    bring = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "c2pa":
            raise ModuleNotFoundError(name)
        return bring(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match="c2pa-python") as caught:
        CredentialSigner(identity)
    assert caught.value.hint == "pip install 'spfem[c2pa]'"


@pytest.mark.parametrize("name", ["out.mkv", "out.webm"])
def test_files_that_hold_none_are_refused(name):
    with pytest.raises(UsageError, match="no Content Credentials"):
        check_signable(Path(name))
    check_signable(Path("out.MP4"))


def test_a_failure_while_signing_leaves_nothing(tmp_path, identity):
    source = make_clip(tmp_path / "source.mp4", Clip(frames=2))
    output = tmp_path / "out.mp4"
    sign = partial(
        CredentialSigner(identity).sign, output=output, source=tmp_path / "gone", what=WHAT
    )
    with pytest.raises(OutputError, match="cannot be written"):
        edit_clip(source, output, sign=sign)
    assert [path.name for path in tmp_path.iterdir()] == ["source.mp4"]

    def interrupt(part: Path, signed: Path) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        edit_clip(source, output, sign=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["source.mp4"]
