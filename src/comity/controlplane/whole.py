"""Which files of a revision of ours are not to be had any more: nothing keeps their bytes but the place they lie in.

A revision is handed out from where it was published, or from where what is offered now has the same bytes. A file
that was changed in place, or removed, is lost to it. Who publishes is told; who listens, when a partner asks for one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence

from comity.controlplane import content
from comity.controlplane.connector import Connector
from comity.db import offers, published
from comity.db import revisions as rows
from comity.db.store import Transaction
from comity.storage.source import Source
from comity.techdata import effectivity
from comity.techdata.effectivity import RELEASED
from comity.techdata.manifest import Manifest

LOOKED_AT = 20
"""How many older revisions, the newest ones, are looked at when a folder is published again."""
SHOWN = 3
HINT = "publish each revision from a folder of its own, so that older ones stay to be had"


def lost(files: Mapping[str, Source], there: Collection[str], has: Callable[[Source], bool]) -> list[str]:
    """Return the paths of files that neither lie among the digests `there`, nor where they were published."""
    return [path for path, each in files.items() if each.sha256 not in there and not has(each)]


async def find_lost(connector: Connector, asset_id: str, number: int) -> list[str]:
    """Return which files of a revision of ours are not to be had now; only those on a disk are looked for."""

    async def unit(tx: Transaction) -> tuple[bytes | None, bytes | None]:
        asset = await offers.find(tx, offers.Asset, asset_id)
        newest = await published.find(tx, asset.content_id) if asset else None
        return await rows.find_content(tx, asset_id, number), newest

    own, newest = await connector.database.read(unit)
    return await asyncio.to_thread(_lost, connector, asset_id, own, newest)


def _lost(connector: Connector, asset_id: str, own: bytes | None, newest: bytes | None) -> list[str]:
    if not own:
        return []
    here: dict[str, Source] = {}
    if newest and newest != own:
        here = {each.sha256: each for each in content.opened(connector, asset_id, newest).files.values()}
    files = {
        path: here.get(each.sha256, each)
        for path, each in content.opened(connector, asset_id, own).files.items()
    }
    return lost(files, (), lambda each: each.kind != "file" or connector.files.has(each))


async def find_warnings(
    connector: Connector, folder: str, made: Manifest, files: Mapping[str, Source]
) -> list[str]:
    """Say which older revisions stay released, and lose files by what is published now from the same folder.

    What was read of the folder a moment ago tells it: a file with other bytes was changed in place.
    """
    meant = made.effectivity

    async def unit(tx: Transaction) -> list[tuple[int, bytes | None]]:
        stay = [
            each.number
            for each in await rows.find_all(tx, made.id)
            if each.folder == folder
            and each.state == RELEASED
            and not effectivity.covers(meant, effectivity.read(each.effectivity))
        ]
        return [(each, await rows.find_content(tx, made.id, each)) for each in stay[:LOOKED_AT]]

    listed = await connector.database.read(unit)
    there = {each.sha256 for each in files.values()}

    def look() -> list[str]:
        found = [
            (number, lost(content.opened(connector, made.id, sealed).files, there, _keeps_versions))
            for number, sealed in listed
            if sealed
        ]
        return [_warning(number, paths) for number, paths in found if paths]

    said = await asyncio.to_thread(look) if listed else []
    more = [f"and so with {len(said) - SHOWN} older revisions"] if len(said) > SHOWN else []
    return [*said[:SHOWN], *more, *([HINT] if said else [])]


def _keeps_versions(source: Source) -> bool:
    return bool(source.version)


def _warning(number: int, paths: Sequence[str]) -> str:
    return (
        f"revision {number} stays released, and is not to be had whole any more: {few(paths)}, changed in place or"
        " removed"
    )


def few(paths: Sequence[str]) -> str:
    """Name the first files, and say how many more there are."""
    more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    return f"{', '.join(paths[:SHOWN])}{more}"
