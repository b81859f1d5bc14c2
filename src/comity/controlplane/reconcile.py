"""After a restore: every partner is asked for its state of every process that had not ended, and what it says is kept.

A process that stands there as it does here goes on. Where the partner is ahead, what it was sent or has sent since is
lost here: nothing is signed a second time, and a person decides. What may be taken over without signing anything is:
an end, and the finalization of an agreement that we hold as its provider sent it. Each finding is a row, a line of the
log and a record of the evidence.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from msgspec import Struct

from comity import errors, strict_json
from comity.controlplane import decide, negotiation_moves, process, transfer_moves
from comity.controlplane.connector import Connector
from comity.controlplane.held import Released
from comity.controlplane.process import Incoming
from comity.db import agreements, evidence, negotiations, outbox, restored, transfers
from comity.db.outbox import Queued
from comity.db.restored import Finding
from comity.db.store import Transaction
from comity.dsp import binding, machine, spelling, terms, transfer
from comity.dsp.messages import ContractRequestMessage, TransferRequestMessage
from comity.dsp.negotiation import Negotiation
from comity.dsp.transfer import Transfer
from comity.evidence.entry import Entry

ROWS = {terms.NEGOTIATION: negotiations, terms.TRANSFER: transfers}
MOVES = {terms.NEGOTIATION: negotiation_moves, terms.TRANSFER: transfer_moves}
FIRST_PAUSE_S, LAST_PAUSE_S = 0.25, 60.0
NOT_FOUND = 404
RENEWING, CATCHING_UP = "renewing", "catching up"
GOING_ON = (restored.WAITING, RENEWING, CATCHING_UP)
"""Verdicts that are not the last word: the partner is asked again."""
_RANK = {
    terms.REQUESTED: 1,
    terms.OFFERED: 1,
    terms.ACCEPTED: 2,
    terms.AGREED: 3,
    terms.VERIFIED: 4,
    terms.FINALIZED: 5,
    terms.STARTED: 2,
    terms.SUSPENDED: 2,
    terms.COMPLETED: 3,
}
BOUND = frozenset({terms.AGREED, terms.VERIFIED, terms.FINALIZED})

log = logging.getLogger(__name__)


class Verdict(Struct, frozen=True):
    """What a partner's state means; `take` is the state that may be taken over here, if any."""

    name: str
    said: str
    held: bool = True
    take: str | None = None


def judge(record: Negotiation | Transfer, coming: str | None, there: str | None) -> Verdict:
    """Compare our state, and the one that our open message leads to, with the partner's (None: it knows none)."""
    here = record.state or "not begun"
    if there is None:
        said = f"the partner knows no such process, which is {here} here: end it here, and begin anew if it is wanted"
        return Verdict(restored.UNKNOWN, said)
    if there in {record.state, coming}:
        return Verdict(restored.SAME, f"it is {there} on both sides and goes on{_but(record)}", held=False)
    if there == terms.TERMINATED:
        return Verdict(
            restored.ENDED, "the partner has ended it, and so it ends here", False, terms.TERMINATED
        )
    if record.kind == terms.TRANSFER:
        return _judge_transfer(record, here, there)
    return _judge_negotiation(record, coming, here, there)


def _but(record: Negotiation | Transfer) -> str:
    if isinstance(record, Transfer) and record.role == terms.CONSUMER and record.format == transfer.PUSH:
        return "; if it comes into a folder here, ask for it anew: its provider's token is not taken any more"
    return ""


def _judge_negotiation(record: Any, coming: str | None, here: str, there: str) -> Verdict:
    holds = record.role == terms.CONSUMER and record.agreement_id is not None
    if there == terms.FINALIZED and holds and record.state == terms.VERIFIED:
        said = (
            "the partner has finalized it, and the agreement is here as the partner sent it: it is in force"
        )
        return Verdict(restored.AHEAD, said, False, terms.FINALIZED)
    rank, ours = _RANK.get(there, 0), _RANK.get(record.state or "", 0)
    if coming is not None and there in BOUND and coming in BOUND and rank > _RANK[coming]:
        return Verdict(
            CATCHING_UP, f"the partner had our message before ({there}): the same one is sent again", False
        )
    if rank > ours and there in BOUND and ours < _RANK[terms.AGREED]:
        said = (
            f"the partner has an agreement ({there}) that is lost here ({here}), and no other one is made in its place:"
            " ask the partner for it and its messages, then end it here and negotiate anew"
        )
        return Verdict(restored.AHEAD, said)
    if rank > ours:
        said = f"the partner is {there}, here it is {here}: what it sent since is lost; ask it for that, or end it here"
        return Verdict(restored.AHEAD, said)
    name = restored.BEHIND if rank < ours else restored.DIFFERS
    return Verdict(
        name, f"the partner is {there}, here it is {here}: ask it why, and end it if it cannot be mended"
    )


def _judge_transfer(record: Any, here: str, there: str) -> Verdict:
    if there == terms.COMPLETED and record.role == terms.PROVIDER and record.state == terms.STARTED:
        return Verdict(
            restored.ENDED, "the partner has all of it, and so it is complete here", False, terms.COMPLETED
        )
    if there == terms.COMPLETED:
        said = f"it is complete for the partner and {here} here: it ends here; get the data anew if files are missing"
        return Verdict(restored.ENDED, said, False, terms.TERMINATED)
    name = restored.AHEAD if _RANK.get(there, 0) > _RANK.get(record.state or "", 0) else restored.DIFFERS
    return Verdict(
        name, f"the partner is {there}, here it is {here}: end it, and ask for the data anew if it is wanted"
    )


class Reconciliation:
    """Asks partners until every process has its last word; `again` is set when something may have changed."""

    def __init__(
        self, connector: Connector, *, pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._connector = connector
        self._pause = pause

    async def begin(self) -> None:
        """Hold what has to be held, before anything is sent."""
        held = self._connector.held
        last = await self._connector.database.read(restored.find_last)
        held.restored_at = last.at if last else 0
        if last is not None:
            self._connector.database.subscribe(held.notice)
            await self._hold()

    async def _hold(self) -> None:
        """Hold what the store says: another replica may have let go of some, and its word may be lost."""
        held = self._connector.held
        before = set(held.names)
        still = {each.process_id for each in await self._connector.database.read(restored.find_held)}
        released_meanwhile = before - held.names
        held.hold(still - released_meanwhile)

    async def run(self) -> None:
        """Ask again and again, more and more rarely, until nothing is held any more."""
        pause_s = FIRST_PAUSE_S
        while self._connector.held.restored_at:
            try:
                found = await self._connector.database.read(restored.find_all)
                open_ones = [each for each in found if each.held or each.verdict in GOING_ON]
                await asyncio.gather(*map(self._look_and_log, open_ones))
                await self._hold()
                if not open_ones:
                    return
            except errors.ComityError as error:
                log.warning("partners cannot be compared with now: %s", error.message)
            await self._pause(pause_s)
            pause_s = min(pause_s * 2, LAST_PAUSE_S)

    async def _look_and_log(self, finding: Finding) -> None:
        try:
            await self.look(finding)
        except errors.ComityError as error:
            log.info(
                "%s %s: its partner cannot be asked: %s", finding.kind, finding.process_id, error.message
            )

    async def look(self, finding: Finding) -> None:
        """Ask the partner about one process, and do what follows.

        Raises:
            DeliveryError: it cannot be asked now.
        """
        made, rows = self._connector, ROWS[finding.kind]
        if finding.verdict == restored.FORGOTTEN:
            return
        record = await made.database.read(lambda tx: rows.find(tx, finding.process_id))
        if record is None or record.state in machine.TERMINAL:
            await self._settle(finding, Verdict(restored.GIVEN_UP, "it has ended here", held=False))
        elif finding.verdict == RENEWING:
            await self._renew(finding)
        elif record.counterparty_pid is not None:  # else its first message goes out, and brings the pid
            url = binding.join(record.counterparty_address, record.path())
            there, body = await _state(made, record.counterparty_id, url)
            if there != "":
                await self._take(finding, there, body)

    async def _take(self, finding: Finding, there: str | None, body: bytes) -> None:
        made, rows, moves = self._connector, ROWS[finding.kind], MOVES[finding.kind]

        async def unit(tx: Transaction) -> None:
            record = await rows.load(tx, finding.process_id)
            open_row = await process.intent(tx, record.id)
            verdict = judge(record, open_row.leads_to if open_row else None, there)
            if verdict.take == terms.FINALIZED and open_row is not None:
                return  # our end of it is on its way
            if verdict.take is None:
                await self._note(tx, finding, record, verdict, there, body)
            elif verdict.take == terms.TERMINATED:
                await self._note(tx, finding, record, verdict, there, body)
                await moves.end_here(made, tx, record, verdict.said)
            else:
                await self._note(tx, finding, record, verdict, there, body, after=verdict.take)
                record = await rows.save(tx, process.stepped(record, verdict.take, now_ms=made.now_ms()))
                await moves.go_on(made, tx, record)
            if verdict.name == restored.SAME and _needs_a_token(record):
                await restored.save(
                    tx, self._changed(finding, record, Verdict(RENEWING, verdict.said, False), there)
                )

        await made.database.write(unit)

    async def _note(
        self,
        tx: Transaction,
        finding: Finding,
        record: Negotiation | Transfer,
        verdict: Verdict,
        there: str | None,
        body: bytes,
        *,
        after: str = "",
    ) -> None:
        """Keep a finding, in the evidence too unless it is known already, and let go what goes on."""
        changed = self._changed(finding, record, verdict, there)
        if (changed.verdict, changed.there) != (finding.verdict, finding.there):
            said = f"{record.kind} {record.id} with {record.counterparty_id}: {verdict.name}: {verdict.said}"
            log.log(logging.WARNING if verdict.held else logging.INFO, "%s", said)
            await evidence.append(tx, self._entry(record, verdict, body, after))
            await restored.save(tx, changed)
        if finding.held and not verdict.held:
            tx.announce(Released(record.id))
            for row in await outbox.find_of_process(tx, record.id):
                tx.announce(Queued(row, released=True))

    def _changed(
        self, finding: Finding, record: Negotiation | Transfer, verdict: Verdict, there: str | None
    ) -> Finding:
        return msgspec.structs.replace(
            finding,
            verdict=verdict.name,
            here=record.state or "",
            there=there or "",
            said=verdict.said,
            held=verdict.held,
            checked_at=self._connector.now_ms(),
        )

    def _entry(self, record: Negotiation | Transfer, verdict: Verdict, body: bytes, after: str) -> Entry:
        return Entry(
            at=self._connector.now_ms(),
            direction="in",
            message="state",
            sha256=process.sha256_hex(body),
            sender=record.counterparty_id,
            receiver=self._connector.participant_id,
            kind=record.kind,
            process_id=record.id,
            counterparty_pid=record.counterparty_pid or "",
            before=record.state or "",
            after=after,
            outcome="accepted" if after else verdict.name,
            detail=f"asked after a restore: {verdict.said}"[:500],
        )

    async def _settle(self, finding: Finding, verdict: Verdict) -> None:
        async def unit(tx: Transaction) -> None:
            done = msgspec.structs.replace(
                finding,
                verdict=verdict.name,
                said=verdict.said,
                held=False,
                checked_at=self._connector.now_ms(),
            )
            if finding.verdict in GOING_ON or finding.held:
                await restored.save(tx, done)
            tx.announce(Released(finding.process_id))

        await self._connector.database.write(unit)

    async def _renew(self, finding: Finding) -> None:
        """Give a transfer whose token is not taken any more a new one: pause it, then start it again."""
        made = self._connector

        async def unit(tx: Transaction) -> None:
            record = await transfers.load(tx, finding.process_id)
            if await process.intent(tx, record.id) is not None:
                return
            if record.state == terms.STARTED and record.token_sha256 is None:
                move = decide.Move(kind=decide.SUSPEND, reason="a new token follows")
                await transfer_moves.carry_out(made, tx, record, move)
            elif record.state == terms.SUSPENDED and record.suspended_by == terms.PROVIDER:
                await transfer_moves.step(made, tx, record.id, decide.Move(kind=decide.START))
            else:
                await restored.save(tx, msgspec.structs.replace(finding, verdict=restored.SAME))

        await made.database.write(unit)


def _needs_a_token(record: Negotiation | Transfer) -> bool:
    """Whether a transfer has a token, or one on its way, that is not taken any more; a suspended one has none."""
    served = isinstance(record, Transfer) and record.role == terms.PROVIDER and record.format == transfer.PULL
    return served and record.state in {terms.REQUESTED, terms.STARTED}


async def check_first(connector: Connector, incoming: Incoming) -> None:
    """Refuse a request that was taken before a restore, and is forgotten here, if its sender has an agreement by it.

    Raises:
        RemoteProtocolError: it has.
    """
    message = incoming.message
    if not connector.held.recently(connector.now_ms()) or not isinstance(message, ContractRequestMessage):
        return
    party, pid = incoming.caller.participant_id, message.consumer_pid
    if incoming.process_id:
        return

    async def known(tx: Transaction) -> bool:
        return await negotiations.find_by_party(tx, party, terms.PROVIDER, pid) is not None

    if await connector.database.read(known):
        return
    url = binding.join(message.callback_address or "", f"/negotiations/{binding.segment(pid)}")
    there, _ = await _state(connector, party, url)
    if there in BOUND:
        await note_forgotten(connector, msgspec.structs.replace(incoming, process_id=pid))
        raise errors.RemoteProtocolError(
            f"you are {there} in this negotiation, of which nothing is known here any more: no second agreement is made"
            " by it; begin another one"
        )


async def _state(connector: Connector, party: str, url: str) -> tuple[str | None, bytes]:
    """Return a partner's state at an address: None if it knows no such process, empty if it does not tell."""
    try:
        body = await connector.peers.get(url, connector.identity.attempt(party, "GET", url, b""))
        answer = spelling.plain(strict_json.decode_object(body))
    except errors.PermanentDeliveryError as error:
        return (None, b"") if error.status == NOT_FOUND else ("", b"")
    except errors.InvalidInputError:
        return "", b""
    state = spelling.bare(answer.get("state"))
    return (state if isinstance(state, str) else ""), body


async def note_forgotten(connector: Connector, incoming: Incoming) -> None:
    """Keep that a partner speaks of something that is unknown here, where a restore may be the reason."""
    name, what = incoming.process_id, incoming.kind
    if isinstance(incoming.message, TransferRequestMessage):
        name, what = incoming.message.agreement_id, "agreement"
    if not connector.held.restored_at or not name:
        return
    finding = Finding(
        kind=what,
        process_id=name,
        counterparty_id=incoming.caller.participant_id,
        verdict=restored.FORGOTTEN,
        said=f"the partner sent {incoming.key}, but nothing is known of this {what} here: it came after the backup,"
        " perhaps; ask the partner what was agreed, and negotiate anew",
        held=False,
        checked_at=connector.now_ms(),
    )

    async def unit(tx: Transaction) -> bool:
        known = await agreements.exists(tx, name, finding.counterparty_id)
        known = known or any([await rows.find(tx, name) is not None for rows in ROWS.values()])
        return not known and await restored.add_forgotten(tx, finding)

    if await connector.database.write(unit):
        log.warning(
            "%s %s of %s: %s", finding.kind, finding.process_id, finding.counterparty_id, finding.said
        )
