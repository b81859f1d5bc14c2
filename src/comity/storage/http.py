"""HTTP back ends: a resource behind a URL that the operator published, read through the one guarded client.

A partner never adds to the address: no path, no query, no header of its request reaches the back end, and
no header of the back end's answer leaves this module, only its bytes. Redirects are not followed, so that a
source's credentials reach the origin that the operator named, and no other. With an
ETag and a size written down at publishing, ranges are asked for under that ETag (RFC 9110 13.1.1), so that
a changed resource is refused.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Final, Protocol

from comity.errors import DeliveryError, StorageError
from comity.storage.source import Source, changed

_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]{0,200}"')
_MEDIA_TYPE = re.compile(
    r"[A-Za-z0-9!#$&^_.+-]{1,100}/[A-Za-z0-9!#$&^_.+-]{1,100}(;[ A-Za-z0-9_.=\"-]{1,100})?"
)
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/(?:[0-9]{1,19}|\*)")

_OK: Final = 200
_PARTIAL: Final = 206
_CHANGED: Final = frozenset({404, 410, 412, 416})
_MAX_DIGITS: Final = 19


class Response(Protocol):
    """The head of an answer."""

    @property
    def status(self) -> int:
        """HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers, looked up without regard to case."""
        ...


class StreamResponse(Response, Protocol):
    """An answer whose body is read piece by piece."""

    def chunks(self) -> AsyncIterator[bytes]:
        """Body, in chunks of up to 1 MiB."""
        ...


class Client(Protocol):
    """What this back end needs of `net.http.HttpClient`."""

    def stream(
        self, method: str, url: str, *, headers: Mapping[str, str]
    ) -> AbstractAsyncContextManager[StreamResponse]:
        """Send a request and read its answer piece by piece."""
        ...


class HttpSource:
    """The back end for published URLs; `headers` are sent along to every one of them."""

    def __init__(self, client: Client, *, headers: Mapping[str, str] | None = None) -> None:
        self._client = client
        self._headers = {"Accept-Encoding": "identity", **(headers or {})}

    async def publish(
        self,
        address: str,
        *,
        name: str = "",
        media_type: str = "",
        credentials: tuple[tuple[str, str], ...] = (),
    ) -> Source:
        """Ask the back end (HEAD) what is behind a URL and return it as the source to be written down.

        Size and ETag stay empty if it does not tell or does not allow HEAD; the resource is then served
        whole only. `credentials` are headers that this back end asks for.

        Raises:
            StorageError: it cannot be reached, refuses, or redirects.
        """
        try:
            sent = {**self._headers, **dict(credentials)}
            async with self._client.stream("HEAD", address, headers=sent) as answer:
                status, headers = answer.status, answer.headers
        except DeliveryError as error:
            raise StorageError(
                f"{_shown(address)} cannot be reached: {error.message}", hint=error.hint
            ) from error
        if status in {405, 501}:
            headers = {}
        elif status != _OK:
            raise StorageError(
                f"{_shown(address)} answers HEAD with status {status}", hint="publish the final address"
            )
        told = headers.get("Content-Type") or ""
        length = headers.get("Content-Length") or ""
        etag = headers.get("ETag") or ""
        return Source(
            kind="http",
            address=address,
            size_bytes=int(length) if _is_number(length) else None,
            etag=etag if _STRONG_ETAG.fullmatch(etag) else "",
            media_type=media_type or (told if _MEDIA_TYPE.fullmatch(told) else "application/octet-stream"),
            name=name,
            credentials=credentials,
        )

    async def open_range(
        self, source: Source, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Open bytes `start` to `end` (exclusive) behind a published URL.

        Raises:
            StorageError: it cannot be reached, refuses, is not what was published, or sends less or more
                than it said.
        """
        stop = source.size_bytes if end is None else end
        part = start > 0 or stop != source.size_bytes
        headers = {**self._headers, **dict(source.credentials)}
        if source.etag:
            headers["If-Match"] = source.etag
        if part:
            headers["Range"] = f"bytes={start}-{'' if stop is None else stop - 1}"
        stack = AsyncExitStack()
        try:
            answer = await stack.enter_async_context(
                self._client.stream("GET", source.address, headers=headers)
            )
            _check_answer(source, answer, start, part=part)
        except DeliveryError as error:
            await stack.aclose()
            raise StorageError(f"{_shown(source.address)} cannot be reached: {error.message}") from error
        except BaseException:
            await stack.aclose()
            raise
        return _exactly(stack, answer, source, None if stop is None else stop - start)


def _check_answer(source: Source, answer: Response, start: int, *, part: bool) -> None:
    where = _shown(source.address)
    if answer.status in _CHANGED:
        raise changed(f"{where} answers with status {answer.status}: it is not what was published")
    if answer.status != (_PARTIAL if part else _OK):
        raise StorageError(f"{where} answers with status {answer.status}")
    etag = answer.headers.get("ETag") or ""
    if source.etag and etag != source.etag:
        raise changed(f"{where} now has the ETag {etag[:100]!r}")
    if part:
        said = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range") or "")
        if said is None or int(said[1]) != start:
            raise StorageError(f"{where} does not say which range it sends")
    elif source.size_bytes is not None:
        length = answer.headers.get("Content-Length") or ""
        if _is_number(length) and int(length) != source.size_bytes:
            raise changed(f"{where} now has {length} bytes")


async def _exactly(
    stack: AsyncExitStack, answer: StreamResponse, source: Source, size: int | None
) -> AsyncGenerator[bytes, None]:
    """Hand on the chunks and fail when they are not exactly `size` bytes."""
    done = 0
    async with stack:
        try:
            async for chunk in answer.chunks():
                done += len(chunk)
                if size is not None and done > size:
                    break
                yield chunk
        except DeliveryError as error:
            raise StorageError(
                f"{_shown(source.address)} broke off after {done} bytes: {error.message}"
            ) from error
    if size is not None and done != size:
        raise changed(f"{_shown(source.address)} sent {done} bytes where {size} were published")


def _shown(address: str) -> str:
    """Return an address for messages and logs, without its query: that may hold the key to it."""
    return repr(address.partition("?")[0])


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
