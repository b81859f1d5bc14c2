"""Stays in contact with the parties of framework agreements, and stops what is not in force any more.

Every part of a lease a partner is told where we stand; its answer renews the lease. What ended without a message (a
lease, a validity) is found here: the pulls under it are cut, as each open stream finds out by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

import msgspec

from comity import errors
from comity.controlplane import framework_signing as signing
from comity.controlplane import frameworks
from comity.controlplane.connector import Connector
from comity.controlplane.transfer_moves import Revoked
from comity.db import frameworks as rows
from comity.db import pulls, transfers
from comity.db.store import Transaction

EVERY_S = 10.0
log = logging.getLogger(__name__)


class Contact:
    """One task a connector; of several replicas whichever comes first asks."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._cut_before: set[str] = set()

    async def run(self) -> None:
        """Look every few seconds, for ever."""
        while True:
            with contextlib.suppress(errors.DatabaseError):
                await self.look()
            await asyncio.sleep(EVERY_S)

    async def look(self) -> None:
        """Ask those who are to be asked now, and cut the pulls that nothing allows any more."""
        now_ms = self._connector.now_ms()
        leased, stopped = await self._connector.database.read(self._look)
        for party in leased:
            if party.beat_at <= now_ms:
                await self._beat(party)
        if set(stopped) - self._cut_before:
            await self._connector.database.write(self._cut)
        self._cut_before = set(stopped)

    async def _look(self, tx: Transaction) -> tuple[list[rows.Party], list[str]]:
        leased = await rows.find_leased(tx)
        return leased, await self._find_stopped(tx) if leased else []

    async def _beat(self, due: rows.Party) -> None:
        async def unit(tx: Transaction) -> None:
            party = await rows.find_party(tx, due.urn, due.participant_id)
            if party is None or party.beat_at > self._connector.now_ms():
                return  # another replica was first
            ours = await rows.find_party(tx, due.urn, self._connector.participant_id)
            later = self._connector.now_ms() + self._connector.framework_lease_ms // signing.BEAT_PARTS
            await rows.save_party(tx, msgspec.structs.replace(party, beat_at=later))
            standing = {"state": ours.state, "reason": ours.reason, "at": ours.changed_at} if ours else {}
            said = {"event": "heartbeat", **standing}
            await signing.tell(self._connector, tx, due.urn, said, only=due.participant_id)

        await self._connector.database.write(unit)

    async def _find_stopped(self, tx: Transaction) -> list[str]:
        """Return the pulls under way that a framework agreement does not allow now."""
        found = []
        for pull in await pulls.find_open(tx):
            record = await transfers.find(tx, pull.transfer_id)
            if record is not None and await frameworks.why_not(tx, record, self._connector.now_ms()):
                found.append(record.id)
        return found

    async def _cut(self, tx: Transaction) -> None:
        for name in await self._find_stopped(tx):
            tx.announce(Revoked(name))
