"""Receiving a single resource, from a Comity or from any other connector's data plane.

What the provider says about it (size, strong ETag, SHA-256 in Repr-Digest) is kept beside the part, so that
a later attempt can go on under the same ETag. Without a strong ETag nothing tells that the rest belongs to
the part: it starts over.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncGenerator
from typing import Final

import msgspec

from comity.dataplane import attempt as attempts
from comity.dataplane import fetch, target
from comity.dataplane.attempt import Attempt, Received, ReceivedFile
from comity.errors import InvalidInputError, TransientDeliveryError
from comity.techdata import manifest

PLACE: Final = "resource"
STATE_NAME: Final = ".resource.json"
_PARTIAL: Final = 206
_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]{1,200}"')


class State(msgspec.Struct, frozen=True):
    """What is known about the resource in the folder; `done` once it lies there whole as `name`."""

    url: str
    name: str
    etag: str = ""
    size_bytes: int | None = None
    sha256: str = ""
    done: bool = False


class Resource:
    """A resource being received: what an earlier attempt left of it, and what comes now."""

    def __init__(
        self, attempt: Attempt, place: target.Place, state: State | None, expected_sha256: str
    ) -> None:
        self._attempt = attempt
        self._place = place
        self._state = state
        self._expected_sha256 = expected_sha256
        self._part: target.Part | None = None
        self.received: Received | None = None

    async def look(self) -> None:
        """See what is there already: all of it, a part that can be continued, or nothing of use."""
        state = self._state
        if state is None:
            return
        if state.done:
            self.received = await self._attempt.where.run(lambda: _whole(self._place, state))
        elif state.etag:
            await self._open(keep=True)

    @property
    def size_bytes(self) -> int | None:
        """Size of all of it, where it is known."""
        return self._state.size_bytes if self._state else None

    def part_bytes(self) -> int:
        """Bytes of it that are here and can be gone on from; this blocks."""
        if self._state is None or not self._state.etag:
            return 0
        return self._state.size_bytes or 0 if self._state.done else self._place.part_bytes()

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
        """Headers that ask for the rest only."""
        if self._state is None or self._part is None or not self._part.size:
            return {}
        return {"Range": f"bytes={self._part.size}-", "If-Range": self._state.etag}

    async def receive(self, answer: fetch.Response, name: str) -> Received | None:
        """Receive a body with status 200, or the rest of it with 206; None if its hash is wrong.

        Raises:
            PermanentDeliveryError, TransientDeliveryError, StorageError: see `pull.Pull.run`.
        """
        part = self._part or await self._open(keep=False)
        if answer.status == _PARTIAL:
            _check_part(answer, part, self._state)
        else:
            if part.size:
                await self._attempt.start_over(part)
            await self._describe(answer, name)
        size = self._state.size_bytes if self._state else None
        self._attempt.tally.bytes_total = size or 0
        self._attempt.check_room((size or part.size) - part.size)
        await self._attempt.append(part, answer, size)
        if size is not None and part.size < size:
            await self._attempt.where.run(lambda: self._keep_so_far(part))
            raise TransientDeliveryError(f"the resource broke off after {part.size} of {size} bytes")
        return await self.finish()

    def _keep_so_far(self, part: target.Part) -> None:
        """Make durable what is here: who pushes is told how much that is."""
        self._place.put(STATE_NAME, msgspec.json.encode(self._state))
        self._place.sync(part)

    async def finish(self) -> Received | None:
        """Check the hash and give the file its name; None, and nothing left, if the hash is wrong."""
        part, state, where = self._part, self._state, self._attempt.where
        if part is None or state is None:
            return None
        sha256 = await where.run(part.finish)
        if sha256 != (self._expected_sha256 or state.sha256 or sha256):
            await self._attempt.start_over(part)
            return None
        done = msgspec.structs.replace(state, size_bytes=part.size, sha256=sha256, done=True)
        await where.run(lambda: self._place.check_free({sha256}, state.name))
        await where.run(lambda: self._place.keep(state.name))
        await where.run(lambda: self._place.put(STATE_NAME, msgspec.json.encode(done)))
        self._attempt.tally.bytes_total = part.size
        self._attempt.tally.finish_file()
        fetched = self._attempt.tally.fetched_bytes
        return Received((ReceivedFile(state.name, part.size, sha256),), sha256, fetched)

    def close(self) -> None:
        """Close the part, keeping what it holds."""
        if self._part is not None:
            self._part.close()

    async def _open(self, *, keep: bool) -> target.Part:
        self._part = await self._attempt.where.run(lambda: self._place.open_part(keep=keep))
        self._attempt.tally.add(self._part.size, fetched=False)
        return self._part

    async def _describe(self, answer: fetch.Response, name: str) -> None:
        etag = answer.headers.get("ETag") or ""
        state = State(
            url=self._attempt.url,
            name=name or _offered(answer),
            etag=etag if _STRONG_ETAG.fullmatch(etag) else "",
            size_bytes=fetch.length_of(answer),
            sha256=fetch.digest_of(answer),
        )
        self._state = state
        # Bytes wait and the client forgets them when the connection breaks, so the disk is not waited for here;
        # a note lost with the power only means starting over.
        note = msgspec.json.encode(state)
        await self._attempt.where.run(lambda: self._place.put(STATE_NAME, note, durable=False))


@contextlib.asynccontextmanager
async def opened(
    attempt: Attempt, expected_sha256: str, *, fresh: bool, look: bool = True
) -> AsyncGenerator[Resource, None]:
    """Look at what an earlier attempt left in the folder, unless not to `look`; with `fresh` it counts for nothing."""
    where = attempt.where
    place = await where.run(lambda: where.place(PLACE))
    try:
        state = None if fresh else await where.run(lambda: _load(place, attempt.url))
        resource = Resource(attempt, place, state, expected_sha256)
        try:
            if look:
                await resource.look()
            yield resource
        finally:
            resource.close()
    finally:
        place.close()


def _load(place: target.Place, url: str) -> State | None:
    """Read what an earlier attempt at the same endpoint wrote down, if it can be used."""
    try:
        state = msgspec.json.decode(place.get(STATE_NAME), type=State)
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


def _whole(place: target.Place, state: State) -> Received | None:
    """Find the resource received whole by an earlier attempt, hashed again."""
    if state.size_bytes is None or place.digest_of_whole(state.size_bytes, state.name) != state.sha256:
        return None
    return Received((ReceivedFile(state.name, state.size_bytes, state.sha256),), state.sha256, 0)


def _offered(answer: fetch.Response) -> str:
    """Take the provider's file name if it is harmless."""
    name = fetch.name_of(answer)
    try:
        manifest.check_path(name)
    except InvalidInputError:
        return "data"
    return "data" if "/" in name else name


def _check_part(answer: fetch.Response, part: target.Part, state: State | None) -> None:
    told = fetch.part_of(answer)
    size = state.size_bytes if state else None
    if told is None or told[0] != part.size or told[1] != told[2] or size not in {None, told[2]}:
        raise attempts.broken(attempts.BAD_CONTENT, "the provider sends another range than the one asked for")
