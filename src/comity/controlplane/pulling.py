"""Fetches the data of started transfers into their folders: at once, over cuts and restarts, until it is exact.

What `dataplane.pull` achieves lies on the disk; here is when to try, with which token, and what follows: completion
when every hash is right, an end with its reason when it can never be. A suspended transfer waits for its next start.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

import msgspec

from comity import errors
from comity.controlplane import decide, transfer_moves
from comity.controlplane.connector import Connector
from comity.dataplane.pull import Pull as Fetch
from comity.db import exchanges, pulls, transfers
from comity.db.database import Transaction
from comity.db.pulls import Pull
from comity.delivery import retry
from comity.dsp import terms, transfer
from comity.dsp.transfer import Transfer

SAVE_S = 0.3
ACCESS_ATTEMPTS = 8
NO_ACCESS = (401, 403, 404)

log = logging.getLogger(__name__)


class Pulling:
    """One task for each transfer whose data is being fetched."""

    def __init__(self, connector: Connector, fetch: Fetch, *, chance: Callable[[], float]) -> None:
        self._connector = connector
        self._fetch = fetch
        self._chance = chance
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._closing = False

    def notice(self, announced: Sequence[object]) -> None:
        """Begin what a committed step made ready; called in the event loop."""
        for event in announced:
            if isinstance(event, pulls.PullReady):
                self._begin(event.transfer_id)

    async def resume(self) -> None:
        """Go on with everything that a process before us left unfinished."""
        for pull in await self._connector.database.read(pulls.find_open):
            self._begin(pull.transfer_id)

    async def close(self) -> None:
        """Stop; what was fetched stays on the disk."""
        self._closing = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, transfer_id: str) -> None:
        if transfer_id not in self._tasks and not self._closing:
            self._tasks[transfer_id] = asyncio.create_task(self._keep_pulling(transfer_id))

    async def _keep_pulling(self, transfer_id: str) -> None:
        attempts = 0
        try:
            while (ready := await self._load(transfer_id)) is not None:
                try:
                    await self._attempt(*ready)
                except errors.TransientDeliveryError as error:
                    await self._note(transfer_id, error.message)
                except errors.PermanentDeliveryError as error:
                    if error.status not in NO_ACCESS or attempts >= ACCESS_ATTEMPTS:
                        await self._give_up(transfer_id, error.message)
                        return
                    await self._note(transfer_id, error.message)
                attempts += 1
                await asyncio.sleep(retry.delay_s(min(attempts, 5), self._chance()))
        except errors.ComityError as error:
            await self._give_up(transfer_id, error.message)
        except Exception:
            log.exception("pulling transfer %s", transfer_id)
            await self._give_up(transfer_id, "an internal error; see the log of the connector")
        finally:
            self._tasks.pop(transfer_id, None)

    async def _load(self, transfer_id: str) -> tuple[Transfer, Pull, str] | None:
        """Return what is to be fetched now, or None if there is nothing to do (yet, or any more)."""

        async def unit(tx: Transaction) -> tuple[Transfer, Pull, str] | None:
            pull, record = await pulls.find(tx, transfer_id), await transfers.load(tx, transfer_id)
            exchange = await exchanges.find_by_transfer(tx, transfer_id)
            if pull is None or pull.state in {pulls.DONE, pulls.FAILED} or record.data_address_sealed is None:
                return None
            if record.state != terms.STARTED:
                return None
            return record, pull, exchange.manifest_sha256 if exchange else ""

        return await self._connector.database.read(unit)

    async def _attempt(self, record: Transfer, pull: Pull, manifest_sha256: str) -> None:
        address = msgspec.json.decode(
            self._connector.seal.open(record.data_address_sealed or b"", transfer_moves.ADDRESS + record.id)
        )
        access = transfer.access(address)
        progress = Progress(self._connector, pull)
        saving = asyncio.create_task(progress.keep_saving())
        try:
            received = await self._fetch.run(
                access.endpoint,
                access.authorization or "",
                pull.destination,
                expected_sha256=manifest_sha256,
                on_progress=progress.tell,
            )
        finally:
            saving.cancel()
            await asyncio.gather(saving, return_exceptions=True)
        progress.tell(len(received.files), received.size_bytes, received.size_bytes)
        await self._finish(record, progress.pull)

    async def _finish(self, record: Transfer, pull: Pull) -> None:
        done = msgspec.structs.replace(
            pull, state=pulls.DONE, files_total=pull.files_done, error="", updated_at=self._connector.now_ms()
        )
        await self._connector.database.write(lambda tx: pulls.save(tx, done))
        try:
            await transfer_moves.make(self._connector, record.id, decide.Move(kind=decide.COMPLETE))
        except errors.LocalProtocolError as error:
            log.info("transfer %s is not completed: %s", record.id, error)

    async def _note(self, transfer_id: str, error: str) -> None:
        log.info("transfer %s: %s", transfer_id, error)
        await self._change(transfer_id, pulls.WAITING, error)

    async def _give_up(self, transfer_id: str, error: str) -> None:
        await self._change(transfer_id, pulls.FAILED, error)
        reason = "the receiver could not take the data"
        try:
            await transfer_moves.make(
                self._connector,
                transfer_id,
                decide.Move(kind=decide.TERMINATE, reason=reason, code="receiver"),
            )
        except errors.ComityError as problem:
            log.info("transfer %s is not ended: %s", transfer_id, problem)

    async def _change(self, transfer_id: str, state: str, error: str) -> None:
        async def unit(tx: Transaction) -> None:
            pull = await pulls.find(tx, transfer_id)
            if pull is not None:
                changed = msgspec.structs.replace(
                    pull, state=state, error=error, updated_at=self._connector.now_ms()
                )
                await pulls.save(tx, changed)

        await self._connector.database.write(unit)


class Progress:
    """How far a pull has come, written down a few times a second."""

    def __init__(self, connector: Connector, pull: Pull) -> None:
        self._connector = connector
        self.pull = msgspec.structs.replace(pull, state=pulls.RUNNING, error="")

    def tell(self, files_done: int, bytes_done: int, bytes_total: int) -> None:
        """Take the figures of the receiver."""
        self.pull = msgspec.structs.replace(
            self.pull,
            files_done=files_done,
            bytes_done=bytes_done,
            bytes_total=bytes_total,
            updated_at=self._connector.now_ms(),
        )

    async def keep_saving(self) -> None:
        """Save what changed, until cancelled."""
        saved = None
        while True:
            if self.pull is not saved:
                saved = self.pull
                await self._connector.database.write(lambda tx: pulls.save(tx, self.pull))
            await asyncio.sleep(SAVE_S)
