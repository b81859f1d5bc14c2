"""Receiving a single resource, from a Comity or from any other connector's data plane.

What the provider says about it (size, strong ETag, SHA-256 in Repr-Digest) is noted beside the part, so that a later
attempt can go on under the same ETag. Without a strong ETag nothing tells that the rest belongs to the part: it starts
over. Where ranges are served, what is large is fetched in blocks side by side (`growing`), else as one stream.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncGenerator
from typing import Final

import msgspec

from comity.dataplane import attempt as attempts
from comity.dataplane import fetch, places
from comity.dataplane.attempt import Attempt, Received, ReceivedFile
from comity.dataplane.growing import Growing, NoRangesError
from comity.errors import InvalidInputError, TransientDeliveryError
from comity.techdata import paths

PLACE: Final = "resource"
STATE_NAME: Final = places.STATE_NAME
_MAX_STATE: Final = 4096
_PARTIAL: Final = 206
_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]{1,200}"')


class State(msgspec.Struct, frozen=True):
    """What is known about the resource in the place; `done` once it lies there whole as `name`.

    `ranges`: the provider serves them, as far as is known.
    """

    url: str
    name: str
    etag: str = ""
    size_bytes: int | None = None
    sha256: str = ""
    done: bool = False
    ranges: bool = False


class Resource:
    """A resource being received: what an earlier attempt left of it, and what comes now."""

    def __init__(self, attempt: Attempt, state: State | None, expected_sha256: str) -> None:
        self._attempt = attempt
        self._where = attempt.where
        self._state = state
        self._expected_sha256 = expected_sha256
        self._part: places.Part | None = None
        self._noted = False
        self.received: Received | None = None

    def go_on(self, attempt: Attempt, expected_sha256: str) -> None:
        """Go on in another attempt."""
        self._attempt, self._expected_sha256 = attempt, expected_sha256

    async def look(self) -> None:
        """See what is there already: all of it, a part that can be continued, or nothing of use."""
        state = self._state
        if state is None:
            return
        if state.done:
            self.received = await self._where.run(lambda: _whole(self._where, state))
        elif state.etag:
            await self._open(keep=True)

    @property
    def size_bytes(self) -> int | None:
        """Size of all of it, where it is known."""
        return self._state.size_bytes if self._state else None

    @property
    def part_size(self) -> int:
        """Bytes of the part that is open."""
        return self._part.size if self._part is not None else 0

    def part_bytes(self) -> int:
        """Bytes of it that are here and can be gone on from; this blocks."""
        if self._state is None or not self._state.etag:
            return 0
        if self._state.done:
            return self._state.size_bytes or 0
        return self._where.held(places.Wanted(PLACE, self._state.size_bytes))

    async def offset_for(self, sha256: str) -> int:
        """Return where the rest of contents with this SHA-256 ("" if unknown) begins; another's part is thrown away."""
        if self._state is None or self._part is None:
            return 0
        if sha256 not in {"", self._state.sha256}:
            await self._attempt.start_over(self._part)
        return self._part.size

    @property
    def is_whole(self) -> bool:
        """Say whether the part has all bytes and only its hash is to be checked."""
        state, part = self._state, self._part
        return state is not None and part is not None and part.size > 0 and part.size == state.size_bytes

    @property
    def condition(self) -> dict[str, str]:
        """Headers that ask for the rest only, or for its first block."""
        if self._state is None or self._part is None or not self._part.size:
            return {}
        if self._state.ranges and self._state.size_bytes is not None:
            growing = self._growing(self._part)
            return growing.headers(*self._first_block(growing))
        return {"Range": f"bytes={self._part.size}-", "If-Range": self._state.etag}

    def _growing(self, part: places.Part) -> Growing:
        etag, size = (self._state.etag, self._state.size_bytes) if self._state else ("", None)

        async def done(_grown: Growing) -> None:
            """`finish` sees to it."""

        wanted = places.Wanted(PLACE, size)
        return Growing(self._attempt, self._attempt.url, etag, wanted, opened=part, done=done)

    def _first_block(self, growing: Growing) -> tuple[int, int]:
        size = self._attempt.speed.open().block_bytes
        return growing.size, min(growing.size_bytes, growing.size + size)

    async def receive(self, answer: fetch.Response, name: str) -> Received | None:
        """Receive a body with status 200, or the rest of it with 206; None if its hash is wrong.

        Raises:
            PermanentDeliveryError, TransientDeliveryError, StorageError: see `pull.Pull.run`.
        """
        part = self._part or await self._open(keep=False)
        if answer.status != _PARTIAL:
            known = self._state
            same = known is not None and (answer.headers.get("ETag") or "") == known.etag
            again = known is not None and (not known.ranges or (bool(part.size) and same))
            if part.size:
                await self._attempt.start_over(part)
            await self._describe(answer, name, again=again)
        size = self.size_bytes
        self._attempt.tally.bytes_total = size or 0
        needed = (size or part.size) - part.size
        await self._where.run(lambda: self._attempt.check_room(needed))
        if self._state is not None and self._state.ranges and size is not None:
            try:
                await self._receive_blocks(answer, part)
            except NoRangesError:
                await self._note_no_ranges()
                raise
        else:
            if answer.status == _PARTIAL:
                self._check_part(answer, part.size, size)
            await self._attempt.append(part, answer, size)
        if size is not None and part.size < size:
            await self._where.run(lambda: self._keep_so_far(part))
            raise TransientDeliveryError(f"the resource broke off after {part.size} of {size} bytes")
        return await self.finish()

    async def _receive_blocks(self, answer: fetch.Response, part: places.Part) -> None:
        """Take the block that is answered, and ask for those behind it; a whole body is left after its block."""
        growing = self._growing(part)
        start, end = self._first_block(growing)
        if answer.status == _PARTIAL:
            self._check_part(answer, start, end)
        async with self._attempt.speed.open() as window:
            leave = answer.status != _PARTIAL and end < growing.size_bytes
            growing.asked = end
            await window.begin(end - start, lambda: growing.take(answer, start, end, window, leave=leave))
            await growing.ask(window)

    async def _note_no_ranges(self) -> None:
        if self._state is not None:
            self._state = msgspec.structs.replace(self._state, ranges=False)
            note = msgspec.json.encode(self._state)
            await self._where.run(lambda: self._where.write_note(STATE_NAME, note, durable=False))

    def _check_part(self, answer: fetch.Response, start: int, end: int | None) -> None:
        told = fetch.part_of(answer)
        size = self.size_bytes
        if told is None or told[0] != start or end not in {None, told[1]} or size not in {None, told[2]}:
            raise attempts.broken(
                attempts.BAD_CONTENT, "the provider sends another range than the one asked for"
            )

    def _keep_so_far(self, part: places.Part) -> None:
        """Make durable what is here: who pushes is told how much that is."""
        if not self._noted:
            self._where.write_note(STATE_NAME, msgspec.json.encode(self._state))
            self._noted = True
        part.sync()

    async def finish(self) -> Received | None:
        """Check the hash and give the file its name; None, and nothing left, if the hash is wrong."""
        part, state, where = self._part, self._state, self._where
        if part is None or state is None:
            return None
        sha256 = await where.run(part.finish)
        if sha256 != (self._expected_sha256 or state.sha256 or sha256):
            await self._attempt.start_over(part)
            return None
        size = part.size
        done = msgspec.structs.replace(state, size_bytes=size, sha256=sha256, done=True)
        await where.run(lambda: where.keep([part], state.name))
        await where.run(lambda: where.write_note(STATE_NAME, msgspec.json.encode(done)))
        self._attempt.tally.bytes_total = size
        self._attempt.tally.finish_files()
        fetched = self._attempt.tally.fetched_bytes
        return Received((ReceivedFile(state.name, size, sha256),), sha256, fetched)

    def close(self) -> None:
        """Close the part, keeping what it holds."""
        if self._part is not None:
            self._part.close()

    async def _open(self, *, keep: bool) -> places.Part:
        wanted = places.Wanted(PLACE, self.size_bytes)

        def opened() -> places.Part:  # who cancels this closes it
            self._part = self._where.part(wanted, keep=keep)
            return self._part

        part = await self._where.run(opened)
        self._attempt.tally.add(part.size, fetched=False)
        return part

    async def _describe(self, answer: fetch.Response, name: str, *, again: bool) -> None:
        """Note what is told; `again`: all of it came where a range was asked for, so there are no ranges."""
        etag = answer.headers.get("ETag") or ""
        strong = bool(_STRONG_ETAG.fullmatch(etag))
        ranged = (answer.headers.get("Accept-Ranges") or "").strip().lower() == "bytes"
        state = State(
            url=self._attempt.url,
            name=name or _offered(answer),
            etag=etag if strong else "",
            size_bytes=fetch.length_of(answer),
            sha256=fetch.digest_of(answer),
            ranges=strong and ranged and not again,
        )
        self._state, self._noted = state, False
        # Bytes wait and the client forgets them when the connection breaks, so the disk is not waited for here;
        # a note lost with the power only means starting over.
        note = msgspec.json.encode(state)
        await self._where.run(lambda: self._where.write_note(STATE_NAME, note, durable=False))


@contextlib.asynccontextmanager
async def opened(
    attempt: Attempt, expected_sha256: str, *, fresh: bool, look: bool = True
) -> AsyncGenerator[Resource, None]:
    """Look at what an earlier attempt left in the place, unless not to `look`; with `fresh` it counts for nothing."""
    resource = await open_(attempt, expected_sha256, fresh=fresh, look=look)
    try:
        yield resource
    finally:
        resource.close()


async def open_(attempt: Attempt, expected_sha256: str, *, fresh: bool, look: bool = True) -> Resource:
    """Look at what is there, as `opened`; who asks closes it."""
    state = None if fresh else await attempt.where.run(lambda: _load(attempt.where, attempt.url))
    resource = Resource(attempt, state, expected_sha256)
    try:
        if look:
            await resource.look()
    except BaseException:
        resource.close()
        raise
    return resource


def _load(where: places.Target, url: str) -> State | None:
    """Read what an earlier attempt at the same endpoint wrote down, if it can be used."""
    try:
        state = msgspec.json.decode(where.read_note(STATE_NAME, _MAX_STATE), type=State)
    except msgspec.MsgspecError:
        return None
    return state if state.url == url else None


def told_of(written: bytes) -> str:
    """Return the digest of the resource that a state, as it was written, says is here whole; empty for none."""
    try:
        state = msgspec.json.decode(written, type=State)
    except msgspec.MsgspecError:
        return ""
    return state.sha256 if state.done else ""


def _whole(where: places.Target, state: State) -> Received | None:
    """Find the resource received whole by an earlier attempt, hashed again."""
    held = where.held(places.Wanted(state.name, state.size_bytes, state.sha256))
    if not state.size_bytes or held != state.size_bytes:
        return None
    return Received((ReceivedFile(state.name, state.size_bytes, state.sha256),), state.sha256, 0)


def _offered(answer: fetch.Response) -> str:
    """Take the provider's file name if it is harmless."""
    name = fetch.name_of(answer)
    try:
        paths.check_path(name)
    except InvalidInputError:
        return "data"
    return "data" if "/" in name else name
