"""What was received and is to be deleted: listed with when it is due, deleted by a person's command, and told.

The provider gets a signed receipt. That the deletion was ordered, and by whom, is in the evidence before a file goes.
What lies in the node's own store it deletes by itself when that is due. Copies that went out of it into folders wait
for a person's command: then they are deleted where this node can, and where it cannot no receipt goes before that
person says so.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from comity import errors
from comity.controlplane import destinations, kept, process, receipts
from comity.controlplane.connector import Connector
from comity.dataplane import erase, erase_bucket
from comity.dataplane.attempt import ReceivedFile
from comity.dataplane.bucket import Bucket
from comity.dataplane.kept import STORE
from comity.db import deliveries, events, evidence, transfers
from comity.db import kept as kept_rows
from comity.db import receipts as receipt_rows
from comity.db.deliveries import Delivery
from comity.db.store import Transaction
from comity.dsp import receipt, terms
from comity.evidence.entry import Entry
from comity.management import deletions as forms
from comity.management import events as event_forms
from comity.management import query, wire
from comity.storage import buckets

Document = dict[str, Any]
KIND, DELETION = "received", "comity:Deletion"
BY_DUTY = "this node, as agreed"


async def find(connector: Connector, spec: query.Spec) -> list[Document]:
    """Return what is to be deleted, or was, that a query asks for; on both sides.

    Raises:
        InvalidInputError: it asks about a field that they do not have.
    """
    wanted = query.resolve(spec, forms.DELETION_FIELDS)
    now_ms = connector.now_ms()
    return await connector.database.read(
        lambda tx: deliveries.find_page(tx, wanted, lambda row: _shown(row, now_ms))
    )


async def find_receipts(connector: Connector, spec: query.Spec) -> list[Document]:
    """Return the receipts that a query asks for, ours and partners'.

    Raises:
        InvalidInputError: it asks about a field that they do not have.
    """
    wanted = query.resolve(spec, forms.RECEIPT_FIELDS)
    return await connector.database.read(lambda tx: receipt_rows.find_page(tx, wanted, _shown_receipt))


def _shown(row: Delivery, now_ms: int) -> Document:
    return wire.document(
        "Deletion",
        row.transfer_id,
        type=row.role.upper(),
        state=forms.state(row.due_at, row.deleted_at, now_ms),
        transferId=row.transfer_id,
        agreementId=row.agreement_id,
        counterPartyId=row.counterparty_id,
        assetId=row.asset_id,
        destination=row.destination or None,
        sha256=row.sha256,
        files=row.files,
        sizeBytes=row.size_bytes,
        receivedAt=row.at,
        dueAt=row.due_at,
        deletedAt=row.deleted_at,
        deletedBy=row.deleted_by or None,
        createdAt=row.created_at,
    )


def _shown_receipt(row: receipt_rows.Receipt) -> Document:
    return wire.document(
        "Receipt",
        row.id,
        type=row.role.upper(),
        kind=row.kind,
        state=row.state,
        said=row.said or None,
        transferId=row.transfer_id,
        agreementId=row.agreement_id,
        counterPartyId=row.counterparty_id,
        sha256=row.sha256,
        files=row.files,
        sizeBytes=row.size_bytes,
        at=row.at,
        by=row.by_whom or None,
        byHand=row.by_hand,
        enforcement=row.enforcement,
        createdAt=row.created_at,
    )


async def delete(connector: Connector, name: str, *, by: str, by_hand: bool = False) -> list[Document]:
    """Delete what was received in a transfer, or under an agreement, and tell the provider; `by` is who orders it.

    `by_hand`: it was deleted already, by other means, and `by` says so.

    Raises:
        NotFoundError: nothing was received under this name.
        ConflictError: it is deleted already, or not all of it can be; two partners use the id.
        StorageError: a file cannot be deleted.
    """
    rows = await connector.database.read(lambda tx: _find(tx, name))
    opened = [row for row in rows if row.deleted_at is None]
    if not opened:
        raise errors.ConflictError(f"what was received in {name[:200]} is deleted already")
    gone: set[tuple[str, str, str]] = set()
    for row in opened:
        same = (row.destination, row.sha256, row.name)
        if by_hand or same not in gone:
            await _delete(connector, row, by, by_hand=by_hand)
        gone.add(same)
    done = await connector.database.read(lambda tx: _find(tx, name))
    return [_shown(row, connector.now_ms()) for row in done]


async def _find(tx: Transaction, name: str) -> list[Delivery]:
    row = await deliveries.find(tx, name)
    if row is not None and row.role != terms.CONSUMER:
        raise errors.ConflictError(
            "this is what a partner received: it is the partner who deletes it",
            hint="comity deletions shows what is due there",
        )
    rows = [row] if row is not None else await deliveries.find_received(tx, name)
    if not rows:
        raise errors.NotFoundError(f"nothing was received in a transfer, or under an agreement, {name[:200]}")
    if len({each.counterparty_id for each in rows}) > 1:
        raise errors.ConflictError(
            "two partners use this id for an agreement",
            hint="name the transfers: comity deletions shows them",
        )
    return rows


async def _delete(connector: Connector, row: Delivery, by: str, *, by_hand: bool) -> None:
    order = _entry(connector, row, by, "reported" if by_hand else "ordered")
    await connector.database.write(lambda tx: evidence.append(tx, order))
    if row.destination == STORE:
        if exports := await _empty(connector, row, by, by_hand=by_hand):
            await _delete_copies(connector, row, exports, by)
        return
    folder = "" if by_hand else _folder(connector, row)
    if folder:
        await _erase(connector, folder, row)

    async def unit(tx: Transaction) -> None:
        same = await deliveries.find_in(tx, row) if folder else [row]
        for each in same:  # several transfers may have brought the same files
            await _note_deleted(connector, tx, each.transfer_id, by, by_hand=by_hand)

    await connector.database.write(unit)
    if folder:
        await _sweep(connector, folder, row)


async def _sweep(connector: Connector, folder: str, row: Delivery) -> None:
    if buckets.is_address(folder):
        await _in_bucket(connector, row, lambda where: erase_bucket.sweep(where, row.sha256))
    else:
        await asyncio.to_thread(erase.sweep, folder, row.sha256)


async def _empty(
    connector: Connector, row: Delivery, by: str, *, by_hand: bool = False, alone: bool = False
) -> list[kept_rows.Export]:
    """Take the keys away first: whatever becomes of copies, and of the files, nothing here opens them any more.

    Returns where copies went: while there are any it does not count as deleted. `alone`: no person ordered it, so
    people are told what waits for them.
    """
    name = row.transfer_id

    async def unit(tx: Transaction) -> tuple[list[str], list[kept_rows.Export]]:
        await deliveries.load(tx, name)  # who exports it has written that down, or finds it gone
        exports = [] if by_hand else await kept_rows.find_exports(tx, name)
        left = await kept.erase(tx, name)
        if not exports:
            await _note_all_deleted(connector, tx, name, by, by_hand=by_hand)
        elif alone:
            await _tell_waits(connector, tx, row, exports)
        return left, exports

    names, exports = await connector.database.write(unit)
    await kept.clear(connector, name, names)
    return exports


async def _note_all_deleted(
    connector: Connector, tx: Transaction, name: str, by: str, *, by_hand: bool
) -> None:
    await _note_deleted(connector, tx, name, by, by_hand=by_hand)
    await kept_rows.forget_exports(tx, name)


async def _tell_waits(
    connector: Connector, tx: Transaction, row: Delivery, exports: Sequence[kept_rows.Export]
) -> None:
    data = event_forms.DeletionData(
        transfer_process_id=row.transfer_id,
        counter_party_id=row.counterparty_id,
        contract_id=row.agreement_id,
        asset_id=row.asset_id,
        copies=[each.destination for each in exports],
        due_at=row.due_at or 0,
    )
    await events.add(
        tx, event_forms.DELETION_WAITING, row.transfer_id, number=0, at=connector.now_ms(), data=data
    )


async def _delete_copies(
    connector: Connector, row: Delivery, exports: Sequence[kept_rows.Export], by: str
) -> None:
    copies = [left for each in exports if (left := await _delete_copy(connector, row, each))]
    if copies:
        raise errors.ConflictError(
            f"it is deleted here, but copies went to {', '.join(copies)}, and are not deleted",
            hint="delete them there, then say so with --by-hand: the provider is told only then",
        )
    await connector.database.write(
        lambda tx: _note_all_deleted(connector, tx, row.transfer_id, by, by_hand=False)
    )


async def _delete_copy(connector: Connector, row: Delivery, export: kept_rows.Export) -> str:
    """Delete a copy that went into a place of this connector; return where it is if that is not possible."""
    if not export.destination:
        return f"a program of {export.by_whom or 'the key of the data folder'}"
    copy = msgspec.structs.replace(row, destination=export.destination)
    try:
        folder = _folder(connector, copy)
        await _erase(connector, folder, copy)
        await _sweep(connector, folder, copy)
    except errors.ComityError as error:
        return f"{export.destination} ({error.message})"
    return ""


async def run_due(connector: Connector) -> int:
    """Delete what lies in the node's store and is to be deleted by now; return how much that was.

    Nothing outside of the store is touched: copies wait for a person, and the receipt with them.
    """
    due = await connector.database.read(lambda tx: deliveries.find_due_in(tx, STORE, connector.now_ms()))
    done = 0
    for row in due:
        if await connector.database.read(functools.partial(_waits, transfer_id=row.transfer_id)):
            continue
        order = _entry(connector, row, BY_DUTY, "ordered")
        await connector.database.write(functools.partial(evidence.append, entry=order))
        await _empty(connector, row, BY_DUTY, alone=True)
        done += 1
    return done


async def _waits(tx: Transaction, transfer_id: str) -> bool:
    """Say whether all that is left of something is copies, which a person has to delete."""
    if await kept_rows.find(tx, transfer_id) is not None:
        return False
    return bool(await kept_rows.find_exports(tx, transfer_id))


async def _note_deleted(
    connector: Connector, tx: Transaction, transfer_id: str, by: str, *, by_hand: bool
) -> None:
    now = await deliveries.load(tx, transfer_id)
    if now.deleted_at is not None:  # somebody else was faster
        return
    at = connector.now_ms()
    done = msgspec.structs.replace(now, deleted_at=at, deleted_by=by)
    await deliveries.save(tx, done)
    await evidence.append(tx, _entry(connector, done, by, "done"))
    record = await transfers.load(tx, transfer_id)
    await receipts.tell(connector, tx, record, done, receipt.DELETION, at=at, by_hand=by_hand)


def _folder(connector: Connector, row: Delivery) -> str:
    if not row.destination:
        raise errors.ConflictError(
            "this data did not come into a folder of this connector",
            hint="delete it where it went, then say so with --by-hand",
        )
    return destinations.check(connector, row.destination)


async def _erase(connector: Connector, folder: str, row: Delivery) -> None:
    file = ReceivedFile(row.name, row.size_bytes or 0, row.sha256)
    if buckets.is_address(folder) and row.name:
        await _in_bucket(connector, row, lambda where: erase_bucket.delete(where, [file]))
    elif buckets.is_address(folder):
        await _in_bucket(connector, row, lambda where: erase_bucket.package(where, row.sha256))
    elif row.name:
        await asyncio.to_thread(erase.resource, folder, file)
    else:
        await asyncio.to_thread(erase.package, folder, row.sha256)


async def _in_bucket(connector: Connector, row: Delivery, work: Callable[[Bucket], None]) -> None:
    where = await destinations.open_bucket(connector, row.destination)
    try:
        await where.run(lambda: work(where))
    finally:
        where.close()


def _entry(connector: Connector, row: Delivery, by: str, outcome: str) -> Entry:
    return Entry(
        at=connector.now_ms(),
        direction="here",
        message=DELETION,
        sha256=process.sha256_hex(row.sha256.encode()),
        sender=connector.participant_id,
        receiver=connector.participant_id,
        kind=KIND,
        process_id=row.transfer_id,
        outcome=outcome,
        detail=f"{row.files} files, {row.size_bytes} bytes, digest {row.sha256}",
        by=by,
    )
