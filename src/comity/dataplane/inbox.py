"""What one request that pushes data to us does: a whole body, the rest of one (tus 1.0), or where we stand.

A push is received as a pull is, into the same parts, with the same checks: each request is read as the answer that a
pull would have got (`resources`), and a package's files go to the places that its manifest names. Whether the sender
may, and what becomes of the transfer, is the control plane's; the wire is `api.inbox`'s.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from comity.dataplane import attempt as attempts
from comity.dataplane import fetch, packages, places, resources
from comity.dataplane.attempt import Attempt, Received
from comity.dataplane.pull import CheckSeal
from comity.errors import ConflictError, NotFoundError, PermanentDeliveryError, TransientDeliveryError
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

    `digest` and `disposition` are the headers Repr-Digest and Content-Disposition, as they came; `seal` is Comity-Seal.
    """

    offset: int | None
    total_bytes: int | None
    digest: str
    disposition: str
    body: AsyncIterator[bytes]
    seal: str = ""

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


def _package(where: places.Target, data: bytes) -> Package:
    files = packages.read(data)
    return Package(data, {file.path: file for file in files}, where.begin(files))


async def take_manifest(attempt: Attempt, sent: Sent, expected_sha256: str, check_seal: CheckSeal) -> Package:
    """Receive a package's manifest and keep it for what follows; `expected_sha256` (hex) where it is known.

    Raises:
        PermanentDeliveryError: it is not acceptable, another one than was promised, or its seal does not hold.
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
    await check_seal(data, sent.seal)
    package = await attempt.where.run(lambda: _take(attempt, data))
    await attempt.where.run(lambda: attempt.where.write_note(packages.INCOMING_NAME, data))
    await attempt.where.run(lambda: packages.note_seal(attempt.where, sent.seal))
    return package


def _take(attempt: Attempt, data: bytes) -> Package:
    package = _package(attempt.where, data)
    packages.check_room(attempt, tuple(package.files.values()), package.here)
    return package


async def stand_of_file(attempt: Attempt, package: Package, file: places.Wanted) -> Stand:
    """Return how much of a package's file is here."""
    where, size = attempt.where, file.size_bytes or 0
    if file.path in package.whole or file.path in package.here.whole:
        return Stand(size, size)
    held = await where.run(lambda: where.held(file))
    if held == size and size and not await _keep_part(attempt, file):
        held = 0
    return Stand(held if held <= size else 0, size or None)


async def _keep_part(attempt: Attempt, file: places.Wanted) -> bool:
    """Keep a part that came whole before an earlier process ended, if it is right; else throw it away."""
    where = attempt.where
    part = await where.run(lambda: where.part(file))
    if part.size != file.size_bytes or await where.run(part.finish) != file.sha256:
        await where.run(lambda: where.drop(part))
        return False
    await where.run(lambda: where.keep([part]))
    return True


async def take_file(attempt: Attempt, file: places.Wanted, sent: Sent) -> None:
    """Receive a file of a package, or the rest of it, to its end.

    Raises:
        OffsetError: it does not go on where we stand.
        MismatchError: it has another SHA-256, and was thrown away.
        TransientDeliveryError: it ended too early; what came is kept.
        PermanentDeliveryError: there is more of it than the manifest says.
        StorageError: it cannot be written.
    """
    where = attempt.where
    part = await where.run(lambda: where.part(file, keep=bool(sent.offset)))
    try:
        if sent.offset not in {None, part.size}:
            raise OffsetError(part.size)
        attempt.tally.add(part.size, fetched=False)
        await attempt.append(part, sent, file.size_bytes)
        if part.size < (file.size_bytes or 0):
            await where.run(part.sync)  # the sender is told how much we have
            raise TransientDeliveryError(
                f"{file.path!r} broke off after {part.size} of {file.size_bytes} bytes"
            )
        sha256 = await where.run(part.finish)
        if sha256 != file.sha256:
            await where.run(lambda: where.drop(part))
            raise MismatchError(f"{file.path!r} came with the SHA-256 {sha256}, not {file.sha256}")
        await where.run(lambda: where.keep([part]))
    finally:
        part.close()


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
