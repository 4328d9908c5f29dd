"""Certificates made for a test: an authority, and what it vouches for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


class Authority:
    """`file` holds its own certificate."""

    def __init__(self, directory: Path, name: str = "authority") -> None:
        self._directory = directory
        self._key = Ed25519PrivateKey.generate()
        self._name = _named(name)
        signed = (
            self._builder(self._name, self._key, timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .sign(self._key, None)
        )
        self.file = directory / f"{name}.pem"
        self.file.write_bytes(signed.public_bytes(Encoding.PEM))

    def issue(self, name: str, *, lasts: timedelta = timedelta(days=1), passphrase: bytes = b"") -> tuple[Path, Path]:
        """Files of a certificate for `name`, a host or an address, and of its key."""
        key = Ed25519PrivateKey.generate()
        address = x509.IPAddress(IPv4Address(name)) if name[0].isdigit() else x509.DNSName(name)
        signed = (
            self._builder(_named(name), key, lasts)
            .add_extension(x509.SubjectAlternativeName([address]), critical=False)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .sign(self._key, None)
        )
        certificate, secret = self._directory / f"{name}.crt", self._directory / f"{name}.key"
        certificate.write_bytes(signed.public_bytes(Encoding.PEM))
        encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
        secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
        return certificate, secret

    def _builder(self, subject: x509.Name, key: Ed25519PrivateKey, lasts: timedelta) -> x509.CertificateBuilder:
        """`lasts` from an hour ago."""
        began, public, own = datetime.now(UTC) - timedelta(hours=1), key.public_key(), self._key.public_key()
        builder = x509.CertificateBuilder(self._name, subject, public, x509.random_serial_number(), began, began + lasts)
        return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False).add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(own), critical=False
        )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
