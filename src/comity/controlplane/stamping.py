"""Has checkpoints stamped by an independent authority: the newest of each chain that has none, once an interval.

One stamp says of all records before it that they are no younger. While the authority is away nothing is lost: what has
no stamp gets it later. How long that may last is the operator's to say; then nothing new proceeds (`halt`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from comity import errors
from comity.controlplane.connector import Connector
from comity.db import checkpoints
from comity.db.checkpoints import Made
from comity.db.store import Transaction
from comity.evidence import stamp

if TYPE_CHECKING:
    from cryptography import x509

Ask = Callable[[bytes], Awaitable[bytes]]
HALTED_PAUSE_S = 5.0

log = logging.getLogger(__name__)


class Stamping:
    """Asks for stamps with `ask`; `trusted` are the authority's certificates, `stop_after_s` 0 goes on for ever."""

    def __init__(
        self,
        connector: Connector,
        ask: Ask,
        trusted: list[x509.Certificate],
        *,
        every_s: float,
        stop_after_s: float,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._connector = connector
        self._ask = ask
        self._trusted = trusted
        self._every_s = every_s
        self._stop_after_s = stop_after_s
        self._pause = pause
        self._failure = ""

    async def run(self) -> None:
        """Ask from time to time, until cancelled; more often while everything waits for it."""
        while True:
            try:
                await self.stamp()
            except errors.ComityError as error:
                log.warning("no time stamp can be kept now: %s", error.message)
            except Exception:
                log.exception("a time stamp failed; the next one is tried all the same")
            halted = self._connector.halt.reason
            await self._pause(min(self._every_s, HALTED_PAUSE_S) if halted else self._every_s)

    async def stamp(self) -> None:
        """Have the newest checkpoint of each chain stamped, and say whether new things may proceed.

        Raises:
            DatabaseError: the store cannot be used now.
        """
        waiting = await self._connector.database.read(checkpoints.find_unstamped)
        newest: dict[int, Made] = {}
        for made in waiting:
            newest.setdefault(made.chain, made)
        failure = ""
        for made in newest.values():
            try:
                await self._stamp(made)
            except (errors.DeliveryError, stamp.StampError) as error:
                failure = error.message
        self._note(failure, min((made.made_at for made in waiting), default=0))

    async def _stamp(self, made: Made) -> None:
        response = await self._ask(stamp.request(made.note))
        found = stamp.check(response, made.note, self._trusted)

        async def unit(tx: Transaction) -> None:
            await checkpoints.add_stamp(tx, made, response, found.at)

        await self._connector.database.write(unit)

    def _note(self, failure: str, since_ms: int) -> None:
        waited_s = (self._connector.now_ms() - since_ms) // 1000
        if failure and failure != self._failure:
            log.warning("the time stamp authority gives no stamp: %s", failure)
        elif self._failure and not failure:
            log.info("the time stamp authority gives stamps again")
        self._failure = failure
        halted = bool(failure) and 0 < self._stop_after_s <= waited_s
        if halted and not self._connector.halt.reason:
            log.error("nothing new proceeds: there was no time stamp for %d s", waited_s)
        said = f"there was no time stamp for {waited_s} s: nothing new proceeds until there is one"
        self._connector.halt.reason = said if halted else ""
