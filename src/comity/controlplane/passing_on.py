"""What is published from data that was received: the terms of its agreement follow it, whoever says so or not.

A folder is known by its files: one whose bytes are those of a received file, or an agreement that its publisher names.
What was changed by a single byte is known only where somebody names the agreement.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from comity import errors
from comity.controlplane import received
from comity.controlplane.connector import Connector
from comity.db import agreements, deliveries
from comity.db.deliveries import Delivery
from comity.db.store import Transaction
from comity.dsp import terms
from comity.dsp.negotiation import Agreement
from comity.odrl import derived
from comity.techdata.manifest import Parent

Document = dict[str, Any]
_SHOWN = 3


class _Origin(Struct, frozen=True):
    """An agreement under which something was received, which of the files came with it, and what that is to them."""

    agreement: Agreement
    files: list[str]
    parent: Parent


async def inherit(
    connector: Connector,
    offered: Document,
    files: Mapping[str, str],
    named: Sequence[str],
    before: Sequence[Parent] = (),
) -> tuple[Document, list[Parent]]:
    """Return the terms of an offer of some files (path -> SHA-256) with those that follow them, and from what.

    `named` are agreements from whose data they were made, `before` the parents of the revision before: nobody has to
    name those again, and they stay what they were.

    Raises:
        PolicyError: an agreement does not let them be offered so; it names the agreement, the files and the terms.
        NotFoundError: there is no agreement of that id by which we received something.
    """
    known_before = {each.agreement: each for each in before}

    async def unit(tx: Transaction) -> list[_Origin]:
        found = await received.origins(tx, list(files.values()))
        made = [
            _Origin(held.agreement, same, _parent(held.agreement, held.delivery))
            for held, same in found.values()
        ]
        by_files = {each.agreement.id for each in made}
        more = [each for each in dict.fromkeys([*named, *known_before]) if each not in by_files]
        return made + [await _named(tx, each) for each in more]

    origins = [
        replace(each, parent=known_before[each.agreement.id])
        if each.agreement.id in known_before and each.agreement.id not in named
        else each
        for each in await connector.database.read(unit)
    ]
    made = offered
    for place, each in enumerate(origins):
        paths = [path for path, digest in files.items() if digest in set(each.files)]
        try:
            made = _derive(made, each, paths)
        except errors.PolicyError as error:
            other = _contradicted(offered, origins[:place], each)
            if other is None:
                raise
            raise errors.PolicyError(
                f"it is made of data received under agreements {other.agreement.id} and {each.agreement.id}, whose"
                f" terms contradict each other, and neither is the stricter: {error.message}",
                reasons=error.reasons,
                hint="leave out what came under one of them, or ask for an agreement that goes with the other",
            ) from None
    return made, [each.parent for each in origins]


def _contradicted(offered: Document, others: Sequence[_Origin], one: _Origin) -> _Origin | None:
    """Return the agreement because of which an offer that another one allows is refused; None if there is none."""
    try:
        _derive(offered, one, ())
    except errors.PolicyError:
        return None
    for each in others:
        try:
            _derive(_derive(offered, each, ()), one, ())
        except errors.PolicyError:
            return each
    return others[-1] if others else None


def _parent(agreement: Agreement, delivery: Delivery | None) -> Parent:
    """Return what came under an agreement as a parent: its manifest is known where it was a package."""
    manifest = delivery.sha256 if delivery is not None and not delivery.name else ""
    return Parent(agreement.id, agreement.asset_id, manifest)


async def _named(tx: Transaction, name: str) -> _Origin:
    agreement = await _load(tx, name)
    delivered = await deliveries.find_received(tx, agreement.id, agreement.counterparty_id)
    return _Origin(agreement, [], _parent(agreement, delivered[-1] if delivered else None))


async def known(connector: Connector, digests: Sequence[str]) -> list[str]:
    """Return the agreements under which files with these digests (hex) were received."""
    found = await connector.database.read(lambda tx: received.origins(tx, digests))
    return list(dict.fromkeys(name for name, _ in found))


async def _load(tx: Transaction, name: str) -> Agreement:
    found = await agreements.load(tx, name)
    if found.role != terms.CONSUMER:
        raise errors.NotFoundError(f"nothing was received under agreement {name[:200]}: we are its provider")
    return found


def _derive(offered: Document, origin: _Origin, paths: Iterable[str]) -> Document:
    agreement = origin.agreement
    try:
        return derived.derive(
            offered, agreement.document, us=agreement.consumer_id, owner=agreement.provider_id
        )
    except errors.PolicyError as error:
        listed = list(paths)
        more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
        what = f"{', '.join(listed[:_SHOWN])}{more}, received" if listed else "what is made of data received"
        raise errors.PolicyError(
            f"{what} under agreement {agreement.id}: {error.message}",
            reasons=error.reasons,
            hint=error.hint
            or f"ask {agreement.counterparty_id} for an agreement that permits it, or leave it out",
        ) from None
