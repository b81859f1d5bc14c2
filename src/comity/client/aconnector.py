"""`AsyncConnector`: what `Connector` is, to be awaited.

Both are made from the same descriptions; this one needs aiohttp, which is loaded with it.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Unpack

from comity.client import calls, events, finding, getting, reading, saving, upkeep
from comity.client.aio import Operation, Transport
from comity.client.connector import TIMEOUT_S, Access, Who, opened_by, wanted
from comity.client.records import Applies, Asset, Event, File, Participant
from comity.client.saving import Got
from comity.client.stages import Told
from comity.client.tracing import Trace


class AsyncConnector(Transport):
    """Your connector, reached at its management API; see `Connector`. Close it, or use it in `async with`.

    Raises:
        SettingsError: there is no connector, or no key for it.
    """

    def __init__(
        self,
        address: str = "",
        api_key: str = "",
        *,
        data: str | Path | None = None,
        timeout_s: float = TIMEOUT_S,
        trace: bool | Trace | None = None,
    ) -> None:
        super().__init__(finding.find(address, api_key, data=data), timeout_s=timeout_s, trace=trace)

    def partner(self, name: str) -> AsyncPartner:
        """Return a partner on the list by its name, DID or address; it is looked up when it is first asked."""
        return AsyncPartner(self, name)

    async def save(
        self,
        transfer_id: str,
        to: str | Path,
        *,
        progress: Told | None = None,
        overwrite: bool = False,
        **who: Unpack[Who],
    ) -> Got:
        """Fetch what was received from the connector's store into a folder, and check every hash.

        Raises:
            ExchangeError: the terms do not allow it, or a hash does not hold.
        """
        flow = saving.save(transfer_id, to, opened_by(who), progress=progress, overwrite=overwrite)
        return await self.run(flow)

    def watch(
        self, *, after: int | None = None, process_id: str = "", types: Sequence[str] = ()
    ) -> AsyncIterator[Event]:
        """Yield events as they happen, those after the place `after` first; a connector that restarts is waited for.

        Raises:
            UnreachableError: the connector does not answer any more.
        """
        place = events.Place(after, process_id, types)
        return events.follow_async(self.stream, place, clock_s=time.monotonic)

    request = Operation(calls.request)

    partners = Operation(calls.partners)
    add_partner = Operation(calls.add_partner)
    remove_partner = Operation(calls.remove_partner)
    api_keys = Operation(upkeep.api_keys)
    add_api_key = Operation(upkeep.add_api_key)
    remove_api_key = Operation(upkeep.remove_api_key)

    publish = Operation(calls.publish)
    publishing = Operation(calls.publishing)
    catalog = Operation(calls.catalog)
    dataset = Operation(calls.dataset)

    start_exchange = Operation(calls.start_exchange)
    exchange = Operation(calls.exchange)
    exchanges = Operation(calls.exchanges)
    follow = Operation(getting.follow)
    received = Operation(calls.received)
    received_files = Operation(calls.received_files)
    begin_reading = Operation(calls.begin_reading)
    reading = Operation(calls.reading)
    reading_files = Operation(calls.reading_files)
    end_reading = Operation(calls.end_reading)

    revisions = Operation(calls.revisions)
    changes = Operation(calls.changes)
    applies = Operation(calls.applies)
    recall = Operation(calls.recall)
    inquiries = Operation(calls.inquiries)
    inquiry = Operation(calls.inquiry)
    ask = Operation(calls.ask)
    settle_inquiry = Operation(calls.settle_inquiry)

    frameworks = Operation(upkeep.frameworks)
    framework = Operation(upkeep.framework)
    propose_framework = Operation(upkeep.propose_framework)
    offered_framework = Operation(upkeep.offered_framework)
    sign_framework = Operation(upkeep.sign_framework)
    deliver = Operation(upkeep.deliver)
    change_framework = Operation(upkeep.change_framework)

    find = Operation(calls.find)
    find_all = Operation(calls.find_all)
    load = Operation(calls.load)
    move = Operation(calls.move)
    approvals = Operation(calls.approvals)
    settle_approval = Operation(calls.settle_approval)
    deletions = Operation(calls.deletions)
    delete_received = Operation(calls.delete_received)
    receipts = Operation(calls.receipts)
    carry = Operation(calls.carry)
    take_carried = Operation(calls.take_carried)
    carried_receipts = Operation(calls.carried_receipts)

    events = Operation(upkeep.events)
    checkpoints = Operation(upkeep.checkpoints)
    compare_checkpoint = Operation(upkeep.compare_checkpoint)
    acknowledge_finding = Operation(upkeep.acknowledge_finding)
    identity = Operation(upkeep.identity)
    rotate_key = Operation(upkeep.rotate_key)
    retire_key = Operation(upkeep.retire_key)
    evidence = Operation(upkeep.evidence)
    export_evidence = Operation(upkeep.export_evidence)


class AsyncPartner:
    """A partner on the list, as `AsyncConnector.partner` names it; see `Partner`."""

    def __init__(self, connector: AsyncConnector, name: str) -> None:
        self.connector = connector
        self.name = name

    def __repr__(self) -> str:
        return f"AsyncPartner({self.name!r})"

    async def details(self) -> Participant:
        """Return how it stands on the list."""
        return await self.connector.run(getting.partner(self.name))

    async def catalog(self) -> list[Asset]:
        """Return what it offers to you, and under which terms."""
        return await self.connector.run(getting.catalog(self.name))

    async def asset(self, name: str) -> Asset:
        """Return one asset that it offers, by its id or title."""
        return await self.connector.run(getting.asset(self.name, name))

    async def get(
        self,
        asset: str,
        to: str | Path,
        *,
        progress: Told | None = None,
        timeout_s: float | None = None,
        overwrite: bool = False,
        **access: Unpack[Access],
    ) -> Got:
        """Get an asset into a folder: agree, wait for who has to approve, receive, fetch, check every hash.

        Raises:
            ExchangeError: with the stage in which it ended, the partner's words, and what was offered and accepted.
        """
        flow = getting.get(
            wanted(self.name, asset, access),
            to,
            progress=progress,
            timeout_s=timeout_s,
            overwrite=overwrite,
        )
        return await self.connector.run(flow)

    async def applies(
        self, asset: str, *, part: str = "", serial: str = "", lot: str = "", plant: str = ""
    ) -> Applies:
        """Return which revision of an asset applies to a unit, as far as the partner told us of it."""
        unit = {"part": part, "serial": serial, "lot": lot, "plant": plant}
        return await self.connector.run(getting.applies(self.name, asset, **unit))

    async def files(self, asset: str, **access: Unpack[Access]) -> list[File]:
        """Return which files an asset has; an agreement is made for it, and nothing is fetched.

        Raises:
            ExchangeError: with the stage in which it ended.
        """
        return await self.connector.run(reading.files(wanted(self.name, asset, access)))

    async def read(self, asset: str, path: str = "", **access: Unpack[Access]) -> bytes:
        """Return the bytes of a file of an asset.

        Raises:
            ExchangeError: with the stage in which it ended, or that its hash does not hold.
        """
        opened = await self.connector.run(reading.open_(wanted(self.name, asset, access), path))
        return reading.checked(opened.file, (await self.connector.fetch(opened.source)).content)
