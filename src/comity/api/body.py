"""A request's body, read up to a limit: what is longer is refused while it comes, not after it filled the memory.

Who calls: the protocol's endpoints and the management API, each with its own limit.
"""

from __future__ import annotations

import asyncio
import math

from starlette.requests import ClientDisconnect, Request

from comity import errors
from comity.api.connection import WHOLE

BODY_S = 30.0
SHORT_BYTES = 64 * 1024
_LENGTH_DIGITS = 19
_PLAIN = {b"", b"identity"}


class TooLargeError(errors.InvalidInputError):
    """The body is longer than is taken."""

    code = "too-large"


class TooSlowError(errors.InvalidInputError):
    """The body did not come in time."""

    code = "too-slow"


class NotJsonError(errors.InvalidInputError):
    """The body says of itself that it is something else than JSON."""

    code = "not-json"


class EncodedError(errors.InvalidInputError):
    """The body is compressed, or says so."""

    code = "encoded"


async def read(request: Request, limit: int) -> bytes:
    """Return the body of a request of at most `limit` bytes.

    Raises:
        TooLargeError: it says it is longer, or is.
        TooSlowError: it is not there within 30 s.
        EncodedError: it is compressed.
        InvalidInputError: it ended before it was whole.
    """
    check_length(request, limit)
    for name, encodings in request.scope["headers"]:
        if name == b"content-encoding" and {each.strip() for each in encodings.lower().split(b",")} - _PLAIN:
            raise EncodedError("a compressed body is not taken", hint="send it without Content-Encoding")
    try:
        if WHOLE in request.scope.get(
            "extensions", ()
        ):  # it has come already, so a timer would be for nothing
            return await _gathered(request, limit)
        async with asyncio.timeout(BODY_S):
            return await _gathered(request, limit)
    except ClientDisconnect:
        raise errors.InvalidInputError("the body ended before it was whole") from None
    except TimeoutError:
        raise TooSlowError(f"the body was not whole within {BODY_S:.0f} s") from None


async def _gathered(request: Request, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        chunks.append(chunk)
    return b"".join(chunks)


def check_length(request: Request, limit: int) -> None:
    """Refuse a request that says its body has more than `limit` bytes.

    Raises:
        TooLargeError: it does.
    """
    if _told(request) > limit:
        raise _too_large(limit)


def is_short(request: Request) -> bool:
    """Return whether a request says that its body is so short that reading it costs little, whoever sent it."""
    return 0 <= _told(request) <= SHORT_BYTES


def _told(request: Request) -> float:
    """Return the length that a request says its body has, -1 if it says none."""
    told = next((text for name, text in request.scope["headers"] if name == b"content-length"), b"")
    if not told.isdigit():
        return -1
    return int(told) if len(told) <= _LENGTH_DIGITS else math.inf


def check_json(request: Request) -> None:
    """Refuse a body that says it is not JSON; one that says nothing is taken for JSON.

    Raises:
        NotJsonError: its Content-Type is another one.
    """
    told = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if told not in {"", "application/json", "text/json"} and not told.endswith("+json"):
        raise NotJsonError(
            f"the body must be JSON, not {told[:100]}", hint="send it with Content-Type: application/json"
        )


def _too_large(limit: int) -> TooLargeError:
    return TooLargeError(f"the body has more than {limit} bytes, the most that is taken here")
