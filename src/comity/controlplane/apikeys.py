"""Who may use the management API: the key of the data folder, and keys that an admin makes, with a role each.

The list of keys is short and read often, so it is kept in memory by digest; the store's announcement of a change drops
it. A key is looked up by its digest: how long that takes says nothing about the key.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence

from msgspec import Struct

from comity.controlplane.connector import Connector
from comity.db import apikeys
from comity.db.apikeys import ApiKey
from comity.db.store import Store
from comity.management import apikeys as forms
from comity.management import roles

PREFIX = "comity-"
"""What a key begins with, so that one that got into a file or a log is found."""


class Holder(Struct, frozen=True):
    """Who is calling: the name of the key, empty for the one of the data folder, and its role."""

    name: str
    role: str


OWNER = Holder("", roles.ADMIN)


def digest(key: str) -> bytes:
    """Return the SHA-256 of a key, 32 bytes."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


class Keys:
    """The keys that open the management API; `notice` belongs to the store's listeners."""

    def __init__(self, database: Store, own_key: str, *, now_ms: Callable[[], int]) -> None:
        self._database = database
        self._own = digest(own_key)
        self._now_ms = now_ms
        self._known: dict[bytes, ApiKey] | None = None
        self._changes = 0

    def notice(self, announced: Sequence[object]) -> None:
        """Forget the list if it has changed."""
        if any(isinstance(event, apikeys.ApiKeysChanged) for event in announced):
            self._changes += 1
            self._known = None

    async def find(self, key: str) -> Holder | None:
        """Return who holds a key, None if it opens nothing (any more)."""
        if not key:
            return None
        wanted = digest(key)
        if hmac.compare_digest(wanted, self._own):
            return OWNER
        found = (await self._load()).get(wanted)
        if found is None or (found.expires_at is not None and found.expires_at <= self._now_ms()):
            return None
        return Holder(found.id, found.role)

    async def _load(self) -> dict[bytes, ApiKey]:
        while (known := self._known) is None:
            before = self._changes
            found = await self._database.read(apikeys.find_all)
            if before == self._changes:
                self._known = {each.digest: each for each in found}
        return known


async def create(connector: Connector, form: forms.ApiKeyForm) -> tuple[ApiKey, str]:
    """Make a key and return its row and the key itself, which is nowhere else.

    Raises:
        ConflictError: the name is taken.
    """
    secret = PREFIX + connector.new_token()
    made = ApiKey(
        id=form.name,
        role=form.role,
        digest=digest(secret),
        expires_at=form.expires_at,
        created_at=connector.now_ms(),
    )
    await connector.database.write(lambda tx: apikeys.insert(tx, made))
    return made, secret


async def find_all(connector: Connector) -> list[ApiKey]:
    """Return every key but that of the data folder, oldest first."""
    return await connector.database.read(apikeys.find_all)


async def remove(connector: Connector, name: str) -> None:
    """Delete a key: it opens nothing from now on.

    Raises:
        NotFoundError: there is none with this name.
    """
    await connector.database.write(lambda tx: apikeys.remove(tx, name))
