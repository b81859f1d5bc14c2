"""Deleting what a transfer brought into a folder, and nothing else that lies there.

Which files those are says the manifest that the transfer left, checked by its digest. A file goes only while its bytes
are those that were received: whoever changed it made it another. Folders are opened as for receiving, so no link leads
out. The manifest goes last (`sweep`), when it is written down that the files are gone: until then all can be repeated.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator

from comity import errors
from comity.dataplane import packages, resources, target
from comity.dataplane.attempt import ReceivedFile
from comity.storage import descriptor
from comity.techdata import manifest

SHOWN = 5


def package(folder: str, sha256: str) -> None:
    """Delete the files of a package whose manifest has this digest. Blocks.

    Raises:
        ConflictError: the folder holds another package, or none that is known, or files that were changed; or
            something is being received into it.
        StorageError: a file cannot be deleted.
    """
    with _locked(folder) as where:
        place = where.place(packages.MANIFEST_NAME)
        try:
            data = place.get(packages.MANIFEST_NAME, manifest.MAX_BYTES)
        finally:
            place.close()
        if manifest.digest(data) != sha256:
            what = "another package than this transfer brought" if data else "no manifest any more"
            raise errors.ConflictError(
                f"{folder!r} holds {what}: which files are to be deleted is not known",
                hint="delete them yourself, then say so with --by-hand",
            )
        files = manifest.decode(data).files
        _delete(where, [ReceivedFile(each.path, each.size_bytes, each.sha256) for each in files])


def resource(folder: str, file: ReceivedFile) -> None:
    """Delete a single file that was received. Blocks.

    Raises:
        ConflictError: it was changed, or something is being received into the folder.
        StorageError: it cannot be deleted.
    """
    if os.path.isdir(folder):
        with _locked(folder) as where:
            _delete(where, [file])


def sweep(folder: str, sha256: str) -> None:
    """Remove what told of the transfer with this digest, and the folder if nothing else is in it. Blocks."""
    if not os.path.isdir(folder):
        return
    with contextlib.suppress(errors.StorageError, errors.ConflictError), _locked(folder) as where:
        for name, told_of in (
            (packages.MANIFEST_NAME, manifest.digest),
            (resources.STATE_NAME, resources.told_of),
        ):
            place = where.place(name)
            try:
                if (
                    told_of(place.get(name, manifest.MAX_BYTES)) == sha256
                ):  # else another transfer needs it still
                    place.drop(name)
            finally:
                place.close()
        _settle(where, ())
        with contextlib.suppress(OSError):
            os.rmdir(where.folder)


@contextlib.contextmanager
def _locked(folder: str) -> Iterator[target.Target]:
    if not os.path.isdir(folder):
        raise errors.ConflictError(
            f"{folder!r} is not there any more: what became of its files is not known",
            hint="if they are deleted everywhere, say so with --by-hand",
        )
    where = target.Target(folder)
    try:
        yield where
    finally:
        where.close()


def _delete(where: target.Target, files: list[ReceivedFile]) -> None:
    kept = [file.path for file in files if not _delete_one(where, file)]
    _settle(where, {file.path.rpartition("/")[0] for file in files})
    if kept:
        shown = ", ".join(kept[:SHOWN]) + (f" and {len(kept) - SHOWN} more" if len(kept) > SHOWN else "")
        raise errors.ConflictError(
            f"changed since they were received, and therefore not deleted: {shown}",
            hint="move or delete them yourself, then run this again",
        )


def _delete_one(where: target.Target, file: ReceivedFile) -> bool:
    """Delete a file, if it is there; return False for one that is there and is not what was received."""
    *folders, name = file.path.split("/")
    with target.failures(os.path.join(where.folder, file.path)):
        try:
            number = descriptor.open_folder(where.folder, folders)
        except FileNotFoundError:
            return True
        place = target.Place(where, number, name, file.path)
        try:
            if place.digest_of_whole(file.size_bytes) == file.sha256:
                place.drop(name)
                return True
            return not place.exists()
        finally:
            place.close()


def _settle(where: target.Target, folders: Iterable[str]) -> None:
    """Make durable that files are gone from folders, and remove those that are empty now, the deepest first."""
    parts = [each.split("/") for each in folders if each]
    above = {"/".join(each[:depth]) for each in parts for depth in range(1, len(each) + 1)}
    for path in (*sorted(above, key=lambda each: -each.count("/")), ""):
        segments = path.split("/") if path else []
        with target.failures(os.path.join(where.folder, path)), contextlib.suppress(FileNotFoundError):
            number = descriptor.open_folder(where.folder, segments)
            try:
                os.fsync(number)
            finally:
                os.close(number)
        if path:
            _remove_if_empty(where, segments)


def _remove_if_empty(where: target.Target, segments: list[str]) -> None:
    with contextlib.suppress(OSError):
        number = descriptor.open_folder(where.folder, segments[:-1])
        try:
            os.rmdir(segments[-1], dir_fd=number)
        finally:
            os.close(number)
