"""Which offers stand for a partner: one answer for the catalog, a dataset by id, a negotiation and a transfer.

An asset is offered where a contract definition selects it and its access policy allows the partner to see it. What
may be agreed is the contract policy. An unknown term anywhere means no.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Struct

from comity import errors, strict_json
from comity.controlplane import facts, origins
from comity.controlplane.decide import Standing
from comity.db import offers
from comity.db.offers import Asset, ContractDefinition, PolicyDefinition
from comity.db.partners import Partner
from comity.db.store import Transaction
from comity.dsp import catalog
from comity.dsp.negotiation import Agreement
from comity.management import approvals, query
from comity.odrl import compare, enforcement, evaluate, model
from comity.odrl.catenax import ACCESS

Document = dict[str, Any]
DIGEST_CHARACTERS = 16
CACHED_BYTES = 8192


class Offering(Struct, frozen=True):
    """An asset offered to a partner under one contract definition; `wanted` is who has to approve it."""

    offer_id: str
    asset: Asset
    policy: Document
    wanted: tuple[approvals.Wanted, ...] = ()

    def is_said_by(self, offer: Document) -> bool:
        """Return whether an offer has these terms and no others."""
        return not compare.differences(self.policy, offer)


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


async def facts_of_use(
    tx: Transaction,
    partner: Partner,
    asset_id: str,
    policy: Document,
    now_ms: int,
    *,
    begun: bool = False,
    purpose: str = "",
    since_ms: int | None = None,
    revision: int = 0,
    lock: bool = False,
) -> dict[str, object]:
    """Return the facts about a use of an asset that a policy asks about; see `facts.of_use`."""
    parsed = parse(policy)
    return await facts.of_use(
        tx,
        partner,
        asset_id,
        parsed,
        now_ms,
        begun=begun,
        purpose=purpose,
        since_ms=since_ms,
        revision=revision,
        lock=lock,
    )


def judge(policy: Document, known: Mapping[str, object]) -> evaluate.Decision:
    """Evaluate the use of something under a policy; the reasons are those that the partner is told."""
    parsed = parse(policy)
    found = evaluate.evaluate(parsed, known)
    if found.allowed:
        return found
    return msgspec.structs.replace(found, reasons=facts.counted(parsed, known, found.reasons))


def enforced(policy: Document) -> list[Document]:
    """Return how each term of a policy is enforced, for the documents that show it."""
    canonical = strict_json.canonical(policy)
    read = _enforced if len(canonical) <= CACHED_BYTES else _enforced.__wrapped__
    return [dict(each) for each in read(canonical)]


@lru_cache(maxsize=4096)
def _enforced(policy: bytes) -> tuple[Document, ...]:
    return tuple(enforcement.document(_parse(policy)))


def describe(asset: Asset) -> Document:
    """Return the properties of an asset as criteria and catalogs see them, its id among them."""
    return {**asset.properties, "@id": asset.id, "id": asset.id, query.EDC + "id": asset.id}


class Offerings:
    """The definitions and policies of one snapshot, to ask for many assets."""

    def __init__(
        self, definitions: list[ContractDefinition], policies: dict[str, Document], partner: Partner
    ) -> None:
        self._definitions = definitions
        self.access = {
            name: parse(policies[name]) for name in {each.access_policy_id for each in definitions}
        }
        self.looked_up: Mapping[str, object] = {}
        self.origins: dict[str, list[Agreement]] = {}
        """Id of an asset -> the agreements under which it was received."""
        self._policies = policies
        self._partner = partner
        self._places: dict[str, list[int]] = {}
        """Id of an asset (empty: any) -> places of the definitions that can select it: most name one asset."""
        for place, each in enumerate(definitions):
            self._places.setdefault(each.named_asset, []).append(place)

    def of(self, asset: Asset, now_ms: int) -> list[Offering]:
        """Return the offers of an asset that the partner may see."""
        known = {**facts.of(self._partner, now_ms, asset_id=asset.id), **self.looked_up}
        described = describe(asset)
        places = sorted(self._places.get("", []) + self._places.get(asset.id, []))
        return [
            made
            for each in map(self._definitions.__getitem__, places)
            if query.matches_all(each.assets_selector, described)
            and evaluate.evaluate(self.access[each.access_policy_id], known, action=ACCESS).allowed
            and (made := self._offering(each, asset)) is not None
        ]

    def _offering(self, definition: ContractDefinition, asset: Asset) -> Offering | None:
        """Return what is offered under a definition; None if it was received, and may not be passed on so."""
        policy = self._policies[definition.contract_policy_id]
        if origins.DERIVED_FROM in asset.private_properties:
            try:
                policy = origins.derive(policy, self.origins[asset.id])
            except (errors.PolicyError, KeyError):
                return None
        digest = _terms_digest(strict_json.canonical(policy))
        return Offering(
            catalog.format_offer_id(catalog.OfferId(definition.id, asset.id, digest)),
            asset,
            _said(policy),
            _wanted(definition),
        )


def _wanted(definition: ContractDefinition) -> tuple[approvals.Wanted, ...]:
    rule = approvals.stored(definition.approval)
    return (approvals.Wanted(rule, definition.written_by),) if rule else ()


def _said(policy: Document) -> Document:
    """Return what an offer under a policy says: its terms, and what describes them."""
    parsed = parse(policy)
    return {**model.terms(parsed), **parsed.extra}


async def load(tx: Transaction, partner: Partner, assets: Sequence[Asset], now_ms: int) -> Offerings:
    """Return the contract definitions that may select one of some assets, ready to be asked about these."""
    definitions = await offers.find_selecting(tx, [each.id for each in assets])
    used = {name for each in definitions for name in (each.access_policy_id, each.contract_policy_id)}
    policies = {each.id: each.policy for each in await offers.find_some(tx, PolicyDefinition, used)}
    return await _ready(tx, partner, assets, definitions, policies, now_ms)


async def _ready(
    tx: Transaction,
    partner: Partner,
    assets: Sequence[Asset],
    definitions: list[ContractDefinition],
    policies: dict[str, Document],
    now_ms: int,
) -> Offerings:
    made = Offerings(definitions, policies, partner)
    for each in assets:
        if origins.DERIVED_FROM in each.private_properties:
            with contextlib.suppress(errors.PolicyError):  # it is offered to nobody then
                made.origins[each.id] = await origins.load(tx, each.private_properties)
    made.looked_up = await facts.looked_up(tx, partner, list(made.access.values()), now_ms)
    return made


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
    found = (await _ready(tx, partner, [asset], [definition], policies, now_ms)).of(asset, now_ms)
    return found[0] if found and found[0].offer_id == offer_id else None


async def find_by_asset(tx: Transaction, partner: Partner, asset_id: str, now_ms: int) -> list[Offering]:
    """Return every offering of an asset that stands for this partner."""
    asset = await offers.find(tx, Asset, asset_id)
    return [] if asset is None else (await load(tx, partner, [asset], now_ms)).of(asset, now_ms)


def standing(
    policy: Document,
    requested: Document,
    known: Mapping[str, object],
    wanted: tuple[approvals.Wanted, ...] = (),
) -> Standing:
    """Compare what is requested with what stands, and ask the policy."""
    decision = judge(policy, known)
    differing = compare.sentences(policy, requested, a_says="offered is", b_says="you ask for")
    return Standing(policy, differing, decision.allowed, decision.reasons, wanted)
