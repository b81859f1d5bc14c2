"""A file whose blocks are fetched side by side and appended in order.

A block is a range of one entity (strong ETag, `If-Range`), so bytes of two contents never meet in one file. What comes
before its turn waits in memory: that is part of what is asked for ahead (`ahead`), so it stays little.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from comity.dataplane import ahead, fetch, places
from comity.dataplane import attempt as attempts
from comity.dataplane.attempt import Attempt
from comity.errors import ComityError, TransientDeliveryError

_OK: Final = 200
_PARTIAL: Final = 206
_NOT_THERE: Final = frozenset({412, 416})


class NoRangesError(TransientDeliveryError):
    """Something else came where a range of it was asked for: the next attempt asks for all of it."""


class ContradictionError(TransientDeliveryError):
    """What is handed out contradicts its manifest, which may be an older one: that is to be read again.

    `promised` is what the manifest says: whoever has been told twice gives up.
    """

    code = attempts.BAD_CONTENT

    def __init__(self, promised: places.Wanted, differing: str) -> None:
        super().__init__(f"the provider's {promised.path!r} is not what its manifest says: {differing}")
        self.promised = promised


class Growing:
    """One file: where its bytes are, under which entity tag, and what has come."""

    def __init__(  # noqa: PLR0913  what makes up a file on its way
        self,
        attempt: Attempt,
        url: str,
        etag: str,
        wanted: places.Wanted,
        *,
        opened: places.Part | None = None,
        done: Callable[[Growing], Awaitable[None]],
    ) -> None:
        """Go on with the part that is `opened`, or open it when its first bytes are here; `done` when all of it is."""
        self.wanted = wanted
        self.opened = opened
        self.asked = opened.size if opened is not None else 0
        self.sha256 = ""
        self.size_bytes = wanted.size_bytes or 0
        self._attempt = attempt
        self._url = url
        self._etag = etag
        self._part_of_package = bool(wanted.sha256)  # a Comity hands it out
        self._done = done
        self._counted = self.asked
        self._early: dict[int, bytes] = {}
        self._turn = asyncio.Lock()

    @property
    def size(self) -> int:
        """How many bytes are here."""
        return self.opened.size if self.opened is not None else 0

    @property
    def is_whole(self) -> bool:
        """Say whether all of it is here."""
        return self.opened is not None and self.opened.size == self.size_bytes

    async def ask(self, window: ahead.Ahead) -> None:
        """Ask for all that is missing, block by block; the last ones may still be on their way at the end.

        Raises:
            ComityError: a block failed, of this file or of another.
        """
        while self.asked < self.size_bytes:
            start, end = self.asked, min(self.size_bytes, self.asked + window.block_bytes)
            self.asked = end
            await window.begin(end - start, lambda start=start, end=end: self._block(start, end, window))  # type: ignore[misc]

    async def _block(self, start: int, end: int, window: ahead.Ahead) -> None:
        async with self._attempt.get(self._url, self.headers(start, end)) as answer:
            if answer.status not in {_OK, _PARTIAL, *_NOT_THERE}:
                raise await fetch.refusal(answer)
            differing = self._differing(answer, start, end)
            whole = answer.status == _OK and (start, end) != (0, self.size_bytes)
            if not self._part_of_package and (whole or differing):
                raise NoRangesError(f"the provider of {self.wanted.path!r} does not serve ranges after all")
            if differing:
                raise ContradictionError(self.wanted, differing)
            if answer.status == _PARTIAL and fetch.part_of(answer) != (start, end, self.size_bytes):
                raise attempts.broken(
                    attempts.BAD_CONTENT, f"the provider sends another range of {self.wanted.path!r}"
                )
            await self.take(answer, start, end, window, skip=start if whole else 0, leave=whole)

    def _differing(self, answer: fetch.Response, start: int, end: int) -> str:
        """Return in which way an answer is about something else than what was asked for, empty if it is not."""
        if answer.status in _NOT_THERE:
            return f"its bytes {start} to {end - 1} of {self.size_bytes} are not there"
        etag = answer.headers.get("ETag") or self._etag
        if etag != self._etag:
            return f"it has the entity tag {etag[:100]}, not {self._etag}"
        part = fetch.part_of(answer)
        size = part[2] if part else fetch.length_of(answer) if answer.status == _OK else None
        return "" if size in {None, self.size_bytes} else f"it has {size} bytes, not {self.size_bytes}"

    def headers(self, start: int, end: int) -> dict[str, str]:
        """Headers that ask for a block: none for all of it."""
        if not start and end == self.size_bytes:
            return {}
        last = "" if end == self.size_bytes else str(end - 1)
        return {"Range": f"bytes={start}-{last}", "If-Range": self._etag}

    async def take(  # noqa: PLR0913  a block and what stands around it
        self,
        answer: fetch.Response,
        start: int,
        end: int,
        window: ahead.Ahead,
        *,
        skip: int = 0,
        leave: bool = False,
    ) -> None:
        """Take a block from an answer; of what came before it broke off nothing is lost.

        `skip` what stands before it in the body, and `leave` what follows it: there are providers without ranges.

        Raises:
            TransientDeliveryError: it broke off, or a file of a package ends too early.
            PermanentDeliveryError: it goes on after its end.
        """
        gathered: list[bytes] = []
        size, failure = 0, None
        try:
            async for piece in answer.chunks():
                chunk = piece[skip:]
                skip -= len(piece) - len(chunk)
                gathered.append(chunk)
                size += len(chunk)
                if size > end - start or (leave and size >= end - start):
                    break
        except ComityError as error:
            failure = error
        if size > end - start and not leave:
            raise attempts.more_than(self.size_bytes)
        data = gathered[0] if len(gathered) == 1 else b"".join(gathered)
        await self._put(start, data[: end - start], window)
        if failure is not None:
            raise failure
        if size < end - start:
            after = f"after {start + size} of {self.size_bytes} bytes"
            if self._part_of_package:
                raise ContradictionError(self.wanted, f"it ends {after}")
            raise TransientDeliveryError(f"{self.wanted.path!r} broke off {after}")

    async def _put(self, start: int, data: bytes, window: ahead.Ahead) -> None:
        """Append what has its turn now, and keep the rest for later."""
        self._early[start] = data
        async with self._turn:
            while (next_one := self._early.pop(self.size, b"")) != b"":
                await self._attempt.where.run(lambda data=next_one: self._write(data))  # type: ignore[misc]
                self._attempt.tally.add(len(next_one), fetched=True)
                kept = self.size if self.is_whole or self.opened is None else self.opened.kept
                if kept > self._counted:
                    window.kept(kept - self._counted)
                    self._counted = kept
                if self.is_whole:
                    await self._done(self)

    def _write(self, data: bytes) -> None:
        self._attempt.check_rest(len(data))
        if self.opened is None:
            self.opened = self._attempt.where.part(self.wanted, keep=False)
        self.opened.append(data)
        if self.is_whole:
            self.sha256 = self.opened.finish()
