"""People who sign by themselves: an authority of the tests' own that names them, and their CMS signatures."""

import datetime as dt

from asn1crypto import keys, x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import (
    BasicConstraints,
    CertificateBuilder,
    KeyUsage,
    Name,
    NameAttribute,
    random_serial_number,
)
from cryptography.x509.oid import NameOID
from pyhanko.sign import signers
from pyhanko.sign.signers.pdf_cms import CMSSignedAttributes
from pyhanko_certvalidator.registry import SimpleCertificateStore


def certificate(name, key, issuer, issuer_key, *, ca, days):
    now = dt.datetime.now(dt.UTC)
    usage = dict.fromkeys(
        ("key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"), False
    )
    return (
        CertificateBuilder()
        .subject_name(Name([NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(Name([NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(random_serial_number())
        .not_valid_before(now - dt.timedelta(days=days[0]))
        .not_valid_after(now + dt.timedelta(days=days[1]))
        .add_extension(BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(
            KeyUsage(
                digital_signature=True, content_commitment=not ca, key_cert_sign=ca, crl_sign=ca, **usage
            ),
            critical=True,
        )
        .sign(issuer_key, hashes.SHA256())
    )


def der(each):
    return each.public_bytes(serialization.Encoding.DER)


class Authority:
    """A root, and people whom it names."""

    def __init__(self, name):
        self.name, self.key = name, ec.generate_private_key(ec.SECP256R1())
        self.root = certificate(name, self.key, name, self.key, ca=True, days=(90, 90))
        self.pem = self.root.public_bytes(serialization.Encoding.PEM)

    def person(self, name, days=(1, 30)):
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = certificate(name, key, self.name, self.key, ca=False, days=days)
        plain = key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return signers.SimpleSigner(
            signing_cert=x509.Certificate.load(der(leaf)),
            signing_key=keys.PrivateKeyInfo.load(plain),
            cert_registry=SimpleCertificateStore.from_certs([x509.Certificate.load(der(self.root))]),
        )


async def cms(signer, data, at=None):
    """A detached signature over data, with the time that its signer says."""
    said = CMSSignedAttributes(signing_time=at or dt.datetime.now(dt.UTC))
    made = await signer.async_sign_general_data(data, "sha256", detached=True, signed_attr_settings=said)
    return made.dump()
