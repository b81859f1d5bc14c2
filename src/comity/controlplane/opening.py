"""Opening what lies in the node's store: its files by ranges, or a copy of all of it into a folder.

The terms of its agreement are asked each time; who opened what, and what was refused, is in the evidence once for five
minutes of reading. A copy outside of the store leaves what this node can enforce: it is written down as an export, with
where it went, and `deletions` knows of it.
"""

from __future__ import annotations

from msgspec import Struct

from comity import errors
from comity.controlplane import destinations, kept, received
from comity.controlplane.connector import Connector
from comity.controlplane.received import (
    ACCESS,
    EXPORT,
    EXPORTED,
    FAILED,
    LEAVES,
    OPENED,
    REFUSED,
    Access,
    Held,
)
from comity.dataplane import export as exports
from comity.dataplane.kept import STORE
from comity.db import deliveries
from comity.db import kept as rows
from comity.db.kept import Kept, KeptFile
from comity.db.store import Transaction
from comity.storage.source import Source


class Asked(Struct, frozen=True):
    """What was asked for, and what does not allow it."""

    held: Held
    reasons: tuple[str, ...]
    kept: Kept | None
    file: KeptFile | None = None


async def check(connector: Connector, name: str) -> tuple[int, int, list[str], list[str]]:
    """Read all of what a transfer brought into the store; return its files and bytes, and which are damaged or missing.

    Nothing of it is handed out, so its terms are not asked.

    Raises:
        NotFoundError, ConflictError, StorageError: see `open_file`.
    """
    asked = await connector.database.read(lambda tx: _ask(connector, tx, name, None))
    return await kept.check(connector, asked.held.delivery.transfer_id)


async def files(connector: Connector, name: str) -> tuple[Held, list[tuple[str, Source]]]:
    """Return what a transfer or an agreement brought into the store, and its files; that opens none of them.

    Raises:
        NotFoundError: nothing was received so.
        ConflictError: it does not lie in the store.
        PolicyError: it was deleted.
    """
    asked = await connector.database.read(lambda tx: _ask(connector, tx, name, None))
    if asked.held.delivery.deleted_at is not None:
        raise errors.PolicyError("it was deleted", reasons=("it was deleted",))
    return asked.held, await kept.files(connector, asked.held.delivery.transfer_id)


async def open_file(
    connector: Connector,
    name: str,
    path: str,
    access: Access,
    *,
    export: bool = False,
    only_look: bool = False,
) -> Source:
    """Return a file of the store that may be opened now, after that is written down; `export` if it leaves the node.

    With `only_look` none of its bytes are handed out, and only a refusal is written down.

    Raises:
        NotFoundError: nothing was received so, or it has no such file.
        ConflictError: it does not lie in the store.
        PolicyError: a term does not hold, or it was deleted; `reasons` name them.
        StorageError: it lies in the store of another replica.
    """
    connector.halt.check()
    asked = await connector.database.read(lambda tx: _ask(connector, tx, name, access, path))
    await _check(connector, asked, access)
    if asked.kept is None:
        raise _gone()
    if asked.file is None:
        raise errors.NotFoundError(
            f"what was received has no file {path[:200]!r}", hint="comity received files ID lists them"
        )
    await kept.check_here(connector, asked.kept)
    if not only_look:
        await _note(connector, asked, access, EXPORTED if export else OPENED)
    return kept.source(asked.file)


async def may_still(connector: Connector, name: str, access: Access) -> bool:
    """Say whether what is being read may still be."""
    asked = await connector.database.read(lambda tx: _ask(connector, tx, name, access))
    return not asked.reasons


async def export(connector: Connector, name: str, destination: str, access: Access) -> tuple[Held, str]:
    """Copy what lies in the store to a place outside of it, if its terms allow it now.

    It counts as a copy from just before its first byte is there, and not if none came. Returns also what is to be told
    of the place: which files of an older revision were removed there.

    Raises:
        NotFoundError, ConflictError, PolicyError, StorageError: see `open_file`; or the place cannot be used.
        InvalidInputError: no place is named.
    """
    connector.halt.check()
    place = destinations.check(connector, destination)
    if place in {"", STORE}:
        raise errors.InvalidInputError("name the folder that the copy goes to", path="$.destination")
    asked = await connector.database.read(lambda tx: _ask(connector, tx, name, access))
    await _check(connector, asked, access)
    if asked.kept is None:
        raise _gone()
    await kept.check_here(connector, asked.kept)
    transfer_id = asked.held.delivery.transfer_id
    entries = await kept.entries(connector, transfer_id)
    where = await destinations.open_(connector, transfer_id, place)
    try:
        copy = exports.Copy(connector.kept, entries, where)
        await where.run(copy.look)
        is_new = await _note(connector, asked, access, EXPORTED, place)
        try:
            left = await where.run(copy.run)
        except BaseException:
            if is_new and not copy.is_begun:
                await _take_back(connector, asked, access, place)
            raise
    finally:
        where.close()
    return asked.held, left.words


async def _take_back(connector: Connector, asked: Asked, access: Access, place: str) -> None:
    """Let a copy of which nothing came to its place not count."""

    async def unit(tx: Transaction) -> None:
        await rows.forget_export(tx, asked.held.delivery.transfer_id, place)
        await received.record_held(
            connector, tx, asked.held, EXPORT, access, outcome=FAILED, detail=f"nothing of it came to {place}"
        )

    connector.openings.forget(_what(asked, access, EXPORTED, place))
    await connector.database.write(unit)


def _gone() -> errors.StorageError:
    return errors.StorageError("it is not in the store any more", hint="get it again: comity get")


async def _check(connector: Connector, asked: Asked, access: Access) -> None:
    if asked.reasons:
        await _note(connector, asked, access, REFUSED)
        raise received.refusal(asked.held, asked.reasons, "it may not be opened so")


async def _ask(
    connector: Connector, tx: Transaction, name: str, access: Access | None, path: str = ""
) -> Asked:
    held = await received.load(connector, tx, name)
    if held.delivery.destination != STORE:
        raise errors.ConflictError(
            "it does not lie in the node's store",
            hint=f"it was received into {held.delivery.destination}"
            if held.delivery.destination
            else "somebody fetched it by its address",
        )
    reasons = await received.obstacles(connector, tx, held, access) if access else ()
    transfer_id = held.delivery.transfer_id
    file = await rows.find_file(tx, transfer_id, path) if path else None
    return Asked(held, reasons, await rows.find(tx, transfer_id), file)


async def _note(connector: Connector, asked: Asked, access: Access, outcome: str, place: str = "") -> bool:
    """Write down an opening, an export or a refusal, unless the same was written down a moment ago.

    Returns whether it is the first copy that goes there; one that goes to a place is written down in any case.
    """
    what = _what(asked, access, outcome, place)
    is_new = connector.openings.is_new(what, connector.now_ms())
    if not is_new and not place:
        return False

    async def unit(tx: Transaction) -> bool:
        message = EXPORT if outcome == EXPORTED else ACCESS
        detail = "; ".join([access.words(), *_where(asked, outcome, place), *asked.reasons])
        if is_new:
            await received.record_held(
                connector, tx, asked.held, message, access, outcome=outcome, detail=detail
            )
        return outcome == EXPORTED and await _add_export(connector, tx, asked, access, place)

    try:
        return await connector.database.write(unit)
    except BaseException:
        connector.openings.forget(what)
        raise


def _what(asked: Asked, access: Access, outcome: str, place: str) -> tuple[str, ...]:
    said = (access.by, access.person, access.purpose, *access.nationalities, *asked.reasons)
    return (asked.held.delivery.transfer_id, outcome, place, *said)


async def _add_export(
    connector: Connector, tx: Transaction, asked: Asked, access: Access, place: str
) -> bool:
    """Write down where a copy goes; return whether none went there before."""
    transfer_id = asked.held.delivery.transfer_id
    await deliveries.load(tx, transfer_id)  # who deletes it has done so, or sees the export
    if await rows.find(tx, transfer_id) is None:
        raise _gone()
    before = await rows.find_exports(tx, transfer_id)
    new = rows.Export(
        transfer_id=transfer_id,
        destination=place,
        person=access.person,
        by_whom=access.by,
        at=connector.now_ms(),
    )
    await rows.add_export(tx, new)
    return all(each.destination != place for each in before)


def _where(asked: Asked, outcome: str, place: str) -> list[str]:
    if outcome != EXPORTED:
        return []
    delivery = asked.held.delivery
    to = place or "the program that asked"
    return [
        f"{delivery.files} files, {delivery.size_bytes} bytes, digest {delivery.sha256}, to {to}: {LEAVES}"
    ]
