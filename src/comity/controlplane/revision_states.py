"""What became of the revision that a transfer hands out, and of one that was received: asked at every use.

A transfer that names no revision hands out the newest released one; one that names it, that. A recalled one is handed
out to nobody. Of what was received we know what its provider told us (`revision_notices`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from comity import errors
from comity.db import offers
from comity.db import revisions as rows
from comity.db.exchanges import Exchange
from comity.db.store import Transaction
from comity.dsp.negotiation import Agreement
from comity.dsp.transfer import Transfer
from comity.techdata import effectivity, manifest
from comity.techdata.effectivity import RECALLED, RELEASED, SUPERSEDED, Effectivity

Document = dict[str, Any]
CODE = "revision"


class _Head(Struct, frozen=True):
    """What a manifest says of its revision; its files, which may be very many, are passed over."""

    title: str
    revision: int = 0
    effectivity: tuple[Effectivity, ...] = ()


async def handed_out(tx: Transaction, asset_id: str, asked: int) -> rows.Revision | None:
    """Return the revision of an asset of ours that is handed out to who asks for a number, or (0) for the newest.

    It is None for what has no revisions.
    """
    return await (rows.find(tx, asset_id, asked) if asked else rows.find_standing(tx, asset_id))


def obstacle(asked: int, found: rows.Revision | None) -> str:
    """Return why a revision is not handed out, empty if it is."""
    if found is None:
        return f"there is no revision {asked} of it" if asked else ""
    if found.state == RECALLED:
        return recalled(found.number, found.reason)
    if not asked and found.state != RELEASED:
        return "no revision of it is released any more; an older one has to be asked for by its number"
    return ""


def recalled(number: int, reason: str) -> str:
    """Say that a revision was recalled, and why."""
    return f"revision {number} was recalled{f': {reason}' if reason else ''}"


async def properties(tx: Transaction, asset_id: str, number: int) -> Document:
    """Return what partners are told of an asset of ours, or of a revision of it by its number; empty if it is gone."""
    if number:
        found = await rows.find(tx, asset_id, number)
        return found.properties if found else {}
    return await offers.find_properties(tx, asset_id) or {}


async def came_later(tx: Transaction, asset_id: str, before: str, after: str) -> bool:
    """Return whether of two manifests (SHA-256) the second is of a later revision of an asset of ours."""
    first = await rows.find_by_manifest(tx, asset_id, before)
    second = await rows.find_by_manifest(tx, asset_id, after)
    return first is not None and second is not None and first.number < second.number


async def check_asked(tx: Transaction, asset_id: str, number: int) -> None:
    """Refuse a revision that does not exist.

    Raises:
        InvalidInputError: there is none of this number.
    """
    if number and await rows.find(tx, asset_id, number) is None:
        raise errors.InvalidInputError(f"there is no revision {number} of it", path="$.comity:revision")


class Became(Struct, frozen=True):
    """What became of a received revision as its provider told us: `words` are empty while it is released.

    `instead` is the number of the revision that took its place, 0 where none is known.
    """

    number: int = 0
    state: str = RELEASED
    words: str = ""
    instead: int = 0


async def became(tx: Transaction, counterparty_id: str, asset_id: str, sha256: str) -> Became:
    """Return what became of a received package, by the SHA-256 of its manifest.

    What no partner called otherwise is released.
    """
    found = await rows.find_told_by_manifest(tx, counterparty_id, asset_id, sha256)
    if found is None or found.state == RELEASED:
        return Became(found.number if found else 0)
    instead = _instead(found, await rows.find_told(tx, counterparty_id, asset_id))
    if found.state == RECALLED:
        why = f": {plain(found.reason)}" if found.reason else ""
        words = f"revision {found.number} was recalled by {counterparty_id}{why}"
    else:
        words = f"revision {found.number} was superseded{f' by revision {instead}' if instead else ''}"
    return Became(found.number, found.state, words, instead)


def plain(text: str) -> str:
    """Return a partner's words as they may stand in a line of a log or a terminal."""
    return "".join(char if char.isprintable() else " " for char in text)


def _instead(found: rows.Told, told: Sequence[rows.Told]) -> int:
    """Return the newest released revision that is meant for all that this one is meant for."""
    meant = effectivity.read(found.effectivity)
    return next(
        (
            each.number
            for each in told
            if each.number > found.number
            and each.state == RELEASED
            and effectivity.covers(effectivity.read(each.effectivity), meant)
        ),
        0,
    )


async def note_received(tx: Transaction, agreement: Agreement, data: bytes, now_ms: int) -> None:
    """Keep which revision a manifest that was received and checked is of, if nobody has told us of that one."""
    received = msgspec.json.decode(data, type=_Head)
    known = await rows.find_told(tx, agreement.counterparty_id, agreement.asset_id)
    if not received.revision or any(each.number == received.revision for each in known):
        return
    new = rows.Told(
        counterparty_id=agreement.counterparty_id,
        asset_id=agreement.asset_id,
        number=received.revision,
        manifest_sha256=manifest.digest(data),
        effectivity=msgspec.to_builtins(received.effectivity),
        title=received.title,
        changes={},
        agreement_id=agreement.id,
        published_at=rows.UNTOLD,
        told_at=now_ms,
    )
    await rows.save_told(tx, [new])


def check_brought(data: bytes, asked: int) -> None:
    """Refuse a manifest (its bytes) that is of another revision than the one that was asked for (0: any).

    Raises:
        PermanentDeliveryError: it is.
    """
    if not asked:
        return
    try:
        brought = msgspec.json.decode(data, type=_Head).revision
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        brought = 0
    first = (asked, brought) == (1, 0)  # what was published before revisions had numbers
    if asked != brought and not first:
        raise errors.PermanentDeliveryError(
            f"revision {asked} was asked for, and the partner hands out"
            f" {f'revision {brought}' if brought else 'one without a number'}"
        )


async def expected(tx: Transaction, record: Transfer, exchange: Exchange | None) -> str:
    """Return the SHA-256 of the manifest that a partner's transfer is to bring, empty where that is not known.

    It is the one that the catalog had, or a newer one that the partner has told us of since.
    """
    shown = exchange.manifest_sha256 if exchange else ""
    if not shown and not record.revision:
        return ""
    told = await rows.find_told(tx, record.counterparty_id, record.asset_id)
    if record.revision:
        return next((each.manifest_sha256 for each in told if each.number == record.revision), shown)
    known = next((each.number for each in told if each.manifest_sha256 == shown), 0)
    newer = (each for each in told if each.state == RELEASED and each.number > known > 0)
    return next((each.manifest_sha256 for each in newer), shown)


def later(one: str, other: str) -> str:
    """Return the later one of two states: it only ever goes on, whatever the order in which we are told."""
    order = (RELEASED, SUPERSEDED, RECALLED)
    return max(one, other, key=order.index)
