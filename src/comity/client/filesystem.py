"""`comity://PARTNER/ASSET/path`: a partner's files for whatever reads through fsspec, without copying them first.

PARTNER is a name or a DID on the list of partners, ASSET an id in its catalog; either is percent-encoded where it holds
a slash or a percent sign. What follows is the file's path as it is. An asset that is no package is one file itself.
Whether something may be read is the connector's to say, at each opening; see `distant`. Nothing is written or copied.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import io
import time
import unicodedata
import weakref
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NoReturn, TypeVar
from urllib.parse import quote, unquote

from comity import errors
from comity.client import distant as distants
from comity.client.aconnector import AsyncConnector
from comity.client.blocks import Blocks
from comity.client.connector import TIMEOUT_S
from comity.client.distant import Distant, Opened, Path
from comity.client.records import File

try:
    from fsspec.asyn import AsyncFileSystem, sync
    from fsspec.spec import AbstractBufferedFile
except ImportError as missing:
    raise ImportError(f"comity:// needs fsspec: {errors.install('fsspec')}") from missing

T = TypeVar("T")
Info = dict[str, Any]
CACHE_BYTES: Final = 64 * 1024 * 1024
CLOSE_S: Final = 0.5
FIRST_AHEAD, MOST_AHEAD, IN_ORDER = 256 * 1024, 8 * 1024 * 1024, 3
READ_ONLY: Final = "a partner's data is only read: comity:// takes nothing"
OF_FSSPEC: Final = frozenset(
    {
        "asynchronous",
        "batch_size",
        "listings_expiry_time",
        "loop",
        "max_paths",
        "skip_instance_cache",
        "use_listings_cache",
    }
)
"""What fsspec itself gives to each file system."""
NO_COPY: Final = (
    "comity:// copies nothing away: comity get receives it, and has it in the evidence as an export"
)


class NotOfferedError(PermissionError):
    """There is no such partner, or it offers no such asset: libraries that take a missing file for empty must not."""


def read_path(text: str) -> Path:
    """Read a path without its protocol; names of files are composed (NFC), as they are in a manifest."""
    partner, _, rest = text.strip("/").partition("/")
    asset, _, path = rest.partition("/")
    return Path(partner, unquote(asset), unicodedata.normalize("NFC", path))


def encoded(name: str) -> str:
    """Return the name of a partner or the id of an asset as it stands in a path."""
    return quote(name, safe=":@!$&'()+,;=-._~")


class ComityFileSystem(AsyncFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Partners' data under agreements, through your own connector.

    Args:
        purpose: what it is read for; needed where the offer names purposes, and told to the partner.
        person: who reads; needed where the terms ask for a nationality.
        nationality: that person's nationalities, as the terms write them.
        revision: the number of the revision that is read, else the newest that is released.
        address: of your connector's management API; else as the command finds it (COMITY_URL, COMITY_DATA, the folder).
        api_key: for it; else COMITY_API_KEY or the data folder's.
        cache: bytes of blocks that are kept in memory, 0 for none.
        timeout_s: how long the connector may take for one answer.
    """

    protocol = "comity"
    async_impl = True
    root_marker = ""

    def __init__(  # noqa: PLR0913  storage options, by name
        self,
        *,
        purpose: str = "",
        person: str = "",
        nationality: Sequence[str] | str = (),
        revision: int = 0,
        address: str = "",
        api_key: str = "",
        cache: int = CACHE_BYTES,
        timeout_s: float = TIMEOUT_S,
        **more: Any,
    ) -> None:
        _check_options(more)
        super().__init__(**more)
        named = [nationality] if isinstance(nationality, str) else list(nationality)
        access = {"purpose": purpose, "person": person, "nationality": named, "revision": revision}
        self._access = {name: each for name, each in access.items() if each}
        self._where = (address, api_key, timeout_s)
        self._blocks = Blocks(cache)
        self._of_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Distant] = (
            weakref.WeakKeyDictionary()
        )
        self._first_seen: dict[str, datetime] = {}

    @property
    def fsid(self) -> str:
        """What tells this from others: connector, purpose and person."""
        return f"comity-{self._where[0]}-{self._access}"

    def _distant(self) -> Distant:
        """Return what reads in the running event loop."""
        loop = asyncio.get_running_loop()
        found = self._of_loop.get(loop)
        if found is None:
            address, api_key, timeout_s = self._where
            connector = AsyncConnector(address, api_key, timeout_s=timeout_s)
            found = self._of_loop[loop] = Distant(connector, self._access, self._blocks)
            weakref.finalize(self, _close, weakref.ref(loop), connector)
        return found

    # What there is

    async def _ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:  # noqa: FBT001, FBT002  fsspec's
        text = self._strip_protocol(path)
        place = read_path(text)
        with _translated(path):
            if not place.asset:
                found = await self._names(place.partner)
            else:
                held = await self._distant().files(place.partner, place.asset)
                found = _inside(text, place.path, held.files)
        if not found and place.asset:
            found = [await self._info(path)]  # the file itself
        return found if detail else sorted(each["name"] for each in found)

    async def _names(self, partner: str) -> list[Info]:
        """Return the partners as folders, or the assets of one."""
        distant = self._distant()
        if not partner:
            return [_folder(encoded(each)) for each in await distant.partners()]
        return [_folder(f"{partner}/{encoded(each.id)}") for each in await distant.assets(partner)]

    async def _info(self, path: str, **_: Any) -> Info:
        text = self._strip_protocol(path)
        place = read_path(text)
        with _translated(path):
            if not place.asset:
                if place.partner:
                    await self._distant().partner(place.partner)
                return _folder(text)
            found = await self._distant().find(place, since=time.monotonic())
            if found is not None:
                return _file(text, found)
            held = await self._distant().files(place.partner, place.asset)
        if place.path and not _inside(text, place.path, held.files):
            raise FileNotFoundError(f"{path}: there is no such file")
        return _folder(text)

    async def _exists(self, path: str, **_: Any) -> bool:
        return bool(await self._type(path))

    async def _isdir(self, path: str) -> bool:
        return await self._type(path) == "directory"

    async def _isfile(self, path: str) -> bool:
        return await self._type(path) == "file"

    async def _type(self, path: str) -> str:
        """Return what a path leads to, empty if to nothing; what is refused may be there, and is refused here too."""
        try:
            return str((await self._info(path))["type"])
        except (FileNotFoundError, NotOfferedError):
            return ""

    def modified(self, path: str) -> datetime:
        """Return since when a file is known to have the contents that it has: another content is younger."""
        tag = str(self.info(path).get("ETag") or path)
        return self._first_seen.setdefault(tag, datetime.now(UTC))

    # What is read

    async def _cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        distant = self._distant()

        async def cut(found: Opened) -> bytes:
            if not found.tag:  # a partner that has no digests may have an entity tag, which an opening tells
                found = await distant.open(found)
            if found.size_bytes is None or not found.tag:
                return (await distant.read_whole(found))[slice(start, end)]
            first, last, _step = slice(start, end).indices(found.size_bytes)
            return await distant.read(found, first, last)

        return await self._use(path, cut)

    async def _opened(self, path: str) -> tuple[Opened, bytes]:
        """Open a file, and return it with its bytes where its partner gives no ranges."""
        distant = self._distant()

        async def open_now(found: Opened) -> tuple[Opened, bytes]:
            opened = await distant.open(found)
            return opened, b"" if opened.tag else await distant.read_whole(opened)

        return await self._use(path, open_now, since=time.monotonic())

    async def _use(
        self, path: str, work: Callable[[Opened], Awaitable[T]], *, since: float = distants.NEVER
    ) -> T:
        place = read_path(self._strip_protocol(path))
        with _translated(path):
            done = await self._distant().use(place, work, since=since) if place.asset else None
        if done is None:
            raise FileNotFoundError(f"{path}: there is no such file")
        return done

    async def _read(self, path: str, opened: Opened, start: int, end: int, ahead: int) -> bytes:
        with _translated(path):
            return await self._distant().read(opened, start, end, ahead)

    def open(self, path: str, mode: str = "rb", *args: Any, **more: Any) -> Any:
        """Open a file for reading, as fsspec does."""
        return super().open(path, mode, *args, **{**more, "by_open": True})

    def _open(self, path: str, mode: str = "rb", *, by_open: bool = False, **more: Any) -> Any:
        if mode != "rb":
            _refuse()
        if not by_open:  # so do the file systems that keep what they read on a disk
            raise PermissionError(f"{path}: {NO_COPY}")
        opened, whole = sync(self.loop, self._opened, path)
        if not opened.tag:
            return io.BytesIO(whole)
        return ComityFile(self, path, opened, more.get("block_size"))

    async def end(self) -> None:
        """End all that is read through this in this event loop, and close its connections; the partners are told."""
        distant = self._of_loop.pop(asyncio.get_running_loop(), None)
        if distant is not None:
            await distant.end()

    def close(self) -> None:
        """End all that is read through this, from a program without an event loop."""
        sync(self.loop, self.end)

    def invalidate_cache(self, path: str | None = None) -> None:
        """Forget what was read and listed before."""
        del path
        self._blocks.forget()
        for each in list(self._of_loop.values()):
            each.forget_lists()

    # What is not done

    async def _get_file(self, rpath: str, *_: Any, **__: Any) -> None:
        raise PermissionError(f"{rpath}: {NO_COPY}")

    async def _refused(self, *_: Any, **__: Any) -> None:
        _refuse()

    _put_file = _pipe_file = _rm_file = _cp_file = _mkdir = _makedirs = _refused


class ComityFile(AbstractBufferedFile):  # type: ignore[misc]  # fsspec has no types
    """An open file: only what is read of it is fetched, and more ahead once it is read in order."""

    def __init__(
        self, fs: ComityFileSystem, path: str, opened: Opened, block_size: int | None = None
    ) -> None:
        self._of = opened
        self._next, self._in_order, self._ahead = 0, 0, FIRST_AHEAD
        super().__init__(fs, path, "rb", block_size or "default", cache_type="none", size=opened.size_bytes)

    def _fetch_range(self, start: int, end: int) -> bytes:
        self._in_order = self._in_order + 1 if start == self._next else 0
        ahead = 0
        if self._in_order >= IN_ORDER:
            ahead = self._ahead = min(self._ahead * 2, MOST_AHEAD)
        self._next = end
        read: bytes = sync(self.fs.loop, self.fs._read, self.path, self._of, start, end, ahead)  # noqa: SLF001  its own
        return read


def _refuse() -> NoReturn:
    raise PermissionError(READ_ONLY)


def _folder(name: str) -> Info:
    return {"name": name, "size": 0, "type": "directory"}


def _file(name: str, found: Opened) -> Info:
    return {"name": name, "size": found.size_bytes, "type": "file", "ETag": found.tag}


def _inside(name: str, path: str, files: Mapping[str, File]) -> list[Info]:
    """Return what lies in the folder `path` of an asset, whose own path is `name`."""
    above = f"{path}/" if path else ""
    found: dict[str, Info] = {}
    for each in files.values():
        if not each.path.startswith(above) or each.get("single"):
            continue
        below, deeper, _ = each.path.removeprefix(above).partition("/")
        at = f"{name}/{below}"
        if deeper:
            found.setdefault(at, _folder(at))
        else:
            tag = f'"sha256-{each.sha256}"' if each.sha256 else ""
            found[at] = {"name": at, "size": each.get("sizeBytes"), "type": "file", "ETag": tag}
    return list(found.values())


def _close(loop: weakref.ref[asyncio.AbstractEventLoop], connector: AsyncConnector) -> None:
    """Close the connections of a file system that is gone, in their loop where that can be waited for."""
    running = loop()
    if running is not None and running.is_running():
        with contextlib.suppress(TimeoutError, RuntimeError, NotImplementedError):
            sync(running, connector.close, timeout=CLOSE_S)
            return
    connector.drop()


def _check_options(more: Mapping[str, Any]) -> None:
    """Refuse what is no option: a misspelt one would read something else than was meant."""
    unknown = sorted(more.keys() - OF_FSSPEC)
    if unknown:
        named = [
            each.name
            for each in inspect.signature(ComityFileSystem.__init__).parameters.values()
            if each.kind is each.KEYWORD_ONLY
        ]
        raise TypeError(f"comity:// has no option {', '.join(unknown)}; there are: {', '.join(named)}")


@contextlib.contextmanager
def _translated(path: str) -> Iterator[None]:
    """Raise what libraries that read files expect, with the connector's words."""
    try:
        yield
    except errors.ComityError as error:
        named = [each for each in getattr(error, "reasons", ()) if each]
        reasons = f": {'; '.join(named)}" if named else ""
        hint = f" ({error.hint})" if error.hint else ""
        raise _kind(error)(f"{path}: {error.message}{reasons}{hint}") from error


def _kind(error: errors.ComityError) -> type[OSError]:
    if isinstance(error, errors.NotFoundError):
        return NotOfferedError if isinstance(error, distants.AbsentError) else FileNotFoundError
    if error.code in {errors.PolicyError.code, "unauthorized", "role-too-low"}:
        return PermissionError
    return ConnectionError if isinstance(error, errors.DeliveryError) else OSError
