"""How the receiver asks for bytes and reads the answer: statuses, ranges and pieces of a useful size.

The client is injected (`net.http.HttpClient.stream` with its method bound). What a provider answers is
judged here: refusals that stay, failures worth another attempt, and answers that are not what was asked
for.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from typing import Final, Protocol

from comity.errors import DeliveryError, PermanentDeliveryError, TransientDeliveryError

PIECE_BYTES: Final = 512 * 1024
_MAX_REASON: Final = 500
_OK: Final = 200
_NO_SEAL: Final = frozenset({404, 405})
_MAX_SEAL: Final = 16 * 1024
_MAX_REASON_BYTES: Final = 16 * 1024
_TRANSIENT: Final = frozenset({408, 412, 416, 423, 425, 429})
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19})")
_REPR_DIGEST = re.compile(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/]{43}=):")
_FILE_NAME = re.compile(r"filename=\"([^\"\\]{1,240})\"")
_NUMBER = re.compile(r"[0-9]{1,18}")  # more than that no store of ours counts


class Response(Protocol):
    """An answer whose body is read piece by piece."""

    @property
    def status(self) -> int:
        """HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers, looked up without regard to case."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Body, in chunks of any size up to about 1 MiB."""
        ...


class Fetch(Protocol):
    """A GET: `functools.partial(client.stream, "GET")`."""

    def __call__(self, url: str, *, headers: Mapping[str, str]) -> AbstractAsyncContextManager[Response]:
        """Send the request.

        Raises:
            DeliveryError: transient or permanent, on entering or while reading.
        """
        ...


async def pieces(answer: Response) -> AsyncGenerator[bytes, None]:
    """Join small chunks into pieces of half a MiB or more; none is lost when the stream breaks."""
    gathered: list[bytes] = []
    size = 0
    broken: DeliveryError | None = None
    try:
        async for chunk in answer.chunks():
            gathered.append(chunk)
            size += len(chunk)
            if size >= PIECE_BYTES:
                yield gathered[0] if len(gathered) == 1 else b"".join(gathered)
                gathered, size = [], 0
    except DeliveryError as error:
        broken = error
    if gathered:
        yield b"".join(gathered)
    if broken is not None:
        raise broken


async def read(answer: Response, limit: int) -> bytes:
    """Read a whole body of at most `limit` bytes.

    Raises:
        PermanentDeliveryError: it is longer.
    """
    gathered: list[bytes] = []
    size = 0
    async for chunk in answer.chunks():
        size += len(chunk)
        if size > limit:
            raise PermanentDeliveryError(f"the provider sent more than {limit} bytes where less was expected")
        gathered.append(chunk)
    return b"".join(gathered)


async def read_seal(answer: Response) -> str:
    """Read the seal of a package, "" where there is none.

    Raises:
        DeliveryError: the provider refuses.
    """
    if answer.status in _NO_SEAL:
        return ""
    if answer.status != _OK:
        raise await refusal(answer)
    return (await read(answer, _MAX_SEAL)).decode("ascii", "replace")


async def refusal(answer: Response, *, who: str = "the provider's data plane") -> DeliveryError:
    """Make the error for a status that is not one of success, with the other side's own words."""
    words = await _words(answer)
    message = f"{who} answers with status {answer.status}" + (f": {words}" if words else "")
    if answer.status in _TRANSIENT or answer.status >= 500:  # noqa: PLR2004
        return TransientDeliveryError(message, retry_after_s=retry_after_s(answer))
    return PermanentDeliveryError(message, status=answer.status, reason=words)


def retry_after_s(answer: Response) -> float | None:
    """Return Retry-After, where it is a number of seconds."""
    wait = answer.headers.get("Retry-After") or ""
    return float(wait) if _NUMBER.fullmatch(wait) else None


async def _words(answer: Response) -> str:
    body = b""
    with suppress(DeliveryError):
        async for chunk in answer.chunks():
            body += chunk
            if len(body) > _MAX_REASON_BYTES:
                return ""
    with suppress(ValueError, RecursionError):
        told = json.loads(body)
        words = told.get("message") or told.get("reason") if isinstance(told, dict) else None
        if isinstance(words, str):
            return "".join(char if char.isprintable() else " " for char in words)[:_MAX_REASON]
    return ""


def part_of(answer: Response) -> tuple[int, int, int] | None:
    """Read Content-Range as (first byte, byte after the last, whole size); None if Content-Length says otherwise."""
    found = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range") or "")
    if found is None or length_of(answer) not in {None, int(found[2]) + 1 - int(found[1])}:
        return None
    return int(found[1]), int(found[2]) + 1, int(found[3])


def length_of(answer: Response) -> int | None:
    """Read Content-Length."""
    told = answer.headers.get("Content-Length") or ""
    return int(told) if _NUMBER.fullmatch(told) else None


def media_type_of(answer: Response) -> str:
    """Read Content-Type without its parameters, in lower case."""
    return (answer.headers.get("Content-Type") or "").partition(";")[0].strip().lower()


def digest_of(answer: Response) -> str:
    """Read the SHA-256 of Repr-Digest (RFC 9530) as hex, or ""."""
    found = _REPR_DIGEST.search((answer.headers.get("Repr-Digest") or "")[:4096])
    if not found:
        return ""
    with suppress(binascii.Error):
        return base64.b64decode(found[1], validate=True).hex()
    return ""


def name_of(answer: Response) -> str:
    """Read the plain file name that Content-Disposition offers, or ""."""
    found = _FILE_NAME.search((answer.headers.get("Content-Disposition") or "")[:1024])
    return found[1] if found else ""
