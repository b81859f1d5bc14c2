"""Fills a history from connectors of ours: everything in a store, read in one snapshot, running or not; and files.

Other connectors' stores are for others to read: what `record` asks for is all that the checker needs.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from comity import settings
from comity.dataplane import resources
from comity.dataplane.kept import STORE
from comity.db import (
    agreements,
    events,
    evidence,
    kept,
    negotiations,
    outbox,
    pulls,
    retirements,
    stores,
    transfers,
)
from comity.db.store import Store, Transaction
from comity.dsp.negotiation import Negotiation
from comity.dsp.transfer import Transfer
from comity.management import events as forms
from comity.testing import record

PAGE = 10_000
TOGETHER_S = 10.0
OWN = ".comity-"
"""Names of files of ours in a folder that a package was received into begin so."""


async def side(store: Store, participant_id: str, *, heads: tuple[record.Head, ...] = ()) -> record.Side:
    """Return what the store of a connector holds now; `heads` are ends of its evidence that were seen earlier."""
    return await store.read(lambda tx: side_of(tx, participant_id, heads=heads))


async def side_of(
    tx: Transaction, participant_id: str, *, heads: tuple[record.Head, ...] = ()
) -> record.Side:
    """Return what a snapshot of a store holds."""
    retired = {each.negotiation_id: each.created_at for each in await retirements.find_all(tx)}
    return record.Side(
        participant_id=participant_id,
        processes=(
            *(_negotiation(each) for each in await negotiations.find_all(tx)),
            *(_transfer(each) for each in await transfers.find_all(tx)),
        ),
        agreements=tuple(
            record.Agreement(
                id=each.id,
                negotiation_id=each.negotiation_id,
                document=each.document,
                counterparty_id=each.counterparty_id,
                finalized=each.finalized,
                message_sha256=each.message_sha256,
                retired_at=retired.get(each.negotiation_id),
            )
            for each in await agreements.find_all(tx)
        ),
        outbox=await _outbox(tx),
        events=await _events(tx),
        oldest_event=(await events.find_ends(tx))[0],
        evidence=await _evidence(tx),
        heads=heads,
    )


async def folder(path: Path) -> record.Side:
    """Return what the store of a data folder holds now, also while its connector runs.

    Raises:
        DatabaseError: there is no store of this version.
    """
    conf = settings.load(path)
    return await stores.read(conf.database, conf.database_url, lambda tx: side_of(tx, conf.participant_id))


async def folders(*paths: Path) -> tuple[record.Side, ...]:
    """Return what the stores of several data folders hold at one moment, also while their connectors run.

    Raises:
        DatabaseError: there is no store of this version.
    """
    return await together(*(functools.partial(folder, each) for each in paths))


async def together(*reads: Callable[[], Awaitable[record.Side]]) -> tuple[record.Side, ...]:
    """Read several sides again and again until none has changed meanwhile, at most for some seconds.

    Else a side may hold the acknowledgement of what another one, which was read earlier, had not taken yet.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + TOGETHER_S
    found = tuple([await each() for each in reads])
    while len(reads) > 1 and clock() < deadline:
        before, found = found, tuple([await each() for each in reads])
        if _steps(before) == _steps(found):
            break
    return found


def _steps(sides: tuple[record.Side, ...]) -> list[int]:
    return [len(rows or ()) for each in sides for rows in (each.processes, each.events, each.evidence)]


async def received(store: Store, participant_id: str) -> tuple[record.Received, ...]:
    """Return the data that a consumer holds for complete, as it lies in the folders of its transfers, or its store."""
    done = [each for each in await store.read(pulls.find_all) if each.state == pulls.DONE]
    return tuple(
        [
            record.Received(
                consumer=participant_id, transfer_id=each.transfer_id, files=await _files(store, each)
            )
            for each in done
        ]
    )


async def _files(store: Store, pull: pulls.Pull) -> dict[str, str]:
    if pull.destination != STORE:
        return files_of(Path(pull.destination))
    found = await store.read(lambda tx: kept.find_files(tx, pull.transfer_id))
    return {each.path: each.sha256 for each in found if not each.path.startswith(OWN)}


def files_of(place: Path) -> dict[str, str]:
    """Return the SHA-256 of each file below a folder, by its path there, without those that are our own."""
    return {
        found.relative_to(place).as_posix(): _digest(found)
        for found in sorted(place.rglob("*"))
        if found.is_file() and not found.name.startswith(OWN) and found.name != resources.STATE_NAME
    }


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _negotiation(each: Negotiation) -> record.Process:
    return _process(each, offer=each.offer, agreement_id=each.agreement_id or "")


def _transfer(each: Transfer) -> record.Process:
    return _process(each, offer=None, agreement_id=each.agreement_id)


def _process(
    each: Negotiation | Transfer, *, offer: record.Document | None, agreement_id: str
) -> record.Process:
    return record.Process(
        kind=each.kind,
        id=each.id,
        role=each.role,
        counterparty_id=each.counterparty_id,
        counterparty_pid=each.counterparty_pid or "",
        state=each.state,
        error=each.error,
        agreement_id=agreement_id,
        asset_id=each.asset_id,
        offer=offer,
        number=each.events,
    )


async def _outbox(tx: Transaction) -> tuple[record.Outgoing, ...]:
    found: list[record.Outgoing] = []
    last = 0
    while rows := await outbox.find_open(tx, after_id=last, limit=PAGE):
        found += (
            record.Outgoing(
                process_id=row.process_id, message=row.message, leads_to=row.leads_to, implied=row.implied
            )
            for row in rows
        )
        last = rows[-1].id
    return tuple(found)


async def _events(tx: Transaction) -> tuple[record.Event, ...]:
    found: list[record.Event] = []
    last, more = 0, True
    while more:
        page = await events.find_page(tx, after=last, limit=PAGE, types=(forms.NEGOTIATION, forms.TRANSFER))
        found += (_event(each) for each in page.events)
        last, more = page.upto, page.more
    return tuple(found)


class _Said(msgspec.Struct):
    state: str


_said = msgspec.json.Decoder(_Said)


def _event(each: forms.Event) -> record.Event:
    state = _said.decode(each.data).state
    return record.Event(
        seq=each.seq,
        id=each.id,
        subject=each.subject,
        number=each.number,
        state=None if state == forms.INITIAL else state,
        at=each.at,
    )


async def _evidence(tx: Transaction) -> tuple[record.Evidence, ...]:
    found: list[record.Evidence] = []
    for chain in await evidence.find_chains(tx):
        last = 0
        while rows := await evidence.find_page(tx, after=last, limit=PAGE, chain=chain):
            found += (record.Evidence(*row, chain=chain) for row in rows)
            last = rows[-1][0]
    return tuple(found)
