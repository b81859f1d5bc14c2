"""A request's body, read up to a limit: what is longer is refused while it comes, not after it filled the memory.

Who calls: the protocol's endpoints and the management API, each with its own limit.
"""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect, Request

from comity import errors

BODY_S = 30.0
SHORT_BYTES = 64 * 1024
_LENGTH_DIGITS = 19


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
    encodings = ",".join(request.headers.getlist("content-encoding")).lower().split(",")
    if any(each.strip() not in {"", "identity"} for each in encodings):
        raise EncodedError("a compressed body is not taken", hint="send it without Content-Encoding")
    try:
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
    told = request.headers.get("content-length", "")
    if told.isascii() and told.isdigit() and (len(told) > _LENGTH_DIGITS or int(told) > limit):
        raise _too_large(limit)


def is_short(request: Request) -> bool:
    """Return whether a request says that its body is so short that reading it costs little, whoever sent it."""
    told = request.headers.get("content-length", "")
    return told.isascii() and told.isdigit() and len(told) <= _LENGTH_DIGITS and int(told) <= SHORT_BYTES


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
