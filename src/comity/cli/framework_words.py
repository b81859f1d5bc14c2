"""A framework agreement as people read it: what it says, who has signed, what was delivered.

What parties wrote is shown as `output` shows everything from outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comity.cli import ids, output, people, words

Document = dict[str, Any]


def table(found: list[Document]) -> None:
    """Print a line for each."""
    output.table(
        ("ID", "Title", "Version", "Until", "Signed", "In force"),
        [
            (
                ids.short(str(each["@id"])).removeprefix("framework:"),
                str(each.get("title")),
                str(each["document"]["version"]),
                str(each["document"]["validity"]["until"]),
                str(each.get("state")),
                "replaced" if each.get("replacedBy") else in_force(each),
            )
            for each in found
        ],
    )


def named(found: Document, names: Mapping[str, str]) -> Document:
    """Return a framework agreement with what we call those parties that its document gives no name."""
    parties = [
        {**each, "name": each.get("name") or names.get(str(each.get("participantId")))}
        for each in found.get("parties") or []
    ]
    return {**found, "parties": parties}


def in_force(found: Document) -> str:
    """Return with whom it is in force; if with nobody, why not."""
    parties = found.get("parties") or []
    signed = [each for each in parties if each.get("agreedAt") and not each.get("own")]
    holding = [each for each in signed if each.get("inForce")]
    if signed and not holding:
        return f"no: {_why(signed[0], parties)}"
    if len(holding) == len(signed):
        return "yes" if signed else "no"
    lacking = [_name(each) for each in signed if not each.get("inForce")]
    return f"with {', '.join(map(_name, holding))}; not with {', '.join(lacking)}"


def _why(party: Document, parties: list[Document]) -> str:
    """Return why it is not in force with a party, with the names of parties in the place of their ids."""
    return _called(str(party.get("notInForce")).rpartition(" is not in force: ")[2], parties)


def _called(text: str, parties: list[Document]) -> str:
    return people.named({str(each.get("participantId")): _name(each) for each in parties}, text)


def document(said: Document, urn: str, *, us: str) -> None:
    """Print what a document says."""
    rows: list[tuple[str, object]] = [
        ("framework agreement", said["title"]),
        ("urn", urn),
        ("version", f"{said['version']}{', replaces ' + said['replaces'] if said.get('replaces') else ''}"),
        ("under", said.get("parent") or ""),
    ]
    rows += [("party", _party(each, us)) for each in said["parties"]]
    rows += [
        ("valid", f"from {said['validity']['from']} until {said['validity']['until']}"),
        ("purpose", ", ".join(said.get("purpose") or [])),
        ("programmes", ", ".join(said.get("programmes") or [])),
        ("territory", ", ".join(said.get("territory") or [])),
        ("release rules", words.terms(said["releaseRules"], us=us) if said.get("releaseRules") else ""),
        ("open to", ", ".join((said.get("accession") or {}).get("openTo") or [])),
    ]
    names = {each["participantId"]: each["name"] for each in said["parties"]}
    rows += [("need", _promise(each, names)) for each in said.get("needs") or []]
    rows += [("commitment", _promise(each, names)) for each in said.get("commitments") or []]
    rows += [
        ("text", f"{each['language']}: {each['file']}, SHA-256 {each['sha256']}")
        for each in said["languageVersions"]
    ]
    output.pairs(rows)


def _party(party: Document, us: str) -> str:
    people = ", ".join(
        f"{each['name']}{', ' + each['role'] if each.get('role') else ''}"
        for each in party.get("signatories") or []
    )
    you = " (you)" if party["participantId"] == us else ""
    return f"{party['name']}{you}, {party['participantId']}, as {party['signingRole']}" + (
        f"; signs: {people}" if people else ""
    )


def _promise(promise: Document, names: Mapping[str, str]) -> str:
    return (
        f"{promise['id']}: {promise['quantity']} {promise['unit']} of {promise['what']}"
        f" by {promise['by']}, {names.get(promise['party'], promise['party'])}"
    )


def standing(found: Document) -> None:
    """Print who has signed, whether it is in force, and what was delivered."""
    rows: list[tuple[str, object]] = [
        ("signed", _signed(found)),
        ("replaced by", found.get("replacedBy") or ""),
    ]
    parties = found.get("parties") or []
    rows += [(_name(each), _stands(each, parties)) for each in parties]
    rows += [
        (
            f"commitment {each['id']}",
            f"{each['quantity']} {each['unit']}, delivered {each['delivered']}, of that confirmed {each['confirmed']}",
        )
        for each in found.get("commitments") or []
    ]
    rows += [("delivery", _delivery(each)) for each in found.get("deliveries") or []]
    rows += [("signatory", signature(each)) for each in found.get("signatures") or []]
    output.pairs(rows)


def _delivery(each: Document) -> str:
    confirmed = "confirmed" if each["confirmedBy"] else "not confirmed yet"
    evidence = f": {each['evidence']}" if each["evidence"] else ""
    return f"{each['id']}: {each['quantity']} of {each['commitmentId']}, {confirmed}{evidence}"


def _signed(found: Document) -> str:
    return {
        "signed": "by both sides: both signatures are held",
        "agreed": "agreed, but the partner's signature is not held",
        "open": "not by both sides yet",
    }.get(str(found.get("state")), "")


def _name(party: Document) -> str:
    return "you" if party.get("own") else str(party.get("name") or party.get("participantId"))


def _stands(party: Document, parties: list[Document]) -> str:
    if not party.get("agreedAt"):
        return "have not signed" if party.get("own") else "has not signed"
    stands = f"signed {words.moment(party['agreedAt'])}"
    if party.get("detail"):
        stands = f"{_called(party['detail'], parties)}, {words.moment(party['agreedAt'])}"
    if party.get("own"):
        state = str(party.get("state")).lower()
        return stands if state == "agreed" else f"{stands}; {state}: {party.get('reason')}"
    return stands + ("; in force" if party.get("inForce") else f"; not in force: {_why(party, parties)}")


def signature(verdict: Document) -> str:
    """Return what a signatory's own signature is worth, as a sentence."""
    who = verdict.get("signer") or "somebody"
    when = f", {verdict['signedAt']}" if verdict.get("signedAt") else ""
    holds = "valid" if verdict.get("valid") else "NOT valid"
    return f"{who}{when}: {holds}, {verdict.get('detail')}"
