"""Files that grow in the store, or stand for a content that it has already; see `places.Part`.

A chunk is sealed and written when it is full. The last one waits in memory until the file is finished, made durable or
let rest; after a kill it comes again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from comity.dataplane import disk
from comity.dataplane.places import Wanted
from comity.errors import StorageError
from comity.storage.kept import Growing
from comity.storage.source import CHUNK_BYTES

SHOWN: Final = "the node's store"


class Entry(Struct, frozen=True):
    """A file that is here whole: its path in what was received, the object with its content, and that one's key."""

    path: str
    object_name: str
    sha256: str
    size_bytes: int
    key: bytes


class KeptPart:
    """A file that grows in chunks of 1 MiB, the last of them in memory until it is whole; see `places.Part`."""

    def __init__(self, growing: Growing, wanted: Wanted, *, keep: bool = True) -> None:
        """Read what an earlier attempt left, up to the first chunk that does not open."""
        self.wanted = wanted
        self.kept = 0
        self.sha256 = ""
        self._growing = growing
        self._digest = hashlib.sha256()
        self._tail = bytearray()
        self._closed = False
        with disk.failures(SHOWN):
            if keep:
                self._look()
            else:
                growing.start_over()

    def _look(self) -> None:
        while (plain := self._growing.read(self.kept // CHUNK_BYTES)) is not None:
            if len(plain) < CHUNK_BYTES:
                self._tail += plain
                return
            self._digest.update(plain)
            self.kept += len(plain)

    @property
    def object_name(self) -> str:
        """The name of the object."""
        return self._growing.name

    @property
    def key(self) -> bytes:
        """The object's key."""
        return self._growing.key

    @property
    def size(self) -> int:
        """How many bytes are here."""
        return self.kept + len(self._tail)

    def append(self, data: bytes) -> None:
        """Take the next bytes; each MiB that is full is sealed and written.

        Raises:
            StorageError: they cannot be written; code `disk-full` where there is no room.
        """
        self.sha256 = ""
        view = memoryview(data)
        while view:
            more = CHUNK_BYTES - len(self._tail)
            self._tail += view[:more]
            view = view[more:]
            if len(self._tail) == CHUNK_BYTES:
                with disk.failures(SHOWN, CHUNK_BYTES):
                    self._growing.write(self.kept // CHUNK_BYTES, bytes(self._tail))
                self._digest.update(self._tail)
                self.kept += CHUNK_BYTES
                self._tail.clear()

    @property
    def number(self) -> int:
        """The open file."""
        return self._growing.number

    def finish(self) -> str:
        """Take what is here as all of it and return its SHA-256 (hex)."""
        with disk.failures(SHOWN, len(self._tail)):
            self._write_tail()
            self._growing.cut(self.size)
        digest = self._digest.copy()
        digest.update(self._tail)
        self.sha256 = digest.hexdigest()
        return self.sha256

    def sync(self) -> None:
        """Have on the disk what is here so far."""
        with disk.failures(SHOWN, len(self._tail)):
            self._write_tail()
            os.fsync(self.number)

    def _write_tail(self) -> None:
        if self._tail:
            self._growing.write(self.kept // CHUNK_BYTES, bytes(self._tail))

    def start_over(self) -> None:
        """Forget all that was received of it; what comes now has another key."""
        with disk.failures(SHOWN):
            self._growing.start_over()
        self._digest = hashlib.sha256()
        self._tail.clear()
        self.kept, self.sha256 = 0, ""

    def close(self) -> None:
        """Let it rest, with what of the last chunk came."""
        if not self._closed:
            self._closed = True
            if not self.sha256:  # what is finished may be durable, and is not touched again
                with contextlib.suppress(OSError):  # a full disk: that chunk comes again
                    self._write_tail()
            self._growing.close()


class SamePart:
    """A file whose content the transfer has already: it is only written down once more; see `places.Part`."""

    def __init__(self, wanted: Wanted, same: Entry, is_right: Callable[[Entry], bool]) -> None:
        """Stand for what `same` is."""
        self.wanted = wanted
        self.object_name, self.key = same.object_name, same.key
        self.size = self.kept = same.size_bytes
        self.sha256 = ""
        self._same = same
        self._is_right = is_right

    def append(self, data: bytes) -> None:
        """Take nothing.

        Raises:
            StorageError: it is whole.
        """
        raise StorageError(f"{self.wanted.path!r} is whole: {len(data)} more bytes are not taken")

    def finish(self) -> str:
        """Return its SHA-256 (hex), after it was read; "" where it was damaged since."""
        self.sha256 = self._same.sha256 if self._is_right(self._same) else ""
        return self.sha256

    def sync(self) -> None:
        """Do nothing: it is on the disk."""

    def start_over(self) -> None:
        """Count as nothing: what it stands for is another's.

        Raises:
            StorageError: it cannot be begun anew in this place.
        """
        raise StorageError(f"{self.wanted.path!r} is whole")

    def close(self) -> None:
        """Do nothing."""
