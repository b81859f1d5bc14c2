"""Checks a bundle with nothing but its bytes, in an order in which the first thing that does not hold is told exactly.

Form, parties, keys, checkpoints, records one by one, agreement and offer, framework agreements, terms; the exporter's
seal over every part comes last, for what nothing finer binds. What is proven is a value (`Proven`); `cli.bundle` says
it in words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from cryptography.x509 import Certificate
from msgspec import Struct

from comity import errors, strict_json
from comity.dsp.messages import ContractAgreementMessage, Message
from comity.dsp.receipt import Receipt
from comity.evidence import agreed as agreements
from comity.evidence import bundle as form
from comity.evidence import sealing, stamp
from comity.evidence.agreed import Agreement
from comity.evidence.bundle import BundleError, Where, take
from comity.evidence.exhibit import Exhibits, Said
from comity.evidence.heads import Head, Heads
from comity.evidence.holders import Holder, Keys, Pins
from comity.odrl import enforcement

Document = dict[str, Any]
_HASH_OF: Final = "#sha256:"
_SHOWN: Final = ("comity:rule", "comity:action")


class Proven(Struct, frozen=True, kw_only=True):
    """What a bundle that holds shows; `said` are its records, `keys` those whose signatures were met.

    `receipts` are those of data that were received or deleted, by the places of their records. Where no
    `authority_named` counted alone, a stamp is that of whoever the exporter says is one.
    """

    head: form.Head
    agreed: form.Agreed
    agreement: Agreement
    subjects: tuple[form.Subject, ...]
    keys: tuple[Holder, ...]
    heads: tuple[Head, ...]
    said: tuple[Said, ...]
    receipts: dict[int, Receipt]
    frameworks: tuple[form.Framework, ...]
    terms: tuple[Document, ...]
    sealed_by: str
    authority_named: bool


def prove(data: bytes, *, pins: Pins | None = None, trusted: Sequence[Certificate] = ()) -> Proven:
    """Check a bundle, and return what it proves.

    `pins` are keys that alone count for a participant, `trusted` certificates of stamp authorities that alone count.

    Raises:
        BundleError: names the first thing that does not hold, and its place.
    """
    bundle = form.read(data)
    head, agreed = _parties(bundle)
    frameworks = _frameworks(bundle, agreed)
    subjects = _subjects(bundle, agreed, frameworks)
    parties = frozenset({head.exporter, head.partner})
    keys = Keys(bundle.keys, parties, pins or {})
    heads = Heads(head.exporter, head.partner, keys, _stamped(_authorities(bundle), trusted))
    heads.check(bundle.checkpoints)
    exhibits = Exhibits(parties, keys, heads.heads, subjects)
    said = tuple(exhibits.check(raw, at) for at, raw in enumerate(bundle.records))
    messages, receipts = agreements.read(said, subjects), agreements.read_receipts(said)
    agreement = agreements.check(agreed, said, messages)
    _check_signings(frameworks, said, messages)
    terms = _terms(bundle, agreed)
    sealed_by = sealing.check(bundle, head.exporter, keys)
    return Proven(
        head=head,
        agreed=agreed,
        agreement=agreement,
        subjects=tuple(subjects.values()),
        keys=tuple(each for each in keys.holders if each.thumbprint in keys.used),
        heads=tuple(heads.heads.values()),
        said=said,
        receipts=receipts,
        frameworks=frameworks,
        terms=terms,
        sealed_by=sealed_by,
        authority_named=bool(trusted),
    )


def _parties(bundle: form.Bundle) -> tuple[form.Head, form.Agreed]:
    head = take(bundle.head, form.Head, Where("the head", "$.head"))
    agreed = take(bundle.agreement, form.Agreed, Where("the agreement", "$.agreement"))
    named = [agreed.document.get(name) for name in ("assigner", "assignee")]
    if sorted(map(str, named)) != sorted((head.exporter, head.partner)):
        raise BundleError(
            "the agreement is not between the exporter and the partner that the head names", "$.head"
        )
    if agreed.document.get("@id") != agreed.id:
        raise BundleError(f"the agreement's document has not the id {agreed.id}", "$.agreement")
    return head, agreed


def _subjects(
    bundle: form.Bundle, agreed: form.Agreed, frameworks: Sequence[form.Framework]
) -> dict[str, form.Subject]:
    found: dict[str, form.Subject] = {}
    named = {
        "negotiation": {agreed.negotiation_id, *(each.negotiation_id for each in frameworks)},
        "agreement": {agreed.id, *(each.agreement_id for each in frameworks)},
        "framework": {each.urn for each in frameworks},
    }
    for at, raw in enumerate(bundle.subjects):
        where = Where(f"subject {at + 1}", f"$.subjects[{at}]")
        subject = take(raw, form.Subject, where)
        if subject.id in found:
            raise where.error(" has the id of another one")
        if subject.kind == "transfer" and subject.agreement_id != agreed.id:
            raise where.error(" is a transfer under another agreement")
        if subject.kind in named and subject.id not in named[subject.kind]:
            raise where.error(f" is no {subject.kind} of the agreement or of what it stands under")
        found[subject.id] = subject
    negotiation = found.get(agreed.negotiation_id)
    if negotiation is None or negotiation.kind != "negotiation":
        raise BundleError("the negotiation of the agreement is not among the subjects", "$.subjects")
    return found


def _authorities(bundle: form.Bundle) -> list[Certificate]:
    found: list[Certificate] = []
    for at, raw in enumerate(bundle.authorities):
        where = Where(f"stamp authority {at + 1}", f"$.authorities[{at}]")
        try:
            listed = stamp.certificates(msgspec.json.decode(raw, type=str).encode())
            found += [each for each in listed if each.issuer and each.subject]  # read only when asked for
        except (errors.ComityError, msgspec.ValidationError, ValueError) as error:
            raise where.error(f" has no certificate: {error}") from None
    return found


def _stamped(listed: list[Certificate], trusted: Sequence[Certificate]) -> Any:
    """Return what checks a stamp: with the certificates of the bundle, or with those that alone count."""
    roots = list(trusted) or listed

    def stamped(response: bytes, note: str) -> tuple[int, str]:
        found = stamp.check(response, note, roots)
        return found.at, found.authority

    return stamped


def _frameworks(bundle: form.Bundle, agreed: form.Agreed) -> tuple[form.Framework, ...]:
    found = []
    named = strict_json.canonical(agreed.document).decode()
    for at, raw in enumerate(bundle.frameworks):
        where = Where(f"framework agreement {at + 1}", f"$.frameworks[{at}]")
        each = take(raw, form.Framework, where)
        if each.urn.partition(_HASH_OF)[2] != strict_json.digest(each.document).hex():
            raise where.error(": its document is not the one whose hash its name has", ".document")
        if f'"{each.urn}"' not in named:
            raise where.error(f" is not named by the agreement: {each.urn[:200]}", ".urn")
        found.append(each)
    return tuple(found)


def _check_signings(
    frameworks: Sequence[form.Framework], said: Sequence[Said], messages: Mapping[int, Message]
) -> None:
    """Check that each framework agreement was signed by the agreement that it names, where its message is held."""
    for at, each in enumerate(frameworks):
        for one in said:
            message = messages.get(one.place)
            if one.record.process_id != each.negotiation_id or not isinstance(
                message, ContractAgreementMessage
            ):
                continue
            signing = message.agreement
            if (signing.get("target"), signing.get("@id")) != (each.urn, each.agreement_id):
                where = Where(f"framework agreement {at + 1}", f"$.frameworks[{at}]")
                raise where.error(f" was not signed by the agreement in record {one.place + 1}")


def _terms(bundle: form.Bundle, agreed: form.Agreed) -> tuple[Document, ...]:
    told = tuple(msgspec.json.decode(raw) for raw in bundle.terms)
    try:
        own = enforcement.document(agreed.document)
    except errors.InvalidInputError as error:
        raise BundleError(
            f"the terms of the agreement cannot be read: {error.message}", "$.agreement"
        ) from None
    for at in range(max(len(told), len(own))):
        one, other = (listed[at] if at < len(listed) else {} for listed in (told, own))
        if not isinstance(one, dict) or any(one.get(name) != other.get(name) for name in _SHOWN):
            raise BundleError(f"term {at + 1} is not one of the agreement", f"$.terms[{at}]")
    return told
