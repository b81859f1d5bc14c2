"""Reading at a partner without receiving: an agreement and a started transfer whose data stays where it is.

A reading is an exchange without a folder, for one purpose and one person. Whoever asks again for the same gets the
same one, unless the agreement counts: there each is a use of its own. What is read of it is `reading_files`'.
"""

from __future__ import annotations

import contextlib
import functools
from typing import Any, Final

import msgspec
from msgspec import Struct

from comity import errors
from comity.controlplane import (
    decide,
    facts,
    get,
    negotiation_moves,
    offering,
    received,
    revision_states,
    transfer_moves,
)
from comity.controlplane.connector import Connector
from comity.controlplane.received import Access
from comity.db import agreements, readings, retirements, revisions, transfers
from comity.db.exchanges import Exchange
from comity.db.readings import Reading
from comity.db.store import Transaction
from comity.dsp import machine, terms
from comity.dsp.negotiation import Agreement
from comity.dsp.transfer import Transfer
from comity.management import query
from comity.management.readings import FIELDS

Document = dict[str, Any]
READY, SUSPENDED, ENDED = "READY", "SUSPENDED", "ENDED"
_OVER: Final = "what was to be read is not wanted any more"
IDLE_MS: Final = 24 * 3600 * 1000
"""How long a reading goes on that nobody reads: programs end without a word, and its transfer runs at both sides."""
_OF_TRANSFER: Final = {
    terms.STARTED: READY,
    terms.SUSPENDED: SUSPENDED,
    terms.COMPLETED: ENDED,
    terms.TERMINATED: get.FAILED,
}


class Wanted(Struct, frozen=True, kw_only=True):
    """What is to be read: an asset of a partner, under which offer, and which revision (0: the newest)."""

    counterparty_id: str
    asset_id: str
    offer_id: str = ""
    shown: Document | None = None
    revision: int = 0


class Open(Struct, frozen=True):
    """A reading with all that says whether it may go on."""

    reading: Reading
    exchange: Exchange
    record: Transfer | None
    agreement: Agreement | None

    @property
    def access(self) -> Access:
        """Who reads, and what for."""
        return Access(
            purpose=self.exchange.purpose,
            person=self.reading.person,
            nationalities=self.reading.nationalities,
            by=self.reading.opened_by,
        )


async def start(connector: Connector, wanted: Wanted, access: Access) -> Document:
    """Begin to read a partner's asset, or return how the reading stands that does so already.

    Raises:
        NotFoundError: no such partner, dataset or offer.
        InvalidInputError: the partner offers the data by push only.
        DeliveryError: the partner cannot be reached or refuses.
        PolicyError: it is not offered for this purpose, or its terms do not let it be read now.
    """
    connector.halt.check()
    who = Reading(
        exchange_id="",
        person=access.person,
        nationalities=access.nationalities,
        opened_by=access.by,
        read_at=connector.now_ms(),
    )
    same = (wanted.counterparty_id, wanted.asset_id, access.purpose, access.by, access.person)
    async with connector.looked.one_at_a_time(repr(same)):  # who asks at the same time gets the same one
        name = await connector.database.read(lambda tx: _find_same(tx, wanted, access.purpose, who))
        name = name or await _begin(connector, wanted, access, who)
    return await status(connector, name)


async def _begin(connector: Connector, wanted: Wanted, access: Access, who: Reading) -> str:
    """Begin to read, and return the id of the reading."""
    begun = await get.start(
        connector,
        wanted.counterparty_id,
        wanted.asset_id,
        "",
        offer_id=wanted.offer_id,
        shown=wanted.shown,
        purpose=access.purpose,
        revision=wanted.revision,
        by=access.by,
        then=lambda tx, made: readings.save(tx, msgspec.structs.replace(who, exchange_id=made.id)),
    )
    return begun.id


async def _find_same(tx: Transaction, wanted: Wanted, purpose: str, who: Reading) -> str:
    """Return the id of a reading that goes on and may be shared, or nothing."""
    found = await readings.find_same(
        tx, wanted.counterparty_id, wanted.asset_id, purpose, wanted.revision, who
    )
    if found is None:
        return ""
    stage = (await get.status_of(tx, found[1]))["stage"]
    opened = await _with_records(tx, *found)
    if opened.record is not None and opened.record.state is not None:
        stage = _OF_TRANSFER.get(opened.record.state, stage)
    if stage not in {get.NEGOTIATING, get.REQUESTING, READY}:
        return ""
    counted = opened.agreement is not None and facts.mentions(
        offering.parse(opened.agreement.document), "count"
    )
    return "" if counted and stage == READY else found[1].id


async def load(tx: Transaction, name: str) -> Open:
    """Return a reading with its records.

    Raises:
        NotFoundError: there is none.
    """
    return await _with_records(tx, *await readings.load(tx, name))


async def _with_records(tx: Transaction, reading: Reading, exchange: Exchange) -> Open:
    record = await transfers.find(tx, exchange.transfer_id) if exchange.transfer_id else None
    agreement = None
    if exchange.agreement_id:
        agreement = await agreements.find_of_party(
            tx, exchange.agreement_id, exchange.counterparty_id, terms.CONSUMER
        )
    return Open(reading, exchange, record, agreement)


async def status(connector: Connector, name: str) -> Document:
    """Return how far a reading has come, and by which terms it is locked now.

    Raises:
        NotFoundError: there is none.
    """
    return await connector.database.read(lambda tx: _status(connector, tx, name))


async def find(connector: Connector, spec: query.Spec) -> list[Document]:
    """Return how those stand that a query asks for; what was ended is not among them.

    Raises:
        InvalidInputError: it asks about a field that they do not have.
    """
    wanted = query.resolve(spec, FIELDS)

    async def unit(tx: Transaction) -> list[Document]:
        return await readings.find_page(tx, wanted, lambda name: _status(connector, tx, name))

    return await connector.database.read(unit)


async def _status(connector: Connector, tx: Transaction, name: str) -> Document:
    opened = await load(tx, name)
    shown = await get.status_of(tx, opened.exchange)
    stage = shown["stage"]
    if opened.record is not None and opened.record.state is not None:
        stage = _OF_TRANSFER.get(opened.record.state, stage)
    error = shown["error"] or (opened.record.error if opened.record else "")
    told = {"@type": "Reading", "stage": ENDED if opened.reading.ended_at else stage, "error": error}
    locked = await obstacles(connector, tx, opened) if stage == READY else ()
    since = await _became(tx, opened.exchange)
    became = {"became": since.words} if since.words else {}
    return {**shown, **told, "person": opened.reading.person, "locked": list(locked), **became}


async def _became(tx: Transaction, exchange: Exchange) -> revision_states.Became:
    """Return what became of the revision that was asked for by its number: else it is the newest one that is read."""
    told = (
        await revisions.find_told(tx, exchange.counterparty_id, exchange.asset_id)
        if exchange.revision
        else []
    )
    sha256 = next((each.manifest_sha256 for each in told if each.number == exchange.revision), "")
    return await revision_states.became(tx, exchange.counterparty_id, exchange.asset_id, sha256)


async def obstacles(connector: Connector, tx: Transaction, opened: Open, sha256: str = "") -> tuple[str, ...]:
    """Return what keeps a reading from going on now: its end, its transfer, or terms of its agreement.

    `sha256` is that of the package's manifest, as far as it is known.
    """
    agreement, record = opened.agreement, opened.record
    if opened.reading.ended_at is not None:
        return ("it was ended",)
    if agreement is None or record is None or record.state is None:
        return ("there is no agreement in force yet",)
    if record.state != terms.STARTED or record.data_address_sealed is None:
        return (f"its transfer is {record.state}{f': {record.error}' if record.error else ''}",)
    retired = await retirements.find(tx, agreement.negotiation_id)
    if retired is not None:
        return (retired.words,)
    access = opened.access
    return received.unnamed(agreement, access) or await received.judge(
        connector, tx, agreement, received.stated(access), sha256
    )


async def end(connector: Connector, name: str) -> None:
    """End a reading: the partner is told that nothing more is wanted. One that has ended stays so.

    Raises:
        NotFoundError: there is none.
        LocalProtocolError: the protocol does not allow it now.
    """

    async def unit(tx: Transaction) -> Open:
        opened = await load(tx, name)
        if opened.reading.ended_at is not None:
            return opened
        ended = msgspec.structs.replace(opened.reading, ended_at=connector.now_ms())
        await readings.save(tx, ended)
        record = opened.record
        if record is not None and record.state not in machine.TERMINAL:
            kind = decide.COMPLETE if record.state == terms.STARTED else decide.TERMINATE
            await transfer_moves.step(connector, tx, record.id, decide.Move(kind=kind, reason=_OVER))
        return opened

    opened = await connector.database.write(unit)
    if opened.record is None and opened.exchange.negotiation_id is not None:
        move = decide.Move(kind=decide.TERMINATE, reason=_OVER)
        with contextlib.suppress(errors.LocalProtocolError):  # it has ended already
            await negotiation_moves.make(connector, opened.exchange.negotiation_id, move)


async def give_up(connector: Connector, name: str, reason: str) -> None:
    """End a reading whose transfer the partner does not know any more: whoever asks next begins another.

    Raises:
        NotFoundError: there is none.
    """

    async def unit(tx: Transaction) -> None:
        opened = await load(tx, name)
        record = opened.record
        if opened.reading.ended_at is not None or record is None or record.state in machine.TERMINAL:
            return
        await readings.save(tx, msgspec.structs.replace(opened.reading, ended_at=connector.now_ms()))
        await transfer_moves.give_up(connector, tx, record, decide.Move(kind=decide.TERMINATE, reason=reason))

    await connector.database.write(unit)


async def end_idle(connector: Connector) -> None:
    """End what nobody has read for a day; what waits for its partner, or for people, goes on waiting."""
    before_ms = connector.now_ms() - IDLE_MS
    for name in await connector.database.read(lambda tx: readings.find_idle(tx, before_ms)):
        opened = await connector.database.read(functools.partial(load, name=name))
        if opened.record is not None and opened.record.state not in {None, terms.REQUESTED}:
            with contextlib.suppress(errors.LocalProtocolError):  # later, then
                await end(connector, name)
