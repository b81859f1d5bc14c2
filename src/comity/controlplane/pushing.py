"""Pushes the data of started transfers to their consumers' endpoints: at once, over cuts and restarts, to the end.

How bytes are sent is `dataplane.push`; here is when to try, and what follows: completion when the receiver has all of
it, an end with its reason when it never will. A receiver that is away is tried for 72 hours since something last got
through. A suspended transfer waits for its next start; one whose agreement does not allow it any more is ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from comity import errors
from comity.controlplane import decide, incomplete, process, transfer_moves
from comity.controlplane.connector import Connector
from comity.controlplane.content import Contents
from comity.controlplane.progress import Progress, finish
from comity.dataplane import push as sending
from comity.dataplane import serve
from comity.db import pushes, transfers
from comity.db.pushes import Push
from comity.db.store import Deposed, Transaction
from comity.delivery import retry
from comity.delivery.tasks import Tasks
from comity.dsp import push as forms
from comity.dsp import terms
from comity.dsp.transfer import Transfer
from comity.storage import source as sources

PER_PARTNER = 8
ANEW_ATTEMPTS = 6
"""How often what is not as it was published is looked at again: who changes a package is about to publish it."""
CHANGED = "the data is not what was published any more: ask its provider to publish it again"

log = logging.getLogger(__name__)


class Pushing:
    """One task for each transfer whose data is being pushed, at most 8 of them at work for one partner."""

    def __init__(
        self,
        connector: Connector,
        contents: Contents,
        send: sending.Push,
        *,
        chance: Callable[[], float],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Use `pause` (seconds) to wait between attempts; `chance` lies in [0, 1)."""
        self._connector = connector
        self._contents = contents
        self._send = send
        self._chance = chance
        self._pause = pause
        self._tasks = Tasks(self._keep_pushing)
        self._caps: dict[str, asyncio.Semaphore] = {}

    def notice(self, announced: Sequence[object]) -> None:
        """Begin what a committed step made ready; called in the event loop."""
        for event in announced:
            if isinstance(event, Deposed):
                self._tasks.cancel_all()
            elif isinstance(event, pushes.PushReady):
                self._tasks.begin(event.transfer_id)

    async def resume(self) -> None:
        """Go on with everything that a process before us left unfinished."""
        for push in await self._connector.database.read(pushes.find_open):
            self._tasks.begin(push.transfer_id)

    async def close(self) -> None:
        """Stop; what was sent stays sent."""
        await self._tasks.close()

    async def _keep_pushing(self, transfer_id: str) -> None:
        failed = 0
        try:
            while (pause_s := await self._try(transfer_id, failed)) is not None:
                failed += 1
                await self._pause(pause_s)
        except Exception:
            log.exception("pushing transfer %s", transfer_id)
            with contextlib.suppress(errors.ComityError):
                await self._give_up(transfer_id, errors.ComityError("an internal error; see the log"))

    async def _try(self, transfer_id: str, failed: int) -> float | None:
        """Make one attempt and write down what came of it; return the pause (s) before the next, None for no next."""
        try:
            ready = await self._load(transfer_id)
            return None if ready is None else await self._attempt_and_note(*ready, failed)
        except errors.DatabaseError as error:  # a full disk, say: there is nowhere to write that down
            log.warning("transfer %s: %s", transfer_id, error.message)
            return self._pause_s(failed, None)

    async def _attempt_and_note(self, record: Transfer, push: Push, failed: int) -> float | None:
        progress = Progress(self._connector, push, pushes.save_own)
        try:
            async with self._caps.setdefault(record.counterparty_id, asyncio.Semaphore(PER_PARTNER)):
                await self._attempt(record, progress)
        except errors.DatabaseError:
            raise
        except errors.ComityError as error:
            if await self._load(record.id) is None:
                return None  # suspended or ended meanwhile: that is why
            if progress.row.bytes_done > push.bytes_done:
                failed = 0
            mends = self._may_mend(error, progress.row)
            if not mends and error.code == sources.CHANGED and failed < ANEW_ATTEMPTS:
                mends = self._destination(record).folder
            if not mends:
                await self._give_up(record.id, error)
                return None
            await self._note(progress.row, error)
            return self._pause_s(failed, getattr(error, "retry_after_s", None))
        return None

    def _may_mend(self, error: errors.ComityError, push: Push) -> bool:
        """Return whether to try again after this error: a receiver or a disk may come back, for 72 hours."""
        if isinstance(error, errors.StorageError):
            waits = error.code != sources.CHANGED
        else:
            waits = isinstance(error, errors.TransientDeliveryError | errors.ConflictError)
        return waits and not retry.expired(push.moved_at, self._connector.now_ms())

    def _destination(self, record: Transfer) -> forms.Destination:
        plain = self._connector.seal.open(
            record.data_address_sealed or b"", transfer_moves.ADDRESS + record.id
        )
        return forms.read(msgspec.json.decode(plain))

    def _pause_s(self, failed: int, asked_s: float | None) -> float:
        return retry.delay_s(failed + 1, self._chance(), asked_s=asked_s)

    async def _load(self, transfer_id: str) -> tuple[Transfer, Push] | None:
        """Return what is to be pushed now, or None if there is nothing to do (yet, or any more)."""

        async def unit(tx: Transaction) -> tuple[Transfer, Push] | None:
            push, record = await pushes.find_own(tx, transfer_id), await transfers.load(tx, transfer_id)
            ending = await process.intent(tx, transfer_id)
            running = record.state == terms.STARTED and (ending is None or ending.leads_to == terms.STARTED)
            if push is None or push.state in {pushes.DONE, pushes.FAILED} or not running:
                return None
            return record, push

        return await self._connector.database.read(unit)

    async def _attempt(self, record: Transfer, progress: Progress[Push]) -> None:
        destination = self._destination(record)
        grant = await self._contents.to_push(record.id)
        progress.row = pinned(progress.row, grant.content, folder=destination.folder)
        async with progress.kept():
            size_bytes = await self._run(grant, destination, progress)
        done = msgspec.structs.replace(
            progress.row,
            state=pushes.DONE,
            files_total=progress.row.files_done,
            bytes_done=size_bytes,
            bytes_total=size_bytes,
            error="",
        )
        await finish(self._connector, done, pushes.save_own, decide.Move(kind=decide.COMPLETE))

    async def _run(self, grant: serve.Grant, destination: forms.Destination, progress: Progress[Push]) -> int:
        most = progress.row.bytes_done

        def tell(files_done: int, bytes_done: int, bytes_total: int) -> None:
            nonlocal most
            progress.tell(files_done, bytes_done, bytes_total)
            if bytes_done > most:
                most = bytes_done
                progress.row = msgspec.structs.replace(progress.row, moved_at=progress.row.updated_at)

        try:
            return await self._send.run(
                grant, destination, files_done=progress.row.files_done, on_progress=tell
            )
        except errors.PolicyError as error:  # whether it is over is asked once more, by the next attempt
            raise errors.ConflictError(error.message) from error

    async def _give_up(self, transfer_id: str, error: errors.ComityError) -> None:
        push = await self._connector.database.read(lambda tx: pushes.find_own(tx, transfer_id))
        if push is None:
            return
        log.info("transfer %s is given up: %s", transfer_id, error.message)
        if error.code == sources.CHANGED:
            await incomplete.note_asked(self._connector, transfer_id, "")
        failed = msgspec.structs.replace(
            push, state=pushes.FAILED, error=error.message, error_code=error.code
        )
        code = "policy" if isinstance(error, errors.PolicyError) else "receiver"
        move = decide.Move(kind=decide.TERMINATE, reason=told(error), code=code)
        await finish(self._connector, failed, pushes.save_own, move)

    async def _note(self, push: Push, error: errors.ComityError) -> None:
        """Write down how far it came and what it waits for."""
        log.info("transfer %s: %s", push.transfer_id, error.message)
        waiting = msgspec.structs.replace(
            push, state=pushes.WAITING, error=error.message, updated_at=self._connector.now_ms()
        )
        await self._connector.database.write(lambda tx: pushes.save_own(tx, waiting))


def pinned(push: Push, content: serve.Package | sources.Source, *, folder: bool = False) -> Push:
    """Return the push with what tells its content from any other; to a `folder` a package may follow another one.

    Raises:
        StorageError: part of another content has been sent already.
    """
    name = sending.content_id(content)
    if push.content not in {"", name} and folder and isinstance(content, serve.Package):
        return msgspec.structs.replace(push, content=name, files_done=0, bytes_done=0)
    if push.content not in {"", name} and push.bytes_done:
        raise sources.changed("it was published anew after a part of it had been pushed")
    return msgspec.structs.replace(push, content=name, files_done=push.files_done if name else 0)


def told(error: errors.ComityError) -> str:
    """Return what the consumer is told of an end: about its endpoint and the terms, not our files or network."""
    if error.code == sending.REFUSED:
        return "the receiver's address is refused"  # why would tell which names there are inside
    if isinstance(error, errors.StorageError):
        return CHANGED if error.code == sources.CHANGED else "the data could not be read for 72 hours"
    if isinstance(error, errors.PolicyError):
        return decide.refusal(error.reasons)
    if isinstance(error, errors.TransientDeliveryError | errors.ConflictError):
        return f"the endpoint did not take the data for 72 hours: {error.message}"
    return error.message
