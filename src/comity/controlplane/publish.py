"""Publishing a folder as a technical data package: hashed, described by a manifest, offered under a policy.

Asset, policies and contract definition are stored together: nothing is ever offered by halves. Files stay where they
are; what was hashed is compared again whenever it is read.
"""

from __future__ import annotations

import asyncio
from pathlib import PurePath
from typing import Any

import msgspec
from msgspec import Struct

from comity import errors
from comity.controlplane import content, offered
from comity.controlplane.connector import Connector
from comity.db import offers
from comity.db.offers import Asset, ContractDefinition, PolicyDefinition
from comity.db.store import Transaction
from comity.storage import folder as folders
from comity.techdata import manifest

Document = dict[str, Any]
MEASURED = frozenset({"dcat:byteSize", "comity:files", "comity:manifestSha256"})
"""Properties of a package that are found by reading it."""
ANYONE_LISTED: Document = {"@type": "Set", "permission": [{"action": "use"}]}


class Published(Struct, frozen=True, rename="camel"):
    """What was published; sizes in bytes, digests in hex."""

    asset_id: str
    title: str
    files: int
    size_bytes: int
    manifest_sha256: str
    skipped: list[str]


async def publish(
    connector: Connector,
    folder: str,
    *,
    asset_id: str = "",
    title: str = "",
    policy: Document | None = None,
    access_policy: Document | None = None,
    properties: Document | None = None,
    replace: bool = False,
) -> Published:
    """Hash the files below `folder` and offer them to partners under `policy` (none: every partner on the list).

    Raises:
        StorageError: the folder or a file cannot be read, or lies outside the folders that are allowed.
        InvalidInputError: a policy that cannot be enforced, a name that no manifest can hold, an empty folder, a
            property that is not the operator's to say.
        ConflictError: the id is taken and `replace` is not asked for.
    """
    contract = ANYONE_LISTED if policy is None else policy
    access = contract if access_policy is None else access_policy
    content.check_policy(contract)
    content.check_policy(access, path="$.accessPolicy")
    _check_properties(properties or {})
    scan = await folders.scan(connector.files, folder)
    if not scan.files:
        raise errors.InvalidInputError(f"there is no file in {folder}", path="$.folder")
    title = title or PurePath(await asyncio.to_thread(connector.files.resolve, folder)).name
    data = manifest.encode(scan.manifest(title))
    published = Published(
        asset_id or f"urn:comity:package:{manifest.digest(data)[:32]}",
        title,
        len(scan.files),
        sum(each.source.size_bytes or 0 for each in scan.files),
        manifest.digest(data),
        list(scan.skipped),
    )
    sealed = content.Sealed(data.decode(), {each.path: each.source for each in scan.files})
    asset = _asset(connector, published, folder, sealed, properties or {})
    await connector.database.write(lambda tx: _store(connector, tx, asset, contract, access, replace=replace))
    return published


def _asset(
    connector: Connector, published: Published, folder: str, sealed: content.Sealed, properties: Document
) -> Asset:
    """Return the asset of a package: what was measured stands beside what the operator says of it."""
    name = published.asset_id
    measured = {
        "dct:title": published.title,
        "dct:type": {"@id": "https://w3id.org/comity/TechnicalDataPackage"},
        "dcat:byteSize": str(published.size_bytes),
        "comity:files": str(published.files),
        "comity:manifestSha256": published.manifest_sha256,
    }
    address = msgspec.json.encode({"type": "Package", "folder": folder})
    return Asset(
        id=name,
        properties={**measured, **properties},
        private_properties={"folder": folder},
        data_address_sealed=connector.seal.close(address, content.ADDRESS + name),
        content_sealed=content.close(connector, name, sealed),
        created_at=connector.now_ms(),
    )


def _check_properties(properties: Document) -> None:
    for name in properties:
        if name in MEASURED or name.startswith("@") or name == "id":
            raise errors.InvalidInputError(
                f"{name[:100]} is not for the operator to say", path=f"$.properties.{name[:100]}"
            )


async def _store(
    connector: Connector,
    tx: Transaction,
    asset: Asset,
    contract: Document,
    access: Document,
    *,
    replace: bool,
) -> Asset:
    """Write asset, policies and definition together, and return the asset: nothing is ever offered by halves."""
    exists = await offers.find(tx, Asset, asset.id) is not None
    if exists and not replace:
        raise errors.ConflictError(
            f"{asset.id} is published already", hint="publish with --replace, or another --id"
        )
    now = asset.created_at
    policies = [
        PolicyDefinition(id=f"{asset.id}#access", policy=access, private_properties={}, created_at=now),
        PolicyDefinition(id=f"{asset.id}#contract", policy=contract, private_properties={}, created_at=now),
    ]
    definition = ContractDefinition(
        id=f"{asset.id}#offer",
        access_policy_id=policies[0].id,
        contract_policy_id=policies[1].id,
        assets_selector=[{"operandLeft": "id", "operator": "=", "operandRight": asset.id}],
        private_properties={},
        created_at=now,
    )
    rows: list[Asset | PolicyDefinition | ContractDefinition] = [asset, *policies, definition]
    for each in rows:
        await offered.put(connector, tx, each)
    return asset
