"""Takes packages from a medium that a partner has written, and writes the receipts for them on it.

Only what is under an agreement that is held here, word for word, is taken. Letter, seal and every hash are checked with
nothing but the medium and the partner's keys as they are held here. What was taken is a transfer that is complete: its
terms, its deletion and its receipts are those of any other. The same medium taken again goes on where it stopped, or
only writes what receipts it lacks.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any, Final

import msgspec

from comity import errors
from comity.controlplane import (
    carried_messages,
    carrying,
    destinations,
    frameworks,
    offering,
    process,
    receipts,
    revision_notices,
    seals,
)
from comity.controlplane.authenticate import Caller
from comity.controlplane.carrying import Outcome
from comity.controlplane.connector import Connector
from comity.controlplane.progress import Progress
from comity.dataplane import carry
from comity.dataplane.kept import STORE
from comity.dataplane.pull import Pull as Fetch
from comity.dataplane.pull import Received
from comity.db import agreements, deliveries, pulls, retirements, transfers
from comity.db import receipts as receipt_rows
from comity.db.partners import Partner
from comity.db.pulls import Pull
from comity.db.store import Transaction
from comity.dsp import carried as forms
from comity.dsp import revision, terms, transfer
from comity.dsp.transfer import Transfer
from comity.odrl import purposes
from comity.storage import medium
from comity.techdata import manifest

Document = dict[str, Any]
SECRET = carrying.SECRET
TAKEN, KNOWN, REFUSED, OTHERS = carrying.TAKEN, carrying.KNOWN, carrying.REFUSED, "others"
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")
NO_CODE = "its code is needed: the sender has it"


async def take(connector: Connector, root: str, destination: str, *, code: str = "") -> list[Outcome]:
    """Take every package on a medium that is for us into a destination, and write the receipts for them.

    A folder gets a folder for each package if there are several. `code` opens those that are new here.

    Raises:
        InvalidInputError: the code is none.
        StorageError: the medium or the destination may not be used.
    """
    connector.halt.check()
    secret = forms.read_code(code) if code else b""
    destination = destinations.check(connector, destination)
    place = await asyncio.to_thread(carrying.at, connector, root)
    found = await asyncio.to_thread(lambda: list(place.packages()))
    ours = [each for each in found if isinstance(each, medium.Package) and _is_for(connector, each)]
    taking = _Taking(connector, destination, secret, several=len(ours) > 1)
    done: list[Outcome] = []
    for package in found:
        if isinstance(package, errors.StorageError):
            done.append(Outcome(place="", state=REFUSED, why=package.message, hint=package.hint))
        elif package.header.provider_id != connector.participant_id:
            done.append(await _take(taking, package))
    return done + await _missing(connector, taking, {each.header.provider_pid for each in ours})


def _is_for(connector: Connector, package: medium.Package) -> bool:
    return package.header.consumer_id == connector.participant_id


@dataclass
class _Taking:
    """What all packages of a medium are taken with, and which others their letters name (by sender)."""

    connector: Connector
    destination: str
    secret: bytes
    several: bool
    named: dict[str, str] = dataclass_field(default_factory=dict)

    def place(self, asset_id: str, provider_pid: str) -> str:
        """Return where a package goes: below the destination, if there are several and it is no store."""
        if not self.several or self.destination == STORE:
            return self.destination
        plain = _UNSAFE.sub("-", asset_id)[-60:].strip("-.")
        return f"{self.destination}/{plain}-{medium.name_of(provider_pid)[:6]}"


async def _missing(connector: Connector, taking: _Taking, there: set[str]) -> list[Outcome]:
    """Return the packages that the letters name, that are not on the medium and were not taken before."""
    found: list[Outcome] = []
    for provider_pid, provider_id in sorted(taking.named.items()):
        name = forms.consumer_pid(provider_id, provider_pid, connector.participant_id)
        record = await connector.database.read(lambda tx, name=name: transfers.find(tx, name))  # type: ignore[misc]
        if provider_pid not in there and (record is None or record.state != terms.COMPLETED):
            why = "it was written on this medium, by what the letter of another package says, and is missing"
            place = f"{medium.ROOT}/{medium.name_of(provider_pid)}"
            found.append(
                Outcome(place=place, state=REFUSED, transfer_id=name, counterparty_id=provider_id, why=why)
            )
    return found


async def _take(taking: _Taking, package: medium.Package) -> Outcome:
    connector, secret, header = taking.connector, taking.secret, package.header
    about = Outcome(place=package.shown("").rstrip("/"), state=TAKEN, counterparty_id=header.provider_id)
    if not _is_for(connector, package):
        return msgspec.structs.replace(about, state=OTHERS, why=f"it is for {header.consumer_id}")
    name = forms.consumer_pid(header.provider_id, header.provider_pid, connector.participant_id)
    about = msgspec.structs.replace(about, transfer_id=name)
    try:
        record = await connector.database.read(lambda tx: transfers.find(tx, name))
        if record is not None and record.data_address_sealed is not None:
            secret = connector.seal.open(record.data_address_sealed, SECRET + record.id)
        known = record is not None and record.state == terms.COMPLETED
        if record is not None and record.state == terms.TERMINATED:
            raise errors.ConflictError(f"it was ended here: {record.error}")
        if not known:
            letter = await _letter(package, secret)
            record = await _begin(taking, package, letter, secret)
            note = await _receive(connector, record, package, letter, secret)
            about = msgspec.structs.replace(about, why=note)
        if record is not None:
            about = msgspec.structs.replace(about, asset_id=record.asset_id)
        await _write_receipts(connector, package, name, secret)
    except errors.ComityError as error:
        hint = getattr(error, "hint", "") or ""
        return msgspec.structs.replace(about, state=REFUSED, why=error.message, hint=hint)
    return msgspec.structs.replace(about, state=KNOWN if known else TAKEN)


async def _letter(package: medium.Package, secret: bytes) -> forms.Letter:
    """Open the letter.

    Raises:
        InvalidInputError: the code is missing, or another one.
        StorageError: the letter is missing or damaged.
    """
    if not secret:
        raise errors.InvalidInputError(NO_CODE, path="$.code", hint="comity carry take MEDIUM --code CODE")
    data = await asyncio.to_thread(package.read, secret, medium.LETTER, medium.MAX_LETTER)
    try:
        return msgspec.json.decode(data, type=forms.Letter)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise medium.bad(f"{package.shown(medium.LETTER)} is no letter: {error}") from None


async def _begin(taking: _Taking, package: medium.Package, letter: forms.Letter, secret: bytes) -> Transfer:
    """Prove the letter, take its notices, and begin the transfer, or find the one that was begun.

    Raises:
        IdentityError: it is not proven.
        InvalidInputError: it is not about an agreement that is held here.
        PolicyError: that agreement is not in force.
    """
    connector = taking.connector
    caller, document = await carried_messages.prove(connector, letter.package)
    said = forms.read_package(document)
    if (caller.participant_id, said.provider_pid) != (
        package.header.provider_id,
        package.header.provider_pid,
    ):
        raise errors.InvalidInputError("its letter is that of another package")
    taking.named.update(dict.fromkeys(said.beside, caller.participant_id))
    destination = taking.place(said.asset_id, said.provider_pid)
    proven = [(each, *await carried_messages.prove(connector, each)) for each in letter.notices]

    async def act(connector: Connector, tx: Transaction, partner: Partner, _: Document) -> Document:
        await _insert(connector, tx, partner, said, secret, destination)
        return {}

    async def unit(tx: Transaction) -> Transfer:
        await carried_messages.take(connector, tx, caller, letter.package, document, act)
        for message, sender, notice in proven:
            await _take_notice(connector, tx, caller, message, sender, notice)
        record = await transfers.load(tx, _name(connector, said, caller))
        if why := await frameworks.why_not(tx, record, connector.now_ms()):
            raise errors.PolicyError(why)
        return record

    return await connector.database.write(unit)


def _name(connector: Connector, said: forms.Package, caller: Caller) -> str:
    return forms.consumer_pid(caller.participant_id, said.provider_pid, connector.participant_id)


async def _take_notice(
    connector: Connector,
    tx: Transaction,
    caller: Caller,
    message: forms.Message,
    sender: Caller,
    notice: Document,
) -> None:
    if sender.participant_id != caller.participant_id or notice["@type"] != revision.NOTICE:
        raise errors.InvalidInputError("a notice on it is not one about revisions, of who wrote the letter")
    await carried_messages.take(connector, tx, sender, message, notice, revision_notices.receive)


async def _insert(
    connector: Connector,
    tx: Transaction,
    partner: Partner,
    said: forms.Package,
    secret: bytes,
    destination: str,
) -> None:
    """Store the transfer, as started, under the agreement that is held here."""
    held = await agreements.find_of_party(tx, said.agreement_id, partner.id, terms.CONSUMER)
    if held is None or not held.finalized:
        raise errors.InvalidInputError(
            f"we hold no agreement {said.agreement_id[:200]} with {partner.id}",
            path="$.agreementId",
            hint="an agreement is negotiated over a line, before anything is carried under it",
        )
    if held.asset_id != said.asset_id:
        raise errors.InvalidInputError(f"the agreement is about {held.asset_id}", path="$.assetId")
    if forms.agreement_digest(held.document) != forms.agreement_digest(said.agreement):
        raise errors.InvalidInputError(
            "the agreement on the medium has other words than the one that is held here", path="$.agreement"
        )
    if destination != STORE and (wanted := purposes.wanted(offering.parse(held.document))):
        raise errors.PolicyError(
            f"its terms ask for a purpose, where it leaves the node's store: {', '.join(wanted)}",
            hint="take it into the store, without -o, and copy it out with: comity received export --purpose",
        )
    retired = await retirements.find(tx, held.negotiation_id)
    if retired is not None:
        raise errors.PolicyError(retired.words)
    name, now_ms = (
        forms.consumer_pid(partner.id, said.provider_pid, connector.participant_id),
        connector.now_ms(),
    )
    if said.consumer_pid != name:
        raise errors.InvalidInputError("it names another transfer than it belongs to", path="$.consumerPid")
    record = Transfer(
        id=name,
        role=terms.CONSUMER,
        counterparty_id=partner.id,
        counterparty_address=partner.address,
        counterparty_pid=said.provider_pid,
        state=terms.REQUESTED,
        version=0,
        agreement_id=held.id,
        asset_id=held.asset_id,
        format=transfer.CARRY,
        revision=said.revision,
        data_address_sealed=connector.seal.close(secret, SECRET + name),
        created_at=now_ms,
        updated_at=now_ms,
    )
    await carrying.start(connector, tx, record, "its package is read from a medium")
    await pulls.save(tx, Pull(transfer_id=name, destination=destination, updated_at=now_ms))


async def _receive(
    connector: Connector, record: Transfer, package: medium.Package, letter: forms.Letter, secret: bytes
) -> str:
    """Receive all of it, hash-exact, and complete the transfer in one unit with its receipt; return what is to be told.

    Raises:
        PermanentDeliveryError: something on the medium is missing or not what was written; or the seal does not hold.
        StorageError: the destination cannot be written; code `disk-full` where there is no room.
        ConflictError: another process receives it now.
    """
    said = forms.read_package(msgspec.json.decode(letter.package.notice))
    data = await asyncio.to_thread(package.read, secret, medium.MANIFEST, manifest.MAX_BYTES)
    if manifest.digest(data) != said.manifest_sha256:
        raise medium.bad(f"{package.shown(medium.MANIFEST)} is not the manifest that its letter names")
    pull = await connector.database.read(lambda tx: pulls.find(tx, record.id))
    if pull is None:
        raise errors.ConflictError("it was ended meanwhile")
    progress = Progress(connector, pull, pulls.save)
    seal = seals.Check(connector, carried=True)
    where = await destinations.open_(connector, record.id, pull.destination)
    try:
        async with progress.kept(after_s=0.5):
            received = await Fetch(carry.Carried(package, secret, data, letter.seal)).run(
                carry.ENDPOINT,
                "",
                where,
                expected_sha256=said.manifest_sha256,
                on_progress=progress.tell,
                check_seal=seal,
            )
    except errors.ComityError as error:
        stopped = msgspec.structs.replace(
            progress.row, state=pulls.WAITING, error=error.message, error_code=error.code
        )
        await connector.database.write(lambda tx: pulls.save(tx, stopped))
        raise
    await connector.database.write(
        lambda tx: _complete(connector, tx, record.id, progress.row, received, seal.text)
    )
    return received.note


async def _complete(
    connector: Connector, tx: Transaction, transfer_id: str, pull: Pull, received: Received, seal: str
) -> None:
    files = len(received.files)
    done = msgspec.structs.replace(
        pull,
        state=pulls.DONE,
        files_done=files,
        files_total=files,
        bytes_done=received.size_bytes,
        bytes_total=received.size_bytes,
        error="",
        error_code="",
        note=received.note,
        updated_at=connector.now_ms(),
    )
    record = await transfers.load(tx, transfer_id)
    if record.state != terms.STARTED:
        raise errors.ConflictError("it was ended meanwhile")
    await pulls.save(tx, done)
    what = receipts.What(
        received.sha256,
        files,
        received.size_bytes,
        "",
        tuple(each.sha256 for each in received.files),
        received.manifest or b"",
        seal,
    )
    await receipts.delivered(connector, tx, transfer_id, what)
    record = process.stepped(record, terms.COMPLETED, now_ms=connector.now_ms())
    await process.record_carried(connector, tx, record, "all of its package was read from a medium")
    await transfers.save(tx, record)


async def _write_receipts(
    connector: Connector, package: medium.Package, transfer_id: str, secret: bytes
) -> None:
    """Write the receipts that the medium lacks.

    Raises:
        StorageError: it cannot be written.
    """
    there: list[forms.Message] = []
    if await asyncio.to_thread(package.has, medium.RECEIPTS):
        try:
            data = await asyncio.to_thread(package.read, secret, medium.RECEIPTS, medium.MAX_LETTER)
            there = msgspec.json.decode(data, type=forms.Receipts).notices
        except (errors.StorageError, msgspec.MsgspecError):
            there = []  # torn or somebody else's: it is written anew
    names = {_id(each) for each in there}

    async def unit(tx: Transaction) -> list[forms.Message]:
        record, row = await transfers.load(tx, transfer_id), await deliveries.load(tx, transfer_id)
        return [
            await carried_messages.write(
                connector,
                tx,
                record.counterparty_id,
                receipts.carried(record, row, each),
                record.agreement_id,
            )
            for each in await receipt_rows.find_carried(tx, transfer_id)
            if each.id not in names
        ]

    new = await connector.database.write(unit)
    if new:
        data = msgspec.json.encode(forms.Receipts([*there, *new]))
        await asyncio.to_thread(package.write, secret, medium.RECEIPTS, data)


def _id(message: forms.Message) -> str:
    try:
        found = msgspec.json.decode(message.notice)
    except msgspec.MsgspecError:
        return ""
    return str(found.get("@id")) if isinstance(found, dict) else ""
