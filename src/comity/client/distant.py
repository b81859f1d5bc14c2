"""Partners' files read where they lie, for one event loop: which there are, and any range of them.

The connector is asked at each opening and, while a file is read, at least every two seconds whether the agreement still
allows it; blocks that were read before are given only after that. Other terms, another purpose or another person are
another reading, with blocks of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import unquote

from comity import errors
from comity.client import blocks, calls, choosing, problems, reading, records, watch
from comity.client.aconnector import AsyncConnector
from comity.client.blocks import BLOCK_BYTES, Blocks, Content
from comity.client.records import Asset, File, Participant, Reading
from comity.client.steps import Flow

T = TypeVar("T")
ASK_S: Final = 2.0
"""How old what the connector said may be: that it may be read, and which files there are."""
LIST_SHARE: Final = 5
"""A list that takes long to come may be older: so many times as long as that."""
NEVER: Final = float("-inf")
AT_ONCE: Final = 8
RANGE_BYTES: Final = 8 * 1024 * 1024
"""The most that one request asks for; longer ranges are asked for in several at once."""


class AbsentError(errors.NotFoundError):
    """There is no such partner, or it offers no such asset: that says nothing about a file."""


class Path(NamedTuple):
    """What is read: the partner as it is written, the asset, and the path of a file in it; empty from where it ends."""

    partner: str = ""
    asset: str = ""
    path: str = ""


class Held:
    """A reading that goes on: when the connector last said so, and which files it listed when."""

    def __init__(self, status: Reading) -> None:
        self.id = status.id
        self.agreement_id = status.agreement_id
        self.asked_at = time.monotonic()
        self.listed_at, self.list_s = NEVER, ASK_S
        self.files: dict[str, File] = {}
        self.listing = asyncio.Lock()


class Opened(NamedTuple):
    """A file: of which reading, its path there, its size (None if the partner does not say) and its entity tag."""

    held: Held
    path: str
    size_bytes: int | None
    tag: str

    @property
    def content(self) -> Content:
        """What its blocks are kept by."""
        return Content(self.held.agreement_id, self.tag)


class Distant:
    """Reads through a connector; `access` is purpose, person, nationality and revision, as far as they are said."""

    def __init__(self, connector: AsyncConnector, access: Mapping[str, Any], kept: Blocks) -> None:
        self.connector = connector
        self._access = dict(access)
        self._kept = kept
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._held: dict[tuple[str, str], Held] = {}
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}

    async def held(self, partner: str, asset: str) -> Held:
        """Return the reading of an asset, begun if there is none, after the connector was asked.

        Raises:
            ComityError: it may not be read, or the connector cannot be reached.
        """
        async with self._locks.setdefault((partner, asset), asyncio.Lock()):
            found = self._held.get((partner, asset))
            if found is None or not await self._goes_on(found):
                found = Held(await self._ask(_begin(partner, asset, self._access)))
                self._held[partner, asset] = found
            return found

    async def _ask(self, steps: Flow[T]) -> T:
        try:
            return await self.connector.run(steps)
        except errors.NotFoundError as error:
            raise AbsentError(error.message, hint=error.hint) from error

    async def _goes_on(self, held: Held) -> bool:
        """Ask the connector, unless it said so a moment ago; return False for what has ended.

        Raises:
            PolicyError: its terms do not allow it now.
        """
        if time.monotonic() - held.asked_at < ASK_S:
            return True
        status = await self.connector.reading(held.id)
        if status.stage in reading.ENDED:
            self._kept.forget(held.agreement_id)
            return False
        _check(status)
        held.asked_at = time.monotonic()
        return True

    async def partner(self, written: str) -> Participant:
        """Return the partner that a path names.

        Raises:
            AbsentError: there is none.
        """
        return await self._ask(find_partner(written))

    async def partners(self) -> list[str]:
        """Return how paths name the partners: by their names where these tell them apart, else by their DIDs."""
        listed = await self.connector.partners()
        names = Counter(each.get("name") for each in listed)
        return [str(each.get("name") if names[each.get("name")] == 1 else "") or each.id for each in listed]

    async def assets(self, partner: str) -> list[Asset]:
        """Return what a partner offers.

        Raises:
            ComityError: there is no such partner, or it does not answer.
        """
        found = await self.partner(partner)
        return records.assets(await self.connector.catalog(found.id))

    def forget_lists(self) -> None:
        """List the files anew the next time."""
        for each in self._held.values():
            each.listed_at = NEVER

    async def files(self, partner: str, asset: str, *, since: float = NEVER) -> Held:
        """Return the reading of an asset with its files, as the partner had them a moment ago or after `since`.

        Raises:
            ComityError: as `held`.
        """
        found = await self.held(partner, asset)
        try:
            await self._list(found, max(since, time.monotonic() - found.list_s))
        except errors.PolicyError:
            if not await self._is_over(found):
                raise
            found = await self.held(partner, asset)
            await self._list(found, since)
        return found

    async def _list(self, held: Held, since: float) -> None:
        """Have a list of the files that was asked for after a moment."""
        async with held.listing:
            if held.listed_at > since:
                return
            began = time.monotonic()
            listed = await self.connector.reading_files(held.id)
            held.files = {each.path: each for each in listed}
            held.asked_at = time.monotonic()
            held.listed_at, held.list_s = began, max(ASK_S, LIST_SHARE * (held.asked_at - began))

    async def _is_over(self, held: Held) -> bool:
        """Ask the connector whether a reading has ended, as one does whose partner takes its token no more."""
        held.asked_at = NEVER
        return (await self.connector.reading(held.id)).stage in reading.ENDED

    async def use(
        self, at: Path, work: Callable[[Opened], Awaitable[T]], *, since: float = NEVER
    ) -> T | None:
        """Do something with a file of which nothing was read yet, and return what it gives; None if there is no file.

        If the partner has another content there by now, or has ended the transfer, it is done once more with what there
        is then. `since` is as in `find`.

        Raises:
            ComityError: as `held`.
        """
        found = await self.find(at, since=since)
        if found is None:
            return None
        try:
            return await work(found)
        except errors.ConflictError:
            found.held.listed_at = NEVER
        except errors.PolicyError:
            if not await self._is_over(found.held):
                raise
        found = await self.find(at)
        return await work(found) if found is not None else None

    async def find(self, at: Path, *, since: float = NEVER) -> Opened | None:
        """Return a file as it is listed, None if there is none; an empty path is that of a single resource.

        That there is none is said of a list that was made after `since`.

        Raises:
            ComityError: as `held`.
        """
        held = await self.files(at.partner, at.asset)
        found = _in_list(held, at.path)
        if found is None and held.listed_at < since:
            found = _in_list(await self.files(at.partner, at.asset, since=since), at.path)
        return found

    async def open(self, found: Opened) -> Opened:
        """Open a file: the connector writes it down, and says what it is now.

        Raises:
            ComityError: its terms do not allow it, or it is not there any more.
        """
        answer = await self.connector.head(_path(found))
        if answer.status >= 300:  # noqa: PLR2004  an answer to HEAD has no words: GET has
            await self.connector.fetch(_path(found), {"Range": "bytes=0-0"})
            raise errors.ConflictError(f"{found.path!r} could not be opened", hint="open it again")
        found.held.asked_at = time.monotonic()
        length = answer.headers.get("content-length", "")
        ranged = answer.headers.get("accept-ranges") == "bytes" and length.isdigit()
        if not ranged:
            return found._replace(size_bytes=None, tag="")
        return found._replace(size_bytes=int(length), tag=answer.headers.get("etag", ""))

    async def read(self, opened: Opened, start: int, end: int, ahead: int = 0) -> bytes:
        """Return bytes `start` to `end` (exclusive) of an open file; if the last are missing, fetch so many `ahead`.

        Raises:
            ComityError: as `held`; or the partner has another content there now.
        """
        size = opened.size_bytes or 0
        end = min(end, size)
        if start >= end:
            return b""
        if not await self._goes_on(opened.held):
            raise errors.PolicyError("this reading has ended", hint="open the file again")
        if not opened.tag or end - start > self._kept.limit_bytes // 2:
            return await self._fetch(opened, start, end)
        wanted = blocks.numbers(start, end)
        got = {number: self._kept.find(opened.content, number) for number in wanted}
        missing = [number for number, block in got.items() if block is None]
        if missing and missing[-1] == wanted[-1]:
            missing += blocks.numbers(end, min(size, end + ahead))[1 if end % BLOCK_BYTES else 0 :]
        fetched = await asyncio.gather(
            *(self._fetch_blocks(opened, first, last, size) for first, last in blocks.runs(missing))
        )
        for part in fetched:
            got |= part
        joined = b"".join([got[number] or b"" for number in wanted])
        skipped = start - wanted[0] * BLOCK_BYTES
        return joined[skipped : skipped + end - start]

    async def read_whole(self, opened: Opened) -> bytes:
        """Return all bytes of a file, as of one whose partner gives no ranges.

        Raises:
            ComityError: as `held`.
        """
        return (await self.connector.fetch(_path(opened))).content

    async def _fetch_blocks(self, opened: Opened, first: int, last: int, size: int) -> dict[int, bytes]:
        start, end = first * BLOCK_BYTES, min(last * BLOCK_BYTES, size)
        content = await self._fetch(opened, start, end)
        cut = {
            number: content[(number - first) * BLOCK_BYTES : (number - first + 1) * BLOCK_BYTES]
            for number in range(first, last)
        }
        for number, block in cut.items():
            self._kept.keep(opened.content, number, block)
        return cut

    async def _fetch(self, opened: Opened, start: int, end: int) -> bytes:
        places = range(start, end, RANGE_BYTES)
        got = await asyncio.gather(
            *(self._fetch_range(opened, at, min(at + RANGE_BYTES, end)) for at in places)
        )
        return got[0] if len(got) == 1 else b"".join(got)

    async def _fetch_range(self, opened: Opened, start: int, end: int) -> bytes:
        async with self._at_once:
            answer = await self.connector.fetch(_path(opened), {"Range": f"bytes={start}-{end - 1}"})
        opened.held.asked_at = time.monotonic()
        if answer.headers.get("etag", "") != opened.tag:
            opened.held.listed_at = NEVER
            raise errors.ConflictError(
                f"the partner has another {opened.path!r} now",
                hint="open it again to read the newer revision",
            )
        content = answer.content if answer.status == 206 else answer.content[start:end]  # noqa: PLR2004
        if len(content) != end - start:
            raise errors.ConflictError(
                f"{len(content)} bytes came of {opened.path!r} instead of {end - start}"
            )
        return content

    async def end(self) -> None:
        """End all readings, of which the partners are told, and close the connections to the connector."""
        while self._held:
            _, held = self._held.popitem()
            await self.connector.end_reading(held.id)
            self._kept.forget(held.agreement_id)
        await self.connector.close()


def _in_list(held: Held, path: str) -> Opened | None:
    file = held.files.get(path)
    if file is None and not path:
        file = next((each for each in held.files.values() if each.get("single")), None)
    if file is None:
        return None
    size = file.get("sizeBytes")
    tag = f'"sha256-{file.sha256}"' if file.sha256 else ""
    return Opened(held, file.path, size if isinstance(size, int) else None, tag)


def _path(opened: Opened) -> str:
    return calls.file_path("readings", opened.held.id, opened.path)


def _check(status: Reading) -> None:
    if status.stage != reading.READY:
        raise errors.PolicyError(f"it cannot be read now: {status.stage.lower()}", reasons=[status.error])
    locked = status.get("locked") or []
    if locked:
        raise errors.PolicyError("it may not be read so", reasons=[str(each) for each in locked])
    problems.warn(status)


def find_partner(written: str) -> Flow[Participant]:
    """Return the partner that a path names, as it is written there or percent-decoded: a DID may hold %3A itself.

    Raises:
        ComityError: there is none, or several.
    """
    listed = yield from calls.partners()
    try:
        return choosing.partner(
            listed, written, whole=True
        )  # an address means one, whoever else is on the list
    except errors.ComityError:
        return choosing.partner(listed, unquote(written), whole=True)


def _begin(partner: str, asset: str, access: Mapping[str, Any]) -> Flow[Reading]:
    """Begin to read, and return how it stands once it can be read; people may have to approve it first.

    Raises:
        ComityError: it came to nothing, in the partner's words.
    """
    found = yield from find_partner(partner)
    begun = yield from calls.begin_reading(found.id, asset, **access)
    if begun.stage not in reading.OVER:
        begun = yield from watch.follow(
            calls.reading(begun.id), told=lambda _: None, ended=lambda one: one.stage in reading.OVER
        )
    if begun.stage in reading.ENDED:
        raise errors.PolicyError(begun.error or "the partner gave no reason")
    _check(begun)
    return begun
