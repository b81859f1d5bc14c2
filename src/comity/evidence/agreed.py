"""What the messages of a bundle say, compared with what the exporter says of them.

A record names its message; here the message itself is read: that it is of that kind, about these processes, and that
the agreement and the offer beside the records are those of the messages. Whether the agreement is the last offer on
every field is decided as at the moment of agreeing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from comity import errors, strict_json
from comity.dsp import codec, machine, messages, negotiation, notice, terms
from comity.dsp import receipt as receipts
from comity.dsp.receipt import Receipt
from comity.evidence.bundle import Agreed, BundleError, Subject, Where
from comity.evidence.exhibit import Said, named

Document = dict[str, Any]
_TYPES: Final = tuple(
    getattr(messages, name)
    for name in sorted({key.partition(":")[0] for table in machine.TABLES.values() for _, key, _ in table})
)
RECEIPTS: Final = frozenset({receipts.DELIVERY, receipts.DELETION})
_OPENINGS: Final = (messages.ContractRequestMessage, messages.ContractOfferMessage)


class Agreement(Struct, frozen=True, kw_only=True, rename="camel"):
    """How well the agreement is proven: which records brought it and the last offer, and whether the two are equal.

    A place is None where the bundle does not hold the message; then the text is the exporter's word only.
    `differences` is empty if the agreement is the last offer on every field.
    """

    agreement_in: int | None
    offer_in: int | None
    differences: str = ""


def read(said: Sequence[Said], subjects: Mapping[str, Subject]) -> dict[int, messages.Message]:
    """Return the protocol's messages that the records hold, by their places.

    Raises:
        BundleError: a message is not the one that its record names, or is about something else.
    """
    found: dict[int, messages.Message] = {}
    for each in said:
        if each.record.kind in machine.TABLES and each.happened and each.body:
            found[each.place] = _read(each, subjects[each.record.process_id])
    return found


def _read(said: Said, subject: Subject) -> messages.Message:
    where = _place(said, "message")
    try:
        message: messages.Message = codec.decode(said.body or b"", *_TYPES)[0]
    except errors.InvalidInputError as error:
        raise where.error(f" cannot be read: {error.message}") from None
    if messages.event_key(message) != said.record.message:
        raise where.error(f" is a {messages.event_key(message)[:200]}")
    pids = {str(getattr(message, name, None) or "") for name in ("consumer_pid", "provider_pid")} - {""}
    others = pids - {said.record.process_id, subject.counterparty_pid}
    named_both = len(pids) == 2  # noqa: PLR2004  then ours is one of them, also where the partner's is not told
    if others and (subject.counterparty_pid or (named_both and said.record.process_id not in pids)):
        raise where.error(f" is of another process, {min(others)[:200]}")
    if isinstance(message, messages.TransferRequestMessage) and message.agreement_id != subject.agreement_id:
        raise where.error(f" is about another agreement, {message.agreement_id[:200]}")
    return message


def read_receipts(said: Sequence[Said]) -> dict[int, Receipt]:
    """Return what was received and deleted by the notices that the records hold, by their places.

    Raises:
        BundleError: a notice is not the one that its record names, or is about something else.
    """
    found: dict[int, Receipt] = {}
    for each in said:
        if each.record.kind == notice.KIND and each.happened and each.body:
            found |= _receipt(each, each.body)
    return found


def _receipt(said: Said, body: bytes) -> dict[int, Receipt]:
    where = _place(said, "notice")
    try:
        document = notice.decode(body)
        receipt = receipts.read(document)[0] if document["@type"] in RECEIPTS else None
    except errors.InvalidInputError as error:
        raise where.error(f" cannot be read: {error.message}") from None
    if document["@type"] != said.record.message:
        raise where.error(f" is a {document['@type'][:200]}")
    if receipt is None:
        return {}
    if receipt.agreement_id != said.record.process_id:
        raise where.error(f" is about another agreement, {receipt.agreement_id[:200]}")
    return {said.place: receipt}


def _place(said: Said, what: str) -> Where:
    return Where(
        f"record {said.place + 1} ({named(said.record)}): its {what}", f"$.records[{said.place}].body"
    )


def check(agreed: Agreed, said: Sequence[Said], found: Mapping[int, messages.Message]) -> Agreement:
    """Compare the agreement, and the last offer, with the messages that brought them.

    Raises:
        BundleError: they are not the same.
    """
    ours = [
        each
        for each in said
        if (each.record.kind, each.record.process_id) == (terms.NEGOTIATION, agreed.negotiation_id)
        and each.happened
    ]
    brought = [each for each in ours if each.record.message == machine.AGREEMENT]
    if not brought:
        raise BundleError("no record of the bundle is about the message with the agreement", "$.records")
    if brought[0].record.sender != agreed.document.get("assigner"):
        raise BundleError(
            f"the agreement in record {brought[0].place + 1} is not the provider's", "$.agreement"
        )
    message = found.get(brought[0].place)
    if isinstance(message, messages.ContractAgreementMessage):
        _compare(message.agreement, agreed.document, brought[0], "$.agreement.document", "agreement")
    # a message of ours has the time of its acknowledgement, which may come after the partner's next message
    openings = [each for each in ours if isinstance(found.get(each.place), _OPENINGS)]
    same = [each for each in openings if _alone(_offer(found, each)) == _alone(agreed.offer)]
    if openings and not same:
        _compare(_offer(found, openings[-1]), agreed.offer, openings[-1], "$.agreement.offer", "last offer")
    return Agreement(
        agreement_in=brought[0].place if message else None,
        offer_in=same[-1].place if same else None,
        differences=_differences(agreed),
    )


def _offer(found: Mapping[int, Any], said: Said) -> Document:
    offer: Document = found[said.place].offer
    return offer


def _compare(said: Document, kept: Document, by: Said, path: str, what: str) -> None:
    if _alone(said) != _alone(kept):
        raise BundleError(f"the {what} is not the one in record {by.place + 1} ({named(by.record)})", path)


def _alone(policy: Document) -> bytes:
    """Return a policy without its context, of which a message may hold a part."""
    return strict_json.canonical({name: value for name, value in policy.items() if name != "@context"})


def _differences(agreed: Agreed) -> str:
    document = agreed.document
    try:
        negotiation.check_agreement(
            document,
            agreed.offer,
            provider_id=str(document.get("assigner")),
            consumer_id=str(document.get("assignee")),
        )
    except errors.ComityError as error:
        return error.message
    except KeyError as error:
        return f"the offer has no {error}"
    return ""
