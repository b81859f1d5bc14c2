"""Writes packages to a medium, where there is no line to a partner, and reads the receipts that come back on it.

A package that is carried is a transfer under an agreement that both sides hold: it is asked of the policy, counted and
recorded as one. It is started when it is written and complete with the receipt. What goes on the medium is encrypted
with a secret of its own, which people pass on by another way; no key for it has to be published, kept or restored.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from comity import errors
from comity.controlplane import (
    carried_messages,
    decide,
    process,
    receipts,
    republishing,
    revision_notices,
    revision_states,
    transfer_moves,
)
from comity.controlplane.connector import Connector
from comity.controlplane.content import Contents
from comity.dataplane import carry, serve
from comity.db import agreements, deliveries, partners, transfers
from comity.db.store import Transaction
from comity.dsp import carried as forms
from comity.dsp import receipt, terms, transfer
from comity.dsp.negotiation import Agreement
from comity.dsp.transfer import Transfer
from comity.storage import medium
from comity.storage.source import CHUNK_BYTES, Source, Storage
from comity.techdata import manifest

Document = dict[str, Any]
SECRET = transfer_moves.ADDRESS
KINDS = frozenset({receipt.DELIVERY, receipt.DELETION})
TAKEN, KNOWN, CONTRADICTS, REFUSED, NONE = "taken", "known", "contradicts", "refused", "none"


class Written(Struct, frozen=True, kw_only=True):
    """A package that is on a medium; `code` opens it and is told once."""

    transfer: Transfer
    files: int
    size_bytes: int
    place: str
    code: str


class Outcome(Struct, frozen=True, kw_only=True):
    """What became of a receipt, or of a package of a medium: `state`, and why where it is none to be glad of."""

    place: str
    state: str
    transfer_id: str = ""
    counterparty_id: str = ""
    asset_id: str = ""
    kind: str = ""
    why: str = ""
    hint: str = ""


def at(connector: Connector, root: str) -> medium.Medium:
    """Return the medium in a folder below one of the operator's.

    Raises:
        StorageError: it may not be used, or is not there.
    """
    found = medium.Medium(connector.files.check_destination(root))
    found.check()
    return found


async def write(
    connector: Connector,
    root: str,
    *,
    agreement_id: str = "",
    counterparty_id: str = "",
    asset_id: str = "",
    revision: int = 0,
    purpose: str = "",
) -> Written:
    """Write a package under an agreement, or the newest one in force with a partner about an asset, to a medium.

    Raises:
        NotFoundError: there is no such agreement.
        PolicyError: it does not allow this now, or a licence has ended.
        ConflictError: it is no package, or was published anew meanwhile.
        StorageError: the medium or a file of the package fails; code `disk-full` where there is no room.
    """
    connector.halt.check()
    place = await asyncio.to_thread(at, connector, root)
    agreement = await connector.database.read(
        lambda tx: _agreement(tx, agreement_id, counterparty_id, asset_id)
    )
    record = await connector.database.read(lambda tx: _record(connector, tx, agreement, revision, purpose))
    package = await Contents(connector).to_carry(record)
    beside = await asyncio.to_thread(_beside, connector, place, agreement.counterparty_id)
    secret = await connector.database.read(lambda tx: _secret(connector, tx, beside))
    header = medium.Header(
        provider_pid=record.id, provider_id=connector.participant_id, consumer_id=record.counterparty_id
    )
    listed = manifest.decode(package.manifest).files
    contents = {each.sha256: each.size_bytes for each in listed}
    size = sum(contents.values()) + len(package.manifest)
    writing = await asyncio.to_thread(place.begin, header, size, len(contents) + 2)
    try:
        await _files(connector, writing, secret, package)
        letter = await connector.database.write(
            lambda tx: _begin(connector, tx, record, agreement, package, secret, beside)
        )
        done = await _finish(connector, writing, record, secret, letter)
    except BaseException:
        await asyncio.to_thread(writing.abandon)
        raise
    return Written(
        transfer=await connector.database.read(lambda tx: transfers.load(tx, record.id)),
        files=len(listed),
        size_bytes=sum(each.size_bytes for each in listed),
        place=place.path(done.name),
        code=forms.show_code(secret),
    )


def _beside(connector: Connector, place: medium.Medium, consumer_id: str) -> list[str]:
    """Return the transfers whose packages of ours for a consumer are on a medium."""
    found = [each.header for each in place.packages() if isinstance(each, medium.Package)]
    parties = (connector.participant_id, consumer_id)
    return [each.provider_pid for each in found if (each.provider_id, each.consumer_id) == parties]


async def _secret(connector: Connector, tx: Transaction, beside: Sequence[str]) -> bytes:
    """Return a new secret, or that of a package for the same consumer: a medium has one code for each."""
    for name in reversed(beside):
        record = await transfers.find(tx, name)
        if record is not None and record.format == transfer.CARRY and record.data_address_sealed is not None:
            return connector.seal.open(record.data_address_sealed, SECRET + record.id)
    return os.urandom(forms.CODE_BYTES)


async def _finish(
    connector: Connector, writing: medium.Writing, record: Transfer, secret: bytes, letter: bytes
) -> medium.Package:
    """Give it its name; a medium that fails even now has no package, and the transfer ends with that reason."""
    try:
        return await asyncio.to_thread(writing.finish, secret, letter)
    except errors.StorageError as error:
        move = decide.Move(kind=decide.TERMINATE, reason=f"it was not written: {error.message}")
        await connector.database.write(lambda tx: transfer_moves.step(connector, tx, record.id, move))
        raise


async def _agreement(tx: Transaction, agreement_id: str, counterparty_id: str, asset_id: str) -> Agreement:
    if agreement_id:
        found = [
            each for each in await agreements.find_by_id(tx, agreement_id) if each.role == terms.PROVIDER
        ]
    else:
        listed = await agreements.find_holders(tx, asset_id)
        found = [each for each in listed if counterparty_id in {"", each.counterparty_id}]
        parties = {each.counterparty_id for each in found}
        if len(parties) > 1:
            raise errors.ConflictError(
                f"several partners have an agreement about {asset_id}: {', '.join(sorted(parties))}",
                hint="name the partner, or the agreement",
            )
    in_force = [each for each in found if each.finalized]
    if not in_force:
        raise errors.NotFoundError(
            f"there is no agreement in force {f'with the id {agreement_id}' if agreement_id else f'about {asset_id}'}"
            " in which we provide",
            hint="an agreement is negotiated over a line, before anything is carried under it",
        )
    return max(in_force, key=lambda each: each.created_at)


async def _record(
    connector: Connector, tx: Transaction, agreement: Agreement, revision: int, purpose: str
) -> Transfer:
    """Return the transfer as it would begin; nothing is stored of it yet."""
    partner = await partners.load(tx, agreement.counterparty_id)
    await revision_states.check_asked(tx, agreement.asset_id, revision)
    name, now_ms = connector.new_id(), connector.now_ms()
    record = Transfer(
        id=name,
        role=terms.PROVIDER,
        counterparty_id=partner.id,
        counterparty_address=partner.address,
        counterparty_pid=forms.consumer_pid(connector.participant_id, name, partner.id),
        state=terms.REQUESTED,
        version=0,
        agreement_id=agreement.id,
        asset_id=agreement.asset_id,
        format=transfer.CARRY,
        purpose=purpose,
        revision=revision,
        created_at=now_ms,
        updated_at=now_ms,
    )
    await _check_use(connector, tx, record)
    return record


async def _check_use(connector: Connector, tx: Transaction, record: Transfer) -> None:
    allowed, reasons = await transfer_moves.may_use(connector, tx, record)
    if not allowed:
        raise errors.PolicyError(decide.refusal(reasons), reasons=reasons)


def _storages(connector: Connector) -> Mapping[str, Storage]:
    return {
        "file": connector.files,
        "kept": republishing.Storage(connector),
        "http": connector.back_end,
        "object": connector.objects,
    }


async def _files(
    connector: Connector, writing: medium.Writing, secret: bytes, package: serve.Package
) -> None:
    """Write the manifest and each content once."""
    storages, there = _storages(connector), carry.sources(package.manifest)
    await _file(writing, secret, medium.MANIFEST, _bytes(package.manifest), "")
    done: set[str] = set()
    for path, target in there.items():
        if target.address in done:
            continue
        done.add(target.address)
        source: Source = package.files[path]
        body = await storages[source.kind].open_range(source)
        async with contextlib.aclosing(body):
            await _file(writing, secret, target.address, body, source.sha256, path)


async def _bytes(data: bytes) -> Any:
    yield data


async def _file(
    writing: medium.Writing, secret: bytes, what: str, body: Any, sha256: str, path: str = ""
) -> None:
    """Write the file `path` of a package in chunks of 1 MiB.

    Raises:
        StorageError: the medium fails, or the bytes are not those that were published.
    """
    digest, buffer, index = hashlib.sha256(), bytearray(), 0
    growing = await asyncio.to_thread(writing.create, secret, what)
    try:
        async for piece in body:
            digest.update(piece)
            buffer += piece
            while len(buffer) >= CHUNK_BYTES:
                await asyncio.to_thread(writing.put, growing, index, bytes(buffer[:CHUNK_BYTES]))
                del buffer[:CHUNK_BYTES]
                index += 1
        if buffer:
            await asyncio.to_thread(writing.put, growing, index, bytes(buffer))
    finally:
        await asyncio.to_thread(writing.close, growing)
    if sha256 and digest.hexdigest() != sha256:
        raise errors.StorageError(
            f"{path!r} of the package is not what was published", hint="publish it again: comity publish"
        )


async def _begin(
    connector: Connector,
    tx: Transaction,
    record: Transfer,
    agreement: Agreement,
    package: serve.Package,
    secret: bytes,
    beside: list[str],
) -> bytes:
    """Start the transfer as any other is: judged, counted, recorded; return the letter that goes with the package."""
    await _check_use(connector, tx, record)
    sealed = connector.seal.close(secret, SECRET + record.id)
    record = msgspec.structs.replace(record, data_address_sealed=sealed)
    record = await start(connector, tx, record, "its package was written to a medium")
    known = await transfer_moves.count_use(connector, tx, record)
    await receipts.began(connector, tx, record, known)
    row = await deliveries.load(tx, record.id)
    if row.sha256 and row.sha256 != package.sha256:
        raise errors.ConflictError("it was published anew meanwhile", hint="write it again")
    described = manifest.decode(package.manifest)
    said = forms.Package(
        agreement_id=agreement.id,
        agreement=agreement.document,
        provider_pid=record.id,
        consumer_pid=record.counterparty_pid or "",
        asset_id=record.asset_id,
        revision=described.revision,
        manifest_sha256=package.sha256,
        manifest_bytes=len(package.manifest),
        files=len(described.files),
        size_bytes=sum(each.size_bytes for each in described.files),
        time=receipt.moment(connector.now_ms()),
        beside=beside,
    )
    letter = forms.Letter(
        package=await carried_messages.write(
            connector, tx, record.counterparty_id, said.document(), agreement.id
        ),
        notices=await _notices(connector, tx, record, agreement),
        seal=package.seal,
    )
    return msgspec.json.encode(letter)


async def start(connector: Connector, tx: Transaction, record: Transfer, detail: str) -> Transfer:
    """Store a transfer that is carried: it goes through the states of any other, without a message."""
    await process.record_carried(connector, tx, record, detail)
    record = await transfers.insert(tx, record)
    record = process.stepped(record, terms.STARTED, now_ms=connector.now_ms())
    await process.record_carried(connector, tx, record, detail)
    return await transfers.save(tx, record)


async def _notices(
    connector: Connector, tx: Transaction, record: Transfer, agreement: Agreement
) -> list[forms.Message]:
    about = await revision_states.handed_out(tx, record.asset_id, record.revision)
    if about is None:
        return []
    notice = await revision_notices.carried(tx, agreement, about)
    return [await carried_messages.write(connector, tx, record.counterparty_id, notice, agreement.id)]


async def read_receipts(connector: Connector, root: str) -> list[Outcome]:
    """Read the receipts on a medium for what was written by us, each as if it had come over a line.

    Raises:
        StorageError: the medium cannot be read.
    """
    place = await asyncio.to_thread(at, connector, root)
    found: list[Outcome] = []
    for package in await asyncio.to_thread(lambda: list(place.packages())):
        if isinstance(package, errors.StorageError):
            found.append(Outcome(place="", state=REFUSED, why=package.message, hint=package.hint))
        elif package.header.provider_id == connector.participant_id:
            found += await _receipts_of(connector, package)
    return found


async def _receipts_of(connector: Connector, package: medium.Package) -> Sequence[Outcome]:
    shown = package.shown(medium.RECEIPTS)
    record = await connector.database.read(lambda tx: transfers.find(tx, package.header.provider_pid))
    if record is None or record.format != transfer.CARRY or record.data_address_sealed is None:
        return [Outcome(place=shown, state=REFUSED, why="it belongs to nothing that was written here")]
    about = Outcome(
        place=shown,
        state=NONE,
        transfer_id=record.id,
        counterparty_id=record.counterparty_id,
        asset_id=record.asset_id,
    )
    if not await asyncio.to_thread(package.has, medium.RECEIPTS):
        return [msgspec.structs.replace(about, why="there is no receipt on it yet")]
    secret = connector.seal.open(record.data_address_sealed, SECRET + record.id)
    try:
        data = await asyncio.to_thread(package.read, secret, medium.RECEIPTS, medium.MAX_LETTER)
        listed = msgspec.json.decode(data, type=forms.Receipts).notices
    except (errors.StorageError, msgspec.MsgspecError) as error:
        hint = "ask for them to be written again: comity carry take, there"
        why = error.message if isinstance(error, errors.ComityError) else f"{shown} has no receipts in it"
        return [msgspec.structs.replace(about, state=REFUSED, why=why, hint=hint)]
    return [await _receipt(connector, record, message, about) for message in listed]


async def _receipt(connector: Connector, record: Transfer, message: forms.Message, about: Outcome) -> Outcome:
    """Take one receipt, and complete the transfer with it."""
    answered: Document = {}

    async def act(
        connector: Connector, tx: Transaction, partner: partners.Partner, notice: Document
    ) -> Document:
        if partner.id != record.counterparty_id:
            raise errors.InvalidInputError(f"it is a receipt of {partner.id[:200]}, who did not get it")
        if notice["@type"] not in KINDS or notice.get("providerPid") != record.id:
            raise errors.InvalidInputError("it is no receipt for this package")
        answered.update(await receipts.receive(connector, tx, partner, notice))
        if not answered:
            await _complete(connector, tx, record.id)
        return answered

    try:
        caller, document = await carried_messages.prove(connector, message)
        about = msgspec.structs.replace(about, kind=document["@type"])
        new = await connector.database.write(
            lambda tx: carried_messages.take(connector, tx, caller, message, document, act)
        )
    except (errors.IdentityError, errors.InvalidInputError, errors.ProtocolError) as error:
        return msgspec.structs.replace(about, state=REFUSED, why=error.message, hint=error.hint)
    if answered:
        return msgspec.structs.replace(about, state=CONTRADICTS, why=str(answered[receipt.CONTRADICTION]))
    return msgspec.structs.replace(about, state=TAKEN if new else KNOWN)


async def _complete(connector: Connector, tx: Transaction, transfer_id: str) -> None:
    record = await transfers.load(tx, transfer_id)
    if record.state == terms.STARTED:
        record = process.stepped(record, terms.COMPLETED, now_ms=connector.now_ms())
        await process.record_carried(connector, tx, record, "its receipt came back on a medium")
        await transfer_moves.after_change(tx, await transfers.save(tx, record))
