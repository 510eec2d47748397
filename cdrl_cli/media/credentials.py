"""Content Credentials (C2PA 2): what was done to a video, signed by who did it, inside the file.

The library is optional, and so is imported by those who sign only.
"""

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cdrl_cli import __version__
from cdrl_cli.errors import OutputError, UsageError
from cdrl_cli.media.encoder import container_for
from cdrl_cli.media.provenance import PARTLY_GENERATED

if TYPE_CHECKING:
    from c2pa import Signer

CONSENT_LABEL: Final = "org.spfem.consent"
"""Name of the assertion that holds a note of consent; its data have one key, ``note``."""

_MEDIA_TYPES: Final = {".mp4": "video/mp4", ".mov": "video/quicktime"}
_SOURCE_TYPES: Final = _MEDIA_TYPES | {".m4v": "video/mp4"}
_TOOL: Final = {"name": "spfem", "version": __version__}

# A picture of one black pixel.
_BLANK_PNG: Final = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c6360"
    "00000002000148afa4710000000049454e44ae426082"
)


@dataclass(frozen=True, slots=True)
class SigningIdentity:
    """Who signs, as files in PEM."""

    certificates: Path
    """The signer's, then those that vouch for it."""
    key: Path
    """Private, and not encrypted."""
    timestamp_url: str | None = None
    """Authority (RFC 3161) that says when it was signed, so that it holds when the certificate
    has expired."""


class CredentialSigner:
    """Signs finished files.

    It signs a blank picture first: what is wrong with a certificate shows before hours of work.

    Args:
        identity: Who signs.

    Raises:
        UsageError: If certificate and key cannot sign, or the library is not installed.
    """

    def __init__(self, identity: SigningIdentity) -> None:
        try:
            import c2pa
        except ImportError as error:
            raise UsageError(
                "signing needs the package c2pa-python", hint="pip install 'spfem[c2pa]'"
            ) from error
        self._library = c2pa
        self._certificates = _read(identity.certificates)
        self._key = _read(identity.key)
        self._algorithm = _algorithm(self._key, identity.key)
        self._timestamp_url = identity.timestamp_url
        blank = c2pa.Builder({"claim_generator_info": [_TOOL]})
        blank.set_intent(c2pa.C2paBuilderIntent.CREATE, c2pa.C2paDigitalSourceType.DIGITAL_CREATION)
        try:
            blank.sign(self._signer(), "image/png", io.BytesIO(_BLANK_PNG), io.BytesIO())
        except c2pa.C2paError as error:
            raise UsageError(
                f"{identity.certificates} and {identity.key}: cannot sign ({_reason(error)})",
                hint="C2PA wants the key of a certificate that an authority has issued for signing "
                "and that is valid now; docs/operations.md says more",
            ) from error

    def sign(
        self,
        unsigned: Path,
        signed: Path,
        *,
        output: Path,
        source: Path,
        what: str,
        consent: str | None = None,
    ) -> None:
        """Write a signed copy; its packets are those of the original.

        The source is named as what was edited, with the credentials that it has itself, but not by
        the name of its file, which is nobody's business.

        Args:
            unsigned: MP4 or QuickTime.
            signed: Is there, and empty.
            output: What the copy will be called.
            source: What was edited.
            what: What was done to it.
            consent: Who agreed to it, in words; signed with the rest.

        Raises:
            OutputError: If it cannot be signed, or the disk is full.
        """
        action = {
            "action": "c2pa.edited",
            "digitalSourceType": PARTLY_GENERATED,
            "softwareAgent": _TOOL,
            "description": what,
        }
        assertions: list[dict[str, object]] = [
            {"label": "c2pa.actions", "data": {"actions": [action]}}
        ]
        if consent is not None:
            assertions.append({"label": CONSENT_LABEL, "data": {"note": consent}})
        builder = self._library.Builder(
            {"claim_generator_info": [_TOOL], "title": output.name, "assertions": assertions}
        )
        builder.set_intent(self._library.C2paBuilderIntent.EDIT)

        def work() -> None:
            with source.open("rb") as file:
                suffix = source.suffix.lower()
                kind = _SOURCE_TYPES.get(suffix, "application/octet-stream")
                builder.add_ingredient({"title": "source", "relationship": "parentOf"}, kind, file)
            with unsigned.open("rb") as file, signed.open("r+b") as copy:
                builder.sign(self._signer(), _MEDIA_TYPES[output.suffix.lower()], file, copy)

        # Ctrl-C would be lost in the library's callbacks; it reaches the main thread only.
        with ThreadPoolExecutor(1) as pool, self._failures(output):
            pool.submit(work).result()

    def _signer(self) -> "Signer":
        url = self._timestamp_url.encode() if self._timestamp_url else None
        return self._library.Signer.from_info(
            self._library.C2paSignerInfo(self._algorithm, self._certificates, self._key, url)
        )

    @contextmanager
    def _failures(self, output: Path) -> Iterator[None]:
        try:
            yield
        except self._library.C2paError as error:
            raise OutputError(f"{output}: cannot be signed ({_reason(error)})") from error


def check_signable(output: Path) -> None:
    """Refuse kinds of files that hold no credentials.

    Raises:
        UsageError: If the output is one.
    """
    if container_for(output).suffix not in _MEDIA_TYPES:
        raise UsageError(
            f"{output}: files of kind {output.suffix} hold no Content Credentials",
            hint=f"Name an output that ends in {' or '.join(_MEDIA_TYPES)}.",
        )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error})") from error


def _algorithm(pem: bytes, path: Path) -> bytes:
    """What C2PA calls the signatures that a key makes."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError as error:
        raise UsageError(f"{path}: the key is encrypted", hint="give it decrypted") from error
    except ValueError as error:
        raise UsageError(f"{path}: is no private key in PEM") from error
    match key:
        case ec.EllipticCurvePrivateKey(key_size=256):
            return b"es256"
        case ec.EllipticCurvePrivateKey(key_size=384):
            return b"es384"
        case ec.EllipticCurvePrivateKey(key_size=521):
            return b"es512"
        case rsa.RSAPrivateKey():
            return b"ps256"
        case ed25519.Ed25519PrivateKey():
            return b"ed25519"
    raise UsageError(
        f"{path}: C2PA knows no signatures of such a key",
        hint="it takes ECDSA (P-256, P-384, P-521), RSA and Ed25519",
    )


def _reason(error: Exception) -> str:
    """Without the library's own class of the error."""
    return str(error).split(": ", 1)[-1]
