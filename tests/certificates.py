"""Certificates of an authority that nobody trusts, made on the spot."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cdrl_cli.media.credentials import SigningIdentity

KEYS: dict[str, Callable] = {
    "Es256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "Es384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "Es512": lambda: ec.generate_private_key(ec.SECP521R1()),
    "Ps256": lambda: rsa.generate_private_key(65537, 2048),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
}
"""By what C2PA calls their signatures."""


def make_identity(
    folder: Path,
    *,
    kind: str = "Es256",
    days: int = 10,
    for_signing: bool = True,
    password: bytes | None = None,
) -> SigningIdentity:
    """A key, and a certificate that is valid for so many days from now."""
    folder.mkdir(exist_ok=True)
    key, authority = KEYS[kind](), KEYS["Es256"]()

    def certify(name: str, holder: object, *, is_authority: bool) -> x509.Certificate:
        usage = dict.fromkeys(
            (
                "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
                "encipher_only", "decipher_only",
            ),
            False,
        )  # fmt: skip
        usage |= {
            "digital_signature": not is_authority,
            "key_cert_sign": is_authority,
            "crl_sign": is_authority,
        }
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name("Authority"))
            .public_key(holder)
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.now(UTC) - timedelta(days=20))
            .not_valid_after(datetime.now(UTC) + timedelta(days=days))
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
            .add_extension(x509.KeyUsage(**usage), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(holder), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()),
                critical=False,
            )
        )
        if for_signing and not is_authority:
            mail = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
            builder = builder.add_extension(mail, critical=False)
        return builder.sign(authority, hashes.SHA256())

    chain = [
        certify("Editor", key.public_key(), is_authority=False),
        certify("Authority", authority.public_key(), is_authority=True),
    ]
    certificates, secret = folder / "chain.pem", folder / "key.pem"
    certificates.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in chain))
    lock = BestAvailableEncryption(password) if password else NoEncryption()
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock))
    return SigningIdentity(certificates, secret)


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Studio"),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )
