"""Reads an answer's body: up to its limit, and out of gzip where it is packed.

What is packed is undone piece by piece and never past the limit: how much comes out of a few bytes is the sender's to
choose. Errors keep their words whatever form those have. Who calls: `http`, which opens the connection and closes it.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping
from hashlib import sha256
from typing import Final, Protocol

from yarl import URL

from comity import errors

ERROR: Final = 400
STEP_BYTES: Final = 256 * 1024
_MAX_ERROR_BYTES: Final = 64 * 1024
_GZIP: Final = frozenset({"gzip", "x-gzip"})


class Body(Protocol):
    """A body that comes in pieces."""

    async def readany(self) -> bytes:
        """Return what has come, or wait for it; nothing at the end."""


class Incoming(Protocol):
    """An answer whose head is there: of a connection of ours, or of the library that streams."""

    status: int
    method: str

    @property
    def headers(self) -> Mapping[str, str]:
        """Its headers, looked up without regard to case."""

    @property
    def content(self) -> Body:
        """Its body."""

    @property
    def content_length(self) -> int | None:
        """The length that it says its body has."""

    def close(self) -> None:
        """Drop the connection."""


async def read(response: Incoming, target: URL, limit: int) -> tuple[bytes, str]:
    """Return the body, at most `limit` bytes when it is unpacked; an error's is cut at 64 KiB.

    Beside it stands the hex digest of what came, where that was packed, else nothing.

    Raises:
        PermanentDeliveryError: it is longer, or packed in a way that cannot be undone.
    """
    failed = response.status >= ERROR
    most = min(limit, _MAX_ERROR_BYTES) if failed else limit
    if encoding(response) and not failed:
        return await _read_packed(response, target, most)
    length = response.content_length
    if length is not None and length > most and response.method != "HEAD" and not failed:
        raise too_large(target, response, most)
    content = await _read_up_to(response, most)
    if len(content) > most:
        if not failed:
            raise too_large(target, response, most)
        response.close()
        content = content[:most]
    return (_words_of_error(content, response) if failed else content), ""


async def _read_up_to(response: Incoming, most: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while size <= most and (piece := await response.content.readany()):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


def encoding(response: Incoming) -> str:
    """Return the Content-Encoding, empty for none."""
    name = response.headers.get("Content-Encoding", "").strip().lower()
    return "" if name == "identity" else name


async def _read_packed(response: Incoming, target: URL, most: int) -> tuple[bytes, str]:
    """Undo gzip while it comes, one member, never more than `most` bytes and a step beyond: a bomb is not unpacked."""
    if encoding(response) not in _GZIP:
        raise encoded(target, response)
    unpacking = zlib.decompressobj(wbits=31)
    pieces: list[bytes] = []
    size, came, digest = 0, False, sha256()
    while packed := await response.content.readany():
        came, plain = True, b"x" * STEP_BYTES
        digest.update(packed)
        while (
            packed or len(plain) == STEP_BYTES
        ):  # with a full step there may be more inside, also without input
            try:
                plain = unpacking.decompress(packed, STEP_BYTES)
            except zlib.error:
                raise encoded(target, response) from None
            pieces.append(plain)
            size += len(plain)
            if size > most:
                raise too_large(target, response, most)
            packed = unpacking.unconsumed_tail
            await asyncio.sleep(0)  # others go on meanwhile
        if unpacking.unused_data:
            raise encoded(target, response)
    if came and not unpacking.eof:
        raise encoded(target, response)
    return b"".join(pieces), digest.hexdigest()


def _words_of_error(content: bytes, response: Incoming) -> bytes:
    """Return an error's body so that its words can be read, as it is where that cannot be."""
    if encoding(response) not in _GZIP:
        return content
    try:
        return zlib.decompressobj(wbits=31).decompress(content, _MAX_ERROR_BYTES)
    except zlib.error:
        return content


def shown(target: URL | str) -> str:
    """Return a URL for messages, without its query, which may hold what others must not read."""
    return str(target).partition("?")[0][:200]


def too_large(target: URL, response: Incoming, most: int) -> errors.PermanentDeliveryError:
    """Drop the connection and return the error for a body that is longer than is taken."""
    response.close()
    return errors.PermanentDeliveryError(
        f"{shown(target)} answers with more than {most} bytes", status=response.status
    )


def encoded(target: URL, response: Incoming) -> errors.PermanentDeliveryError:
    """Drop the connection and return the error for a body in an encoding that is not undone."""
    response.close()
    return errors.PermanentDeliveryError(
        f"{shown(target)} answers in the Content-Encoding {encoding(response)[:40]!r}, which cannot be undone here",
        status=response.status,
    )
