"""Agreements of both management APIs brought into one form, so that they can be compared field by field.

EDC writes ODRL with prefixes and `@id` objects (`{"odrl:action": {"@id": "odrl:use"}}`) and one value where a list may
stand; ours are written as DSP 2025-1 writes them. Only spelling is evened out here, no value is.
"""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]
ODRL = ("odrl:", "http://www.w3.org/ns/odrl/2/")
EDC = ("edc:", "https://w3id.org/edc/v0.0.1/ns/")
RULES = ("permission", "prohibition", "obligation")
MANY = {*RULES, "constraint", "duty", "and", "or", "xone", "andSequence"}


def bare(name: str) -> str:
    """Return a term without the prefix or namespace of ODRL or EDC."""
    for prefix in (*ODRL, *EDC):
        if name.startswith(prefix):
            return name[len(prefix) :]
    return name


def plain(value: Any, name: str = "") -> Any:
    """Return a rule or a part of one as DSP would write it; empty lists are left out."""
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, str):
        return bare(value)
    if not isinstance(value, dict):
        return value
    if value.keys() == {"@id"}:
        return bare(value["@id"])
    if value.keys() <= {"@value", "@type"} and "@value" in value:
        return value["@value"]
    found = {bare(each): plain(member, bare(each)) for each, member in value.items()}
    return {
        each: [member] if each in MANY and not isinstance(member, list) else member
        for each, member in found.items()
        if member != []
    }


def of_agreement(document: Document) -> Document:
    """Return an agreement of either management API: id, parties, target, terms, time of signing in seconds.

    Since 0.15 EDC gives its record an id of its own (`@id`); the one that both sides share is `agreementId`.
    """
    policy = plain({name: value for name, value in document["policy"].items() if name != "@context"})
    return {
        "id": document.get("agreementId") or document["@id"],
        "providerId": document["providerId"],
        "consumerId": document["consumerId"],
        "assetId": document["assetId"],
        "contractSigningDate": document["contractSigningDate"],
        "policy.assigner": policy.get("assigner"),
        "policy.assignee": policy.get("assignee"),
        "policy.target": policy.get("target"),
        **{f"policy.{name}": policy.get(name) for name in RULES},
    }


def differences(ours: Document, theirs: Document) -> list[str]:
    """Return, for each field that differs, both values."""
    one, other = of_agreement(ours), of_agreement(theirs)
    return [f"{name}: {one[name]!r} here, {other[name]!r} at EDC" for name in one if one[name] != other[name]]
