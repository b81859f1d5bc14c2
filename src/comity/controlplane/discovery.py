"""Finds out where and with which version a partner is talked to: from its version endpoint and its DID document.

Dataspace Protocol 2025-1, "Exposure of Dataspace Protocol Versions". An address may be given as the root, as the
version endpoint, or as the base address of a version: then the root is looked for above it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from comity import errors
from comity.controlplane import partners, processes
from comity.controlplane.connector import Connector
from comity.db.partners import Partner
from comity.dsp import binding, terms
from comity.identity import did
from comity.management import discovery as forms

Document = dict[str, Any]
T = TypeVar("T")
NOT_THERE = frozenset({404, 405, 410})


async def find_one(connector: Connector, sought: forms.Sought) -> Document:
    """Return how a partner's connector is talked to.

    Raises:
        InvalidInputError: there is no address, neither given nor on the list of partners, or it is refused.
        DeliveryError: it cannot be reached, or speaks no version that we speak.
    """
    party, address = await _who_and_where(connector, sought)
    return forms.encode(party, await _base(connector, address))


async def find_all(connector: Connector, sought: forms.Sought) -> list[Document]:
    """Return how each connector of a participant is talked to; those that do not answer are left out.

    Raises:
        InvalidInputError: one of the known connectors is no address that may be asked.
        DeliveryError, IdentityError: its DID document cannot be had, or no connector answers.
        NotFoundError: there is no connector, neither known nor in the DID document.
    """
    for each in sought.addresses:
        processes.check_address(connector, each, path="$.knownConnectors")
    document = await connector.resolver.document(sought.party)
    listed = dict.fromkeys((*did.version_endpoints(document), *sought.addresses))
    if not listed:
        raise errors.NotFoundError(f"the DID document of {sought.party} names no DataService")
    answers = await asyncio.gather(*(_base(connector, each) for each in listed), return_exceptions=True)
    found = dict.fromkeys(each for each in answers if isinstance(each, str))
    failed = [each for each in answers if isinstance(each, BaseException)]
    if not found or any(not isinstance(each, errors.ComityError) for each in failed):
        raise failed[0]
    return [forms.encode(sought.party, each) for each in found]


async def find_versions(connector: Connector, sought: forms.Sought) -> Document:
    """Return the versions that a partner says it speaks, also those that we do not.

    Raises:
        InvalidInputError: there is no address, or it is refused.
        DeliveryError: it cannot be reached, or has no version endpoint.
    """
    _, address = await _who_and_where(connector, sought)
    _, entries = await _at_root(address, connector.peers.versions)
    return forms.encode_versions((each.version, each.path or "", each.binding) for each in entries)


async def _who_and_where(connector: Connector, sought: forms.Sought) -> tuple[str, str]:
    """Return the participant and its address; a partner may be named by its id or by what the operator calls it."""
    known = await _find_partner(connector, sought.party)
    address = sought.addresses[0] if sought.addresses else known.address if known else ""
    if not address:
        raise errors.InvalidInputError("counterPartyAddress is missing", path="$.counterPartyAddress")
    processes.check_address(connector, address)
    return (known.id if known else sought.party), address


async def _find_partner(connector: Connector, name: str) -> Partner | None:
    listed = await partners.find_all(connector)
    return next((each for each in listed if name == each.id), None) or next(
        (each for each in listed if name == each.name), None
    )


async def _base(connector: Connector, address: str) -> str:
    root, path = await _at_root(address, connector.peers.version)
    return binding.join(root, path) if path else root


async def _at_root(address: str, ask: Callable[[str], Awaitable[T]]) -> tuple[str, T]:
    """Ask the version endpoint at an address, or else above it, and return the root where it was, and the answer."""
    roots = _roots(address)
    for root in roots[:-1]:
        try:
            return root, await ask(root)
        except errors.PermanentDeliveryError as error:
            if error.status not in NOT_THERE:
                raise
    return roots[-1], await ask(roots[-1])


def _roots(address: str) -> list[str]:
    """Return where a version endpoint may lie: at the address, and if that names a version, above it."""
    given = address.removesuffix(partners.WELL_KNOWN).rstrip("/")
    above = [
        given.removesuffix(each) for each in (f"/{terms.VERSION}", terms.VERSION_PATH) if given.endswith(each)
    ]
    return [given, *above]
