"""A file that is being received into a folder: `.<name>.part`, and `.<name>.runs`, the journal beside it.

The part grows from its first byte on, in runs of at most 1 MiB. The journal has eight bytes for each run, written after
it: its length and its CRC-32. What a power loss or a kill left is looked at again when the part is opened: it counts up
to the first run that is not what the journal says. Whether all of it is right only its SHA-256 says. A part without a
journal counts as it is. See docs/decisions/0026-parts.md.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import struct
import zlib
from collections.abc import Callable
from typing import Final

from comity.dataplane import disk
from comity.dataplane.disk import failures
from comity.dataplane.place import Place
from comity.dataplane.places import Wanted

RUN_BYTES: Final = 1024 * 1024
_RECORD: Final = struct.Struct(">II")
_ZEROS: Final = bytes(RUN_BYTES)


class FilePart:
    """A part in a folder, opened; a `places.Part`."""

    def __init__(self, place: Place, wanted: Wanted, stopped: Callable[[], bool], *, keep: bool) -> None:
        """Open what an earlier attempt left, as far as it is right, or begin anew if it is not to be kept.

        Raises:
            OSError: it cannot be opened.
        """
        self.place = place
        self.wanted = wanted
        self.size = 0
        self.sha256 = ""
        self._stopped = stopped
        self._digest = hashlib.sha256()
        self._journal = -1
        self._records = 0
        self._synced: set[int] = set()
        self.number = self._open_regular(part_name(place.name))
        try:
            if keep:
                self._look()
            else:
                self.start_over()
        except BaseException:
            self.close()
            raise

    @property
    def kept(self) -> int:
        """All of it: what was written is not lost with the process."""
        return self.size

    def append(self, data: bytes) -> None:
        """Write the next bytes and hash them; zeros become a hole."""
        for at in range(0, len(data), RUN_BYTES):
            self._append(data[at : at + RUN_BYTES] if len(data) > RUN_BYTES else data)

    def _append(self, run: bytes) -> None:
        with failures(self.place.shown, len(run)):
            if len(run) >= disk.HOLE_BYTES and _ZEROS.startswith(run):
                os.ftruncate(self.number, self.size + len(run))
            else:
                disk.write_all(self.number, run, self.size)
            if self._records or self.size + len(run) != self.wanted.size_bytes:  # else it is whole at once
                self._note(run)
        self._digest.update(run)
        self.size += len(run)

    def _note(self, run: bytes) -> None:
        if self._journal < 0:
            self._journal = self._open_regular(journal_name(self.place.name))
            os.ftruncate(self._journal, 0)
        if not self._records and self.size:  # it was opened without a journal: what was here counts as it is
            disk.write_all(self._journal, b"".join(self._records_of_before()), 0)
        record = _RECORD.pack(len(run), zlib.crc32(run))
        disk.write_all(self._journal, record, self._records * _RECORD.size)
        self._records += 1

    def _records_of_before(self) -> list[bytes]:
        runs = disk.pieces(self.number, self.size, RUN_BYTES, self._stopped)
        made = [_RECORD.pack(len(run), zlib.crc32(run)) for run in runs]
        self._records = len(made)
        return made

    def _look(self) -> None:
        """Hash what is here, up to the first run that is not what the journal says."""
        size = os.fstat(self.number).st_size
        journal = self._read_journal()
        if journal is None:
            for run in disk.pieces(self.number, size, RUN_BYTES, self._stopped):
                self._take(run)
            return
        for length, crc in _RECORD.iter_unpack(journal[: len(journal) // _RECORD.size * _RECORD.size]):
            if self._stopped():
                raise OSError(errno.ECANCELED, os.strerror(errno.ECANCELED))
            run = os.pread(self.number, length, self.size) if 0 < length <= RUN_BYTES else b""
            if not run or len(run) != length or zlib.crc32(run) != crc:
                break
            self._take(run)
            self._records += 1
        os.ftruncate(self.number, self.size)
        os.ftruncate(self._journal, self._records * _RECORD.size)

    def _take(self, run: bytes) -> None:
        self._digest.update(run)
        self.size += len(run)

    def _read_journal(self) -> bytes | None:
        """Open the journal and read it, None if there is none."""
        name = journal_name(self.place.name)
        if not self.place.size(name):
            return None
        self._journal = self._open_regular(name)
        return disk.read_all(self._journal, os.fstat(self._journal).st_size)

    def fill(self, number: int) -> None:
        """Take all of an open file in place of what is here.

        Raises:
            OSError: it cannot be copied.
        """
        self.start_over()
        size = os.fstat(number).st_size
        disk.copy(number, self.number, size)
        for run in disk.pieces(self.number, size, RUN_BYTES, self._stopped):
            self._take(run)

    def start_over(self) -> None:
        """Forget all that was received."""
        with failures(self.place.shown):
            os.ftruncate(self.number, 0)
            self._drop_journal()
        self._digest = hashlib.sha256()
        self.size = self._records = 0

    def finish(self) -> str:
        """Return the SHA-256 of all of it."""
        self.sha256 = self._digest.hexdigest()
        return self.sha256

    def sync(self) -> None:
        """Make durable what it holds so far, and that it is there."""
        with failures(self.place.shown):
            opened = {each for each in (self.number, self._journal) if each >= 0}
            for each in opened:
                os.fsync(each)
            if opened - self._synced:  # their names are new
                os.fsync(self.place.number)
                self._synced |= opened

    def rename(self, name: str) -> disk.Seen:
        """Give it its final name, once it is synced, and return what the disk says of it."""
        seen = disk.seen(os.fstat(self.number), self.sha256)
        folder = self.place.number
        os.replace(part_name(self.place.name), name, src_dir_fd=folder, dst_dir_fd=folder)
        self._drop_journal()
        return seen

    def remove(self) -> None:
        """Remove it."""
        self.place.drop(part_name(self.place.name))
        with failures(self.place.shown):
            self._drop_journal()
        self.close()

    def close(self) -> None:
        """Close it, keeping what it holds."""
        for each in (self.number, self._journal):
            if each >= 0:
                os.close(each)
        self.number = self._journal = -1
        self.place.close()

    def _drop_journal(self) -> None:
        if self._journal >= 0:
            os.close(self._journal)
            self._synced.discard(self._journal)
            self._journal = -1
        with contextlib.suppress(FileNotFoundError):
            os.unlink(journal_name(self.place.name), dir_fd=self.place.number)

    def _open_regular(self, name: str) -> int:
        """Open a file of ours; whatever else has its name (a link, a pipe, another file) is removed first."""
        for _ in range(2):
            try:
                number = self.place.open(name, os.O_RDWR | os.O_CREAT)
            except OSError as error:
                if error.errno not in {errno.ELOOP, errno.ENXIO}:
                    raise
            else:
                status = os.fstat(number)
                if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
                    return number
                os.close(number)
            os.unlink(name, dir_fd=self.place.number)
        raise OSError(errno.EEXIST, "the place of the part is taken again and again")


def part_name(name: str) -> str:
    """Name under which a file grows until it is whole."""
    return f".{name}.part"


def journal_name(name: str) -> str:
    """Name of the journal of a part."""
    return f".{name}.runs"
