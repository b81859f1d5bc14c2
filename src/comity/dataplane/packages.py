"""Receiving a package: its manifest decides what is fetched, where it goes and whether it is right.

Each file ends in one of two ways: it lies at its path with the hash the manifest says, or the attempt fails by name.
What the place has already, at this or another path, is not fetched. Files are fetched side by side (`ahead`), and made
durable in groups (`Keeping`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

from comity.dataplane import ahead, places, serve
from comity.dataplane import attempt as attempts
from comity.dataplane.attempt import Attempt, Received, ReceivedFile
from comity.dataplane.growing import Growing
from comity.dataplane.older import Left
from comity.dataplane.places import INCOMING_NAME, MANIFEST_NAME, SEAL_NAME, Wanted
from comity.errors import ComityError, InvalidInputError
from comity.techdata import manifest

__all__ = ["INCOMING_NAME", "MANIFEST_NAME", "SEAL_NAME"]

GROUP_FILES: Final = 64
GROUP_BYTES: Final = 64 * 1024 * 1024
"""So many files, or bytes, at most wait to be made durable together."""


async def receive(attempt: Attempt, data: bytes, expected_sha256: str, seal: str | None = None) -> Received:
    """Receive all files that a manifest's bytes name, or what is missing of them; `seal` None: there are none.

    Nothing is written before all of it was looked at.

    Raises:
        PermanentDeliveryError, TransientDeliveryError, StorageError: see `pull.Pull.run`.
    """
    sha256 = manifest.digest(data)
    if expected_sha256 and sha256 != expected_sha256:
        raise attempts.broken(
            attempts.HASH_MISMATCH, f"the manifest has the SHA-256 {sha256}, not {expected_sha256}"
        )
    files = await attempt.where.run(lambda: read(data))
    attempt.tally.bytes_total = sum(file.size_bytes or 0 for file in files)
    where = attempt.where
    here = await where.run(lambda: where.begin(files))
    await where.run(lambda: check_room(attempt, files, here))
    if seal is not None:
        await where.run(lambda: note_seal(where, seal))
    await where.run(lambda: note_incoming(where, files, here, data))
    await _receive_files(attempt, files, here)
    left = await where.run(lambda: end(where, data))
    received = tuple(ReceivedFile(file.path, file.size_bytes or 0, file.sha256) for file in files)
    return Received(received, sha256, attempt.tally.fetched_bytes, data, left.words)


def note_incoming(where: places.Target, files: Sequence[Wanted], here: places.Here, data: bytes) -> None:
    """Note the manifest of what comes now; of another one that was on its way nothing stays that it has not. Blocks."""
    before = where.read_note(INCOMING_NAME, manifest.MAX_BYTES)
    if before not in {b"", data}:
        where.drop_older(before, data)
        begun = [file for file in files if file.path in here.begun]
        with contextlib.suppress(ComityError):
            old = {file.path: file.sha256 for file in read(before)}
            begun = [file for file in begun if file.sha256 != old.get(file.path)]
        for file in begun:
            where.drop(where.part(file, keep=False))
    where.write_note(INCOMING_NAME, data)


def note_seal(where: places.Target, seal: str) -> None:
    """Keep the seal of what is being received beside it; none at all in the place of that of an earlier one. Blocks."""
    if seal:
        where.write_note(SEAL_NAME, seal.encode())
    else:
        where.drop_note(SEAL_NAME)


def read(data: bytes) -> tuple[Wanted, ...]:
    """Return the files that a manifest's bytes name.

    Raises:
        PermanentDeliveryError: it is not acceptable.
    """
    try:
        files = manifest.decode(data).files
    except InvalidInputError as error:
        raise attempts.broken(
            attempts.BAD_CONTENT, f"the manifest is not acceptable: {error.message}"
        ) from error
    return tuple(Wanted(file.path, file.size_bytes, file.sha256) for file in files)


def check_room(attempt: Attempt, files: Sequence[Wanted], here: places.Here) -> None:
    """Refuse files for which there is no room beside what is here already. Blocks.

    Raises:
        StorageError: with the code `disk-full`.
    """
    missing = (file for file in files if file.path not in here.whole)
    attempt.check_room(sum(max(0, (file.size_bytes or 0) - here.begun.get(file.path, 0)) for file in missing))


def end(where: places.Target, data: bytes) -> Left:
    """Keep the manifest: from now on it alone says what was received here. Blocks."""
    left = where.end(data)
    where.drop_note(INCOMING_NAME)
    return left


async def _receive_files(attempt: Attempt, files: Sequence[Wanted], here: places.Here) -> None:
    keeping = Keeping(attempt)
    try:
        attempt.tally.add(
            sum(each.size_bytes or 0 for each in files if each.path in here.whole), fetched=False
        )
        attempt.tally.finish_files(len(here.whole))
        missing = [each for each in files if each.path not in here.whole]
        here_too = [each for each in missing if each.path in here.copies or not each.size_bytes]
        not_here = {
            each.path for each in await _copy(attempt, here_too, keeping)
        }  # ere any of it is replaced
        gone = {each.path for each in here_too} - not_here
        first: dict[str, Wanted] = {}
        rest = [each for each in missing if each.path not in gone]
        twins = [each for each in rest if first.setdefault(each.sha256, each) is not each]
        again = await _fetch(attempt, list(first.values()), here, keeping)
        again += await _copy(attempt, twins, keeping)
        # a part that something else left, bytes that were not what was promised, a copy that somebody changed
        wrong = await _fetch(attempt, again, places.Here(), keeping)
        if wrong:
            raise attempts.broken(
                attempts.HASH_MISMATCH,
                f"{wrong[0].path!r} was received twice with a SHA-256 other than {wrong[0].sha256}",
            )
    except ComityError:
        with contextlib.suppress(ComityError):  # the next attempt finds it all the same, after hashing it
            await keeping.flush()
        raise
    finally:
        keeping.close()


async def _copy(attempt: Attempt, files: Sequence[Wanted], keeping: Keeping) -> list[Wanted]:
    """Take files that need not be fetched; return those that are not right after all."""
    where, missing = attempt.where, []
    for file in files:
        part = await where.run(lambda file=file: where.part(file))  # type: ignore[misc]
        if part.size == (file.size_bytes or 0) and await where.run(part.finish) == file.sha256:
            attempt.tally.add(part.size, fetched=False)
            await keeping.add(part)
        else:
            part.close()
            missing.append(file)
    await keeping.flush()
    return missing


async def _fetch(
    attempt: Attempt, files: Sequence[Wanted], here: places.Here, keeping: Keeping
) -> list[Wanted]:
    """Fetch files side by side; return those that came with another hash, of which nothing is left."""
    wrong: list[Wanted] = []
    growing: set[Growing] = set()

    async def done(grown: Growing) -> None:
        growing.discard(grown)
        if grown.opened is not None and not await keeping.take(grown.opened, grown.sha256):
            wrong.append(grown.wanted)

    try:
        async with attempt.speed.open() as window:
            for file in files:
                opened = await _opened(attempt, file, here)
                one = Growing(
                    attempt, _url(attempt, file), serve.etag_of(file.sha256), file, opened=opened, done=done
                )
                growing.add(one)
                if one.is_whole:
                    one.sha256 = await attempt.where.run(opened.finish) if opened is not None else ""
                    await done(one)
                else:
                    await one.ask(window)
        await keeping.flush()
        return wrong
    finally:
        for one in growing:
            if one.opened is not None:
                one.opened.close()


async def _opened(attempt: Attempt, file: Wanted, here: places.Here) -> places.Part | None:
    """Open the part of a file at once where there is one, or where all of it does not come with one request."""
    where = attempt.where
    size = file.size_bytes or 0
    # an empty file is never asked for, but its hash is looked at
    if 0 < size <= ahead.MIN_BLOCK_BYTES and file.path not in here.begun:
        return None
    part = await where.run(lambda: where.part(file))
    attempt.tally.add(part.size, fetched=False)
    if part.size > size:
        await attempt.start_over(part)
    return part


def _url(attempt: Attempt, file: Wanted) -> str:
    return serve.below(attempt.url, serve.FILES + file.path)


class Keeping:
    """Files that are whole and wait to be made durable and to get their names, a group at a time."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._waiting: list[places.Part] = []
        self._bytes = 0
        self._turn = asyncio.Lock()

    async def take(self, part: places.Part, sha256: str) -> bool:
        """Add a file if its hash is right; else throw it away and return False."""
        if sha256 == part.wanted.sha256:
            await self.add(part)
            return True
        self._attempt.tally.add(-part.size, fetched=False)
        await self._attempt.where.run(lambda: self._attempt.where.drop(part))
        return False

    async def add(self, part: places.Part) -> None:
        """Add a file; a group that is full is kept first."""
        self._waiting.append(part)
        self._bytes += part.size
        if len(self._waiting) >= GROUP_FILES or self._bytes >= GROUP_BYTES:
            await self.flush()

    async def flush(self) -> None:
        """Keep what waits.

        Raises:
            StorageError: it cannot be written, or something else is in its way.
        """
        async with self._turn:
            group, self._waiting, self._bytes = self._waiting, [], 0
            if not group:
                return
            try:
                await self._attempt.where.run(lambda: self._attempt.where.keep(group))
            finally:
                for part in group:
                    part.close()
            self._attempt.tally.finish_files(len(group))

    def close(self) -> None:
        """Let what was not kept rest as it is."""
        for part in self._waiting:
            part.close()
