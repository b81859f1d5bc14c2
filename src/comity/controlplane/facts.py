"""What policies may ask, as it is now: at the catalog, at negotiation, when a transfer starts and at each data request.

What we hold a partner to be counts (`comity partner add`). A purpose that the partner states for one transfer may only
narrow that. Counts, licences and framework agreements are looked up where a policy names them, on the caller's own
snapshot: nothing is remembered, so an end counts from its commit on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final

from comity.controlplane import frameworks, revision_states
from comity.db import agreements, licences, offers
from comity.db.partners import Partner
from comity.db.store import Transaction
from comity.dsp.transfer import Transfer
from comity.odrl import model, operand, operands, purposes, vocabulary
from comity.odrl import policy as terms
from comity.techdata.effectivity import RELEASED

LICENCE: Final = "comity:licence"
FRAMEWORK: Final = "comity:frameworkAgreement"
DISTRIBUTION_CLASS: Final = "comity:distributionClass"
NATIONALITY: Final = "comity:personNationality"
REVISION_STATUS: Final = "comity:revisionStatus"
PURPOSE: Final = "purpose"
COUNT: Final = "count"
NAMING: Final = purposes.NAMING
LOOKED_UP: Final = frozenset({LICENCE, FRAMEWORK})
FILES: Final = "comity:files"
ONE: Final[Mapping[str, int]] = MappingProxyType({licences.TRANSFER: 1, licences.FILE: 1})
Facts = dict[str, object]


def of(
    partner: Partner,
    now_ms: int,
    *,
    asset_id: str = "",
    count: int = 1,
    purpose: str = "",
    since_ms: int | None = None,
) -> Facts:
    """Return what is known of a use number `count` by a partner now; what is looked up is not among it.

    `purpose` is what the partner says of this use: it counts where we hold the partner to have that purpose.
    `since_ms` is when the agreement was made, if there is one.
    """
    use = operand.Use(
        partner_id=partner.id, attributes=partner.attributes, now_ms=now_ms, asset_id=asset_id, count=count
    )
    stated: Facts = {
        **operands.own_facts(use),
        "recipient": partner.id,
        "dateTime": datetime.fromtimestamp(now_ms / 1000, UTC),
        COUNT: count,
        "elapsedTime": timedelta(milliseconds=now_ms - (now_ms if since_ms is None else since_ms)),
        REVISION_STATUS: RELEASED,  # what is handed out, where nobody asks for an older one
    }
    for name, values in partner.attributes.items():
        held = [each for each in values if name != PURPOSE or purpose in {"", each}]
        if held:
            stated[name] = tuple(held)
    return stated


async def of_use(
    tx: Transaction,
    partner: Partner,
    asset_id: str,
    policy: model.Policy,
    now_ms: int,
    *,
    begun: bool = False,
    purpose: str = "",
    since_ms: int | None = None,
    revision: int = 0,
    lock: bool = False,
) -> Facts:
    """Return the facts about the partner's next use of an asset, or about one that has `begun` and is counted.

    Uses are counted over all its agreements about the asset: a new agreement does not begin a new count. With `lock`
    nobody else counts on a licence that is looked at until the unit has ended.
    """
    asked = _asked(policy)
    count = 0 if begun else 1
    if COUNT in asked:
        count += await agreements.count_uses(tx, partner.id, asset_id)
    known = of(partner, now_ms, asset_id=asset_id, count=count, purpose=purpose, since_ms=since_ms)
    if asked.isdisjoint(LOOKED_UP):
        return known
    amounts = None if begun else await _amounts(tx, asset_id, revision, policy)
    return known | await looked_up(tx, partner, [policy], now_ms, amounts=amounts, lock=lock)


async def looked_up(
    tx: Transaction,
    partner: Partner,
    policies: Sequence[model.Policy],
    now_ms: int,
    *,
    amounts: Mapping[str, int] | None = ONE,
    lock: bool = False,
    only: str = "",
) -> Facts:
    """Return which of the licences and framework agreements that policies name hold now.

    `amounts` is what a use takes of a licence, by its unit; None where it has been taken already. `only` is the one
    operand to look up.
    """
    found: Facts = {}
    numbers = _named_in(policies, LICENCE) if only in {"", LICENCE} else []
    if numbers:
        known = await licences.find_some(tx, numbers, lock=lock)
        held = [each.number for each in known if each.allows(now_ms, amounts[each.unit] if amounts else 0)]
        found |= {LICENCE: tuple(held)} if held else {}
    urns = _named_in(policies, FRAMEWORK) if only in {"", FRAMEWORK} else []
    held = [each for each in urns if not await frameworks.in_force(tx, each, (partner.id,), now_ms)]
    return found | ({FRAMEWORK: tuple(held)} if held else {})


async def lapsed(
    tx: Transaction, partner_id: str, policies: Sequence[model.Policy], now_ms: int
) -> dict[str, str]:
    """Return why each framework agreement that policies name, and that is not in force now, is not: by its URN."""
    found = {
        urn: await frameworks.in_force(tx, urn, (partner_id,), now_ms)
        for urn in _named_in(policies, FRAMEWORK)
    }
    return {urn: reason for urn, reason in found.items() if reason}


def told(reason: str, lapsed: Mapping[str, str]) -> str:
    """Return a reason for our own people: of a term about framework agreements, why these are not in force."""
    return "; ".join(why for urn, why in lapsed.items() if urn in reason) or reason


def counted(policy: model.Policy, known: Mapping[str, object], reasons: tuple[str, ...]) -> tuple[str, ...]:
    """Return reasons that say of a count how much of it is used: a partner knows what it used itself."""
    number = known.get(COUNT)
    if not isinstance(number, int):
        return reasons
    asked = {terms.describe(each) for each in atoms(policy) if each.known and each.known.known_as == COUNT}
    return tuple(f"{each}: {number - 1} used already" if each in asked else each for each in reasons)


async def _amounts(tx: Transaction, asset_id: str, revision: int, policy: model.Policy) -> Mapping[str, int]:
    """Return what a transfer of an asset (a revision of it, 0: the newest) takes of a licence, by its unit."""
    if not mentions(policy, LICENCE):
        return ONE
    asset = await offers.find(tx, offers.Asset, asset_id)
    packed = asset is not None and asset.content_id
    found = await revision_states.properties(tx, asset_id, revision) if packed else {}
    files = str(found.get(FILES, "1"))
    return {**ONE, licences.FILE: int(files)}


async def count_licences(tx: Transaction, policy: model.Policy, record: Transfer, now_ms: int) -> None:
    """Take what a transfer needs of every licence under which its policy permits it.

    Raises:
        PolicyError: less than that is left, or it has ended.
    """
    numbers = sorted(named(policy, LICENCE, rules="permission", operators=NAMING))
    if not numbers:
        return
    amounts = await _amounts(tx, record.asset_id, record.revision, policy)
    for each in await licences.find_some(tx, numbers, lock=True):
        use = licences.Use(
            number=each.number,
            transfer_id=record.id,
            agreement_id=record.agreement_id,
            counterparty_id=record.counterparty_id,
            asset_id=record.asset_id,
            amount=amounts[each.unit],
            at=now_ms,
        )
        await licences.count(tx, use)


def _named_in(policies: Sequence[model.Policy], operand: str) -> list[str]:
    return sorted({name for each in policies for name in named(each, operand)})


def mentions(policy: model.Policy, operand: str) -> bool:
    """Tell whether a policy asks about something, by its own name or as one of Catena-X's operands does."""
    return operand in _asked(policy)


def _asked(policy: model.Policy) -> set[str]:
    return {each.known.known_as if each.known else each.operand for each in atoms(policy)}


def named(
    policy: model.Policy, operand: str, *, rules: str = "", operators: Collection[str] = vocabulary.OPERATORS
) -> frozenset[str]:
    """Return the texts that a policy names of an operand: in all its rules or one kind of them, with any operator."""
    return frozenset(
        text
        for each in atoms(policy, rules)
        if each.operand == operand and each.operator in operators and isinstance(each.values, frozenset)
        for text in each.values
    )


def atoms(policy: model.Policy, rules: str = "") -> Iterator[model.Atomic]:
    """Yield every comparison of a policy, of all its rules or of one kind of them."""
    kinds = {
        "permission": policy.permission,
        "prohibition": policy.prohibition,
        "obligation": policy.obligation,
    }
    for rule in (each for kind, listed in kinds.items() if rules in {"", kind} for each in listed):
        yield from terms.atoms(rule.constraints)
