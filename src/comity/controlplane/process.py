"""The step that negotiations and transfers share: receive a message once, send a message, take its acknowledgement.

Everything here runs inside the one transaction of the step. The rules of repeats (DSP has no message id): the same
`@id` with an equal body gets the stored answer, with another body it is refused; else a legal transition wins; else a
message equal to the last one applied is a repeat. For a process's first message the partner's own pid is the id.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from comity import errors, strict_json
from comity.controlplane.authenticate import Caller
from comity.controlplane.connector import Connector
from comity.controlplane.signing import Attempt
from comity.db import evidence, inbox, outbox, partners, public_keys
from comity.db.outbox import Outgoing
from comity.db.store import Transaction
from comity.dsp import binding, codec, machine, messages, negotiation, notice, process, terms, transfer
from comity.dsp.negotiation import Negotiation
from comity.dsp.transfer import Transfer
from comity.evidence.entry import Entry, Request

Record = TypeVar("Record", Negotiation, Transfer)
Refusal = Callable[[errors.ComityError], tuple[int, bytes]]
FIRST = ""  # no message has this @id
ANSWERS: dict[str, Callable[[Any, str], messages.Message]] = {
    terms.NEGOTIATION: negotiation.answer,
    terms.TRANSFER: transfer.answer,
}
FORGOTTEN = "not known: it was sent before, and what proved it then is not known here any more"
MOST_KEPT = 64 * 1024
"""A longer answer, or refused message, does not lie beside its record, only its digest stands in it."""
REFUSED = "refused"
CARRIED = "state"
"""Stands for a message in the record of a state that no message led to."""
FOUND, CREATED = 200, 201
SHOWN = "the partner's end of the process shows that it has it"


class Incoming(Struct, frozen=True, kw_only=True):
    """A message as it came: from whom, for which of our processes (empty: a first message), and its exact bytes.

    `refusal` gives status and content of the answer to it if it is refused.
    """

    kind: str
    caller: Caller
    message: messages.Message
    document: dict[str, Any]
    content: bytes
    sha256: str
    process_id: str = ""
    refusal: Refusal

    @property
    def key(self) -> str:
        """The message's name in the state machine."""
        return messages.event_key(self.message)

    def digest(self, *, first: bool = False) -> bytes:
        """Digest of the content in canonical form; of a first message without its `@id`, which a retry may change."""
        content = self.document
        if first:
            content = {name: value for name, value in content.items() if name != "@id"}
        return strict_json.digest(content)


class Taken(Struct, frozen=True):
    """How a message is to be taken: as a repeat with this answer, or as a step.

    `idle` says that after the step no message of ours is on its way.
    """

    repeat: str | None
    step: process.Step | None
    digest: bytes
    idle: bool = False


async def take(
    connector: Connector, tx: Transaction, incoming: Incoming, record: Negotiation | Transfer, sender: str
) -> Taken:
    """Decide whether a message of `sender` for `record` is a repeat or a step; settle our open intents accordingly.

    Raises:
        RemoteProtocolError: it is neither.
        ConflictError: it met a message of ours; it is to be sent again.
    """
    digest = incoming.digest()
    seen = await find_answer(tx, incoming, record.id, digest)
    if seen is not None:
        return Taken(seen, None, digest)
    intents = [row for row in await outbox.find_of_process(tx, record.id) if not row.implied]
    now_ms = connector.now_ms()
    try:
        step = process.receive(
            incoming.kind,
            record.state,
            intents[-1].leads_to if intents else None,
            incoming.key,
            sender,
            under_way=any(not row.attempts or row.due_at <= now_ms for row in intents),
        )
    except errors.RemoteProtocolError:
        if record.last_received == digest:
            return Taken(record.state or "", None, digest)
        raise
    await _settle(connector, tx, step, intents)
    return Taken(None, step, digest, idle=not intents or step.implied or step.withdrawn)


async def find_answer(tx: Transaction, incoming: Incoming, process_id: str, digest: bytes) -> str | None:
    """Return what a message with this `@id` was answered, None if there was none.

    Raises:
        RemoteProtocolError: it was another message.
    """
    if incoming.message.id is None:
        return None
    stored = await inbox.find(tx, process_id, incoming.caller.participant_id, incoming.message.id)
    if stored is None:
        return None
    if stored[0] != digest:
        raise errors.RemoteProtocolError(
            f"another message with the @id {incoming.message.id[:200]} was received before"
        )
    return stored[1]


async def _settle(connector: Connector, tx: Transaction, step: process.Step, intents: list[Outgoing]) -> None:
    for row in intents:
        shown = step.implied and row is intents[0]
        if shown and step.after != terms.TERMINATED:
            await outbox.imply(tx, row.id)
        elif step.implied or step.withdrawn:
            await outbox.remove(tx, row)
            if shown:  # an answer to it may never come: this is the last that is heard of it
                await record_sent(connector, tx, row, attempt=None, outcome="acknowledged", detail=SHOWN)


async def take_first(tx: Transaction, incoming: Incoming, known: Negotiation | Transfer | None) -> str | None:
    """Return the stored answer if the partner's pid belongs to a process already, None if it is a new one.

    Raises:
        RemoteProtocolError: the pid is in use for another request.
    """
    if known is None:
        return None
    stored = await inbox.find(tx, known.id, incoming.caller.participant_id, FIRST)
    if stored is None or stored[0] != incoming.digest(first=True):
        raise errors.RemoteProtocolError("this pid is in use by another process of yours; take a new one")
    return stored[1]


async def record_received(
    connector: Connector,
    tx: Transaction,
    incoming: Incoming,
    record: Negotiation | Transfer,
    step: process.Step,
    *,
    digest: bytes,
) -> None:
    """Keep what was received: for repeats in the inbox, for third parties in the evidence."""
    party = incoming.caller.participant_id
    if terms.EDC_CONTEXT in incoming.message.context:
        tx.announce(partners.Slow(party))
    if not incoming.process_id:
        await inbox.add(
            tx, record.id, party, FIRST, digest=incoming.digest(first=True), answer_state=step.after
        )
    elif incoming.message.id is not None:
        await inbox.add(tx, record.id, party, incoming.message.id, digest=digest, answer_state=step.after)
    entry = msgspec.structs.replace(
        received(connector, incoming),
        process_id=record.id,
        counterparty_pid=record.counterparty_pid or "",
        before=step.before or "",
        after=step.after,
    )
    answer = messages.encode(ANSWERS[record.kind](record, step.after))
    await keep_answered(connector, tx, incoming, entry, FOUND if incoming.process_id else CREATED, answer)


async def keep_answered(
    connector: Connector, tx: Transaction, incoming: Incoming, entry: Entry, status: int, answer: bytes
) -> None:
    """Keep a message that was taken with the answer that its sender gets, which is signed here."""
    entry = msgspec.structs.replace(entry, reply=incoming.caller.arrival.reply(status, answer))
    kept = msgspec.structs.replace(beside(connector, incoming), answer=answer)
    if entry.outcome == REFUSED and len(kept.body) > MOST_KEPT:
        kept = msgspec.structs.replace(kept, body=b"", sealed=False)
    await evidence.append(tx, entry, kept)


async def record_refused(
    connector: Connector, tx: Transaction, incoming: Incoming, error: errors.ComityError
) -> None:
    """Keep that a partner's message was refused, and why."""
    entry = received(connector, incoming)
    entry = msgspec.structs.replace(entry, outcome=REFUSED, detail=error.message[:500])
    await keep_answered(connector, tx, incoming, entry, *incoming.refusal(error))


def received(connector: Connector, incoming: Incoming) -> Entry:
    """Return the record of what was received, as far as it is the same for all."""
    return Entry(
        at=connector.now_ms(),
        direction="in",
        message=incoming.key,
        message_id=incoming.message.id or "",
        sha256=incoming.sha256,
        sender=incoming.caller.participant_id,
        receiver=connector.participant_id,
        kind=incoming.kind,
        process_id=incoming.process_id,
        purpose=getattr(incoming.message, "purpose", None) or "",
        token_sha256=digest_of(incoming.caller.token),
        request=incoming.caller.arrival.request,
    )


async def intent(tx: Transaction, process_id: str) -> Outgoing | None:
    """Return our message of a process that is on its way and not shown to have arrived, or None."""
    rows = [row for row in await outbox.find_of_process(tx, process_id) if not row.implied]
    return rows[-1] if rows else None


async def send(
    connector: Connector,
    tx: Transaction,
    record: Negotiation | Transfer,
    message: messages.Message,
    *,
    after_s: float = 0.0,
    secret: bool = False,
    idle: bool = False,
) -> Outgoing:
    """Put our message in the outbox as the intent to reach the state it leads to.

    `idle`: the caller knows already that no message of ours is on its way for this process.

    Raises:
        LocalProtocolError: the protocol does not allow it now.
    """
    key = messages.event_key(message)
    open_row = None if idle else await intent(tx, record.id)
    after_id, coming = (open_row.id, open_row.leads_to) if open_row else (None, None)
    leads_to = process.move(record.kind, record.state, coming, key, record.role)
    return await _queue(
        connector, tx, record, message, leads_to=leads_to, after_id=after_id, after_s=after_s, secret=secret
    )


async def send_ended(
    connector: Connector, tx: Transaction, record: Negotiation | Transfer, message: messages.Message
) -> Outgoing:
    """Tell the partner of an end that has happened here already."""
    return await _queue(connector, tx, record, message, leads_to=record.state or "")


async def _queue(
    connector: Connector,
    tx: Transaction,
    record: Negotiation | Transfer,
    message: messages.Message,
    *,
    leads_to: str,
    after_id: int | None = None,
    after_s: float = 0.0,
    secret: bool = False,
) -> Outgoing:
    connector.halt.check()
    body, now_ms, key = messages.encode(message), connector.now_ms(), messages.event_key(message)
    return await outbox.add(
        tx,
        Outgoing(
            kind=record.kind,
            process_id=record.id,
            counterparty_id=record.counterparty_id,
            url=binding.join(record.counterparty_address, record.path(key)),
            message=key,
            message_id=message.id or "",
            body=connector.seal.close(body, message.id or "") if secret else body,
            sealed=secret,
            before=record.state,
            leads_to=leads_to,
            after_id=after_id,
            due_at=now_ms + int(after_s * 1000),
            created_at=now_ms,
        ),
    )


async def record_sent(
    connector: Connector,
    tx: Transaction,
    row: Outgoing,
    *,
    attempt: Attempt | None,
    outcome: str,
    detail: str = "",
) -> None:
    """Keep what became of a message of ours: its last attempt, the partner's words, and its signature on both."""
    body = plain_body(connector, row)
    token, answer, reply = (attempt.token, attempt.content, attempt.reply) if attempt else ("", b"", None)
    if attempt is not None and attempt.key is not None:
        await public_keys.keep(tx, attempt.key)
    await evidence.append(
        tx,
        Entry(
            at=connector.now_ms(),
            direction="out",
            message=row.message,
            message_id=row.message_id,
            sha256=sha256_hex(body),
            sender=connector.participant_id,
            receiver=row.counterparty_id,
            kind=row.kind,
            process_id=row.subject if row.kind == notice.KIND else row.process_id,
            before=row.before or "",
            after=row.leads_to,
            token_sha256=digest_of(token),
            attempts=row.attempts + 1,
            outcome=outcome,
            detail=detail[:500],
            purpose=_purpose(connector, row),
            request=attempt.request if attempt else Request(method="POST", target=row.url, note=FORGOTTEN),
            reply=reply,
        ),
        evidence.Beside(
            token=token,
            body=_kept(connector, body, secret=row.sealed),
            sealed=row.sealed,
            answer=answer if len(answer) <= MOST_KEPT else b"",
        ),
    )


def _purpose(connector: Connector, row: Outgoing) -> str:
    """Return what a request of ours said that the data is wanted for, if it said it."""
    if row.message != machine.TRANSFER_REQUEST:
        return ""
    message, _ = codec.decode(plain_body(connector, row), messages.TransferRequestMessage)
    return message.purpose or ""


async def check_move(tx: Transaction, record: Negotiation | Transfer, key: str) -> None:
    """Refuse a message of ours that could not be sent now.

    Raises:
        LocalProtocolError: the protocol does not allow it now.
    """
    open_row = await intent(tx, record.id)
    process.move(record.kind, record.state, open_row.leads_to if open_row else None, key, record.role)


def check_open(record: Negotiation | Transfer) -> None:
    """Refuse to end what has ended.

    Raises:
        LocalProtocolError: it has.
    """
    if record.state in machine.TERMINAL:
        raise errors.LocalProtocolError(f"it has ended already: {record.state}")


async def record_end(
    connector: Connector, tx: Transaction, record: Negotiation | Transfer, reason: str
) -> None:
    """Keep that a process was ended here without a message: there was nobody to tell, or no way to."""
    await evidence.append(
        tx,
        Entry(
            at=connector.now_ms(),
            direction="out",
            message=machine.TERMINATIONS[record.kind],
            sha256=sha256_hex(b""),
            sender=connector.participant_id,
            receiver=record.counterparty_id,
            kind=record.kind,
            process_id=record.id,
            counterparty_pid=record.counterparty_pid or "",
            before=record.state or "",
            after=terms.TERMINATED,
            outcome="not sent",
            detail=reason[:500],
        ),
    )


async def record_carried(connector: Connector, tx: Transaction, record: Transfer, detail: str) -> None:
    """Keep that a transfer has reached its state with what lies on a medium: no message says so."""
    await evidence.append(
        tx,
        Entry(
            at=connector.now_ms(),
            direction="out",
            message=CARRIED,
            sha256=sha256_hex(b""),
            sender=connector.participant_id,
            receiver=record.counterparty_id,
            kind=record.kind,
            process_id=record.id,
            counterparty_pid=record.counterparty_pid or "",
            before=record.told or "",
            after=record.state or "",
            outcome="not sent",
            detail=detail,
            purpose=record.purpose,
        ),
    )


def sha256_hex(body: bytes) -> str:
    """Return the hex digest of the exact bytes of a body."""
    return sha256(body).hexdigest()


def digest_of(token: str) -> str:
    """Return the hex digest of a token as a record has it, empty for none."""
    return sha256_hex(token.encode()) if token else ""


def _kept(connector: Connector, body: bytes, *, secret: bool) -> bytes:
    """Return a body as it lies beside its record: closed, where it holds a credential."""
    return connector.seal.close(body, sha256_hex(body)) if secret else body


def beside(connector: Connector, incoming: Incoming) -> evidence.Beside:
    """Return what is kept beside the record of a message that was received."""
    secret = getattr(incoming.message, "data_address", None) is not None
    body = _kept(connector, incoming.content, secret=secret)
    return evidence.Beside(token=incoming.caller.token, body=body, sealed=secret)


def plain_body(connector: Connector, row: Outgoing) -> bytes:
    """Return the bytes to send: the same at every attempt."""
    return connector.seal.open(row.body, row.message_id) if row.sealed else row.body


def stepped(
    record: Record, step_after: str, *, now_ms: int, digest: bytes | None = None, **changes: Any
) -> Record:
    """Return the record after a step."""
    if digest is not None:
        changes["last_received"] = digest
    return msgspec.structs.replace(record, state=step_after, updated_at=now_ms, **changes)
