"""Copying what lies in the store out of it, into any place that could receive it; it is no more encrypted there.

Every chunk is opened with its key, and every file's SHA-256 computed again: nothing damaged gets a name there. It
goes on where it stopped before: what is there and right stays. All of the place is looked at before any of it comes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from comity.dataplane import packages, places
from comity.dataplane.kept import KEPT_NOTES
from comity.dataplane.kept_part import Entry
from comity.dataplane.older import Left
from comity.dataplane.places import INCOMING_NAME, MANIFEST_NAME, Wanted
from comity.errors import ComityError
from comity.storage import kept
from comity.storage.kept import Folder

GROUP = 64
"""So many files are made durable at once."""


class Copy:
    """A copy on its way; `is_begun` once something of it may be there."""

    def __init__(self, folder: Folder, entries: Sequence[Entry], where: places.Target) -> None:
        """Copy these files of what a transfer brought, its manifest last."""
        beside = {each.path: each for each in entries if each.path in {MANIFEST_NAME, *KEPT_NOTES}}
        self._folder, self._where, self._beside = folder, where, beside
        self._files = [each for each in entries if each.path not in beside]
        self._here = places.Here()
        self.is_begun = False

    def look(self) -> None:
        """See whether it can go there, and what is there of it; nothing of it is written. Blocks.

        Raises:
            StorageError: something that was not received there is in its way.
        """
        self._here = self._where.begin([_wanted(each) for each in self._files])
        self.is_begun = bool(self._where.read_note(INCOMING_NAME, 1))

    def run(self) -> Left:
        """Write it. Blocks. Returns what an older revision had left there.

        Raises:
            StorageError: something is damaged or missing, or cannot be written; what was copied before stays.
        """
        where, beside = self._where, self._beside
        data = _read(self._folder, beside[MANIFEST_NAME]) if MANIFEST_NAME in beside else b""
        if data:
            wanted = [_wanted(each) for each in self._files]
            packages.note_incoming(where, wanted, self._here, data)
        try:
            missing = [each for each in self._files if each.path not in self._here.whole]
            for at in range(0, len(missing), GROUP):
                self._copy_group(missing[at : at + GROUP])
        except BaseException:
            if not self.is_begun:
                where.drop_note(INCOMING_NAME)
            raise
        self.is_begun = True
        for name in sorted(beside.keys() & KEPT_NOTES):
            where.write_note(name, _read(self._folder, beside[name]))
        return packages.end(where, data) if data else Left()

    def _copy_group(self, entries: Sequence[Entry]) -> None:
        where = self._where
        parts: list[places.Part] = []
        try:
            for each in entries:
                parts.append(where.part(_wanted(each), keep=False))
                _fill(self._folder, each, parts[-1])
            self.is_begun = True
            where.keep(parts, entries[0].path if not self._beside else "")
        except BaseException:
            for part in parts:
                with contextlib.suppress(ComityError):
                    where.drop(part)
            raise
        finally:
            for part in parts:
                part.close()


def _wanted(entry: Entry) -> Wanted:
    return Wanted(entry.path, entry.size_bytes, entry.sha256)


def _fill(folder: Folder, entry: Entry, part: places.Part) -> None:
    if part.size != entry.size_bytes:  # else the place had a copy of it
        part.start_over()
        with contextlib.closing(folder.open(entry.object_name, entry.key, entry.size_bytes)) as source:
            for piece in source.pieces(0, entry.size_bytes):
                part.append(piece)
    if part.finish() != entry.sha256:
        raise kept.damaged(entry.object_name, "all of it has another SHA-256 than what was received")


def _read(folder: Folder, entry: Entry) -> bytes:
    with contextlib.closing(folder.open(entry.object_name, entry.key, entry.size_bytes)) as source:
        return b"".join(source.pieces(0, entry.size_bytes))
