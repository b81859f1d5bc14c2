"""Receipts: a consumer signs what it has received whole and what it has deleted; a provider checks and keeps that.

A receipt is a notice, written with the step that it is about. One that contradicts what was served is kept all the
same, marked and said: it is the other side's word. When what was received is to be deleted follows from the
agreement's obligation `delete`; what was not is listed on both sides (`deletions`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from comity import errors
from comity.controlplane import kept, notify, offering, received, revision_states
from comity.controlplane.connector import Connector
from comity.dataplane.kept import STORE
from comity.db import agreements, contents, deliveries, partners, pulls, receipts, transfers
from comity.db.deliveries import Delivery
from comity.db.outbox import Outgoing
from comity.db.partners import Partner
from comity.db.store import Transaction
from comity.dsp import receipt as forms
from comity.dsp import terms, transfer
from comity.dsp.negotiation import Agreement
from comity.dsp.transfer import Transfer
from comity.odrl import catenax, duties, enforcement

Document = dict[str, Any]
_US = 1000

log = logging.getLogger(__name__)


class What(Struct, frozen=True):
    """What lies whole in a folder: `sha256` stands for all of it; `name` is the one file of what is no package.

    `digests` are those of all its files, `manifest` is the bytes of a package's, `seal` is over them.
    """

    sha256: str
    files: int
    size_bytes: int
    name: str = ""
    digests: tuple[str, ...] = ()
    manifest: bytes = b""
    seal: str = ""


def due(agreement: Agreement | None, received_at: int) -> tuple[bool, int | None]:
    """Return whether what was received at a time (ms) is to be deleted, and until when where that is known."""
    if agreement is None:
        return False, None
    policy = offering.parse(agreement.document)
    wanted = duties.deletions(policy)
    ends = [each.by_us // _US for each in wanted if each.by_us is not None]
    ends += [received_at + each.within_us // _US for each in wanted if each.within_us is not None]
    if _at_end(wanted):
        ends += [each // _US for each in duties.ends(policy)]
    return bool(wanted), min(ends, default=None)


def _at_end(wanted: tuple[duties.Deletion, ...]) -> bool:
    return any(catenax.AGREEMENT_END in each.events for each in wanted)


async def agreement_ended(tx: Transaction, agreement: Agreement, at: int) -> None:
    """Let what is to be deleted at an agreement's end, or at no time that is named, be due at a time (ms)."""
    at_end = _at_end(duties.deletions(offering.parse(agreement.document)))
    parties = (agreement.id, agreement.counterparty_id, agreement.role)
    for row in await deliveries.find_to_delete(tx, *parties):
        if row.due_at is None or (at_end and row.due_at > at):
            await deliveries.save(tx, msgspec.structs.replace(row, due_at=at))


async def delivered(connector: Connector, tx: Transaction, transfer_id: str, what: What) -> None:
    """Keep that all of a transfer lies here, and tell its provider so; once."""
    if await deliveries.find(tx, transfer_id) is not None:
        return
    record, pull = await transfers.load(tx, transfer_id), await pulls.find(tx, transfer_id)
    agreement = await agreements.find_of_party(tx, record.agreement_id, record.counterparty_id, record.role)
    now_ms = connector.now_ms()
    must_delete, due_at = due(agreement, now_ms)
    new = Delivery(
        **_of(record),
        destination=pull.destination if pull else "",
        name=what.name,
        sha256=what.sha256,
        files=what.files,
        size_bytes=what.size_bytes,
        must_delete=must_delete,
        at=now_ms,
        due_at=due_at,
        created_at=now_ms,
        seal=what.seal,
    )
    await deliveries.insert(tx, new)
    await contents.add(tx, transfer_id, what.digests)
    if what.manifest and agreement is not None:
        await revision_states.note_received(tx, agreement, what.manifest, now_ms)
    if new.destination == STORE:
        await kept.settled(tx, transfer_id)
    elif new.destination:
        await received.record_export(connector, tx, new)
    shown = enforcement.document(offering.parse(agreement.document)) if agreement else []
    await tell(connector, tx, record, new, forms.DELIVERY, at=now_ms, shown=shown)


def _of(record: Transfer) -> dict[str, Any]:
    return {
        "transfer_id": record.id,
        "role": record.role,
        "counterparty_id": record.counterparty_id,
        "agreement_id": record.agreement_id,
        "asset_id": record.asset_id,
    }


async def tell(
    connector: Connector,
    tx: Transaction,
    record: Transfer,
    row: Delivery,
    kind: str,
    *,
    at: int,
    by_hand: bool = False,
    shown: Sequence[Document] = (),
) -> None:
    """Send a receipt to the provider, if it is a partner still; `shown` is how each term is enforced.

    The receipt of what was carried waits for the medium.
    """
    partner = await partners.find(tx, record.counterparty_id)
    if partner is None or record.counterparty_pid is None:
        return
    said = forms.Receipt(
        type=kind,
        agreement_id=record.agreement_id,
        provider_pid=record.counterparty_pid,
        consumer_pid=record.id,
        manifest_sha256=None if row.name else row.sha256,
        resource_sha256=row.sha256 if row.name else None,
        files=row.files or 0,
        size_bytes=row.size_bytes or 0,
        time=forms.moment(at),
        by=row.deleted_by,
        by_hand=by_hand,
        enforcement=list(shown),
    )
    if record.format == transfer.CARRY:
        row_ = _row(connector, connector.new_id(), record, said, at, receipts.CARRIED)
    else:
        name = await notify.send(connector, tx, partner, said.document(), record.agreement_id)
        row_ = _row(connector, name, record, said, at, receipts.SENT)
    await receipts.insert(tx, row_)


def carried(record: Transfer, delivery: Delivery, row: receipts.Receipt) -> Document:
    """Return a receipt of ours that is to go on a medium, as the notice that it always is."""
    said = forms.Receipt(
        type=forms.DELIVERY if row.kind == receipts.DELIVERY else forms.DELETION,
        agreement_id=row.agreement_id,
        provider_pid=record.provider_pid,
        consumer_pid=record.consumer_pid,
        manifest_sha256=None if delivery.name else row.sha256,
        resource_sha256=row.sha256 if delivery.name else None,
        files=row.files,
        size_bytes=row.size_bytes,
        time=forms.moment(row.at),
        by=row.by_whom,
        by_hand=row.by_hand,
        enforcement=row.enforcement,
    )
    return {**said.document(), "@id": row.id}


def _row(
    connector: Connector, name: str, record: Transfer, said: forms.Receipt, at: int, state: str, why: str = ""
) -> receipts.Receipt:
    return receipts.Receipt(
        id=name,
        counterparty_id=record.counterparty_id,
        kind=receipts.DELIVERY if said.type == forms.DELIVERY else receipts.DELETION,
        role=record.role,
        agreement_id=record.agreement_id,
        transfer_id=record.id,
        sha256=said.sha256,
        files=said.files,
        size_bytes=said.size_bytes,
        at=at,
        by_whom=said.by,
        by_hand=said.by_hand,
        enforcement=said.enforcement,
        state=state,
        said=why[:500],
        created_at=connector.now_ms(),
    )


async def began(connector: Connector, tx: Transaction, record: Transfer, agreement: Agreement | None) -> None:
    """Keep what a transfer hands over, as it is published when the provider starts it."""
    must_delete, _ = due(agreement, 0)
    published = await revision_states.properties(tx, record.asset_id, record.revision)
    new = Delivery(
        **_of(record),
        sha256=_text(published, "comity:manifestSha256"),
        files=_number(published, "comity:files"),
        size_bytes=_number(published, "dcat:byteSize"),
        must_delete=must_delete,
        created_at=connector.now_ms(),
    )
    await deliveries.insert(tx, new)


def _text(published: Document, name: str) -> str:
    value = published.get(name)
    return value if isinstance(value, str) else ""


def _number(published: Document, name: str) -> int | None:
    text = str(published.get(name, ""))
    return int(text) if text.isdecimal() and len(text) < 19 else None  # noqa: PLR2004  what a column holds


async def handed_over(tx: Transaction, record: Transfer) -> None:
    """Keep that a provider's transfer is complete: what is to be deleted is so from now on."""
    row = await deliveries.find(tx, record.id)
    if row is not None and row.must_delete and row.at is None:
        await deliveries.save(tx, await _received_at(tx, row, record.updated_at))


async def _received_at(tx: Transaction, row: Delivery, at: int) -> Delivery:
    due_at = row.due_at
    if row.must_delete:
        found = await agreements.find_of_party(tx, row.agreement_id, row.counterparty_id, row.role)
        _, due_at = due(found, at)
    return msgspec.structs.replace(row, at=at, due_at=due_at)


async def receive(connector: Connector, tx: Transaction, partner: Partner, notice: Document) -> Document:
    """Take a partner's receipt, check it against what was served, and keep it.

    Raises:
        InvalidInputError: it is none, or about no transfer between us.
    """
    said, stated_at = forms.read(notice)
    record = await transfers.find(tx, said.provider_pid)
    ours = (partner.id, said.agreement_id, terms.PROVIDER)
    if record is None or (record.counterparty_id, record.agreement_id, record.role) != ours:
        raise errors.InvalidInputError(
            "no transfer with these ids was served to you here", path="$.providerPid"
        )
    row = await deliveries.find(tx, record.id)
    why = await _contradiction(tx, record, row, said)
    at = min(stated_at, connector.now_ms())  # a clock that runs ahead does not put off what is due
    if row is not None and row.at is not None and said.type == forms.DELIVERY:
        at = min(at, row.at)  # nor does a second receipt
    state = receipts.CONTRADICTS if why else receipts.KEPT
    await receipts.insert(tx, _row(connector, notice["@id"], record, said, stated_at, state, why))
    if why:
        log.warning("transfer %s: the receipt of %s contradicts: %s", record.id, partner.id, why)
        return {forms.CONTRADICTION: why}
    if row is not None:
        await _believe(tx, row, said, at)
    return {}


async def _believe(tx: Transaction, row: Delivery, said: forms.Receipt, at: int) -> None:
    if said.type == forms.DELETION:
        await deliveries.save(
            tx, msgspec.structs.replace(row, at=row.at or at, deleted_at=at, deleted_by=said.by)
        )
        return
    known = msgspec.structs.replace(
        row, sha256=said.sha256, files=said.files, size_bytes=said.size_bytes, at=at
    )
    await deliveries.save(tx, await _received_at(tx, known, at))


async def _contradiction(tx: Transaction, record: Transfer, row: Delivery | None, said: forms.Receipt) -> str:
    """Return in what a receipt is not what was served, empty where nothing here says otherwise."""
    if said.consumer_pid != record.counterparty_pid:
        return f"its transfer is {said.consumer_pid[:200]!r} there, not {record.counterparty_pid!r}"
    if row is None or record.state in {None, terms.REQUESTED}:
        return "nothing was served in this transfer"
    if row.sha256 and row.sha256 != said.sha256:
        # what was published in the middle of a transfer that names no revision is what went out
        may_be = said.type == forms.DELIVERY and not record.revision
        if not may_be or not await revision_states.came_later(tx, record.asset_id, row.sha256, said.sha256):
            return f"it names the digest {said.sha256}, and {row.sha256} was served"
        return ""
    for name, served, stated in (
        ("files", row.files, said.files),
        ("bytes", row.size_bytes, said.size_bytes),
    ):
        if row.sha256 and served is not None and served != stated:
            return f"it names {stated} {name}, and {served} were served"
    return ""


async def answered(_: Connector, tx: Transaction, row: Outgoing, answer: Document) -> None:
    """Keep that a receipt of ours was taken, and what the provider says against it."""
    why = answer.get(forms.CONTRADICTION)
    said = "".join(char if char.isprintable() else " " for char in str(why)[:500]) if why else ""
    if said:
        log.warning("%s says of our receipt %s: %s", row.counterparty_id, row.message_id, said)
    state = receipts.CONTRADICTS if said else receipts.TAKEN
    await receipts.settle(tx, row.message_id, row.counterparty_id, state=state, said=said)


async def refused(_: Connector, tx: Transaction, row: Outgoing, reason: str) -> None:
    """Keep why a receipt of ours was not taken."""
    await receipts.settle(tx, row.message_id, row.counterparty_id, state=receipts.REFUSED, said=reason)
