"""Verifies named signatories' own signatures over a framework agreement, with no network: CMS, or PAdES in a PDF.

A detached CMS signature (CAdES) is over the document's canonical bytes. A signed PDF is one of the language versions
with signatures added to it: its first revision must have the digest that the document binds. pyHanko does the work, an
extra (`comity[signatures]`); certificates are trusted up to the roots in `frameworks.trust_roots`.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from typing import Any

from msgspec import Struct

from comity import errors
from comity.framework.document import Framework

CMS, PDF = "application/pkcs7-signature", "application/pdf"
MAX_BYTES = 512 * 1024
_log = logging.getLogger(
    "pyhanko"
)  # it tells each certificate that leads nowhere with a traceback: we say it
_log.setLevel(logging.CRITICAL)
_END = re.compile(rb"%%EOF(?:\r\n|\r|\n)?")


class Verdict(Struct, frozen=True):
    """Who signed, when by the signer's own word, and whether it holds; `detail` says what it covers or why not."""

    signer: str
    signed_at: str
    valid: bool
    detail: str


def kind(content: bytes) -> str:
    """Return the media type of a signature file.

    Raises:
        InvalidInputError: it is too large.
    """
    if len(content) > MAX_BYTES:
        raise errors.InvalidInputError(
            f"a signature may have {MAX_BYTES} bytes", path="$.content", hint="sign with CMS instead"
        )
    return PDF if content.startswith(b"%PDF-") else CMS


async def verify(content: bytes, document: bytes, framework: Framework, roots: bytes, party: str) -> Verdict:
    """Return what a signature file says, and whether it holds for a framework agreement."""
    try:
        if kind(content) == PDF:
            verdict = await _verify_pdf(content, framework, roots)
        else:
            verdict = await _verify_cms(content, document, roots)
    except ImportError:
        return Verdict("", "", False, f"not verified: that needs {errors.install('signatures')}")
    except Exception as error:  # noqa: BLE001  a file from outside, read by others' code
        return Verdict("", "", False, f"it cannot be read: {type(error).__name__}: {error}"[:300])
    return _named(verdict, framework, party)


def _named(verdict: Verdict, framework: Framework, party: str) -> Verdict:
    """Refuse a signature of somebody that the document does not name as a signatory of the party."""
    names = [
        person.name
        for each in framework.parties
        if each.participant_id == party
        for person in each.signatories
    ]
    signer = _plain(verdict.signer)
    known = any(re.search(rf"(?<!\w){re.escape(_plain(name))}(?!\w)", signer) for name in names)
    if not verdict.valid or known or not names:
        return verdict
    detail = f"the document names {', '.join(names)} as signatories of {party}"
    return Verdict(verdict.signer, verdict.signed_at, False, detail)


def _plain(name: str) -> str:
    return " ".join(name.casefold().split())


def _context(roots: bytes, moment: datetime | None = None) -> Any:
    from asn1crypto import pem, x509  # noqa: PLC0415  an extra
    from pyhanko_certvalidator import ValidationContext  # noqa: PLC0415

    trusted = [
        x509.Certificate.load(der) for _, _, der in (pem.unarmor(roots, multiple=True) if roots else ())
    ]
    return ValidationContext(trust_roots=trusted, allow_fetching=False, moment=moment)


async def _judged(validate: Callable[[Any], Awaitable[Any]], roots: bytes, covers: str) -> Verdict:
    """Return what a signature is worth: now, or if its certificate has ended, at the time that its signer says."""
    status = await validate(_context(roots))
    at = status.signer_reported_dt
    if not status.bottom_line and status.intact and status.valid and at and at < datetime.now(UTC):
        then = await validate(_context(roots, at))
        if then.bottom_line:
            return _verdict(then, f"{covers}; its certificate has ended since, and held at that time")
    return _verdict(status, covers)


async def _verify_cms(content: bytes, document: bytes, roots: bytes) -> Verdict:
    from asn1crypto import cms, pem  # noqa: PLC0415  an extra
    from pyhanko.sign.validation import async_validate_detached_cms  # noqa: PLC0415

    der = pem.unarmor(content)[2] if pem.detect(content) else content
    info = cms.ContentInfo.load(der, strict=True)

    async def validate(context: Any) -> Any:
        return await async_validate_detached_cms(document, info["content"], signer_validation_context=context)

    return await _judged(validate, roots, "over the document")


async def _verify_pdf(content: bytes, framework: Framework, roots: bytes) -> Verdict:
    from pyhanko.pdf_utils.reader import PdfFileReader  # noqa: PLC0415  an extra

    texts = {each.sha256: each.language for each in framework.language_versions}
    language = next((texts[digest] for digest in _revisions(content) if digest in texts), None)
    if language is None:
        return Verdict(
            "", "", False, "it is none of the texts that the document binds, with a signature added"
        )
    signatures = PdfFileReader(io.BytesIO(content)).embedded_signatures
    if not signatures:
        return Verdict("", "", False, "there is no signature in it")
    covers = f"over the text in {language}"
    found = [await _judged(partial(_pdf_status, each), roots, covers) for each in signatures]
    return next((each for each in found if not each.valid), found[-1])


async def _pdf_status(signature: Any, context: Any) -> Any:
    from pyhanko.sign.validation import async_validate_pdf_signature  # noqa: PLC0415  an extra

    return await async_validate_pdf_signature(signature, signer_validation_context=context)


def _revisions(content: bytes) -> Iterator[str]:
    """Yield the digest of what a PDF was before each change that was added to it."""
    for end in _END.finditer(content):
        for last in range(end.start() + len(b"%%EOF"), end.end() + 1):
            yield sha256(content[:last]).hexdigest()


def _verdict(status: Any, covers: str) -> Verdict:
    signer = status.signing_cert.subject.human_friendly.removeprefix("Common Name: ")
    at = status.signer_reported_dt.isoformat() if status.signer_reported_dt else ""
    if status.bottom_line:
        return Verdict(signer, at, True, covers)
    why = (
        "its certificate leads to no root that is trusted here"
        if status.intact and status.valid and not status.trusted
        else "what was signed is something else"
        if not status.intact
        else status.summary()
    )
    return Verdict(signer, at, False, why[:300])
