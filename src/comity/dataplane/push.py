"""Sending a transfer's data to the endpoint that its consumer named, exactly, going on where the receiver stands.

A single resource goes to the endpoint itself; a package to an endpoint that says it takes packages: its manifest
first, then each file below it. Every byte is hashed as it is read, and the last piece is held back until the hash is
right: what was changed since it was published never arrives whole. Retrying is the caller's; so is the guard, which
is in the client.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from comity.dataplane import fetch, flows, reading, serve, uploads
from comity.dataplane.attempt import OnProgress
from comity.dataplane.packages import MANIFEST_NAME
from comity.dsp.push import Destination
from comity.errors import DeliveryError, PermanentDeliveryError, StorageError, TransientDeliveryError
from comity.storage import source as sources
from comity.techdata import manifest

ANSWER_S: Final = 300.0
"""How long a receiver may think about a body: it may have to hash all of it."""
HEAD_S: Final = 30.0
REFUSED: Final = "refused-address"
_TURNS: Final = 4
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
    ) -> None:
        self._send = send
        self._storages = storages
        self._flows = open_flows
        self._answer_s = answer_s

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
        async with self._flows.open(grant.transfer_id) as flow:
            flow.watch(grant.still_allowed)
            for item in listed[: len(listed) - len(files)]:
                await _Upload(self, item, destination, flow, None).deliver()
            for item in files[files_done:]:
                await _Upload(self, item, destination, flow, progress).deliver()
                progress.finish_file()
        return progress.bytes_done

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


class _Progress:
    """How far all files have come together, told on."""

    def __init__(self, files: list[Item], files_done: int, on_progress: OnProgress | None) -> None:
        sizes = [item.told.size_bytes for item in files]
        self._sizes = [size or 0 for size in sizes]
        self._files_done = files_done
        self._bytes_total = 0 if None in sizes else sum(self._sizes)
        self._finished = sum(self._sizes[:files_done])
        self._current = 0
        self._on_progress = on_progress

    @property
    def bytes_done(self) -> int:
        return self._finished + self._current

    def at(self, position: int) -> None:
        """Take how many bytes of the file now being sent have gone out."""
        self._current = position
        self._tell()

    def finish_file(self) -> None:
        self._finished += self._sizes[self._files_done] or self._current
        self._current = 0
        self._files_done += 1
        self._tell()

    def _tell(self) -> None:
        if self._on_progress:
            self._on_progress(self._files_done, self.bytes_done, self._bytes_total)


class _Upload:
    """One item, until the receiver has it."""

    def __init__(
        self, push: Push, item: Item, destination: Destination, flow: flows.Flow, progress: _Progress | None
    ) -> None:
        self._push = push
        self._item = item
        self._destination = destination
        self._flow = flow
        self._progress = progress

    async def deliver(self) -> None:
        mismatches = 0
        for _ in range(_TURNS):
            place = await self._ask() if self._item.resumable else None
            if place is None:
                await self._send_whole()
                return
            status = await self._send_rest(place)
            if status in range(200, 300):
                return
            mismatches += status == uploads.MISMATCH
            if mismatches > 1:
                raise uploads.mismatch(
                    f"{uploads.WHO} got {self._item.told.name!r} twice with another SHA-256"
                )
        raise TransientDeliveryError(f"{uploads.WHO} does not keep the offset that it tells")

    async def _ask(self) -> uploads.Place | None:
        headers = {**self._destination.headers, "Tus-Resumable": uploads.TUS}
        async with self._push.request("HEAD", self._item, headers) as answer:
            place = uploads.read_place(answer, self._item.told)
            if place is not None and self._is_there(place):
                await uploads.check(answer, self._item.told.sha256)
            return place

    def _is_there(self, place: uploads.Place) -> bool:
        return not place.length_unknown and place.offset == self._item.told.size_bytes

    async def _send_whole(self) -> None:
        reader = await self._read_from(0)
        headers = {**self._destination.headers, **uploads.whole_headers(self._item.told)}
        async with self._sending(self._destination.method, headers, reader) as answer:
            await uploads.check(answer, self._item.told.sha256 or reader.sha256)

    async def _send_rest(self, place: uploads.Place) -> int:
        """Send the rest and return 200 if it is there, else the status that asks for another turn."""
        if self._is_there(place):
            return 200
        reader = await self._read_from(place.offset)
        headers = {**self._destination.headers, **uploads.rest_headers(self._item.told, place)}
        async with self._sending("PATCH", headers, reader) as answer:
            if answer.status in {uploads.CONFLICT, uploads.MISMATCH}:
                return answer.status
            await uploads.check(answer, self._item.told.sha256)
            whole = uploads.offset_after(answer) == self._item.told.size_bytes
            return 200 if whole else uploads.CONFLICT

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

    async def _read_from(self, offset: int) -> reading.Reader:
        """Open the item to be read from a byte on; where its hash is known, what lies before is hashed first."""
        told = self._item.told
        begin = 0 if told.sha256 else offset
        chunks = _once(self._item.data)
        if self._item.source is not None:
            chunks = await self._push.open(self._item.source, begin)
        reader = reading.Reader(chunks, told.sha256, told.name, begin, self._note, self._flow.take)
        await reader.skip_to(offset)
        return reader

    def _note(self, position: int) -> None:
        """Take that a piece was read or has gone out, up to `position` of this item."""
        self._flow.bytes_sent += 1
        if self._progress is not None:
            self._progress.at(position)


async def _once(data: bytes) -> AsyncGenerator[bytes, None]:
    yield data


def _discreet(message: str) -> str:
    """Take all of an address but its origin out of a sentence, whatever its spelling."""
    return _BEYOND_ORIGIN.sub(r"\1", message)
