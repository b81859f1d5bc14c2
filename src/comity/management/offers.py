"""Assets, policy definitions and contract definitions on the wire (EDC management API v3).

Reading says what is wrong and where; writing leaves credentials out.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct

from comity import errors
from comity.management import approvals, names, policy, query, wire
from comity.management.operators import text

Document = dict[str, Any]
DEFINITION_FIELDS = ("createdAt",)
CONTRACT_FIELDS = ("accessPolicyId", "contractPolicyId", "createdAt")
SHOWN = frozenset(
    {
        "type", "baseUrl", "path", "folder", "name", "method", "contentType", "proxyPath", "proxyQueryParams",
        "proxyMethod", "proxyBody", "bucketName", "objectName", "folderName", "region", "endpointOverride", "account",
        "container", "blobName", "bucket_name", "blob_name", "folder_name",
    }
)  # fmt: skip
"""What is shown of a data address: anything else might be a credential."""
AUTH_KEY, AUTH_CODE, SECRET_NAME = "authKey", "authCode", "secretName"
_AUTH = frozenset({AUTH_KEY, AUTH_CODE, SECRET_NAME})
_CREDENTIALS = ("auth", "secret", "password", "token", "key", "header:", "oauth2:")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_HEADER_TEXT = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
MAX_HEADER = 16 * 1024
OUR_HEADERS = frozenset(
    {
        "accept-encoding", "connection", "content-length", "content-type", "expect", "host", "if-match", "keep-alive",
        "proxy-connection", "range", "te", "trailer", "transfer-encoding", "upgrade", "user-agent",
    }
)  # fmt: skip
"""Headers that are not for a credential: they say what is asked for, and how."""
BUCKETS = ("AmazonS3", "AzureStorage", "GoogleCloudStorage")
"""Types of data addresses, in EDC's words, that name a bucket; which one, `storage.buckets` knows."""
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
    """A contract definition as somebody wants it; `approval` is a rule, empty for none, None: as it is."""

    id: str
    access_policy_id: str
    contract_policy_id: str
    assets_selector: list[Document]
    private_properties: Document
    approval: Document | None = None


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
        if name not in _AUTH and any(word in name.lower() for word in _CREDENTIALS):
            of_bucket = address.get("type") in BUCKETS
            raise errors.InvalidInputError(
                "credentials of this kind are not supported",
                path=place,
                hint="a bucket and its credentials are listed in comity.toml: docs/how-to/buckets.md"
                if of_bucket
                else "name a header in authKey and give its value in authCode, or as a secret in secretName",
            )
        if name in _ONLY and text(value).lower() not in _ONLY[name]:
            raise errors.InvalidInputError(f"{name} is not supported yet, only plain GET is", path=place)
    if _AUTH & address.keys():
        _check_credential(address)
    return address


def _check_credential(address: Document) -> None:
    """Refuse a credential that could not be sent: a header needs a name and one value, and a back end to go to."""
    if address.get("type") != "HttpData":
        raise errors.InvalidInputError("only HttpData takes credentials", path="$.dataAddress.type")
    name, code, secret = (address.get(each) for each in (AUTH_KEY, AUTH_CODE, SECRET_NAME))
    if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name) or name.lower() in OUR_HEADERS:
        raise errors.InvalidInputError(
            "authKey must be the name of a header for a credential", path=f"$.dataAddress.{AUTH_KEY}"
        )
    if (code is None) == (secret is None):
        raise errors.InvalidInputError(
            "give the value of the header either in authCode or in secretName",
            path=f"$.dataAddress.{AUTH_CODE}",
        )
    if code is not None and not is_header_text(code):
        raise errors.InvalidInputError(
            "authCode must be visible ASCII, as a header is", path=f"$.dataAddress.{AUTH_CODE}"
        )
    if secret is not None:
        wire.check_id(secret, f"$.dataAddress.{SECRET_NAME}")


def named_secrets(form: AssetForm) -> list[str]:
    """Return the names of the secrets whose values an asset would send to its back end."""
    name = (form.data_address or {}).get(SECRET_NAME)
    return [] if name is None else [str(name)]


def is_header_text(value: Any) -> bool:
    """Return whether a value can be sent as a header: visible ASCII and blanks, at most 16 KiB."""
    return isinstance(value, str) and len(value) <= MAX_HEADER and _HEADER_TEXT.fullmatch(value) is not None


def show_address(address: Document) -> Document:
    """Return a data address as it may be shown: the query of an URL may be a signature.

    What is shown can be written back: then it stands for the address as it is.
    """
    shown = {name: value for name, value in address.items() if name in SHOWN}
    if SECRET_NAME in address:
        shown |= {name: address[name] for name in (AUTH_KEY, SECRET_NAME)}
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
        None if names.get(body, "approval") is None else approvals.document(approvals.read(body)),
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
        approval=form.approval or None,
        createdAt=created_at,
    )
