"""Of what is offered: the agreements under which it, or what it was made of, was received, and whom they let have it.

They are asked each time, so that a policy that somebody changes later does not lose what follows the data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from comity import errors
from comity.db import agreements, offers
from comity.db.store import Transaction
from comity.dsp import negotiation, terms
from comity.dsp.negotiation import Agreement
from comity.odrl import compare, derived

Document = dict[str, Any]
DERIVED_FROM: Final = "derivedFrom"
"""The private property of an asset that names them."""


async def load(tx: Transaction, private_properties: Mapping[str, Any]) -> list[Agreement]:
    """Return the agreements that an asset names.

    Raises:
        PolicyError: one of them is not there (any more): what it lets cannot be told.
    """
    named = private_properties.get(DERIVED_FROM) or []
    return [found for each in named for found in await _load(tx, each)]


async def _load(tx: Transaction, name: str) -> list[Agreement]:
    """Return the agreement of this id; all of them, if another provider has chosen the same one."""
    found = [each for each in await agreements.find_by_id(tx, name) if each.role == terms.CONSUMER]
    if not found:
        raise errors.PolicyError(f"the agreement {name[:200]} under which it was received is not there")
    return found


def derive(offered: Document, origins: Sequence[Agreement]) -> Document:
    """Return the terms of an offer with those of the agreements that follow the data.

    Raises:
        PolicyError: they do not let it be offered so.
    """
    for each in origins:
        offered = derived.derive(offered, each.document, us=each.consumer_id, owner=each.provider_id)
    return offered


async def complete(tx: Transaction, offer: Document) -> Document:
    """Return an offer by hand, of whatever policy, with the terms that follow what is offered.

    Raises:
        PolicyError: they do not let it be offered so.
    """
    private = await offers.find_private_properties(tx, offer["target"])
    if not private or DERIVED_FROM not in private:
        return offer
    made = derive(offer, await load(tx, private))
    return negotiation.message_offer(made, offer_id=offer["@id"], target=offer["target"])


async def check_complete(tx: Transaction, offer: Document) -> None:
    """Refuse to agree to terms without those that follow what is offered.

    Raises:
        PolicyError: some are missing; `reasons` say in what the two differ.
    """
    differing = compare.sentences(
        await complete(tx, offer), offer, a_says="its agreement asks for", b_says="the offer says"
    )
    if differing:
        raise errors.PolicyError(
            "what it was received under does not let it be passed on so", reasons=tuple(differing)
        )


async def obstacle(tx: Transaction, asset_id: str, partner_id: str) -> str:
    """Return the term that keeps a partner from what is derived from received data; empty if there is none."""
    private = await offers.find_private_properties(tx, asset_id)
    if not private or DERIVED_FROM not in private:
        return ""
    try:
        for each in await load(tx, private):
            derived.check_recipient(each.document, partner_id, us=each.consumer_id, owner=each.provider_id)
    except errors.PolicyError as error:
        return "; ".join(error.reasons) or error.message
    return ""
