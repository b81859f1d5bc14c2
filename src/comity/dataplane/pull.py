"""Receiving: a package or a resource into a folder, hash-exact, going on where it stopped before.

Everything an attempt achieves lies on the disk, so `run` may be called again after a cut, a crash or `kill
-9` and does only what is missing: whole files with the right hash stay, a part is hashed again and
continued with Range and If-Range. A wrong hash starts that file over once and then fails visibly. Retrying
with back-off, and a fresh token, are the caller's.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from comity.dataplane import attempt as attempts
from comity.dataplane import fetch, packages, resources, target
from comity.dataplane.attempt import Attempt, Free, OnProgress, Received, ReceivedFile, Tally
from comity.errors import InvalidInputError
from comity.techdata import manifest

__all__ = ["Pull", "Received", "ReceivedFile", "free_bytes"]

RESERVE_BYTES: Final = 64 * 1024 * 1024
_OK: Final = 200
_PARTIAL: Final = 206


def free_bytes(folder: str) -> int:
    """Bytes that may still be written where a folder lies."""
    return shutil.disk_usage(folder).free


class Pull:
    """Receives transfers through an injected client, and keeps `reserve_bytes` of the disk free."""

    def __init__(
        self, request: fetch.Fetch, *, free: Free = free_bytes, reserve_bytes: int = RESERVE_BYTES
    ) -> None:
        self._request = request
        self._free = free
        self._reserve_bytes = reserve_bytes

    async def run(  # noqa: PLR0913  everything after the folder is optional and has a name
        self,
        url: str,
        authorization: str,
        folder: str | Path,
        *,
        name: str = "",
        expected_sha256: str = "",
        on_progress: OnProgress | None = None,
    ) -> Received:
        """Receive what is behind the endpoint `url` of a data address into `folder`, or the rest of it.

        `authorization` is the header's whole value. `name` is the file name of a single resource; without
        it the provider's is taken. `expected_sha256` (hex) is that of the manifest or of the single
        resource, where it is known. `on_progress` is told (files done, bytes done, bytes in all, or 0 where
        that is unknown).

        Raises:
            TransientDeliveryError: the stream broke, or the provider asks to come again: call `run` again
                later.
            PermanentDeliveryError: the provider refuses (`status`), or sends what it did not promise (code
                `hash-mismatch` or `bad-content`).
            StorageError: the folder cannot be written; code `disk-full` when there is no room.
            ConflictError: another transfer is being received into the folder.
            InvalidInputError: `name` is no file name.
        """
        if name:
            check_name(name)
        where = target.Target(folder)
        try:
            attempt = Attempt(
                self._request, url, authorization, where, Tally(on_progress), self._free, self._reserve_bytes
            )
            found = await _ask(attempt, name, expected_sha256, fresh=False)
            if found is None:
                found = await _ask(attempt, name, expected_sha256, fresh=True)
            if found is None:
                raise attempts.broken(
                    attempts.HASH_MISMATCH, "the resource was received twice with a wrong SHA-256"
                )
            if isinstance(found, bytes):
                return await packages.receive(attempt, found, expected_sha256)
            return found
        finally:
            where.close()


def check_name(name: str) -> None:
    """Check that a name is one segment of a path and cannot leave its folder.

    Raises:
        InvalidInputError: it is not.
    """
    manifest.check_path(name, "$.name")
    if "/" in name:
        raise InvalidInputError(f"{name[:200]!r} is not the name of one file", path="$.name")


async def _ask(attempt: Attempt, name: str, expected_sha256: str, *, fresh: bool) -> Received | bytes | None:
    """Ask the endpoint: a manifest's bytes if it is a package, else the resource, None if its hash is wrong."""
    async with resources.opened(attempt, expected_sha256, fresh=fresh) as begun:
        if begun.received is not None:
            return begun.received
        if begun.is_whole:
            return await begun.finish()
        async with attempt.get(attempt.url, begun.condition) as answer:
            if answer.status not in {_OK, _PARTIAL}:
                raise await fetch.refusal(answer)
            if fetch.media_type_of(answer) == manifest.MEDIA_TYPE and answer.status == _OK:
                return await fetch.read(answer, manifest.MAX_BYTES)
            return await begun.receive(answer, name)
