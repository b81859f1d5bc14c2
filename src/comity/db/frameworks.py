"""Rows of framework agreements: the document as it was signed, where each party stands, deliveries, own signatures.

The row of a party says what we know of it: `held` that we hold its signature over the hash (our own: that we signed),
`fresh_until` (ms, 0: no lease) until when that counts without hearing from it again, `beat_at` when it is next asked.
"""

from __future__ import annotations

from msgspec import Struct

from comity import errors
from comity.db.store import Transaction
from comity.db.table import Table

ASKED, AGREED, SUSPENDED, ENDED = "ASKED", "AGREED", "SUSPENDED", "ENDED"


class Framework(Struct, frozen=True, kw_only=True):
    """A framework agreement that we proposed, or asked to sign; `document` are the bytes that were hashed."""

    urn: str
    framework_id: str
    document: bytes
    proposer: str
    parent: str = ""
    replaced_by: str = ""
    created_at: int


class Party(Struct, frozen=True, kw_only=True):
    """Where a party stands, and since when by its own clock; `detail` says why its signature is not held."""

    urn: str
    participant_id: str
    own: bool = False
    agreed_at: int = 0
    agreement_id: str = ""
    held: bool = False
    detail: str = ""
    state: str = ASKED
    reason: str = ""
    changed_at: int
    fresh_until: int = 0
    beat_at: int = 0
    stopped: list[str] = []


class Delivery(Struct, frozen=True, kw_only=True):
    """A quantity delivered of a commitment, as one party reported it; the others count it once it is confirmed."""

    id: str
    urn: str
    framework_id: str
    commitment_id: str
    quantity: str
    note: str
    reported_by: str
    confirmed_by: str = ""
    created_at: int


class Signature(Struct, frozen=True, kw_only=True):
    """A file with a named signatory's own signature; what it is worth is found out when it is shown."""

    urn: str
    sha256: str
    party: str
    media_type: str
    content: bytes
    created_at: int


_FRAMEWORK = Table("framework", Framework)
_PARTY = Table("framework_party", Party, documents=("stopped",), flags=("own", "held"))
_DELIVERY = Table("framework_delivery", Delivery)
_SIGNATURE = Table("framework_signature", Signature)
_INSERT = f"{_FRAMEWORK.insert} ON CONFLICT (urn) DO NOTHING"
_REPLACE = "UPDATE framework SET replaced_by = ?2 WHERE urn = ?1"
_SAVE_PARTY = _PARTY.upsert("urn, participant_id").replace(
    "urn = excluded.urn, participant_id = excluded.participant_id, ", ""
)
_SAVE_DELIVERY = _DELIVERY.upsert("id", "created_at")
_COUNT = "SELECT count(*) FROM framework_delivery WHERE framework_id = ?1 AND reported_by = ?2"
_KEEP_SIGNATURE = f"{_SIGNATURE.insert} ON CONFLICT (urn, sha256) DO NOTHING"


async def find(tx: Transaction, urn: str) -> Framework | None:
    """Return a framework agreement, or None."""
    return await _FRAMEWORK.one(tx, "WHERE urn = ?1", urn)


async def load(tx: Transaction, urn: str) -> Framework:
    """Return a framework agreement by its URN, or by its id if there is one version of it.

    Raises:
        NotFoundError: there is none.
        ConflictError: an id of which there are several versions.
    """
    found = await _FRAMEWORK.all(tx, "WHERE urn = ?1 OR framework_id = ?1", urn)
    if not found:
        raise errors.NotFoundError(
            f"there is no framework agreement {urn[:200]}", hint="see them with: comity framework"
        )
    if len(found) > 1:
        raise errors.ConflictError("there are several versions: name one by its URN with the hash")
    return found[0]


async def find_all(tx: Transaction) -> list[Framework]:
    """Return all there are, oldest first."""
    return await _FRAMEWORK.all(tx, "ORDER BY created_at, urn")


async def insert(tx: Transaction, row: Framework) -> None:
    """Store a framework agreement; one that is there stays as it is."""
    await tx.run(_INSERT, *_FRAMEWORK.row(row))


async def replace(tx: Transaction, urn: str, by: str) -> None:
    """Note which version has taken the place of this one."""
    await tx.run(_REPLACE, urn, by)


async def find_party(tx: Transaction, urn: str, participant_id: str) -> Party | None:
    """Return where a party stands, None if nothing is known of it."""
    return await _PARTY.one(tx, f"WHERE urn = ?1 AND participant_id = ?2{tx.lock}", urn, participant_id)


async def find_parties(tx: Transaction, urn: str) -> list[Party]:
    """Return where each party stands, ourselves first."""
    return await _PARTY.all(tx, "WHERE urn = ?1 ORDER BY own DESC, participant_id", urn)


async def find_leased(tx: Transaction) -> list[Party]:
    """Return the rows of all other parties that agreed: those to stay in contact with."""
    return await _PARTY.all(tx, "WHERE own = 0 AND agreed_at > 0 AND state != 'ENDED'")


async def save_party(tx: Transaction, row: Party) -> None:
    """Store where a party stands."""
    await tx.run(_SAVE_PARTY, *_PARTY.row(row))


async def find_deliveries(tx: Transaction, framework_id: str) -> list[Delivery]:
    """Return what was delivered under all versions of a framework agreement, oldest first."""
    return await _DELIVERY.all(tx, "WHERE framework_id = ?1 ORDER BY created_at, id", framework_id)


async def count_deliveries(tx: Transaction, framework_id: str, reported_by: str) -> int:
    """Return how many deliveries a party has reported under all versions of a framework agreement."""
    row = await tx.one(_COUNT, framework_id, reported_by)
    return int(row[0]) if row else 0


async def find_delivery(tx: Transaction, delivery_id: str) -> Delivery | None:
    """Return a delivery, or None."""
    return await _DELIVERY.one(tx, "WHERE id = ?1", delivery_id)


async def save_delivery(tx: Transaction, row: Delivery) -> None:
    """Store a delivery."""
    await tx.run(_SAVE_DELIVERY, *_DELIVERY.row(row))


async def find_signatures(tx: Transaction, urn: str) -> list[Signature]:
    """Return signatories' own signatures, oldest first."""
    return await _SIGNATURE.all(tx, "WHERE urn = ?1 ORDER BY created_at, sha256", urn)


async def keep_signature(tx: Transaction, row: Signature) -> None:
    """Keep a signature; one that is there already stays as it is."""
    await tx.run(_KEEP_SIGNATURE, *_SIGNATURE.row(row))
