"""Approvals for people: which there are, approve or refuse one, and what ends them when nobody did in time.

A decision, its record in the evidence and what follows from it are one transaction. The partner is told that people
here refused and why, or that nobody decided in time; who they are it is not told. What is asked of whom is `asked`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Any

import msgspec

from comity import errors
from comity.controlplane import asked, decide, negotiation_moves
from comity.controlplane.connector import Connector
from comity.db import apikeys, negotiations
from comity.db import approvals as rows
from comity.db.approvals import Approval, Asked
from comity.db.store import Transaction
from comity.management import approvals as forms
from comity.management import query, roles

Document = dict[str, Any]
CODE = "approval"
LATE = "it was not approved in time"
POLL_S = 30.0
AGAIN_S = 1.0
_OVER = {
    forms.APPROVED: "it is approved already",
    forms.REFUSED: "it was refused already",
    forms.EXPIRED: "the time to decide is over",
    forms.WITHDRAWN: "the negotiation has ended, or gone on without it",
}

log = logging.getLogger(__name__)


async def check_rule(tx: Transaction, rule: forms.Rule | None, written_by: str = "") -> None:
    """Refuse a rule that nobody could meet; `written_by` is the API key of who writes the offer.

    Raises:
        InvalidInputError: it names somebody who may not approve, or leaves too few for four eyes.
    """
    if rule is not None:
        keys = await apikeys.find_all(tx)
        known = [each.id for each in keys if roles.suffices(each.role, roles.APPROVER)]
        forms.check(rule, known, written_by)


async def find(connector: Connector, spec: query.Spec) -> list[Document]:
    """Return the approvals that a query asks for.

    Raises:
        InvalidInputError: it asks about a field that they do not have.
    """
    wanted = query.resolve(spec, forms.FIELDS)
    return await connector.database.read(lambda tx: rows.find_page(tx, wanted, asked.shown))


async def load(connector: Connector, name: str) -> Document:
    """Return an approval with the terms that it is about.

    Raises:
        NotFoundError: there is none with this id.
    """

    async def unit(tx: Transaction) -> Document:
        found = await rows.load(tx, name)
        record = await negotiations.load(tx, found.negotiation_id)
        return {**asked.shown(found), "offer": found.move.get("policy") or record.offer}

    return await connector.database.read(unit)


async def settle(
    connector: Connector, name: str, person: str, *, approved: bool, reason: str = ""
) -> Document:
    """Take the decision of a person, who is named by their API key; the negotiation goes on or ends with it.

    Raises:
        NotFoundError: there is no such approval.
        InvalidInputError: a refusal without a reason, or a reason that is too long.
        ConflictError: it is over, or this person has decided already.
        PolicyError: this person may not decide it.
    """
    if not approved and not reason:
        raise errors.InvalidInputError("who refuses says why: the partner is told", path="$.reason")
    if len(reason) > forms.MAX_REASON:
        raise errors.InvalidInputError(f"a reason may have {forms.MAX_REASON} characters", path="$.reason")

    async def unit(tx: Transaction) -> Approval:
        record = await negotiations.load(tx, await rows.find_negotiation(tx, name))
        found = await rows.load(tx, name)
        now_ms = connector.now_ms()
        _check_open(found, now_ms)
        forms.check_person(found.needs, found.decisions, person)
        if approved and record.counterparty_pid is not None:  # a first message may go out after a restore too
            connector.held.check(record.id, decide.AGREE)
        decisions = [*found.decisions, forms.Decision(person, approved, reason, now_ms)]
        changed = msgspec.structs.replace(
            found, decisions=decisions, state=_after(found, decisions, approved=approved)
        )
        await rows.save(tx, changed)
        said = forms.APPROVED if approved else forms.REFUSED
        await asked.note(connector, tx, record, changed, outcome=said, by=person, detail=reason)
        if changed.state == forms.APPROVED:
            move = msgspec.convert(changed.move, decide.Move)
            await negotiation_moves.make_approved(connector, tx, record, move)
        elif changed.state == forms.REFUSED:
            await _terminate(connector, tx, changed, f"people at the {record.role} refused it: {reason}")
        return changed

    return asked.shown(await connector.database.write(unit))


def _check_open(found: Approval, now_ms: int) -> None:
    over = _OVER.get(found.state) or (_OVER[forms.EXPIRED] if found.due_at <= now_ms else "")
    if over:
        raise errors.ConflictError(f"{over}: approval {found.id}")


def _after(found: Approval, decisions: list[forms.Decision], *, approved: bool) -> str:
    if not approved:
        return forms.REFUSED
    return forms.WAITING if forms.missing(found.needs, decisions) else forms.APPROVED


async def _terminate(connector: Connector, tx: Transaction, approval: Approval, reason: str) -> None:
    record = await negotiations.load(tx, approval.negotiation_id)
    move = decide.Move(kind=decide.TERMINATE, reason=reason, code=CODE)
    await negotiation_moves.end(connector, tx, record, move)


class Deadlines:
    """Ends what was not decided in time, by the connector's clock, after a restart too; `notice` hears the store.

    Each process on a database may do it: whoever comes first has done it.
    """

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._woken = asyncio.Event()

    def notice(self, announced: Sequence[object]) -> None:
        """Look again when people were asked something; called in the event loop."""
        if any(isinstance(each, Asked) for each in announced):
            self._woken.set()

    async def run(self) -> None:
        """End what is due, again and again, until cancelled."""
        while True:
            try:
                wait_s = await self.end_due()
            except errors.DatabaseError:
                wait_s = AGAIN_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._woken.wait()
            self._woken.clear()

    async def end_due(self) -> float:
        """End all that is due now, and return how long to wait until there may be more (s)."""
        now_ms = self._connector.now_ms()
        for name in await self._connector.database.read(lambda tx: rows.find_due(tx, now_ms)):
            try:
                await self._connector.database.write(lambda tx, name=name: self._expire(tx, name))  # type: ignore[misc]
            except errors.DatabaseError:
                raise
            except errors.ComityError as error:
                log.warning("approval %s: %s", name, error.message)
        due_at = await self._connector.database.read(rows.find_next)
        wait_s = POLL_S if due_at is None else (due_at - self._connector.now_ms()) / 1000
        return min(POLL_S, wait_s) if wait_s > 0 else AGAIN_S

    async def _expire(self, tx: Transaction, name: str) -> None:
        record = await negotiations.load(tx, await rows.find_negotiation(tx, name))
        found = await rows.load(tx, name)
        if found.state == forms.WAITING and found.due_at <= self._connector.now_ms():
            await asked.end(self._connector, tx, record, found, forms.EXPIRED)
            await _terminate(self._connector, tx, found, LATE)
