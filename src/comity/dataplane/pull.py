"""Receiving: a package or a resource into a place, hash-exact, going on where it stopped before.

Everything an attempt achieves is kept in the place, so `run` may be called again after a cut, a crash or `kill -9` and
does only what is missing. A wrong hash starts that file over once and then fails visibly. Retrying with back-off, and
a fresh token, are the caller's; and so is giving up what contradicts its manifest twice (`growing`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from comity.dataplane import attempt as attempts
from comity.dataplane import fetch, packages, places, resources, serve, target
from comity.dataplane.attempt import (
    RESERVE_BYTES,
    Attempt,
    Free,
    OnProgress,
    Received,
    ReceivedFile,
    Tally,
)
from comity.dataplane.speeds import Speed
from comity.errors import InvalidInputError
from comity.techdata import manifest, paths

__all__ = ["Pull", "Received", "ReceivedFile"]

CheckSeal = Callable[[bytes, str], Awaitable[None]]
"""Asked with a manifest and its seal ("" for none) before any file is fetched; refuses with PermanentDeliveryError."""
_OK: Final = 200
_PARTIAL: Final = 206
_UNCHANGED: Final = 304
_NOT_THERE: Final = frozenset({412, 416})


class Pull:
    """Receives transfers through an injected client, and keeps `reserve_bytes` of the room free."""

    def __init__(
        self, request: fetch.Fetch, *, free: Free | None = None, reserve_bytes: int = RESERVE_BYTES
    ) -> None:
        self._request = request
        self._free = free
        self._reserve_bytes = reserve_bytes

    async def run(  # noqa: PLR0913  everything after the place is optional and has a name
        self,
        url: str,
        authorization: str,
        into: places.Target | str | Path,
        *,
        name: str = "",
        expected_sha256: str = "",
        on_progress: OnProgress | None = None,
        check_seal: CheckSeal | None = None,
        speed: Speed | None = None,
    ) -> Received:
        """Receive what is behind the endpoint `url` of a data address into a place, or the rest of it.

        The place is closed at the end; a path is that of a folder. `authorization` is the header's whole value. `name`
        is the file name of a single resource; without it the provider's is taken. `expected_sha256` (hex) is that of
        the manifest or of the single resource, where it is known. `on_progress` is told (files done, bytes done, bytes
        in all, or 0 where that is unknown).

        Raises:
            TransientDeliveryError: the stream broke, or the provider asks to come again: call `run` again
                later.
            PermanentDeliveryError: the provider refuses (`status`), or sends what it did not promise (code
                `hash-mismatch` or `bad-content`).
            StorageError: the place cannot be written; code `disk-full` when there is no room.
            ConflictError: another transfer is being received into the place.
            InvalidInputError: `name` is no file name.
        """
        if name:
            check_name(name)
        where = target.Folder(into, free=self._free) if isinstance(into, str | Path) else into
        try:
            attempt = Attempt(
                self._request,
                url,
                authorization,
                where,
                Tally(on_progress),
                self._reserve_bytes,
                speed or Speed(),
            )
            found = await _ask(attempt, name, expected_sha256, fresh=False)
            if found is None:
                found = await _ask(attempt, name, expected_sha256, fresh=True)
            if found is None:
                raise attempts.broken(
                    attempts.HASH_MISMATCH, "the resource was received twice with a wrong SHA-256"
                )
            if isinstance(found, bytes):
                return await _package(attempt, found, expected_sha256, check_seal)
            return found
        finally:
            where.close()


def check_name(name: str) -> None:
    """Check that a name is one segment of a path and cannot leave its folder.

    Raises:
        InvalidInputError: it is not.
    """
    paths.check_path(name, "$.name")
    if "/" in name:
        raise InvalidInputError(f"{name[:200]!r} is not the name of one file", path="$.name")


async def _ask(attempt: Attempt, name: str, expected_sha256: str, *, fresh: bool) -> Received | bytes | None:
    """Ask the endpoint: a manifest's bytes if it is a package, else the resource, None if that is to begin anew."""
    where = attempt.where
    async with resources.opened(attempt, expected_sha256, fresh=fresh) as begun:
        if begun.received is not None:
            return begun.received
        if begun.is_whole:
            return await begun.finish()
        known = await where.run(lambda: where.read_note(packages.INCOMING_NAME, manifest.MAX_BYTES))
        unless = {"If-None-Match": serve.etag_of(manifest.digest(known))} if known else {}
        async with attempt.get(attempt.url, {**begun.condition, **unless}) as answer:
            if answer.status == _UNCHANGED and known:
                return known
            if answer.status in _NOT_THERE and begun.condition and not fresh:
                return None  # there is less of it than was said
            if answer.status not in {_OK, _PARTIAL}:
                raise await fetch.refusal(answer)
            if fetch.media_type_of(answer) == manifest.MEDIA_TYPE and answer.status == _OK:
                return await fetch.read(answer, manifest.MAX_BYTES)
            return await begun.receive(answer, name)


async def _package(
    attempt: Attempt, data: bytes, expected_sha256: str, check_seal: CheckSeal | None
) -> Received:
    if check_seal is None:
        return await packages.receive(attempt, data, expected_sha256)
    seal = await _seal(attempt)
    await check_seal(data, seal)
    return await packages.receive(attempt, data, expected_sha256, seal)


async def _seal(attempt: Attempt) -> str:
    async with attempt.get(serve.below(attempt.url, serve.SEAL), {}) as answer:
        return await fetch.read_seal(answer)
