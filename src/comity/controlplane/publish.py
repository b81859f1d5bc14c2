"""Publishing a folder as a technical data package: hashed, described by a manifest, sealed, offered under a policy.

Asset, revision, policies and contract definition are stored together: nothing is ever offered by halves. Files stay
where they are; what was hashed is compared again whenever it is read. Publishing again makes the next revision, unless
nothing has changed; terms that are not said again stay. What is in the manifest is `packaging`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from comity import errors
from comity.controlplane import (
    approvals,
    content,
    frameworks,
    inquiry_decisions,
    offered,
    packaging,
    passing_on,
    republishing,
    revisions,
    whole,
)
from comity.controlplane.connector import Connector
from comity.controlplane.origins import DERIVED_FROM
from comity.controlplane.packaging import Before, Folder
from comity.controlplane.revisions import Next
from comity.db import offers, published
from comity.db.offers import Asset, ContractDefinition, PolicyDefinition
from comity.db.store import Transaction
from comity.framework import release
from comity.management import approvals as approval_forms
from comity.management.approvals import Rule
from comity.odrl import fallen
from comity.storage.source import Source
from comity.techdata import about, manifest
from comity.techdata.effectivity import Anew, Effectivity
from comity.techdata.manifest import Manifest, Parent

Document = dict[str, Any]
MEASURED = frozenset({"dcat:byteSize", "comity:files", "comity:manifestSha256"}) | revisions.PROPERTIES
"""Properties of a package that are found by reading it, or by comparing it with the one before."""
ANYONE_LISTED: Document = {"@type": "Set", "permission": [{"action": "use"}]}


class Published(Struct, frozen=True, rename="camel"):
    """What was published; sizes in bytes, digests in hex.

    `policy` has its terms, with what follows from the agreements (`derived_from`) under which its data was received.
    With `unchanged` it is the revision that was there: nothing was published.
    """

    asset_id: str
    title: str
    files: int
    size_bytes: int
    manifest_sha256: str
    revision: int
    unchanged: bool
    sealed_by: str
    skipped: list[str]
    warnings: list[str]
    policy: Document
    effectivity: tuple[Effectivity, ...]
    derived_from: list[str]


class _Terms(Struct, frozen=True):
    """Under which terms it is offered: who sees it, what is agreed, who has to approve."""

    access: Document
    contract: Document
    approval: Document


class _Draft(Struct, frozen=True):
    """What is to be published of a folder, beside what is published already; `origins` are agreements."""

    folder: str
    found: Folder
    known: Before
    made: Manifest
    wanted: _Terms
    listed: Document
    origins: list[str]


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
    effectivity: tuple[Effectivity, ...] | Anew | None = None,
    keep_terms: bool = False,
    answers: Sequence[str] = (),
    again: bool = False,
    by: str = "",
) -> Published:
    """Hash the files below `folder` and offer them to partners, as the next revision of what is published already.

    `policy` of None: as before; of what was not published before, for every partner on the list. `approval` is who has
    to approve what is negotiated about it, `by` the API key of who publishes. `derived_from` are agreements from whose
    data it was made, beside those by which files of it are known. `framework` is the URN of a framework agreement whose
    release rules it inherits, and which must be in force. `effectivity` is for what it is meant. `answers` are
    inquiries because of which it is published: who asked is told so. With `again` it must be published already. With
    `keep_terms` no term that holds may fall away, and who sees it stays where that was said by itself.

    Raises:
        StorageError: the folder or a file cannot be read, or lies outside the folders that are allowed.
        InvalidInputError: a policy that cannot be enforced, a name that no manifest can hold, an empty folder, a
            property that is not the operator's to say, or nobody who could approve it.
        ConflictError: the id is that of something else, somebody published at the same time, its terms are gone, or
            fall away although they are to be kept.
        PolicyError: an agreement under which files of it were received does not let them be offered so.
        NotFoundError: there is no agreement that `derived_from` names, no inquiry that `answers` names; nothing is
            published that could be published `again`.
    """
    for each, place in ((policy, "$.policy"), (access_policy, "$.accessPolicy")):
        if each is not None:
            content.check_policy(each, path=place)
    _check_properties(properties or {})
    await inquiry_decisions.check_answers(connector, answers, by=by)
    found = await packaging.read(connector, folder)
    asset_id = await packaging.choose_id(connector, found, folder, asset_id)
    known = await packaging.before(connector, asset_id)
    if again and known.asset is None:
        raise errors.NotFoundError(about.UNPUBLISHED.format(folder), hint=about.PUBLISH_ONCE.format(folder))
    said = await _said(connector, known, policy, access_policy, framework, keep=keep_terms)
    digests = {each.path: each.source.sha256 for each in found.scan.files}
    contract, parents = await passing_on.inherit(
        connector, said.contract, digests, derived_from, _parents(known)
    )
    made = await asyncio.to_thread(
        packaging.describe,
        connector,
        found,
        known,
        asset_id,
        title=title,
        effectivity=effectivity,
        terms=contract,
        parents=parents,
    )
    wanted = _Terms(
        contract if said.access is said.contract else said.access,
        contract,
        approval_forms.document(approval) if approval else said.approval,
    )
    if keep_terms:
        _check_kept(asset_id, known, wanted)
    origins = [each.agreement for each in parents]
    draft = _Draft(folder, found, known, made, wanted, _listed(known, properties or {}), origins)
    if not await _is_published(draft):
        return await _publish_next(connector, draft, approval, answers, by)
    if answers:
        raise errors.ConflictError("nothing has changed: it is no new revision, which could answer anything")
    return await _refresh(connector, draft)


async def _publish_next(
    connector: Connector, draft: _Draft, approval: Rule | None, answers: Sequence[str], by: str
) -> Published:
    """Store the next revision with all that belongs to it."""
    made = draft.made
    following = await revisions.prepare(connector, made, draft.known.revision)
    changed_terms = await revisions.other_terms(connector, made.id, draft.wanted.contract)
    losing = await whole.find_warnings(connector, draft.folder, made, _sources(draft))
    losing += await republishing.find_warnings(connector, draft.folder)
    data = await asyncio.to_thread(manifest.encode, made)
    asset, sealed = await asyncio.to_thread(_asset, connector, draft, following, data)

    async def unit(tx: Transaction) -> Asset:
        await approvals.check_rule(tx, approval, by)
        await published.keep(tx, sealed)
        await _store(connector, tx, asset, draft.wanted, by)
        await revisions.add(connector, tx, asset, following, by=by)
        await inquiry_decisions.answer_with(
            connector,
            tx,
            answers,
            asset_id=asset.id,
            manifest_sha256=manifest.digest(data),
            revision=made.revision,
            by=by,
        )
        return asset

    await connector.database.write(unit)
    return _published(
        draft, made, manifest.digest(data), warnings=[*following.warnings, *losing, *changed_terms]
    )


async def _said(
    connector: Connector,
    known: Before,
    policy: Document | None,
    access_policy: Document | None,
    framework: str,
    *,
    keep: bool,
) -> _Terms:
    """Return the terms that are asked for; where nothing is said of them, those before.

    Raises:
        ConflictError: nothing is said, and the terms before are gone.
    """
    approval = known.definition.approval if known.definition else {}
    if policy is None and known.asset is not None and (known.access is None or known.contract is None):
        raise errors.ConflictError(
            f"{known.asset.id} is published, and its offer was removed",
            hint="say to whom it is offered now: --to, --marking or --policy",
        )
    before = known.contract or ANYONE_LISTED
    contract = before if policy is None else policy
    if framework:
        under = release.without(contract) if policy is None else contract  # one takes the place of another
        contract = await connector.database.read(lambda tx: frameworks.inherited(tx, framework, under))
    if contract is not before:
        content.check_policy(contract)
    own = known.access if known.access != known.contract and (keep or policy is None) else None
    return _Terms(access_policy or own or contract, contract, approval)


def _check_kept(asset_id: str, known: Before, wanted: _Terms) -> None:
    """Refuse terms without all of the kinds that hold.

    Raises:
        ConflictError: it names what would fall away.
    """
    pairs = ((known.contract, wanted.contract), (known.access, wanted.access))
    found = dict.fromkeys(said for old, new in pairs if old is not None for said in fallen.terms(old, new))
    if found:
        raise errors.ConflictError(
            f"{asset_id} is published under terms that would fall away: {'; '.join(found)}",
            hint="say them too, as options; or --new-terms, if they are to hold no longer",
        )


def _parents(known: Before) -> list[Parent]:
    """Return what the revision before was made from: nobody has to name it again."""
    last = known.manifest
    found = list(last.derived_from) if last else []
    named = known.asset.private_properties.get(DERIVED_FROM) or [] if known.asset else []
    return found + [Parent(each) for each in named if each not in {parent.agreement for parent in found}]


def _listed(known: Before, properties: Document) -> Document:
    """Return what the operator says of it, now and before."""
    before = known.asset.properties if known.asset else {}
    kept = {name: value for name, value in before.items() if name not in MEASURED | {"dct:title"}}
    return {**kept, **properties}


async def _is_published(draft: _Draft) -> bool:
    """Say whether it is published so already: the same files, under these terms, and described so."""
    known = draft.known
    if known.asset is None or known.definition is None:
        return False
    under = _Terms(known.access or {}, known.contract or {}, known.definition.approval)
    told = known.asset.properties
    if under != draft.wanted or any(told.get(name) != value for name, value in draft.listed.items()):
        return False
    return await asyncio.to_thread(packaging.is_same, draft.made, known)


async def _refresh(connector: Connector, draft: _Draft) -> Published:
    """Write down that the same files were found again: their times may be others."""
    asset, sealed, last = draft.known.asset, draft.known.content, draft.known.manifest
    if asset is None or sealed is None or last is None:
        raise errors.NotFoundError("nothing is published")  # `_is_published` has said otherwise
    sources = _sources(draft)
    if sources != sealed.files:
        again = await asyncio.to_thread(content.close, connector, asset.id, replace(sealed, files=sources))

        async def unit(tx: Transaction) -> None:
            await revisions.before(tx, asset.id)  # whoever publishes or recalls now waits
            now = await offers.find(tx, Asset, asset.id)
            if now is None or now.content_id != asset.content_id:
                raise errors.ConflictError(
                    f"{asset.id} was published or recalled by somebody else at the same time",
                    hint="publish it again",
                )
            await revisions.refresh(connector, tx, now, last.revision, again)

        await connector.database.write(unit)
    return _published(draft, last, manifest.digest(sealed.manifest.encode()), unchanged=True)


def _published(
    draft: _Draft, made: Manifest, digest: str, *, warnings: Sequence[str] = (), unchanged: bool = False
) -> Published:
    return Published(
        asset_id=made.id,
        title=made.title,
        files=len(made.files),
        size_bytes=made.size_bytes,
        manifest_sha256=digest,
        revision=made.revision,
        unchanged=unchanged,
        sealed_by=made.sealed_by,
        skipped=list(draft.found.scan.skipped),
        warnings=list(warnings),
        policy=draft.wanted.contract,
        effectivity=made.effectivity,
        derived_from=draft.origins,
    )


def _sources(draft: _Draft) -> dict[str, Source]:
    return {each.path: each.source for each in draft.found.scan.files}


def _asset(connector: Connector, draft: _Draft, following: Next, data: bytes) -> tuple[Asset, bytes]:
    """Return the asset of a package and its sealed content: what was measured stands beside what is said of it."""
    made, origins = draft.made, draft.origins
    described = {
        "dct:title": made.title,
        "dct:type": packaging.TYPE,
        **draft.listed,
        "dcat:byteSize": str(made.size_bytes),
        "comity:files": str(len(made.files)),
        "comity:manifestSha256": manifest.digest(data),
        **following.properties,
    }
    sealed = content.Sealed(data.decode(), _sources(draft), connector.identity.seal(data))
    address = msgspec.json.encode({"type": "Package", "folder": draft.folder})
    closed = content.close(connector, made.id, sealed)
    asset = Asset(
        id=made.id,
        properties=described,
        private_properties={"folder": draft.folder, **({DERIVED_FROM: origins} if origins else {})},
        data_address_sealed=connector.seal.close(address, content.ADDRESS + made.id),
        content_id=published.id_of(closed),
        created_at=connector.now_ms(),
    )
    return asset, closed


def _check_properties(properties: Document) -> None:
    for name in properties:
        if name in MEASURED or name.startswith("@") or name == "id":
            raise errors.InvalidInputError(
                f"{name[:100]} is not for the operator to say", path=f"$.properties.{name[:100]}"
            )


async def _store(connector: Connector, tx: Transaction, asset: Asset, wanted: _Terms, by: str) -> None:
    """Write asset, policies and definition together."""
    definition = ContractDefinition(
        id=f"{asset.id}#offer",
        access_policy_id=f"{asset.id}#access",
        contract_policy_id=f"{asset.id}#contract",
        assets_selector=[{"operandLeft": "id", "operator": "=", "operandRight": asset.id}],
        private_properties={},
        created_at=asset.created_at,
        approval=wanted.approval,
        written_by=by,
    )
    named = [
        PolicyDefinition(id=name, policy=policy, private_properties={}, created_at=asset.created_at)
        for name, policy in (
            (definition.access_policy_id, wanted.access),
            (definition.contract_policy_id, wanted.contract),
        )
    ]
    rows: tuple[offered.Offered, ...] = (asset, *named, definition)
    for each in rows:
        await offered.put(connector, tx, each)
