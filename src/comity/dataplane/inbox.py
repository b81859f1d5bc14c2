"""What one request that pushes data to us does: a whole body, the rest of one (tus 1.0), or where we stand.

A push is received as a pull is, into the same parts, with the same checks: each request is read as the answer that a
pull would have got (`resources`), and a package's files go to the places that its manifest names. The rest may come in
several blocks side by side, which wait for their turn. Whether the sender may, and what becomes of the transfer, is the
control plane's; the wire is `api.inbox`'s.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from comity.dataplane import attempt as attempts
from comity.dataplane import fetch, packages, places, resources
from comity.dataplane.attempt import Attempt, Received
from comity.dataplane.reception import Reception
from comity.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    PermanentDeliveryError,
    StorageError,
    TransientDeliveryError,
)
from comity.techdata import manifest

ETAG: Final = '"pushed"'
DIGEST_NAME: Final = ".comity-incoming.sha256"
"""Note of the SHA-256 of the manifest that is on its way: replicas that share a place see that another one has come."""
_OK: Final = 200
_PARTIAL: Final = 206


class OffsetError(ConflictError):
    """The rest does not begin where we stand: at `offset`."""

    code = "offset"

    def __init__(self, offset: int) -> None:
        super().__init__(f"bytes are expected from {offset} on")
        self.offset = offset


class MismatchError(ConflictError):
    """What came does not have the SHA-256 that was told; it was thrown away."""

    code = attempts.HASH_MISMATCH


@dataclass(frozen=True, slots=True)
class Sent:
    """A body on its way to us: `offset` None for a whole one, `total_bytes` of all of it where it is known.

    `digest` and `disposition` are the headers Repr-Digest and Content-Disposition, as they came; `seal` is Comity-Seal.
    `length` is that of this body, where it is known, `is_over` says whether all of it has come, and `waits` that it is
    a block that waits for its turn.
    """

    offset: int | None
    total_bytes: int | None
    digest: str
    disposition: str
    body: AsyncIterator[bytes]
    is_over: Callable[[], bool]
    length: int | None = None
    seal: str = ""
    waits: bool = False

    @property
    def status(self) -> int:
        """The status that the same bytes would have had in a pull."""
        return _PARTIAL if self.offset else _OK

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers that the same bytes would have had in a pull."""
        headers = {"Content-Disposition": self.disposition}
        if self.offset is not None:
            headers["ETag"] = ETAG
        if self.total_bytes is not None:
            headers["Content-Length"] = str(self.total_bytes - (self.offset or 0))
        if self.offset and self.total_bytes is not None:
            headers["Content-Range"] = f"bytes {self.offset}-{self.total_bytes - 1}/{self.total_bytes}"
        if self.digest:
            headers["Repr-Digest"] = self.digest
        return headers

    def chunks(self) -> AsyncIterator[bytes]:
        """The bytes."""
        return self.body


@dataclass(frozen=True, slots=True)
class Stand:
    """How many bytes of something we have, and of how many in all where that is known."""

    offset: int
    total_bytes: int | None


@dataclass(slots=True)
class Package:
    """A package being received: its manifest, its files, what was here at its beginning, and which are whole."""

    data: bytes
    files: dict[str, places.Wanted]
    here: places.Here
    whole: set[str] = field(default_factory=set)
    size_bytes: int = 0
    """Sum of the sizes of all files."""
    whole_bytes: int = 0
    """Sum of the sizes of the files that are whole."""

    def __post_init__(self) -> None:
        """Sum up once: there may be 100,000 files."""
        self.size_bytes = sum(file.size_bytes or 0 for file in self.files.values())

    def take_whole(self, paths: Iterable[str]) -> None:
        """Count files as whole."""
        for path in paths:
            if path in self.files and path not in self.whole:
                self.whole.add(path)
                self.whole_bytes += self.files[path].size_bytes or 0

    def find(self, path: str) -> places.Wanted:
        """Return the file at a path.

        Raises:
            NotFoundError: the manifest has none.
        """
        found = self.files.get(path)
        if found is None:
            raise NotFoundError("the package has no such file")
        return found


Kind = Literal["resource", "manifest", "file"]


def kind_of(path: str) -> Kind:
    """Return what a path below the endpoint of a transfer names."""
    return "resource" if not path else "manifest" if path == packages.MANIFEST_NAME else "file"


def load_package(where: places.Target) -> Package | None:
    """Read the package that an earlier request began in a place, None if there is none. Blocks."""
    data = where.read_note(packages.INCOMING_NAME, manifest.MAX_BYTES)
    try:
        return _package(where, data) if data else None
    except PermanentDeliveryError:
        return None


def begun(where: places.Target) -> str:
    """Return the SHA-256 (hex) of the manifest that came last, empty if none did. Blocks."""
    return where.read_note(DIGEST_NAME, 64).decode("ascii", "replace")


def _package(where: places.Target, data: bytes) -> Package:
    files = packages.read(data)
    return Package(data, {file.path: file for file in files}, where.begin(files))


async def read_manifest(sent: Sent) -> bytes:
    """Receive the bytes of a package's manifest.

    Raises:
        MismatchError: it is not what was told.
        PermanentDeliveryError: it is too long.
    """
    data = await fetch.read(sent, manifest.MAX_BYTES)
    sha256 = manifest.digest(data)
    if sha256 != (fetch.digest_of(sent) or sha256):
        raise MismatchError(f"the manifest has the SHA-256 {sha256}")
    return data


async def begin_package(attempt: Attempt, data: bytes, seal: str) -> Package:
    """Keep a package's manifest, whose seal was checked, for what follows; what is here already counts.

    Where it takes the place of another one that was on its way, nothing stays of what it has not.

    Raises:
        PermanentDeliveryError: it is not acceptable.
        StorageError: there is no room for its files.
    """
    where = attempt.where

    def begin() -> Package:
        package = _package(where, data)
        files = tuple(package.files.values())
        packages.check_room(attempt, files, package.here)
        packages.note_incoming(where, files, package.here, data)
        where.write_note(DIGEST_NAME, manifest.digest(data).encode())
        packages.note_seal(where, seal)
        return package

    return await where.run(begin)


def end_package(where: places.Target, package: Package) -> str:
    """Keep the manifest of a package that is whole; return what an older one left. Blocks.

    Raises:
        ConflictError: another manifest came meanwhile.
    """
    if begun(where) not in {"", manifest.digest(package.data)}:
        raise ConflictError("another revision has come meanwhile")
    left = packages.end(where, package.data)
    where.drop_note(DIGEST_NAME)
    return left.words


async def stand_of_file(
    attempt: Attempt, reception: Reception, package: Package, file: places.Wanted
) -> Stand:
    """Return how much of a package's file is here."""
    where, size = attempt.where, file.size_bytes or 0
    if file.path in package.whole or file.path in package.here.whole:
        return Stand(size, size)
    held = reception.size(file.path)
    if held is None:
        held = await where.run(lambda: where.held(file))
    copied = not held and file.path in package.here.copies
    if size and (held == size or copied):
        async with reception.lock(file.path):
            held = size if await _keep_whole(reception, file) else 0
    return Stand(held if held <= size else 0, size or None)


async def _keep_whole(reception: Reception, file: places.Wanted) -> bool:
    """Keep a part that came whole before an earlier process ended, or is a copy, if it is right; else drop it."""
    part = await reception.part(file)
    if part.size == file.size_bytes and await _finish(reception, part) == file.sha256:
        return True
    await _drop(reception, part)
    return False


async def _finish(reception: Reception, part: places.Part) -> str:
    """Return the SHA-256 (hex) of a part that has all bytes, and keep it if that is right."""
    where = reception.where
    sha256 = await where.run(part.finish)
    if sha256 == part.wanted.sha256:
        async with reception.keeping:
            await where.run(lambda: where.keep([part]))
        reception.let_go(part.wanted.path)
    return sha256


async def _drop(reception: Reception, part: places.Part) -> None:
    reception.forget(part.wanted.path)
    await reception.where.run(lambda: reception.where.drop(part))


async def take_file(attempt: Attempt, reception: Reception, file: places.Wanted, sent: Sent) -> Stand:
    """Receive a file of a package from its beginning, or the rest of it, or a block of the rest.

    Raises:
        OffsetError: it does not go on where we stand.
        MismatchError: it has another SHA-256, and was thrown away.
        TransientDeliveryError: it ended too early; what came is kept.
        PermanentDeliveryError: there is more of it than the manifest says.
        StorageError: it cannot be written.
    """
    size = file.size_bytes or 0
    async with reception.lock(file.path):
        part = await reception.part(file, keep=sent.offset is not None)
        if part.size > size:
            await attempt.start_over(part)
    sent = await _when_due(reception, file.path, part.size, sent)
    async with reception.lock(file.path):
        part = await reception.part(file)
        _check_offset(sent, part.size, size)
        attempt.tally.add(part.size, fetched=False)
        try:
            if part.size < size or not size:
                await attempt.where.run(lambda: attempt.check_room(size - part.size))
                await attempt.append(part, sent, size)
        except StorageError:  # it is looked at again before anything is put behind it
            reception.let_go(file.path)
            raise
        finally:
            reception.tell()
        if part.size == size:
            return await _take_whole(reception, part)
        await attempt.where.run(part.sync)  # the sender is told how much we have
        return _stand_after(
            f"{file.path!r} broke off after {part.size} of {size} bytes", sent, part.size, size
        )


async def _take_whole(reception: Reception, part: places.Part) -> Stand:
    file, size = part.wanted, part.size
    sha256 = await _finish(reception, part)
    if sha256 != file.sha256:
        await _drop(reception, part)
        raise MismatchError(f"{file.path!r} came with the SHA-256 {sha256}, not {file.sha256}")
    return Stand(size, size)


async def _when_due(reception: Reception, path: str, size: int, sent: Sent) -> Sent:
    """Wait until what is here has come to where a block begins; its bytes come into memory meanwhile."""
    if not sent.waits or sent.offset is None or sent.offset <= size:
        return sent
    if sent.length is not None and sent.length <= reception.ahead_bytes:
        sent = replace(sent, body=_once(await fetch.read(sent, sent.length)))
    await reception.turn(path, sent.offset or 0)
    return sent


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


def _check_offset(sent: Sent, size: int, total: int | None) -> None:
    """Refuse a rest that begins elsewhere, or is of something that has another length."""
    if sent.offset is None:
        return
    if sent.offset != size:
        raise OffsetError(size)
    told = total if sent.total_bytes is None else sent.total_bytes
    if told is None or total not in {None, told} or sent.offset > told:
        raise InvalidInputError("Upload-Length must say how long all of it is, each time the same")


def _stand_after(broke_off: str, sent: Sent, size: int, total: int) -> Stand:
    """Return where we stand after a body that was not the rest of it.

    Raises:
        TransientDeliveryError: it was not sent to its own end.
    """
    if sent.offset is None or not sent.is_over():
        raise TransientDeliveryError(broke_off)
    return Stand(size, total)


async def stand_of_resource(
    attempt: Attempt, reception: Reception, expected_sha256: str
) -> tuple[Stand, Received | None]:
    """Return how much of a single resource is here, and the resource if that is all of it."""
    opened = reception.size("")
    if opened is None:
        async with resources.opened(attempt, expected_sha256, fresh=False, look=False) as found:
            size, total = await attempt.where.run(found.part_bytes), found.size_bytes
        if size != total:
            return Stand(size, total), None
    async with reception.lock(""):
        resource = await reception.resource(attempt, expected_sha256)
        size, total = resource.part_size, resource.size_bytes
        if size != total and resource.received is None:
            return Stand(size, total), None
        received = await resource.finish() if resource.is_whole else resource.received
        if received is not None:
            reception.let_go("")
        return Stand(total or 0, total) if received else Stand(0, None), received


async def take_resource(
    attempt: Attempt, reception: Reception, sent: Sent, expected_sha256: str
) -> tuple[Stand, Received | None]:
    """Receive a single resource from its beginning, or the rest of it, or a block of the rest.

    `expected_sha256` (hex) where it is known. Returns where we stand, and the resource once it is whole.

    Raises:
        OffsetError, MismatchError, TransientDeliveryError, PermanentDeliveryError, StorageError: see `take_file`.
    """
    if sent.offset is None:
        reception.let_go("")
        async with resources.opened(attempt, expected_sha256, fresh=True) as whole:
            return _received(await whole.receive(sent, ""))
    async with reception.lock(""):
        resource = await reception.resource(attempt, expected_sha256)
    sent = await _when_due(reception, "", resource.part_size, sent)
    async with reception.lock(""):
        resource = await reception.resource(attempt, expected_sha256)
        size = await resource.offset_for(fetch.digest_of(sent))
        total = resource.size_bytes if size else None
        _check_offset(sent, size, total)
        sent = replace(sent, total_bytes=total if sent.total_bytes is None else sent.total_bytes)
        try:
            received = await resource.receive(sent, "")
        except TransientDeliveryError as error:
            return _stand_after(error.message, sent, resource.part_size, resource.size_bytes or 0), None
        except StorageError:
            reception.let_go("")
            raise
        finally:
            reception.tell()
        if received is not None:
            reception.let_go("")
        return _received(received)


def _received(received: Received | None) -> tuple[Stand, Received]:
    if received is None:
        raise MismatchError("the bytes do not have the SHA-256 that was told")
    return Stand(received.size_bytes, received.size_bytes), received
