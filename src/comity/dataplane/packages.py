"""Receiving a package: its manifest decides what is fetched, where it goes and whether it is right.

Each file ends in one of two ways: it lies at its path with the hash the manifest says, or the attempt fails
by name.
"""

from __future__ import annotations

import contextlib
import urllib.parse
from typing import Final, TypeAlias

import msgspec

from comity.dataplane import attempt as attempts
from comity.dataplane import fetch, serve, target
from comity.dataplane.attempt import Attempt, Received, ReceivedFile
from comity.errors import InvalidInputError, TransientDeliveryError
from comity.techdata import manifest

MANIFEST_NAME: Final = ".comity-manifest.json"
RECEIVING_NAME: Final = ".comity-receiving.json"
INCOMING_NAME: Final = ".comity-incoming.json"
"""The manifest of a package that is being pushed to us, until all of it is here."""
Known: TypeAlias = dict[str, set[str]]
_OK: Final = 200
_PARTIAL: Final = 206


async def receive(attempt: Attempt, data: bytes, expected_sha256: str) -> Received:
    """Receive all files that a manifest's bytes name, or what is missing of them.

    Raises:
        PermanentDeliveryError, TransientDeliveryError, StorageError: see `pull.Pull.run`.
    """
    sha256 = manifest.digest(data)
    if expected_sha256 and sha256 != expected_sha256:
        raise attempts.broken(
            attempts.HASH_MISMATCH, f"the manifest has the SHA-256 {sha256}, not {expected_sha256}"
        )
    try:
        files = manifest.decode(data).files
    except InvalidInputError as error:
        raise attempts.broken(
            attempts.BAD_CONTENT, f"the manifest is not acceptable: {error.message}"
        ) from error
    attempt.tally.bytes_total = sum(file.size_bytes for file in files)
    await attempt.where.run(lambda: check_room(attempt, files))
    known = await attempt.where.run(lambda: begin(attempt.where, files))
    for file in files:
        await _receive_file(attempt, file, known[file.path])
    await attempt.where.run(lambda: end(attempt.where, data))
    received = tuple(ReceivedFile(file.path, file.size_bytes, file.sha256) for file in files)
    return Received(received, sha256, attempt.tally.fetched_bytes, data)


def check_room(attempt: Attempt, files: tuple[manifest.File, ...]) -> None:
    """Refuse files of which the disk cannot take what is missing.

    Raises:
        StorageError: with the code `disk-full`.
    """
    there = attempt.where.received_bytes
    attempt.check_room(sum(max(0, file.size_bytes - there(file.path)) for file in files))


def begin(where: target.Target, files: tuple[manifest.File, ...]) -> Known:
    """Return what earlier attempts and packages may have left at each path, after adding what this one will put there.

    It is on the disk before the first file is, so that after a crash, and a new revision since, ours are still known.
    """
    place = where.place(MANIFEST_NAME)
    try:
        known = _written_down(place)
        for file in files:
            known.setdefault(file.path, set()).add(file.sha256)
        place.put(RECEIVING_NAME, msgspec.json.encode(known))
        return known
    finally:
        place.close()


def _written_down(place: target.Place) -> Known:
    known: Known = {}
    with contextlib.suppress(msgspec.MsgspecError):
        known = msgspec.json.decode(place.get(RECEIVING_NAME, manifest.MAX_BYTES), type=dict[str, set[str]])
    with contextlib.suppress(InvalidInputError):
        for file in manifest.decode(place.get(MANIFEST_NAME, manifest.MAX_BYTES)).files:
            known.setdefault(file.path, set()).add(file.sha256)
    return known


def end(where: target.Target, data: bytes) -> None:
    """Keep the manifest: from now on it alone says what was received here."""
    place = where.place(MANIFEST_NAME)
    try:
        place.put(MANIFEST_NAME, data)
        place.drop(RECEIVING_NAME)
        place.drop(INCOMING_NAME)
    finally:
        place.close()


async def _receive_file(attempt: Attempt, file: manifest.File, known: set[str]) -> None:
    place = await attempt.where.run(lambda: attempt.where.place(file.path))
    try:
        if await attempt.where.run(lambda: place.digest_of_whole(file.size_bytes)) == file.sha256:
            attempt.tally.add(file.size_bytes, fetched=False)
        else:
            await attempt.where.run(lambda: place.check_free(known))
            await _receive_part(attempt, file, place, known)
    finally:
        place.close()
    attempt.tally.finish_file()


async def _receive_part(attempt: Attempt, file: manifest.File, place: target.Place, known: set[str]) -> None:
    part = await attempt.where.run(place.open_part)
    try:
        attempt.tally.add(part.size, fetched=False)
        for _ in range(2):
            if part.size > file.size_bytes:
                await attempt.start_over(part)
            if part.size < file.size_bytes:
                await _fetch_rest(attempt, file, part)
            if await attempt.where.run(part.finish) == file.sha256:
                await attempt.where.run(lambda: place.check_free(known))  # the fetching may have taken hours
                await attempt.where.run(place.keep)
                return
            await attempt.start_over(part)
    finally:
        part.close()
    await attempt.where.run(place.drop_part)
    raise attempts.broken(
        attempts.HASH_MISMATCH, f"{file.path!r} was received twice with a SHA-256 other than {file.sha256}"
    )


async def _fetch_rest(attempt: Attempt, file: manifest.File, part: target.Part) -> None:
    url = f"{attempt.url.rstrip('/')}/{serve.FILES}{urllib.parse.quote(file.path)}"
    etag = serve.etag_of(file.sha256)
    extra = {"Range": f"bytes={part.size}-", "If-Range": etag} if part.size else {}
    async with attempt.get(url, extra) as answer:
        if answer.status not in {_OK, _PARTIAL}:
            raise await fetch.refusal(answer)
        if (answer.headers.get("ETag") or etag) != etag:
            raise TransientDeliveryError(
                f"the provider now has another {file.path!r}: its manifest is to be read again"
            )
        if answer.status == _OK:
            if part.size:
                await attempt.start_over(part)
        elif fetch.part_of(answer) != (part.size, file.size_bytes, file.size_bytes):
            raise attempts.broken(attempts.BAD_CONTENT, f"the provider sends another range of {file.path!r}")
        await attempt.append(part, answer, file.size_bytes)
    if part.size < file.size_bytes:
        raise TransientDeliveryError(f"{file.path!r} broke off after {part.size} of {file.size_bytes} bytes")
