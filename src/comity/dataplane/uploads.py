"""How one resource goes to an HTTP endpoint: headers, offsets and answers. Pure but for reading an answer.

Resumable is an endpoint that answers HEAD as the core of tus 1.0 says (`Tus-Resumable`, `Upload-Offset`): the rest is
sent with PATCH. Any other gets the whole body. Digests are RFC 9530's. See docs/decisions/0012-push.md.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import Final

from comity.dataplane import fetch, serve
from comity.errors import PermanentDeliveryError, TransientDeliveryError

TUS: Final = "1.0.0"
OFFSET_TYPE: Final = "application/offset+octet-stream"
SEAL: Final = "Comity-Seal"
"""Header of the request that brings a package's manifest: the seal over it."""
AHEAD: Final = "Comity-Ahead"
"""Header of an answer: so many bytes may be sent before their turn, in blocks side by side; of a block that waits."""
CONFLICT: Final = 409
MISMATCH: Final = 460
"""Status of tus for bytes that do not have the digest that was told."""
_WAIT: Final = frozenset({408, 423, 425, 429, 502, 503, 504})
_NUMBER = re.compile(r"[0-9]{1,19}")
_MAX_ANSWER: Final = 64 * 1024
_REDIRECTS: Final = range(300, 400)
_SUCCESS: Final = range(200, 300)
WHO: Final = "the receiver"


@dataclass(frozen=True, slots=True)
class Described:
    """What is told of a resource: its size (None: unknown), SHA-256 in hex or "", media type and file name.

    `seal` is that of a manifest.
    """

    size_bytes: int | None
    sha256: str
    media_type: str
    name: str
    seal: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a resumable endpoint stands: bytes it has, and whether it still wants to be told how many there will be.

    `ahead_bytes`: blocks may come so far before their turn (0: all of the rest is one body).
    """

    offset: int
    length_unknown: bool
    ahead_bytes: int = 0


def digest_header(sha256: str) -> str:
    """Write a SHA-256 (hex) as RFC 9530 does."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"


def whole_headers(content: Described) -> dict[str, str]:
    """Headers of a request with the whole body."""
    headers = {
        "Content-Type": content.media_type,
        "Content-Disposition": serve.disposition(content.name),
    }
    if content.size_bytes is not None:
        headers["Content-Length"] = str(content.size_bytes)
    if content.sha256:
        headers["Repr-Digest"] = headers["Content-Digest"] = digest_header(content.sha256)
    if content.seal:
        headers[SEAL] = content.seal
    return headers


def rest_headers(content: Described, place: Place, block: tuple[int, int] | None = None) -> dict[str, str]:
    """Headers of a PATCH with the rest of a body whose size is known, or a `block` of it (begin, end)."""
    size = content.size_bytes or 0
    begin, end = block or (place.offset, size)
    headers = {
        "Tus-Resumable": TUS,
        "Upload-Offset": str(begin),
        "Content-Type": OFFSET_TYPE,
        "Content-Length": str(end - begin),
        "Content-Disposition": serve.disposition(content.name),
    }
    if block:
        headers[AHEAD] = "1"
    if place.length_unknown:
        headers["Upload-Length"] = str(size)
    if content.sha256:
        headers["Repr-Digest"] = digest_header(content.sha256)
        if (begin, end) == (0, size):
            headers["Content-Digest"] = headers["Repr-Digest"]
    return headers


def read_place(answer: fetch.Response, content: Described) -> Place | None:
    """Read the answer to HEAD; None if the endpoint does not say that it can be resumed.

    Raises:
        TransientDeliveryError: it asks to come again.
        PermanentDeliveryError: it holds more than there is, or another length.
    """
    if answer.status in _WAIT:
        raise TransientDeliveryError(
            f"{WHO} answers with status {answer.status}", retry_after_s=fetch.retry_after_s(answer)
        )
    offset = answer.headers.get("Upload-Offset") or ""
    told = (answer.headers.get("Tus-Resumable"), answer.status in _SUCCESS, bool(_NUMBER.fullmatch(offset)))
    if told != (TUS, True, True):
        return None
    length = answer.headers.get("Upload-Length") or ""
    known = int(length) if _NUMBER.fullmatch(length) else None
    if known not in {None, content.size_bytes} or int(offset) > (content.size_bytes or 0):
        raise PermanentDeliveryError(
            f"{WHO} expects {length or 'another number of'} bytes and has {offset}, but there are {content.size_bytes}",
            status=answer.status,
        )
    return Place(int(offset), known is None, ahead_of(answer))


def ahead_of(answer: fetch.Response) -> int:
    """Read how far before their turn an endpoint takes blocks; 0 if it does not say so."""
    told = answer.headers.get(AHEAD) or ""
    return int(told) if _NUMBER.fullmatch(told) else 0


async def check(answer: fetch.Response, sha256: str) -> None:
    """Check the answer to a body, or to the rest of one: success, and no digest other than `sha256` (hex).

    A digest that is the answer's own content's says nothing of ours (RFC 9530, appendix B.8).

    Raises:
        TransientDeliveryError: another attempt may succeed.
        PermanentDeliveryError: it is refused, redirected, or arrived as something else (code `hash-mismatch`).
    """
    if answer.status in _REDIRECTS:
        raise PermanentDeliveryError(
            f"{WHO} redirects with status {answer.status}; redirects are not followed",
            status=answer.status,
            hint="name the final address",
        )
    if answer.status not in _SUCCESS:
        raise await fetch.refusal(answer, who=WHO)
    told = fetch.digest_of(answer)
    if told and sha256 and told != sha256:
        own = await fetch.read(answer, _MAX_ANSWER)
        if hashlib.sha256(own).hexdigest() != told or not own:
            raise mismatch(f"{WHO} says that it has the SHA-256 {told}, not {sha256}")


def offset_after(answer: fetch.Response) -> int | None:
    """Read how many bytes a resumable endpoint has after a PATCH."""
    offset = answer.headers.get("Upload-Offset") or ""
    return int(offset) if _NUMBER.fullmatch(offset) else None


def mismatch(message: str) -> PermanentDeliveryError:
    """Make the error for bytes that arrived as something else."""
    error = PermanentDeliveryError(message)
    error.code = "hash-mismatch"
    return error
