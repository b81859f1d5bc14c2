"""Objects in the operator's buckets: listed and hashed at publishing, read by range, written whole and read back.

What is read is asked for in runs of at most 8 MiB, each under the ETag (and version) that was written down at
publishing, and each in its own time: no connection waits for a slow reader, and memory stays flat. Whatever the store
answers is measured: an object of another size, ETag or length than was told is refused. What is written is read back
and hashed before it counts. Where buckets are, and who opens them, is `opening`'s.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from comity.errors import StorageError
from comity.storage import buckets, media_types, opening
from comity.storage.buckets import Bucket, Place
from comity.storage.source import CHUNK_BYTES, Source, changed

T = TypeVar("T")
Credentials = Callable[[Bucket], Awaitable[str]]
"""Returns the credentials of a bucket as they are now."""
RUN_BYTES: Final = 8 * CHUNK_BYTES
_THREADS: Final = 8
_AT_ONCE: Final = 4
_MOST_PARTS: Final = 9000
_PAGE: Final = 20
"""Objects that are looked at together: a list that repeats a page is found after so many."""


@dataclass(frozen=True, slots=True)
class Named:
    """An object as a list tells of it: `path` below what was listed, `etag` without its quotation marks."""

    path: str
    size_bytes: int
    etag: str


class Objects:
    """The back end for objects in `listed` buckets; http endpoints are taken only if `insecure`.

    `staging` is the folder that holds what is on its way into a bucket.
    """

    def __init__(
        self,
        listed: Sequence[Bucket],
        credentials: Credentials,
        *,
        insecure: bool = False,
        staging: str = "",
        stall_s: float = opening.STALL_S,
    ) -> None:
        self.listed = tuple(listed)
        self.staging = staging
        self._credentials = credentials
        self._insecure = insecure
        self._stall_s = stall_s
        self._open: dict[str, tuple[str, Any]] = {}
        # each has threads of its own: a store that hangs keeps neither a disk nor another store waiting
        self._threads = {
            each.name: ThreadPoolExecutor(_THREADS, thread_name_prefix=f"bucket-{each.name}")
            for each in listed
        }

    def find(self, address: str) -> Place:
        """Return what an address names.

        Raises:
            StorageError: it is in no bucket of the settings.
        """
        return buckets.find(self.listed, address)

    async def open_bucket(self, place: Place) -> Opened:
        """Return the bucket of a place, with its credentials as they are now.

        Raises:
            StorageError: it cannot be opened.
        """
        bucket = place.bucket
        text = "" if bucket.anonymous else await self._credentials(bucket)
        digest = hashlib.sha256(text.encode()).hexdigest()
        kept = self._open.get(bucket.name)
        if kept is None or kept[0] != digest:
            made = await self.run(
                place, lambda: opening.store(bucket, text, insecure=self._insecure, stall_s=self._stall_s)
            )
            kept = self._open[bucket.name] = (digest, made)
        return Opened(kept[1])

    async def look(self, place: Place) -> Source:
        """Ask what an object is now, without reading it: nobody has hashed it.

        Raises:
            StorageError: there is none, or it cannot be asked for.
        """
        opened = await self.open_bucket(place)
        return await self.run(place, lambda: opened.look(place))

    async def publish(self, place: Place) -> Source:
        """Hash an object and return it as the source to be written down.

        Raises:
            StorageError: it cannot be read, or changed meanwhile.
        """
        opened = await self.open_bucket(place)
        return await self.run(place, lambda: opened.measure(place))

    async def reach(self, place: Place) -> None:
        """Ask the store for a first page of what is below a place: what is wrong with its bucket is known then.

        Raises:
            StorageError: the extra is missing, or the store refuses, does not know the bucket, or does not answer.
        """
        opened = await self.open_bucket(place)
        await self.run(place, lambda: opened.reach(place))

    async def find_all(self, place: Place, most: int) -> list[Named]:
        """Return the objects below a place, in order; what only marks a folder is left out.

        Raises:
            StorageError: it cannot be listed, has more than `most` objects, or the store's list is not one.
        """
        opened = await self.open_bucket(place)
        return await self.run(place, lambda: opened.find_all(place, most))

    async def open_range(
        self, source: Source, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Open bytes `start` to `end` (exclusive) of a published object, in chunks of about 1 MiB.

        Raises:
            StorageError: it is gone, changed, or in no bucket of the settings; or the store does not answer.
        """
        place = self.find(source.address)
        opened = await self.open_bucket(place)
        stop = (source.size_bytes or 0) if end is None else end
        return await self._chunks(opened, place, source, start, stop)

    async def _chunks(
        self, opened: Opened, place: Place, source: Source, start: int, stop: int
    ) -> AsyncGenerator[bytes, None]:
        """Read the first run now, so that what is wrong is said before anything is sent."""
        first = await self.run(place, lambda: opened.read(place, source, start, min(stop, start + RUN_BYTES)))

        async def chunks() -> AsyncGenerator[bytes, None]:
            for chunk in first:
                yield chunk
            for begin in range(start + RUN_BYTES, stop, RUN_BYTES):
                end = min(stop, begin + RUN_BYTES)
                for chunk in await self.run(place, functools.partial(opened.read, place, source, begin, end)):
                    yield chunk

        return chunks()

    async def run(self, place: Place, call: Callable[[], T]) -> T:
        """Run a call that blocks on the store of a place, in a thread for which no other store waits."""
        return await asyncio.get_running_loop().run_in_executor(self._threads[place.bucket.name], call)

    def close(self) -> None:
        """Let what still runs end by itself."""
        for each in self._threads.values():
            each.shutdown(wait=False, cancel_futures=True)


class Opened:
    """An open bucket; all of it blocks."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def look(self, place: Place) -> Source:
        """Return what an object is now.

        Raises:
            StorageError: there is none, or it cannot be asked for.
        """
        import obstore  # noqa: PLC0415  an extra

        with opening.failures(place):
            meta = obstore.head(self._store, place.key)
        name = place.path.rpartition("/")[2]
        return Source(
            kind="object",
            address=str(place),
            size_bytes=meta["size"],
            etag=_etag(meta),
            version=_version(meta),
            media_type=media_types.of(name),
            name=name,
        )

    def reach(self, place: Place) -> None:
        """Ask for a first page of what is below a place; see `Objects.reach`.

        Raises:
            StorageError: see there.
        """
        import obstore  # noqa: PLC0415  an extra

        with opening.failures(place):
            next(iter(obstore.list(self._store, prefix=place.key or None, chunk_size=1)), None)

    def find_all(self, place: Place, most: int) -> list[Named]:
        """Return the objects below a place, in order; see `Objects.find_all`.

        Raises:
            StorageError: see there.
        """
        import obstore  # noqa: PLC0415  an extra

        found: dict[str, Named] = {}
        base = f"{place.key}/" if place.key else ""
        with opening.failures(place):
            for page in obstore.list(self._store, prefix=place.key or None, chunk_size=_PAGE):
                for meta in page:
                    path = meta["path"]
                    if not path.startswith(base) or path[len(base) :] in found:
                        raise opening.away(place, f"lists {path[:200]!r} where that cannot be")
                    name = path[len(base) :]
                    found[name] = Named(name, meta["size"], _etag(meta).strip('"'))
                if len(found) > most:
                    raise StorageError(
                        f"{str(place)!r} holds more than {most} objects", hint="publish it in parts"
                    )
        above = {path[:at] for path in found for at, char in enumerate(path) if char == "/"}
        return [each for path, each in sorted(found.items()) if each.size_bytes or path not in above]

    def read(self, place: Place, source: Source, start: int, stop: int) -> list[bytes]:
        """Return bytes `start` to `stop` of an object that must be what `source` says, in chunks.

        Raises:
            StorageError: it is not, or the store sends less or more.
        """
        import obstore  # noqa: PLC0415  an extra

        options: Any = {"if_match": source.etag} if source.etag else {}
        if source.version:
            options["version"] = source.version
        if stop > start:
            options["range"] = (start, stop)
        else:
            options["head"] = True
        chunks: list[bytes] = []
        with opening.failures(place, published=True):
            result = obstore.get(self._store, place.key, options=options)
            _check_same(place, source, result.meta)
            if stop > start:
                if tuple(result.range) != (start, stop):
                    raise opening.away(place, "sends another range than the one asked for")
                chunks = list(_exactly(result.stream(min_chunk_size=CHUNK_BYTES), stop - start))
        if sum(map(len, chunks)) != stop - start:
            raise opening.away(place, "sends another number of bytes than it said")
        return chunks

    def put(self, place: Place, file: Path | bytes, sha256: str) -> Source:
        """Write a file to an object, whole or not at all, read it back, and return it as it is now.

        Raises:
            StorageError: it cannot be written, or what can be read back has another SHA-256: then it was deleted.
        """
        import obstore  # noqa: PLC0415  an extra

        size = len(file) if isinstance(file, bytes) else file.stat().st_size
        part_bytes = max(RUN_BYTES, -(-size // _MOST_PARTS))
        with opening.failures(place):
            obstore.put(
                self._store,
                place.key,
                file,
                chunk_size=part_bytes,
                max_concurrency=_AT_ONCE,
                use_multipart=size > part_bytes,
            )
        return self._read_back(place, sha256)

    def measure(
        self, place: Place, add: Callable[[int], object] = bool, given_up: Callable[[], bool] = bool
    ) -> Source:
        """Hash an object and return it as it is; `add` is told how many more bytes are done.

        Raises:
            StorageError: it cannot be read, or changed meanwhile; or nobody waits for it any more.
        """
        source = self.look(place)
        digest, size = hashlib.sha256(), source.size_bytes or 0
        for begin in range(0, size, RUN_BYTES):
            if given_up():
                raise StorageError(f"{str(place)!r} was not read to its end")
            for chunk in self.read(place, source, begin, min(size, begin + RUN_BYTES)):
                digest.update(chunk)
                add(len(chunk))
        return replace(source, sha256=digest.hexdigest())

    def copy(self, place: Place, to: Place, sha256: str) -> Source:
        """Let the store copy an object, and return the copy, read and hashed.

        Raises:
            StorageError: it cannot be copied, or the copy has another SHA-256: then it was deleted.
        """
        import obstore  # noqa: PLC0415  an extra

        with opening.failures(place):
            obstore.copy(self._store, place.key, to.key)
        return self._read_back(to, sha256)

    def _read_back(self, place: Place, sha256: str) -> Source:
        written = self.measure(place)
        if written.sha256 != sha256:
            self.delete(place)
            raise opening.away(place, f"keeps {place.path!r} with another SHA-256 than was written")
        return written

    def get_small(self, place: Place, limit: int) -> bytes:
        """Return a small object whole, b"" if there is none.

        Raises:
            StorageError: it is larger than `limit`, or cannot be read.
        """
        try:
            source = self.look(place)
        except StorageError as error:
            if error.code != opening.MISSING:
                raise
            return b""
        size = source.size_bytes or 0
        if size > limit:
            raise StorageError(f"{str(place)!r} is larger than {limit} bytes")
        return b"".join(self.read(place, source, 0, size))

    def delete(self, place: Place) -> None:
        """Delete an object; it may be gone already.

        Raises:
            StorageError: it cannot be deleted.
        """
        import obstore  # noqa: PLC0415  an extra

        with opening.failures(place):
            try:
                obstore.delete(self._store, place.key)
            except FileNotFoundError:
                return


def _exactly(stream: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Hand on chunks until there are more than `size` bytes: whoever sends without end is not listened to."""
    done = 0
    for chunk in stream:
        done += len(chunk)
        yield chunk
        if done > size:
            return


def _check_same(place: Place, source: Source, meta: Any) -> None:
    if meta["size"] != source.size_bytes or (source.etag and _etag(meta) != source.etag):
        raise changed(f"{str(place)!r} changed since it was published")


def _etag(meta: Any) -> str:
    return meta["e_tag"] or ""


def _version(meta: Any) -> str:
    version = meta["version"] or ""
    return "" if version == "null" else version
