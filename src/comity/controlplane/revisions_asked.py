"""Answers about revisions, of what we publish and of what partners told us: the history, what changed, which applies.

Without a partner an asset is ours; with one it is that partner's, as it told us in notices, and as we received it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from comity import errors
from comity.controlplane import derivatives, inquiries, revision_notices, revisions, whole
from comity.controlplane.connector import Connector
from comity.db import revisions as rows
from comity.db.revision_notices import RevisionNotice
from comity.db.store import Transaction
from comity.management import revisions as forms
from comity.management.revisions import QuestionForm
from comity.techdata import changes, effectivity, inquiry, manifest
from comity.techdata.effectivity import Question

Document = dict[str, Any]
MOST = 1000
SHOWN = 3


async def find_last(connector: Connector, counterparty_id: str) -> list[Document]:
    """Return the newest revision of each asset: ours and partners', or (with an id) only those of that partner."""

    async def unit(tx: Transaction) -> list[Document]:
        ours = [] if counterparty_id else await rows.find_last_of_each(tx, limit=MOST)
        listed = await rows.find_last_told_of_each(tx, limit=MOST)
        told = [each for each in listed if counterparty_id in {"", each.counterparty_id}]
        received = {
            (each.counterparty_id, each.asset_id): await rows.find_received(
                tx, each.counterparty_id, each.asset_id
            )
            for each in told
        }
        return [
            *map(_own, ours),
            *(_told(each, received[each.counterparty_id, each.asset_id]) for each in told),
        ]

    return await connector.database.read(unit)


async def find(connector: Connector, asset_id: str, counterparty_id: str, number: int = 0) -> list[Document]:
    """Return the revisions of an asset, newest first; or one by its number, of ours with the files that are lost to it.

    Raises:
        NotFoundError: we know of none, or not of that one.
    """

    async def unit(tx: Transaction) -> list[Document]:
        if not counterparty_id:
            holders = await rows.find_holders(tx, asset_id)
            told = await revision_notices.find_told(tx, asset_id)
            return [
                _own(each, holders.get(each.manifest_sha256, []), told.get(each.number, []))
                for each in await rows.find_all(tx, asset_id)
            ]
        received = await rows.find_received(tx, counterparty_id, asset_id)
        return [_told(each, received) for each in await rows.find_told(tx, counterparty_id, asset_id)]

    found = await connector.database.read(unit)
    if not found:
        raise _unknown(asset_id, counterparty_id)
    if not number:
        return found
    named = [each for each in found if each["revision"] == number]
    if not named:
        raise errors.NotFoundError(f"there is no revision {number} of {asset_id[:200]}")
    if not counterparty_id and named[0]["state"] != effectivity.RECALLED:
        named[0]["lost"] = await whole.find_lost(connector, asset_id, number)
        named[0]["parents"] = await connector.database.read(
            lambda tx: derivatives.find_reasons(connector, tx, asset_id, number)
        )
    return named


def _unknown(asset_id: str, counterparty_id: str) -> errors.NotFoundError:
    if counterparty_id:
        return errors.NotFoundError(
            f"{counterparty_id[:200]} has told us of no revision of {asset_id[:200]}",
            hint="a partner tells whoever has an agreement about it; what was received is known too",
        )
    return errors.NotFoundError(f"no package {asset_id[:200]} was published here")


def _own(each: rows.Revision, held_by: Sequence[str] = (), told: Sequence[RevisionNotice] = ()) -> Document:
    counts = {
        kind: int(each.properties.get(f"comity:files{kind.capitalize()}") or 0)
        for kind in ("added", "removed", "changed", "renamed")
    }
    return forms.encode(
        each.asset_id,
        number=each.number,
        state=each.state,
        manifest_sha256=each.manifest_sha256,
        effectivity=each.effectivity,
        title=str(each.properties.get("dct:title") or ""),
        counts=counts if "comity:filesAdded" in each.properties else None,
        reason=each.reason,
        published_at=each.published_at,
        by=each.by_whom,
        files=str(each.properties.get("comity:files") or ""),
        size_bytes=str(each.properties.get("dcat:byteSize") or ""),
        held_by=held_by,
        notices=[
            forms.encode_notice(
                one.counterparty_id, event=one.event, delivery=one.delivery, error=one.said, at=one.at
            )
            for one in told
        ],
    )


def _told(each: rows.Told, received: dict[str, str]) -> Document:
    counts = {
        kind: count for kind, count in each.changes.items() if isinstance(count, int) and kind in forms.KINDS
    }
    return forms.encode(
        each.asset_id,
        number=each.number,
        state=each.state,
        manifest_sha256=each.manifest_sha256,
        effectivity=each.effectivity,
        title=each.title,
        counts=counts or None,
        reason=each.reason,
        published_at=each.published_at,
        counterparty_id=each.counterparty_id,
        agreement_id=each.agreement_id,
        told_at=each.told_at,
        transfer_id=received.get(each.manifest_sha256, ""),
    )


async def load_manifest(connector: Connector, asset_id: str, number: int) -> Document:
    """Return the manifest of a revision of ours (0: the newest), as a document.

    Raises:
        NotFoundError: there is no such revision.
    """

    async def unit(tx: Transaction) -> bytes:
        return await revisions.manifest_of(connector, tx, asset_id, await _number(tx, asset_id, number))

    return dict(msgspec.json.decode(await connector.database.read(unit)))


async def _number(tx: Transaction, asset_id: str, number: int) -> int:
    newest = None if number else await rows.find_newest(tx, asset_id)
    return newest.number if newest else number


async def find_changes(
    connector: Connector, asset_id: str, counterparty_id: str, number: int, since: int
) -> Document:
    """Return what changed by file in a revision (0: the newest) since another (0: the one before it).

    Raises:
        NotFoundError: there is no such revision.
        InvalidInputError: of a partner's we know only what changed since the one before.
    """
    if counterparty_id:
        return await _changes_told(connector, asset_id, counterparty_id, number, since)

    async def unit(tx: Transaction) -> tuple[int, int, bytes, bytes]:
        newer = await _number(tx, asset_id, number)
        older = since or newer - 1
        after = await revisions.manifest_of(connector, tx, asset_id, newer)
        return (
            newer,
            older,
            after,
            await revisions.manifest_of(connector, tx, asset_id, older) if older else b"",
        )

    newer, older, after, before = await connector.database.read(unit)
    found = await asyncio.to_thread(
        lambda: changes.between(manifest.decode(before) if before else None, manifest.decode(after))
    )
    named = {
        "added": list(found.added),
        "removed": list(found.removed),
        "changed": list(found.changed),
        "renamed": [msgspec.to_builtins(each) for each in found.renamed],
    }
    return forms.encode_changes(asset_id, newer, older, counts=found.counts, files=named, complete=True)


async def _changes_told(
    connector: Connector, asset_id: str, counterparty_id: str, number: int, since: int
) -> Document:
    told = await connector.database.read(lambda tx: rows.find_told(tx, counterparty_id, asset_id))
    found = next((each for each in told if number in {0, each.number}), None)
    if found is None:
        raise _unknown(asset_id, counterparty_id)
    if since not in {0, found.number - 1}:
        raise errors.InvalidInputError(
            "of a partner's revision is known what changed since the one before it", path="$.since"
        )
    said = found.changes
    counts = {kind: said[kind] for kind in forms.KINDS if isinstance(said.get(kind), int)}
    files = said.get("files") if isinstance(said.get("files"), dict) else {}
    return forms.encode_changes(
        asset_id,
        found.number,
        found.number - 1,
        counts=counts,
        files=files or {},
        complete=said.get("complete") is True,
        counterparty_id=counterparty_id,
    )


async def applies(connector: Connector, asked: QuestionForm) -> Document:
    """Return which revision of an asset applies to a serial number at a plant: one, or none and why.

    Deviations that were granted for that serial number or lot are named with it.

    Raises:
        NotFoundError: we know of no revision.
    """
    party = asked.counterparty_id

    async def unit(tx: Transaction) -> tuple[list[Any], dict[int, dict[str, Document]]]:
        ours = [] if party else await rows.find_all(tx, asked.asset_id)
        told = await rows.find_told(tx, party, asked.asset_id) if party else []
        return [*ours, *told], await _granted(connector, tx, asked, [*ours, *told])

    listed, granted = await connector.database.read(unit)
    if not listed:
        raise _unknown(asked.asset_id, party)
    question = Question(part=asked.part, serial=asked.serial_number, plant=asked.plant)
    answer = effectivity.applies(revisions.meant(listed), question, granted)
    lacks = _lacks(listed, answer.revision) if party else ""
    return forms.encode_answer(
        asked.asset_id,
        revision=answer.revision,
        manifest_sha256=next((each.manifest_sha256 for each in listed if each.number == answer.revision), ""),
        deviations=[granted[answer.revision or 0][each] for each in answer.deviations],
        why=f"{answer.why}; {lacks}" if lacks else answer.why,
        complete=not lacks,
        counterparty_id=party,
    )


def _lacks(told: list[rows.Told], answer: int | None) -> str:
    """Return what we do not know of a partner's revisions and might make the answer another, empty if nothing."""
    if all(each.published_at == rows.UNTOLD for each in told):
        return "its provider has not told us yet which revisions there are, and another one may apply"
    shown, count = effectivity.unknown({each.number for each in told}, answer, SHOWN)
    more = f" and {count - len(shown)} more" if count > len(shown) else ""
    listed = ", ".join(map(str, shown))
    return f"its provider has not told us of revision {listed}{more}, which may apply" if shown else ""


async def _granted(
    connector: Connector, tx: Transaction, asked: QuestionForm, listed: list[Any]
) -> dict[int, dict[str, Document]]:
    """Return the deviations that cover a serial number or a lot, by id, for the number of each revision."""
    numbers = {each.manifest_sha256: each.number for each in listed}
    found: dict[int, dict[str, Document]] = {}
    for each in await inquiries.granted(tx, asked.asset_id, asked.counterparty_id):
        number = numbers.get(each.manifest_sha256)
        if number is not None and inquiry.covers(
            each.limits, at_ms=connector.now_ms(), lot=asked.lot, serial=asked.serial_number
        ):
            found.setdefault(number, {})[each.id] = {
                "inquiryId": each.id,
                "text": each.text,
                "limits": each.limits.document(),
                **({} if asked.counterparty_id else {"counterPartyId": each.counterparty_id}),
            }
    return found
