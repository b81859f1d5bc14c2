"""What is offered, by hand: assets, policy definitions and contract definitions, created, changed, queried, removed.

A policy that cannot be enforced, and a data address that cannot be served, is refused when it is written, not found
out later. Data addresses are sealed in the store.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from comity import errors
from comity.controlplane import approvals, content, offered, offering, passing_on
from comity.controlplane.connector import Connector
from comity.controlplane.origins import DERIVED_FROM
from comity.db import offers, published
from comity.db.offers import Asset, ContractDefinition, PolicyDefinition
from comity.db.store import Transaction
from comity.management import offers as forms
from comity.management import query
from comity.management.approvals import stored as stored_rule

Document = dict[str, Any]
ASSET_WORDS = {"id": "@id", "@id": "@id", "createdAt": "createdAt"}
"""Fields of assets that are columns, in the spelling of those."""


async def create_asset(connector: Connector, form: forms.AssetForm) -> Asset:
    """Store a new asset; a file is hashed now, so that what is handed out later is what was meant.

    Raises:
        ConflictError: the id is taken.
        InvalidInputError, StorageError: the data address names nothing that can be read.
    """
    name = form.id or connector.new_id()
    if await connector.database.read(lambda tx: offers.find(tx, Asset, name)):
        raise errors.ConflictError(f"asset {name} exists already")  # before a large file is hashed
    made, sealed = await _made(connector, name, form)

    async def unit(tx: Transaction) -> Asset:
        await published.keep(tx, sealed)
        await offered.insert(connector, tx, made)
        return made

    return await connector.database.write(unit)


async def keeps_address(connector: Connector, form: forms.AssetForm) -> bool:
    """Return whether a change leaves an asset's data address as it is: none, the stored one, or that as it is shown.

    Raises:
        NotFoundError: there is none with this id.
    """
    stored = await connector.database.read(lambda tx: offers.load(tx, Asset, form.id))
    return _keeps(_address(connector, stored), form)


def _keeps(address: Document, form: forms.AssetForm) -> bool:
    return form.data_address in (None, address, forms.show_address(address))


async def change_asset(connector: Connector, form: forms.AssetForm) -> None:
    """Replace an asset's properties and, where one is given, its data address.

    An address that is the stored one, or that one as it is shown, leaves the content as it was published; a file is
    hashed again.

    Raises:
        NotFoundError: there is none with this id.
        InvalidInputError, StorageError: the data address names nothing that can be read.
    """
    stored = await connector.database.read(lambda tx: offers.load(tx, Asset, form.id))
    address = _address(connector, stored)
    if form.data_address is None or (_keeps(address, form) and address.get("type") != "File"):
        await connector.database.write(lambda tx: _describe_anew(connector, tx, form))
        return
    before = stored.private_properties.get(DERIVED_FROM) or []
    changed, sealed = await _made(connector, stored.id, form, before)

    async def unit(tx: Transaction) -> None:
        await published.keep(tx, sealed)
        await offered.save(connector, tx, changed)

    await connector.database.write(unit)


async def _describe_anew(connector: Connector, tx: Transaction, form: forms.AssetForm) -> None:
    stored = await offers.load(tx, Asset, form.id)
    private = _with_origins(form.private_properties, stored.private_properties.get(DERIVED_FROM) or [])
    changed = msgspec.structs.replace(stored, properties=form.properties, private_properties=private)
    await offered.save(connector, tx, changed)


async def _made(
    connector: Connector, name: str, form: forms.AssetForm, before: Sequence[str] = ()
) -> tuple[Asset, bytes]:
    """Return the asset of a form and its sealed content; what was derived `before` stays so, whatever is said."""
    address = form.data_address or {}
    sealed, digest = await _content(connector, name, address)
    received = await passing_on.known(connector, [digest]) if digest else []
    asset = Asset(
        id=name,
        properties=form.properties,
        private_properties=_with_origins(form.private_properties, [*before, *received]),
        data_address_sealed=connector.seal.close(msgspec.json.encode(address), content.ADDRESS + name),
        content_id=published.id_of(sealed),
        created_at=connector.now_ms(),
    )
    return asset, sealed


def _with_origins(private: Document, received: Sequence[str]) -> Document:
    """Return private properties with the agreements under which what is offered was received."""
    named = private.get(DERIVED_FROM) or []
    listed = (
        named if isinstance(named, list) and all(isinstance(each, str) for each in named) else [str(named)]
    )
    found = list(dict.fromkeys([*listed, *received]))
    return {**private, DERIVED_FROM: found} if found else private


async def _content(connector: Connector, name: str, address: Document) -> tuple[bytes, str]:
    """Return what is behind a file, sealed, and its SHA-256 (hex); both are empty for what is no file.

    A back end is asked when its data is, since it may be away now.
    """
    content.check_address(connector, address)
    if address["type"] == "HttpData":
        _check_back_end(connector, address["baseUrl"])
    if address["type"] != "File":
        return b"", ""
    source = await content.publish_address(connector, address)
    return content.close(connector, name, content.Sealed("", {"": source})), source.sha256


def _check_back_end(connector: Connector, url: str) -> None:
    try:
        connector.egress.check_url(url)
    except errors.PermanentDeliveryError as error:
        raise errors.InvalidInputError(
            f"this back end is refused: {error.message}", path="$.dataAddress.baseUrl", hint=error.hint
        ) from None


def _address(connector: Connector, asset: Asset) -> Document:
    plain = connector.seal.open(asset.data_address_sealed, content.ADDRESS + asset.id)
    return msgspec.json.decode(plain, type=dict[str, Any])


async def create_policy(connector: Connector, form: forms.PolicyForm) -> PolicyDefinition:
    """Store a new policy definition.

    Raises:
        ConflictError: the id is taken.
    """
    new = _policy(connector, form)
    await connector.database.write(lambda tx: offered.insert(connector, tx, new))
    return new


async def change_policy(connector: Connector, form: forms.PolicyForm) -> None:
    """Replace a policy definition; agreements made under it stay as they are.

    Raises:
        NotFoundError: there is none with this id.
    """
    changed = _policy(connector, form)
    await connector.database.write(lambda tx: offered.save(connector, tx, changed))


def _policy(connector: Connector, form: forms.PolicyForm) -> PolicyDefinition:
    return PolicyDefinition(
        id=form.id or connector.new_id(),
        policy=form.policy,
        private_properties=form.private_properties,
        created_at=connector.now_ms(),
    )


async def create_contract(
    connector: Connector, form: forms.ContractForm, *, by: str = ""
) -> ContractDefinition:
    """Store a new contract definition; `by` is the API key of who writes it.

    Raises:
        ConflictError: the id is taken.
        InvalidInputError: a policy that it names does not exist, or nobody could approve it.
    """
    new = _contract(connector, form, by)

    async def unit(tx: Transaction) -> object:
        await approvals.check_rule(tx, stored_rule(new.approval), by)
        return await offered.insert(connector, tx, new)

    await connector.database.write(unit)
    return new


async def change_contract(connector: Connector, form: forms.ContractForm, *, by: str = "") -> None:
    """Replace a contract definition; who has to approve it stays as it is where nothing is said of that.

    Raises:
        NotFoundError: there is none with this id.
        InvalidInputError: a policy that it names does not exist, or nobody could approve it.
    """
    changed = _contract(connector, form, by)

    async def unit(tx: Transaction) -> None:
        approval = changed.approval
        if form.approval is None:
            approval = (await offers.load(tx, ContractDefinition, changed.id)).approval
        await approvals.check_rule(tx, stored_rule(approval), by)
        await offered.save(connector, tx, msgspec.structs.replace(changed, approval=approval))

    await connector.database.write(unit)


def _contract(connector: Connector, form: forms.ContractForm, by: str) -> ContractDefinition:
    return ContractDefinition(
        id=form.id or connector.new_id(),
        access_policy_id=form.access_policy_id,
        contract_policy_id=form.contract_policy_id,
        assets_selector=form.assets_selector,
        private_properties=form.private_properties,
        created_at=connector.now_ms(),
        approval=form.approval or {},
        written_by=by,
    )


async def load(connector: Connector, kind: type[offers.T], name: str) -> Document:
    """Return one as a document.

    Raises:
        NotFoundError: there is none with this id.
    """
    return _shown(connector, await connector.database.read(lambda tx: offers.load(tx, kind, name)))


async def remove(connector: Connector, kind: type[offers.T], name: str) -> None:
    """Delete one.

    Raises:
        NotFoundError: there is none with this id.
        ConflictError: something needs it.
    """
    await connector.database.write(lambda tx: offered.remove(connector, tx, kind, name))


async def find_assets(connector: Connector, spec: query.Spec) -> list[Document]:
    """Return the assets that a query asks for; a filter on a property that none of them has selects nothing."""
    wanted = query.rename(spec, ASSET_WORDS)

    async def unit(tx: Transaction) -> list[Document]:
        found = await offers.find_page(tx, Asset, wanted, _described)
        return [_shown(connector, await offers.load(tx, Asset, each["@id"])) for each in found]

    return await connector.database.read(unit)


def _described(asset: Asset) -> Document:
    described = offering.describe(asset)
    return {**described, "createdAt": asset.created_at, "privateProperties": asset.private_properties}


async def find_policies(connector: Connector, spec: query.Spec) -> list[Document]:
    """Return the policy definitions that a query asks for.

    Raises:
        InvalidInputError: it asks about a field that they do not have.
    """
    return await _find(connector, PolicyDefinition, query.resolve(spec, forms.DEFINITION_FIELDS))


async def find_contracts(connector: Connector, spec: query.Spec) -> list[Document]:
    """Return the contract definitions that a query asks for.

    Raises:
        InvalidInputError: it asks about a field that they do not have.
    """
    return await _find(connector, ContractDefinition, query.resolve(spec, forms.CONTRACT_FIELDS))


async def _find(connector: Connector, kind: type[offers.T], wanted: query.Spec) -> list[Document]:
    return await connector.database.read(
        lambda tx: offers.find_page(tx, kind, wanted, lambda each: _shown(connector, each))
    )


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
            stored.approval,
        )
        return forms.encode_contract(form, stored.created_at)
    address = _address(connector, stored)
    return forms.encode_asset(
        stored.id, stored.properties, stored.private_properties, address, stored.created_at
    )
