"""What a folder becomes as a package: its files hashed, what it and its publisher say of it, as a manifest.

What is not said anew stays as it was in the revision before: so publishing a folder again changes what is in it, and
nothing else. The folder says less than who publishes it: an option counts more than `comity-package.toml`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from comity import errors
from comity.controlplane import content, republishing, revisions
from comity.controlplane.connector import Connector
from comity.controlplane.publishing import Publishing
from comity.dataplane.kept import STORE
from comity.db import offers, published
from comity.db.offers import Asset, ContractDefinition, PolicyDefinition
from comity.db.revisions import Revision
from comity.db.store import Transaction
from comity.odrl import enforcement
from comity.odrl.marking import LABEL
from comity.storage import bucket_scan, buckets
from comity.storage import folder as folders
from comity.techdata import about, manifest
from comity.techdata import effectivity as effectivities
from comity.techdata.about import About
from comity.techdata.effectivity import Anew, Effectivity
from comity.techdata.manifest import Manifest, Marking, Parent

Document = dict[str, Any]
TYPE: Document = {"@id": "https://w3id.org/comity/TechnicalDataPackage"}


class Before(Struct, frozen=True):
    """What is published under an id already, as far as it is: the last revision, its content, its asset, its terms."""

    revision: Revision | None = None
    content: content.Sealed | None = None
    asset: Asset | None = None
    definition: ContractDefinition | None = None
    access: Document | None = None
    contract: Document | None = None
    manifest: Manifest | None = None


class Folder(Struct, frozen=True):
    """A folder that was read: its files, what it says of itself, and where it lies."""

    scan: folders.Scan
    about: About
    real: str


async def read(connector: Connector, folder: str) -> Folder:
    """Hash a folder and read what it says of itself.

    Raises:
        StorageError: the folder or a file cannot be read, or lies outside the folders that are allowed.
        InvalidInputError: a name that no manifest can hold, an empty folder, a `comity-package.toml` that is wrong.
    """
    with connector.publishing.begin(folder, connector.now_ms()) as progress:
        scan, real = await _scan(connector, folder, progress)
    if not scan.files:
        raise errors.InvalidInputError(f"there is no file in {folder}", path="$.folder")
    return Folder(scan, await asyncio.to_thread(about.read, scan.about), real)


async def _scan(connector: Connector, folder: str, progress: Publishing) -> tuple[folders.Scan, str]:
    """Return what is in a folder, and where that lies really."""
    if folder.startswith(STORE):
        return await republishing.scan(connector, folder)
    if buckets.is_address(folder):
        scan = await bucket_scan.scan(connector.objects, folder, progress.tell)
        return scan, str(connector.objects.find(folder))
    scan = await folders.scan(connector.files, folder, progress.tell)
    return scan, await asyncio.to_thread(connector.files.resolve, folder)


async def choose_id(connector: Connector, found: Folder, folder: str, wanted: str) -> str:
    """Return the id to publish a folder under: the wanted one, else its own, else always the same one."""
    named = wanted or found.about.id
    named = named or await connector.database.read(lambda tx: revisions.of_folder(tx, folder))
    return named or about.own_id(connector.participant_id, found.real)


async def before(connector: Connector, asset_id: str) -> Before:
    """Return what is published under an id now.

    Raises:
        ConflictError: the id is that of something that was not published as a package.
    """
    found, sealed = await connector.database.read(lambda tx: _before(tx, asset_id))
    return await asyncio.to_thread(_open, connector, found, sealed)


def _open(connector: Connector, found: Before, sealed: bytes) -> Before:
    """Add what is in the asset; with many files that takes a while, in a thread."""
    if found.asset is None:
        return found
    try:
        opened = content.opened(connector, found.asset.id, sealed)
    except errors.DatabaseError:  # its key was lost: publishing again is what mends that
        return found
    return replace(found, content=opened, manifest=manifest.decode(opened.manifest.encode()))


async def _before(tx: Transaction, asset_id: str) -> tuple[Before, bytes]:
    asset, known = await offers.find(tx, Asset, asset_id), await revisions.before(tx, asset_id)
    if asset is None:
        return Before(revision=known), b""
    sealed = await published.find(tx, asset.content_id)
    if "comity:manifestSha256" not in asset.properties or sealed is None:
        raise errors.ConflictError(
            f"{asset_id} is an asset that is no package", hint="publish with another --id"
        )
    definition = await offers.find(tx, ContractDefinition, f"{asset_id}#offer")
    policies = []
    for name in (definition.access_policy_id, definition.contract_policy_id) if definition else ():
        found = await offers.find(tx, PolicyDefinition, name)
        policies.append(found.policy if found else None)
    access, contract = policies or (None, None)
    return Before(known, None, asset, definition, access, contract), sealed


def describe(
    connector: Connector,
    found: Folder,
    known: Before,
    asset_id: str,
    *,
    title: str,
    effectivity: tuple[Effectivity, ...] | Anew | None,
    terms: Document,
    parents: Sequence[Parent],
) -> Manifest:
    """Return the manifest of the next revision.

    Raises:
        InvalidInputError: something is said of a file that is not there, or of one of several effectivities.
    """
    last, said = known.manifest, found.about
    meant = said.effectivity if said.effectivity is not None else last.effectivity if last else ()
    if effectivity is not None:
        meant = effectivity.upon(meant) if isinstance(effectivity, Anew) else effectivity
    made = found.scan.manifest(
        title or said.title or (last.title if last else PurePath(found.real).name or asset_id)
    )
    return replace(
        made,
        files=about.describe(made.files, said.files),
        id=asset_id,
        revision=known.revision.number + 1 if known.revision else 1,
        supersedes=known.revision.manifest_sha256 if known.revision else "",
        effectivity=meant,
        marking=_marking(terms),
        derived_from=tuple(parents),
        sealed_by=connector.identity.sealer,
    )


def is_same(made: Manifest, known: Before) -> bool:
    """Say whether a manifest says nothing that the one before does not say."""
    last, newest = known.manifest, known.revision
    if last is None or newest is None or known.content is None:
        return False
    if not last.id:  # version 1, of an older Comity: it said neither whose it is nor that anybody sealed it
        return False
    if newest.state == effectivities.RECALLED and newest.number == last.revision:
        return False
    again = replace(made, revision=last.revision, supersedes=last.supersedes)
    return manifest.encode(again) == known.content.manifest.encode()


def _marking(terms: Document) -> Marking | None:
    name = terms.get(LABEL)
    if not isinstance(name, str) or not name.strip():
        return None
    sentences = (_sentence(each) for each in enforcement.terms(terms))
    return Marking(name.strip(), tuple(each[: manifest.MAX_TERM] for each in sentences))


def _sentence(term: enforcement.Term) -> str:
    about = f"{term.action}: {term.words}" if term.words != term.action else term.action
    return f"{term.kind} {about}"
