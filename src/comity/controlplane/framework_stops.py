"""Suspending, resuming and ending a framework agreement, and what follows for all that is under it.

In one transaction with the decision its streams and pulls are cut, its transfers suspended (resumed with it) or
terminated with the reason, and every party is told. A partner that takes no notices could go on by itself: with it each
transfer is terminated. What a partner suspends or ends is stopped here in the same way; its own messages follow.
"""

from __future__ import annotations

import contextlib

import msgspec

from comity import errors
from comity.controlplane import decide, frameworks, offered, receipts, transfer_moves
from comity.controlplane import framework_signing as signing
from comity.controlplane.connector import Connector
from comity.controlplane.transfer_moves import Revoked
from comity.db import agreements, offers, pulls, transfers
from comity.db import frameworks as rows
from comity.db.offers import ContractDefinition
from comity.db.store import Transaction
from comity.dsp import terms
from comity.dsp.transfer import Transfer
from comity.framework import notice as forms

CODE = "framework"
EVENTS = {rows.SUSPENDED: "suspended", rows.AGREED: "resumed", rows.ENDED: "ended"}
_BEFORE = {
    rows.SUSPENDED: (rows.AGREED,),
    rows.AGREED: (rows.SUSPENDED,),
    rows.ENDED: (rows.AGREED, rows.SUSPENDED),
}


async def change(connector: Connector, urn: str, state: str, reason: str = "") -> str:
    """Suspend, resume (AGREED) or end a framework agreement for our part, and return its URN.

    It counts for all its versions: who has not signed the newest is under an older one.

    Raises:
        NotFoundError: there is none.
        ConflictError: it is not ours to change so now.
        InvalidInputError: the reason is no text that can be kept.
    """
    reason = forms.text({"reason": reason}, "reason")

    async def unit(tx: Transaction) -> str:
        row = await rows.load(tx, urn)
        ours = await _own(tx, row, state)
        standing = await _standing(tx, row, ours)
        # the later of two changes is the later one for partners too
        at = max(connector.now_ms(), *(each.changed_at + 1 for each in standing))
        family = await frameworks.family(tx, row.urn)
        stopped = await _stop_all(connector, tx, row, family, state, reason)
        for each in standing:
            changed = msgspec.structs.replace(each, state=state, reason=reason, changed_at=at, stopped=[])
            if each.urn == row.urn:
                changed = msgspec.structs.replace(changed, stopped=stopped)
            await rows.save_party(tx, changed)
            if state == rows.ENDED:
                await _withdraw(connector, tx, f"{each.urn}#offer")
            said = {"event": EVENTS[state], "reason": reason, "at": at}
            await signing.tell(connector, tx, each.urn, said)
        if state == rows.ENDED:
            await end_agreements(connector, tx, family)
        if state == rows.AGREED:
            await _resume(connector, tx, ours.stopped)
            await go_on(connector, tx, row.urn)
        return row.urn

    return await connector.database.write(unit)


async def _standing(tx: Transaction, row: rows.Framework, ours: rows.Party) -> list[rows.Party]:
    """Return where we stand in all versions that we signed and have not ended."""
    found = [ours]
    for each in await rows.find_all(tx):
        if each.framework_id == row.framework_id and each.urn != row.urn:
            party = await rows.find_party(tx, each.urn, ours.participant_id)
            found += [party] if party and party.agreed_at and party.state != rows.ENDED else []
    return found


async def end_agreements(
    connector: Connector, tx: Transaction, family: set[str], counterparty_id: str = ""
) -> None:
    """Let what is to be deleted when an agreement ends be due now, of all agreements under a framework agreement."""
    for each in await agreements.find_naming(tx, family, counterparty_id):
        await receipts.agreement_ended(tx, each, connector.now_ms())


async def _withdraw(connector: Connector, tx: Transaction, definition_id: str) -> None:
    """Offer it to nobody any more, if it was we who did."""
    if await offers.find(tx, ContractDefinition, definition_id):
        await offered.remove(connector, tx, ContractDefinition, definition_id)


async def _own(tx: Transaction, row: rows.Framework, state: str) -> rows.Party:
    """Return our own row, if it may be changed to a state."""
    parties = await rows.find_parties(tx, row.urn)
    ours = next((each for each in parties if each.own and each.agreed_at), None)
    if ours is None:
        raise errors.ConflictError("it is not signed here", hint="sign it with: comity framework sign")
    if row.replaced_by:
        raise errors.ConflictError(
            "an amendment has taken its place", hint=f"name the newest version: {row.replaced_by}"
        )
    if ours.state not in _BEFORE[state]:
        if state == rows.AGREED and ours.state == rows.AGREED:
            raise errors.ConflictError(
                "you have not suspended it",
                hint="who suspended it resumes it: comity framework show says who",
            )
        said = (
            "you have ended it" if ours.state == rows.ENDED else f"you have {EVENTS[ours.state]} it already"
        )
        raise errors.ConflictError(f"it cannot be {EVENTS[state]}: {said}")
    return ours


async def _stop_all(
    connector: Connector, tx: Transaction, row: rows.Framework, family: set[str], state: str, reason: str
) -> list[str]:
    """Stop every open transfer under a framework agreement, and return those that were suspended."""
    if state == rows.AGREED:
        return []
    taking = {
        each.participant_id for urn in family for each in await rows.find_parties(tx, urn) if each.fresh_until
    }
    suspending = decide.Move(kind=decide.SUSPEND, reason=_words(row, state, reason))
    ending = decide.Move(kind=decide.TERMINATE, reason=_words(row, state, reason), code=CODE)
    stopped = []
    for record in await frameworks.find_transfers(tx, family):
        tx.announce(Revoked(record.id))
        if state == rows.ENDED or record.counterparty_id not in taking:
            await _move(connector, tx, record, ending)
        elif record.state == terms.STARTED and await _move(connector, tx, record, suspending):
            stopped.append(record.id)
    return stopped


def _words(row: rows.Framework, state: str, reason: str) -> str:
    return f"the framework agreement {frameworks.read(row).title!r} was {EVENTS[state]}: {reason}"


async def _move(connector: Connector, tx: Transaction, record: Transfer, move: decide.Move) -> bool:
    with contextlib.suppress(errors.LocalProtocolError, errors.PolicyError):  # its end is on its way already
        await transfer_moves.step(connector, tx, record.id, move)
        return True
    return False


async def _resume(connector: Connector, tx: Transaction, stopped: list[str]) -> None:
    for name in stopped:
        record = await transfers.find(tx, name)
        if record is not None and record.state == terms.SUSPENDED:
            await _move(connector, tx, record, decide.Move(kind=decide.START))


async def terminate(connector: Connector, tx: Transaction, urn: str, partner_id: str) -> None:
    """Terminate what we suspended with a partner that turned out to take no notices."""
    row = await rows.find(tx, urn)
    ours = await rows.find_party(tx, urn, connector.participant_id)
    if row is None or ours is None or ours.state not in {rows.SUSPENDED, rows.ENDED}:
        return
    ending = decide.Move(kind=decide.TERMINATE, reason=_words(row, ours.state, ours.reason), code=CODE)
    for record in await frameworks.find_transfers(tx, await frameworks.family(tx, urn), partner_id):
        await _move(connector, tx, record, ending)


async def cut(tx: Transaction, urn: str, partner_id: str) -> None:
    """Cut what runs with a partner under a framework agreement: not a byte is served, pulled or taken any more."""
    for record in await frameworks.find_transfers(tx, await frameworks.family(tx, urn), partner_id):
        tx.announce(Revoked(record.id))


async def go_on(connector: Connector, tx: Transaction, urn: str, partner_id: str = "") -> None:
    """Begin again the pulls that waited for a framework agreement."""
    for record in await frameworks.find_transfers(tx, await frameworks.family(tx, urn), partner_id):
        waits = record.role == terms.CONSUMER and record.state == terms.STARTED
        if waits and not await frameworks.why_not(tx, record, connector.now_ms()):
            tx.announce(pulls.PullReady(record.id))
