"""Signatories' own signatures over a framework agreement: CMS over the document, PAdES over a text, with no network."""

import datetime as dt
import io
from hashlib import sha256

import pytest
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.writer import PageObject, PdfFileWriter
from pyhanko.sign import signers

from comity.controlplane import signatories
from comity.framework import document as documents
from support import agreeing
from support.people import Authority, cms

SAID = agreeing.document()
DOCUMENT = documents.canonical(SAID)
FRAMEWORK = documents.read(SAID)


@pytest.fixture(scope="module")
def authority():
    return Authority("Test Root")


async def verdict(content, roots, framework=FRAMEWORK):
    return await signatories.verify(content, DOCUMENT, framework, roots, agreeing.A)


async def test_a_signature_over_the_document_says_who_and_when(authority):
    found = await verdict(await cms(authority.person("N. N."), DOCUMENT), authority.pem)
    assert (found.valid, found.detail) == (True, "over the document")
    assert "N. N." in found.signer
    assert found.signed_at.startswith("20")


async def test_why_a_signature_does_not_hold_is_said(authority):
    signer = authority.person("N. N.")
    other = await cms(signer, b"another document")
    strangers = await cms(Authority("Other Root").person("N. N."), DOCUMENT)
    unnamed = await cms(authority.person("Somebody Else"), DOCUMENT)
    for content, why in (
        (other, "what was signed is something else"),
        (strangers, "leads to no root that is trusted here"),
        (unnamed, f"the document names N. N. as signatories of {agreeing.A}"),
        (b"no signature", "it cannot be read"),
    ):
        found = await verdict(content, authority.pem)
        assert not found.valid
        assert why in found.detail
    assert not (await verdict(await cms(signer, DOCUMENT), b"")).valid


async def test_a_certificate_that_has_ended_since_counts_at_the_time_that_the_signer_says(authority):
    ended, then = authority.person("N. N.", days=(60, -30)), dt.datetime.now(dt.UTC) - dt.timedelta(days=45)
    found = await verdict(await cms(ended, DOCUMENT, then), authority.pem)
    assert (found.valid, "has ended since" in found.detail) == (True, True)
    assert not (await verdict(await cms(ended, DOCUMENT), authority.pem)).valid


async def test_a_name_inside_another_name_is_not_that_person(authority):
    assert not (await verdict(await cms(authority.person("Ann. N."), DOCUMENT), authority.pem)).valid


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
