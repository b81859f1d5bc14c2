"""The requests of those who keep a connector, described as in `calls`: each is one `Call`.

API keys, framework agreements, checkpoints, events, the identity with its keys, and evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from comity.client import records
from comity.client.calls import AGREEMENTS, PARTNER_TIMEOUT_S, given, segment
from comity.client.steps import Call, Document

# API keys


def api_keys() -> Call[list[Document]]:
    """Return every API key but that of the data folder."""
    return Call("GET", "apikeys", read=records.documents)


def add_api_key(name: str, role: str, *, expires_at: int | None = None) -> Call[Document]:
    """Make an API key (viewer, operator, admin), for good or until `expires_at` (ms); `key` is in the answer."""
    return Call(
        "POST", "apikeys", {"name": name, "role": role, "expiresAt": expires_at}, read=records.document
    )


def remove_api_key(name: str) -> Call[None]:
    """Remove an API key."""
    return Call("DELETE", f"apikeys/{segment(name)}", read=records.nothing)


# Framework agreements


def frameworks() -> Call[list[Document]]:
    """Return all framework agreements."""
    return Call("GET", "frameworks", read=records.documents)


def framework(urn: str) -> Call[Document]:
    """Return a framework agreement."""
    return Call("GET", f"frameworks/{segment(urn)}", read=records.document)


def propose_framework(document: Document, folder: str, *, timeout_s: float) -> Call[Document]:
    """Propose a framework agreement, whose texts are in a folder, to its parties."""
    body = {"document": document, "folder": folder}
    return Call("POST", "frameworks", body, read=records.document, timeout_s=timeout_s)


def offered_framework(counterparty_id: str, urn: str) -> Call[Document]:
    """Return a framework agreement that a partner offers."""
    body = {"counterPartyId": counterparty_id, "frameworkAgreement": urn}
    return Call("POST", "frameworks/offered", body, read=records.document, timeout_s=PARTNER_TIMEOUT_S)


def sign_framework(counterparty_id: str, urn: str, *, accede: bool) -> Call[Document]:
    """Ask a partner for the agreement that signs its framework agreement, and return the negotiation's id."""
    body = {"counterPartyId": counterparty_id, "frameworkAgreement": urn, "accede": accede}
    return Call("POST", "frameworks/sign", body, read=records.document, timeout_s=PARTNER_TIMEOUT_S)


def deliver(urn: str, commitment: str, quantity: str, evidence: str) -> Call[Document]:
    """Report what was delivered of a commitment of ours, and return the delivery's id."""
    body = {"frameworkAgreement": urn, "commitment": commitment, "quantity": quantity, "evidence": evidence}
    return Call("POST", "frameworks/deliveries", body, read=records.document)


def change_framework(
    urn: str, change: str, *, reason: str = "", delivery: str = "", content: str = ""
) -> Call[Any]:
    """Do something to a framework agreement: suspend and end (`reason`), resume, confirm a `delivery`, signatures."""
    said = given({"reason": reason, "delivery": delivery, "content": content})
    return Call("POST", f"frameworks/{segment(urn)}/{change}", said, read=records.whole)


# Checkpoints


def checkpoints(*, make: bool = False) -> Call[Document]:
    """Return our checkpoints, those of partners, and what was found out; `make` one of what is new before."""
    return Call("POST" if make else "GET", "evidence/checkpoints", read=records.document)


def compare_checkpoint(note: str) -> Call[Document]:
    """Compare a partner's checkpoint that somebody else was shown with those that we saw."""
    return Call("POST", "evidence/compare", {"checkpoint": note}, read=records.document)


def acknowledge_finding(name: str) -> Call[None]:
    """Note that somebody has looked at a finding about a log."""
    return Call("POST", f"evidence/{segment(name)}/acknowledge", read=records.nothing)


# Events


def events(*, after: int, limit: int, process_id: str = "", types: Sequence[str] = ()) -> Call[Document]:
    """Return events after a place, the oldest first, with what to ask for next; `watch` follows them."""
    wanted = {"after": after, "limit": limit, "processId": process_id, "types": ",".join(types)}
    asked = urlencode({name: value for name, value in wanted.items() if value != ""})
    return Call("GET", f"events?{asked}", read=records.document)


# Identity


def identity() -> Call[Document]:
    """Return who the connector is, and every key that proves or proved it."""
    return Call("GET", "identity", read=records.document)


def rotate_key(*, lead_s: int, grace_s: int) -> Call[Document]:
    """Have a new signing key published; it signs after `lead_s`, the old one stays `grace_s` longer."""
    return Call(
        "POST", "identity/rotate", {"leadSeconds": lead_s, "graceSeconds": grace_s}, read=records.document
    )


def retire_key(kid: str) -> Call[None]:
    """Take a key out of the DID document at once."""
    return Call("DELETE", f"identity/{segment(kid)}", read=records.nothing)


# Evidence


def evidence(*, after: int, limit: int, chain: int = 0) -> Call[Document]:
    """Return the records of a chain of the evidence after a row, and the heads of all chains."""
    wanted = {"after": after, "limit": limit, **({"chain": chain} if chain else {})}
    return Call("GET", f"evidence?{urlencode(wanted)}", read=records.document)


def export_evidence(agreement_id: str) -> Call[bytes]:
    """Return what is held of an agreement as a bundle for a third party, byte for byte."""
    path = f"{AGREEMENTS}/{segment(agreement_id)}/evidence"
    return Call("POST", path, read=bytes, timeout_s=PARTNER_TIMEOUT_S, raw=True)
