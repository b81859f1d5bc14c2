"""A certificate authority of the test's own, and certificates for loopback names."""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Files:
    """Paths of PEM files: the authority, and a certificate with its key.

    It is for `localhost`, 127.0.0.1 and `more` names or addresses.
    """

    authority: str
    certificate: str
    key: str


def make(folder: Path, *more: str) -> Files:
    folder.mkdir(parents=True, exist_ok=True)
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = _named("Test authority")
    issued = _builder(authority, authority, authority_key.public_key())
    issued = issued.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    root = issued.add_extension(_usage(signs_certificates=True), critical=True).sign(
        authority_key, hashes.SHA256()
    )
    listed = [_alternative(name) for name in ("localhost", *more)]
    names = [*listed, x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    issued = _builder(_named("localhost"), authority, key.public_key())
    issued = issued.add_extension(x509.SubjectAlternativeName(names), critical=False)
    issued = issued.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    issued = issued.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
    )
    leaf = issued.sign(authority_key, hashes.SHA256())
    return Files(
        _write(folder / "authority.pem", _pem(root)),
        _write(folder / "certificate.pem", _pem(leaf)),
        _write(
            folder / "key.pem",
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        ),
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(subject, issuer, public_key) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + DAY)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _write(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)
