"""Fetches the data of started transfers into their folders: at once, over cuts and restarts, until it is exact.

What `dataplane.pull` achieves lies on the disk; here is when to try, with which token, and what follows: completion
when every hash is right, an end with its reason when it can never be. A suspended transfer waits for its next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from comity import errors
from comity.controlplane import (
    decide,
    destinations,
    frameworks,
    get,
    receipts,
    revision_states,
    seals,
    token_refresh,
)
from comity.controlplane.connector import Connector
from comity.controlplane.progress import NOT_TAKEN, Progress, finish
from comity.controlplane.transfer_moves import Revoked
from comity.dataplane import disk, growing, places
from comity.dataplane.pull import Pull as Fetch
from comity.db import exchanges, pulls, transfers
from comity.db.pulls import Pull
from comity.db.store import Deposed, Transaction
from comity.delivery import retry
from comity.delivery.tasks import Tasks
from comity.dsp import terms, transfer
from comity.dsp.transfer import Transfer
from comity.storage import opening
from comity.techdata import manifest

ACCESS_ATTEMPTS = 8
NEWS_ATTEMPTS = 2
CONTRADICTIONS = 8
NO_ACCESS = (401, 403, 404)

log = logging.getLogger(__name__)


class Pulling:
    """One task for each transfer whose data is being fetched."""

    def __init__(self, connector: Connector, fetch: Fetch, *, chance: Callable[[], float]) -> None:
        self._connector = connector
        self._fetch = fetch
        self._chance = chance
        self._tasks = Tasks(self._keep_pulling)

    def notice(self, announced: Sequence[object]) -> None:
        """Begin what a committed step made ready; called in the event loop."""
        for event in announced:
            if isinstance(event, Deposed):
                self._tasks.cancel_all()
            elif isinstance(event, Revoked):
                self._tasks.cancel(event.transfer_id)
            elif isinstance(event, pulls.PullReady):
                self._tasks.begin(event.transfer_id)

    async def resume(self) -> None:
        """Go on with everything that a process before us left unfinished."""
        for pull in await self._connector.database.read(pulls.find_open):
            self._tasks.begin(pull.transfer_id)

    async def close(self) -> None:
        """Stop; what was fetched stays on the disk."""
        await self._tasks.close()

    async def _keep_pulling(self, transfer_id: str) -> None:
        tries = Tries()
        try:
            while True:
                if not await self._try(transfer_id, tries):
                    break
                await asyncio.sleep(tries.pause_s(self._chance()))
        except Exception:
            log.exception("pulling transfer %s", transfer_id)
            with contextlib.suppress(errors.ComityError):
                await self._give_up(transfer_id, errors.ComityError("an internal error; see the log"))

    async def _try(self, transfer_id: str, tries: Tries) -> bool:
        """Make one attempt and write down what came of it; return whether to look again."""
        try:
            ready = await self._load(transfer_id)
            return ready is not None and await self._attempt_and_note(*ready, tries)
        except errors.DatabaseError as error:  # a full disk, say: there is nowhere to write that down
            log.warning("transfer %s: %s", transfer_id, error.message)
            tries.count(0)
            return True

    async def _attempt_and_note(
        self, record: Transfer, pull: Pull, manifest_sha256: str, bytes_per_s: int, tries: Tries
    ) -> bool:
        progress = Progress(self._connector, pull, pulls.save_own)
        try:
            await self._attempt(record, progress, manifest_sha256, bytes_per_s, tries)
        except errors.DatabaseError:
            raise
        except errors.ComityError as error:
            tries.count(progress.row.bytes_done)
            if not tries.may_mend(error):
                await self._give_up(record.id, error)
                return False
            await self._note(record.id, error.message)
        return True

    async def _load(self, transfer_id: str) -> tuple[Transfer, Pull, str, int] | None:
        """Return what is to be fetched now, or None if there is nothing to do (yet, or any more)."""

        async def unit(tx: Transaction) -> tuple[Transfer, Pull, str, int] | None:
            pull, record = await pulls.find_own(tx, transfer_id), await transfers.load(tx, transfer_id)
            exchange = await exchanges.find_by_transfer(tx, transfer_id)
            if pull is None or pull.state in {pulls.DONE, pulls.FAILED} or record.data_address_sealed is None:
                return None
            if record.state != terms.STARTED or record.format == transfer.CARRY:
                return None
            if await frameworks.why_not(tx, record, self._connector.now_ms()):
                return None  # what brings it in force again begins this again
            expected = await revision_states.expected(tx, record, exchange)
            return record, pull, expected, exchange.bytes_per_s if exchange else 0

        return await self._connector.database.read(unit)

    async def _attempt(
        self,
        record: Transfer,
        progress: Progress[Pull],
        manifest_sha256: str,
        bytes_per_s: int,
        tries: Tries,
    ) -> None:
        access = transfer.access(await self._address(record, renew=tries.refused))
        seal = seals.Check(self._connector, record.revision)

        async def check(data: bytes, text: str) -> None:
            if manifest_sha256 not in {"", manifest.digest(data)} and tries.may_be_newer():
                await get.look_again(self._connector, record.id)
                raise errors.TransientDeliveryError(
                    "the partner hands out another package than its catalog showed: it was asked what it shows now"
                )
            await seal(data, text)

        async with progress.kept():
            received = await self._fetch.run(
                access.endpoint,
                access.authorization or "",
                await destinations.open_(self._connector, record.id, progress.row.destination),
                expected_sha256=manifest_sha256,
                on_progress=progress.tell,
                check_seal=check,
                speed=self._connector.speeds.of(record.id, bytes_per_s),
            )
        if record.revision and received.manifest is None:
            raise errors.PermanentDeliveryError("a revision was asked for, and what came is no package")
        progress.tell(len(received.files), received.size_bytes, received.size_bytes)
        done = msgspec.structs.replace(
            progress.row, state=pulls.DONE, files_total=progress.row.files_done, error="", note=received.note
        )
        what = receipts.What(
            received.sha256,
            len(received.files),
            received.size_bytes,
            "" if received.manifest is not None else received.files[0].path,
            tuple(each.sha256 for each in received.files),
            received.manifest or b"",
            seal.text,
        )
        await finish(self._connector, done, pulls.save_own, decide.Move(kind=decide.COMPLETE), what)

    async def _address(self, record: Transfer, *, renew: bool) -> dict[str, Any]:
        """Return the data address, with a new token where the one that is there ends or was refused just now."""
        if renew:
            with contextlib.suppress(errors.PermanentDeliveryError):
                return await token_refresh.current(self._connector, record, force=True)
        return await token_refresh.current(self._connector, record)

    async def _give_up(self, transfer_id: str, error: errors.ComityError) -> None:
        pull = await self._connector.database.read(lambda tx: pulls.find_own(tx, transfer_id))
        if pull is not None:
            failed = msgspec.structs.replace(
                pull, state=pulls.FAILED, error=error.message, error_code=error.code
            )
            await finish(self._connector, failed, pulls.save_own, _end(error))

    async def _note(self, transfer_id: str, error: str) -> None:
        """Write down what it waits for."""
        log.info("transfer %s: %s", transfer_id, error)

        async def unit(tx: Transaction) -> None:
            pull = await pulls.find_own(tx, transfer_id)
            if pull is not None:
                waiting = msgspec.structs.replace(
                    pull, state=pulls.WAITING, error=error, updated_at=self._connector.now_ms()
                )
                await pulls.save_own(tx, waiting)

        await self._connector.database.write(unit)


def _end(error: errors.ComityError) -> decide.Move:
    """Return the end that an error makes: the provider refused the data, or we could not take them."""
    if isinstance(error, errors.PermanentDeliveryError) and error.status in NO_ACCESS:
        reason = f"the data were refused: {error.reason or error.message}"
        return decide.Move(kind=decide.TERMINATE, reason=reason, code="refused")
    return NOT_TAKEN


class Tries:
    """How often it failed since bytes last came, and what is worth another attempt.

    A partner that is away, a disk without room and a folder in use may all change; so may a refused token, which a
    new start replaces, but not for ever. What contradicts its manifest may have been published again: it is fetched
    once more, and after `CONTRADICTIONS` other manifests no more. What is wrong with the data itself stays wrong.
    """

    def __init__(self) -> None:
        self._failed = 0
        self._refused = 0
        self._other = 0
        self._contradicted: set[places.Wanted] = set()
        self._most_bytes = 0

    def count(self, bytes_done: int) -> None:
        """Count a failed attempt after which `bytes_done` lay on the disk; coming further begins a new count."""
        further = bytes_done > self._most_bytes
        self._failed = 1 if further else self._failed + 1
        if further:  # a token that opened something ends in a long transfer, and its successor does too
            self._refused = 0
        self._most_bytes = max(self._most_bytes, bytes_done)

    @property
    def refused(self) -> bool:
        """Whether the token opened nothing at the last attempt."""
        return self._refused > 0

    def may_be_newer(self) -> bool:
        """Return whether to look again when another package comes: it may have been published meanwhile."""
        self._other += 1
        return self._other <= NEWS_ATTEMPTS

    def may_mend(self, error: errors.ComityError) -> bool:
        """Return whether to try again after this error."""
        if isinstance(error, errors.PermanentDeliveryError) and error.status in NO_ACCESS:
            self._refused += 1
            return self._refused <= ACCESS_ATTEMPTS
        self._refused = 0
        if isinstance(error, growing.ContradictionError):
            again = error.promised in self._contradicted or len(self._contradicted) == CONTRADICTIONS
            self._contradicted.add(error.promised)
            return not again
        waits = isinstance(error, errors.TransientDeliveryError | errors.ConflictError)
        return waits or error.code in {disk.DISK_FULL, opening.AWAY}

    def pause_s(self, chance: float) -> float:
        """Return the seconds to wait before the next attempt; `chance` lies in [0, 1)."""
        return retry.delay_s(min(self._failed, 5), chance)
