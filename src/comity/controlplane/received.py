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

import msgspec
from msgspec import Struct

from comity import errors
from comity.controlplane import facts, kept, notify, offering, revision_states
from comity.controlplane.connector import Connector
from comity.controlplane.process import sha256_hex
from comity.controlplane.revision_states import Became
from comity.dataplane.kept import STORE
from comity.db import agreements, contents, deliveries, evidence, partners, readings
from comity.db import kept as exports
from comity.db.deliveries import Delivery
from comity.db.kept import Export
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
ACCESS, ATTESTATION, EXPORT = "comity:Access", "comity:Attestation", "comity:Export"
OPENED, EXPORTED, REFUSED, FAILED = "opened", "exported", "refused", "failed"
LEAVES = "it leaves what this node enforces"
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
    """What was received, with its agreement; where it lies if another replica has it, and where copies of it went.

    `copies_wait`: the store has deleted it, as was agreed, and people have to delete the copies.
    `revision` says what became of it, as its owner last told us.
    """

    delivery: Delivery
    agreement: Agreement
    lies: str = ""
    exports: tuple[Export, ...] = ()
    copies_wait: bool = False
    revision: Became = Became()


HOW: Final = (
    "comity received show ID has its terms; what is not stated is said with --purpose, --person,"
    " --person-nationality"
)


async def find(connector: Connector, transfer_id: str = "") -> list[tuple[Held, tuple[str, ...]]]:
    """Return the newest of what was received, or of it one, and by which terms it is locked now, whoever opens it."""

    async def unit(tx: Transaction) -> list[tuple[Held, tuple[str, ...]]]:
        one = await deliveries.find(tx, transfer_id) if transfer_id else None
        listed = [one] if one else []
        if not transfer_id:
            listed = await deliveries.find_all_received(tx, limit=MOST)
        found = [await _with_agreement(connector, tx, each) for each in listed]
        return [(each, await locked(connector, tx, each)) for each in found if each is not None]

    return await connector.database.read(unit)


async def open_(connector: Connector, name: str, access: Access) -> Held:
    """Return where something lies that a transfer or an agreement brought, if its terms allow it, and write it down.

    Raises:
        NotFoundError: nothing was received so.
        PolicyError: a term does not hold, or it was deleted; `reasons` name the terms.
    """

    async def unit(tx: Transaction) -> tuple[Held, tuple[str, ...]]:
        held = await load(connector, tx, name)
        reasons = await obstacles(connector, tx, held, access)
        outcome = "refused" if reasons else "opened"
        detail = "; ".join([access.words(), *reasons])
        await record_held(connector, tx, held, ACCESS, access, outcome=outcome, detail=detail)
        return held, reasons

    held, reasons = await connector.database.write(unit)
    if reasons:
        raise refusal(held, reasons, "it may not be opened so")
    return held


async def attest(connector: Connector, name: str, statement: str, access: Access) -> Held:
    """Keep in the evidence that a person states that terms are kept, and tell the provider.

    Raises:
        NotFoundError: nothing was received so.
    """

    async def unit(tx: Transaction) -> Held:
        held = await load(connector, tx, name)
        detail = f"{statement}; {access.words()}"
        await record_held(connector, tx, held, ATTESTATION, access, outcome="stated", detail=detail)
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


async def origins(tx: Transaction, digests: Sequence[str]) -> dict[tuple[str, str], tuple[Held, list[str]]]:
    """Return what was received of files with these digests (hex), and which of them, by agreement and its provider.

    A file is the same if its bytes are; one without bytes is nobody's.
    """
    wanted = {bytes.fromhex(each): each for each in digests if each != EMPTY}
    found: dict[tuple[str, str], tuple[Held, list[str]]] = {}
    async with aclosing(contents.find_all(tx)) as rows:
        matching = [(name, [wanted[each] for each in held & wanted.keys()]) async for name, held in rows]
    for name, same in matching:
        delivery = await deliveries.find(tx, name) if same else None
        held = await _of_delivery(tx, delivery) if delivery else None
        if held is not None:  # another provider may have chosen the same id
            found.setdefault((held.agreement.id, held.agreement.counterparty_id), (held, same))
    return found


async def load(connector: Connector, tx: Transaction, name: str) -> Held:
    """Return what a transfer brought, or the newest that came under an agreement."""
    delivery = await deliveries.find(tx, name)
    found = [delivery] if delivery else await deliveries.find_received(tx, name)
    held = await _with_agreement(connector, tx, found[-1]) if found else None
    if held is None:
        raise errors.NotFoundError(f"nothing was received as {name[:200]}", hint="comity received shows it")
    return held


async def _with_agreement(connector: Connector, tx: Transaction, delivery: Delivery) -> Held | None:
    held = await _of_delivery(tx, delivery)
    if held is None or delivery.destination != STORE:
        return held
    lies = await kept.lies_elsewhere(connector, tx, delivery.transfer_id)
    copies = tuple(await exports.find_exports(tx, delivery.transfer_id))
    is_open = bool(copies) and delivery.must_delete and delivery.deleted_at is None
    waits = is_open and await exports.find(tx, delivery.transfer_id) is None
    return msgspec.structs.replace(held, lies=lies, exports=copies, copies_wait=waits)


async def _of_delivery(tx: Transaction, delivery: Delivery) -> Held | None:
    if delivery.role != terms.CONSUMER:
        return None
    found = await agreements.find_of_party(tx, delivery.agreement_id, delivery.counterparty_id, delivery.role)
    if found is None:
        return None
    since = await revision_states.became(tx, delivery.counterparty_id, delivery.asset_id, delivery.sha256)
    return Held(delivery, found, revision=since)


async def locked(connector: Connector, tx: Transaction, held: Held) -> tuple[str, ...]:
    """Return what keeps anybody from opening it now: purpose and person are not asked."""
    return await _judge(connector, tx, held, {facts.PURPOSE: ELSEWHERE, facts.NATIONALITY: ELSEWHERE})


async def obstacles(connector: Connector, tx: Transaction, held: Held, access: Access) -> tuple[str, ...]:
    """Return what keeps somebody from opening what was received now."""
    return unnamed(held.agreement, access) or await _judge(connector, tx, held, stated(access))


def unnamed(agreement: Agreement, access: Access) -> tuple[str, ...]:
    """Return what an access lacks: somebody has to be named where the terms ask for a nationality."""
    policy = offering.parse(agreement.document)
    if facts.mentions(policy, facts.NATIONALITY) and not access.person:
        return ("a person must be named: its terms ask for a nationality",)
    return ()


def stated(access: Access) -> dict[str, object]:
    """Return what an access states as facts for `judge`."""
    said: dict[str, object] = {}
    if access.purpose:
        said[facts.PURPOSE] = access.purpose
    if access.nationalities:
        said[facts.NATIONALITY] = access.nationalities
    return said


async def _judge(
    connector: Connector, tx: Transaction, held: Held, stated: dict[str, object]
) -> tuple[str, ...]:
    if held.delivery.deleted_at is not None:
        return ("it was deleted",)
    if held.copies_wait:
        return ("it was deleted from the store",)
    return await judge(connector, tx, held.agreement, stated, held.delivery.sha256)


async def judge(
    connector: Connector, tx: Transaction, agreement: Agreement, stated: dict[str, object], sha256: str
) -> tuple[str, ...]:
    """Return the terms of an agreement that do not allow what is stated now; `sha256` is that of the manifest.

    What was received under it counts, and what was read at the partner without being received.
    """
    policy, now_ms = offering.parse(agreement.document), connector.now_ms()
    provider = await partners.find(tx, agreement.counterparty_id)
    since = await revision_states.became(tx, agreement.counterparty_id, agreement.asset_id, sha256)
    known: dict[str, object] = {
        **_checked_there(),
        "recipient": connector.participant_id,
        "dateTime": datetime.fromtimestamp(now_ms / 1000, UTC),
        "elapsedTime": timedelta(milliseconds=now_ms - agreement.created_at),
        "count": await _uses(tx, agreement) if facts.mentions(policy, "count") else 0,
        facts.REVISION_STATUS: since.state,
        **({"spatial": connector.places} if connector.places else {}),
        **stated,
    }
    if provider is not None:
        known |= await facts.looked_up(tx, provider, [policy], now_ms, only=facts.FRAMEWORK)
    decision = evaluate.evaluate(policy, known, everywhere=True)
    if decision.allowed:
        return ()
    lapsed = await facts.lapsed(tx, agreement.counterparty_id, [policy], now_ms)
    return tuple(_told(facts.told(each, lapsed), since) for each in decision.reasons)


def _told(reason: str, since: Became) -> str:
    """Return a reason; of a term about revisions, what became of this one and which one to get."""
    if not since.words or facts.REVISION_STATUS not in reason:
        return reason
    get = f": get revision {since.instead}" if since.instead else ""
    return f"{since.words}{get} ({reason})"


def refusal(held: Held, reasons: tuple[str, ...], message: str) -> errors.PolicyError:
    """Return the error for what may not be opened, with what to do about it."""
    hint = HOW
    if held.revision.words and any(held.revision.words in each for each in reasons):
        newer = f"revision {held.revision.instead}" if held.revision.instead else "another revision"
        hint = f"get {newer}: comity get {held.agreement.counterparty_id} {held.agreement.asset_id}"
    return errors.PolicyError(message, reasons=reasons, hint=hint)


async def _uses(tx: Transaction, agreement: Agreement) -> int:
    """Return how often something was received under an agreement, or read without being received."""
    received = await deliveries.find_received(tx, agreement.id, agreement.counterparty_id)
    return len(received) + await readings.count_uses(tx, agreement.id, agreement.counterparty_id)


def _checked_there() -> dict[str, object]:
    """Return as facts what the provider alone can know, and has checked."""
    return {
        each.known_as: ELSEWHERE
        for each in operands.every()
        if each.enforced == operand.PROVIDER and each.name not in _ASKED_HERE
    }


async def record_export(connector: Connector, tx: Transaction, delivery: Delivery) -> None:
    """Keep that something was received past the store, where nothing here can see who opens it."""
    what = f"{delivery.files} files, {delivery.size_bytes} bytes, digest {delivery.sha256}"
    detail = f"{what}, received into {delivery.destination}: {LEAVES}"
    await record_use(
        connector, tx, delivery.transfer_id, Access(), message=EXPORT, outcome=EXPORTED, detail=detail
    )


async def record_held(
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
    name = held.agreement.id if message == ATTESTATION else held.delivery.transfer_id
    await record_use(connector, tx, name, access, message=message, outcome=outcome, detail=detail)


async def record_use(
    connector: Connector,
    tx: Transaction,
    name: str,
    access: Access,
    *,
    message: str = ACCESS,
    outcome: str,
    detail: str,
) -> None:
    """Keep in the evidence what our own people did with a partner's data; `name` is the transfer that it is about."""
    entry = Entry(
        at=connector.now_ms(),
        direction="here",
        message=message,
        sha256=sha256_hex(b""),
        sender=connector.participant_id,
        receiver=connector.participant_id,
        kind=KIND,
        process_id=name,
        outcome=outcome,
        detail=detail[:500],
        purpose=access.purpose,
        by=access.by,
    )
    await evidence.append(tx, entry)
