"""Deleting what a transfer brought into a folder, and nothing else that lies there.

Which files those are says the manifest that the transfer left, checked by its digest. A file goes only if we put it
there (`before`), and while its bytes are those that were received: whoever changed it made it another. Folders are
opened as for receiving, so no link leads out. The manifest goes last (`sweep`), when it is written down that the files
are gone: until then all can be repeated.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence

from comity import errors
from comity.dataplane import packages, places, removing, resources, target
from comity.dataplane.attempt import ReceivedFile
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
        data = where.read_note(packages.MANIFEST_NAME, manifest.MAX_BYTES)
        if manifest.digest(data) == sha256:
            _delete(where, manifest.decode(data).files)
            return
        incoming = where.read_note(packages.INCOMING_NAME, manifest.MAX_BYTES)
        if manifest.digest(incoming) != sha256:
            raise unknown(folder, data)
        other = {(each.path, each.sha256) for each in manifest.decode(data).files} if data else set()
        files = manifest.decode(
            incoming
        ).files  # a copy that broke off; what is here whole keeps what both have
        _delete(where, [each for each in files if (each.path, each.sha256) not in other])


def unknown(where: str, data: bytes) -> errors.ConflictError:
    """Make the error for a place that holds another manifest than was received, or none."""
    what = "another package than this transfer brought" if data else "no manifest any more"
    return errors.ConflictError(
        f"{where!r} holds {what}: which files are to be deleted is not known",
        hint="delete them yourself, then say so with --by-hand",
    )


def changed(paths: list[str]) -> errors.ConflictError:
    """Make the error for files that are not what was received any more."""
    shown = ", ".join(paths[:SHOWN]) + (f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else "")
    return errors.ConflictError(
        f"changed since they were received, and therefore not deleted: {shown}",
        hint="move or delete them yourself, then run this again",
    )


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
    """Remove what told of the transfer with this digest, and the folder if we made it and it is empty. Blocks."""
    if not os.path.isdir(folder):
        return
    with contextlib.suppress(errors.StorageError, errors.ConflictError), _locked(folder) as where:
        forget(where, sha256)
        made = where.forget_before()
        removing.settle(where.folder, ())
        if made:
            with contextlib.suppress(OSError):
                os.rmdir(where.folder)


def forget(where: places.Target, sha256: str) -> None:
    """Drop the notes that told of the transfer with this digest. Blocks."""
    for name, told_of, beside in (
        (packages.MANIFEST_NAME, manifest.digest, packages.SEAL_NAME),
        (packages.INCOMING_NAME, manifest.digest, ""),
        (resources.STATE_NAME, resources.told_of, ""),
    ):
        if told_of(where.read_note(name, manifest.MAX_BYTES)) == sha256:  # else another needs it still
            where.drop_note(name)
            if beside:
                where.drop_note(beside)


@contextlib.contextmanager
def _locked(folder: str) -> Iterator[target.Folder]:
    if not os.path.isdir(folder):
        raise errors.ConflictError(
            f"{folder!r} is not there any more: what became of its files is not known",
            hint="if they are deleted everywhere, say so with --by-hand",
        )
    where = target.Folder(folder)
    try:
        yield where
    finally:
        where.close()


def _delete(where: target.Folder, files: Sequence[removing.File]) -> None:
    kept = where.remove(files)
    if kept:
        raise changed(kept)
