"""Notices on a medium: ours as they are signed and written down, a partner's as they are proven and taken once.

They are in the evidence on both sides with the token over their exact bytes, as what goes over a line is. There is no
answer: whoever wrote one learns what became of it from what comes back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from comity import errors
from comity.controlplane import authenticate, process
from comity.controlplane.authenticate import Caller
from comity.controlplane.connector import Connector
from comity.controlplane.notices import IncomingNotice
from comity.db import evidence, inbox, partners, public_keys
from comity.db.partners import Partner
from comity.db.store import Transaction
from comity.dsp import messages
from comity.dsp import notice as notices
from comity.dsp.carried import Message
from comity.evidence.entry import Entry

Document = dict[str, Any]
Act = Callable[[Connector, Transaction, Partner, Document], Awaitable[Any]]
WRITTEN = "written"
"""Outcome of a record of a notice that went on a medium: nobody has answered it."""


async def write(
    connector: Connector, tx: Transaction, partner_id: str, notice: Document, subject: str
) -> Message:
    """Sign a notice to a partner, keep that it was written, and return what goes on the medium.

    Raises:
        UnstampedError: nothing new may proceed.
    """
    connector.halt.check()
    document = {"@context": notices.CONTEXT, **notice, "@id": notice.get("@id") or connector.new_id()}
    content = notices.encode(document)
    token = connector.identity.authorization(partner_id, content).removeprefix("Bearer ")
    entry = Entry(
        at=connector.now_ms(),
        direction="out",
        message=document["@type"],
        message_id=document["@id"],
        sha256=process.sha256_hex(content),
        sender=connector.participant_id,
        receiver=partner_id,
        kind=notices.KIND,
        process_id=subject,
        token_sha256=process.digest_of(token),
        outcome=WRITTEN,
    )
    await evidence.append(tx, entry, evidence.Beside(token=token, body=content))
    return Message(content.decode(), token)


async def prove(connector: Connector, message: Message) -> tuple[Caller, Document]:
    """Return who wrote a notice, and what it says.

    Raises:
        IdentityError: it is not proven, or not for us.
        InvalidInputError: it is no notice.
    """
    content = message.notice.encode(errors="replace")
    caller = await connector.identity.carried(message.token, content)
    return caller, notices.decode(content)


async def take(
    connector: Connector, tx: Transaction, caller: Caller, message: Message, document: Document, act: Act
) -> bool:
    """Take a proven notice, once, with what `act` does; return False where it was taken before.

    Raises:
        IdentityError: it is no partner's (any more).
        RemoteProtocolError: another notice with this id was taken before.
        InvalidInputError: `act` refuses it.
    """
    partner = await partners.find(tx, caller.participant_id)
    if partner is None:
        raise authenticate.unknown_partner(caller.participant_id)
    content = message.notice.encode()
    incoming = _incoming(caller, content, document)
    digest = incoming.digest()
    if await process.find_answer(tx, incoming, notices.KIND, digest) is not None:
        return False
    if caller.key is not None:
        await public_keys.keep(tx, caller.key)
    members = await act(connector, tx, partner, document)
    said = notices.encode(notices.answer(document, members if isinstance(members, dict) else {}))
    name = document["@id"]
    await inbox.add(tx, notices.KIND, partner.id, name, digest=digest, answer_state=said.decode())
    await evidence.append(tx, process.received(connector, incoming), process.beside(connector, incoming))
    return True


def _incoming(caller: Caller, content: bytes, document: Document) -> IncomingNotice:
    subject = document.get("agreementId")
    return IncomingNotice(
        kind=notices.KIND,
        caller=caller,
        message=messages.Message(context=document.get("@context"), id=document["@id"]),
        document=document,
        content=content,
        sha256=process.sha256_hex(content),
        process_id=subject if notices.is_name(subject) else "",
        refusal=_unanswered,
    )


def _unanswered(_: errors.ComityError) -> tuple[int, bytes]:
    return 0, b""
