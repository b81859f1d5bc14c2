"""A contract negotiation as a value, the messages that it sends, and what an offer and an agreement must hold.

Source: Dataspace Protocol 2025-1, "Contract Negotiation Protocol", message types and HTTPS binding. It decides; the
control plane loads, saves and sends.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar

from msgspec import Struct

from comity import errors, strict_json
from comity.dsp import machine, messages, spelling, terms
from comity.dsp.process import Process
from comity.odrl import compare, model

Document = dict[str, Any]
MAX_OFFER_BYTES = 256 * 1024
TERMS = ("profile", "permission", "prohibition", "obligation")
HEAD = frozenset({"@context", "@id", "@type", "uid", "target", "assigner", "assignee", "timestamp"})
KNOWN = {*HEAD, *TERMS}
CACHED_BYTES = 8192


class Negotiation(Process, frozen=True, kw_only=True):
    """One negotiation as this side knows it; `offer` is the last offer on the table, made by `offered_by`.

    `approval_id` is what people here were asked last about it.
    """

    kind = terms.NEGOTIATION
    collection = "negotiations"
    endpoints: ClassVar[Mapping[str, str]] = {
        machine.REQUEST: "/request",
        machine.OFFER: "/offers",
        machine.ACCEPT: "/events",
        machine.FINALIZE: "/events",
        machine.AGREEMENT: "/agreement",
        machine.VERIFICATION: "/agreement/verification",
        machine.NEGOTIATION_TERMINATION: "/termination",
    }

    asset_id: str
    offer: Document
    offered_by: str
    agreement_id: str | None = None
    approval_id: str | None = None


class Agreement(Struct, frozen=True, kw_only=True):
    """An agreement as held here; `document` is verbatim the provider's, `message_sha256` its message's digest."""

    id: str
    negotiation_id: str
    role: str
    counterparty_id: str
    provider_id: str
    consumer_id: str
    asset_id: str
    document: Document
    message_sha256: str
    finalized: bool = False
    uses: int = 0
    created_at: int


def check_offer(offer: Document, *, path: str = "$.offer") -> None:
    """Refuse an offer without id or target, or one whose rules cannot be read.

    Raises:
        InvalidInputError: with the place below `path`.
    """
    _check_id(offer, "@id", path)
    _check_id(offer, "target", path)
    if len(strict_json.canonical(offer)) > MAX_OFFER_BYTES:
        raise errors.InvalidInputError(f"an offer may have {MAX_OFFER_BYTES} bytes at most", path=path)
    _check_policy(offer, path)


def _check_id(document: Document, name: str, path: str) -> None:
    value = document.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= 1024:  # noqa: PLR2004  as messages.Pid
        raise errors.InvalidInputError(
            f"{name} must be a string of 1 to 1024 characters", path=f"{path}.{name}"
        )


def _check_policy(document: Document, path: str) -> None:
    terms_alone = {
        name: value for name, value in document.items() if name not in {"@id", "target", "timestamp"}
    }
    try:
        canonical = strict_json.canonical(terms_alone)
        # a partner chooses how long they are: what is remembered must not fill the memory
        (_parse if len(canonical) <= CACHED_BYTES else _parse.__wrapped__)(canonical)
    except errors.InvalidInputError as error:
        raise errors.InvalidInputError(
            error.message, path=path + error.path.removeprefix("$"), hint=error.hint
        ) from None


@lru_cache(maxsize=1024)
def _parse(terms_alone: bytes) -> None:
    """Read terms once: a partner sends the same ones again and again."""
    model.parse(strict_json.decode_object(terms_alone))


def message_offer(policy: Document, *, offer_id: str, target: str) -> Document:
    """Return `policy` as an offer that may travel in a message: with id, type and target, all else verbatim."""
    offer = {"@id": offer_id, "@type": "Offer", **content(policy), "target": target}
    return spelling.within(offer, policy.get("@context"))


def content(policy: Document) -> Document:
    """Return what an offer says: terms, none of them empty, and what is not known here; no ids, parties, context."""
    said = {name: policy[name] for name in TERMS if policy.get(name)}
    return said | {name: value for name, value in policy.items() if name not in KNOWN and value is not None}


def agreement_document(
    offer: Document, *, agreement_id: str, provider_id: str, consumer_id: str, timestamp: str
) -> Document:
    """Return the agreement to `offer`: all that it says verbatim; only parties, type and time are added.

    Partners compare agreement and offer for equality, so nothing may be reformatted here.
    """
    agreement = {
        "@id": agreement_id,
        "@type": "Agreement",
        **content(offer),
        "target": offer["target"],
        "assigner": provider_id,
        "assignee": consumer_id,
        "timestamp": timestamp,
    }
    return spelling.within(agreement, offer.get("@context"))


def repeated(offer: Document, own: Document) -> Document:
    """Return an offer without what its maker added to the terms that are our own: we agree to nothing unread.

    What `own` says of itself is kept in the spelling of `offer`, since its maker compares.
    """
    ours = {_tail(name): _inner(value) for name, value in content(own).items()}
    return {
        name: value
        for name, value in offer.items()
        if name in KNOWN or (_tail(name) in ours and ours[_tail(name)] == _inner(value))
    }


def _tail(name: str) -> str:
    return re.split(r"[:/#]", name)[-1]


def _inner(value: Any) -> Any:
    value = value[0] if isinstance(value, list) and len(value) == 1 else value
    return value.get("@value", value) if isinstance(value, dict) else value


def check_agreement(agreement: Document, offer: Document, *, provider_id: str, consumer_id: str) -> None:
    """Refuse an agreement that is not the last offer on every field, between these two parties.

    Raises:
        InvalidInputError: the agreement cannot be read.
        RemoteProtocolError: names each field that differs.
    """
    path = "$.agreement"
    for name in ("@id", "target", "assigner", "assignee"):
        _check_id(agreement, name, path)
    _check_policy(agreement, path)
    kind = agreement.get("@type", "Agreement")
    if kind != "Agreement" and model.parse(agreement).type != "Agreement":
        raise errors.InvalidInputError(
            f"an agreement is needed here, not {str(kind)[:100]}", path=f"{path}.@type"
        )
    wanted = {"target": offer["target"], "assigner": provider_id, "assignee": consumer_id}
    wrong = [f"{name} must be {value}" for name, value in wanted.items() if agreement[name] != value]
    wrong += compare.sentences(offer, agreement, a_says="offered was", b_says="the agreement says")
    wrong += [f"$.{name} differs from the offer" for name in _added(agreement, offer)]
    wrong += [f"$.@context gives {name} another meaning" for name in _redefined(agreement, offer)]
    if wrong:
        raise errors.RemoteProtocolError(f"the agreement is not what was offered: {'; '.join(wrong)}")


def _added(agreement: Document, offer: Document) -> list[str]:
    """Return members of the agreement that may limit what is agreed and are not those of the offer."""
    if agreement.keys() <= KNOWN:
        return []
    offered, agreed = model.parse(offer).extra, model.parse(agreement)
    return [name[:100] for name in agreed.unknown if offered.get(name) != agreed.extra[name]]


def _redefined(agreement: Document, offer: Document) -> list[str]:
    """Return names of the terms that an inline context explains in one of the two only, or otherwise."""
    if "@context" not in agreement and "@context" not in offer:
        return []
    text = strict_json.canonical(content(agreement)).decode()
    agreed, offered = spelling.meanings(agreement, text), spelling.meanings(offer, text)
    return sorted(name[:100] for name in {*agreed, *offered} if agreed.get(name) != offered.get(name))


def request_message(negotiation: Negotiation, *, callback_address: str, message_id: str) -> messages.Message:
    """The consumer's request: initial while the provider's pid is unknown, else a counter-offer."""
    initial = negotiation.counterparty_pid is None
    context, offer = spelling.sent(negotiation.offer)
    return messages.ContractRequestMessage(
        context=context,
        id=message_id,
        consumer_pid=negotiation.id,
        provider_pid=negotiation.counterparty_pid,
        offer=offer,
        callback_address=callback_address if initial else None,
    )


def offer_message(negotiation: Negotiation, *, callback_address: str, message_id: str) -> messages.Message:
    """The provider's offer: initial while the consumer's pid is unknown."""
    initial = negotiation.counterparty_pid is None
    context, offer = spelling.sent(negotiation.offer)
    return messages.ContractOfferMessage(
        context=context,
        id=message_id,
        provider_pid=negotiation.id,
        consumer_pid=negotiation.counterparty_pid,
        offer=offer,
        callback_address=callback_address if initial else None,
    )


def agreement_message(negotiation: Negotiation, agreement: Document, *, message_id: str) -> messages.Message:
    """The provider's agreement."""
    context, sent = spelling.sent(agreement)
    return messages.ContractAgreementMessage(
        **negotiation.pids, context=context, id=message_id, agreement=sent
    )


def verification_message(negotiation: Negotiation, *, message_id: str) -> messages.Message:
    """The consumer's word that the agreement is what was offered."""
    return messages.ContractAgreementVerificationMessage(
        **negotiation.pids, context=messages.CONTEXT, id=message_id
    )


def event_message(negotiation: Negotiation, event: str, *, message_id: str) -> messages.Message:
    """ACCEPTED by the consumer, FINALIZED by the provider."""
    return messages.ContractNegotiationEventMessage(
        **negotiation.pids, context=messages.CONTEXT, id=message_id, event_type=event
    )


def termination_message(
    negotiation: Negotiation, reason: str, *, code: str | None, message_id: str
) -> messages.Message:
    """The end, with its reason in words."""
    return messages.ContractNegotiationTerminationMessage(
        **negotiation.pids, context=messages.CONTEXT, id=message_id, code=code, reason=[reason]
    )


def answer(negotiation: Negotiation, state: str) -> messages.ContractNegotiation:
    """The acknowledgement of a message that led, or had led, to `state`."""
    return messages.ContractNegotiation(**negotiation.pids, context=messages.CONTEXT, state=state)
