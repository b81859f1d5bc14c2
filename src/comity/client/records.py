"""Answers of the management API: the JSON as it came, with its usual members as typed attributes.

Each is a dict, so that nothing is lost, `json.dumps` writes it and a list of them makes a table; members that a newer
connector adds are there by their names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, overload

from comity import errors

R = TypeVar("R", bound="Record")


class Record(dict[str, Any]):
    """A JSON object of the management API."""

    @property
    def id(self) -> str:
        """Its `@id`."""
        return str(self.get("@id") or self.get("id") or "")


class Text:
    """A member that is a text; empty where it is missing."""

    def __init__(self, *names: str) -> None:
        self._names = names

    @overload
    def __get__(self, record: None, owner: type) -> Text: ...
    @overload
    def __get__(self, record: Record, owner: type) -> str: ...
    def __get__(self, record: Record | None, owner: type) -> Text | str:
        """Read it."""
        if record is None:
            return self
        return next((str(record[name]) for name in self._names if record.get(name) not in (None, "")), "")


class Number:
    """A member that is a whole number; 0 where it is missing."""

    def __init__(self, *names: str) -> None:
        self._names = names

    @overload
    def __get__(self, record: None, owner: type) -> Number: ...
    @overload
    def __get__(self, record: Record, owner: type) -> int: ...
    def __get__(self, record: Record | None, owner: type) -> Number | int:
        """Read it."""
        if record is None:
            return self
        said = next((str(record[name]) for name in self._names if record.get(name)), "")
        return int(said) if said.isdecimal() else 0


def each(kind: Callable[[Any], R]) -> Callable[[Any], list[R]]:
    """Return what reads a list of records."""
    return lambda found: [kind(one) for one in found]


def whole(found: Any) -> Any:
    """Read an answer as it is."""
    return found


def document(found: Any) -> dict[str, Any]:
    """Read an object."""
    return dict(found)


def documents(found: Any) -> list[dict[str, Any]]:
    """Read a list of objects."""
    return list(found)


def nothing(_: Any) -> None:
    """Read an answer that has no body."""


class Participant(Record):
    """A partner on the list."""

    name = Text("name")
    address = Text("address")


class Offer(Record):
    """One offer of an asset: ODRL."""

    @property
    def terms(self) -> tuple[str, ...]:
        """Its terms in words, one by one, as they are written in the policy."""
        from comity.odrl import enforcement  # noqa: PLC0415  start-up time

        try:
            return tuple(term.words for term in enforcement.terms(self))
        except errors.InvalidInputError:
            return ()


class Asset(Record):
    """One dataset of a partner's catalog; sizes and the like are 0 or empty where the partner does not tell them."""

    size_bytes = Number("dcat:byteSize", "byteSize")
    files = Number("comity:files")
    revision = Number("comity:revision")
    manifest_sha256 = Text("comity:manifestSha256")

    @property
    def title(self) -> str:
        """Its title, or its name, or nothing."""
        return title(self)

    @property
    def offers(self) -> list[Offer]:
        """Under which terms it may be had."""
        return offers(self)


class Exchange(Record):
    """How far it has come that a partner's asset is got."""

    stage = Text("stage")
    participant = Text("counterPartyId")
    asset_id = Text("assetId")
    destination = Text("destination")
    negotiation_id = Text("negotiationId")
    negotiation_state = Text("negotiationState")
    agreement_id = Text("agreementId")
    transfer_id = Text("transferId")
    transfer_state = Text("transferState")
    manifest_sha256 = Text("manifestSha256")
    waits_for = Text("waitsFor")
    error = Text("error")
    error_type = Text("errorType")
    files_done = Number("filesDone")
    files_total = Number("filesTotal")
    bytes_done = Number("bytesDone")
    bytes_total = Number("bytesTotal")


class Received(Record):
    """What a transfer brought, and the terms by which it is locked now."""

    agreement_id = Text("agreementId")
    participant = Text("counterPartyId")
    asset_id = Text("assetId")
    files = Number("files")
    size_bytes = Number("sizeBytes")
    sha256 = Text("sha256")
    became = Text("became")

    @property
    def locked(self) -> list[str]:
        """Why it may not be opened now; empty if it may."""
        return [str(one) for one in self.get("locked") or ()]


class File(Record):
    """One file that can be read through the connector."""

    path = Text("path")
    size_bytes = Number("sizeBytes")
    sha256 = Text("sha256")
    media_type = Text("mediaType")


class Reading(Record):
    """A partner's asset that is read where it lies."""

    stage = Text("stage")
    agreement_id = Text("agreementId")
    transfer_id = Text("transferId")
    purpose = Text("purpose")
    waits_for = Text("waitsFor")
    error = Text("error")


class Package(Record):
    """What was published."""

    asset_id = Text("assetId", "@id")
    manifest_sha256 = Text("manifestSha256")
    revision = Number("revision")


class Revision(Record):
    """A revision of a package, ours or as a partner told us of it."""

    asset_id = Text("assetId")
    number = Number("revision")
    state = Text("state")
    title = Text("title")
    manifest_sha256 = Text("manifestSha256")
    reason = Text("reason")

    @property
    def lost(self) -> list[str]:
        """Of one of ours that was asked for by its number: its files that are not to be had any more."""
        return list(self.get("lost") or ())

    @property
    def notices(self) -> list[dict[str, Any]]:
        """Of one of ours: what each holder was told of it, and whether that arrived."""
        return list(self.get("notices") or ())


class Applies(Record):
    """Which revision applies to a unit; `number` is 0 where none does."""

    asset_id = Text("assetId")
    number = Number("revision")
    manifest_sha256 = Text("manifestSha256")
    why = Text("why")

    @property
    def complete(self) -> bool:
        """False where a partner has not told of all revisions that might apply; `why` says so."""
        return self.get("complete") is not False

    @property
    def deviations(self) -> list[dict[str, Any]]:
        """What was granted for this unit."""
        return list(self.get("deviations") or ())


class Inquiry(Record):
    """A question, a deviation or a change that the holder of a revision asks its owner for."""

    kind = Text("kind")
    state = Text("state")
    text = Text("text")
    participant = Text("counterPartyId")
    agreement_id = Text("agreementId")
    asset_id = Text("assetId")
    waits_for = Text("waitsFor")
    revoked_at = Number("revokedAt")


class Event(Record):
    """A change of something, as a CloudEvent."""

    type = Text("type")
    subject = Text("subject")
    time = Text("time")

    @property
    def data(self) -> dict[str, Any]:
        """What it says."""
        found = self.get("data")
        return found if isinstance(found, dict) else {}


def title(described: Mapping[str, Any]) -> str:
    """Return the title of a dataset or asset, or its name, or nothing."""
    dct = (
        "dct:title",
        "title",
        "dcterms:title",
        "http://purl.org/dc/terms/title",
        "https://purl.org/dc/terms/title",
    )
    for name in (*dct, "name", "edc:name"):
        value = described.get(name)
        value = value.get("@value") if isinstance(value, Mapping) else value
        if isinstance(value, str) and value:
            return value
    return ""


def offers(dataset: Mapping[str, Any]) -> list[Offer]:
    """Return the offers of a dataset, one or many in either spelling."""
    return [Offer(one) for one in _listed(dataset, "hasPolicy", "odrl:hasPolicy")]


def assets(catalog: Mapping[str, Any]) -> list[Asset]:
    """Return the datasets of a catalog, one or many in either spelling."""
    return [Asset(one) for one in _listed(catalog, "dataset", "dcat:dataset")]


def _listed(document: Mapping[str, Any], *names: str) -> list[dict[str, Any]]:
    found: Any = next((document[name] for name in names if document.get(name)), [])
    return [one for one in (found if isinstance(found, list) else [found]) if isinstance(one, dict)]
