"""The document of a framework agreement: its members, and the one hash that stands for all of it.

Written by people in JSON. A member that is not known here is refused: it would be signed and mean nothing. The hash is
SHA-256 over the canonical form (RFC 8785), which holds the digest of each language version; so all of them, equally
authentic, are bound by it. What the members must say is checked in `check`.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Any, Literal

import msgspec
from msgspec import Struct

from comity import errors, strict_json

Document = dict[str, Any]
PREFIX = "urn:comity:framework:"
MAX_BYTES = 64 * 1024
ANYONE = "*"
_URN = re.compile(r"urn:comity:framework:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}#sha256:[0-9a-f]{64}")
_PLACE = re.compile(r"(?P<said>.*?)(?: - at `(?:key in )?(?P<path>\$[^`]*)`)?", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<name>.*)`", re.DOTALL)


class _Part(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    pass


class LanguageVersion(_Part, frozen=True):
    """One of the equally authentic texts: its language (BCP 47), and the file beside the document that holds it."""

    language: str
    file: str
    media_type: str
    sha256: str


class Signatory(_Part, frozen=True):
    """A person who signs for a party."""

    name: str
    role: str = ""


class Party(_Part, frozen=True):
    """Who is bound: by what it is known to connectors, its name, as what it signs, and who signs for it."""

    participant_id: str
    name: str
    signing_role: str
    signatories: tuple[Signatory, ...] = ()


class Promise(_Part, frozen=True):
    """A need that a party states, or a commitment that it makes: what, how much of which unit, by when."""

    id: str
    party: str
    what: str
    quantity: str
    unit: str
    by: str


class Validity(Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """First and last day, or moment, at which it is in force."""

    from_: str
    until: str


class Accession(_Part, frozen=True):
    """Who may sign later: participant ids, or `*` for any partner of who proposed it."""

    open_to: tuple[str, ...]


class Framework(_Part, frozen=True):
    """A framework agreement. `replaces` and `parent` are URNs with their hash.

    `earlier_agreements` says what an amendment does to agreements under the version that it replaces.
    """

    id: str
    version: int
    title: str
    language_versions: tuple[LanguageVersion, ...]
    parties: tuple[Party, ...]
    purpose: tuple[str, ...]
    territory: tuple[str, ...]
    validity: Validity
    programmes: tuple[str, ...] = ()
    needs: tuple[Promise, ...] = ()
    commitments: tuple[Promise, ...] = ()
    release_rules: Document = {}
    accession: Accession | None = None
    replaces: str = ""
    parent: str = ""
    earlier_agreements: Literal["continue", "end"] = "continue"

    @property
    def party_ids(self) -> tuple[str, ...]:
        """The participant ids of the parties that it names."""
        return tuple(each.participant_id for each in self.parties)

    def is_open_to(self, participant_id: str) -> bool:
        """Return whether a participant that is no named party may accede."""
        return self.accession is not None and bool({participant_id, ANYONE} & set(self.accession.open_to))

    def lets_sign(self, participant_id: str) -> bool:
        """Return whether a participant is a party that it names, or one that may accede."""
        return participant_id in self.party_ids or self.is_open_to(participant_id)


def read(document: Document) -> Framework:
    """Return a document as a value; whether it makes sense is `check`'s part.

    Raises:
        InvalidInputError: with the exact place: a member is unknown, missing or of the wrong kind, or it is too long.
    """
    _check_canonical(document, "$")
    if len(strict_json.canonical(document)) > MAX_BYTES:
        raise errors.InvalidInputError(f"a framework agreement has at most {MAX_BYTES} bytes")
    try:
        return msgspec.convert(document, Framework, strict=True)
    except msgspec.ValidationError as error:
        raise _refusal(str(error)) from None


def _refusal(text: str) -> errors.InvalidInputError:
    found = _PLACE.fullmatch(text)
    said, path = (found["said"], found["path"] or "$") if found else (text, "$")
    if unknown := _UNKNOWN.fullmatch(said):
        name = unknown["name"]
        return errors.InvalidInputError(
            f"a framework agreement has no member {name[:100]} here", path=f"{path}.{name[:100]}"
        )
    if missing := _MISSING.fullmatch(said):
        return errors.InvalidInputError(f"{missing['name']} is missing", path=f"{path}.{missing['name']}")
    if said.startswith("Expected `str`"):
        said = 'it must be a text in quotes, such as "100"'
    return errors.InvalidInputError(said, path=path)


def _check_canonical(value: Any, path: str) -> None:
    """Refuse what two programs could write differently: numbers that are not whole, and names out of ASCII."""
    if isinstance(value, float):
        raise errors.InvalidInputError("numbers must be whole; write others as a text", path=path)
    if isinstance(value, dict):
        for name, member in value.items():
            if not name.isascii():
                raise errors.InvalidInputError("names of members must be ASCII", path=path)
            _check_canonical(member, f"{path}.{name}")
    elif isinstance(value, list):
        for at, member in enumerate(value):
            _check_canonical(member, f"{path}[{at}]")


def canonical(document: Document) -> bytes:
    """Return the bytes that are signed: RFC 8785, which for such a document is what `strict_json` writes."""
    return strict_json.canonical(document)


def urn(document: Document) -> str:
    """Return the name of a document: its id and its hash."""
    return f"{document['id']}#sha256:{sha256(canonical(document)).hexdigest()}"


def is_urn(name: str) -> bool:
    """Return whether a name is that of a framework agreement with its hash."""
    return name.startswith(PREFIX) and _URN.fullmatch(name) is not None


def open_text(text: str, name: str) -> Document:
    """Return the document in a text that a partner gave, if it is the one that `name` names.

    Raises:
        InvalidInputError: it is no JSON, no framework agreement, or another one.
    """
    document = strict_json.decode_object(text.encode())
    read(document)
    if urn(document) != name:
        raise errors.InvalidInputError(
            "the document is not the one that this name stands for: its hash is another",
            hint=f"its hash makes it {urn(document)}",
        )
    return document
