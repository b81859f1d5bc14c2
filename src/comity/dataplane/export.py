"""Copying what lies in the store out of it, into any place that could receive it; it is no more encrypted there.

Every chunk is opened with its key, and every file's SHA-256 computed again: nothing damaged gets a name there. It
goes on where it stopped before: what is there and right stays.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from comity.dataplane import places
from comity.dataplane.kept import KEPT_NOTES
from comity.dataplane.kept_part import Entry
from comity.dataplane.older import Left
from comity.dataplane.places import MANIFEST_NAME, Wanted
from comity.storage import kept
from comity.storage.kept import Folder

GROUP = 64
"""So many files are made durable at once."""


def copy(folder: Folder, entries: Sequence[Entry], where: places.Target) -> Left:
    """Copy the files of what a transfer brought, its manifest last. Blocks.

    Returns what an older revision had left there.

    Raises:
        StorageError: something is damaged or missing, or cannot be written; what was copied before stays.
    """
    beside = {each.path: each for each in entries if each.path in {MANIFEST_NAME, *KEPT_NOTES}}
    files = [each for each in entries if each.path not in beside]
    here = where.begin([Wanted(each.path, each.size_bytes, each.sha256) for each in files])
    missing = [each for each in files if each.path not in here.whole]
    for at in range(0, len(missing), GROUP):
        _copy_group(folder, missing[at : at + GROUP], where)
    for name in sorted(beside.keys() & KEPT_NOTES):
        where.write_note(name, _read(folder, beside[name]))
    if MANIFEST_NAME in beside:
        return where.end(_read(folder, beside[MANIFEST_NAME]))
    return Left()


def _copy_group(folder: Folder, entries: Sequence[Entry], where: places.Target) -> None:
    with contextlib.ExitStack() as opened:
        parts = []
        for each in entries:
            part = where.part(Wanted(each.path, each.size_bytes, each.sha256), keep=False)
            opened.callback(part.close)
            _fill(folder, each, part)
            parts.append(part)
        where.keep(parts)


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
