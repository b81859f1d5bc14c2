"""How far a pull or a push has come, written down a few times a second; what it waited for stays until bytes move.

What moves the bytes is `dataplane`'s, when and what follows `pulling`'s, `pushing`'s and `receiving`'s; how an end is
written down and told is the same for all.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Generic, TypeVar

import msgspec

from comity import errors
from comity.controlplane import decide, receipts, transfer_moves
from comity.controlplane.connector import Connector
from comity.db.pulls import RUNNING, Pull
from comity.db.pushes import Push
from comity.db.store import Transaction
from comity.management.events import ProgressData

SAVE_S = 0.3
NOT_TAKEN = decide.Move(kind=decide.TERMINATE, reason="the receiver could not take the data", code="receiver")
Row = TypeVar("Row", Pull, Push)
Save = Callable[[Transaction, Row], Awaitable[None]]

log = logging.getLogger(__name__)


class Progress(Generic[Row]):
    """The row of a transfer's bytes and what has changed of it; `save` stores it."""

    def __init__(self, connector: Connector, row: Row, save: Save[Row]) -> None:
        self._connector = connector
        self._save: Save[Row] = save
        self._taken: errors.ConflictError | None = None
        self.row: Row = msgspec.structs.replace(row, state=RUNNING)

    def tell(self, files_done: int, bytes_done: int, bytes_total: int) -> None:
        """Take the figures of the one who receives or sends.

        Raises:
            ConflictError: another replica goes on with it, or may: its bytes end here.
        """
        if self._taken is not None:
            raise self._taken
        try:
            self._connector.database.check_lease()
        except errors.DatabaseError as error:
            raise errors.ConflictError(error.message) from None
        self.row = msgspec.structs.replace(
            self.row,
            files_done=files_done,
            bytes_done=bytes_done,
            bytes_total=bytes_total,
            error="",
            updated_at=self._connector.now_ms(),
        )

    async def _keep_saving(self, after_s: float) -> None:
        saved = None
        await asyncio.sleep(after_s)
        while True:
            if self.row is not saved:
                saved = self.row
                try:
                    with contextlib.suppress(errors.DatabaseError):  # the next figures may find room again
                        await self.save()
                except errors.ConflictError as error:
                    self._taken = error
                    return
            await asyncio.sleep(SAVE_S)

    @contextlib.asynccontextmanager
    async def kept(self, *, after_s: float = 0.0) -> AsyncGenerator[None, None]:
        """Save what changes meanwhile, beginning after some seconds."""
        saving = asyncio.create_task(self._keep_saving(after_s))
        try:
            yield
        finally:
            saving.cancel()
            await asyncio.gather(saving, return_exceptions=True)

    async def save(self) -> None:
        """Save it as it is now.

        Raises:
            DatabaseError: the store does not take it.
        """
        row = self.row
        await self._connector.database.write(lambda tx: self._save(tx, row))
        self._connector.news.move(_figures(row))


def _figures(row: Pull | Push) -> ProgressData:
    return ProgressData(
        transfer_process_id=row.transfer_id,
        files_done=row.files_done,
        files_total=row.files_total,
        bytes_done=row.bytes_done,
        bytes_total=row.bytes_total,
    )


async def finish(
    connector: Connector,
    ended: Row,
    save: Save[Row],
    move: decide.Move,
    what: receipts.What | None = None,
) -> None:
    """Write down how it ended and tell the partner, both or neither; only the first if there is nothing to tell.

    `what` is what was received whole, if it ended so.
    """
    ended = msgspec.structs.replace(ended, updated_at=connector.now_ms())
    connector.news.forget(ended.transfer_id)

    async def note(tx: Transaction) -> None:
        await save(tx, ended)
        if what is not None:
            await receipts.delivered(connector, tx, ended.transfer_id, what)

    async def unit(tx: Transaction) -> None:
        await note(tx)
        await transfer_moves.step(connector, tx, ended.transfer_id, move)

    try:
        await connector.database.write(unit)
    except errors.LocalProtocolError as error:
        log.info("transfer %s: the partner is not told of the end: %s", ended.transfer_id, error)
        await connector.database.write(note)
