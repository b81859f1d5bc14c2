"""Publishing what lies in the node's store, without a copy of it: `store:ID` stands where a folder is named.

Its digests are known, so the terms of its agreement follow it (`passing_on`). It is handed out of the store, for as
long as it is not locked there, nor deleted.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator

from comity import errors
from comity.controlplane import kept, received
from comity.controlplane.connector import Connector
from comity.controlplane.received import Held
from comity.dataplane.kept import STORE
from comity.dataplane.places import MANIFEST_NAME
from comity.db.store import Transaction
from comity.storage import folder
from comity.storage.source import Source
from comity.techdata import manifest


async def scan(connector: Connector, address: str) -> tuple[folder.Scan, str]:
    """Return what a transfer or an agreement brought into the store as a folder's files, and what it is called.

    Raises:
        NotFoundError: nothing was received so.
        PolicyError: it is locked, or was deleted.
        ConflictError: it does not lie in the store.
    """
    transfer_id = await _unlocked(connector, address.removeprefix(STORE))
    listed = await kept.files(connector, transfer_id)
    if not listed:
        raise errors.ConflictError(
            "it does not lie in the node's store", hint="publish the folder it came into"
        )
    files = tuple(folder.Found(path, source) for path, source in listed if not _is_note(path))
    return folder.Scan(files, ()), f"{STORE}{transfer_id}/{await _title(connector, dict(listed))}"


def _is_note(path: str) -> bool:
    return path.startswith(".comity-") and "/" not in path


async def _title(connector: Connector, listed: dict[str, Source]) -> str:
    """Return what its manifest calls it; a single resource has its name."""
    found = listed.get(MANIFEST_NAME)
    if found is None:
        return next(iter(listed))
    chunks = await kept.Storage(connector).open_range(found)
    data = b"".join([each async for each in chunks])
    with contextlib.suppress(errors.InvalidInputError):
        return manifest.decode(data).title.replace("/", " ")
    return ""


async def find_warnings(connector: Connector, address: str) -> list[str]:
    """Say what became of the revision that is published on from the store, where it is not the one to use any more."""
    if not address.startswith(STORE):
        return []
    name = address.removeprefix(STORE)
    held = await connector.database.read(lambda tx: received.load(connector, tx, name))
    return [held.revision.words] if held.revision.words else []


async def _unlocked(connector: Connector, name: str) -> str:
    """Return the transfer that brought something, if nobody is kept from opening it now."""

    async def unit(tx: Transaction) -> tuple[Held, tuple[str, ...]]:
        held = await received.load(connector, tx, name)
        return held, await received.locked(connector, tx, held)

    held, reasons = await connector.database.read(unit)
    if reasons:
        raise received.refusal(held, reasons, "what was received may not be passed on now")
    return held.delivery.transfer_id


class Storage:
    """Hands out what was published from the store."""

    def __init__(self, connector: Connector) -> None:
        """Read from this connector's store."""
        self._connector = connector

    async def open_range(
        self, source: Source, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Open bytes `start` to `end` (exclusive) of a file.

        Raises:
            PolicyError: it is locked, or was deleted.
            StorageError: as `kept.Storage`.
        """
        await _unlocked(self._connector, source.address.split(" ", 1)[0])
        return await kept.Storage(self._connector).open_range(source, start, end)
