"""Deleting what a transfer brought into a bucket, and nothing else that lies there; as `erase` does in a folder.

An object goes only while its bytes are those that were received. What tells of the transfer goes last (`sweep`). In a
bucket that keeps versions the store keeps what was deleted until its own rules remove it.
"""

from __future__ import annotations

from collections.abc import Sequence

from comity.dataplane import erase
from comity.dataplane.attempt import ReceivedFile
from comity.dataplane.bucket import RECEIVED_NAME, Bucket
from comity.dataplane.places import MANIFEST_NAME, SEAL_NAME, Wanted
from comity.techdata import manifest


def package(where: Bucket, sha256: str) -> None:
    """Delete the objects of a package whose manifest has this digest. Blocks.

    Raises:
        ConflictError: another package lies there, or none that is known, or objects that were changed.
        StorageError: one cannot be deleted.
    """
    data = where.read_object(MANIFEST_NAME)
    if manifest.digest(data) != sha256:
        raise erase.unknown(where.shown, data)
    files = manifest.decode(data).files
    delete(where, [ReceivedFile(each.path, each.size_bytes, each.sha256) for each in files])


def delete(where: Bucket, files: Sequence[ReceivedFile]) -> None:
    """Delete objects that are as they were received. Blocks.

    Raises:
        ConflictError: some were changed; the others are deleted.
        StorageError: one cannot be deleted.
    """
    kept = [each.path for each in files if not where.delete(Wanted(each.path, each.size_bytes, each.sha256))]
    if kept:
        raise erase.changed(kept)


def sweep(where: Bucket, sha256: str) -> None:
    """Remove what told of the package with this digest. Blocks."""
    if manifest.digest(where.read_object(MANIFEST_NAME)) == sha256:  # else another transfer needs it still
        for name in (RECEIVED_NAME, SEAL_NAME, MANIFEST_NAME):
            where.delete_object(name)
    erase.forget(where, sha256)
