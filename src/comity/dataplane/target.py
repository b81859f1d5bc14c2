"""The folder that receives a transfer: where parts grow, and where whole and checked files appear.

`.<name>.part` grows beside its place, as `part` says, and is renamed over it only when its hash is right, so a name
without a dot is always a whole file. Every folder is opened segment by segment without following links: a manifest
path, checked before by `techdata.manifest`, cannot leave the folder even if somebody plants a link in it. The folder
is locked meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from comity.dataplane import copies, disk, older, places, removing
from comity.dataplane.disk import failures
from comity.dataplane.older import Left
from comity.dataplane.part import FilePart, part_name
from comity.dataplane.place import Place
from comity.dataplane.places import INCOMING_NAME, MANIFEST_NAME, Here, Wanted
from comity.errors import ConflictError, InvalidInputError
from comity.storage import descriptor
from comity.techdata import manifest

T = TypeVar("T")

RECEIVING_NAME: Final = ".comity-receiving.json"
KEPT_NAME: Final = ".comity-kept.log"
"""Which files an unfinished transfer has put here, as the disk told them then: they need not be hashed again."""
Known = dict[str, set[str]]


class Folder:
    """A locked folder; close it when the transfer ends or pauses. A `places.Target`."""

    def __init__(self, folder: str | Path, *, free: Callable[[str], int] | None = None) -> None:
        """Create the folder if it is missing and lock it; `free` tells how many bytes may still be written there.

        Raises:
            ConflictError: another transfer is being received into it.
            StorageError: it cannot be made or used.
        """
        self.folder = os.path.abspath(folder)
        self.stopped = False
        self._free = free or disk.free_bytes
        self._known: Known | None = None
        self._copies = copies.Copies(self.folder)
        with failures(self.folder):
            descriptor.make_folder(self.folder)
            self._lock = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise ConflictError(f"another transfer is being received into {self.folder!r}") from error

    @property
    def shown(self) -> str:
        """The path of the folder."""
        return self.folder

    def close(self) -> None:
        """Give the folder free."""
        os.close(self._lock)

    async def run(self, call: Callable[[], T]) -> T:
        """Run a blocking call in a thread; if cancelled, wait until it has stopped touching the folder."""
        running = asyncio.get_running_loop().run_in_executor(None, call)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            self.stopped = True
            await asyncio.wait([running])
            if not running.cancelled():
                running.exception()
            raise

    def free_bytes(self) -> int:
        """Return how much room there is."""
        with failures(self.folder):
            return self._free(self.folder)

    def begin(self, files: Sequence[Wanted]) -> Here:
        """Look at what is here of files, and at what may have been put here before.

        What is put here is known, after a crash and a newer revision too, by the manifest that is noted before the
        first file (`INCOMING_NAME`), and by what this writes down of an earlier one that it will replace.
        """
        known = self._written_down()
        for path, digests in known.items():
            for sha256 in digests:
                self._copies.add(sha256, path)
        before = self._named_by(INCOMING_NAME)
        if before and before != {(file.path, file.sha256) for file in files}:
            self.write_note(RECEIVING_NAME, msgspec.json.encode(known))
        self._known = known
        with failures(self.folder):
            whole, begun = disk.look(self.folder, files, self._kept_before(), self._stop)
        for file in files:
            if file.path in whole:
                self._copies.add(file.sha256, file.path)
        copied = (each.path for each in files if each.path not in whole and self._copies.has(each))
        return Here(frozenset(whole), begun, frozenset(copied))

    def _written_down(self) -> Known:
        known: Known = {}
        with contextlib.suppress(msgspec.MsgspecError):
            known = msgspec.json.decode(
                self.read_note(RECEIVING_NAME, manifest.MAX_BYTES), type=dict[str, set[str]]
            )
        for path, sha256 in self._named_by(MANIFEST_NAME) | self._named_by(INCOMING_NAME):
            known.setdefault(path, set()).add(sha256)
        return known

    def _named_by(self, note: str) -> set[tuple[str, str]]:
        """Return the paths and digests of a manifest that is noted here."""
        data = self.read_note(note, manifest.MAX_BYTES)
        with contextlib.suppress(InvalidInputError):
            return {(file.path, file.sha256) for file in manifest.decode(data).files} if data else set()
        return set()

    def _kept_before(self) -> dict[str, disk.Seen]:
        return disk.read_log(self.read_note(KEPT_NAME, 4 * manifest.MAX_BYTES))

    def held(self, wanted: Wanted) -> int:
        """Return how many bytes of a file are here: all, if it lies here and is right, else those of its part."""
        with contextlib.suppress(OSError), self._open(wanted.path, create=False) as place:
            if wanted.sha256 and place.digest_of_whole(wanted.size_bytes) == wanted.sha256:
                return wanted.size_bytes or 0
            return place.size(part_name(place.name))
        return 0

    def part(self, wanted: Wanted, *, keep: bool = True) -> FilePart:
        """Open a part, with what is right of what an earlier attempt left in it, or filled from a copy."""
        place = self._open(wanted.path)
        try:
            if wanted.sha256:  # a single resource gets its name at its end only
                place.check_free(lambda: self._known_at(wanted.path) | {wanted.sha256})
            with failures(place.shown):
                opened = FilePart(place, wanted, self._stop, keep=keep)
                if keep:
                    self._copies.fill(opened)
                return opened
        except BaseException:
            place.close()
            raise

    def keep(self, parts: Sequence[places.Part], name: str = "") -> None:
        """Make parts durable and give them their paths; their folders are synced once for all of them."""
        ours = [each for each in parts if isinstance(each, FilePart)]
        with failures(self.folder):
            disk.sync_files([each.number for each in ours], self._lock)
        for each in ours:  # the fetching may have taken hours
            self._check_free(each, name)
        seen = {}
        for each in ours:
            with failures(each.place.shown):
                seen[each.wanted.path] = each.rename(name or each.place.name)
        with failures(self.folder):
            disk.sync_folders([each.place.number for each in ours])
        for each in ours:
            self._copies.add(each.sha256, each.wanted.path)
            each.close()
        if not name:
            self._log(seen)

    def _check_free(self, ours: FilePart, name: str) -> None:
        known = {ours.sha256}
        ours.place.check_free(
            lambda: known if name else known | self._known_at(ours.wanted.path), name or ours.place.name
        )

    def _known_at(self, path: str) -> set[str]:
        if self._known is None:
            self._known = self._written_down()
        return self._known.get(path, set())

    def _log(self, seen: dict[str, disk.Seen]) -> None:
        """Add to the log of what is whole; a line that is lost with the power only means hashing again."""
        with self._open(KEPT_NAME) as place, failures(place.shown):
            if not place.size(INCOMING_NAME):  # nobody comes again
                return
            number = place.open(KEPT_NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            try:
                disk.write_all(number, disk.log_lines(seen))
            finally:
                os.close(number)

    def drop(self, dropped: places.Part) -> None:
        """Close a part and remove it."""
        if isinstance(dropped, FilePart):
            dropped.remove()

    def end(self, data: bytes) -> Left:
        """Keep the manifest: from now on it alone says what was received here."""
        before = self.read_note(MANIFEST_NAME, manifest.MAX_BYTES)
        left = older.remove(before, data, lambda files: removing.files(self.folder, files))
        self.write_note(MANIFEST_NAME, data)
        for each in (RECEIVING_NAME, KEPT_NAME):
            self.drop_note(each)
        return left

    def read_note(self, name: str, limit: int) -> bytes:
        """Read a small file that `write_note` wrote; b"" if there is none."""
        with self._open(name) as place:
            return place.get(name, limit)

    def write_note(self, name: str, data: bytes, *, durable: bool = True) -> None:
        """Write a small file whole; one that is not durable may be lost with the power."""
        with self._open(name) as place:
            place.put(name, data, durable=durable)

    def drop_note(self, name: str) -> None:
        """Remove a small file, if it is there."""
        with self._open(name) as place:
            place.drop(name)

    def _open(self, path: str, *, create: bool = True) -> Place:
        """Open (and make) the folders of a checked path.

        Raises:
            StorageError: a segment is a link or a file.
            OSError: it is not to be made, and is not there.
        """
        *folders, name = path.split("/")
        shown = os.path.join(self.folder, path)
        with failures(shown) if create else contextlib.nullcontext():
            return Place(descriptor.open_folder(self.folder, folders, create=create), name, shown, self._stop)

    def _stop(self) -> bool:
        return self.stopped
