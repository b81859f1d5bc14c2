"""Why a partner may see or have an asset or not, with our facts; and who could, if something were otherwise.

For our own people. Nothing is changed and nothing is recorded: it is what `offering` would decide, on one snapshot.
Words and forms are `management.explaining`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from comity import errors
from comity.controlplane import facts, offering, origins, revision_states
from comity.controlplane.connector import Connector
from comity.db import agreements, offers, partners, retirements
from comity.db.offers import Asset, ContractDefinition, PolicyDefinition
from comity.db.partners import Partner
from comity.db.store import Transaction
from comity.dsp import terms
from comity.dsp.negotiation import Agreement
from comity.management import explaining, query
from comity.management.explaining import Question, Supposed
from comity.odrl import explain as reasons
from comity.odrl.catenax import ACCESS

Document = dict[str, Any]
USE = "use"


class _Pair(Struct, frozen=True):
    """The two policies under which an asset is offered."""

    definition_id: str
    access: Document
    contract: Document


async def explain(connector: Connector, question: Question) -> Document:
    """Return for each offer of an asset, and each agreement about it, which rule decides, and with which facts.

    Raises:
        NotFoundError: there is no such partner or asset.
    """
    at_ms = connector.now_ms() if question.at_ms is None else question.at_ms

    async def unit(tx: Transaction) -> Document:
        partner = await partners.load(tx, question.participant)
        asset = await offers.load(tx, Asset, question.asset_id)
        said = [
            (label, await _decide(tx, partner, asset, policy, at_ms, action=action, purpose=question.purpose))
            for label, action, policy in _policies(await _pairs(tx, asset))
        ]
        said += [
            (
                f"to get data under the agreement {each.id}",
                await _under(tx, partner, asset, each, at_ms, question.purpose),
            )
            for each in await agreements.find_by_asset(tx, partner.id, asset.id, terms.PROVIDER)
        ]
        return explaining.encode(question, at_ms, said)

    return await connector.database.read(unit)


async def _under(
    tx: Transaction, partner: Partner, asset: Asset, agreement: Agreement, at_ms: int, purpose: str
) -> reasons.Explanation:
    retired = await retirements.find(tx, agreement.negotiation_id)
    if retired is not None:
        return reasons.Explanation(False, retired.words, (retired.words,), ())
    standing = await revision_states.handed_out(tx, asset.id, 0)
    if why := revision_states.obstacle(0, standing):
        return reasons.Explanation(False, why, (why,), ())
    since_ms = agreement.created_at
    return await _decide(tx, partner, asset, agreement.document, at_ms, purpose=purpose, since_ms=since_ms)


def _policies(pairs: list[_Pair]) -> list[tuple[str, str, Document]]:
    return [
        each
        for pair in pairs
        for each in (
            (f"to see the offer {pair.definition_id}", ACCESS, pair.access),
            (f"to agree to the offer {pair.definition_id}", USE, pair.contract),
        )
    ]


async def _pairs(tx: Transaction, asset: Asset) -> list[_Pair]:
    described = offering.describe(asset)
    definitions: list[ContractDefinition] = await offers.find_selecting(tx, [asset.id])
    found = []
    for each in definitions:
        if query.matches_all(each.assets_selector, described):
            access = await offers.load(tx, PolicyDefinition, each.access_policy_id)
            contract = await offers.load(tx, PolicyDefinition, each.contract_policy_id)
            found.append(_Pair(each.id, access.policy, await _following(tx, asset, contract.policy)))
    return found


async def _following(tx: Transaction, asset: Asset, policy: Document) -> Document:
    """Return a policy with the terms that follow what was received; one that they forbid is found out in `_decide`."""
    try:
        return origins.derive(policy, await origins.load(tx, asset.private_properties))
    except errors.PolicyError:
        return policy


async def _decide(
    tx: Transaction,
    partner: Partner,
    asset: Asset,
    policy: Document,
    at_ms: int,
    *,
    action: str = USE,
    purpose: str = "",
    since_ms: int | None = None,
    without: frozenset[str] = frozenset(),
) -> reasons.Explanation:
    if action == ACCESS:
        seen = facts.of(partner, at_ms, asset_id=asset.id)
        known = seen | await facts.looked_up(tx, partner, [offering.parse(policy)], at_ms)
    else:
        kept = await origins.obstacle(tx, asset.id, partner.id)
        if kept:
            return reasons.Explanation(False, kept, (kept,), ())
        known = await offering.facts_of_use(
            tx, partner, asset.id, policy, at_ms, purpose=purpose, since_ms=since_ms
        )
    parsed = offering.parse(policy)
    found = reasons.explain(parsed, _less(known, without), action=action)
    if found.allowed:
        return found
    lapsed = await facts.lapsed(tx, partner.id, [parsed], at_ms)
    return reasons.replace(found, lambda reason: facts.told(reason, lapsed))


def _less(known: Mapping[str, object], without: frozenset[str]) -> dict[str, object]:
    """Return facts as if some framework agreements and licences did not hold."""
    found = dict(known)
    for name in (facts.FRAMEWORK, facts.LICENCE):
        held = found.get(name)
        if without and isinstance(held, tuple | frozenset):
            found[name] = tuple(each for each in held if each not in without)
    return found


async def simulate(connector: Connector, supposed: Supposed) -> Document:
    """Return for every partner whether it sees an asset and may agree to it: now, and if something were otherwise.

    Raises:
        NotFoundError: there is no such asset, or no such partner to suppose something of.
    """
    now_ms = connector.now_ms()

    async def unit(tx: Transaction) -> Document:
        asset = await offers.load(tx, Asset, supposed.asset_id)
        pairs = await _pairs(tx, asset)
        if supposed.participant:
            await partners.load(tx, supposed.participant)
        rows = []
        for each in await partners.find_all(tx):
            before = await _outcome(tx, each, asset, pairs, now_ms)
            after = await _outcome(tx, *_otherwise(supposed, each, asset, pairs, now_ms), supposed.without)
            rows.append((each.id, each.name, before, after))
        return explaining.encode_simulation(supposed, rows)

    return await connector.database.read(unit)


def _otherwise(
    supposed: Supposed, partner: Partner, asset: Asset, pairs: list[_Pair], now_ms: int
) -> tuple[Partner, Asset, list[_Pair], int]:
    if supposed.participant in {"", partner.id}:
        more = {name: list(values) for name, values in supposed.attributes.items()}
        partner = msgspec.structs.replace(partner, attributes={**partner.attributes, **more})
    if supposed.policy is not None:
        pairs = [_Pair("the policy given", supposed.policy, supposed.policy)]
    return partner, asset, pairs, now_ms if supposed.at_ms is None else supposed.at_ms


async def _outcome(
    tx: Transaction,
    partner: Partner,
    asset: Asset,
    pairs: list[_Pair],
    at_ms: int,
    without: frozenset[str] = frozenset(),
) -> explaining.Outcome:
    """Return what the best of some offers gives a partner."""
    best = explaining.Outcome(explaining.HIDDEN, "nothing offers it")
    for pair in pairs:
        seen = await _decide(tx, partner, asset, pair.access, at_ms, action=ACCESS, without=without)
        if not seen.allowed:
            best = max(best, explaining.Outcome(explaining.HIDDEN, seen.because), key=_worth)
            continue
        had = await _decide(tx, partner, asset, pair.contract, at_ms, without=without)
        best = max(
            best,
            explaining.Outcome(explaining.ALLOWED if had.allowed else explaining.SEEN, had.because),
            key=_worth,
        )
    return best


def _worth(outcome: explaining.Outcome) -> tuple[int, bool]:
    return explaining.ORDER.index(outcome.kind), outcome.because != "nothing offers it"
