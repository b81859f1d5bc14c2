"""Is a framework agreement in force between us and others now; and what is under it.

Asked at negotiation, at transfer start and at each data request, on the caller's own snapshot: nothing is remembered.
An amendment that all of them agreed to has taken the place of the version that a policy names. A party's suspension or
end counts for all that is between it and others; what we know of a partner is fresh for its lease only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from comity import errors
from comity.db import agreements, frameworks, transfers
from comity.db.frameworks import Framework
from comity.db.store import Transaction
from comity.dsp.transfer import Transfer
from comity.framework import check, release
from comity.framework import document as documents
from comity.odrl import model
from comity.odrl.policy import atoms

Document = dict[str, Any]
MAX_PARENTS = 8
_SAID = {frameworks.SUSPENDED: "suspended", frameworks.ENDED: "ended"}


async def in_force(tx: Transaction, urn: str, parties: Iterable[str], now_ms: int) -> str:
    """Return why a framework agreement does not hold between us and `parties` now; empty if it does."""
    others = tuple(parties)
    for _ in range(MAX_PARENTS):
        row = await frameworks.find(tx, urn)
        if row is None:
            return f"the framework agreement {urn[:200]} is not known here"
        row, ended = await _newest(tx, row, others)
        framework = read(row)
        reason = ended or _at_time(framework, now_ms) or await _agreed(tx, row, others, now_ms)
        if reason or not row.parent:
            return reason and f"the framework agreement {framework.title!r} is not in force: {reason}"
        urn = row.parent
    return "the framework agreement has too many parents"


def read(row: Framework) -> documents.Framework:
    """Return the document of a row as a value."""
    return msgspec.json.decode(row.document, type=documents.Framework)


async def _newest(tx: Transaction, row: Framework, others: Sequence[str]) -> tuple[Framework, str]:
    """Return the newest version that all have agreed to, and why that ends what is under `row`, if it does."""
    ended = ""
    while row.replaced_by:
        agreed = [each for each in await frameworks.find_parties(tx, row.replaced_by) if each.agreed_at]
        newer = await frameworks.find(tx, row.replaced_by)
        all_agreed = {*others} <= {each.participant_id for each in agreed}
        if newer is None or not all_agreed or not any(each.own for each in agreed):
            break
        row = newer
        if read(row).earlier_agreements == "end":
            ended = "an amendment ended what is under the version before it"
    return row, ended


def _at_time(framework: documents.Framework, now_ms: int) -> str:
    begin, end = check.moments(framework)
    if now_ms < begin:
        return f"it begins {framework.validity.from_}"
    return f"it ended {framework.validity.until}" if now_ms > end else ""


async def _agreed(tx: Transaction, row: Framework, others: Sequence[str], now_ms: int) -> str:
    known = {each.participant_id: each for each in await frameworks.find_parties(tx, row.urn)}
    ours = next((each for each in known.values() if each.own), None)
    if ours is None:
        return "it is not signed here"
    for name in (ours.participant_id, *others):
        each = known.get(name)
        if each is None or not each.agreed_at:
            return f"{name[:200]} has not signed it"
        if each.state in _SAID:
            return f"{each.participant_id} {_SAID[each.state]} it: {each.reason}"
        if each.fresh_until and now_ms > each.fresh_until:
            return f"nothing was heard of {each.participant_id} for longer than the lease"
    return ""


async def inherited(tx: Transaction, urn: str, policy: Document) -> Document:
    """Return a policy under a framework agreement: with its release rules and those above it, and that it is in force.

    Raises:
        NotFoundError: there is none with this URN, or id.
        ConflictError: an amendment has taken its place.
        InvalidInputError: the policy contradicts it; each contradiction is named.
    """
    row = await frameworks.load(tx, urn)
    if row.replaced_by:
        raise errors.ConflictError(
            "an amendment has taken its place", hint=f"name the newest version: {row.replaced_by}"
        )
    above, parent = [read(row)], row.parent
    while parent and len(above) <= MAX_PARENTS and (found := await frameworks.find(tx, parent)):
        above.append(read(found))
        parent = found.parent
    return release.inherit(policy, row.urn, *above)


def named_in(policy: Document) -> frozenset[str]:
    """Return the URNs of framework agreements that a policy names."""
    read = model.parse(policy)
    rules = (*read.permission, *read.prohibition, *read.obligation)
    found = (each for rule in rules for each in atoms(rule.constraints) if each.operand == release.OPERAND)
    return frozenset(text for each in found for text in release.texts(each.right))


async def why_not(tx: Transaction, record: Transfer, now_ms: int) -> str:
    """Return why the framework agreements that a transfer's agreement names do not allow it now; empty if they do."""
    agreement = await agreements.find_of_party(tx, record.agreement_id, record.counterparty_id, record.role)
    for urn in named_in(agreement.document) if agreement else ():
        reason = await in_force(tx, urn, (record.counterparty_id,), now_ms)
        if reason:
            return reason
    return ""


async def family(tx: Transaction, urn: str) -> set[str]:
    """Return the URNs of all that stands or falls with a framework agreement: its versions, and what is under them."""
    rows = await frameworks.find_all(tx)
    ids = {each.framework_id for each in rows if each.urn == urn}
    while True:
        found = {each.urn for each in rows if each.framework_id in ids}
        more = {each.framework_id for each in rows if each.parent in found} - ids
        if not more:
            return found
        ids |= more


async def find_transfers(tx: Transaction, urns: set[str], counterparty_id: str = "") -> list[Transfer]:
    """Return the open transfers under framework agreements, with one partner or with all."""
    found = []
    for record in await transfers.find_open(tx):
        if counterparty_id in {"", record.counterparty_id}:
            agreement = await agreements.find_of_party(
                tx, record.agreement_id, record.counterparty_id, record.role
            )
            if agreement is not None and urns & named_in(agreement.document):
                found.append(record)
    return found
