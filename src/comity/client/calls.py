"""The requests of the management API, described: which path, which body, what comes back.

What a document holds is the API's business (`/management/v3`, EDC's payloads). A new endpoint gets a function here, or
in `upkeep`, and a line in each of `connector` and `aconnector`; nothing here sends anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from comity.client import records
from comity.client.records import (
    Applies,
    Asset,
    Exchange,
    File,
    Inquiry,
    Package,
    Participant,
    Reading,
    Received,
    Revision,
)
from comity.client.steps import Call, Document, Flow

NEGOTIATIONS = "contractnegotiations"
AGREEMENTS = "contractagreements"
TRANSFERS = "transferprocesses"
_SORTED_BY = {AGREEMENTS: "contractSigningDate"}

PROTOCOL = "dataspace-protocol-http:2025-1"
STORE = "store:"
"""The destination that is the connector's own store."""
PAGE = 1000
CARRY_TIMEOUT_S = 24 * 3600.0
"""For all of what lies on a medium."""
PARTNER_TIMEOUT_S = 600.0
"""For what the connector asks of a partner before it answers: many pages, each with a time limit of its own."""


def request(method: str, path: str, body: Any = None, *, timeout_s: float | None = None) -> Call[Any]:
    """Send one request below `/management/v3/` and return the JSON of its answer, None when it has none.

    Raises:
        UnreachableError: nobody answers there, or not in `timeout_s`, or something that is no connector.
        ComityError: what the connector answered.
    """
    return Call(method, path, body, read=records.whole, timeout_s=timeout_s)


# Partners


def partners() -> Call[list[Participant]]:
    """Return every partner on the list."""
    return Call("GET", "partners", read=records.each(Participant))


def add_partner(  # noqa: PLR0913  a partner has these members
    participant: str,
    *,
    name: str | None = None,
    address: str | None = None,
    purpose: Sequence[str] | None = None,
    spatial: Sequence[str] | None = None,
    distribution_class: Sequence[str] | None = None,
    attributes: Mapping[str, Sequence[str]] | None = None,
    keys: Sequence[Mapping[str, Any]] | None = None,
    pin: bool | None = None,
    signed: bool | None = None,
    approval: Mapping[str, Any] | None = None,
) -> Call[Participant]:
    """Put a participant (DID or public address) on the list, or change what is said of one: see the form NewPartner.

    Of a partner that is on the list already what is not said (None) stays; an empty value takes it back.
    """
    said = {
        "name": name,
        "address": address,
        "purpose": purpose,
        "spatial": spatial,
        "distributionClass": distribution_class,
        "attributes": attributes,
        "keys": keys,
        "pin": pin,
        "signed": signed,
        "approval": approval,
    }
    body = {"participant": participant, **{each: value for each, value in said.items() if value is not None}}
    return Call("POST", "partners", body, read=Participant, timeout_s=PARTNER_TIMEOUT_S)


def remove_partner(participant_id: str) -> Call[None]:
    """Take a participant off the list."""
    return Call("DELETE", f"partners/{segment(participant_id)}", read=records.nothing)


# Offering and finding


def publish(  # noqa: PLR0913  all may be left out
    folder: str,
    *,
    asset_id: str = "",
    title: str = "",
    policy: Mapping[str, Any] | None = None,
    access_policy: Mapping[str, Any] | None = None,
    properties: Mapping[str, Any] | None = None,
    derived_from: Sequence[str] = (),
    answers: Sequence[str] = (),
    approval: Mapping[str, Any] | None = None,
    framework: str = "",
    again: bool = False,
    effectivity: Sequence[Mapping[str, Any]] = (),
    keep: Sequence[str] = (),
    timeout_s: float | None = None,
) -> Call[Package]:
    """Hash a folder of the connector's machine and offer it under `policy`: see the form NewPackage."""
    said = {
        "assetId": asset_id,
        "title": title,
        "policy": policy,
        "accessPolicy": access_policy,
        "properties": properties,
        "derivedFrom": derived_from,
        "answers": answers,
        "approval": approval,
        "framework": framework,
        "again": again,
        "effectivity": effectivity,
        "keep": keep,
    }
    body = {"folder": folder, **given(said)}
    return Call("POST", "packages", body, read=Package, timeout_s=timeout_s or PARTNER_TIMEOUT_S)


def publishing() -> Call[list[Document]]:
    """Return the folders that are being hashed now, and how far that is."""
    return Call("GET", "packages/publishing", read=list)


def catalog(counterparty_id: str) -> Call[Document]:
    """Return a partner's catalog."""
    body = {"@type": "CatalogRequest", **_party(counterparty_id)}
    return Call("POST", "catalog/request", body, read=records.document, timeout_s=PARTNER_TIMEOUT_S)


def dataset(counterparty_id: str, asset_id: str) -> Call[Asset]:
    """Return one dataset of a partner's catalog."""
    body = {"@type": "DatasetRequest", "@id": asset_id, **_party(counterparty_id)}
    return Call("POST", "catalog/dataset/request", body, read=Asset, timeout_s=PARTNER_TIMEOUT_S)


# Getting


def start_exchange(  # noqa: PLR0913  what is wanted may be said in many words
    counterparty_id: str,
    asset_id: str,
    destination: str,
    *,
    offer_id: str = "",
    offer: Mapping[str, Any] | None = None,
    purpose: str = "",
    revision: int = 0,
    limit: str = "",
) -> Call[Exchange]:
    """Have the connector get an asset into a folder, an absolute path; one that does so already is returned.

    `offer` is the one that was shown: it is taken by its terms where the partner has given it another id.
    `purpose` is what the data is for, which the partner is told; `limit` how fast it may come, such as 5MB/s.
    """
    said = {
        "offerId": offer_id,
        "policy": offer,
        "purpose": purpose,
        "revision": revision,
        "limit": limit,
    }
    body = {
        "counterPartyId": counterparty_id,
        "assetId": asset_id,
        "destination": destination,
        **given(said),
    }
    return Call("POST", "exchanges", body, read=Exchange, timeout_s=PARTNER_TIMEOUT_S)


def exchange(exchange_id: str) -> Call[Exchange]:
    """Return how far an exchange has come."""
    return Call("GET", f"exchanges/{segment(exchange_id)}", read=Exchange)


def exchanges() -> Call[list[Exchange]]:
    """Return how far the exchanges have come, the newest first."""
    return Call("POST", "exchanges/request", _query("exchanges", limit=PAGE), read=records.each(Exchange))


# What was received, and what is read where it lies


def received(*, transfer_id: str = "") -> Call[list[Received]]:
    """Return what was received, or what one transfer brought, with the terms by which it is locked now."""
    return Call("GET", _asked("received", transferId=transfer_id), read=records.each(Received))


def received_files(transfer_id: str) -> Call[list[File]]:
    """Return which files a transfer brought into the connector's store."""
    return Call("GET", f"received/{segment(transfer_id)}/files", read=records.each(File))


def begin_reading(  # noqa: PLR0913  what is wanted may be said in many words
    counterparty_id: str,
    asset_id: str,
    *,
    offer_id: str = "",
    offer: Mapping[str, Any] | None = None,
    purpose: str = "",
    person: str = "",
    nationality: Sequence[str] = (),
    revision: int = 0,
) -> Call[Reading]:
    """Agree about an asset, or go on under an agreement, so that it can be read without being fetched."""
    said = {
        "offerId": offer_id,
        "policy": offer,
        "purpose": purpose,
        "person": person,
        "nationality": nationality,
        "revision": revision,
    }
    body = {"counterPartyId": counterparty_id, "assetId": asset_id, **given(said)}
    return Call("POST", "readings", body, read=Reading, timeout_s=PARTNER_TIMEOUT_S)


def reading(reading_id: str) -> Call[Reading]:
    """Return how a reading stands."""
    return Call("GET", f"readings/{segment(reading_id)}", read=Reading)


def reading_files(reading_id: str) -> Call[list[File]]:
    """Return which files can be read."""
    return Call(
        "GET",
        f"readings/{segment(reading_id)}/files",
        read=records.each(File),
        timeout_s=PARTNER_TIMEOUT_S,
    )


def end_reading(reading_id: str) -> Call[None]:
    """End a reading."""
    return Call("DELETE", f"readings/{segment(reading_id)}", read=records.nothing)


def file_path(noun: str, process_id: str, path: str, **said: Any) -> str:
    """Return where a file is read: `noun` is received or readings."""
    return _asked(f"{noun}/{segment(process_id)}/files/{quote(path, safe='/')}", **said)


# Revisions: ours, or those of the partner `of`


def revisions(asset_id: str = "", *, of: str = "", number: int = 0) -> Call[list[Revision]]:
    """Return the revisions of an asset, or only one of it by its number, or the last one of each asset."""
    path = f"revisions/{segment(asset_id)}" if asset_id else "revisions"
    return Call("GET", _asked(path, counterPartyId=of, revision=number), read=records.each(Revision))


def changes(asset_id: str, *, of: str = "", revision: int = 0, since: int = 0) -> Call[Document]:
    """Return what changed by file in a revision (0: the last), since another (0: the one before)."""
    path = f"revisions/{segment(asset_id)}/changes"
    return Call("GET", _asked(path, counterPartyId=of, revision=revision, since=since), read=records.document)


def applies(  # noqa: PLR0913  a unit may be known by all of these
    asset_id: str, *, of: str = "", part: str = "", serial: str = "", lot: str = "", plant: str = ""
) -> Call[Applies]:
    """Return which revision applies to a unit, with the deviations granted for it; what is not said is not known."""
    said = {"counterPartyId": of, "part": part, "serialNumber": serial, "lot": lot, "plant": plant}
    return Call("POST", "revisions/applies", {"assetId": asset_id, **given(said)}, read=Applies)


def recall(asset_id: str, revision: int, reason: str) -> Call[None]:
    """Recall a revision of ours, for good; `revisions` says which of its holders were told."""
    body = {"revision": revision, "reason": reason}
    return Call("POST", f"revisions/{segment(asset_id)}/recall", body, read=records.nothing)


# The way back


def inquiries(*, limit: int = PAGE) -> Call[list[Inquiry]]:
    """Return questions, deviations and changes that were asked by us and of us, the newest first."""
    query = _query("inquiries", limit=limit)
    return Call("POST", "inquiries/request", query, read=records.each(Inquiry))


def inquiry(inquiry_id: str) -> Call[Inquiry]:
    """Return an inquiry, and how it stands."""
    return Call("GET", f"inquiries/{segment(inquiry_id)}", read=Inquiry)


def ask(  # noqa: PLR0913  an inquiry has these members
    agreement_id: str,
    text: str,
    *,
    kind: str = "question",
    files: Sequence[str] = (),
    manifest_sha256: str = "",
    limits: Mapping[str, Any] | None = None,
    proposal: str = "",
    answer_by: str = "",
) -> Call[Inquiry]:
    """Ask the owner of what was received under an agreement; `kind` is question, deviation or change."""
    said = {
        "files": files,
        "manifestSha256": manifest_sha256,
        "limits": limits,
        "proposal": proposal,
        "answerBy": answer_by,
    }
    body = {"agreementId": agreement_id, "kind": kind, "text": text, **given(said)}
    return Call("POST", "inquiries", body, read=Inquiry)


def settle_inquiry(
    inquiry_id: str, verb: str, *, text: str = "", limits: Mapping[str, Any] | None = None
) -> Call[Inquiry]:
    """Go on with an inquiry, as the person whose key this is: say, answer, grant, refuse, revoke, withdraw."""
    body = given({"text": text, "limits": limits})
    return Call("POST", f"inquiries/{segment(inquiry_id)}/{verb}", body, read=Inquiry)


# Processes: `noun` is NEGOTIATIONS, AGREEMENTS or TRANSFERS


def find(
    noun: str, *, limit: int, offset: int = 0, criteria: Sequence[Document] = ()
) -> Call[list[Document]]:
    """Return a page of processes, the newest first."""
    query = _query(noun, limit=limit, offset=offset, criteria=criteria)
    return Call("POST", f"{noun}/request", query, read=records.documents)


def find_all(noun: str) -> Flow[list[Document]]:
    """Return all processes, the newest first."""
    found: list[Document] = []
    while True:
        page = yield from find(noun, limit=PAGE, offset=len(found))
        found += page
        if len(page) < PAGE:
            return found


def load(noun: str, process_id: str) -> Call[Document]:
    """Return one process."""
    return Call("GET", f"{noun}/{segment(process_id)}", read=records.document)


def move(noun: str, process_id: str, move: str, *, reason: str = "") -> Call[None]:
    """Make a person's move: accept, agree, verify, finalize, terminate; suspend, resume, complete."""
    body = {"reason": reason} if reason else {}
    return Call("POST", f"{noun}/{segment(process_id)}/{move}", body, read=records.nothing)


# Approvals


def approvals(*, limit: int = PAGE, waiting: bool = True) -> Call[list[Document]]:
    """Return what people are asked to approve, the newest first; or also what is over."""
    return find("approvals", limit=limit, criteria=[_equal("state", "WAITING")] if waiting else [])


def settle_approval(approval_id: str, verb: str, *, reason: str = "") -> Call[Document]:
    """Approve or refuse, as the person whose API key this is, and return how it stands."""
    body = {"reason": reason} if reason else {}
    return Call("POST", f"approvals/{segment(approval_id)}/{verb}", body, read=records.document)


# Receipts and deletions


def deletions(*, limit: int = PAGE, overdue: bool = False) -> Call[list[Document]]:
    """Return what is to be deleted, or was, the newest first; or only what is overdue."""
    return find("deletions", limit=limit, criteria=[_equal("state", "OVERDUE")] if overdue else [])


def delete_received(kind: str, name: str, *, by_hand: bool = False) -> Call[list[Document]]:
    """Delete what was received; `kind` is transferId or agreementId, what `name` is the id of."""
    body = {kind: name, "byHand": by_hand}
    return Call("POST", "deletions", body, read=records.documents, timeout_s=PARTNER_TIMEOUT_S)


def carry(  # noqa: PLR0913  what is wanted may be said in many words
    medium: str,
    *,
    agreement_id: str = "",
    asset_id: str = "",
    counterparty_id: str = "",
    revision: int | None = None,
    purpose: str = "",
) -> Call[Document]:
    """Write a package to a medium: of an agreement, or of an asset for a partner."""
    said = {
        "agreementId": agreement_id,
        "assetId": asset_id,
        "counterPartyId": counterparty_id,
        "revision": revision,
        "purpose": purpose,
    }
    body = {"medium": medium, **given(said)}
    return Call("POST", "carries/write", body, read=records.document, timeout_s=CARRY_TIMEOUT_S)


def take_carried(medium: str, *, destination: str = STORE, code: str = "") -> Call[list[Document]]:
    """Take what is on a medium for us, and write the receipts on it; return what became of each package."""
    body = {"medium": medium, "destination": destination, **({"code": code} if code else {})}
    return Call("POST", "carries/take", body, read=records.documents, timeout_s=CARRY_TIMEOUT_S)


def carried_receipts(medium: str) -> Call[list[Document]]:
    """Read the receipts on a medium; return what became of each."""
    return Call(
        "POST", "carries/receipts", {"medium": medium}, read=records.documents, timeout_s=PARTNER_TIMEOUT_S
    )


def receipts(transfer_id: str) -> Call[list[Document]]:
    """Return the receipts about a transfer, ours and its partner's."""
    return find("receipts", limit=PAGE, criteria=[_equal("transferId", transfer_id)])


def _query(noun: str, *, limit: int, offset: int = 0, criteria: Sequence[Document] = ()) -> Document:
    return {
        "@type": "QuerySpec",
        "offset": offset,
        "limit": limit,
        "sortField": _SORTED_BY.get(noun, "createdAt"),
        "sortOrder": "DESC",
        "filterExpression": list(criteria),
    }


def _equal(name: str, value: str) -> Document:
    return {"operandLeft": name, "operator": "=", "operandRight": value}


def _asked(path: str, **said: Any) -> str:
    asked = urlencode(given(said), doseq=True)
    return f"{path}?{asked}" if asked else path


def given(said: Mapping[str, Any]) -> Document:
    """Return what is said of a body, without what is empty."""
    return {name: value for name, value in said.items() if value}


def _party(counterparty_id: str) -> Document:
    return {"counterPartyId": counterparty_id, "counterPartyAddress": "", "protocol": PROTOCOL}


def segment(name: str) -> str:
    """Return a name as one segment of a path."""
    return quote(name, safe="")
