"""What became of a message of ours: acknowledged, to be tried again, refused, or given up; each in one transaction.

`delivery.worker` sends and tells; here it is recorded, in the evidence too, and the process goes on or ends.
"""

from __future__ import annotations

from typing import Any

import msgspec

from comity import errors, strict_json
from comity.controlplane import decide, negotiation_moves, notices, notify, process, transfer_moves
from comity.controlplane.connector import Connector
from comity.controlplane.signing import Attempt
from comity.db import negotiations, outbox, transfers
from comity.db.outbox import Outgoing
from comity.db.store import OfProcess, Transaction
from comity.delivery import retry
from comity.dsp import binding, machine, notice, spelling, terms

ROWS = {terms.NEGOTIATION: negotiations, terms.TRANSFER: transfers}
MOVES = {terms.NEGOTIATION: negotiation_moves, terms.TRANSFER: transfer_moves}
MAX_PID = 1024
OK = 200
BEYOND = {
    terms.REQUESTED: {terms.AGREED, terms.VERIFIED, terms.FINALIZED},
    terms.OFFERED: {terms.ACCEPTED, terms.AGREED, terms.VERIFIED, terms.FINALIZED},
    terms.ACCEPTED: {terms.AGREED, terms.VERIFIED, terms.FINALIZED},
    terms.AGREED: {terms.VERIFIED, terms.FINALIZED},
    terms.VERIFIED: {terms.FINALIZED},
}
"""States of a negotiation that a partner can only be in after it took the message that leads to the first one."""


class Outcomes:
    """The worker's other side."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector

    def prepare(self, row: Outgoing) -> tuple[bytes, Attempt]:
        """Return the bytes to send, the same at every attempt, and what proves this one.

        Raises:
            PermanentDeliveryError: it is a notice, and the partner takes none.
            UnstampedError: nothing is sent now.
        """
        self._connector.halt.check()
        if row.kind == notice.KIND:
            notify.check_taken(self._connector, row)
        body = process.plain_body(self._connector, row)
        return body, self._connector.identity.attempt(row.counterparty_id, "POST", row.url, body)

    async def acknowledged(self, row: Outgoing, reply: bytes, attempt: Attempt | None) -> None:
        """The partner took it.

        Raises:
            TransientDeliveryError: the answer to a first message does not name the partner's process, or it is one that
                no connector gives, and the partner has not taken the message.
        """
        if row.kind == notice.KIND:
            await self._notice_answered(row, reply, attempt)
            return
        answer = _read(reply)

        async def unit(tx: Transaction) -> None:
            record = await ROWS[row.kind].load(tx, row.process_id)
            fresh = await outbox.remove(tx, row)
            await process.record_sent(
                self._connector,
                tx,
                row,
                attempt=attempt,
                outcome="acknowledged" if fresh else "overtaken",
            )
            await _acknowledged(self._connector, tx, row, fresh, record, answer)

        if row.before is None and not _names_process(answer):
            raise errors.TransientDeliveryError(
                "the partner answered, but not with a process that has both pids", outcome_unknown=True
            )
        if row.before is not None and not _readable(reply) and await self._came_from_elsewhere(row):
            raise errors.TransientDeliveryError(
                "the answer is not one of a connector, and the partner has not taken the message",
                outcome_unknown=True,
            )
        alone = row.kind == terms.NEGOTIATION  # transfers have agreements in common
        await self._connector.database.write(OfProcess(row.process_id, unit) if alone else unit)

    async def _notice_answered(self, row: Outgoing, reply: bytes, attempt: Attempt | None) -> None:
        answer = _read(reply)
        if answer.get("@id") != row.message_id:
            raise errors.TransientDeliveryError(
                "the answer is not one to this notice: it came from something between us, or from no Comity",
                outcome_unknown=True,
            )

        async def unit(tx: Transaction) -> None:
            fresh = await outbox.remove(tx, row)
            if fresh is not None:
                await process.record_sent(self._connector, tx, row, attempt=attempt, outcome="acknowledged")
                await notices.answered(self._connector, tx, row, answer)

        try:
            await self._connector.database.write(unit)
        except errors.InvalidInputError as error:
            raise errors.PermanentDeliveryError(f"the answer to the notice is bad: {error.message}") from None
        notify.note_answer(self._connector, row, OK)

    async def _came_from_elsewhere(self, row: Outgoing) -> bool:
        """Return whether a 2xx that cannot be read came from something between us, such as a network's own page.

        The protocol leaves the body of these answers open, so the partner's state decides. One that does not tell it
        is believed; so is, after a while, one whose state would be the same without the message.

        Raises:
            TransientDeliveryError: it cannot be asked now.
        """
        state = await self.peer_state(row)
        if state is None or state == row.leads_to != row.before:
            return False
        if state and state != row.leads_to:
            return True
        now_ms = self._connector.now_ms()
        return not retry.expired(row.created_at, now_ms, horizon_s=retry.NOT_YET_HORIZON_S)

    async def postponed(self, row: Outgoing, error: errors.TransientDeliveryError, due_at: int) -> None:
        """It will be tried again at `due_at` (ms)."""

        async def unit(tx: Transaction) -> None:
            await outbox.postpone(
                tx, row.id, due_at=due_at, error=error.message, outcome_unknown=error.outcome_unknown
            )

        await self._connector.database.write(unit)

    async def refused(
        self, row: Outgoing, reason: str, attempt: Attempt | None, *, reachable: bool, status: int = 0
    ) -> None:
        """The partner does not take it, or (not `reachable`) could not be reached within the horizon."""

        async def unit(tx: Transaction) -> None:
            record = await ROWS[row.kind].find(tx, row.process_id) if row.kind in ROWS else None
            fresh = await outbox.remove(tx, row)
            await process.record_sent(
                self._connector,
                tx,
                row,
                attempt=attempt,
                outcome="refused" if reachable else "given up",
                detail=reason,
            )
            if row.kind == notice.KIND and fresh is not None:
                await notices.refused(self._connector, tx, row, reason)
            if record is not None and fresh is not None and not fresh.implied:
                await _refused(self._connector, tx, row, record, reason, reachable=reachable)

        if row.kind == notice.KIND:
            notify.note_answer(
                self._connector, row, status
            )  # first: the kind may ask whether notices are taken
        await self._connector.database.write(unit)

    async def peer_state(self, row: Outgoing) -> str | None:
        """Ask the partner for its state of the process; None if it does not tell, empty if its answer says nothing.

        A partner that has gone on from where the message leads is said to be there.

        Raises:
            TransientDeliveryError: it cannot be asked now.
        """
        if row.kind == notice.KIND:
            return None
        record = await self._connector.database.read(lambda tx: ROWS[row.kind].load(tx, row.process_id))
        if record.counterparty_pid is None:
            return None
        url = binding.join(record.counterparty_address, record.path())
        try:
            attempt = self._connector.identity.attempt(row.counterparty_id, "GET", url, b"")
            answer = _read(await self._connector.peers.get(url, attempt))
        except errors.PermanentDeliveryError:
            return None
        state = spelling.bare(answer.get("state"))
        if row.kind == terms.NEGOTIATION and state in BEYOND.get(row.leads_to, ()):
            return row.leads_to
        return state if isinstance(state, str) else ""

    async def find(self, row: Outgoing) -> Outgoing | None:
        """Return the row as it is now, None if it was withdrawn."""
        return await self._connector.database.read(lambda tx: outbox.find(tx, row.id))

    async def find_open(self, after_id: int) -> list[Outgoing]:
        """Return open rows in order of their ids, after an id."""
        return await self._connector.database.read(lambda tx: outbox.find_open(tx, after_id=after_id))


async def _acknowledged(
    connector: Connector,
    tx: Transaction,
    sent: Outgoing,
    fresh: Outgoing | None,
    record: Any,
    reply: dict[str, Any],
) -> None:
    """Take the acknowledgement of `sent`; `fresh` is its row before it was removed, None if it was gone already."""
    rows, moves = ROWS[sent.kind], MOVES[sent.kind]
    pid = reply.get("providerPid" if record.role == terms.CONSUMER else "consumerPid")
    learnt = record.counterparty_pid is None and isinstance(pid, str) and pid
    if learnt:
        if await rows.find_by_party(tx, record.counterparty_id, record.role, pid) is not None:
            raise errors.PermanentDeliveryError("the partner answered with the pid of another process")
        record = msgspec.structs.replace(record, counterparty_pid=pid)
    if fresh is not None and not fresh.implied:
        record = await rows.save(tx, process.stepped(record, fresh.leads_to, now_ms=connector.now_ms()))
        await moves.go_on(connector, tx, record)
    elif learnt:
        record = await rows.save(tx, record)
        if (
            record.state == terms.TERMINATED
        ):  # ended here before the pid was known: the partner hears of it now
            end = decide.Move(kind=decide.TERMINATE, reason=record.error)
            await process.send_ended(connector, tx, record, moves.message_of(connector, record, end))


async def _refused(
    connector: Connector, tx: Transaction, row: Outgoing, record: Any, reason: str, *, reachable: bool
) -> None:
    """End a process whose message the partner refused, or could not be given; `reachable`: tell the partner."""
    moves = MOVES[row.kind]
    if record.state in machine.TERMINAL:
        return
    if reachable and await process.intent(tx, record.id) is not None:
        return  # our termination waited for this message and goes out now
    if row.leads_to == terms.TERMINATED or not reachable or record.counterparty_pid is None:
        await moves.end_here(connector, tx, record, record.error or reason)
        return
    end = decide.Move(kind=decide.TERMINATE, reason=reason, code="refused")
    await moves.carry_out(connector, tx, record, end)


def _read(reply: bytes) -> dict[str, Any]:
    try:
        return spelling.plain(strict_json.decode_object(reply))
    except errors.InvalidInputError:
        return {}


def _readable(reply: bytes) -> bool:
    """Return whether an answer is a document, or nothing at all."""
    if not reply.strip():
        return True
    try:
        strict_json.decode_object(reply)
    except errors.InvalidInputError:
        return False
    return True


def _names_process(answer: dict[str, Any]) -> bool:
    pids = (answer.get("consumerPid"), answer.get("providerPid"))
    return all(isinstance(pid, str) and 0 < len(pid) <= MAX_PID for pid in pids)
