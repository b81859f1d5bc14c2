"""The body of a push as it is read: hashed, cut into small pieces, its last piece held back until the hash is right.

So what was changed since it was published never leaves whole, also towards a receiver that looks at no digest. Once
closed it never ends politely: a client that still reads must not take what it has for all there is.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final

from comity.errors import ComityError
from comity.storage import source as sources

PIECE_BYTES: Final = 64 * 1024


class Reader:
    """An asynchronous iterator over the bytes from a position on; close it when the request has ended."""

    def __init__(  # noqa: PLR0913, PLR0917  what is read, from where, and who is told
        self,
        chunks: AsyncGenerator[bytes, None],
        expected_sha256: str,
        name: str,
        position: int,
        note: Callable[[int], None],
        pace: Callable[[int], Awaitable[None]],
    ) -> None:
        """Read `chunks`, which begin at `position`; `note` is told the position that each piece has brought it to.

        `pace` waits until so many bytes may go.
        """
        self._chunks = chunks
        self._expected_sha256 = expected_sha256
        self._name = name
        self._position = position
        self._note = note
        self._pace = pace
        self._digest = hashlib.sha256()
        self._held = b""
        self._sent = position
        self._pieces: AsyncGenerator[bytes, None] | None = None
        self._lock = asyncio.Lock()
        self._closed = False
        self.failure: ComityError | None = None

    @property
    def sha256(self) -> str:
        """SHA-256 (hex) of what has been read."""
        return self._digest.hexdigest()

    async def skip_to(self, offset: int) -> None:
        """Hash what lies before `offset` without sending it.

        Raises:
            StorageError: it cannot be read.
        """
        try:
            while self._position < offset:
                chunk = await anext(self._chunks)
                self._take(chunk)
                self._held = chunk[len(chunk) - max(0, self._position - offset) :]
                self._note(min(self._position, offset))
        except StopAsyncIteration:
            await self.close()
            raise sources.changed(f"{self._name!r} ends at byte {self._position}") from None
        except BaseException:
            await self.close()
            raise
        self._sent = offset

    def __aiter__(self) -> Reader:
        return self

    async def __anext__(self) -> bytes:
        async with self._lock:
            if self._closed:
                raise ConnectionError("the body was closed before its end")
            if self._pieces is None:
                self._pieces = self._read()
            try:
                return await anext(self._pieces)
            except ComityError as error:
                self.failure = error
                raise

    async def close(self) -> None:
        """Close the source, once nobody reads any more."""
        self._closed = True
        async with self._lock:
            if self._pieces is not None:
                await self._pieces.aclose()
            await self._chunks.aclose()

    async def _read(self) -> AsyncGenerator[bytes, None]:
        async for chunk in self._chunks:
            for piece in _cut(self._held):
                await self._pace(len(piece))
                yield piece
                self._count(piece)
            self._held = chunk
            self._take(chunk)
        if self._expected_sha256 not in {"", self.sha256}:
            raise sources.changed(f"{self._name!r} is not what was published: its SHA-256 is {self.sha256}")
        for piece in _cut(self._held):
            await self._pace(len(piece))
            yield piece
            self._count(piece)

    def _take(self, chunk: bytes) -> None:
        self._digest.update(chunk)
        self._position += len(chunk)

    def _count(self, piece: bytes) -> None:
        self._sent += len(piece)
        self._note(self._sent)


def _cut(chunk: bytes) -> list[bytes]:
    return [chunk[at : at + PIECE_BYTES] for at in range(0, len(chunk), PIECE_BYTES)]
