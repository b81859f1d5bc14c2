"""Tells who holds an agreement about an asset what became of its revisions, and keeps what partners tell us.

Whoever has an agreement is told how the revisions stand, also after its end: what was received may still be there. What
changed by file is told to whoever may have the data now. What we are told only ever adds: a state goes on, and another
manifest of the same number is not taken.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from comity import errors
from comity.controlplane import derivatives, notify, offering, origins, revision_states
from comity.controlplane.connector import Connector
from comity.db import agreements, partners, retirements
from comity.db import events as event_rows
from comity.db import revision_notices as notice_rows
from comity.db import revisions as rows
from comity.db.outbox import Outgoing
from comity.db.partners import Partner
from comity.db.revision_notices import RevisionNotice
from comity.db.store import Transaction
from comity.dsp import notice as notices
from comity.dsp import revision as forms
from comity.dsp import terms
from comity.dsp.negotiation import Agreement
from comity.management import events
from comity.techdata import effectivity
from comity.techdata.changes import Changes

Document = dict[str, Any]
SAID = 1000
HISTORY = 1000
"""How many revisions, the newest ones, are told to who has just agreed: in notices of up to `forms.MOST` each."""
log = logging.getLogger(__name__)
GONE = "it is no partner any more"


def written(changes: Changes) -> forms.Changes:
    """Return what changed by file as partners are told it."""
    files = forms.Files(
        added=list(changes.added),
        removed=list(changes.removed),
        changed=list(changes.changed),
        renamed=[forms.Renamed(each.before, each.path) for each in changes.renamed],
    )
    return forms.Changes(**changes.counts, files=files, complete=True).cut()


async def tell(
    connector: Connector,
    tx: Transaction,
    about: rows.Revision,
    event: str,
    changes: forms.Changes | None = None,
) -> int:
    """Tell the holders of agreements about an asset, each once, and who listens here.

    Return how many holders there are to be told; what becomes of each notice is kept.
    """
    standing = [_standing(each) for each in await rows.find_all(tx, about.asset_id)]
    holders: dict[str, bool] = {}
    for agreement in await agreements.find_holders(tx, about.asset_id):
        if agreement.counterparty_id in holders:
            continue
        partner = await partners.find(tx, agreement.counterparty_id)
        name = ""
        if partner is not None:
            may_know = changes is not None and await _may_know(connector, tx, partner, agreement)
            said = forms.Notice(
                agreement_id=agreement.id,
                asset_id=about.asset_id,
                revision=about.number,
                event=event,
                title=str(about.properties.get("dct:title") or "")[:SAID] if may_know else "",
                revisions=standing,
                changes=changes if may_know else None,
            )
            name = await notify.send(connector, tx, partner, said.document(), agreement.id)
        holders[agreement.counterparty_id] = bool(name)
        await _keep(connector, tx, about, event, agreement.counterparty_id, name)
    await note_event(connector, tx, about, event)
    return sum(holders.values())


async def _keep(
    connector: Connector, tx: Transaction, about: rows.Revision, event: str, holder_id: str, name: str
) -> None:
    new = RevisionNotice(
        asset_id=about.asset_id,
        number=about.number,
        counterparty_id=holder_id,
        id=name,
        event=event,
        delivery=notice_rows.SENT if name else notice_rows.NOT_TAKEN,
        said="" if name else GONE,
        at=connector.now_ms(),
    )
    await notice_rows.save(tx, new)


async def tell_history(connector: Connector, tx: Transaction, agreement: Agreement) -> None:
    """Tell who holds an agreement about an asset of ours how those revisions stand of which it was told nothing yet.

    The recalled ones too: a copy of one may come from elsewhere. What it did not take is told again after a day.
    """
    asset_id, holder_id = agreement.asset_id, agreement.counterparty_id
    until = connector.now_ms() - notify.ASKED_AGAIN_MS
    untold = await notice_rows.find_untold(tx, asset_id, holder_id, until=until)
    partner = await partners.find(tx, holder_id) if untold else None
    if partner is None or notify.is_deaf(connector, holder_id):
        return
    left = [each for each in await rows.find_all(tx, asset_id) if each.number in untold][:HISTORY]
    while left:
        document = _standing_of(agreement, left[0], left, history=True)
        name = await notify.send(connector, tx, partner, document, agreement.id)
        said = {each["revision"] for each in document["revisions"]}
        for each in left:
            if each.number in said:
                await _keep(connector, tx, each, _event(each), holder_id, name)
        left = [each for each in left if each.number not in said]


async def answered(connector: Connector, tx: Transaction, row: Outgoing, answer: Document) -> None:
    """Keep that a holder was told."""
    del answer
    await notice_rows.settle(tx, row.message_id, taken=True, said="", at=connector.now_ms())


async def refused(connector: Connector, tx: Transaction, row: Outgoing, reason: str) -> None:
    """Keep why a holder was not told."""
    await notice_rows.settle(tx, row.message_id, taken=False, said=reason, at=connector.now_ms())


async def find_told(tx: Transaction, asset_id: str) -> dict[int, list[RevisionNotice]]:
    """Return by the numbers of the revisions of an asset of ours what their holders were told, and what came of it."""
    on_their_way = await notice_rows.find_open(tx, asset_id)
    found: dict[int, list[RevisionNotice]] = {}
    for each in await notice_rows.find_of(tx, asset_id):
        shown = each
        if each.delivery == notice_rows.SENT and each.id in on_their_way:
            shown = msgspec.structs.replace(each, said=on_their_way[each.id])
        elif each.delivery == notice_rows.SENT:  # who is taken off the list is sent nothing more
            shown = msgspec.structs.replace(each, delivery=notice_rows.NOT_TAKEN, said=GONE)
        found.setdefault(each.number, []).append(shown)
    return found


async def carried(tx: Transaction, agreement: Agreement, about: rows.Revision) -> Document:
    """Return the notice that goes on a medium with a revision: how all of them stand."""
    return _standing_of(agreement, about, await rows.find_all(tx, about.asset_id))


def _standing_of(
    agreement: Agreement, about: rows.Revision, listed: Sequence[rows.Revision], *, history: bool = False
) -> Document:
    return forms.Notice(
        agreement_id=agreement.id,
        asset_id=about.asset_id,
        revision=about.number,
        event=_event(about),
        title=str(about.properties.get("dct:title") or "")[:SAID],
        revisions=[_standing(each) for each in listed],
        history=history,
    ).document()


def _event(row: rows.Revision) -> str:
    return forms.RECALLED if row.state == effectivity.RECALLED else forms.PUBLISHED


def _standing(row: rows.Revision) -> forms.Standing:
    return forms.Standing(
        revision=row.number,
        state=row.state,
        manifest_sha256=row.manifest_sha256,
        published_at=row.published_at,
        effectivity=row.effectivity,
        reason=row.reason[:SAID],
    )


async def _may_know(connector: Connector, tx: Transaction, partner: Partner, agreement: Agreement) -> bool:
    """Return whether a partner may have the data now: names of files tell much of it."""
    if await retirements.find(tx, agreement.negotiation_id) is not None:
        return False
    known = await offering.facts_of_use(
        tx,
        partner,
        agreement.asset_id,
        agreement.document,
        connector.now_ms(),
        begun=True,
        since_ms=agreement.created_at,
    )
    allowed = offering.judge(agreement.document, known).allowed
    return allowed and not await origins.obstacle(tx, agreement.asset_id, partner.id)


async def receive(connector: Connector, tx: Transaction, partner: Partner, notice: Document) -> Document:
    """Keep what a provider tells us of the revisions of an asset that we have an agreement about.

    Raises:
        InvalidInputError: it is no such notice, or contradicts what we were told before.
    """
    said = forms.read(notice)
    name = said.agreement_id
    held = (
        await agreements.find_of_party(tx, name, partner.id, terms.CONSUMER)
        if notices.is_name(name)
        else None
    )
    if held is None or held.asset_id != said.asset_id:
        raise errors.InvalidInputError(
            "we have no agreement with this id with you about that asset", path="$.agreementId"
        )
    known = {each.number: each for each in await rows.find_told(tx, partner.id, said.asset_id)}
    new = [
        _merged(connector, held, said, each, known.get(each.revision))
        for each in said.revisions
        if _agrees(said, each, known.get(each.revision))
    ]
    await rows.save_told(tx, new)
    for about, event in _news(said, new, known):
        await note_event(connector, tx, about, event)
        if event == forms.RECALLED:
            await _note_affected(connector, tx, about)
    return {}


async def _note_affected(connector: Connector, tx: Transaction, recalled: rows.Told) -> None:
    """Tell our own people what we published from a partner's revision that was recalled: it stays published."""
    since = await revision_states.became(
        tx, recalled.counterparty_id, recalled.asset_id, recalled.manifest_sha256
    )
    for each in await derivatives.find(connector, tx, recalled):
        why = f"it was made from {revision_states.plain(recalled.asset_id)}, of which {since.words}"
        log.warning("revision %d of %s stays published: %s", each.number, each.asset_id, why)
        await note_event(connector, tx, each, events.AFFECTED, reason=why)


def _news(
    said: forms.Notice, new: Sequence[rows.Told], known: Mapping[int, rows.Told]
) -> list[tuple[rows.Told, str]]:
    """Return what those who listen to events learn from a notice: also a recall whose own notice comes later."""
    found = []
    for each in new:
        before = known.get(each.number)
        if before is not None and before.state == each.state:
            continue
        if before is not None and each.state == effectivity.RECALLED:
            found.append((each, forms.RECALLED))
        elif each.number == said.revision and not said.history:
            found.append((each, said.event))
    return found


async def note_event(
    connector: Connector, tx: Transaction, row: rows.Revision | rows.Told, event: str, *, reason: str = ""
) -> None:
    """Tell those who listen to events what happened to a revision, ours or a partner's; `reason`: else its recall's."""
    data = events.RevisionData(
        asset_id=row.asset_id,
        counter_party_id=row.counterparty_id if isinstance(row, rows.Told) else "",
        revision=row.number,
        state=row.state,
        manifest_sha256=row.manifest_sha256,
        reason=reason or row.reason,
    )
    name = events.REVISION + event
    await event_rows.add(tx, name, row.asset_id, number=0, at=connector.now_ms(), data=data)


def _agrees(said: forms.Notice, each: forms.Standing, known: rows.Told | None) -> bool:
    """Return whether what is said of a revision can be taken; of the one that a notice is about it has to be.

    Raises:
        InvalidInputError: that one has another manifest than we were told before.
    """
    if known is None or known.manifest_sha256 == each.manifest_sha256:
        return True
    if each.revision == said.revision:
        raise errors.InvalidInputError(
            f"revision {each.revision} has the manifest {known.manifest_sha256} here, which you told us before",
            path="$.revisions",
        )
    return (
        False  # a store restored from a backup may have given a number twice: what we were told first stays
    )


def _merged(
    connector: Connector,
    held: Agreement,
    said: forms.Notice,
    each: forms.Standing,
    known: rows.Told | None,
) -> rows.Told:
    meant = effectivity.read(each.effectivity, "$.revisions.effectivity")
    about = each.revision == said.revision
    return rows.Told(
        counterparty_id=held.counterparty_id,
        asset_id=held.asset_id,
        number=each.revision,
        manifest_sha256=each.manifest_sha256,
        state=revision_states.later(each.state, known.state if known else each.state),
        effectivity=msgspec.to_builtins(meant),
        title=said.title if about and said.title else known.title if known else "",
        changes=msgspec.to_builtins(said.changes)
        if about and said.changes
        else known.changes
        if known
        else {},
        reason=each.reason or (known.reason if known else ""),
        agreement_id=held.id,
        published_at=each.published_at,
        told_at=connector.now_ms(),
    )
