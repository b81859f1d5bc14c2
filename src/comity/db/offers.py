"""Rows of what is offered: assets, policy definitions, contract definitions, as EDC's management API names them.

One set of functions serves the three kinds; what is sealed here is opened by `controlplane` only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from comity import errors
from comity.db import listing
from comity.db.database import Row, Transaction
from comity.management import query

Document = dict[str, Any]


class Asset(Struct, frozen=True, kw_only=True):
    """Something to hand over; the data address and the list of its files are sealed: they may hold credentials."""

    id: str
    properties: Document
    private_properties: Document
    data_address_sealed: bytes
    content_sealed: bytes | None = None
    created_at: int


class PolicyDefinition(Struct, frozen=True, kw_only=True):
    """A policy under a name."""

    id: str
    policy: Document
    private_properties: Document
    created_at: int


class ContractDefinition(Struct, frozen=True, kw_only=True):
    """Which assets are shown under which policy and agreed under which; `assets_selector` is a list of criteria."""

    id: str
    access_policy_id: str
    contract_policy_id: str
    assets_selector: list[Document]
    private_properties: Document
    created_at: int


_KINDS: dict[type[Struct], tuple[str, str]] = {
    Asset: ("asset", "asset"),
    PolicyDefinition: ("policy_definition", "policy definition"),
    ContractDefinition: ("contract_definition", "contract definition"),
}
_RAW = {"data_address_sealed", "content_sealed", "id", "access_policy_id", "contract_policy_id", "created_at"}


class OffersChanged(Struct, frozen=True):
    """Announced after the commit: something that is offered was added, changed or removed."""


T = TypeVar("T", Asset, PolicyDefinition, ContractDefinition)


def _value(kind: type[T], row: Row) -> T:
    fields = kind.__struct_fields__
    return kind(**{n: v if n in _RAW else msgspec.json.decode(v) for n, v in zip(fields, row, strict=True)})


def _columns(value: Asset | PolicyDefinition | ContractDefinition) -> list[Any]:
    fields = value.__struct_fields__
    return [getattr(value, n) if n in _RAW else msgspec.json.encode(getattr(value, n)) for n in fields]


async def find(tx: Transaction, kind: type[T], name: str) -> T | None:
    """Return the asset, policy definition or contract definition with an id, or None."""
    row = await tx.one(_SQL[kind].by_id, name)
    return _value(kind, row) if row else None


async def load(tx: Transaction, kind: type[T], name: str) -> T:
    """Return the asset, policy definition or contract definition with an id.

    Raises:
        NotFoundError: there is none.
    """
    found = await find(tx, kind, name)
    if found is None:
        raise errors.NotFoundError(f"there is no {_KINDS[kind][1]} {name}")
    return found


async def find_all(tx: Transaction, kind: type[T]) -> list[T]:
    """Return all of a kind, oldest first."""
    return [_value(kind, row) for row in await tx.all(_SQL[kind].all)]


async def find_page(
    tx: Transaction, kind: type[T], spec: query.Spec, write: Callable[[T], Document]
) -> list[Document]:
    """Return a page of documents that `write` makes of those of a kind."""

    async def made(row: Row) -> Document:
        return write(_value(kind, row))

    return await _LISTINGS[kind].find(tx, spec, made)


async def insert(
    tx: Transaction, new: Asset | PolicyDefinition | ContractDefinition
) -> Asset | PolicyDefinition | ContractDefinition:
    """Store a new one and return it.

    Raises:
        ConflictError: the id is taken.
    """
    await _check_references(tx, new)
    if await tx.run(_SQL[type(new)].insert, *_columns(new)) == 0:
        raise errors.ConflictError(f"{_KINDS[type(new)][1]} {new.id} exists already")
    tx.announce(OffersChanged())
    return new


async def save(tx: Transaction, changed: Asset | PolicyDefinition | ContractDefinition) -> None:
    """Replace one; its time of creation stays.

    Raises:
        NotFoundError: there is none with this id.
    """
    await _check_references(tx, changed)
    if await tx.run(_SQL[type(changed)].update, *_columns(changed)) == 0:
        raise errors.NotFoundError(f"there is no {_KINDS[type(changed)][1]} {changed.id}")
    tx.announce(OffersChanged())


async def put(tx: Transaction, value: Asset | PolicyDefinition | ContractDefinition) -> bool:
    """Store one, new or changed, and return whether it is new."""
    new = await tx.one(_SQL[type(value)].by_id, value.id) is None
    if new:
        await insert(tx, value)
    else:
        await save(tx, value)
    return new


async def remove(tx: Transaction, kind: type[T], name: str) -> None:
    """Delete one.

    Raises:
        NotFoundError: there is none with this id.
        ConflictError: a contract definition needs this policy, or an agreement this asset.
    """
    if kind is PolicyDefinition:
        user = await tx.one(_USERS, name)
        if user:
            raise errors.ConflictError(f"policy definition {name} is used by contract definition {user[0]}")
    if kind is Asset and await tx.one(_AGREED, name):
        raise errors.ConflictError(
            f"asset {name} is under an agreement", hint="remove its contract definitions to stop offering it"
        )
    if await tx.run(_SQL[kind].delete, name) == 0:
        raise errors.NotFoundError(f"there is no {_KINDS[kind][1]} {name}")
    tx.announce(OffersChanged())


async def _check_references(tx: Transaction, new: Asset | PolicyDefinition | ContractDefinition) -> None:
    if isinstance(new, ContractDefinition):
        for field, name in (
            ("accessPolicyId", new.access_policy_id),
            ("contractPolicyId", new.contract_policy_id),
        ):
            if await find(tx, PolicyDefinition, name) is None:
                raise errors.InvalidInputError(f"there is no policy definition {name}", path=f"$.{field}")


class _Sql(Struct, frozen=True):
    by_id: str
    all: str
    insert: str
    update: str
    delete: str


def _statements(kind: type[Struct]) -> _Sql:
    table, fields = _KINDS[kind][0], kind.__struct_fields__
    columns = ", ".join(fields)
    places = ", ".join(f"?{at}" for at in range(1, len(fields) + 1))
    changes = ", ".join(
        f"{name} = ?{at}" for at, name in enumerate(fields, 1) if name not in {"id", "created_at"}
    )
    return _Sql(
        by_id=f"SELECT {columns} FROM {table} WHERE id = ?1",
        all=f"SELECT {columns} FROM {table} ORDER BY created_at, id",
        insert=f"INSERT INTO {table} ({columns}) VALUES ({places}) ON CONFLICT (id) DO NOTHING",
        update=f"UPDATE {table} SET {changes}, created_at = created_at + 0 * ?{len(fields)} WHERE id = ?1",
        delete=f"DELETE FROM {table} WHERE id = ?1",
    )


_COMMON = {"@id": listing.Column("id"), "createdAt": listing.Column("created_at", number=True)}
_LISTINGS = {
    kind: listing.Listing(_KINDS[kind][0], ", ".join(kind.__struct_fields__), {**_COMMON, **columns})
    for kind, columns in (
        (Asset, {}),
        (PolicyDefinition, {}),
        (
            ContractDefinition,
            {
                "accessPolicyId": listing.Column("access_policy_id"),
                "contractPolicyId": listing.Column("contract_policy_id"),
            },
        ),
    )
}
_SQL = {kind: _statements(kind) for kind in _KINDS}
_USERS = "SELECT id FROM contract_definition WHERE access_policy_id = ?1 OR contract_policy_id = ?1 LIMIT 1"
_AGREED = "SELECT 1 FROM agreement WHERE asset_id = ?1 AND role = 'provider' AND finalized = 1 LIMIT 1"
_AFTER = (
    f"SELECT {', '.join(Asset.__struct_fields__)} FROM asset WHERE (created_at, id) > (?1, ?2)"
    " ORDER BY created_at, id LIMIT ?3"
)


_BEFORE = (
    f"SELECT {', '.join(Asset.__struct_fields__)} FROM asset WHERE (created_at, id) < (?1, ?2)"
    " ORDER BY created_at DESC, id DESC LIMIT ?3"
)


async def find_assets_after(tx: Transaction, after: tuple[int, str], *, limit: int) -> list[Asset]:
    """Return assets in order of (created_at, id), beginning after a place."""
    return [_value(Asset, row) for row in await tx.all(_AFTER, *after, limit)]


async def find_assets_before(tx: Transaction, before: tuple[int, str], *, limit: int) -> list[Asset]:
    """Return assets backwards in order of (created_at, id), beginning before a place."""
    return [_value(Asset, row) for row in await tx.all(_BEFORE, *before, limit)]
