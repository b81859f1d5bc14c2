"""Revisions of what we publish: the next one, the history, the recall of one.

Publishing an asset again makes the next revision (`publish`); an agreement about the asset covers it. An older one is
superseded where the new one is meant for all that it was meant for; with an effectivity of its own it stays released.
Who holds an agreement is told (`revision_notices`). A recall is for good: it ends what hands the revision out.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from comity import errors
from comity.controlplane import content, decide, offered, revision_notices, revision_states, transfer_moves
from comity.controlplane.connector import Connector
from comity.controlplane.process import sha256_hex
from comity.controlplane.transfer_moves import Revoked
from comity.db import agreements, evidence, offers, published, retirements, transfers
from comity.db import revisions as rows
from comity.db.offers import Asset
from comity.db.revisions import Revision
from comity.db.store import Transaction
from comity.dsp import revision as forms
from comity.dsp import terms
from comity.evidence.entry import Entry
from comity.odrl import compare
from comity.techdata import changes, effectivity, manifest
from comity.techdata.changes import Changes
from comity.techdata.manifest import Manifest

Document = dict[str, Any]
KIND = "revision"
_NAMED = 20
PROPERTIES = frozenset(
    {
        "dcat:version",
        "comity:revision",
        "comity:revisionStatus",
        *(f"comity:files{kind}" for kind in ("Added", "Removed", "Changed", "Renamed")),
    }
)
"""Properties of a package that tell of its revision: how many files changed, and not which."""


class Next(Struct, frozen=True, kw_only=True):
    """A revision that is about to be published, what changed since the one before, and which others it overlaps."""

    before: Revision | None
    made: Manifest
    changes: Changes
    overlaps: tuple[int, ...] = ()

    @property
    def properties(self) -> Document:
        """What partners are told of it in the catalog."""
        return described(self.made.revision, self.changes)

    @property
    def warnings(self) -> list[str]:
        """What its publisher ought to know."""
        return [
            f"it is meant for some of what revision {number} is meant for: there the newer one applies"
            for number in self.overlaps
        ]


def described(number: int, changed: Changes) -> Document:
    """Return the properties of a released revision."""
    counted = {
        f"comity:files{kind.capitalize()}": str(count)
        for kind, count in changed.counts.items()
        if kind != "same"
    }
    return {
        "dcat:version": str(number),
        "comity:revision": str(number),
        "comity:revisionStatus": effectivity.RELEASED,
        **counted,
    }


async def before(tx: Transaction, asset_id: str) -> Revision | None:
    """Return the newest revision of an asset of ours, whatever became of it, or None."""
    return await rows.find_newest(tx, asset_id)


async def of_folder(tx: Transaction, folder: str) -> str:
    """Return the asset that was published from a folder last, empty for none."""
    return await rows.find_asset_of(tx, folder)


async def manifest_of(connector: Connector, tx: Transaction, asset_id: str, number: int) -> bytes:
    """Return the manifest of a revision of ours, byte for byte.

    Raises:
        NotFoundError: there is no such revision.
    """
    sealed = await rows.find_content(tx, asset_id, number)
    if sealed is None:
        raise errors.NotFoundError(f"there is no revision {number} of {asset_id[:200]}")
    return content.opened(connector, asset_id, sealed).manifest.encode()


async def prepare(connector: Connector, made: Manifest, known: Revision | None) -> Next:
    """Compare a manifest that is to be published with the revision before (None: there is none)."""

    async def unit(tx: Transaction) -> tuple[bytes, list[Revision]]:
        if known is None:
            return b"", []
        try:
            data = await manifest_of(connector, tx, known.asset_id, known.number)
        except errors.DatabaseError:  # the key that it was sealed with in the store was lost
            data = b""
        return data, await rows.find_all(tx, known.asset_id)

    data, listed = await connector.database.read(unit)
    found = await asyncio.to_thread(lambda: changes.between(manifest.decode(data) if data else None, made))
    return Next(
        before=known,
        made=made,
        changes=found,
        overlaps=tuple(each.number for each in listed if _overlaps(each, made)),
    )


def _overlaps(row: Revision, made: Manifest) -> bool:
    meant = effectivity.read(row.effectivity)
    return (
        row.state == effectivity.RELEASED
        and effectivity.overlap(made.effectivity, meant)
        and not effectivity.covers(made.effectivity, meant)
    )


async def other_terms(connector: Connector, asset_id: str, offered: Document) -> list[str]:
    """Name the agreements with other terms than are offered now: their holders get the next revision too."""

    async def unit(tx: Transaction) -> list[str]:
        return [
            f"agreement {each.id} of {each.counterparty_id}"
            for each in await agreements.find_holders(tx, asset_id)
            if not compare.same(each.document, offered)
            and await retirements.find(tx, each.negotiation_id) is None
        ]

    found = sorted(set(await connector.database.read(unit)))
    if not found:
        return []
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return [
        f"it is handed out under other terms too, until it is retired: {', '.join(found[:_NAMED])}{more}",
        "end one with: comity agreements retire ID --reason TEXT",
    ]


async def add(
    connector: Connector, tx: Transaction, asset: Asset, following: Next, *, by: str = ""
) -> Revision:
    """Keep the next revision of an asset, in the unit that stores the asset, and tell the holders of agreements.

    Raises:
        ConflictError: somebody else has published it in the meantime.
    """
    newest = await rows.find_newest(tx, asset.id)
    known = following.before
    new = Revision(
        asset_id=asset.id,
        number=following.made.revision,
        manifest_sha256=str(asset.properties["comity:manifestSha256"]),
        effectivity=msgspec.to_builtins(following.made.effectivity),
        properties=asset.properties,
        folder=str(asset.private_properties.get("folder") or ""),
        by_whom=by,
        published_at=connector.now_ms(),
        changed_at=connector.now_ms(),
        content_id=asset.content_id,
    )
    same = (newest.number if newest else 0) == (known.number if known else 0) == new.number - 1
    if not same or not await rows.insert(tx, new):
        raise errors.ConflictError(
            f"{asset.id} was published by somebody else at the same time", hint="publish it again"
        )
    await _supersede(connector, tx, new)
    written = revision_notices.written(following.changes) if known else None
    holders = await revision_notices.tell(connector, tx, new, forms.PUBLISHED, written)
    what = f"revision {new.number}, manifest {new.manifest_sha256}"
    said = f"{what}; {following.changes.words}; {holders} holders to be told"
    await _record(connector, tx, new, "comity:Published", said, by=by)
    return new


async def _supersede(connector: Connector, tx: Transaction, new: Revision) -> None:
    meant = effectivity.read(new.effectivity)
    for each in await rows.find_all(tx, new.asset_id):
        older = each.number < new.number and each.state == effectivity.RELEASED
        if older and effectivity.covers(meant, effectivity.read(each.effectivity)):
            superseded = msgspec.structs.replace(
                each, state=effectivity.SUPERSEDED, changed_at=connector.now_ms()
            )
            await rows.save(tx, superseded)


async def refresh(connector: Connector, tx: Transaction, asset: Asset, number: int, sealed: bytes) -> None:
    """Keep where the files of a revision lie now: they were found there again as they were."""
    await published.keep(tx, sealed)
    again = published.id_of(sealed)
    await offered.save(connector, tx, msgspec.structs.replace(asset, content_id=again))
    await rows.save_content(tx, asset.id, number, again)
    await published.drop_unused(tx, asset.content_id)


async def recall(connector: Connector, asset_id: str, number: int, reason: str, *, by: str = "") -> None:
    """Recall a revision: nobody is given it any more, what hands it out ends, and its holders are to be told.

    Where an older one is still released, that is offered in its place.

    Raises:
        NotFoundError: there is no such revision.
        ConflictError: it was recalled before.
    """

    async def unit(tx: Transaction) -> None:
        await rows.find_newest(tx, asset_id)  # whoever publishes now waits
        found = await rows.find(tx, asset_id, number)
        if found is None:
            raise errors.NotFoundError(f"there is no revision {number} of {asset_id[:200]}")
        if found.state == effectivity.RECALLED:
            raise errors.ConflictError(f"revision {number} was recalled already")
        standing = await rows.find_standing(tx, asset_id)
        changed = msgspec.structs.replace(
            found, state=effectivity.RECALLED, reason=reason, by_whom=by, changed_at=connector.now_ms()
        )
        await rows.save(tx, changed)
        current = standing is not None and standing.number == number
        if current:
            await _offer_standing(connector, tx, asset_id)
        ended = await _stop(connector, tx, changed, current=current)
        holders = await revision_notices.tell(connector, tx, changed, forms.RECALLED)
        said = f"revision {number}: {reason}; {ended} transfers ended, {holders} holders to be told"
        await _record(connector, tx, changed, "comity:Recalled", said, by=by)

    await connector.database.write(unit)


async def _offer_standing(connector: Connector, tx: Transaction, asset_id: str) -> None:
    """Let the asset be what stands now; if nothing is released any more, say so of what it was."""
    asset, standing = await offers.find(tx, Asset, asset_id), await rows.find_standing(tx, asset_id)
    if asset is None or standing is None:
        return
    properties = {**standing.properties, "comity:revisionStatus": standing.state}
    await offered.save(
        connector,
        tx,
        msgspec.structs.replace(asset, properties=properties, content_id=standing.content_id),
    )


async def _stop(connector: Connector, tx: Transaction, row: Revision, *, current: bool) -> int:
    """End the transfers that hand a revision out: those that named it and, if it was `current`, that named none."""
    reason = revision_states.recalled(row.number, row.reason)
    move = decide.Move(kind=decide.TERMINATE, reason=reason, code=revision_states.CODE)
    ended = 0
    for each in await transfers.find_open_of_asset(tx, row.asset_id, terms.PROVIDER):
        if each.revision == row.number or (current and not each.revision):
            tx.announce(Revoked(each.id))
            with contextlib.suppress(errors.LocalProtocolError):  # its end is on its way already
                await transfer_moves.step(connector, tx, each.id, move)
            ended += 1
    return ended


async def _record(
    connector: Connector, tx: Transaction, row: Revision, message: str, detail: str, *, by: str
) -> None:
    entry = Entry(
        at=connector.now_ms(),
        direction="here",
        message=message,
        sha256=sha256_hex(b""),
        sender=connector.participant_id,
        receiver=connector.participant_id,
        kind=KIND,
        process_id=row.asset_id,
        outcome=row.state,
        detail=detail[:500],
        by=by,
    )
    await evidence.append(tx, entry)


def meant(listed: Sequence[Revision | rows.Told]) -> list[effectivity.Revision]:
    """Return revisions as the question which of them applies sees them."""
    return [
        effectivity.Revision(
            number=each.number, state=each.state, effectivity=effectivity.read(each.effectivity)
        )
        for each in listed
    ]
