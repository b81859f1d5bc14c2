"""A bucket as a place to receive into: a file is staged on the disk, and becomes an object only when it is whole.

A part grows in a folder of ours, where a cut leaves it; when its hash is right it is written to the bucket, read back
and hashed, and the staged file goes. So the disk holds what is on its way, never the package. Which objects we put
there is noted as they come, and beside the package at its end: one that is there and not ours is not replaced.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from comity.dataplane import disk, older, places, target
from comity.dataplane.older import Left
from comity.dataplane.places import MANIFEST_NAME, SEAL_NAME, Here, Wanted
from comity.errors import ConflictError, StorageError
from comity.storage import descriptor, opening
from comity.storage.buckets import Place
from comity.storage.objects import Named, Opened
from comity.storage.source import Source
from comity.techdata import manifest

T = TypeVar("T")

RECEIVED_NAME: Final = ".comity-received.json"
"""Object beside a package: which objects we put there."""
LOG_NAME: Final = ".comity-objects.log"
"""Staged: which objects an unfinished transfer has put there."""
_FEW: Final = 16
_AT_ONCE: Final = 4


class Put(Struct, frozen=True, rename="camel"):
    """An object that we put at a path, as the store told of it then; not `ours`: the same lay there before."""

    path: str
    sha256: str
    size_bytes: int
    etag: str
    ours: bool = True


class Bucket:
    """A place in a bucket, locked in this node while it is open. A `places.Target`."""

    def __init__(self, place: Place, opened: Opened, staging: str) -> None:
        """Make and lock the folder below `staging` that holds what is on its way there.

        Raises:
            ConflictError: another transfer is being received into it.
            StorageError: the folder cannot be made or used.
        """
        self._place = place
        self._opened = opened
        name = hashlib.sha256(str(place).encode()).hexdigest()[:32]
        with disk.failures(staging):
            descriptor.make_folder(staging, 0o700)  # what is on its way is for nobody else of this machine
        try:
            self._staged = target.Folder(os.path.join(staging, name), staging=True)
        except ConflictError:
            raise ConflictError(f"another transfer is being received into {str(place)!r}") from None
        self._ours: dict[str, Put] | None = None

    @property
    def shown(self) -> str:
        """Its address."""
        return str(self._place)

    def close(self) -> None:
        """Give the place free."""
        self._staged.close()

    async def run(self, call: Callable[[], T]) -> T:
        """Run a blocking call in a thread; if cancelled, wait until it has stopped touching the place."""
        return await self._staged.run(call)

    def free_bytes(self) -> None:
        """Nobody knows how much a bucket takes; what is staged is a few files, whatever the package has."""

    def begin(self, files: Sequence[Wanted]) -> Here:
        """Return what is here: objects that are as we put them, or lay here before; copies of these; what is staged.

        Raises:
            StorageError: something that was not received here, or was changed since, has the path of a file.
        """
        ours = self._known()
        now = self._now([each.path for each in files])
        whole = {each.path for each in files if _is(ours.get(each.path), now.get(each.path), each.sha256)}
        for each in files:
            if each.path not in whole and each.path in now:
                lying = self._check_free(each.path, each.sha256)
                if lying is not None:
                    self._note([_put(each.path, lying, ours=False)])
                    whole.add(each.path)
        by_digest = {ours[path].sha256: path for path in whole}
        for each in files:
            if each.path not in whole and each.sha256 in by_digest:
                self._copy(by_digest[each.sha256], each)
                whole.add(each.path)
        rest = [each for each in files if each.path not in whole]
        here = self._staged.begin(rest)
        self._upload([(each, each.path) for each in rest if each.path in here.whole])
        return Here(frozenset(whole | here.whole), here.begun, here.copies)

    def held(self, wanted: Wanted) -> int:
        """Return how many bytes of a file are here; one that is staged whole is put into the bucket first."""
        put = self._known().get(wanted.path)
        if put is not None and _is(put, self._now([wanted.path]).get(wanted.path), wanted.sha256):
            return wanted.size_bytes or 0
        size = self._staged.held(wanted)
        if wanted.sha256 and size and size == wanted.size_bytes and (self._folder / wanted.path).exists():
            self._upload([(wanted, wanted.path)])
        return size

    def part(self, wanted: Wanted, *, keep: bool = True) -> places.Part:
        """Open the part of a file, staged."""
        return self._staged.part(wanted, keep=keep)

    def keep(self, parts: Sequence[places.Part], name: str = "") -> None:
        """Put parts whose hash is right into the bucket, several at a time, and read each back."""
        files = [
            (
                Wanted(each.wanted.path, each.size, each.wanted.sha256 or each.finish()),
                name or each.wanted.path,
            )
            for each in parts
        ]
        self._staged.keep(parts, name)
        self._upload(files)

    def drop(self, part: places.Part) -> None:
        """Close a part and remove it."""
        self._staged.drop(part)

    def drop_older(self, before: bytes, data: bytes) -> Left:
        """Remove objects of a package that another one has not any more, and what is staged of it."""
        self._staged.drop_older(before, data)
        return older.remove(before, data, self._remove)

    def end(self, data: bytes) -> Left:
        """Keep the manifest, its seal and what we put there beside the package; nothing of it stays on the disk."""
        left = self.drop_older(self.read_object(MANIFEST_NAME), data)
        seal = self._staged.read_note(SEAL_NAME, manifest.MAX_BYTES)
        received = msgspec.json.encode(sorted(self._known().values(), key=lambda each: each.path))
        for name, note in ((SEAL_NAME, seal), (RECEIVED_NAME, received), (MANIFEST_NAME, data)):
            if note:
                self._opened.put(self._place.below(name), note, hashlib.sha256(note).hexdigest())
        self._staged.end(data)
        (self._folder / LOG_NAME).unlink(missing_ok=True)
        for folder, _, _ in os.walk(self._folder, topdown=False):
            with contextlib.suppress(OSError):  # it is not empty
                os.rmdir(folder)
        return left

    def _remove(self, files: Sequence[manifest.File]) -> list[str]:
        """Remove objects that we put there and are as they were received; return the others."""
        known = self._known()
        kept = [
            each.path
            for each in files
            if not (each.path not in known or known[each.path].ours)
            or not self.delete(Wanted(each.path, each.size_bytes, each.sha256))
        ]
        for each in files:
            if each.path not in kept:
                self._known().pop(each.path, None)
        return kept

    def read_note(self, name: str, limit: int) -> bytes:
        """Read what `write_note` wrote, b"" if there is nothing."""
        return self._staged.read_note(name, limit)

    def write_note(self, name: str, data: bytes, *, durable: bool = True) -> None:
        """Write down a little of what a later attempt must know; it lies with what is staged."""
        self._staged.write_note(name, data, durable=durable)

    def drop_note(self, name: str) -> None:
        """Remove a note, if there is one."""
        self._staged.drop_note(name)

    def read_object(self, name: str) -> bytes:
        """Read what `end` put beside a package, b"" if there is nothing."""
        return self._opened.get_small(self._place.below(name), manifest.MAX_BYTES)

    def delete(self, wanted: Wanted) -> bool:
        """Delete an object, if we put it there; return False for one that is there and is not what was received."""
        found, put = self._look(wanted.path), self._known().get(wanted.path)
        if found is None or (put is not None and not put.ours):
            return True
        ours = _is(put, found, wanted.sha256)
        if not ours and self._opened.measure(self._place.below(wanted.path)).sha256 != wanted.sha256:
            return False
        self.delete_object(wanted.path)
        return True

    def delete_object(self, path: str) -> None:
        """Delete an object, whatever it is."""
        self._opened.delete(self._place.below(path))

    @property
    def _folder(self) -> Path:
        return Path(self._staged.folder)

    def _known(self) -> dict[str, Put]:
        """Return what we put here: in this transfer, and in those before."""
        if self._ours is None:
            self._ours = read_received(self._opened, self._place)
            log = self._folder / LOG_NAME
            for line in log.read_bytes().splitlines() if log.exists() else ():
                with contextlib.suppress(msgspec.MsgspecError):  # a line that a kill left half
                    put = msgspec.json.decode(line, type=Put)
                    self._ours[put.path] = put
        return self._ours

    def _now(self, wanted: Sequence[str]) -> dict[str, Named]:
        """Return what lies at these paths now."""
        if len(wanted) > _FEW:
            most = 2 * manifest.MAX_FILES
            return {each.path: each for each in self._opened.find_all(self._place, most)}
        return {path: found for path in wanted if (found := self._look(path)) is not None}

    def _look(self, path: str) -> Named | None:
        try:
            found = self._opened.look(self._place.below(path))
        except StorageError as error:
            if error.code != opening.MISSING:
                raise
            return None
        return Named(path, found.size_bytes or 0, found.etag.strip('"'))

    def _copy(self, path: str, wanted: Wanted) -> None:
        lying = self._check_free(wanted.path, wanted.sha256)
        to = self._place.below(wanted.path)
        if lying is None:
            self._note([Put(wanted.path, wanted.sha256, wanted.size_bytes or 0, "")])
        source = lying or self._opened.copy(self._place.below(path), to, wanted.sha256)
        self._note([_put(wanted.path, source, ours=lying is None)])

    def _upload(self, files: Sequence[tuple[Wanted, str]]) -> None:
        """Put staged files into the bucket; a failure of one leaves the others noted."""

        def one(wanted: Wanted, path: str) -> None:
            staged = self._folder / path
            lying = self._check_free(path, wanted.sha256)
            if lying is None:
                self._note([Put(path, wanted.sha256, wanted.size_bytes or 0, "")])
                written = self._opened.put(self._place.below(path), staged, wanted.sha256)
                self._note([_put(path, written)])
            else:  # it is somebody's own, and stays what it is
                self._note([_put(path, lying, ours=False)])
            staged.unlink()

        if not files:
            return
        with ThreadPoolExecutor(min(_AT_ONCE, len(files)), thread_name_prefix="comity-upload") as pool:
            running = [pool.submit(one, *each) for each in files]
        for each in running:
            each.result()

    def _check_free(self, path: str, sha256: str) -> Source | None:
        """Refuse to replace an object that we did not put there; return one that is the same, to be left alone."""
        found = self._look(path)
        put = self._known().get(path)
        if found is None or (put is not None and put.ours and put.etag == found.etag):
            return None
        lying = self._opened.measure(self._place.below(path))
        if lying.sha256 == sha256:
            return None if put is not None and put.ours else lying
        received = put is not None and put.ours
        what = "was changed since it was received" if received else "was not received here"
        raise StorageError(
            f"{str(self._place.below(path))!r} is there already and {what}; it is not replaced",
            hint="move it away, or receive to another address",
        )

    def _note(self, written: Iterable[Put]) -> None:
        """Note objects on the disk: as ours before they are put there, too, and before their staged files go."""
        known = self._known()
        lines = b"\n"  # a kill may have left half a line before
        for put in written:
            known[put.path] = put
            lines += msgspec.json.encode(put) + b"\n"
        log = self._folder / LOG_NAME
        with disk.failures(str(log)), log.open("ab", buffering=0) as file:
            file.write(lines)
            os.fsync(file.fileno())


def _put(path: str, source: Source, *, ours: bool = True) -> Put:
    return Put(path, source.sha256, source.size_bytes or 0, source.etag.strip('"'), ours)


def read_received(opened: Opened, place: Place) -> dict[str, Put]:
    """Return what transfers before put below a place, by path."""
    written = opened.get_small(place.below(RECEIVED_NAME), manifest.MAX_BYTES)
    with contextlib.suppress(msgspec.MsgspecError):
        return {each.path: each for each in msgspec.json.decode(written, type=list[Put])}
    return {}


def _is(put: Put | None, now: Named | None, sha256: str) -> bool:
    """Say whether an object is the one that we put there, with these contents, and was not changed since."""
    if put is None or now is None:
        return False
    return put.sha256 == sha256 and (put.size_bytes, put.etag) == (now.size_bytes, now.etag)
