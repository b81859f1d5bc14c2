"""A package as an Asset Administration Shell: the shell around its submodels, and what of a package they cannot say.

Title, effectivity and what a file supersedes have no place in handover documentation (02004). They stand in an
extension of the shell, which the metamodel allows; whoever does not know it, passes over it. The id of a package is
told as the asset's, and not taken over by who reads it: that would publish a revision of what is another's. Pure.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any, Final

import msgspec
from msgspec import Struct, structs

from comity.errors import InvalidInputError
from comity.techdata import aas, effectivity, handover, manifest, technical
from comity.techdata.about import About
from comity.techdata.about import Document as Said
from comity.techdata.effectivity import Effectivity
from comity.techdata.manifest import File, Manifest

Document = dict[str, Any]
EXTENSION: Final = "https://w3id.org/comity/package"
SUBMODEL: Final = "urn:comity:submodel:"
PART: Final = "manufacturerPartId"
"""The specific asset id of a part, as Catena-X names it."""
_MOST_DISPLAYED: Final = 128


class _Beside(Struct, frozen=True, rename="camel", omit_defaults=True):
    """What the extension says; `supersedes` by file."""

    title: str = ""
    effectivity: tuple[Effectivity, ...] = ()
    supersedes: dict[str, str] = {}


def read(environment: Document, there: Iterable[str]) -> tuple[About, list[str]]:
    """Return what an environment says of a package with the files `there`, and notes of what it says in vain."""
    beside = _beside(environment)
    said = handover.read(environment.get(aas.SUBMODELS, []))
    known = set(there)
    notes = [f"{path} is a document that is not in the AASX" for path in sorted(said.keys() - known)]
    files = {path: each for path, each in said.items() if path in known}
    for path, words in beside.supersedes.items():
        if path in known:
            files[path] = structs.replace(files.get(path, Said()), supersedes=words)
    if not beside.title:
        beside = _Beside(_title(environment), _parts(environment))
    return About(title=beside.title, effectivity=beside.effectivity or None, files=files), notes


def without_extension(environment: Document) -> Document:
    """Return an environment without our extension: what it says is in the folder's own words now."""
    made = copy.deepcopy(environment)
    for each in made.get(aas.SHELLS, []):
        kept = [one for one in aas.elements(each, "extensions") if one.get("name") != EXTENSION]
        if "extensions" in each and len(kept) != len(each["extensions"]):
            each["extensions"] = kept
            if not kept:
                del each["extensions"]
    return made


def _beside(environment: Document) -> _Beside:
    for shell in environment.get(aas.SHELLS, []):
        for each in aas.elements(shell, "extensions"):
            if each.get("name") == EXTENSION:
                return _extension(each.get("value"))
    return _Beside()


def _extension(value: object) -> _Beside:
    """Read what another connector wrote; what no manifest could hold is as good as nothing."""
    try:
        found = msgspec.json.decode(value if isinstance(value, str) else "", type=_Beside, strict=True)
        manifest.encode(_probe(found))
    except (msgspec.MsgspecError, InvalidInputError):
        return _Beside()
    return found


def _probe(found: _Beside) -> Manifest:
    """Return a manifest that says what the extension does, to be checked as one."""
    files = (
        File(f"f{at}", 0, "0" * 64, supersedes=each) for at, each in enumerate(found.supersedes.values())
    )
    return Manifest(found.title or "t", tuple(files), id="i", revision=1, effectivity=found.effectivity)


def _title(environment: Document) -> str:
    """Return what people call the first shell, if it says so."""
    for shell in environment.get(aas.SHELLS, []):
        named = {"value": shell.get("displayName")}
        title = " ".join((aas.text(named) or str(shell.get("idShort", ""))).split())
        return title[: manifest.MAX_TITLE] if title.isprintable() else ""
    return ""


def _parts(environment: Document) -> tuple[Effectivity, ...]:
    """Return for which part an environment is, as its shells say so, or else its technical data."""
    named = [
        str(each.get("value", ""))
        for one in environment.get(aas.SHELLS, [])
        for each in aas.elements(one.get("assetInformation"), "specificAssetIds")
        if each.get("name") == PART
    ]
    if not named:
        found = (
            each for each in aas.walk(environment.get(aas.SUBMODELS)) if each.get("modelType") == "Property"
        )
        named = [aas.text(each) for each in found if aas.semantic_id(each) == technical.ARTICLE_NUMBER]
    parts = tuple(Effectivity(part=each) for each in sorted({each.strip() for each in named} - {""}))
    try:
        effectivity.check(parts)
    except InvalidInputError:
        return ()
    return parts


def write(environment: Document, package: Manifest, documents: Sequence[File]) -> Document:
    """Return an environment that says what a package's manifest says, of `documents` as handover documentation.

    What `environment` has already (an imported package's shells and submodels) stays in it.
    """
    made = copy.deepcopy(environment)
    submodels, shells = made.setdefault(aas.SUBMODELS, []), made.setdefault(aas.SHELLS, [])
    at = next((at for at, each in enumerate(submodels) if handover.is_handover(each)), len(submodels))
    before = submodels[at] if at < len(submodels) else None
    if documents or before:
        submodels[at : at + 1] = [handover.write(before, documents, submodel_id(package.id, "handover"))]
    if not shells:
        shells.append(_shell(package))
    _refer(shells, submodels)
    _extend(shells[0], package)
    return {name: made[name] for name in aas.PARTS if made.get(name)}


def _shell(package: Manifest) -> Document:
    parts = sorted({each.part for each in package.effectivity if each.part})
    specific = [{"name": PART, "value": each} for each in parts]
    return {
        "idShort": aas.id_short(package.title, "TechnicalDataPackage"),
        "displayName": [{"language": "en", "text": package.title[:_MOST_DISPLAYED]}],
        "id": f"urn:comity:shell:{_digest(package.id, 'shell')}",
        "assetInformation": {
            "assetKind": "Type",
            "globalAssetId": package.id,
            **({"specificAssetIds": specific} if specific else {}),
        },
        "modelType": "AssetAdministrationShell",
    }


def _refer(shells: Sequence[Document], submodels: Sequence[Document]) -> None:
    """Let the first shell refer to the submodels that were made here; what others made refers as they want it."""
    known = {one for each in shells for ref in aas.elements(each, "submodels") for one in aas.keys(ref)}
    made = [each["id"] for each in submodels if each["id"].startswith(SUBMODEL)]
    missing = [aas.reference(each, "Submodel") for each in made if each not in known]
    if missing:
        aas.listed(shells[0], "submodels").extend(missing)


def submodel_id(package_id: str, kind: str) -> str:
    """Return the id of a submodel that is made of a package: the same each time."""
    return SUBMODEL + _digest(package_id, kind)


def _digest(package_id: str, kind: str) -> str:
    return sha256(f"{package_id}\n{kind}".encode()).hexdigest()[:32]


def _extend(shell: Document, package: Manifest) -> None:
    beside = _Beside(
        title=package.title,
        effectivity=package.effectivity,
        supersedes={each.path: each.supersedes for each in package.files if each.supersedes},
    )
    value = msgspec.json.encode(beside, order="sorted").decode()
    kept = [each for each in aas.elements(shell, "extensions") if each.get("name") != EXTENSION]
    shell["extensions"] = [*kept, {"name": EXTENSION, "valueType": "xs:string", "value": value}]
