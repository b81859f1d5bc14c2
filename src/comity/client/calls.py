"""The requests of the management API, described: which path, which body, what comes back.

What a document holds is the API's business (`/management/v3`, EDC's payloads). A new endpoint gets a function here and
a line in each of `connector` and `aconnector`; nothing here sends anything.
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
    return Call(method, path, body, read=_json, timeout_s=timeout_s)


def _json(found: Any) -> Any:
    return found


def _document(found: Any) -> Document:
    return dict(found)


def _documents(found: Any) -> list[Document]:
    return list(found)


def _nothing(_: Any) -> None:
    return None


# Partners


def partners() -> Call[list[Participant]]:
    """Return every partner on the list."""
    return Call("GET", "partners", read=records.each(Participant))


def add_partner(participant: str, **said: Any) -> Call[Participant]:
    """Put a participant (DID or public address) on the list: see the form NewPartner."""
    body = {"participant": participant, **_given(said)}
    return Call("POST", "partners", body, read=Participant, timeout_s=PARTNER_TIMEOUT_S)


def remove_partner(participant_id: str) -> Call[None]:
    """Take a participant off the list."""
    return Call("DELETE", f"partners/{segment(participant_id)}", read=_nothing)


# API keys


def api_keys() -> Call[list[Document]]:
    """Return every API key but that of the data folder."""
    return Call("GET", "apikeys", read=_documents)


def add_api_key(name: str, role: str, *, expires_at: int | None = None) -> Call[Document]:
    """Make an API key (viewer, operator, admin), for good or until `expires_at` (ms); `key` is in the answer."""
    return Call("POST", "apikeys", {"name": name, "role": role, "expiresAt": expires_at}, read=_document)


def remove_api_key(name: str) -> Call[None]:
    """Remove an API key."""
    return Call("DELETE", f"apikeys/{segment(name)}", read=_nothing)


# Offering and finding


def publish(  # noqa: PLR0913  all may be left out
    folder: str,
    *,
    asset_id: str = "",
    title: str = "",
    policy: Mapping[str, Any] | None = None,
    access_policy: Mapping[str, Any] | None = None,
    properties: Mapping[str, Any] | None = None,
    timeout_s: float | None = None,
    **said: Any,
) -> Call[Package]:
    """Hash a folder of the connector's machine and offer it under `policy`; `said` are more of the form NewPackage."""
    named = {"assetId": asset_id, "title": title, "policy": policy, "accessPolicy": access_policy}
    body = {"folder": folder, **_given({**named, "properties": properties, **said})}
    return Call("POST", "packages", body, read=Package, timeout_s=timeout_s or PARTNER_TIMEOUT_S)


def publishing() -> Call[list[Document]]:
    """Return the folders that are being hashed now, and how far that is."""
    return Call("GET", "packages/publishing", read=list)


def catalog(counterparty_id: str) -> Call[Document]:
    """Return a partner's catalog."""
    body = {"@type": "CatalogRequest", **_party(counterparty_id)}
    return Call("POST", "catalog/request", body, read=_document, timeout_s=PARTNER_TIMEOUT_S)


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
    **more: Any,
) -> Call[Exchange]:
    """Have the connector get an asset into a folder, an absolute path; one that does so already is returned.

    `offer` is the one that was shown: it is taken by its terms where the partner has given it another id.
    `purpose` is what the data is for, which the partner is told.
    """
    said = {"offerId": offer_id, "policy": offer, "purpose": purpose, **more}
    body = {
        "counterPartyId": counterparty_id,
        "assetId": asset_id,
        "destination": destination,
        **_given(said),
    }
    return Call("POST", "exchanges", body, read=Exchange, timeout_s=PARTNER_TIMEOUT_S)


def exchange(exchange_id: str) -> Call[Exchange]:
    """Return how far an exchange has come."""
    return Call("GET", f"exchanges/{segment(exchange_id)}", read=Exchange)


def exchanges() -> Call[list[Exchange]]:
    """Return how far the exchanges have come, the newest first."""
    return Call("POST", "exchanges/request", _query("exchanges", limit=PAGE), read=records.each(Exchange))


# What was received, and what is read where it lies


def received() -> Call[list[Received]]:
    """Return what was received, with the terms by which it is locked now."""
    return Call("GET", "received", read=records.each(Received))


def received_files(transfer_id: str) -> Call[list[File]]:
    """Return which files a transfer brought into the connector's store."""
    return Call("GET", f"received/{segment(transfer_id)}/files", read=records.each(File))


def begin_reading(counterparty_id: str, asset_id: str, **said: Any) -> Call[Reading]:
    """Agree about an asset, or go on under an agreement, so that it can be read without being fetched."""
    body = {"counterPartyId": counterparty_id, "assetId": asset_id, **_given(said)}
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
    return Call("DELETE", f"readings/{segment(reading_id)}", read=_nothing)


def file_path(noun: str, process_id: str, path: str, **said: Any) -> str:
    """Return where a file is read: `noun` is received or readings."""
    return _asked(f"{noun}/{segment(process_id)}/files/{quote(path, safe='/')}", **said)


# Revisions: ours, or those of the partner `of`


def revisions(asset_id: str = "", *, of: str = "") -> Call[list[Revision]]:
    """Return the revisions of an asset, or the last one of each asset."""
    path = f"revisions/{segment(asset_id)}" if asset_id else "revisions"
    return Call("GET", _asked(path, counterPartyId=of), read=records.each(Revision))


def changes(asset_id: str, *, of: str = "", revision: int = 0, since: int = 0) -> Call[Document]:
    """Return what changed by file in a revision (0: the last), since another (0: the one before)."""
    path = f"revisions/{segment(asset_id)}/changes"
    return Call("GET", _asked(path, counterPartyId=of, revision=revision, since=since), read=_document)


def applies(  # noqa: PLR0913  a unit may be known by all of these
    asset_id: str, *, of: str = "", part: str = "", serial: str = "", lot: str = "", plant: str = ""
) -> Call[Applies]:
    """Return which revision applies to a unit, with the deviations granted for it; what is not said is not known."""
    said = {"counterPartyId": of, "part": part, "serialNumber": serial, "lot": lot, "plant": plant}
    return Call("POST", "revisions/applies", {"assetId": asset_id, **_given(said)}, read=Applies)


def recall(asset_id: str, revision: int, reason: str) -> Call[None]:
    """Recall a revision of ours, for good; `revisions` says which of its holders were told."""
    body = {"revision": revision, "reason": reason}
    return Call("POST", f"revisions/{segment(asset_id)}/recall", body, read=_nothing)


# The way back


def inquiries(*, limit: int = PAGE) -> Call[list[Inquiry]]:
    """Return questions, deviations and changes that were asked by us and of us, the newest first."""
    query = _query("inquiries", limit=limit)
    return Call("POST", "inquiries/request", query, read=records.each(Inquiry))


def inquiry(inquiry_id: str) -> Call[Inquiry]:
    """Return an inquiry, and how it stands."""
    return Call("GET", f"inquiries/{segment(inquiry_id)}", read=Inquiry)


def ask(agreement_id: str, text: str, *, kind: str = "question", **said: Any) -> Call[Inquiry]:
    """Ask the owner of what was received under an agreement; `kind` is question, deviation or change.

    `said` are more members of the form NewInquiry: files, manifestSha256, limits, proposal, answerBy.
    """
    body = {"agreementId": agreement_id, "kind": kind, "text": text, **_given(said)}
    return Call("POST", "inquiries", body, read=Inquiry)


def settle_inquiry(inquiry_id: str, verb: str, **said: Any) -> Call[Inquiry]:
    """Go on with an inquiry, as the person whose key this is: say, answer, grant, refuse, revoke, withdraw."""
    return Call("POST", f"inquiries/{segment(inquiry_id)}/{verb}", _given(said), read=Inquiry)


# Framework agreements


def frameworks() -> Call[list[Document]]:
    """Return all framework agreements."""
    return Call("GET", "frameworks", read=_documents)


def framework(urn: str) -> Call[Document]:
    """Return a framework agreement."""
    return Call("GET", f"frameworks/{segment(urn)}", read=_document)


def propose_framework(document: Document, folder: str, *, timeout_s: float) -> Call[Document]:
    """Propose a framework agreement, whose texts are in a folder, to its parties."""
    body = {"document": document, "folder": folder}
    return Call("POST", "frameworks", body, read=_document, timeout_s=timeout_s)


def offered_framework(counterparty_id: str, urn: str) -> Call[Document]:
    """Return a framework agreement that a partner offers."""
    body = {"counterPartyId": counterparty_id, "frameworkAgreement": urn}
    return Call("POST", "frameworks/offered", body, read=_document, timeout_s=PARTNER_TIMEOUT_S)


def sign_framework(counterparty_id: str, urn: str, *, accede: bool) -> Call[Document]:
    """Ask a partner for the agreement that signs its framework agreement, and return the negotiation's id."""
    body = {"counterPartyId": counterparty_id, "frameworkAgreement": urn, "accede": accede}
    return Call("POST", "frameworks/sign", body, read=_document, timeout_s=PARTNER_TIMEOUT_S)


def deliver(urn: str, commitment: str, quantity: str, evidence: str) -> Call[Document]:
    """Report what was delivered of a commitment of ours, and return the delivery's id."""
    body = {"frameworkAgreement": urn, "commitment": commitment, "quantity": quantity, "evidence": evidence}
    return Call("POST", "frameworks/deliveries", body, read=_document)


def change_framework(urn: str, change: str, **said: str) -> Call[Any]:
    """Do something to a framework agreement: suspend, resume, end, confirm, signatures."""
    return Call("POST", f"frameworks/{segment(urn)}/{change}", said, read=_json)


# Processes: `noun` is NEGOTIATIONS, AGREEMENTS or TRANSFERS


def find(
    noun: str, *, limit: int, offset: int = 0, criteria: Sequence[Document] = ()
) -> Call[list[Document]]:
    """Return a page of processes, the newest first."""
    query = _query(noun, limit=limit, offset=offset, criteria=criteria)
    return Call("POST", f"{noun}/request", query, read=_documents)


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
    return Call("GET", f"{noun}/{segment(process_id)}", read=_document)


def move(noun: str, process_id: str, move: str, *, reason: str = "") -> Call[None]:
    """Make a person's move: accept, agree, verify, finalize, terminate; suspend, resume, complete."""
    body = {"reason": reason} if reason else {}
    return Call("POST", f"{noun}/{segment(process_id)}/{move}", body, read=_nothing)


# Approvals


def approvals(*, limit: int = PAGE, waiting: bool = True) -> Call[list[Document]]:
    """Return what people are asked to approve, the newest first; or also what is over."""
    return find("approvals", limit=limit, criteria=[_equal("state", "WAITING")] if waiting else [])


def settle_approval(approval_id: str, verb: str, *, reason: str = "") -> Call[Document]:
    """Approve or refuse, as the person whose API key this is, and return how it stands."""
    body = {"reason": reason} if reason else {}
    return Call("POST", f"approvals/{segment(approval_id)}/{verb}", body, read=_document)


# Receipts and deletions


def deletions(*, limit: int = PAGE, overdue: bool = False) -> Call[list[Document]]:
    """Return what is to be deleted, or was, the newest first; or only what is overdue."""
    return find("deletions", limit=limit, criteria=[_equal("state", "OVERDUE")] if overdue else [])


def delete_received(kind: str, name: str, *, by_hand: bool = False) -> Call[list[Document]]:
    """Delete what was received; `kind` is transferId or agreementId, what `name` is the id of."""
    body = {kind: name, "byHand": by_hand}
    return Call("POST", "deletions", body, read=_documents, timeout_s=PARTNER_TIMEOUT_S)


def carry(medium: str, **said: Any) -> Call[Document]:
    """Write a package to a medium; `said` are agreement_id, or asset_id and counterparty_id, revision, purpose."""
    names = {"agreement_id": "agreementId", "asset_id": "assetId", "counterparty_id": "counterPartyId"}
    body = {
        "medium": medium,
        **_given({names.get(name, name): value or None for name, value in said.items()}),
    }
    return Call("POST", "carries/write", body, read=_document, timeout_s=CARRY_TIMEOUT_S)


def take_carried(medium: str, *, destination: str = STORE, code: str = "") -> Call[list[Document]]:
    """Take what is on a medium for us, and write the receipts on it; return what became of each package."""
    body = {"medium": medium, "destination": destination, **({"code": code} if code else {})}
    return Call("POST", "carries/take", body, read=_documents, timeout_s=CARRY_TIMEOUT_S)


def carried_receipts(medium: str) -> Call[list[Document]]:
    """Read the receipts on a medium; return what became of each."""
    return Call("POST", "carries/receipts", {"medium": medium}, read=_documents, timeout_s=PARTNER_TIMEOUT_S)


def receipts(transfer_id: str) -> Call[list[Document]]:
    """Return the receipts about a transfer, ours and its partner's."""
    return find("receipts", limit=PAGE, criteria=[_equal("transferId", transfer_id)])


# Checkpoints


def checkpoints(*, make: bool = False) -> Call[Document]:
    """Return our checkpoints, those of partners, and what was found out; `make` one of what is new before."""
    return Call("POST" if make else "GET", "evidence/checkpoints", read=_document)


def compare_checkpoint(note: str) -> Call[Document]:
    """Compare a partner's checkpoint that somebody else was shown with those that we saw."""
    return Call("POST", "evidence/compare", {"checkpoint": note}, read=_document)


def acknowledge_finding(name: str) -> Call[None]:
    """Note that somebody has looked at a finding about a log."""
    return Call("POST", f"evidence/{segment(name)}/acknowledge", read=_nothing)


# Events


def events(*, after: int, limit: int, process_id: str = "", types: Sequence[str] = ()) -> Call[Document]:
    """Return events after a place, the oldest first, with what to ask for next; `watch` follows them."""
    wanted = {"after": after, "limit": limit, "processId": process_id, "types": ",".join(types)}
    asked = urlencode({name: value for name, value in wanted.items() if value != ""})
    return Call("GET", f"events?{asked}", read=_document)


# Identity


def identity() -> Call[Document]:
    """Return who the connector is, and every key that proves or proved it."""
    return Call("GET", "identity", read=_document)


def rotate_key(*, lead_s: int, grace_s: int) -> Call[Document]:
    """Have a new signing key published; it signs after `lead_s`, the old one stays `grace_s` longer."""
    return Call("POST", "identity/rotate", {"leadSeconds": lead_s, "graceSeconds": grace_s}, read=_document)


def retire_key(kid: str) -> Call[None]:
    """Take a key out of the DID document at once."""
    return Call("DELETE", f"identity/{segment(kid)}", read=_nothing)


# Evidence


def evidence(*, after: int, limit: int, chain: int = 0) -> Call[Document]:
    """Return the records of a chain of the evidence after a row, and the heads of all chains."""
    wanted = {"after": after, "limit": limit, **({"chain": chain} if chain else {})}
    return Call("GET", f"evidence?{urlencode(wanted)}", read=_document)


def export_evidence(agreement_id: str) -> Call[bytes]:
    """Return what is held of an agreement as a bundle for a third party, byte for byte."""
    path = f"{AGREEMENTS}/{segment(agreement_id)}/evidence"
    return Call("POST", path, read=bytes, timeout_s=PARTNER_TIMEOUT_S, raw=True)


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
    asked = urlencode(_given(said), doseq=True)
    return f"{path}?{asked}" if asked else path


def _given(said: Mapping[str, Any]) -> Document:
    return {name: value for name, value in said.items() if value}


def _party(counterparty_id: str) -> Document:
    return {"counterPartyId": counterparty_id, "counterPartyAddress": "", "protocol": PROTOCOL}


def segment(name: str) -> str:
    """Return a name as one segment of a path."""
    return quote(name, safe="")
