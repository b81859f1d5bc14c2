"""Which offers stand for a partner: one answer for the catalog, a dataset by id, a negotiation and a transfer.

An asset is offered where a contract definition selects it and its access policy allows the partner to see it. What
may be agreed is the contract policy. An unknown term anywhere means no.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Struct

from comity import strict_json
from comity.controlplane.decide import Standing
from comity.db import agreements, offers
from comity.db.offers import Asset, ContractDefinition, PolicyDefinition
from comity.db.partners import Partner
from comity.db.store import Transaction
from comity.dsp import catalog
from comity.management import query
from comity.odrl import compare, evaluate, model

Document = dict[str, Any]
DIGEST_CHARACTERS = 16
CACHED_BYTES = 8192


class Offering(Struct, frozen=True):
    """An asset offered to a partner under one contract definition."""

    offer_id: str
    asset: Asset
    policy: Document


@lru_cache(maxsize=4096)
def _parse(policy: bytes) -> model.Policy:
    return model.parse(msgspec.json.decode(policy))


def parse(policy: Document) -> model.Policy:
    """Read a policy, or take it as it was read before; a long one, which a partner may have sent, is not kept."""
    canonical = strict_json.canonical(policy)
    return (_parse if len(canonical) <= CACHED_BYTES else _parse.__wrapped__)(canonical)


@lru_cache(maxsize=4096)
def _terms_digest(policy: bytes) -> str:
    return strict_json.digest(compare.canonical(_parse(policy)).decode()).hex()[:DIGEST_CHARACTERS]


def facts(partner: Partner, now_ms: int, *, count: int = 1) -> dict[str, object]:
    """Return what policies may ask about a use number `count` by a partner now."""
    stated: dict[str, object] = {
        "recipient": partner.id,
        "dateTime": datetime.fromtimestamp(now_ms / 1000, UTC),
        "count": count,
    }
    for name, values in partner.attributes.items():
        if values:
            stated[name] = tuple(values)
    return stated


async def facts_of_use(
    tx: Transaction, partner: Partner, asset_id: str, policy: Document, now_ms: int, *, begun: bool = False
) -> dict[str, object]:
    """Return the facts about the partner's next use of an asset, or about one that has `begun` and is counted.

    Uses are counted over all its agreements about the asset: a new agreement does not begin a new count.
    """
    count = 0 if begun else 1
    if b"count" in strict_json.canonical(policy):
        count += await agreements.count_uses(tx, partner.id, asset_id)
    return facts(partner, now_ms, count=count)


def judge(policy: Document, known: Mapping[str, object]) -> evaluate.Decision:
    """Evaluate the use of something under a policy."""
    return evaluate.evaluate(parse(policy), known)


def describe(asset: Asset) -> Document:
    """Return the properties of an asset as criteria and catalogs see them, its id among them."""
    return {**asset.properties, "@id": asset.id, "id": asset.id, query.EDC + "id": asset.id}


class Offerings:
    """The definitions and policies of one snapshot, to ask for many assets."""

    def __init__(
        self, definitions: list[ContractDefinition], policies: dict[str, Document], partner: Partner
    ) -> None:
        self._definitions = definitions
        self._policies = policies
        self._partner = partner
        self._places: dict[str, list[int]] = {}
        """Id of an asset (empty: any) -> places of the definitions that can select it: most name one asset."""
        for place, each in enumerate(definitions):
            self._places.setdefault(each.named_asset, []).append(place)

    def of(self, asset: Asset, now_ms: int) -> list[Offering]:
        """Return the offers of an asset that the partner may see."""
        known = facts(self._partner, now_ms)
        described = describe(asset)
        places = sorted(self._places.get("", []) + self._places.get(asset.id, []))
        return [
            self._offering(each, asset)
            for each in map(self._definitions.__getitem__, places)
            if query.matches_all(each.assets_selector, described)
            and judge(self._policies[each.access_policy_id], known).allowed
        ]

    def _offering(self, definition: ContractDefinition, asset: Asset) -> Offering:
        policy = self._policies[definition.contract_policy_id]
        digest = _terms_digest(strict_json.canonical(policy))
        return Offering(
            catalog.format_offer_id(catalog.OfferId(definition.id, asset.id, digest)),
            asset,
            _said(policy),
        )


def _said(policy: Document) -> Document:
    """Return what an offer under a policy says: its terms, and what describes them."""
    parsed = parse(policy)
    return {**model.terms(parsed), **parsed.extra}


async def load(tx: Transaction, partner: Partner, assets: Sequence[Asset]) -> Offerings:
    """Return the contract definitions that may select one of some assets, ready to be asked about these."""
    definitions = await offers.find_selecting(tx, [each.id for each in assets])
    used = {name for each in definitions for name in (each.access_policy_id, each.contract_policy_id)}
    policies = {each.id: each.policy for each in await offers.find_some(tx, PolicyDefinition, used)}
    return Offerings(definitions, policies, partner)


async def find_by_offer(tx: Transaction, partner: Partner, offer_id: str, now_ms: int) -> Offering | None:
    """Return the offering that an offer id names, if it stands for this partner, else None."""
    named = catalog.parse_offer_id(offer_id)
    if named is None:
        return None
    asset = await offers.find(tx, Asset, named.asset_id)
    definition = await offers.find(tx, ContractDefinition, named.definition_id)
    if asset is None or definition is None:
        return None
    policies = {
        name: (await offers.load(tx, PolicyDefinition, name)).policy
        for name in {definition.access_policy_id, definition.contract_policy_id}
    }
    found = Offerings([definition], policies, partner).of(asset, now_ms)
    return found[0] if found and found[0].offer_id == offer_id else None


async def find_by_asset(tx: Transaction, partner: Partner, asset_id: str, now_ms: int) -> list[Offering]:
    """Return every offering of an asset that stands for this partner."""
    asset = await offers.find(tx, Asset, asset_id)
    return [] if asset is None else (await load(tx, partner, [asset])).of(asset, now_ms)


def standing(policy: Document, requested: Document, known: Mapping[str, object]) -> Standing:
    """Compare what is requested with what stands, and ask the policy."""
    decision = judge(policy, known)
    differing = tuple(
        f"{each.path} differs from the offer" for each in compare.differences(policy, requested)
    )
    return Standing(policy, differing, decision.allowed, decision.reasons)
