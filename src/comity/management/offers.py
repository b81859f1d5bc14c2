"""Assets, policy definitions and contract definitions on the wire (EDC management API v3).

Reading says what is wrong and where; writing leaves credentials out.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from comity import errors
from comity.management import names, policy, query, wire
from comity.management.operators import text

Document = dict[str, Any]
DEFINITION_FIELDS = ("createdAt",)
CONTRACT_FIELDS = ("accessPolicyId", "contractPolicyId", "createdAt")
SHOWN = frozenset(
    {
        "type", "baseUrl", "path", "folder", "name", "method", "contentType", "proxyPath", "proxyQueryParams",
        "proxyMethod", "proxyBody",
    }
)  # fmt: skip
"""What is shown of a data address: anything else might be a credential."""
_CREDENTIALS = ("auth", "secret", "password", "token", "key", "header:", "oauth2:")
_SWITCH = ("true", "false")
_ONLY = {
    "method": ("get",),
    "queryParams": ("",),
    "proxyMethod": _SWITCH,
    "proxyBody": _SWITCH,
    "proxyPath": _SWITCH,
    "proxyQueryParams": _SWITCH,
}
"""Values that change nothing: whoever fetches data here chooses neither path, method nor body."""


class AssetForm(Struct, frozen=True):
    """An asset as somebody wants it; `id` empty: choose one; `data_address` None: as it is."""

    id: str
    properties: Document
    private_properties: Document
    data_address: Document | None


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


def decode_asset(body: Document, *, new: bool = True) -> AssetForm:
    """Read an asset; a new one needs a data address.

    Raises:
        InvalidInputError: with the place of what is wrong.
    """
    properties = wire.properties(body, "properties")
    own = properties.pop("id", None)
    name = wire.identifier(body) or ("" if own is None else wire.check_id(own, "$.properties.id"))
    given = names.get(body, "dataAddress") is not None
    if new and not given:
        raise errors.InvalidInputError("dataAddress is missing", path="$.dataAddress")
    return AssetForm(
        name, properties, wire.properties(body, "privateProperties"), _address(body) if given else None
    )


def _address(body: Document) -> Document:
    """Return a data address; what would be taken without effect is refused: nobody could tell why data fails later."""
    address = {name: value for name, value in wire.properties(body, "dataAddress").items() if name != "@type"}
    for name, value in address.items():
        place = f"$.dataAddress.{name[:100]}"
        if any(word in name.lower() for word in _CREDENTIALS):
            raise errors.InvalidInputError(
                "credentials of a back end are not supported yet",
                path=place,
                hint="let the back end answer this connector without, for example by its address",
            )
        if name in _ONLY and text(value).lower() not in _ONLY[name]:
            raise errors.InvalidInputError(f"{name} is not supported yet, only plain GET is", path=place)
    return address


def show_address(address: Document) -> Document:
    """Return a data address as it may be shown: the query of an URL may be a signature."""
    shown = {name: value for name, value in address.items() if name in SHOWN}
    if address.get("type") != "HttpData":
        return shown
    urls = {
        name: shown[name].partition("?")[0]
        for name in ("baseUrl", "path")
        if isinstance(shown.get(name), str)
    }
    return {**shown, **urls}


def encode_asset(
    name: str, properties: Document, private: Document, address: Document, created_at: int
) -> Document:
    """Write an asset; of its data address only what may be shown."""
    return wire.document(
        "Asset",
        name,
        properties={**properties, "id": name},
        privateProperties=private or None,
        dataAddress={"@type": "DataAddress", **show_address(address)},
        createdAt=created_at,
    )


def decode_policy(body: Document) -> PolicyForm:
    """Read a policy definition.

    Raises:
        InvalidInputError: with the place of what is wrong, a term that cannot be enforced among it.
    """
    return PolicyForm(wire.identifier(body), policy.read(body), wire.properties(body, "privateProperties"))


def encode_policy(name: str, terms: Document, private: Document, created_at: int) -> Document:
    """Write a policy definition."""
    return wire.document(
        "PolicyDefinition",
        name,
        policy=wire.policy(terms),
        privateProperties=private or None,
        createdAt=created_at,
    )


def decode_contract(body: Document) -> ContractForm:
    """Read a contract definition; without a selector it is about every asset.

    Raises:
        InvalidInputError: with the place of what is wrong.
    """
    return ContractForm(
        wire.identifier(body),
        wire.text(body, "accessPolicyId", required=True),
        wire.text(body, "contractPolicyId", required=True),
        query.read_criteria(names.get(body, "assetsSelector"), path="$.assetsSelector"),
        wire.properties(body, "privateProperties"),
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
