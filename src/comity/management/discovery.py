"""Where and how a partner is talked to, on the wire: Tractus-X's connector discovery, EDC's protocol versions.

A participant is named by its id, or as older clients do by a business partner number (`tx:bpnl`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from comity import errors
from comity.management import retirements, wire

Document = dict[str, Any]
MAX_KNOWN = 20


class Sought(Struct, frozen=True):
    """Whose connectors are sought, and where: `addresses` are roots, base addresses or version endpoints."""

    party: str
    addresses: tuple[str, ...]


def decode_one(body: Document) -> Sought:
    """Read a request about one connector; without an address it is the one on the list of partners.

    Raises:
        InvalidInputError: with the place of what is wrong.
    """
    address = wire.text(body, "counterPartyAddress")
    return Sought(_party(body), (address,) if address else ())


def decode_all(body: Document) -> Sought:
    """Read a request about all connectors of a participant: those of its DID document, and `knownConnectors`.

    Raises:
        InvalidInputError: with the place of what is wrong.
    """
    listed = retirements.member(body, "knownConnectors")
    known = wire.texts({"knownConnectors": listed}, "knownConnectors")
    if len(known) > MAX_KNOWN:
        raise errors.InvalidInputError(f"at most {MAX_KNOWN} connectors are taken", path="$.knownConnectors")
    party = _party(body)
    if not party.startswith("did:"):
        raise errors.InvalidInputError(
            "counterPartyId must be a DID: its document lists the connectors", path="$.counterPartyId"
        )
    return Sought(party, tuple(known))


def _party(body: Document) -> str:
    number = wire.text({"bpnl": retirements.member(body, "bpnl")}, "bpnl")
    return wire.check_id(wire.party(body, number), "$.counterPartyId")


def encode(party: str, address: str) -> Document:
    """Write how a connector is talked to: the members that a catalog request takes."""
    return {
        "@context": wire.CONTEXT,
        "counterPartyId": party,
        "counterPartyAddress": address,
        "protocol": wire.PROTOCOL,
    }


def encode_versions(versions: Iterable[tuple[str, str, str]]) -> Document:
    """Write the versions (version, path, binding) that a partner says it speaks."""
    listed = [{"version": version, "path": path, "binding": binding} for version, path, binding in versions]
    return wire.document("ProtocolVersions", protocolVersions=listed)
