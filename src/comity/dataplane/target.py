"""The folder that receives a transfer: where parts grow, and where whole and checked files appear.

`.<name>.part` grows beside its place, as `part` says, and is renamed over it only when its hash is right, so a name
without a dot is always a whole file. Every folder is opened segment by segment without following links: a manifest
path, checked before by `techdata.manifest`, cannot leave the folder even if somebody plants a link in it. The folder
is locked meanwhile. What lay in it before stays what it is, as `before` says.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import fcntl
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from comity.dataplane import before, copies, disk, older, places, removing
from comity.dataplane.before import BEFORE_NAME, Before
from comity.dataplane.disk import failures
from comity.dataplane.older import Left
from comity.dataplane.part import FilePart, part_name
from comity.dataplane.place import Place
from comity.dataplane.places import INCOMING_NAME, MANIFEST_NAME, STATE_NAME, Here, Wanted
from comity.errors import ConflictError, InvalidInputError, StorageError
from comity.storage import descriptor
from comity.techdata import manifest

T = TypeVar("T")

RECEIVING_NAME: Final = ".comity-receiving.json"
KEPT_NAME: Final = ".comity-kept.log"
"""Which files an unfinished transfer has put here, as the disk told them then: they need not be hashed again."""
Known = dict[str, set[str]]
_STOP: contextvars.ContextVar[threading.Event] = contextvars.ContextVar("stop")
"""Told to the call that runs in a thread, and to no other: requests that push share a folder."""


class _Single(msgspec.Struct):
    """What the note of a single resource says of the one that was received last."""

    name: str = ""
    sha256: str = ""
    done: bool = False


class Folder:
    """A locked folder; close it when the transfer ends or pauses. A `places.Target`."""

    def __init__(
        self, folder: str | Path, *, free: Callable[[str], int] | None = None, staging: bool = False
    ) -> None:
        """Create the folder if it is missing and lock it; `free` tells how many bytes may still be written there.

        `staging`: it is no place of anybody's, so nothing is noted of what lay there before.

        Raises:
            ConflictError: another transfer is being received into it.
            StorageError: it cannot be made or used.
        """
        self.folder = os.path.abspath(folder)
        self._free = free or disk.free_bytes
        self._staging = staging
        self._known: Known | None = None
        self._before: Before | None = None
        self._copies = copies.Copies(self.folder)
        self._made = _missing(self.folder)
        with failures(self.folder):
            descriptor.make_folder(self.folder)
            self._lock = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise ConflictError(f"another transfer is being received into {self.folder!r}") from error
        if self._made and not staging:
            self.write_note(BEFORE_NAME, Before(made=True).encode())

    @property
    def shown(self) -> str:
        """The path of the folder."""
        return self.folder

    def close(self) -> None:
        """Give the folder free; if it was made for something that was refused then, nothing is left of it."""
        with contextlib.suppress(OSError, StorageError):
            if self._made and set(os.listdir(self.folder)) <= {BEFORE_NAME}:
                self.drop_note(BEFORE_NAME)
                for folder in self._made:
                    os.rmdir(folder)
        os.close(self._lock)

    async def run(self, call: Callable[[], T]) -> T:
        """Run a blocking call in a thread; if cancelled, wait until it has stopped touching the folder."""
        context, stop = contextvars.copy_context(), threading.Event()
        context.run(_STOP.set, stop)
        running = asyncio.get_running_loop().run_in_executor(None, context.run, call)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            stop.set()
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
        first file (`INCOMING_NAME`), and by what this writes down of an earlier one that it will replace. What lies
        here and is not known is somebody's own.

        Raises:
            StorageError: something that was not received here, or was changed since, has the path of a file.
        """
        known = self._written_down()
        for path, digests in known.items():
            for sha256 in digests:
                self._copies.add(sha256, path)
        incoming = self._named_by(INCOMING_NAME)
        if incoming and incoming != {(file.path, file.sha256) for file in files}:
            self.write_note(RECEIVING_NAME, msgspec.json.encode(known))
        self._known = known
        with failures(self.folder):
            whole, begun = disk.look(self.folder, files, self._kept_before(), self.stopped)
        for file in files:
            if file.path in whole:
                self._copies.add(file.sha256, file.path)
            elif os.path.lexists(os.path.join(self.folder, file.path)):
                with self._open(file.path) as place:
                    self._check_place(place, file.path, file.sha256)
        self._note_before([file for file in files if file.path in whole], files)
        copied = (each.path for each in files if each.path not in whole and self._copies.has(each))
        return Here(frozenset(whole), begun, frozenset(copied))

    def _written_down(self) -> Known:
        known: Known = {}
        with contextlib.suppress(msgspec.MsgspecError):
            known = msgspec.json.decode(
                self.read_note(RECEIVING_NAME, manifest.MAX_BYTES), type=dict[str, set[str]]
            )
        for path, seen in self._kept_before().items():
            known.setdefault(path, set()).add(seen.sha256)
        with contextlib.suppress(msgspec.MsgspecError):
            single = msgspec.json.decode(self.read_note(STATE_NAME, 4096), type=_Single)
            if single.done:
                known.setdefault(single.name, set()).add(single.sha256)
        for path, sha256 in self._named_by(MANIFEST_NAME) | self._named_by(INCOMING_NAME):
            known.setdefault(path, set()).add(sha256)
        return known

    def before(self) -> Before:
        """Return what lay here before anything was received."""
        if self._before is None:
            self._before = before.decode(self.read_note(BEFORE_NAME, manifest.MAX_BYTES))
        return self._before

    def forget_before(self) -> bool:
        """Forget what lay here before, unless something is received here; return whether the folder was made for it."""
        if any(self.read_note(each, 1) for each in (MANIFEST_NAME, INCOMING_NAME, STATE_NAME)):
            return False
        made = self.before().made
        for each in (BEFORE_NAME, RECEIVING_NAME, KEPT_NAME):
            self.drop_note(each)
        return made

    def _note_before(self, lying: Sequence[Wanted], files: Sequence[Wanted] = ()) -> None:
        """Note what lies here and was not received; also the folders that `files` go through."""
        if self._staging:
            return
        found = self.before()
        new = {each.path: each.sha256 for each in lying if each.sha256 not in self._known_at(each.path)}
        folders: set[str] = set()
        if not found.made:
            through = before.folders_of(each.path for each in files)
            ours = before.folders_of((self._known or {}).keys() - found.files)
            folders = {each for each in through - ours if os.path.isdir(os.path.join(self.folder, each))}
        now = Before(found.made, found.files | new, found.folders | folders)
        if now != found:
            self.write_note(BEFORE_NAME, now.encode())
            self._before = now

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
                self._check_place(place, wanted.path, wanted.sha256)
            with failures(place.shown):
                opened = FilePart(place, wanted, self.stopped, keep=keep)
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
        if name:
            ours.place.check_free(set, ours.sha256, name)
            self._take_name(ours, name)
        else:
            self._check_place(ours.place, ours.wanted.path, ours.sha256)

    def _check_place(self, place: Place, path: str, sha256: str) -> None:
        place.check_free(lambda: self._known_at(path), sha256)

    def _take_name(self, ours: FilePart, name: str) -> None:
        """Note a single resource before it gets its name: as ours, or as what lay here already."""
        size, sha256 = ours.size, ours.sha256
        if sha256 in self._known_at(name):
            return
        if ours.place.digest_of_whole(size, name) == sha256:
            self._note_before([Wanted(name, size, sha256)])
        elif not self._staging and self._known is not None:
            self._known.setdefault(name, set()).add(sha256)
            self.write_note(RECEIVING_NAME, msgspec.json.encode(self._known))

    def _known_at(self, path: str) -> set[str]:
        """Return the SHA-256 of what was received at a path, without those of what lay there before."""
        if self._known is None:
            self._known = self._written_down()
        return self._known.get(path, set()) - {self.before().files.get(path, "")}

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

    def drop_older(self, before: bytes, data: bytes) -> Left:
        """Remove what came of a package that another one has not any more, whole or not."""

        def remove(files: Sequence[manifest.File]) -> list[str]:
            lay = [each.path for each in files if self.before().has(each.path, each.sha256)]
            return [*self.remove(files), *lay]

        return older.remove(before, data, remove)

    def remove(self, files: Sequence[removing.File]) -> list[str]:
        """Remove files that were received here; return those that are not what was received. Blocks.

        Raises:
            StorageError: one cannot be removed.
        """
        lay = self.before()
        ours = [each for each in files if not lay.has(each.path, each.sha256)]
        return removing.files(self.folder, ours, keep=lay.folders)

    def end(self, data: bytes) -> Left:
        """Keep the manifest: from now on it alone says what was received here."""
        left = self.drop_older(self.read_note(MANIFEST_NAME, manifest.MAX_BYTES), data)
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
            return Place(
                descriptor.open_folder(self.folder, folders, create=create), name, shown, self.stopped
            )

    @staticmethod
    def stopped() -> bool:
        """Say whether nobody waits any more for the call that asks."""
        stop = _STOP.get(None)
        return stop is not None and stop.is_set()


def _missing(folder: str) -> list[str]:
    """Return a folder and those above it that are not there, the deepest first."""
    found = []
    while not os.path.lexists(folder):
        found.append(folder)
        folder = os.path.dirname(folder)
    return found
