"""What a bundle proves, as a document for programs and as sentences for people.

Each sentence says whose word it is: what both signed, what the partner alone did, what only the exporter says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from comity.cli import ids, output, words
from comity.dsp.machine import AGREEMENT, FINALIZE
from comity.dsp.receipt import DELETION, Receipt
from comity.dsp.terms import NEGOTIATION
from comity.evidence.bundle import Framework
from comity.evidence.entry import Reply, Request
from comity.evidence.exhibit import Said
from comity.evidence.heads import Vouched
from comity.evidence.proving import Proven
from comity.identity import http_signature

Document = dict[str, Any]


def document(proven: Proven) -> Document:
    """Return what is proven for programs."""
    head, agreed, agreement = proven.head, proven.agreed, proven.agreement
    return {
        "exporter": head.exporter,
        "partner": head.partner,
        "exportedAt": head.exported_at,
        "agreement": agreed.id,
        "providerId": agreed.document.get("assigner"),
        "consumerId": agreed.document.get("assignee"),
        "target": agreed.document.get("target"),
        "equalsLastOffer": not agreement.differences,
        "differences": agreement.differences,
        "agreementInRecord": _number(agreement.agreement_in),
        "offerInRecord": _number(agreement.offer_in),
        "finalized": agreed.finalized,
        "finalizedInRecord": next((each.place + 1 for each in _of_agreement(proven, FINALIZE)), None),
        "keys": [
            {
                "participantId": each.participant_id,
                "kid": each.kid,
                "thumbprint": each.thumbprint,
                "seenAt": each.seen_at,
                "pinned": each.pinned,
            }
            for each in proven.keys
        ],
        "records": [_record(proven, each) for each in proven.said],
        "cosignedRecords": len(_cosigned(proven)),
        "authorityNamed": proven.authority_named,
        "stampedAt": _stamped_at(proven, proven.said),
        "agreementStampedAt": _stamped_at(proven, _of_agreement(proven)),
        "receipts": [
            {"record": place + 1, "by": proven.said[place].record.sender, **each.document()}
            for place, each in proven.receipts.items()
        ],
        "frameworks": [
            {
                "urn": each.urn,
                "signedInRecord": next((one.place + 1 for one in _signing(proven, each)), None),
                "signaturesOfPeople": len(each.signatures),
            }
            for each in proven.frameworks
        ],
        "terms": list(proven.terms),
        "withoutSignatureOfPartner": [each.place + 1 for each in unsigned(proven)],
    }


def _record(proven: Proven, said: Said) -> Document:
    record = said.record
    return {
        "record": said.place + 1,
        "chain": said.chain,
        "row": said.seq,
        "at": record.at,
        "message": record.message,
        "sender": record.sender,
        "receiver": record.receiver,
        "processId": record.process_id,
        "outcome": record.outcome,
        "by": record.by,
        "signedBy": said.request_by,
        "signedAt": _signed_at(record.request) if said.request_by else None,
        "answerSignedBy": said.reply_by,
        "answerSignedAt": _signed_at(record.reply) if said.reply_by else None,
        "tokenBy": said.token_by,
        "tokenNamesMessage": said.token_bound,
        "messageHeld": said.body is not None,
        "withheld": dict(said.withheld),
        "stampedAt": _stamped_at(proven, [said]),
    }


def _signed_at(side: Request | Reply | None) -> int | None:
    """Return when a signature was made, by the clock and the word of who made it (ms)."""
    return http_signature.parse(side.signature_input, side.signature).created * 1000 if side else None


def _number(place: int | None) -> int | None:
    return None if place is None else place + 1


def unsigned(proven: Proven) -> list[Said]:
    """Return the records that hold nothing that the partner signed."""
    return [
        each
        for each in proven.said
        if proven.head.partner in {each.record.sender, each.record.receiver}
        and not each.signed_by(proven.head.partner)
    ]


def _vouched(proven: Proven, said: Said, kind: str) -> list[Vouched]:
    return [
        vouched
        for head in proven.heads
        if head.chain == said.chain
        for vouched in getattr(head, kind)
        if vouched.size >= said.seq
    ]


def _cosigned(proven: Proven) -> list[Said]:
    return [each for each in proven.said if _vouched(proven, each, "cosigned")]


def _stamped_at(proven: Proven, said: Sequence[Said]) -> int | None:
    """Return when all of these records were there by the word of an authority, None if one of them has no stamp."""
    moments = [min((each.at for each in _vouched(proven, one, "stamped")), default=None) for one in said]
    found = [each for each in moments if each is not None]
    return max(found) if found and len(found) == len(moments) else None


def _of_agreement(proven: Proven, message: str = AGREEMENT, negotiation_id: str = "") -> list[Said]:
    """Return the record of a message of a negotiation: that of the bundle's agreement, or of a framework's."""
    wanted = (NEGOTIATION, negotiation_id or proven.agreed.negotiation_id, message)
    return [
        each
        for each in proven.said
        if (each.record.kind, each.record.process_id, each.record.message) == wanted and each.happened
    ][:1]


def show(proven: Proven, signatories: Sequence[Document] | None = None) -> None:
    """Print what is proven; `signatories` says what people's signatures are worth, None if nobody looked at them."""
    agreed = proven.agreed
    output.line(
        f"the bundle holds: {words.count(len(proven.said), 'record')}, every proof and signature in it"
    )
    output.pairs(
        [
            ("agreement", agreed.id),
            ("provider", agreed.document.get("assigner")),
            ("consumer", agreed.document.get("assignee")),
            ("asset", agreed.document.get("target")),
            ("terms", words.terms(agreed.document)),
            ("exported by", f"{proven.head.exporter}, {words.moment(proven.head.exported_at)}"),
        ]
    )
    output.line("")
    output.table(
        ("Row", "Time", "From", "About", "Message", "Signed by"),
        [
            (
                str(each.place + 1),
                words.moment(each.record.at),
                _side(proven, each.record.sender),
                _about(proven, each),
                _called(each),
                _signers(proven, each),
            )
            for each in proven.said
        ],
    )
    output.line("")
    sentences = (*_proven(proven), *_people(proven, signatories), *_claimed(proven), "", *_terms(proven), "")
    for sentence in sentences:
        output.line(output.clean(sentence))
    _show_keys(proven)


def _show_keys(proven: Proven) -> None:
    """Print whose keys signed, and what the reader has to compare."""
    for each in proven.keys:
        compared = "the one that you named" if each.pinned else "not compared with anything yet"
        output.line(output.clean(f"key of the {_side(proven, each.participant_id)}  {each.kid}"))
        output.line(f"  thumbprint {each.thumbprint}, {compared}")
    if not all(each.pinned for each in proven.keys):
        output.note(
            "a bundle cannot prove whose key is whose: compare the thumbprints with what their owners tell you,"
            " and give them with --key DID=THUMBPRINT"
        )
    if not proven.authority_named and any(each.stamped for each in proven.heads):
        output.note(
            "nor whose the certificates of a time stamp authority are: get them from it,"
            " and name them with --authority FILE"
        )


def _side(proven: Proven, participant_id: str) -> str:
    return "partner" if participant_id == proven.head.partner else "exporter"


def _about(proven: Proven, said: Said) -> str:
    """Return what a message is about: a framework agreement with its signing, the agreement, or a transfer."""
    subject = next((each for each in proven.subjects if each.id == said.record.process_id), None)
    if subject is None:
        return said.record.kind
    if subject.id in {
        name for each in proven.frameworks for name in (each.urn, each.negotiation_id, each.agreement_id)
    }:
        return "framework"
    return "transfer" if subject.kind == "transfer" else "agreement"


def _called(said: Said) -> str:
    """Return the name of a message, with its event, and with its outcome where that is not that it was taken."""
    event = said.record.message.partition(":")[2] if not said.record.message.startswith("comity:") else ""
    outcome = "" if said.happened else f"({said.record.outcome})"
    return " ".join(filter(None, (words.message(said.record.message), event, outcome)))


def _signers(proven: Proven, said: Said) -> str:
    """Return who signed the content of a message, or of its answer, which names it."""
    signed = [
        _side(proven, each) for each in (proven.head.exporter, proven.head.partner) if said.signed_by(each)
    ]
    return "both" if len(signed) > 1 else "".join(signed) or "nobody"


def _signed(proven: Proven, said: Said, what: str) -> str:
    """Say what a record shows: what the partner did not sign, the exporter can have made alone."""
    by = "proven" if said.signed_by(proven.head.partner) else "the exporter's word"
    return f"{by}: record {said.place + 1} {what}, signed by {_signers(proven, said)}"


def _agreed(proven: Proven) -> Iterator[str]:
    agreement = proven.agreement
    if agreement.differences:
        yield f"NOT equal: {agreement.differences}"
    elif agreement.offer_in is not None and agreement.agreement_in is not None:
        yield f"proven: the agreement is the offer of record {agreement.offer_in + 1} on every field"
    for place, what in ((agreement.agreement_in, "agreement"), (agreement.offer_in, "offer")):
        if place is not None:
            yield _signed(proven, proven.said[place], f"has the {what} word for word")
    for one in _of_agreement(proven, FINALIZE):
        yield _signed(proven, one, "says that it is in force (FINALIZED)")
    if not proven.agreed.finalized:
        yield "NOT in force: the agreement was not finalized when this was exported"


def _proven(proven: Proven) -> Iterator[str]:
    yield from _agreed(proven)
    cosigned, total = len(_cosigned(proven)), len(proven.said)
    if cosigned:
        yield f"proven: the partner cosigned checkpoints of the exporter's log with {cosigned:,} of {total:,} records"
    for said, what in ((_of_agreement(proven), "the agreement was"), (proven.said, "all records were")):
        at = _stamped_at(proven, said)
        if at is not None:
            by = "proven" if proven.authority_named else "by certificates that the exporter put into it"
            yield f"{by}: {what} there at {words.moment(at)}, by the word of {_authorities(proven)}"
    for place, receipt in proven.receipts.items():
        yield _receipt(proven, proven.said[place], receipt)
    yield from _frameworks(proven)


def _frameworks(proven: Proven) -> Iterator[str]:
    for each in proven.frameworks:
        by = "proven" if proven.agreement.agreement_in is not None else "the exporter's word"
        title = str(each.document.get("title", ""))
        yield f"{by}: the agreement stands under the framework agreement '{title}', {each.urn}"
        for said in _signing(proven, each):
            yield _signed(proven, said, "has the signing of it")


def _people(proven: Proven, signatories: Sequence[Document] | None) -> Iterator[str]:
    """Say which people signed the framework agreements, or that nobody has looked."""
    for each in signatories or ():
        when = f", {each['signedAt']} by the signer's clock" if each["signedAt"] else ""
        who, what = each["signer"] or "somebody", f"{ids.short(each['urn'])} for {each['party']}{when}"
        if each["valid"]:
            yield f"proven: {who} signed {what} ({each['detail']})"
        else:
            yield f"NOT proven: that {who} signed {what}: {each['detail']}"
    held = sum(len(each.signatures) for each in proven.frameworks)
    if signatories is not None and not signatories:
        yield "not there: no signature of a person over a framework agreement"
    if held and signatories is None:
        yield f"not looked at: {words.count(held, 'signature')} of people; --signatories FILE names whom to trust"


def _signing(proven: Proven, framework: Framework) -> list[Said]:
    found = _of_agreement(proven, negotiation_id=framework.negotiation_id) if framework.negotiation_id else []
    return [each for each in found if each.body is not None]


def _receipt(proven: Proven, said: Said, receipt: Receipt) -> str:
    """Say what was received or deleted, and whose word that is."""
    sender = _side(proven, said.record.sender)
    by = "proven: " if said.signed_by(said.record.sender) else "the exporter's word: "
    did = "deleted" if receipt.type == DELETION else "received whole"
    how = (
        f", by hand, as {receipt.by} says"
        if receipt.by_hand
        else f", ordered by {receipt.by}"
        if receipt.by
        else ""
    )
    what = f"{words.count(receipt.files, 'file')}, {words.size(receipt.size_bytes)}, SHA-256 {receipt.sha256}"
    return f"{by}in record {said.place + 1} the {sender} says it {did} {what}, {receipt.time}{how}"


def _authorities(proven: Proven) -> str:
    return ", ".join(sorted({each.by for head in proven.heads for each in head.stamped}))


def _claimed(proven: Proven) -> Iterator[str]:
    agreement = proven.agreement
    texts = (("agreement", agreement.agreement_in), ("last offer", agreement.offer_in))
    for what in (what for what, place in texts if place is None):
        yield f"the exporter's word: the text of the {what}, whose message is not in the bundle"
    if proven.agreed.finalized and not _of_agreement(proven, FINALIZE):
        yield "the exporter's word: the agreement is in force (FINALIZED)"
    for said in proven.said:
        if said.record.by:
            yield f"the exporter's word: {said.record.by}: {said.record.outcome}, in record {said.place + 1}"
    bare = unsigned(proven)
    if bare:
        yield f"the exporter's word: the partner signed nothing in {_places(bare)}"
    left_out = [each for each in proven.said if "body" in each.withheld]
    if left_out:
        reasons = ", ".join(sorted({each.withheld["body"] for each in left_out}))
        yield f"left out: the message of {_places(left_out)} ({reasons}); its digest is there"
    tokens = [each for each in proven.said if "token" in each.withheld]
    if tokens:
        yield f"left out: the token of {_places(tokens)} ({tokens[-1].withheld['token']})"
    if not _cosigned(proven):
        yield "not there: the partner cosigned no checkpoint of the exporter's log"
    if _stamped_at(proven, proven.said) is None:
        yield "not there: no authority's time stamp covers all records; times are those of the exporter's clock"
    yield "the exporter's word: that nothing else was said, the states of processes, when a key was seen first"


def _terms(proven: Proven) -> Iterator[str]:
    """Yield the terms of each class of enforcement, as the exporter says."""
    by_class: dict[str, list[str]] = {}
    for each in proven.terms:
        kind = {"prohibition": "never ", "obligation": "must "}.get(str(each.get("comity:rule")), "")
        said, action = str(each.get("comity:term")), str(each.get("comity:action"))
        said = f"{action}: {said}" if kind and said != action else said
        by_class.setdefault(str(each.get("comity:enforced")), []).append(kind + said)
    yield "terms, and who sees to each by the exporter's word:" if by_class else "terms: none"
    for name, listed in by_class.items():
        yield ids.within(f"  {name}: {'; '.join(listed)}")


def _places(said: Sequence[Said]) -> str:
    """Return the numbers of records, those that follow each other as `4-9`."""
    found: list[list[int]] = []
    for each in said:
        if found and each.place == found[-1][-1]:
            found[-1][-1] += 1
        else:
            found.append([each.place + 1, each.place + 1])
    listed = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in found)
    return f"record {listed}" if len(said) == 1 else f"records {listed}"
