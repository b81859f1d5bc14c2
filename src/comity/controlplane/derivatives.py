"""What we published from a partner's revision that was recalled or superseded since: our own people are told of it.

A manifest names what it was made from by the digests of those manifests. Nothing is recalled by itself: our partners
are refused what is locked by its terms, and have it otherwise; what becomes of it people decide.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from comity.controlplane import content, revision_states
from comity.controlplane.connector import Connector
from comity.controlplane.origins import DERIVED_FROM
from comity.db import agreements, offers
from comity.db import revisions as rows
from comity.db.revisions import Revision, Told
from comity.db.store import Transaction
from comity.dsp import terms
from comity.techdata.manifest import Parent


class _Head(Struct, frozen=True, rename="camel"):
    """What a manifest says it was made from; its files, which may be very many, are passed over."""

    derived_from: tuple[Parent, ...] = ()


async def find(connector: Connector, tx: Transaction, told: Told) -> list[Revision]:
    """Return what stands of our assets and was made from a partner's revision."""
    held = await agreements.find_by_asset(tx, told.counterparty_id, told.asset_id)
    names = [each.id for each in held]
    found = []
    for asset_id in await offers.find_naming(tx, DERIVED_FROM, names) if names else []:
        standing = await rows.find_standing(tx, asset_id)
        parents = await _parents(connector, tx, standing) if standing else ()
        if standing and any(each.manifest == told.manifest_sha256 for each in parents):
            found.append(standing)
    return found


async def find_reasons(connector: Connector, tx: Transaction, asset_id: str, number: int) -> list[str]:
    """Return what became of the partners' revisions that one of ours was made from, of those that are not released."""
    found = await rows.find(tx, asset_id, number)
    parents = await _parents(connector, tx, found) if found else ()
    return [words for each in parents if (words := await _became(tx, each))]


async def _became(tx: Transaction, parent: Parent) -> str:
    for each in await agreements.find_by_id(tx, parent.agreement) if parent.manifest else []:
        if each.role == terms.CONSUMER and each.asset_id == parent.asset:
            since = await revision_states.became(tx, each.counterparty_id, each.asset_id, parent.manifest)
            if since.words:
                return f"{parent.asset}: {since.words}"
    return ""


async def _parents(connector: Connector, tx: Transaction, row: Revision) -> tuple[Parent, ...]:
    private = await offers.find_private_properties(tx, row.asset_id)
    if not private or DERIVED_FROM not in private:
        return ()
    sealed = await rows.find_content(tx, row.asset_id, row.number)
    if not sealed:
        return ()
    manifest = content.opened(connector, row.asset_id, sealed).manifest
    return msgspec.json.decode(manifest, type=_Head).derived_from
