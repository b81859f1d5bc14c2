"""Removing files of a folder that were received there, and nothing else: only while their bytes are what came.

Folders are opened as for receiving, so no link leads out of the place.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable, Sequence

from comity.dataplane.attempt import ReceivedFile
from comity.dataplane.disk import failures
from comity.dataplane.part import journal_name, part_name
from comity.dataplane.place import Place
from comity.storage import descriptor
from comity.techdata import manifest

File = ReceivedFile | manifest.File


def files(folder: str, received: Sequence[File], *, keep: Collection[str] = ()) -> list[str]:
    """Remove files and the folders that are empty then; return those that are not what was received. Blocks.

    `keep` are folders that stay in any case.

    Raises:
        StorageError: a file cannot be removed.
    """
    kept = [file.path for file in received if not _remove(folder, file)]
    settle(folder, {file.path.rpartition("/")[0] for file in received}, keep)
    return kept


def _remove(folder: str, file: File) -> bool:
    """Delete a file, if it is there; return False for one that is there and is not what was received."""
    *folders, name = file.path.split("/")
    with failures(os.path.join(folder, file.path)):
        try:
            number = descriptor.open_folder(folder, folders)
        except FileNotFoundError:
            return True
        place = Place(number, name, os.path.join(folder, file.path), lambda: False)
        try:
            for begun in (part_name(name), journal_name(name)):
                place.drop(begun)
            if place.digest_of_whole(file.size_bytes) == file.sha256:
                place.drop(name)
                return True
            return not place.exists()
        finally:
            place.close()


def settle(folder: str, folders: Iterable[str], keep: Collection[str] = ()) -> None:
    """Make durable that files are gone from folders; remove empty ones, the deepest first, but those to `keep`."""
    parts = [each.split("/") for each in folders if each]
    above = {"/".join(each[:depth]) for each in parts for depth in range(1, len(each) + 1)}
    for path in (*sorted(above, key=lambda each: -each.count("/")), ""):
        segments = path.split("/") if path else []
        with failures(os.path.join(folder, path)), contextlib.suppress(FileNotFoundError):
            number = descriptor.open_folder(folder, segments)
            try:
                os.fsync(number)
            finally:
                os.close(number)
        if path and path not in keep:
            _remove_if_empty(folder, segments)


def _remove_if_empty(folder: str, segments: list[str]) -> None:
    with contextlib.suppress(OSError):
        number = descriptor.open_folder(folder, segments[:-1])
        try:
            os.rmdir(segments[-1], dir_fd=number)
        finally:
            os.close(number)
