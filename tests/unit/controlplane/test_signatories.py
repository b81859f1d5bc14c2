"""Signatories' own signatures over a framework agreement: CMS over the document, PAdES over a text, with no network."""

import datetime as dt
import io
from hashlib import sha256

import pytest
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
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.writer import PageObject, PdfFileWriter
from pyhanko.sign import signers
from pyhanko.sign.signers.pdf_cms import CMSSignedAttributes
from pyhanko_certvalidator.registry import SimpleCertificateStore

from comity.controlplane import signatories
from comity.framework import document as documents
from support import agreeing

SAID = agreeing.document()
DOCUMENT = documents.canonical(SAID)
FRAMEWORK = documents.read(SAID)


def certificate(name, key, issuer, issuer_key, *, ca):
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
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
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
        self.root = certificate(name, self.key, name, self.key, ca=True)
        self.pem = self.root.public_bytes(serialization.Encoding.PEM)

    def person(self, name):
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = certificate(name, key, self.name, self.key, ca=False)
        plain = key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return signers.SimpleSigner(
            signing_cert=x509.Certificate.load(der(leaf)),
            signing_key=keys.PrivateKeyInfo.load(plain),
            cert_registry=SimpleCertificateStore.from_certs([x509.Certificate.load(der(self.root))]),
        )


@pytest.fixture(scope="module")
def authority():
    return Authority("Test Root")


async def cms(signer, data=DOCUMENT):
    said = CMSSignedAttributes(signing_time=dt.datetime(2026, 11, 28, tzinfo=dt.UTC))
    made = await signer.async_sign_general_data(data, "sha256", detached=True, signed_attr_settings=said)
    return made.dump()


async def verdict(content, roots, framework=FRAMEWORK):
    return await signatories.verify(content, DOCUMENT, framework, roots, agreeing.A)


async def test_a_signature_over_the_document_says_who_and_when(authority):
    found = await verdict(await cms(authority.person("N. N.")), authority.pem)
    assert (found.valid, found.detail) == (True, "over the document")
    assert "N. N." in found.signer
    assert found.signed_at.startswith("20")


async def test_why_a_signature_does_not_hold_is_said(authority):
    signer = authority.person("N. N.")
    other = await cms(signer, b"another document")
    strangers = await cms(Authority("Other Root").person("N. N."))
    unnamed = await cms(authority.person("Somebody Else"))
    for content, why in (
        (other, "what was signed is something else"),
        (strangers, "leads to no root that is trusted here"),
        (unnamed, f"the document names N. N. as signatories of {agreeing.A}"),
        (b"no signature", "it cannot be read"),
    ):
        found = await verdict(content, authority.pem)
        assert not found.valid
        assert why in found.detail
    assert not (await verdict(await cms(signer), b"")).valid


def text():
    """A text as a PDF of one empty page."""
    writer = PdfFileWriter()
    contents = writer.add_object(generic.StreamObject(stream_data=b""))
    writer.insert_page(PageObject(contents=contents, media_box=(0, 0, 200, 200)))
    written = io.BytesIO()
    writer.write(written)
    return written.getvalue()


async def test_a_signed_pdf_must_be_a_text_that_the_document_binds(authority):
    plain = text()
    signed = io.BytesIO(plain)
    meta = signers.PdfSignatureMetadata(
        field_name="Signature", subfilter=signers.pdf_signer.SigSeedSubFilter.PADES
    )
    await signers.async_sign_pdf(
        IncrementalPdfFileWriter(signed), meta, signer=authority.person("N. N."), in_place=True
    )
    language = {
        "language": "en",
        "file": "text.pdf",
        "mediaType": "application/pdf",
        "sha256": sha256(plain).hexdigest(),
    }
    framework = documents.read(agreeing.document(languageVersions=[language]))
    found = await verdict(signed.getvalue(), authority.pem, framework)
    assert (found.valid, found.detail) == (True, "over the text in en")
    other = await verdict(signed.getvalue(), authority.pem)
    assert not other.valid
    assert "none of the texts" in other.detail
    changed = bytearray(signed.getvalue())
    changed[-40] ^= 1
    assert not (await verdict(bytes(changed), authority.pem, framework)).valid
