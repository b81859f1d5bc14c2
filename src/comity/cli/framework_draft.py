"""`comity framework draft`: a folder with the document of a framework agreement and its texts, ready to be filled in.

Also how such a folder is read again, with the digests of the texts filled in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from msgspec import Struct

from comity import errors, strict_json
from comity.framework import check
from comity.framework import document as documents

Document = dict[str, Any]


class Said(Struct, frozen=True, kw_only=True):
    """What the command was told."""

    title: str
    parties: Sequence[tuple[str, str]]
    begin: str
    until: str
    languages: Sequence[str]
    purposes: Sequence[str] = ()
    programmes: Sequence[str] = ()
    territory: Sequence[str] = ()
    open_to: Sequence[str] = ()
    parent: str = ""


def template(said: Said, uuid: str) -> Document:
    """Return a new document; its texts have no digest yet, which proposing fills in."""
    document: Document = {
        "id": f"{documents.PREFIX}{uuid}",
        "version": 1,
        "title": said.title,
        "languageVersions": [_language(each) for each in said.languages],
        "parties": [
            {"participantId": name, "name": called, "signingRole": "party", "signatories": []}
            for name, called in said.parties
        ],
        "purpose": list(said.purposes),
        "programmes": list(said.programmes),
        "needs": [],
        "commitments": [],
        "territory": list(said.territory),
        "validity": {"from": said.begin, "until": said.until},
        "releaseRules": _rules(said),
    }
    document |= {"accession": {"openTo": list(said.open_to)}} if said.open_to else {}
    return document | ({"parent": said.parent} if said.parent else {})


def amendment(document: Mapping[str, Any], urn: str) -> Document:
    """Return the next version of a document, which names the one it replaces."""
    return {
        **document,
        "version": document["version"] + 1,
        "replaces": urn,
        "languageVersions": [{**each, "sha256": ""} for each in document["languageVersions"]],
    }


def _language(language: str) -> Document:
    return {
        "language": language,
        "file": f"text.{language}.md",
        "mediaType": "text/markdown",
        "sha256": "",
    }


def _rules(said: Said) -> Document:
    constraints = [
        {"leftOperand": operand, "operator": "isAnyOf", "rightOperand": list(values)}
        for operand, values in (("purpose", said.purposes), ("spatial", said.territory))
        if values
    ]
    return {"permission": [{"action": "use", **({"constraint": constraints} if constraints else {})}]}


def text(document: Mapping[str, Any], language: str) -> str:
    """Return the beginning of a text in a language."""
    parties = "\n".join(f"- {each['name']} ({each['participantId']})" for each in document["parties"])
    validity = document["validity"]
    return (
        f"# {document['title']}\n\n"
        f"<!-- Language: {language}. Write the agreement here. All language versions are equally authentic. -->\n\n"
        f"## Parties\n\n{parties}\n\n"
        "## Purpose\n\n## What each party needs and commits to\n\n## Release of technical data\n\n"
        f"## Validity\n\nFrom {validity['from']} until {validity['until']}.\n\n"
        "## Suspension and end\n\nEach party may suspend or end this agreement, with the reason.\n"
    )


def write(folder: Path, document: Document) -> None:
    """Write a draft into a folder in which there is none; texts that are there stay as they are.

    Raises:
        InvalidInputError: it contradicts itself.
        ConflictError: there is one.
        StorageError: it cannot be written.
    """
    _check(document)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / check.FILE).exists():
            raise errors.ConflictError(
                f"there is a {check.FILE} in {folder} already", hint="name another folder, or change that one"
            )
        for each in document["languageVersions"]:
            place = folder / each["file"]
            if not place.exists():
                place.write_text(text(document, each["language"]), encoding="utf-8")
        _write_document(folder, document)
    except OSError as error:
        raise errors.StorageError(f"{folder} cannot be written: {error.strerror}") from None


def _check(document: Document) -> None:
    """Refuse what proposing would refuse, but for the texts, which are not written yet."""
    listed = [{**each, "sha256": "0" * 64} for each in document["languageVersions"]]
    check.check(documents.read({**document, "languageVersions": listed}))


def _write_document(folder: Path, document: Document) -> None:
    said = json.dumps(document, indent=2, ensure_ascii=False)
    (folder / check.FILE).write_text(said + "\n", encoding="utf-8")


def read(folder: Path) -> Document:
    """Return the document in a folder, checked against its texts; digests that are empty are filled in and written.

    Raises:
        NotFoundError: there is none.
        InvalidInputError: with the exact place: it makes no sense, or a text is another one than it says.
        StorageError: it cannot be read.
    """
    place = folder / check.FILE
    try:
        document = strict_json.decode_object(place.read_bytes())
        digests = {
            each.name: sha256(each.read_bytes()).hexdigest() for each in folder.iterdir() if each.is_file()
        }
    except FileNotFoundError:
        raise errors.NotFoundError(f"there is no {place}", hint="make one: comity framework draft") from None
    except OSError as error:
        raise errors.StorageError(f"{place} cannot be read: {error.strerror}") from None
    except errors.InvalidInputError as error:
        raise errors.InvalidInputError(f"{place}: {error.message}", path=error.path) from None
    framework = documents.read(document)
    if any(not each.sha256 for each in framework.language_versions):
        for each in document["languageVersions"]:
            each["sha256"] = each["sha256"] or digests.get(each["file"], "")
        check.check_texts(documents.read(document), digests)
        _write_document(folder, document)
        framework = documents.read(document)
    check.check(framework)
    check.check_texts(framework, digests)
    return document


def check_texts(document: Document, folder: Path) -> None:
    """Compare the texts in a folder with what a document binds.

    Raises:
        InvalidInputError: one is another one.
        StorageError: they cannot be read.
    """
    try:
        digests = {
            each.name: sha256(each.read_bytes()).hexdigest() for each in folder.iterdir() if each.is_file()
        }
    except OSError as error:
        raise errors.StorageError(f"{folder} cannot be read: {error.strerror}") from None
    check.check_texts(documents.read(document), digests)
