"""Handover documentation (IDTA 02004-2-0, after VDI 2770): what it says of files, and writing it. Pure.

A document has ids, classes and versions, and a version its files. What a manifest can say of a file is read out of it,
and written back into it where it differs; all else in the submodel stays as it is. Files are told by their paths in the
package, which are the names of their parts without the `/` at the beginning.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import quote, unquote

from msgspec import structs

from comity.techdata import aas, manifest, paths
from comity.techdata.about import Document as Said
from comity.techdata.manifest import File

Document = dict[str, Any]
SEMANTIC_ID: Final = "0173-1#01-AHF578#003"
SYSTEM: Final = "VDI2770:2020"
TEMPLATE: Final = "https://admin-shell.io/idta-02004-2-0"
DOMAIN: Final = "https://w3id.org/comity/document"
PATHS: Final = "https://w3id.org/comity/path"
"""The domain of identifiers that are paths, of documents that have no other."""
_SYSTEM = re.compile(r"VDI\s*2770", re.IGNORECASE)
_MEANINGS: Final = {
    "Documents": "0173-1#02-ABI500#003",
    "Document": "0173-1#02-ABI500#003/0173-1#01-AHF579#003",
    "DocumentIds": "0173-1#02-ABI501#003",
    "DocumentId": "0173-1#02-ABI501#003/0173-1#01-AHF580#003",
    "DocumentDomainId": "0173-1#02-ABH994#003",
    "DocumentIdentifier": "0173-1#02-AAO099#004",
    "DocumentIsPrimary": "0173-1#02-ABH995#003",
    "DocumentClassifications": "0173-1#02-ABI502#003",
    "DocumentClassification": "0173-1#02-ABI502#003/0173-1#01-AHF581#003",
    "ClassId": "0173-1#02-ABH996#003",
    "ClassName": "0173-1#02-ABJ219#002",
    "ClassificationSystem": "0173-1#02-ABH997#003",
    "DocumentVersions": "0173-1#02-ABI503#003",
    "DocumentVersion": "0173-1#02-ABI503#003/0173-1#01-AHF582#003",
    "Language": "0173-1#02-AAN468#008",
    "Version": "0173-1#02-AAP003#005",
    "Title": "0173-1#02-ABG940#003",
    "StatusValue": "0173-1#02-ABI001#003",
    "DigitalFiles": "0173-1#02-ABK126#002",
}


class Place(NamedTuple):
    """Where a submodel names a file: the document, its version, and the element with the file's name."""

    document: Document
    version: Document
    file: Document


def is_handover(submodel: Mapping[str, Any]) -> bool:
    """Say whether a submodel is handover documentation of the version that is read here."""
    return aas.semantic_id(submodel) == SEMANTIC_ID


def path_of(value: object) -> str:
    """Return the path of a file in the package that an element of an AAS names; empty if it lies elsewhere."""
    if not isinstance(value, str) or re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", value):
        return ""
    return unquote(value).lstrip("/")


def value_of(path: str) -> str:
    """Return how an element of an AAS names a file of the package."""
    return "/" + quote(path)


def named(document: object) -> set[str]:
    """Return the paths of all files that are named anywhere in an environment, a submodel or an element."""
    found = set()
    for each in aas.walk(document):
        found.add(path_of(each.get("value")) if each.get("modelType") == "File" else "")
        thumbnail = each.get("defaultThumbnail")
        found.add(path_of(thumbnail.get("path")) if isinstance(thumbnail, dict) else "")
    return found - {""}


def read(submodels: Iterable[Document]) -> dict[str, Said]:
    """Return what handover documentation says of each file; of one that is named twice, what is said first."""
    found: dict[str, Said] = {}
    for document in _documents(submodels):
        common = _of_document(document)
        for version in aas.elements(aas.member(document, "DocumentVersions")):
            said = _of_version(version, common)
            for file in aas.elements(aas.member(version, "DigitalFiles")):
                if path := path_of(file.get("value")):
                    found.setdefault(path, _of_file(file, said))
    return found


def _documents(submodels: Iterable[Document]) -> Iterator[Document]:
    for submodel in filter(is_handover, submodels):
        for listed in aas.elements(submodel, "submodelElements"):
            if listed.get("idShort") == "Documents" or aas.semantic_id(listed) == _MEANINGS["Documents"]:
                yield from aas.elements(listed)


def _places(submodel: Document) -> Iterator[tuple[str, Place]]:
    for document in _documents([submodel]):
        for version in aas.elements(aas.member(document, "DocumentVersions")):
            for file in aas.elements(aas.member(version, "DigitalFiles")):
                if path := path_of(file.get("value")):
                    yield path, Place(document, version, file)


def _of_document(document: Document) -> Said:
    return Said(
        document_id=_identifier(_primary_id(document)),
        document_class=_class(aas.text(aas.member(_classification(document), "ClassId"))),
    )


def _of_version(version: Document, common: Said) -> Said:
    return structs.replace(
        common,
        revision=_words(aas.text(aas.member(version, "Version"))),
        status=_words(aas.text(aas.member(version, "StatusValue"))),
        title=_words(aas.text(aas.member(version, "Title")), most=manifest.MAX_TITLE),
        languages=_languages(version),
    )


def _of_file(file: Document, said: Said) -> Said:
    kind = file.get("contentType")
    good = isinstance(kind, str) and manifest.is_media_type(kind)
    return structs.replace(said, media_type=str(kind) if good else "")


def _primary_id(document: Document) -> Document:
    listed = aas.elements(aas.member(document, "DocumentIds"))
    primary = (each for each in listed if aas.text(aas.member(each, "DocumentIsPrimary")) in {"true", "1"})
    return next(primary, listed[0] if listed else {})


def _identifier(identity: Document) -> str:
    if aas.text(aas.member(identity, "DocumentDomainId")) == PATHS:
        return ""
    return _words(aas.text(aas.member(identity, "DocumentIdentifier")))


def _classification(document: Document) -> Document:
    listed = aas.elements(aas.member(document, "DocumentClassifications"))
    return next(
        (each for each in listed if _SYSTEM.search(aas.text(aas.member(each, "ClassificationSystem")))), {}
    )


def _class(text: str) -> str:
    return text if text in manifest.DOCUMENT_CLASSES else ""


def _languages(version: Document) -> tuple[str, ...]:
    listed = aas.elements(aas.member(version, "Language", "Languages"))
    found = dict.fromkeys(aas.text(each) for each in listed)
    return tuple(each for each in found if manifest.LANGUAGE.fullmatch(each))[: manifest.MAX_LANGUAGES]


def _words(text: str, most: int = manifest.MAX_WORDS) -> str:
    """Return text as a manifest takes it, on one line; what it does not take is left to the submodel."""
    line = " ".join(text.split())
    return line if len(line) <= most and not paths.has_control(line) else ""


def write(submodel: Document | None, files: Sequence[File], id_: str) -> Document:
    """Return handover documentation that says of files what the manifest does, made anew or out of one that is there.

    A file that no document has yet becomes a version of the document with its id and class, or a document of its own.
    """
    made = copy.deepcopy(submodel) if submodel else _submodel(id_)
    known: dict[str, list[Place]] = {}
    for path, place in _places(made):
        known.setdefault(path, []).append(place)
    fresh = [each for each in files if each.path not in known]
    for file in files:
        for place in known.get(file.path, [])[:1]:
            _amend(place, file)
    grouped: dict[tuple[str, str, str], list[File]] = {}
    for file in fresh:
        identity = (file.document_id, DOMAIN) if file.document_id else (file.path, PATHS)
        grouped.setdefault((*identity, file.document_class), []).append(file)
    if grouped:
        _listed(made).extend(_document(*key, group) for key, group in grouped.items())
    return made


def _amend(place: Place, file: File) -> None:
    """Write what the manifest says of a file over what a document says, member by member, where it differs."""
    now = _of_version(place.version, _of_document(place.document))
    if file.document_id and file.document_id != now.document_id:
        _amend_id(place.document, file.document_id)
    if file.document_class and file.document_class != now.document_class:
        _amend_class(place.document, file.document_class)
    if file.revision and file.revision != now.revision:
        _put(place.version, _property("Version", file.revision))
    if file.status and file.status != now.status:
        _put(place.version, _property("StatusValue", file.status))
    if file.title and file.title != now.title:
        _put(place.version, _title(file))
    if file.languages and file.languages != now.languages:
        _put(place.version, _language_list(file.languages), "Languages")
    if _of_file(place.file, now).media_type not in ("", file.media_type):
        place.file["contentType"] = file.media_type


def _amend_id(document: Document, id_: str) -> None:
    identity = _primary_id(document)
    if not identity:
        _append(document, "DocumentIds", _collection("DocumentId", _identity(id_, DOMAIN)))
    elif aas.text(aas.member(identity, "DocumentDomainId")) == PATHS:
        _put(identity, _property("DocumentDomainId", DOMAIN))
    if identity:
        _put(identity, _property("DocumentIdentifier", id_))


def _amend_class(document: Document, class_: str) -> None:
    classification = _classification(document)
    if not classification:
        _append(document, "DocumentClassifications", _classified(class_))
    for each in _class_members(class_) if classification else ():
        _put(classification, each)


def _put(collection: Document, element: Document, *also: str) -> None:
    """Put an element's value into the one with its name, or the element at the end."""
    listed = aas.listed(collection, "value")
    for at, each in enumerate(listed):
        if isinstance(each, dict) and each.get("idShort") in (element["idShort"], *also):
            listed[at] = {**each, "value": element["value"]}
            return
    listed.append(element)


def _append(collection: Document, name: str, element: Document) -> None:
    found = aas.member(collection, name)
    if found is None:
        _put(collection, _list(name, [element]))
    else:
        aas.listed(found, "value").append(element)


def _listed(submodel: Document) -> list[Document]:
    for each in aas.elements(submodel, "submodelElements"):
        if each.get("idShort") == "Documents" or aas.semantic_id(each) == _MEANINGS["Documents"]:
            return aas.listed(each, "value")
    made = _list("Documents", [])
    aas.listed(submodel, "submodelElements").append(made)
    return aas.listed(made, "value")


def _submodel(id_: str) -> Document:
    return {
        "idShort": "HandoverDocumentation",
        "administration": {"version": "2", "revision": "0", "templateId": TEMPLATE},
        "id": id_,
        "kind": "Instance",
        "semanticId": aas.reference(SEMANTIC_ID),
        "submodelElements": [_list("Documents", [])],
        "modelType": "Submodel",
    }


def _identity(id_: str, domain: str) -> list[Document]:
    return [
        _property("DocumentDomainId", domain),
        _property("DocumentIdentifier", id_),
        _property("DocumentIsPrimary", "true", "xs:boolean"),
    ]


def _document(id_: str, domain: str, class_: str, files: Sequence[File]) -> Document:
    members = [
        _list("DocumentIds", [_collection("DocumentId", _identity(id_, domain))]),
        *([_list("DocumentClassifications", [_classified(class_)])] if class_ else []),
        _list("DocumentVersions", [_version(each) for each in files]),
    ]
    return _collection("Document", members)


def _classified(class_: str) -> Document:
    return _collection("DocumentClassification", _class_members(class_))


def _class_members(class_: str) -> list[Document]:
    return [
        _property("ClassId", class_),
        _texts("ClassName", "en", manifest.DOCUMENT_CLASSES[class_]),
        _property("ClassificationSystem", SYSTEM),
    ]


def _version(file: File) -> Document:
    digital = {"value": value_of(file.path), "contentType": file.media_type, "modelType": "File"}
    members = [
        _language_list(file.languages) if file.languages else None,
        _property("Version", file.revision) if file.revision else None,
        _title(file) if file.title else None,
        _property("StatusValue", file.status) if file.status else None,
        _list("DigitalFiles", [digital], kind="File"),
    ]
    return _collection("DocumentVersion", [each for each in members if each])


def _title(file: File) -> Document:
    return _texts("Title", file.languages[0] if file.languages else "en", file.title)


def _language_list(languages: Sequence[str]) -> Document:
    listed = [{"valueType": "xs:string", "value": each, "modelType": "Property"} for each in languages]
    return _list("Language", listed, kind="Property")


def _meaning(name: str) -> Document:
    return {"semanticId": aas.reference(_MEANINGS[name])}


def _property(name: str, value: str, kind: str = "xs:string") -> Document:
    return {"idShort": name, **_meaning(name), "valueType": kind, "value": value, "modelType": "Property"}


def _texts(name: str, language: str, words: str) -> Document:
    said = [{"language": language, "text": words}]
    return {"idShort": name, **_meaning(name), "value": said, "modelType": "MultiLanguageProperty"}


def _collection(name: str, members: list[Document]) -> Document:
    """Return a collection that stands in a list, where elements have no names of their own."""
    return {**_meaning(name), "value": members, "modelType": "SubmodelElementCollection"}


def _list(name: str, members: list[Document], kind: str = "SubmodelElementCollection") -> Document:
    return {
        "idShort": name,
        **_meaning(name),
        "typeValueListElement": kind,
        **({"valueTypeListElement": "xs:string"} if kind == "Property" else {}),
        "value": members,
        "modelType": "SubmodelElementList",
    }


def as_said(file: File) -> Said:
    """Return what a manifest says of a file as a folder says it of itself."""
    return Said(**{each.name: getattr(file, each.name) for each in structs.fields(Said)})
