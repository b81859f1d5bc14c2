"""What is offered, by hand: assets, policy definitions and contract definitions, created, changed, queried, removed.

Policies are checked when they are written: what cannot be enforced is refused here, not found out later. Data
addresses are sealed in the store, and shown without their credentials.
"""

from __future__ import annotations

from typing import Any

import msgspec

from comity.controlplane import content
from comity.controlplane.connector import Connector
from comity.db import offers
from comity.db.database import Transaction
from comity.db.offers import Asset, ContractDefinition, PolicyDefinition
from comity.management import offers as forms
from comity.management import query

Document = dict[str, Any]
SECRET_WORDS = ("auth", "secret", "password", "token", "key", "header:")
DEFINITION_FIELDS = ("@id", "id", "createdAt", "accessPolicyId", "contractPolicyId")


def _asset(connector: Connector, form: forms.AssetForm) -> Asset:
    name = form.id or connector.new_id()
    address = msgspec.json.encode(form.data_address)
    return Asset(
        id=name,
        properties=form.properties,
        private_properties=form.private_properties,
        data_address_sealed=connector.seal.close(address, content.ADDRESS + name),
        created_at=connector.now_ms(),
    )


async def create_asset(connector: Connector, form: forms.AssetForm) -> Asset:
    """Store a new asset; a file is hashed now, so that what is handed out later is what was meant.

    Raises:
        ConflictError: the id is taken.
        InvalidInputError, StorageError: the data address names nothing that can be read.
    """
    asset = await _with_content(connector, _asset(connector, form), form.data_address)
    await connector.database.write(lambda tx: offers.insert(tx, asset))
    return asset


async def change_asset(connector: Connector, form: forms.AssetForm) -> None:
    """Replace an asset.

    Raises:
        NotFoundError: there is none with this id.
    """
    asset = await _with_content(connector, _asset(connector, form), form.data_address)
    await connector.database.write(lambda tx: offers.save(tx, asset))


async def _with_content(connector: Connector, asset: Asset, address: Document) -> Asset:
    if address.get("type") != "File":
        content.check_address(address)
        return asset
    source = await content.publish_address(connector, address)
    sealed = content.close(connector, asset.id, content.Sealed("", {"": source}))
    return msgspec.structs.replace(asset, content_sealed=sealed)


async def create_policy(connector: Connector, form: forms.PolicyForm) -> PolicyDefinition:
    """Store a new policy definition.

    Raises:
        ConflictError: the id is taken.
        InvalidInputError: the policy cannot be read, or has a term that cannot be enforced.
    """
    new = _policy(connector, form)
    await connector.database.write(lambda tx: offers.insert(tx, new))
    return new


async def change_policy(connector: Connector, form: forms.PolicyForm) -> None:
    """Replace a policy definition; agreements made under it stay as they are.

    Raises:
        NotFoundError: there is none with this id.
        InvalidInputError: the policy cannot be read, or has a term that cannot be enforced.
    """
    changed = _policy(connector, form)
    await connector.database.write(lambda tx: offers.save(tx, changed))


def _policy(connector: Connector, form: forms.PolicyForm) -> PolicyDefinition:
    content.check_policy(form.policy)
    return PolicyDefinition(
        id=form.id or connector.new_id(),
        policy=form.policy,
        private_properties=form.private_properties,
        created_at=connector.now_ms(),
    )


async def create_contract(connector: Connector, form: forms.ContractForm) -> ContractDefinition:
    """Store a new contract definition.

    Raises:
        ConflictError: the id is taken.
        InvalidInputError: a policy that it names does not exist.
    """
    new = _contract(connector, form)
    await connector.database.write(lambda tx: offers.insert(tx, new))
    return new


async def change_contract(connector: Connector, form: forms.ContractForm) -> None:
    """Replace a contract definition.

    Raises:
        NotFoundError: there is none with this id.
        InvalidInputError: a policy that it names does not exist.
    """
    changed = _contract(connector, form)
    await connector.database.write(lambda tx: offers.save(tx, changed))


def _contract(connector: Connector, form: forms.ContractForm) -> ContractDefinition:
    return ContractDefinition(
        id=form.id or connector.new_id(),
        access_policy_id=form.access_policy_id,
        contract_policy_id=form.contract_policy_id,
        assets_selector=form.assets_selector,
        private_properties=form.private_properties,
        created_at=connector.now_ms(),
    )


async def load(connector: Connector, kind: type[offers.T], name: str) -> Document:
    """Return one as a document.

    Raises:
        NotFoundError: there is none with this id.
    """

    async def unit(tx: Transaction) -> Document:
        return _shown(connector, await offers.load(tx, kind, name))

    return await connector.database.read(unit)


async def remove(connector: Connector, kind: type[offers.T], name: str) -> None:
    """Delete one.

    Raises:
        NotFoundError: there is none with this id.
        ConflictError: something needs it.
    """
    await connector.database.write(lambda tx: offers.remove(tx, kind, name))


async def find(connector: Connector, kind: type[offers.T], spec: query.Spec) -> list[Document]:
    """Return the documents that a query asks for."""

    async def unit(tx: Transaction) -> list[Document]:
        return [_shown(connector, each) for each in await offers.find_all(tx, kind)]

    found = await connector.database.read(unit)
    if kind is Asset:
        return _select_assets(found, spec)
    searchable = [{**each, "id": each["@id"]} for each in found]
    return [_without_id(each) for each in query.select(searchable, spec, DEFINITION_FIELDS)]


def _without_id(document: Document) -> Document:
    return {name: value for name, value in document.items() if name != "id"}


def _select_assets(found: list[Document], spec: query.Spec) -> list[Document]:
    """Assets have properties of any name: a filter on one that no asset has selects nothing."""
    flat = [{**each, **each["properties"], "id": each["@id"]} for each in found]
    by_id = {each["@id"]: each for each in found}
    chosen = [each for each in flat if query.matches_all(spec.criteria, each)]
    return [by_id[each["@id"]] for each in query.page(chosen, spec)]


def _shown(connector: Connector, stored: Asset | PolicyDefinition | ContractDefinition) -> Document:
    if isinstance(stored, PolicyDefinition):
        return forms.encode_policy(stored.id, stored.policy, stored.private_properties, stored.created_at)
    if isinstance(stored, ContractDefinition):
        form = forms.ContractForm(
            stored.id,
            stored.access_policy_id,
            stored.contract_policy_id,
            stored.assets_selector,
            stored.private_properties,
        )
        return forms.encode_contract(form, stored.created_at)
    address = msgspec.json.decode(
        connector.seal.open(stored.data_address_sealed, content.ADDRESS + stored.id)
    )
    shown = {name: value for name, value in address.items() if not _is_secret(name)}
    return forms.encode_asset(
        stored.id, stored.properties, stored.private_properties, shown, stored.created_at
    )


def _is_secret(name: str) -> bool:
    return any(word in name.lower() for word in SECRET_WORDS)
