"""Notices between Comities: what one does on its arrival here, and what follows from the answer to one of ours.

A notice is taken once: a repeat of its `@id` with an equal body gets the stored answer, with another body it is
refused. It is in the evidence on both sides, in the unit of what it does. How ours are sent is `notify`'s part.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from comity import errors, strict_json
from comity.controlplane import (
    authenticate,
    checkpoints,
    comparing,
    framework_notices,
    framework_signing,
    inquiry_notices,
    process,
    receipts,
    received,
    revision_notices,
    witnessing,
)
from comity.controlplane.authenticate import Caller
from comity.controlplane.connector import Connector
from comity.controlplane.process import Incoming
from comity.db import inbox
from comity.db.outbox import Outgoing
from comity.db.partners import Partner
from comity.db.store import Transaction
from comity.dsp import messages, receipt, revision
from comity.dsp import notice as notices
from comity.techdata import inquiry

Document = dict[str, Any]


async def _nothing(*_: Any) -> None:
    """What follows from most answers."""


class Kind(Struct, frozen=True, kw_only=True):
    """What is done with notices of a type; `subject` names the member that says which agreement or process it is about.

    `receive` returns the members of the answer, or refuses with InvalidInputError or RemoteProtocolError; `answered`
    and `refused` learn what became of ours, in the unit that takes it out of the outbox; `answered` raises
    InvalidInputError for an answer that is bad, and then the notice counts as refused.
    """

    receive: Callable[[Connector, Transaction, Partner, Document], Awaitable[Document]]
    answered: Callable[[Connector, Transaction, Outgoing, Document], Awaitable[None]] = _nothing
    refused: Callable[[Connector, Transaction, Outgoing, str], Awaitable[None]] = _nothing
    subject: str = "agreementId"


_RECEIPT = Kind(receive=receipts.receive, answered=receipts.answered, refused=receipts.refused)
KINDS: dict[str, Kind] = {
    receipt.DELIVERY: _RECEIPT,
    receipt.DELETION: _RECEIPT,
    received.NOTICE: Kind(receive=received.take_attestation),
    revision.NOTICE: Kind(
        receive=revision_notices.receive,
        answered=revision_notices.answered,
        refused=revision_notices.refused,
    ),
    comparing.NOTICE: Kind(receive=comparing.receive, answered=comparing.answered, refused=comparing.refused),
    checkpoints.NOTICE: Kind(
        receive=witnessing.receive, answered=checkpoints.answered, refused=checkpoints.refused
    ),
    framework_signing.NOTICE: Kind(
        receive=framework_notices.receive,
        answered=framework_notices.answered,
        refused=framework_notices.refused,
        subject="frameworkAgreement",
    ),
    inquiry.NOTICE: Kind(
        receive=inquiry_notices.receive_asked,
        answered=inquiry_notices.answered,
        refused=inquiry_notices.refused,
    ),
    inquiry.EVENT_NOTICE: Kind(
        receive=inquiry_notices.receive_event,
        answered=inquiry_notices.answered,
        refused=inquiry_notices.refused,
    ),
}
"""Type of a notice -> what is done with it."""


class IncomingNotice(Incoming, frozen=True, kw_only=True):
    """A notice as it came; `process_id` is its subject."""

    @property
    def key(self) -> str:
        """Its type: no state machine knows it."""
        return str(self.document["@type"])


async def receive(connector: Connector, caller: Caller, content: bytes, refusal: process.Refusal) -> Document:
    """Take a notice and return the answer; `refusal` is the one to a notice that is refused.

    Raises:
        RemoteProtocolError, InvalidInputError: refused; nothing changed but the evidence.
        IdentityError: the token was used before, or the caller is no partner.
        CrowdedError: too many of its messages were refused.
    """
    connector.limits.check_refusals(caller.participant_id, connector.now_ms())
    document = notices.decode(content)
    kind = KINDS.get(document["@type"])
    subject = document.get(kind.subject) if kind else ""
    incoming = IncomingNotice(
        kind=notices.KIND,
        caller=caller,
        message=messages.Message(context=document.get("@context"), id=document["@id"]),
        document=document,
        content=content,
        sha256=process.sha256_hex(content),
        process_id=subject if notices.is_name(subject) else "",
        refusal=refusal,
    )
    try:
        return await _take(connector, incoming, kind)
    except (errors.ProtocolError, errors.InvalidInputError, errors.NotFoundError) as error:
        await _refuse(connector, incoming, error)
        raise


async def _take(connector: Connector, incoming: IncomingNotice, kind: Kind | None) -> Document:
    digest, document = incoming.digest(), incoming.document

    async def unit(tx: Transaction) -> Document:
        partner = await authenticate.use(tx, incoming.caller)
        stored = await process.find_answer(tx, incoming, notices.KIND, digest)
        if stored is not None:
            return strict_json.decode_object(stored.encode())
        if kind is None:
            raise errors.InvalidInputError(
                f"this connector knows no notice {document['@type'][:200]}", path="$.@type"
            )
        answer = notices.answer(document, await kind.receive(connector, tx, partner, document))
        content = notices.encode(answer)
        await inbox.add(
            tx,
            notices.KIND,
            partner.id,
            document["@id"],
            digest=digest,
            answer_state=content.decode(),
        )
        entry = process.received(connector, incoming)
        await process.keep_answered(connector, tx, incoming, entry, process.FOUND, content)
        return answer

    return await connector.database.write(unit)


async def _refuse(connector: Connector, incoming: IncomingNotice, error: errors.ComityError) -> None:
    async def unit(tx: Transaction) -> None:
        await authenticate.use(tx, incoming.caller)
        await process.record_refused(connector, tx, incoming, error)

    await connector.database.write(unit)
    connector.limits.note_refusal(incoming.caller.participant_id, connector.now_ms())


def document(row: Outgoing) -> Document:
    """Return the notice in a row of the outbox."""
    return strict_json.decode_object(row.body)


async def answered(connector: Connector, tx: Transaction, row: Outgoing, answer: Document) -> None:
    """Do what follows from the partner's answer to a notice of ours."""
    kind = KINDS.get(row.message)
    if kind is not None:  # one of another version of this connector has no other end here
        await kind.answered(connector, tx, row, answer)


async def refused(connector: Connector, tx: Transaction, row: Outgoing, reason: str) -> None:
    """Do what follows when a notice of ours is not taken."""
    kind = KINDS.get(row.message)
    if kind is not None:
        await kind.refused(connector, tx, row, reason)
