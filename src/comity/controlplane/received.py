"""What was received, under which agreement, and whether its terms let it be opened now.

To open is to be told where the files lie, after the agreement's terms were asked: time, framework agreement, purpose,
place, and the nationality that is stated of a person. Whether opened or refused, it is written in the evidence. What a
provider alone can know of us (licences, classes) it has checked when it handed the data over. Files that lie on a disk
can be read without asking: this is for those who mean to keep the terms, and for the evidence that they did.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from msgspec import Struct

from comity import errors
from comity.controlplane import facts, notify, offering
from comity.controlplane.connector import Connector
from comity.controlplane.process import sha256_hex
from comity.db import agreements, contents, deliveries, evidence, partners
from comity.db.deliveries import Delivery
from comity.db.partners import Partner
from comity.db.store import Transaction
from comity.dsp import notice as notices
from comity.dsp import terms
from comity.dsp.negotiation import Agreement
from comity.evidence.entry import Entry
from comity.odrl import enforcement, evaluate, operand, operands
from comity.odrl.operators import ELSEWHERE

Document = dict[str, Any]
KIND: Final = "received"
ACCESS, ATTESTATION = "comity:Access", "comity:Attestation"
NOTICE: Final = "comity:AttestationNotice"
MOST: Final = 1000
EMPTY: Final = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
_ASKED_HERE: Final = frozenset({"recipient", "dateTime", "count", "elapsedTime", facts.FRAMEWORK})


class Access(Struct, frozen=True, kw_only=True):
    """Somebody wants to open something: what for, who it is, of which nationalities; `by` is the API key's name."""

    purpose: str = ""
    person: str = ""
    nationalities: tuple[str, ...] = ()
    by: str = ""

    def words(self) -> str:
        """Return it as a sentence for the evidence."""
        of = f" of {', '.join(self.nationalities)}" if self.nationalities else ""
        return f"person: {self.person or 'not named'}{of}"


class Held(Struct, frozen=True):
    """What was received, with its agreement."""

    delivery: Delivery
    agreement: Agreement


async def find(connector: Connector) -> list[tuple[Held, tuple[str, ...]]]:
    """Return the newest of what was received, and by which terms it is locked now, whoever opens it."""

    async def unit(tx: Transaction) -> list[tuple[Held, tuple[str, ...]]]:
        found = [
            await _with_agreement(tx, each) for each in await deliveries.find_all_received(tx, limit=MOST)
        ]
        return [(each, await _locked(connector, tx, each)) for each in found if each is not None]

    return await connector.database.read(unit)


async def open_(connector: Connector, name: str, access: Access) -> Held:
    """Return where something lies that a transfer or an agreement brought, if its terms allow it, and write it down.

    Raises:
        NotFoundError: nothing was received so.
        PolicyError: a term does not hold, or it was deleted; `reasons` name the terms.
    """

    async def unit(tx: Transaction) -> tuple[Held, tuple[str, ...]]:
        held = await _load(tx, name)
        reasons = await _obstacles(connector, tx, held, access)
        outcome = "refused" if reasons else "opened"
        detail = "; ".join([access.words(), *reasons])
        await _record(connector, tx, held, ACCESS, access, outcome=outcome, detail=detail)
        return held, reasons

    held, reasons = await connector.database.write(unit)
    if reasons:
        raise errors.PolicyError(
            "it may not be opened so", reasons=reasons, hint="comity received shows its terms"
        )
    return held


async def attest(connector: Connector, name: str, statement: str, access: Access) -> Held:
    """Keep in the evidence that a person states that terms are kept, and tell the provider.

    Raises:
        NotFoundError: nothing was received so.
    """

    async def unit(tx: Transaction) -> Held:
        held = await _load(tx, name)
        detail = f"{statement}; {access.words()}"
        await _record(connector, tx, held, ATTESTATION, access, outcome="stated", detail=detail)
        partner = await partners.find(tx, held.agreement.counterparty_id)
        if partner is not None:
            await notify.send(connector, tx, partner, _notice(held, statement, access), held.agreement.id)
        return held

    return await connector.database.write(unit)


def _notice(held: Held, statement: str, access: Access) -> Document:
    said: Document = {
        "@type": NOTICE,
        "agreementId": held.agreement.id,
        "statement": statement,
        "statedBy": access.by or "the key of the data folder",
        "terms": [
            each.words
            for each in enforcement.terms(offering.parse(held.agreement.document))
            if each.enforced == operand.ATTESTED
        ],
    }
    more = {"person": access.person, "nationality": list(access.nationalities), "purpose": access.purpose}
    return said | {member: value for member, value in more.items() if value}


async def take_attestation(
    connector: Connector, tx: Transaction, partner: Partner, notice: Document
) -> Document:
    """Take a consumer's statement about an agreement with us: it is evidence, and decides nothing.

    Raises:
        InvalidInputError: it states nothing, or there is no such agreement.
    """
    del connector
    name, statement = notice.get("agreementId"), notice.get("statement")
    if not isinstance(statement, str) or not statement:
        raise errors.InvalidInputError("it states nothing", path="$.statement")
    if not notices.is_name(name) or not await agreements.find_of_party(tx, name, partner.id, terms.PROVIDER):
        raise errors.InvalidInputError("there is no agreement with this id between us", path="$.agreementId")
    return {}


async def origins(tx: Transaction, digests: Sequence[str]) -> dict[str, tuple[Held, list[str]]]:
    """Return agreement id -> what was received under it of files with these digests (hex), and which of them.

    A file is the same if its bytes are; one without bytes is nobody's.
    """
    wanted = {bytes.fromhex(each): each for each in digests if each != EMPTY}
    found: dict[str, tuple[Held, list[str]]] = {}
    async with aclosing(contents.find_all(tx)) as rows:
        matching = [(name, [wanted[each] for each in held & wanted.keys()]) async for name, held in rows]
    for name, same in matching:
        delivery = await deliveries.find(tx, name) if same else None
        held = await _with_agreement(tx, delivery) if delivery else None
        if held is not None and held.agreement.id not in found:
            found[held.agreement.id] = (held, same)
    return found


async def _load(tx: Transaction, name: str) -> Held:
    """Return what a transfer brought, or the newest that came under an agreement."""
    delivery = await deliveries.find(tx, name)
    found = [delivery] if delivery else await deliveries.find_received(tx, name)
    held = await _with_agreement(tx, found[-1]) if found else None
    if held is None:
        raise errors.NotFoundError(f"nothing was received as {name[:200]}", hint="comity received shows it")
    return held


async def _with_agreement(tx: Transaction, delivery: Delivery) -> Held | None:
    if delivery.role != terms.CONSUMER:
        return None
    found = await agreements.find_of_party(tx, delivery.agreement_id, delivery.counterparty_id, delivery.role)
    return Held(delivery, found) if found else None


async def _locked(connector: Connector, tx: Transaction, held: Held) -> tuple[str, ...]:
    """Return what keeps anybody from opening it now: purpose and person are not asked."""
    return await _judge(connector, tx, held, {facts.PURPOSE: ELSEWHERE, facts.NATIONALITY: ELSEWHERE})


async def _obstacles(connector: Connector, tx: Transaction, held: Held, access: Access) -> tuple[str, ...]:
    policy = offering.parse(held.agreement.document)
    if facts.mentions(policy, facts.NATIONALITY) and not access.person:
        return ("a person must be named: its terms ask for a nationality",)
    stated: dict[str, object] = {}
    if access.purpose:
        stated[facts.PURPOSE] = access.purpose
    if access.nationalities:
        stated[facts.NATIONALITY] = access.nationalities
    return await _judge(connector, tx, held, stated)


async def _judge(
    connector: Connector, tx: Transaction, held: Held, stated: dict[str, object]
) -> tuple[str, ...]:
    if held.delivery.deleted_at is not None:
        return ("it was deleted",)
    policy, now_ms = offering.parse(held.agreement.document), connector.now_ms()
    provider = await partners.find(tx, held.agreement.counterparty_id)
    handed = await deliveries.find_received(tx, held.agreement.id)
    known: dict[str, object] = {
        **_checked_there(),
        "recipient": connector.participant_id,
        "dateTime": datetime.fromtimestamp(now_ms / 1000, UTC),
        "elapsedTime": timedelta(milliseconds=now_ms - held.agreement.created_at),
        "count": len(handed),
        **({"spatial": connector.places} if connector.places else {}),
        **stated,
    }
    if provider is not None:
        known |= await facts.looked_up(tx, provider, [policy], now_ms, only=facts.FRAMEWORK)
    decision = evaluate.evaluate(policy, known, everywhere=True)
    if decision.allowed:
        return ()
    lapsed = await facts.lapsed(tx, held.agreement.counterparty_id, [policy], now_ms)
    return tuple(facts.told(each, lapsed) for each in decision.reasons)


def _checked_there() -> dict[str, object]:
    """Return as facts what the provider alone can know, and has checked."""
    return {
        each.known_as: ELSEWHERE
        for each in operands.every()
        if each.enforced == operand.PROVIDER and each.name not in _ASKED_HERE
    }


async def _record(
    connector: Connector,
    tx: Transaction,
    held: Held,
    message: str,
    access: Access,
    *,
    outcome: str,
    detail: str,
) -> None:
    """Keep what our own people did with what was received."""
    entry = Entry(
        at=connector.now_ms(),
        direction="here",
        message=message,
        sha256=sha256_hex(b""),
        sender=connector.participant_id,
        receiver=held.agreement.counterparty_id,
        kind=KIND,
        process_id=held.delivery.transfer_id if message == ACCESS else held.agreement.id,
        outcome=outcome,
        detail=detail[:500],
        purpose=access.purpose,
        by=access.by,
    )
    await evidence.append(tx, entry)
