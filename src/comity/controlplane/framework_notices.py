"""What Comities tell each other about a framework agreement (`comity:FrameworkNotice`), and what that changes here.

`event` is one of suspended, resumed, ended (the sender's own standing), acceded (said by who proposed it), heartbeat,
delivered, confirmed, signature. Each of them, and each answer, renews the lease on what we know of the sender.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from comity import errors, strict_json
from comity.controlplane import framework_deliveries as deliveries
from comity.controlplane import framework_signatures as signatures
from comity.controlplane import framework_signing as signing
from comity.controlplane import framework_stops as stops
from comity.controlplane import frameworks
from comity.controlplane.connector import Connector
from comity.db import frameworks as rows
from comity.db.outbox import Outgoing
from comity.db.partners import Partner
from comity.db.store import Transaction
from comity.framework import notice as forms

Document = dict[str, Any]
Event = Callable[[Connector, Transaction, rows.Framework, rows.Party, Document], Awaitable[None]]
_STATES = {name: state for state, name in stops.EVENTS.items()}
MOST_PARTIES = 1000
"""How many parties a proposer may tell of: each is a row that is looked at, for ever."""


async def receive(connector: Connector, tx: Transaction, partner: Partner, notice: Document) -> Document:
    """Take a notice, and answer where we stand ourselves.

    Raises:
        InvalidInputError: it is about no framework agreement with this partner, or says nothing that is known.
        ConflictError: here it is not finalized yet, so it is to be told again.
    """
    row = await rows.find(tx, forms.name(notice, "frameworkAgreement"))
    party = await rows.find_party(tx, row.urn, partner.id) if row else None
    if row is None or party is None:
        raise errors.InvalidInputError(
            "there is no such framework agreement between us", path="$.frameworkAgreement"
        )
    if not party.agreed_at:
        raise errors.ConflictError("the framework agreement is not finalized here yet")
    take = EVENTS.get(str(notice.get("event")))
    if take is None:
        raise errors.InvalidInputError(f"the event is none of {', '.join(EVENTS)}", path="$.event")
    await take(connector, tx, row, party, notice)
    await _hear(connector, tx, row.urn, partner.id)
    ours = await rows.find_party(tx, row.urn, connector.participant_id)
    return _standing(ours)


def _standing(ours: rows.Party | None) -> Document:
    if ours is None:
        return {}
    return {"state": ours.state, "reason": ours.reason, "at": ours.changed_at}


async def _hear(connector: Connector, tx: Transaction, urn: str, partner_id: str) -> None:
    """Renew the lease on what we know of a partner; what waited for that goes on."""
    party = await rows.find_party(tx, urn, partner_id)
    if party is None:
        return
    lapsed = bool(party.fresh_until) and party.fresh_until < connector.now_ms()
    await rows.save_party(tx, signing.renewed(connector, party))
    if lapsed:
        await stops.go_on(connector, tx, urn, partner_id)


async def answered(connector: Connector, tx: Transaction, row: Outgoing, answer: Document) -> None:
    """Take a partner's answer: it is there, and says where it stands."""
    urn = row.subject
    party = await rows.find_party(tx, urn, row.counterparty_id)
    framework = await rows.find(tx, urn)
    if party is None or framework is None:
        return
    await _stand_as_said(connector, tx, party, answer)
    await _hear(connector, tx, urn, row.counterparty_id)


async def refused(connector: Connector, tx: Transaction, row: Outgoing, reason: str) -> None:  # noqa: ARG001
    """Take that a partner takes no notices: it has no lease, and what was suspended with it is terminated."""
    party = await rows.find_party(tx, row.subject, row.counterparty_id)
    notice = strict_json.decode_object(row.body)
    if party is None or (row.url and row.counterparty_id not in connector.deaf):
        return  # it takes notices, but not this one: its lease goes on to its end
    later = connector.now_ms() + connector.framework_lease_ms
    await rows.save_party(tx, msgspec.structs.replace(party, fresh_until=0, beat_at=later))
    if notice.get("event") in {"suspended", "ended"}:
        await stops.terminate(connector, tx, row.subject, row.counterparty_id)


async def _change(
    connector: Connector, tx: Transaction, _: rows.Framework, party: rows.Party, notice: Document
) -> None:
    await _stand(connector, tx, party, _STATES[notice["event"]], notice)


async def _stand_as_said(connector: Connector, tx: Transaction, party: rows.Party, said: Document) -> None:
    """Take where a partner says that it stands, if it says so."""
    state = said.get("state")
    if isinstance(state, str) and state in stops.EVENTS:
        await _stand(connector, tx, party, state, said)


async def _stand(
    connector: Connector, tx: Transaction, party: rows.Party, state: str, said: Document
) -> None:
    """Take where a partner stands; what it said later has come first, if this is older."""
    at, reason = forms.moment(said, "at"), forms.text(said, "reason")
    if party.state == rows.ENDED or at < party.changed_at:
        return
    changed = msgspec.structs.replace(party, state=state, reason=reason, changed_at=at)
    await rows.save_party(tx, changed)
    if state == party.state:  # said again later: what it said in between counts no more
        return
    if state == rows.AGREED:
        await stops.go_on(connector, tx, party.urn, party.participant_id)
    else:
        await stops.cut(tx, party.urn, party.participant_id)
    if state == rows.ENDED:
        family = await frameworks.family(tx, party.urn)
        await stops.end_agreements(connector, tx, family, party.participant_id)


async def _heartbeat(
    connector: Connector, tx: Transaction, _: rows.Framework, party: rows.Party, notice: Document
) -> None:
    await _stand_as_said(connector, tx, party, notice)


async def _acceded(
    connector: Connector, tx: Transaction, row: rows.Framework, party: rows.Party, notice: Document
) -> None:
    """Take from who proposed it that another one has signed the same hash."""
    if party.participant_id != row.proposer:
        raise errors.InvalidInputError("only who proposed it says who has acceded", path="$.party")
    joined, agreement_id = forms.name(notice, "party"), forms.name(notice, "agreementId")
    if not frameworks.read(row).lets_sign(joined):
        raise errors.InvalidInputError("it is not open to this participant", path="$.party")
    known = await rows.find_parties(tx, row.urn)
    if len(known) >= MOST_PARTIES:
        raise errors.InvalidInputError(f"it has {MOST_PARTIES} parties here, the most", path="$.party")
    if joined not in {each.participant_id for each in known}:
        new = rows.Party(
            urn=row.urn,
            participant_id=joined,
            agreed_at=connector.now_ms(),
            agreement_id=agreement_id,
            detail=f"signed with {row.proposer}, which holds its signature and says so",
            state=rows.AGREED,
            changed_at=0,
        )
        await rows.save_party(tx, signing.renewed(connector, new, at=connector.now_ms()))


EVENTS: dict[str, Event] = {
    **dict.fromkeys(_STATES, _change),
    "heartbeat": _heartbeat,
    "acceded": _acceded,
    "delivered": deliveries.take,
    "confirmed": deliveries.take_confirmation,
    "signature": signatures.take,
}
