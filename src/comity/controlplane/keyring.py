"""Our own signing keys, as their operator sees and changes them, and their public halves kept for the evidence.

The rules are `identity.keyring`, the files `storage.keys`, what replicas have in common `sharing`. A change is made in
the files first: what is published is what they say; that the store has the public key too is seen to afterwards, and
again at every start.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any

from comity.controlplane.connector import Connector
from comity.db import public_keys
from comity.db.public_keys import PublicKey
from comity.db.store import Transaction
from comity.identity import jose
from comity.identity.keyring import Key, Keyring

Document = dict[str, Any]
SIGNING, WAITING, PUBLISHED, LEFT, RETIRED = "SIGNING", "WAITING", "PUBLISHED", "LEFT", "RETIRED"


def show(connector: Connector) -> list[Document]:
    """Return every key there ever was, oldest first: what it is now, when that changes, and the public key itself."""
    ring, now_ms = connector.signing_keys.ring, connector.now_ms()
    return [_shown(connector.participant_id, ring, each, now_ms) for each in ring.keys]


def _shown(participant_id: str, ring: Keyring, key: Key, now_ms: int) -> Document:
    found: Document = {
        "kid": f"{participant_id}#{key.kid}",
        "state": _state(ring, key, now_ms),
        "thumbprint": jose.thumbprint(key.jwk),
        "publicKeyJwk": {**key.jwk, "kid": f"{participant_id}#{key.kid}"},
        "createdAt": key.created_at,
        "signsFrom": key.signs_from,
        "leavesAt": key.leaves_at,
        "retiredAt": key.retired_at,
    }
    return {name: value for name, value in found.items() if value is not None}


def _state(ring: Keyring, key: Key, now_ms: int) -> str:
    if key.retired_at is not None:
        return RETIRED
    if not key.published(now_ms):
        return LEFT
    if key is ring.signing(now_ms):
        return SIGNING
    return WAITING if key.signs_from > now_ms else PUBLISHED


async def rotate(connector: Connector, *, lead_s: int, grace_s: int) -> None:
    """Publish a new key now; it signs after `lead_s` seconds, and the old one stays published `grace_s` longer.

    Raises:
        ConflictError: a rotation is under way, or another replica changed the keys at the same time.
        InvalidInputError: a time is out of range.
        StorageError: the files cannot be written; nothing has changed.
    """
    keys, times = connector.signing_keys, {"lead_ms": lead_s * 1000, "grace_ms": grace_s * 1000}
    await _change(connector, functools.partial(keys.rotate, **times))
    await keep(connector)


async def retire(connector: Connector, kid: str) -> None:
    """Take a key, a stolen one say, out of the DID document at once; another one signs from now on.

    Raises:
        NotFoundError: there is no such key.
        StorageError: the files cannot be written; nothing has changed.
    """
    await _change(connector, functools.partial(connector.signing_keys.retire, kid))
    await keep(connector)


async def _change(connector: Connector, change: Callable[[], Key]) -> None:
    if connector.shared_keys is None:
        await asyncio.to_thread(change)
    else:
        await connector.shared_keys.change(change)


async def tidy(connector: Connector) -> None:
    """Delete private keys that will never sign again."""
    if connector.shared_keys is None:
        await asyncio.to_thread(connector.signing_keys.tidy)
    else:
        await connector.shared_keys.tidy()


async def keep(connector: Connector) -> None:
    """Have the store keep the public half of every key of ours."""

    async def unit(tx: Transaction) -> None:
        for each in connector.signing_keys.ring.keys:
            kid = f"{connector.participant_id}#{each.kid}"
            jwk = {**each.jwk, "kid": kid}
            seen_at = each.created_at or connector.now_ms()
            await public_keys.keep(
                tx, PublicKey(participant_id=connector.participant_id, kid=kid, jwk=jwk, seen_at=seen_at)
            )

    await connector.database.write(unit)
