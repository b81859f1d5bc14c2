"""Sending a transfer's data to the endpoint that its consumer named, exactly, going on where the receiver stands.

A single resource goes to the endpoint itself; a package to an endpoint that says it takes packages: its manifest
first, then each file below it. Every byte is hashed as it is read, and the last piece is held back until the hash is
right: what was changed since it was published never arrives whole. To a receiver that says so files go side by side,
and a large one in blocks (`ahead`): a cut costs no more than what is on its way. Retrying is the caller's; so is the
guard, which is in the client.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from comity.dataplane import ahead, fetch, flows, reading, serve, uploads
from comity.dataplane.attempt import OnProgress
from comity.dataplane.packages import MANIFEST_NAME
from comity.dataplane.speeds import Speeds
from comity.dsp.push import Destination
from comity.errors import DeliveryError, PermanentDeliveryError, StorageError, TransientDeliveryError
from comity.storage import source as sources
from comity.techdata import manifest

ANSWER_S: Final = 300.0
"""How long a receiver may think about a body: it may have to hash all of it."""
HEAD_S: Final = 30.0
REFUSED: Final = "refused-address"
_TURNS: Final = 4
_MOST_STREAMS: Final = 12
"""A Comity takes 16 requests of a transfer at once, and those of a connection that broke may still be there."""
_BEYOND_ORIGIN: Final = re.compile(r"(https?://[^/?\s'\"]+)[/?]\S*", re.IGNORECASE)


class Send(Protocol):
    """A request: `net.http.HttpClient.stream`."""

    def __call__(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        timeout_s: float,
        body: AsyncIterator[bytes] | None = None,
    ) -> AbstractAsyncContextManager[fetch.Response]:
        """Send it.

        Raises:
            DeliveryError: transient or permanent.
        """
        ...


@dataclass(frozen=True, slots=True)
class Item:
    """One resource on its way: where to, what is told of it, its source (None: `data` is all of it)."""

    url: str
    told: uploads.Described
    source: sources.Source | None = None
    data: bytes = b""

    @property
    def resumable(self) -> bool:
        """Say whether its rest can be told from the rest of anything else."""
        pinned = self.source is not None and bool(self.told.sha256 or self.source.etag)
        return pinned and self.told.size_bytes is not None


def content_id(content: serve.Package | sources.Source) -> str:
    """Return what tells this content from any other, empty if nothing does."""
    if isinstance(content, serve.Package):
        return content.sha256
    return content.sha256 or content.etag


def items(content: serve.Package | sources.Source, destination: Destination) -> tuple[Item, ...]:
    """Return what is to be sent where, in order.

    Raises:
        PermanentDeliveryError: it is a package of many files, and the endpoint takes one.
    """
    if isinstance(content, sources.Source):
        return (_item(destination.endpoint, content, destination),)
    files = manifest.decode(content.manifest).files
    if destination.folder:
        base = destination.endpoint.rstrip("/")
        told = uploads.Described(
            len(content.manifest), content.sha256, manifest.MEDIA_TYPE, "manifest.json", content.seal
        )
        listed = (
            _item(f"{base}/{urllib.parse.quote(file.path)}", content.files[file.path], destination)
            for file in files
        )
        return (Item(f"{base}/{MANIFEST_NAME}", told, data=content.manifest), *listed)
    if len(files) == 1:
        return (_item(destination.endpoint, content.files[files[0].path], destination),)
    raise PermanentDeliveryError(
        f"this is a package of {len(files)} files, and the endpoint does not say that it takes packages"
    )


def _item(url: str, source: sources.Source, destination: Destination) -> Item:
    media_type = destination.media_type or source.media_type
    return Item(url, uploads.Described(source.size_bytes, source.sha256, media_type, source.name), source)


class Push:
    """Sends transfers through an injected client; `open_flows` cuts what is revoked and what does not move."""

    def __init__(
        self,
        send: Send,
        storages: Mapping[str, sources.Storage],
        open_flows: flows.Flows,
        *,
        answer_s: float = ANSWER_S,
        speeds: Speeds | None = None,
    ) -> None:
        self._send = send
        self._storages = storages
        self._flows = open_flows
        self._answer_s = answer_s
        self._speeds = speeds or Speeds()

    async def run(
        self,
        grant: serve.Grant,
        destination: Destination,
        *,
        files_done: int = 0,
        on_progress: OnProgress | None = None,
    ) -> int:
        """Send what is missing; the first `files_done` files are known to be there. Returns the size of all in bytes.

        `on_progress` is told (files done, bytes done, bytes in all or 0 if unknown).

        Raises:
            TransientDeliveryError: another attempt may succeed: call `run` again later.
            PermanentDeliveryError: the receiver refuses, or has something else (code `hash-mismatch`).
            StorageError: the data cannot be read; code `storage-changed` when it is not what was published.
            PolicyError: the transfer does not allow it any more.
        """
        listed = items(grant.content, destination)
        files = [item for item in listed if item.source is not None]
        progress = _Progress(files, files_done, on_progress)
        wrong: set[str] = set()
        async with self._flows.open(grant.transfer_id) as flow:
            flow.watch(grant.still_allowed)
            for _ in range(_TURNS):
                try:
                    side_by_side = len(listed) == len(files)
                    for item in listed[: len(listed) - len(files)]:
                        side_by_side = await _Upload(self, item, destination, flow).deliver() > 0
                    await self._send_files(files, destination, flow, progress, side_by_side=side_by_side)
                except _AgainError as again:
                    _note_wrong(again, wrong)
                else:
                    return progress.bytes_done
        raise TransientDeliveryError(f"{uploads.WHO} does not keep the offset that it tells")

    async def _send_files(
        self,
        files: list[Item],
        destination: Destination,
        flow: flows.Flow,
        progress: _Progress,
        *,
        side_by_side: bool,
    ) -> None:
        missing = (at for at in range(progress.files_done, len(files)) if at not in progress.done)
        uploads_left = (_Upload(self, files[at], destination, flow, progress, at) for at in missing)
        if not side_by_side:
            for upload in uploads_left:
                await upload.deliver()
            return
        speeds = self._speeds
        async with ahead.Ahead(
            bytes_ahead=speeds.bytes_ahead,
            streams=min(speeds.streams, _MOST_STREAMS),
            bytes_per_s=speeds.outgoing.bytes_per_s,
            grace_s=0,  # blocks behind the one that broke wait for a turn that does not come
        ) as window:
            for upload in uploads_left:
                await upload.begin(window)

    @asynccontextmanager
    async def request(
        self, method: str, item: Item, headers: Mapping[str, str], body: AsyncIterator[bytes] | None = None
    ) -> AsyncGenerator[fetch.Response, None]:
        """Send a request; what is said of failures names the receiver's origin only: the rest may be its secret."""
        wait_s = HEAD_S if body is None else self._answer_s
        try:
            async with self._send(method, item.url, headers=headers, timeout_s=wait_s, body=body) as answer:
                yield answer
        except DeliveryError as error:
            message = error.message
            if isinstance(error, PermanentDeliveryError) and error.code == REFUSED:
                message = f"the receiver's address is refused: {error.reason or 'it may not be connected to'}"
            error.message = _discreet(message)
            error.args = (error.message,)
            raise

    async def open(self, source: sources.Source, start: int) -> AsyncGenerator[bytes, None]:
        """Open a source from a byte on."""
        storage = self._storages.get(source.kind)
        if storage is None:
            raise StorageError(f"no back end reads sources of the kind {source.kind!r}")
        return await storage.open_range(source, start, None)


class _AgainError(Exception):
    """The receiver stands elsewhere, or (`mismatch`) threw away what it had: it is asked again."""

    def __init__(self, item: Item, *, mismatch: bool) -> None:
        super().__init__(f"{uploads.WHO} stands elsewhere")
        self.item = item
        self.mismatch = mismatch


def _note_wrong(again: _AgainError, wrong: set[str]) -> None:
    """Note what was thrown away.

    Raises:
        PermanentDeliveryError: it was before.
    """
    if again.mismatch and again.item.url in wrong:
        raise uploads.mismatch(
            f"{uploads.WHO} got {again.item.told.name!r} twice with another SHA-256"
        ) from None
    if again.mismatch:
        wrong.add(again.item.url)


class _Progress:
    """How far all files have come together, told on; those before `files_done` are there, all of them."""

    def __init__(self, files: list[Item], files_done: int, on_progress: OnProgress | None) -> None:
        sizes = [item.told.size_bytes for item in files]
        self._sizes = [size or 0 for size in sizes]
        self.files_done = files_done
        self.done: set[int] = set()
        self.bytes_done = sum(self._sizes[:files_done])
        self._bytes_total = 0 if None in sizes else sum(self._sizes)
        self._at: dict[int, int] = {}
        self._on_progress = on_progress

    def at(self, number: int, position: int) -> None:
        """Take how many bytes of a file have gone out."""
        self.bytes_done += position - self._at.get(number, 0)
        self._at[number] = position
        if self._on_progress:
            self._on_progress(self.files_done, self.bytes_done, self._bytes_total)

    def add(self, number: int, size_bytes: int) -> None:
        """Take that so many more bytes of a file are there."""
        self.at(number, self._at.get(number, 0) + size_bytes)

    def finish(self, number: int) -> None:
        """Take that a file is there."""
        self.done.add(number)
        while self.files_done in self.done:
            self.files_done += 1
        self.at(number, self._sizes[number] or self._at.get(number, 0))


class _Upload:
    """One item, until the receiver has it; `number` is that of a file."""

    def __init__(  # noqa: PLR0913, PLR0917  what goes where, and who is told
        self,
        push: Push,
        item: Item,
        destination: Destination,
        flow: flows.Flow,
        progress: _Progress | None = None,
        number: int = 0,
    ) -> None:
        self._push = push
        self._item = item
        self._destination = destination
        self._flow = flow
        self._progress = progress
        self._number = number

    async def deliver(self) -> int:
        """Send what is missing in one body; return how far before their turn the receiver takes blocks."""
        place = await self._ask() if self._item.resumable else None
        return await self._send_one(place)

    async def begin(self, window: ahead.Ahead) -> None:
        """Begin to send it beside others: at once if it is small, else block by block."""
        size = self._item.told.size_bytes or 0
        if self._item.resumable and size <= window.block_bytes:
            await window.begin(size, lambda: self._small(window))
            return
        place = await self._ask() if self._item.resumable else None
        if place is None or self._is_there(place) or not place.ahead_bytes:
            await self._send_one(place)
            return
        await self._send_blocks(place, window)

    async def _small(self, window: ahead.Ahead) -> None:
        await self.deliver()
        window.kept(self._item.told.size_bytes or 0)

    async def _ask(self) -> uploads.Place | None:
        headers = {**self._destination.headers, "Tus-Resumable": uploads.TUS}
        async with self._push.request("HEAD", self._item, headers) as answer:
            place = uploads.read_place(answer, self._item.told)
            if place is not None and self._is_there(place):
                await uploads.check(answer, self._item.told.sha256)
            return place

    def _is_there(self, place: uploads.Place) -> bool:
        return not place.length_unknown and place.offset == self._item.told.size_bytes

    async def _send_one(self, place: uploads.Place | None) -> int:
        """Send all of it, or the rest from a place, as one body."""
        told = 0
        if place is None:
            told = await self._send_whole()
        elif not self._is_there(place):
            await self._send_rest(place)
        if self._progress is not None:
            self._progress.finish(self._number)
        return told

    async def _send_whole(self) -> int:
        reader = await self._read_from(0)
        headers = {**self._destination.headers, **uploads.whole_headers(self._item.told)}
        async with self._sending(self._destination.method, headers, reader) as answer:
            await uploads.check(answer, self._item.told.sha256 or reader.sha256)
            return uploads.ahead_of(answer)

    async def _send_rest(self, place: uploads.Place) -> None:
        reader = await self._read_from(place.offset)
        headers = {**self._destination.headers, **uploads.rest_headers(self._item.told, place)}
        async with self._sending("PATCH", headers, reader) as answer:
            await self._judge(answer, self._item.told.size_bytes or 0)

    async def _send_blocks(self, place: uploads.Place, window: ahead.Ahead) -> None:
        """Send the rest block by block; the last ones may still be on their way at the end."""
        if self._progress is not None:
            self._progress.at(self._number, place.offset)
        reader = await self._read_from(place.offset, self._note_read)
        begin, waiting = place.offset, b""
        try:
            async for piece in reader:
                waiting += piece
                if len(waiting) >= window.block_bytes:
                    await self._begin_block(place, begin, waiting, window)
                    begin, waiting = begin + len(waiting), b""
            if waiting:
                await self._begin_block(place, begin, waiting, window)
        finally:
            await reader.close()

    async def _begin_block(self, place: uploads.Place, begin: int, data: bytes, window: ahead.Ahead) -> None:
        await window.begin(len(data), lambda: self._send_block(place, begin, data, window))

    async def _send_block(self, place: uploads.Place, begin: int, data: bytes, window: ahead.Ahead) -> None:
        end = begin + len(data)
        told = self._item.told
        headers = {**self._destination.headers, **uploads.rest_headers(told, place, (begin, end))}
        async with self._push.request("PATCH", self._item, headers, self._pieces(data)) as answer:
            await self._judge(answer, end)
        window.kept(len(data))
        if self._progress is not None:
            self._progress.add(self._number, len(data))
            if end == told.size_bytes:  # it has its turn after all others
                self._progress.finish(self._number)

    async def _pieces(self, data: bytes) -> AsyncGenerator[bytes, None]:
        for at in range(0, len(data), reading.PIECE_BYTES):
            yield data[at : at + reading.PIECE_BYTES]
            self._note_read(at)

    async def _judge(self, answer: fetch.Response, end: int) -> None:
        """Take the answer to a PATCH up to a byte.

        Raises:
            _AgainError: the receiver does not stand there now.
            DeliveryError: it refuses.
        """
        if answer.status in {uploads.CONFLICT, uploads.MISMATCH}:
            raise _AgainError(self._item, mismatch=answer.status == uploads.MISMATCH)
        await uploads.check(answer, self._item.told.sha256)
        if uploads.offset_after(answer) != end:
            raise _AgainError(self._item, mismatch=False)

    @asynccontextmanager
    async def _sending(
        self, method: str, headers: Mapping[str, str], reader: reading.Reader
    ) -> AsyncGenerator[fetch.Response, None]:
        """Send a body; when it could not be read, that is the error, whatever the connection says of it."""
        try:
            async with self._push.request(method, self._item, headers, reader) as answer:
                yield answer
        except DeliveryError:
            if reader.failure is not None:
                raise reader.failure from None
            raise
        finally:
            await reader.close()

    async def _read_from(self, offset: int, note: Callable[[int], None] | None = None) -> reading.Reader:
        """Open the item to be read from a byte on; where its hash is known, what lies before is hashed first."""
        told = self._item.told
        begin = 0 if told.sha256 else offset
        chunks = _once(self._item.data)
        if self._item.source is not None:
            chunks = await self._push.open(self._item.source, begin)
        reader = reading.Reader(chunks, told.sha256, told.name, begin, note or self._note, self._flow.take)
        await reader.skip_to(offset)
        return reader

    def _note(self, position: int) -> None:
        """Take that a piece was read or has gone out, up to `position` of this item."""
        self._note_read(position)
        if self._progress is not None:
            self._progress.at(self._number, position)

    def _note_read(self, _position: int) -> None:
        """Take that it does not stand still."""
        self._flow.bytes_sent += 1


async def _once(data: bytes) -> AsyncGenerator[bytes, None]:
    yield data


def _discreet(message: str) -> str:
    """Take all of an address but its origin out of a sentence, whatever its spelling."""
    return _BEYOND_ORIGIN.sub(r"\1", message)
