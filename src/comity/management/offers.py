"""Assets, policy definitions and contract definitions on the wire (EDC management API v3)."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from comity.management import query, wire

Document = dict[str, Any]
ASSET_FIELDS = ("@id", "id", "createdAt")


class AssetForm(Struct, frozen=True):
    """An asset as somebody wants it; `id` empty: choose one."""

    id: str
    properties: Document
    private_properties: Document
    data_address: Document


class PolicyForm(Struct, frozen=True):
    """A policy definition as somebody wants it."""

    id: str
    policy: Document
    private_properties: Document


class ContractForm(Struct, frozen=True):
    """A contract definition as somebody wants it."""

    id: str
    access_policy_id: str
    contract_policy_id: str
    assets_selector: list[Document]
    private_properties: Document


def decode_asset(body: Document) -> AssetForm:
    """Read an asset.

    Raises:
        InvalidInputError: with the place of what is wrong.
    """
    properties = wire.bare(wire.mapping(body, "properties"))
    own = properties.pop("id", None)
    return AssetForm(
        wire.identifier(body) or (own if isinstance(own, str) else ""),
        properties,
        wire.bare(wire.mapping(body, "privateProperties")),
        wire.bare(wire.mapping(body, "dataAddress", required=True)),
    )


def encode_asset(
    name: str, properties: Document, private: Document, address: Document, created_at: int
) -> Document:
    """Write an asset; credentials of its data address have been taken out by the caller."""
    return wire.document(
        "Asset",
        name,
        properties={**properties, "id": name},
        privateProperties=private or None,
        dataAddress={"@type": "DataAddress", **address},
        createdAt=created_at,
    )


def decode_policy(body: Document) -> PolicyForm:
    """Read a policy definition.

    Raises:
        InvalidInputError: with the place of what is wrong.
    """
    policy = wire.mapping(body, "policy", required=True)
    return PolicyForm(wire.identifier(body), policy, wire.bare(wire.mapping(body, "privateProperties")))


def encode_policy(name: str, policy: Document, private: Document, created_at: int) -> Document:
    """Write a policy definition."""
    return wire.document(
        "PolicyDefinition", name, policy=policy, privateProperties=private or None, createdAt=created_at
    )


def decode_contract(body: Document) -> ContractForm:
    """Read a contract definition.

    Raises:
        InvalidInputError: with the place of what is wrong.
    """
    return ContractForm(
        wire.identifier(body),
        wire.text(body, "accessPolicyId", required=True),
        wire.text(body, "contractPolicyId", required=True),
        query.read_criteria(query.get(body, "assetsSelector", []), path="$.assetsSelector"),
        wire.bare(wire.mapping(body, "privateProperties")),
    )


def encode_contract(form: ContractForm, created_at: int) -> Document:
    """Write a contract definition."""
    return wire.document(
        "ContractDefinition",
        form.id,
        accessPolicyId=form.access_policy_id,
        contractPolicyId=form.contract_policy_id,
        assetsSelector=[{"@type": "Criterion", **each} for each in form.assets_selector],
        privateProperties=form.private_properties or None,
        createdAt=created_at,
    )
