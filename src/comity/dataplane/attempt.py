"""One attempt to receive a transfer: endpoint, place, room, progress, how fast and how far ahead.

Shared by `packages`, `resources` and `inbox`, which know what the bytes mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final

from comity.dataplane import disk, fetch, places
from comity.dataplane.speeds import Speed
from comity.errors import PermanentDeliveryError

OnProgress = Callable[[int, int, int], None]
Free = Callable[[str], int]

HASH_MISMATCH: Final = "hash-mismatch"
BAD_CONTENT: Final = "bad-content"
RESERVE_BYTES: Final = 64 * 1024 * 1024
_CHECK_EVERY_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A file that lies whole in its place; its SHA-256 (hex) was computed from what was received."""

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Received:
    """What lies in the place now.

    `sha256` stands for all of it: that of the manifest, or of the single resource. `fetched_bytes` of
    content came over the network in this attempt. `note` says what an older revision had left (`older.Left`).
    """

    files: tuple[ReceivedFile, ...]
    sha256: str
    fetched_bytes: int
    manifest: bytes | None = None
    note: str = ""

    @property
    def size_bytes(self) -> int:
        """Sum of the sizes of all files."""
        return sum(file.size_bytes for file in self.files)


class Tally:
    """Counts what is there and tells it: (files done, bytes done, bytes in all or 0 if unknown)."""

    def __init__(self, on_progress: OnProgress | None) -> None:
        self.bytes_total = 0
        self.files_done = 0
        self.bytes_done = 0
        self.fetched_bytes = 0
        self._on_progress = on_progress

    def add(self, size_bytes: int, *, fetched: bool) -> None:
        """Count bytes that are kept now; negative when they were thrown away."""
        self.bytes_done += size_bytes
        if fetched:
            self.fetched_bytes += size_bytes
        self.tell()

    def finish_files(self, number: int = 1) -> None:
        """Count files that are whole."""
        self.files_done += number
        self.tell()

    def tell(self) -> None:
        """Tell how far it is."""
        if self._on_progress:
            self._on_progress(self.files_done, self.bytes_done, self.bytes_total)


@dataclass(slots=True)
class Attempt:
    """What one attempt works with; of the room that the place tells, `reserve_bytes` stay free."""

    request: fetch.Fetch
    url: str
    authorization: str
    where: places.Target
    tally: Tally
    reserve_bytes: int = RESERVE_BYTES
    speed: Speed = field(default_factory=Speed)
    unchecked_bytes: int = 0

    def get(self, url: str, extra: Mapping[str, str]) -> AbstractAsyncContextManager[fetch.Response]:
        """Send a GET with the token."""
        headers = {"Authorization": self.authorization, "Accept-Encoding": "identity", **extra}
        return self.request(url, headers=headers)

    def check_room(self, needed_bytes: int) -> None:
        """Refuse to write what there is no room for. Blocks.

        Raises:
            StorageError: with the code `disk-full`.
        """
        free = self.where.free_bytes()
        if free is not None and needed_bytes > 0 and needed_bytes + self.reserve_bytes > free:
            raise disk.full(self.where.shown, needed_bytes, free, reserve_bytes=self.reserve_bytes)

    def check_rest(self, size_bytes: int) -> None:
        """Look from time to time, while bytes come, whether there is still room for the rest. Blocks."""
        self.unchecked_bytes += size_bytes
        if self.unchecked_bytes >= _CHECK_EVERY_BYTES:
            self.check_room(max(self.unchecked_bytes, self.tally.bytes_total - self.tally.bytes_done))
            self.unchecked_bytes = 0

    async def append(self, part: places.Part, answer: fetch.Response, limit: int | None) -> None:
        """Append a body to a part; `limit` is the size the part may grow to, None where nobody knows.

        Raises:
            PermanentDeliveryError: the provider sends more.
        """

        def write(piece: bytes) -> None:
            self.check_rest(len(piece))
            part.append(piece)

        async for piece in fetch.pieces(answer):
            if limit is not None and part.size + len(piece) > limit:
                raise more_than(limit)
            await self.speed.pace(len(piece))
            await self.where.run(lambda piece=piece: write(piece))  # type: ignore[misc]
            self.tally.add(len(piece), fetched=True)

    async def start_over(self, part: places.Part) -> None:
        """Throw away what a part holds."""
        self.tally.add(-part.size, fetched=False)
        await self.where.run(part.start_over)


def more_than(limit: int) -> PermanentDeliveryError:
    """Make the error for a body that goes on after its end."""
    return broken(BAD_CONTENT, f"the provider sends more than the {limit} bytes it promised")


def broken(code: str, message: str) -> PermanentDeliveryError:
    """Make the error for content that is not what was promised."""
    error = PermanentDeliveryError(
        message, hint="ask the provider; trying again fetches the file from its beginning"
    )
    error.code = code
    return error
