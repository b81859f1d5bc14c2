"""What people decide of an inquiry, and what else they do with one: answer, grant, refuse, revoke, write, withdraw.

Who decides is a person, named by their API key. A deviation binds us as an agreement does: where the offer or the
partner has a rule of who approves, granting it takes those people, all of them with the same limits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from comity import errors
from comity.controlplane import asked, inquiries
from comity.controlplane import inquiry_steps as steps
from comity.controlplane.connector import Connector
from comity.db import agreements, negotiations, offers, partners
from comity.db import inquiries as rows
from comity.db.inquiries import Inquiry
from comity.db.offers import ContractDefinition
from comity.db.store import Transaction
from comity.dsp import catalog, terms
from comity.management import approvals as people
from comity.techdata import inquiry as forms

Document = dict[str, Any]


async def say(connector: Connector, name: str, text: str, *, by: str) -> Document:
    """Write to the other side; nothing is decided by it.

    Raises:
        NotFoundError: there is no such inquiry.
        InvalidInputError: it says nothing.
        ConflictError: it was not delivered, or its thread is full.
    """
    return await _step(connector, name, forms.SAY, text, by=by)


async def withdraw(connector: Connector, name: str, text: str, *, by: str) -> Document:
    """Withdraw an inquiry of ours; the owner's decision stands where it was made already.

    Raises:
        NotFoundError: there is no such inquiry.
        ConflictError: it is over, or not ours.
    """
    return await _step(connector, name, forms.WITHDRAW, text, by=by)


async def answer(connector: Connector, name: str, text: str, *, by: str) -> Document:
    """Answer a question or a change, as a person.

    Raises:
        NotFoundError: there is no such inquiry.
        InvalidInputError: it says nothing.
        PolicyError: nobody is named.
        ConflictError: it is over, or not ours to decide.
    """
    return await _step(connector, name, forms.ANSWER, text, by=by)


async def _step(connector: Connector, name: str, event: str, text: str, *, by: str) -> Document:
    async def unit(tx: Transaction) -> Inquiry:
        found = await rows.load(tx, name)
        _check(found, event)
        if event == forms.ANSWER:
            people.check_person([people.Need((by,))], [], by)
        if event == forms.SAY and await rows.count_steps(tx, name) >= steps.MAX_STEPS:
            raise errors.ConflictError(f"its thread has {steps.MAX_STEPS} steps, which are enough")
        return await _happen(connector, tx, found, event, text, [by] if by else [])

    return inquiries.shown(await connector.database.write(unit), connector.now_ms())


def _check(found: Inquiry, event: str) -> None:
    ours, granted = found.role == terms.PROVIDER, found.granted is not None
    fault = forms.why_not(found.kind, found.state, event, of_owner=ours, granted=granted)
    if found.state == forms.UNDELIVERED:
        fault = "it was never delivered"
    if fault:
        raise errors.ConflictError(f"{fault}: inquiry {found.id}")


async def _happen(
    connector: Connector,
    tx: Transaction,
    found: Inquiry,
    event: str,
    text: str,
    by: Sequence[str],
    **more: Any,
) -> Inquiry:
    """Make a step of ours, and tell the other side."""
    said = forms.Event(
        agreement_id=found.agreement_id, inquiry_id=found.id, event=event, text=text, by=list(by), **more
    )
    forms.check_event(said)
    partner = await partners.load(tx, found.counterparty_id)
    changed = steps.stepped(connector, found, said)
    await rows.save(tx, changed)
    await steps.send(connector, tx, partner, changed, said)
    return changed


async def grant(connector: Connector, name: str, limits: Document, text: str, *, by: str) -> Document:
    """Grant a deviation as a person, within the limits given.

    What they do not say stays as a colleague named it, or as it was asked; a `note` says what goes beyond what was
    asked. Where a rule wants more people it waits for them, and the asker hears of it when the last one has granted it.

    Raises:
        NotFoundError: there is no such inquiry.
        InvalidInputError: it is not limited, or its last day is over.
        PolicyError: this person may not grant it.
        ConflictError: it is over, or not ours to decide; this person has granted it; a colleague named other limits.
    """

    async def unit(tx: Transaction) -> Inquiry:
        found = await rows.load(tx, name)
        _check(found, forms.GRANT)
        within = forms.within(found.proposed or found.wanted, forms.read_limits(limits))
        forms.check_limits(within)
        forms.check_ahead(within.until if within else "", connector.now_ms(), "$.limits.until")
        if found.proposed is not None and within != found.proposed:
            raise errors.ConflictError(
                f"{found.decisions[0].by} granted it within other limits: {found.proposed.words()}",
                hint="grant it without naming limits, or refuse it",
            )
        needs = found.needs or await _needs(tx, found, by)
        people.check_person(needs, found.decisions, by)
        decisions = [*found.decisions, people.Decision(by, approved=True, reason=text, at=connector.now_ms())]
        changed = msgspec.structs.replace(found, needs=needs, decisions=decisions, proposed=within)
        if people.missing(needs, decisions):
            return await _proposed(connector, tx, changed, by)
        said = "\n".join(dict.fromkeys(each.reason for each in decisions if each.reason))
        who = [each.by for each in decisions]
        return await _happen(connector, tx, changed, forms.GRANT, said, who, limits=within)

    done = await connector.database.write(unit)
    given = done.granted or done.proposed
    more = forms.beyond(done.wanted, given) if given else ""
    note = {"note": f"beyond what was asked: {more}"} if more else {}
    return {**inquiries.shown(done, connector.now_ms()), **note}


async def _proposed(connector: Connector, tx: Transaction, changed: Inquiry, by: str) -> Inquiry:
    """Keep that somebody grants it, and that others have to as well."""
    changed = msgspec.structs.replace(changed, updated_at=connector.now_ms())
    await rows.save(tx, changed)
    within = changed.proposed.document() if changed.proposed else {}
    document = {"limits": within, "text": changed.decisions[-1].reason}
    await steps.note(connector, tx, changed, document, outcome=steps.PROPOSED, by=by)
    await steps.tell(connector, tx, changed, steps.PROPOSED)
    return changed


async def _needs(tx: Transaction, found: Inquiry, by: str) -> list[people.Need]:
    """Return who has to grant it: whom the partner's rule and that of the offer name; without one, whoever does."""
    agreement = await agreements.find_of_party(tx, found.agreement_id, found.counterparty_id, found.role)
    rules = [each.rule for each in asked.wanted_by(await partners.find(tx, found.counterparty_id))]
    if agreement is not None:
        record = await negotiations.load(tx, agreement.negotiation_id)
        named = catalog.parse_offer_id(str(record.offer.get("@id") or ""))
        definition = await offers.find(tx, ContractDefinition, named.definition_id) if named else None
        rule = people.stored(definition.approval) if definition else None
        rules += [rule] if rule else []
    return [people.need(each, ()) for each in rules] or [people.Need((by,))]


async def refuse(connector: Connector, name: str, reason: str, *, by: str) -> Document:
    """Refuse what is asked, as a person: one of those who would have to grant it.

    Raises:
        NotFoundError: there is no such inquiry.
        InvalidInputError: no reason is given.
        PolicyError: this person may not decide it.
        ConflictError: it is over, or not ours to decide.
    """

    async def unit(tx: Transaction) -> Inquiry:
        found = await rows.load(tx, name)
        _check(found, forms.REFUSE)
        asks_much = found.kind != forms.QUESTION
        needs = found.needs or (await _needs(tx, found, by) if asks_much else [people.Need((by,))])
        people.check_person(needs, [], by)
        return await _happen(connector, tx, found, forms.REFUSE, reason, [by])

    return inquiries.shown(await connector.database.write(unit), connector.now_ms())


async def revoke(connector: Connector, name: str, reason: str, *, by: str) -> Document:
    """Take back a deviation as a person: one who granted it, or who would have to grant it now.

    It holds no more from this moment; what was built before stays as it is.

    Raises:
        NotFoundError: there is no such inquiry.
        InvalidInputError: no reason is given.
        PolicyError: this person may not decide it.
        ConflictError: no deviation was granted by it, it was revoked before, or it is not ours to decide.
    """

    async def unit(tx: Transaction) -> Inquiry:
        found = await rows.load(tx, name)
        _check(found, forms.REVOKE)
        granted = people.Need(tuple(each.by for each in found.decisions))
        people.check_person([*await _needs(tx, found, by), granted], [], by)
        return await _happen(connector, tx, found, forms.REVOKE, reason, [by], at=connector.now_ms())

    return inquiries.shown(await connector.database.write(unit), connector.now_ms())


async def check_answers(connector: Connector, names: Sequence[str], *, by: str) -> None:
    """Refuse, before files are hashed, to answer inquiries by a revision that could not answer them.

    Raises:
        NotFoundError, PolicyError, ConflictError: as `answer_with`.
    """

    async def unit(tx: Transaction) -> None:
        for name in names:
            _check(await rows.load(tx, name), forms.REVISE)
            people.check_person([people.Need((by,))], [], by)

    if names:
        await connector.database.read(unit)


async def answer_with(
    connector: Connector,
    tx: Transaction,
    names: Sequence[str],
    *,
    asset_id: str,
    manifest_sha256: str,
    revision: int,
    by: str,
) -> None:
    """Answer inquiries by the revision that is published in the same unit because of them; `by` publishes it.

    Raises:
        NotFoundError: there is no such inquiry.
        PolicyError: nobody is named.
        ConflictError: it is about another asset, over, or not ours to decide.
    """
    for name in names:
        found = await rows.load(tx, name)
        _check(found, forms.REVISE)
        if found.asset_id != asset_id:
            raise errors.ConflictError(f"inquiry {name} is about {found.asset_id}, not about {asset_id}")
        people.check_person([people.Need((by,))], [], by)
        text = f"revision {revision}" if revision else ""
        more = {"revision": revision, "manifest_sha256": manifest_sha256}
        await _happen(connector, tx, found, forms.REVISE, text, [by], **more)
