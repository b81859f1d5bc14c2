"""What one request that pushes data to us does: a whole body, the rest of one (tus 1.0), or where we stand.

A push is received as a pull is, into the same parts, with the same checks: each request is read as the answer that a
pull would have got (`resources`), and a package's files go to the places that its manifest names. Whether the sender
may, and what becomes of the transfer, is the control plane's; the wire is `api.inbox`'s.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from comity.dataplane import attempt as attempts
from comity.dataplane import fetch, packages, resources, target
from comity.dataplane.attempt import Attempt, Received
from comity.errors import ConflictError, InvalidInputError, NotFoundError, TransientDeliveryError
from comity.techdata import manifest

ETAG: Final = '"pushed"'
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

    `digest` and `disposition` are the headers Repr-Digest and Content-Disposition, as they came.
    """

    offset: int | None
    total_bytes: int | None
    digest: str
    disposition: str
    body: AsyncIterator[bytes]

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
            headers["Content-Length"] = str(self.total_bytes)
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
    """A package being received: its manifest, what may lie at each path already, and which files are whole."""

    data: bytes
    files: dict[str, manifest.File]
    known: packages.Known
    whole: set[str] = field(default_factory=set)

    @property
    def size_bytes(self) -> int:
        """Sum of the sizes of all files."""
        return sum(file.size_bytes for file in self.files.values())

    @property
    def whole_bytes(self) -> int:
        """Sum of the sizes of the files that are whole."""
        return sum(self.files[path].size_bytes for path in self.whole)

    def find(self, path: str) -> manifest.File:
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


def load_package(where: target.Target) -> Package | None:
    """Read the package that an earlier request began in a folder, None if there is none. Blocks."""
    place = where.place(packages.INCOMING_NAME)
    try:
        data = place.get(packages.INCOMING_NAME, manifest.MAX_BYTES)
    finally:
        place.close()
    try:
        return _package(where, data) if data else None
    except InvalidInputError:
        return None


def _package(where: target.Target, data: bytes) -> Package:
    files = manifest.decode(data).files
    return Package(data, {file.path: file for file in files}, packages.begin(where, files))


async def take_manifest(attempt: Attempt, sent: Sent, expected_sha256: str) -> Package:
    """Receive a package's manifest and keep it for what follows; `expected_sha256` (hex) where it is known.

    Raises:
        PermanentDeliveryError: it is not acceptable, or another one than was promised.
        StorageError: there is no room for its files.
    """
    data = await fetch.read(sent, manifest.MAX_BYTES)
    sha256 = manifest.digest(data)
    if sha256 != (fetch.digest_of(sent) or sha256):
        raise MismatchError(f"the manifest has the SHA-256 {sha256}")
    if expected_sha256 and sha256 != expected_sha256:
        raise attempts.broken(
            attempts.HASH_MISMATCH, f"the manifest has the SHA-256 {sha256}, not {expected_sha256}"
        )
    try:
        package = await attempt.where.run(lambda: _package(attempt.where, data))
    except InvalidInputError as error:
        raise attempts.broken(
            attempts.BAD_CONTENT, f"the manifest is not acceptable: {error.message}"
        ) from error
    await attempt.where.run(lambda: packages.check_room(attempt, tuple(package.files.values())))
    await attempt.where.run(lambda: _keep_manifest(attempt.where, data))
    return package


def _keep_manifest(where: target.Target, data: bytes) -> None:
    place = where.place(packages.INCOMING_NAME)
    try:
        place.put(packages.INCOMING_NAME, data)
    finally:
        place.close()


async def stand_of_file(attempt: Attempt, package: Package, file: manifest.File) -> Stand:
    """Return how much of a package's file is here."""
    if file.path in package.whole:
        return Stand(file.size_bytes, file.size_bytes)
    place = await attempt.where.run(lambda: attempt.where.place(file.path))
    try:
        if await attempt.where.run(lambda: place.digest_of_whole(file.size_bytes)) == file.sha256:
            return Stand(file.size_bytes, file.size_bytes)
        size = await attempt.where.run(place.part_bytes)
        if size and size == file.size_bytes and await _keep_part(attempt, package, file, place):
            return Stand(size, size)
    finally:
        place.close()
    return Stand(size if size < file.size_bytes else 0, file.size_bytes or None)


async def _keep_part(attempt: Attempt, package: Package, file: manifest.File, place: target.Place) -> bool:
    """Keep a part that came whole before an earlier process ended, if it is right; else throw it away."""
    part = await attempt.where.run(place.open_part)
    try:
        sha256 = await attempt.where.run(part.finish)
    finally:
        part.close()
    if sha256 != file.sha256:
        await attempt.where.run(place.drop_part)
        return False
    await attempt.where.run(lambda: place.check_free(package.known[file.path]))
    await attempt.where.run(place.keep)
    return True


async def take_file(attempt: Attempt, package: Package, file: manifest.File, sent: Sent) -> None:
    """Receive a file of a package, or the rest of it, to its end.

    Raises:
        OffsetError: it does not go on where we stand.
        MismatchError: it has another SHA-256, and was thrown away.
        TransientDeliveryError: it ended too early; what came is kept.
        PermanentDeliveryError: there is more of it than the manifest says.
        StorageError: it cannot be written.
    """
    known = package.known[file.path]
    place = await attempt.where.run(lambda: attempt.where.place(file.path))
    try:
        await attempt.where.run(lambda: place.check_free(known))
        part = await attempt.where.run(lambda: place.open_part(keep=bool(sent.offset)))
        try:
            if sent.offset not in {None, part.size}:
                raise OffsetError(part.size)
            attempt.tally.add(part.size, fetched=False)
            await attempt.append(part, sent, file.size_bytes)
            if part.size < file.size_bytes:
                await attempt.where.run(lambda: place.sync(part))  # the sender is told how much we have
                raise TransientDeliveryError(
                    f"{file.path!r} broke off after {part.size} of {file.size_bytes} bytes"
                )
            sha256 = await attempt.where.run(part.finish)
        finally:
            part.close()
        if sha256 != file.sha256:
            await attempt.where.run(place.drop_part)
            raise MismatchError(f"{file.path!r} came with the SHA-256 {sha256}, not {file.sha256}")
        await attempt.where.run(lambda: place.check_free(known))  # the receiving may have taken hours
        await attempt.where.run(place.keep)
    finally:
        place.close()


async def stand_of_resource(attempt: Attempt, expected_sha256: str) -> tuple[Stand, Received | None]:
    """Return how much of a single resource is here, and the resource if that is all of it."""
    async with resources.opened(attempt, expected_sha256, fresh=False, look=False) as begun:
        size, total = await attempt.where.run(begun.part_bytes), begun.size_bytes
    if size != total:
        return Stand(size, total), None
    async with resources.opened(attempt, expected_sha256, fresh=False) as begun:
        received = await begun.finish() if begun.is_whole else begun.received
    return Stand(total, total) if received else Stand(0, None), received


async def take_resource(attempt: Attempt, sent: Sent, expected_sha256: str) -> Received:
    """Receive a single resource, or the rest of it, to its end; `expected_sha256` (hex) where it is known.

    Raises:
        OffsetError, MismatchError, TransientDeliveryError, PermanentDeliveryError, StorageError: see `take_file`.
    """
    async with resources.opened(attempt, expected_sha256, fresh=not sent.offset) as begun:
        if sent.offset and sent.offset != await begun.offset_for(fetch.digest_of(sent)):
            raise OffsetError(await begun.offset_for(fetch.digest_of(sent)))
        if begun.received is not None:
            return begun.received
        received = await begun.receive(sent, "")
        if received is None:
            raise MismatchError("the bytes do not have the SHA-256 that was told")
        return received
