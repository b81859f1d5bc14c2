"""Rows of what is offered: assets, policy definitions, contract definitions, as EDC's management API names them.

One set of functions serves the three kinds; what is sealed here is opened by `controlplane` only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import aclosing
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from comity import errors
from comity.db import listing, published
from comity.db.store import Row, Shared, Transaction
from comity.db.table import Table
from comity.management import query

Document = dict[str, Any]


class Asset(Struct, frozen=True, kw_only=True):
    """Something to hand over; its data address is sealed: it may hold credentials.

    `content_id` names the sealed list of its files (`published`), empty for an address.
    """

    id: str
    properties: Document
    private_properties: Document
    data_address_sealed: bytes
    content_id: str = ""
    created_at: int


class PolicyDefinition(Struct, frozen=True, kw_only=True):
    """A policy under a name."""

    id: str
    policy: Document
    private_properties: Document
    created_at: int


class ContractDefinition(Struct, frozen=True, kw_only=True):
    """Which assets are shown under which policy and agreed under which; `assets_selector` is a list of criteria.

    `approval` is a rule of who has to approve it (empty: nobody), `written_by` the API key of who wrote it last.
    `named_asset` follows from the selector: the only asset that it can select, empty if there may be others.
    """

    id: str
    access_policy_id: str
    contract_policy_id: str
    assets_selector: list[Document]
    private_properties: Document
    created_at: int
    approval: Document = {}
    written_by: str = ""
    named_asset: str = ""

    def __post_init__(self) -> None:
        """Find the asset that is named."""
        msgspec.structs.force_setattr(self, "named_asset", query.named_asset(self.assets_selector))


_ASSETS = Table("asset", Asset, documents=("properties", "private_properties"))
_TABLES: dict[type[Struct], Table[Any]] = {
    Asset: _ASSETS,
    PolicyDefinition: Table(
        "policy_definition", PolicyDefinition, documents=("policy", "private_properties")
    ),
    ContractDefinition: Table(
        "contract_definition",
        ContractDefinition,
        documents=("assets_selector", "private_properties", "approval"),
    ),
}


class OffersChanged(Shared, frozen=True):
    """Announced after the commit: something that is offered was added, changed or removed."""


T = TypeVar("T", Asset, PolicyDefinition, ContractDefinition)


def _word(kind: type[Struct]) -> str:
    return _TABLES[kind].name.replace("_", " ")


async def find(tx: Transaction, kind: type[T], name: str) -> T | None:
    """Return the asset, policy definition or contract definition with an id, or None."""
    return await _TABLES[kind].one(tx, "WHERE id = ?1", name)


async def load(tx: Transaction, kind: type[T], name: str) -> T:
    """Return the asset, policy definition or contract definition with an id.

    Raises:
        NotFoundError: there is none.
    """
    found = await find(tx, kind, name)
    if found is None:
        raise errors.NotFoundError(f"there is no {_word(kind)} {name}")
    return found


async def find_properties(tx: Transaction, asset_id: str) -> Document | None:
    """Return what partners are told of an asset, without reading the list of its files; None if there is none."""
    row = await tx.one("SELECT properties FROM asset WHERE id = ?1", asset_id)
    return dict(msgspec.json.decode(row[0])) if row else None


async def find_private_properties(tx: Transaction, asset_id: str) -> Document | None:
    """Return what only our own people are told of an asset, read as `find_properties` does; None if there is none."""
    row = await tx.one("SELECT private_properties FROM asset WHERE id = ?1", asset_id)
    return dict(msgspec.json.decode(row[0])) if row else None


async def find_naming(tx: Transaction, member: str, texts: Collection[str]) -> list[str]:
    """Return the ids of the assets whose list in a private property names one of some texts."""
    async with aclosing(tx.each("SELECT id, private_properties FROM asset ORDER BY id")) as rows:
        having = [row async for row in rows if member.encode() in row[1]]
    return [
        str(name)
        for name, private in having
        if set(msgspec.json.decode(private).get(member) or ()) & set(texts)
    ]


async def find_some(tx: Transaction, kind: type[T], names: Collection[str]) -> list[T]:
    """Return those of a kind that have these ids."""
    return await _TABLES[kind].all(tx, f"WHERE id IN ({_places(len(names))})", *names) if names else []


async def find_selecting(tx: Transaction, asset_ids: Collection[str]) -> list[ContractDefinition]:
    """Return the contract definitions that may select one of some assets, oldest first."""
    where = f"WHERE named_asset IN ({_places(len(asset_ids) + 1)}) ORDER BY created_at, id"
    return await _TABLES[ContractDefinition].all(tx, where, "", *asset_ids)


def _places(count: int) -> str:
    return ", ".join(f"?{at}" for at in range(1, count + 1))


async def find_page(
    tx: Transaction, kind: type[T], spec: query.Spec, write: Callable[[T], Document]
) -> list[Document]:
    """Return a page of documents that `write` makes of those of a kind."""

    async def made(row: Row) -> Document:
        return write(_TABLES[kind].value(row))

    return await _LISTINGS[kind].find(tx, spec, made)


async def insert(
    tx: Transaction, new: Asset | PolicyDefinition | ContractDefinition
) -> Asset | PolicyDefinition | ContractDefinition:
    """Store a new one and return it.

    Raises:
        ConflictError: the id is taken.
    """
    if not await _add(tx, new):
        raise errors.ConflictError(f"{_word(type(new))} {new.id} exists already")
    return new


async def _add(tx: Transaction, new: Asset | PolicyDefinition | ContractDefinition) -> bool:
    """Store a new one and return True, False if its id is taken."""
    await _check_references(tx, new)
    table = _TABLES[type(new)]
    added = await tx.run(f"{table.insert} ON CONFLICT (id) DO NOTHING", *table.row(new)) == 1
    if added:
        tx.announce(OffersChanged())
    return added


async def save(tx: Transaction, changed: Asset | PolicyDefinition | ContractDefinition) -> None:
    """Replace one; its time of creation stays.

    Raises:
        NotFoundError: there is none with this id.
    """
    await _check_references(tx, changed)
    kind = type(changed)
    values = _TABLES[kind].values(changed, ("id", *_changing(kind)))
    before = await _content_id(tx, changed.id) if kind is Asset else ""
    if await tx.run(_UPDATE[kind], *values) == 0:
        raise errors.NotFoundError(f"there is no {_word(type(changed))} {changed.id}")
    await published.drop_unused(tx, before)
    tx.announce(OffersChanged())


async def _content_id(tx: Transaction, asset_id: str) -> str:
    row = await tx.one("SELECT content_id FROM asset WHERE id = ?1", asset_id)
    return str(row[0]) if row else ""


async def put(tx: Transaction, value: Asset | PolicyDefinition | ContractDefinition) -> bool:
    """Store one, new or changed, and return whether it is new."""
    new = await _TABLES[type(value)].one(tx, f"WHERE id = ?1{tx.lock}", value.id) is None
    if not new:
        await save(tx, value)
    elif not await _add(tx, value):
        raise errors.LostRaceError(
            f"{_word(type(value))} {value.id} was added by somebody else at the same time"
        )
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
    before = await _content_id(tx, name) if kind is Asset else ""
    if await tx.run(f"DELETE FROM {_TABLES[kind].name} WHERE id = ?1", name) == 0:
        raise errors.NotFoundError(f"there is no {_word(kind)} {name}")
    await published.drop_unused(tx, before)
    tx.announce(OffersChanged())


async def _check_references(tx: Transaction, new: Asset | PolicyDefinition | ContractDefinition) -> None:
    if isinstance(new, ContractDefinition):
        for field, name in (
            ("accessPolicyId", new.access_policy_id),
            ("contractPolicyId", new.contract_policy_id),
        ):
            if await find(tx, PolicyDefinition, name) is None:
                raise errors.InvalidInputError(f"there is no policy definition {name}", path=f"$.{field}")


def _changing(kind: type[Struct]) -> list[str]:
    return [name for name in kind.__struct_fields__ if name not in {"id", "created_at"}]


def _update(kind: type[Struct]) -> str:
    changes = ", ".join(f"{name} = ?{at}" for at, name in enumerate(_changing(kind), 2))
    return f"UPDATE {_TABLES[kind].name} SET {changes} WHERE id = ?1"


_COMMON = {"@id": listing.Column("id"), "createdAt": listing.Column("created_at", number=True)}
_LISTINGS = {
    kind: listing.Listing(_TABLES[kind].name, _TABLES[kind].columns, {**_COMMON, **columns})
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
_UPDATE = {kind: _update(kind) for kind in _TABLES}
_USERS = "SELECT id FROM contract_definition WHERE access_policy_id = ?1 OR contract_policy_id = ?1 LIMIT 1"
_AGREED = "SELECT 1 FROM agreement WHERE asset_id = ?1 AND role = 'provider' AND finalized = 1 LIMIT 1"
_AFTER = "WHERE (created_at, id) > (?1, ?2) ORDER BY created_at, id LIMIT ?3"
_BEFORE = "WHERE (created_at, id) < (?1, ?2) ORDER BY created_at DESC, id DESC LIMIT ?3"


async def find_assets_after(tx: Transaction, after: tuple[int, str], *, limit: int) -> list[Asset]:
    """Return assets in order of (created_at, id), beginning after a place."""
    return await _ASSETS.all(tx, _AFTER, *after, limit)


async def find_assets_before(tx: Transaction, before: tuple[int, str], *, limit: int) -> list[Asset]:
    """Return assets backwards in order of (created_at, id), beginning before a place."""
    return await _ASSETS.all(tx, _BEFORE, *before, limit)
