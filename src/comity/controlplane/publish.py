"""Publishing a folder as a technical data package: hashed, described by a manifest, offered under a policy.

Asset, policies and contract definition are stored together: nothing is ever offered by halves. Files stay where they
are; what was hashed is compared again whenever it is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import msgspec
from msgspec import Struct

from comity import errors
from comity.controlplane import approvals, content, frameworks, offered, passing_on
from comity.controlplane.connector import Connector
from comity.controlplane.origins import DERIVED_FROM
from comity.db import offers
from comity.db.offers import Asset, ContractDefinition, PolicyDefinition
from comity.db.store import Transaction
from comity.management import approvals as approval_forms
from comity.management.approvals import Rule
from comity.storage import folder as folders
from comity.techdata import manifest

Document = dict[str, Any]
MEASURED = frozenset({"dcat:byteSize", "comity:files", "comity:manifestSha256"})
"""Properties of a package that are found by reading it."""
ANYONE_LISTED: Document = {"@type": "Set", "permission": [{"action": "use"}]}


class Published(Struct, frozen=True, rename="camel"):
    """What was published; sizes in bytes, digests in hex.

    `policy` has its terms, with what follows from the agreements (`derived_from`) under which its data was received.
    """

    asset_id: str
    title: str
    files: int
    size_bytes: int
    manifest_sha256: str
    skipped: list[str]
    policy: Document
    derived_from: list[str]


async def publish(
    connector: Connector,
    folder: str,
    *,
    asset_id: str = "",
    title: str = "",
    policy: Document | None = None,
    access_policy: Document | None = None,
    properties: Document | None = None,
    approval: Rule | None = None,
    framework: str = "",
    derived_from: Sequence[str] = (),
    replace: bool = False,
    by: str = "",
) -> Published:
    """Hash the files below `folder` and offer them to partners under `policy` (none: every partner on the list).

    `approval` is who has to approve what is negotiated about it, `by` the API key of who publishes. `derived_from` are
    agreements from whose data it was made, beside those by which files of it are known. `framework` is the URN of a
    framework agreement whose release rules it inherits, and which must be in force.

    Raises:
        StorageError: the folder or a file cannot be read, or lies outside the folders that are allowed.
        InvalidInputError: a policy that cannot be enforced, a name that no manifest can hold, an empty folder, a
            property that is not the operator's to say, or nobody who could approve it.
        ConflictError: the id is taken and `replace` is not asked for.
        PolicyError: an agreement under which files of it were received does not let them be offered so.
        NotFoundError: there is no agreement that `derived_from` names.
    """
    contract = ANYONE_LISTED if policy is None else policy
    content.check_policy(contract)
    if framework:
        contract = await connector.database.read(lambda tx: frameworks.inherited(tx, framework, contract))
        content.check_policy(contract)
    if access_policy is not None:
        content.check_policy(access_policy, path="$.accessPolicy")
    _check_properties(properties or {})
    scan = await folders.scan(connector.files, folder)
    if not scan.files:
        raise errors.InvalidInputError(f"there is no file in {folder}", path="$.folder")
    files = {each.path: each.source.sha256 for each in scan.files}
    contract, origins = await passing_on.inherit(connector, contract, files, derived_from)
    access = contract if access_policy is None else access_policy
    title = title or PurePath(await asyncio.to_thread(connector.files.resolve, folder)).name
    data = manifest.encode(scan.manifest(title))
    published = Published(
        asset_id or f"urn:comity:package:{manifest.digest(data)[:32]}",
        title,
        len(scan.files),
        sum(each.source.size_bytes or 0 for each in scan.files),
        manifest.digest(data),
        list(scan.skipped),
        contract,
        origins,
    )
    sealed = content.Sealed(data.decode(), {each.path: each.source for each in scan.files})
    asset = _asset(connector, published, folder, sealed, properties or {})
    definition = _definition(asset, approval, by)

    async def unit(tx: Transaction) -> Asset:
        await approvals.check_rule(tx, approval, by)
        return await _store(connector, tx, asset, definition, (access, contract), replace=replace)

    await connector.database.write(unit)
    return published


def _asset(
    connector: Connector, published: Published, folder: str, sealed: content.Sealed, properties: Document
) -> Asset:
    """Return the asset of a package: what was measured stands beside what the operator says of it."""
    name, origins = published.asset_id, published.derived_from
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
        private_properties={"folder": folder, **({DERIVED_FROM: origins} if origins else {})},
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


def _definition(asset: Asset, approval: Rule | None, by: str) -> ContractDefinition:
    return ContractDefinition(
        id=f"{asset.id}#offer",
        access_policy_id=f"{asset.id}#access",
        contract_policy_id=f"{asset.id}#contract",
        assets_selector=[{"operandLeft": "id", "operator": "=", "operandRight": asset.id}],
        private_properties={},
        created_at=asset.created_at,
        approval=approval_forms.document(approval),
        written_by=by,
    )


async def _store(
    connector: Connector,
    tx: Transaction,
    asset: Asset,
    definition: ContractDefinition,
    policies: tuple[Document, Document],
    *,
    replace: bool,
) -> Asset:
    """Write asset, policies and definition together, and return the asset: nothing is ever offered by halves."""
    exists = await offers.find(tx, Asset, asset.id) is not None
    if exists and not replace:
        raise errors.ConflictError(
            f"{asset.id} is published already", hint="publish with --replace, or another --id"
        )
    ids = (definition.access_policy_id, definition.contract_policy_id)
    named = [
        PolicyDefinition(id=name, policy=policy, private_properties={}, created_at=asset.created_at)
        for name, policy in zip(ids, policies, strict=True)
    ]
    rows: list[Asset | PolicyDefinition | ContractDefinition] = [asset, *named, definition]
    for each in rows:
        await offered.put(connector, tx, each)
    return asset
