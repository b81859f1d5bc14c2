"""Reading at a partner's data plane without receiving: what is there, and any range of it.

What a range belongs to is told by its entity tag, which a Comity makes of the SHA-256: another content is refused. Only
what is read whole is hashed here. A server that ignores ranges is read from the beginning and the range cut out.
Refusals are `fetch`'s; where the partner is and with which token is the caller's.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing
from dataclasses import replace
from typing import Final, Protocol
from weakref import WeakValueDictionary

from comity.dataplane import fetch, serve
from comity.dsp.transfer import Access
from comity.errors import (
    ConflictError,
    DeliveryError,
    InvalidInputError,
    PermanentDeliveryError,
    TransientDeliveryError,
)
from comity.storage.source import Source
from comity.techdata import manifest

KIND: Final = "partner"
HASH_MISMATCH: Final = "hash-mismatch"
PLAIN_NAME: Final = "data"
AT_ONCE: Final = 8
"""How many ranges of one transfer are read at a time: a Comity hands out at most 16 streams of one."""
TRIES: Final = 5
PAUSE_S: Final = 0.05
_OK, _PARTIAL, _UNCHANGED, _CONFLICT, _CROWDED = 200, 206, 304, 409, 429
_NO_HEAD: Final = frozenset({400, 404, 405, 406, 501})
"""What servers answer HEAD that only know GET."""
_CHANGED: Final = frozenset({404, 410, 412, 416})
_STRONG_ETAG: Final = re.compile(r'"[\x21\x23-\x7e]{0,200}"')
_MEDIA_TYPE: Final = re.compile(r"[a-z0-9!#$&^_.+-]{1,100}/[a-z0-9!#$&^_.+-]{1,100}")


class Stream(Protocol):
    """`net.http.HttpClient.stream`."""

    def __call__(
        self, method: str, url: str, *, headers: Mapping[str, str]
    ) -> AbstractAsyncContextManager[fetch.Response]:
        """Send a request and hand over its answer piece by piece."""
        ...


class Remote:
    """What partners' data planes hand out, as a back end beside those of our own."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._open: WeakValueDictionary[object, asyncio.Semaphore] = WeakValueDictionary()

    async def look(
        self, access: Access, known: serve.Package | Source | None = None
    ) -> serve.Package | Source:
        """Return what a data address leads to: a package, or a single resource; `known` is what it led to before.

        Raises:
            DeliveryError: the partner cannot be reached or refuses, or sends what is no package.
        """
        headers = _authorized(access.authorization or "")
        if isinstance(known, serve.Package):
            return await self._look_again(access, known, headers)
        async with self._stream("HEAD", access.endpoint, headers=headers) as answer:
            found = _resource(access, answer) if answer.status == _OK else None
            if found is None and answer.status not in _NO_HEAD:
                raise await fetch.refusal(answer)
        if found is not None and found.media_type != manifest.MEDIA_TYPE:
            return found
        return await self._look_again(access, None, headers)

    async def _look_again(
        self, access: Access, known: serve.Package | None, headers: dict[str, str]
    ) -> serve.Package | Source:
        """Ask for a manifest, if it is another than the one that is known; what is no package is only looked at."""
        if known is not None:
            headers = {**headers, "If-None-Match": serve.etag_of(known.sha256)}
        async with self._stream("GET", access.endpoint, headers=headers) as answer:  # leaving early drops it
            if known is not None and answer.status == _UNCHANGED:
                return await asyncio.to_thread(_in_place, access, known)
            if answer.status != _OK:
                raise await fetch.refusal(answer)
            found = _resource(access, answer)
            if found.media_type != manifest.MEDIA_TYPE:
                return found
            data = await fetch.read(answer, manifest.MAX_BYTES)
            return await asyncio.to_thread(_package, access, data)  # a partner may name 100,000 files

    async def read_seal(self, access: Access) -> str:
        """Return the seal of the package at a data address, "" where there is none.

        Raises:
            DeliveryError: the partner cannot be reached or refuses.
        """
        headers = _authorized(access.authorization or "")
        async with self._stream("GET", serve.below(access.endpoint, serve.SEAL), headers=headers) as answer:
            return await fetch.read_seal(answer)

    async def open_range(
        self, source: Source, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Open bytes `start` to `end` (exclusive) of what `look` found.

        Raises:
            ConflictError: the partner has another content there now.
            DeliveryError: it cannot be reached, refuses, or sends something else, at once or while reading.
        """
        stop = source.size_bytes if end is None else end
        part = start > 0 or stop != source.size_bytes
        headers = {**_authorized(""), **dict(source.credentials)}
        if source.etag:
            headers["If-Match"] = source.etag
        if part:
            headers["Range"] = f"bytes={start}-{'' if stop is None else stop - 1}"
        stack = AsyncExitStack()
        places = self._open.setdefault(source.credentials or source.address, asyncio.Semaphore(AT_ONCE))
        try:
            await stack.enter_async_context(places)
            answer = await self._ask(stack, source.address, headers)
            await _check(source, answer, start, stop)
        except BaseException:
            await stack.aclose()
            raise
        skipped = start if part and answer.status == _OK else 0
        return _exactly(stack, answer, source, skipped, None if stop is None else stop - start)

    async def _ask(self, stack: AsyncExitStack, url: str, headers: dict[str, str]) -> fetch.Response:
        """Send a request, and again after a moment where the partner is still ending streams that have been read."""
        for at in range(TRIES):
            asked = self._stream("GET", url, headers=headers)
            answer = await asked.__aenter__()
            if answer.status != _CROWDED or at == TRIES - 1:
                break
            await asked.__aexit__(None, None, None)
            await asyncio.sleep(PAUSE_S * 2**at)
        stack.push_async_exit(asked)
        return answer


def with_token(source: Source, access: Access) -> Source:
    """Return a source with the token of today."""
    return replace(source, credentials=_credentials(access))


def _authorized(authorization: str) -> dict[str, str]:
    plain = {"Accept-Encoding": "identity"}
    return {**plain, "Authorization": authorization} if authorization else plain


def _credentials(access: Access) -> tuple[tuple[str, str], ...]:
    return (("Authorization", access.authorization),) if access.authorization else ()


def _resource(access: Access, answer: fetch.Response) -> Source:
    etag, told = answer.headers.get("ETag") or "", fetch.media_type_of(answer)
    return Source(
        kind=KIND,
        address=access.endpoint,
        size_bytes=fetch.length_of(answer),
        sha256=fetch.digest_of(answer),
        etag=etag if _STRONG_ETAG.fullmatch(etag) else "",
        media_type=told if _MEDIA_TYPE.fullmatch(told) else "application/octet-stream",
        name=fetch.name_of(answer) or PLAIN_NAME,
        credentials=_credentials(access),
    )


def _in_place(access: Access, known: serve.Package) -> serve.Package:
    """Return a package that is known, at the endpoint that the newest start has named. Blocks."""
    moved = any(
        each.address != serve.below(access.endpoint, serve.FILES + path) for path, each in known.files.items()
    )
    return _package(access, known.manifest) if moved else known


def _package(access: Access, data: bytes) -> serve.Package:
    """Return what a manifest's bytes name, at an endpoint. Blocks."""
    try:
        files = manifest.decode(data).files
    except InvalidInputError as error:
        raise PermanentDeliveryError(f"the partner's manifest is not acceptable: {error.message}") from error
    return serve.Package(
        data,
        manifest.digest(data),
        {
            file.path: Source(
                kind=KIND,
                address=serve.below(access.endpoint, serve.FILES + file.path),
                size_bytes=file.size_bytes,
                sha256=file.sha256,
                etag=serve.etag_of(file.sha256),
                media_type=file.media_type,
                name=file.path.rpartition("/")[2],
                credentials=_credentials(access),
            )
            for file in files
        },
    )


async def _check(source: Source, answer: fetch.Response, start: int, stop: int | None) -> None:
    if answer.status in _CHANGED and source.etag:
        raise _changed(source)
    if answer.status not in {_OK, _PARTIAL}:
        refusal = await fetch.refusal(answer)
        raise _spoilt(source, refusal) if answer.status == _CONFLICT else refusal
    if source.etag and (answer.headers.get("ETag") or source.etag) != source.etag:
        raise _changed(source)
    if answer.status == _PARTIAL and fetch.part_of(answer) != (start, stop, source.size_bytes):
        raise PermanentDeliveryError(f"the partner sends another range of {source.name!r}")


def _changed(source: Source) -> ConflictError:
    return ConflictError(
        f"the partner has another {source.name!r} now", hint="open it again to read the newer revision"
    )


def _spoilt(source: Source, refusal: DeliveryError) -> ConflictError:
    said = (isinstance(refusal, PermanentDeliveryError) and refusal.reason) or "it is not what was published"
    named = said if repr(source.name) in said else f"{source.name!r} cannot be had: {said}"
    return ConflictError(f"the partner says: {named}")


async def _exactly(
    stack: AsyncExitStack, answer: fetch.Response, source: Source, skipped: int, size: int | None
) -> AsyncGenerator[bytes, None]:
    """Hand on `size` bytes after some that are skipped; the last piece of what is whole waits for the right hash."""
    whole = size is not None and size == source.size_bytes and bool(source.sha256)
    digest, held, done = hashlib.sha256(), b"", 0
    async with stack, aclosing(_cut(answer, skipped, size)) as pieces:
        async for piece in pieces:
            done += len(piece)
            if whole:
                digest.update(piece)
                ready, held = held, piece
            else:
                ready = piece
            if ready:
                yield ready
    if size is not None and done != size:
        raise TransientDeliveryError(f"{source.name!r} broke off after {done} of {size} bytes")
    if whole and digest.hexdigest() != source.sha256:
        raise _wrong(source)
    if held:
        yield held


async def _cut(answer: fetch.Response, skipped: int, size: int | None) -> AsyncGenerator[bytes, None]:
    """Yield at most `size` bytes after some that are skipped; what goes on beyond them is not read to its end."""
    done = 0
    async with aclosing(fetch.pieces(answer)) as chunks:
        async for chunk in chunks:
            if done == size:
                return
            piece, skipped = chunk[skipped:], max(0, skipped - len(chunk))
            piece = piece if size is None else piece[: size - done]
            done += len(piece)
            if piece:
                yield piece
            if done == size and answer.status != _PARTIAL:
                return  # the rest of a whole answer is not wanted


def _wrong(source: Source) -> PermanentDeliveryError:
    error = PermanentDeliveryError(f"the partner sent {source.name!r} with a wrong SHA-256")
    error.code = HASH_MISMATCH
    return error
