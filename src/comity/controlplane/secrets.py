"""Secrets: credentials under a name, sealed in the store, opened where a back end or a webhook needs one.

A value goes to whoever asks for it by name through the management API, and nowhere else: not into logs, evidence or
events.
"""

from __future__ import annotations

from comity.controlplane.connector import Connector
from comity.db import secrets
from comity.db.seal import Seal
from comity.db.store import Transaction
from comity.management.secrets import SecretForm

PURPOSE = "secret-value"


async def create(connector: Connector, form: SecretForm) -> secrets.Secret:
    """Store a new secret.

    Raises:
        ConflictError: the id is taken.
    """
    name, now_ms = form.id or connector.new_id(), connector.now_ms()
    new = secrets.Secret(
        id=name, value_sealed=_close(connector, name, form.value), created_at=now_ms, updated_at=now_ms
    )
    return await connector.database.write(lambda tx: secrets.insert(tx, new))


async def change(connector: Connector, form: SecretForm) -> None:
    """Replace a secret's value; whoever uses it has the new one from its next use on.

    Raises:
        NotFoundError: there is none with this id.
    """
    sealed = _close(connector, form.id, form.value)
    await connector.database.write(lambda tx: secrets.save(tx, form.id, sealed, connector.now_ms()))


async def load(connector: Connector, name: str) -> tuple[str, int]:
    """Return a secret's value and its time of creation (ms).

    Raises:
        NotFoundError: there is none with this id.
    """
    found = await connector.database.read(lambda tx: secrets.load(tx, name))
    return _open(connector, found), found.created_at


async def remove(connector: Connector, name: str) -> None:
    """Delete a secret; what uses it fails from then on.

    Raises:
        NotFoundError: there is none with this id.
    """
    await connector.database.write(lambda tx: secrets.remove(tx, name))


async def find_value(connector: Connector, tx: Transaction, name: str) -> str | None:
    """Return a secret's value for a use inside this connector, None if there is no such secret."""
    return await open_value(connector.seal, tx, name)


async def open_value(seal: Seal, tx: Transaction, name: str) -> str | None:
    """The same, for what has the seal and no connector yet."""
    found = await secrets.find(tx, name)
    return None if found is None else _unseal(seal, found)


def _close(connector: Connector, name: str, value: str) -> bytes:
    return connector.seal.close(value.encode(), PURPOSE + name)


def _open(connector: Connector, stored: secrets.Secret) -> str:
    return _unseal(connector.seal, stored)


def _unseal(seal: Seal, stored: secrets.Secret) -> str:
    return seal.open(stored.value_sealed, PURPOSE + stored.id).decode()
