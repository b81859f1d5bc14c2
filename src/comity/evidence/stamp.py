"""Time stamps of checkpoints by an independent authority (RFC 3161): what is asked for, and whether the answer holds.

A stamp is about the bytes of a note as its log signed it, without cosignatures. It is checked with the authority's
certificates alone, as of the time that it says, so that it holds after they have expired. Who asks is `net.stamp`. What
reads stamps is loaded where there is one: it would cost every start 50 ms.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from comity import errors

if TYPE_CHECKING:
    from cryptography import x509
    from rfc3161_client import TimeStampResponse

_REASON: Final = re.compile(r'reason: "([^"]{1,200})"')
REQUEST_TYPE: Final = "application/timestamp-query"
MAX_BYTES: Final = 64 * 1024


class StampError(errors.ComityError):
    """A time stamp cannot be read, or does not hold."""

    code = "broken-stamp"


class Stamp(Struct, frozen=True):
    """What a time stamp says: when (ms since 1970, by the authority's clock), who signed it, under which number."""

    at: int
    authority: str
    serial: int


def request(note: str) -> bytes:
    """Return the request for a stamp of a note.

    It has no nonce: no two notes are the same, since signatures are not, so that no old answer fits.
    """
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder  # noqa: PLC0415  start-up time

    builder = TimestampRequestBuilder(note.encode(), HashAlgorithm.SHA256, nonce=False, cert_req=True)
    return builder.build().as_bytes()


def certificates(pem: bytes) -> list[x509.Certificate]:
    """Return the certificates in a PEM file.

    Raises:
        StampError: there are none.
    """
    from cryptography import x509  # noqa: PLC0415  start-up time

    try:
        found = x509.load_pem_x509_certificates(pem)
    except ValueError:
        found = []
    if not found:
        raise StampError("there are no certificates in PEM form")
    return found


def check(response: bytes, note: str, trusted: list[x509.Certificate]) -> Stamp:
    """Check that an authority with one of the `trusted` certificates has stamped a note, and return what it says.

    Raises:
        StampError: it has not.
    """
    from rfc3161_client import (  # noqa: PLC0415  start-up time
        VerificationError,
        VerifierBuilder,
        decode_timestamp_response,
    )

    roots = [each for each in trusted if each.issuer == each.subject] or trusted
    others = [each for each in trusted if each not in roots]
    try:
        found = decode_timestamp_response(response[:MAX_BYTES])
        if found.status != 0:
            raise StampError(f"the authority gave no time stamp: {_words(found)}")
        VerifierBuilder(roots=roots, intermediates=others).build().verify_message(found, note.encode())
        return _said(found)
    except (VerificationError, ValueError, TypeError) as error:
        reason = _REASON.search(str(error))  # OpenSSL's, out of a list of where in its code it is
        why = reason[1] if reason else str(error)[:200]
        raise StampError(f"the time stamp does not hold: {why}") from None


def _words(response: TimeStampResponse) -> str:
    words = ", ".join(response.status_string or [])[:200]
    return f"status {response.status}" + (f", {words}" if words else "")


def _said(response: TimeStampResponse) -> Stamp:
    from cryptography import x509  # noqa: PLC0415  start-up time

    info, signed = response.tst_info, response.signed_data
    signer = next(iter(signed.signer_infos))
    names = [
        each.subject.rfc4514_string()
        for each in map(x509.load_der_x509_certificate, signed.certificates)
        if each.serial_number == signer.serial_number and each.issuer == signer.issuer
    ]
    at = info.gen_time
    at = at if at.tzinfo else at.replace(tzinfo=dt.UTC)
    return Stamp(round(at.timestamp() * 1000), names[0] if names else "", info.serial_number)
