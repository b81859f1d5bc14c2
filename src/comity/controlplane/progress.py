"""How far a pull or a push has come, written down a few times a second; what it waited for stays until bytes move.

What moves the bytes is `dataplane`'s, when and what follows `pulling`'s, `pushing`'s and `receiving`'s.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import msgspec

from comity import errors
from comity.controlplane.connector import Connector
from comity.db.database import Transaction
from comity.db.pulls import RUNNING, Pull
from comity.db.pushes import Push

SAVE_S = 0.3
Row = TypeVar("Row", Pull, Push)


class Progress(Generic[Row]):
    """The row of a transfer's bytes and what has changed of it; `save` stores it."""

    def __init__(
        self, connector: Connector, row: Row, save: Callable[[Transaction, Row], Awaitable[None]]
    ) -> None:
        self._connector = connector
        self._save: Callable[[Transaction, Row], Awaitable[None]] = save
        self.row: Row = msgspec.structs.replace(row, state=RUNNING)

    def tell(self, files_done: int, bytes_done: int, bytes_total: int) -> None:
        """Take the figures of the one who receives or sends."""
        self.row = msgspec.structs.replace(
            self.row,
            files_done=files_done,
            bytes_done=bytes_done,
            bytes_total=bytes_total,
            error="",
            updated_at=self._connector.now_ms(),
        )

    async def keep_saving(self) -> None:
        """Save what changed, until cancelled."""
        saved = None
        while True:
            if self.row is not saved:
                saved = self.row
                with contextlib.suppress(errors.DatabaseError):  # the next figures may find room again
                    await self.save()
            await asyncio.sleep(SAVE_S)

    async def save(self) -> None:
        """Save it as it is now.

        Raises:
            DatabaseError: the store does not take it.
        """
        row = self.row
        await self._connector.database.write(lambda tx: self._save(tx, row))
