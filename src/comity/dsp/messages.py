"""The protocol's messages as values, field by field as the JSON schemas of 2025-1 have them.

`encode` writes what the schemas ask; unknown properties of what comes in are not lost, they stay in the document that
`codec.decode` returns beside the value. Policies stay documents (dict): they are copied verbatim, never rebuilt.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, field

from comity.dsp import terms

Pid = Annotated[str, Meta(min_length=1, max_length=1024)]
Url = Annotated[str, Meta(min_length=1, max_length=2048)]
Document = dict[str, Any]


class Message(
    Struct, kw_only=True, frozen=True, rename="camel", tag_field="@type", tag=True, omit_defaults=True
):
    """What every message has: its context, and an id that stays the same over retries (not in the schemas)."""

    context: Any = field(name="@context")
    id: Pid | None = field(default=None, name="@id")


class ContractRequestMessage(Message, kw_only=True, frozen=True):
    """Consumer: an initial request carries `callback_address`, a counter-offer `provider_pid`."""

    consumer_pid: Pid
    provider_pid: Pid | None = None
    offer: Document
    callback_address: Url | None = None


class ContractOfferMessage(Message, kw_only=True, frozen=True):
    """Provider: an initial offer carries `callback_address`, a later one `consumer_pid`."""

    provider_pid: Pid
    consumer_pid: Pid | None = None
    offer: Document
    callback_address: Url | None = None


class ContractAgreementMessage(Message, kw_only=True, frozen=True):
    """Provider: the agreement, equal to the last offer on every field."""

    provider_pid: Pid
    consumer_pid: Pid
    agreement: Document


class ContractAgreementVerificationMessage(Message, kw_only=True, frozen=True):
    """Consumer: the agreement is what was offered."""

    provider_pid: Pid
    consumer_pid: Pid


class ContractNegotiationEventMessage(Message, kw_only=True, frozen=True):
    """Consumer: ACCEPTED; provider: FINALIZED."""

    provider_pid: Pid
    consumer_pid: Pid
    event_type: Annotated[str, Meta(max_length=256)]


class ContractNegotiationTerminationMessage(Message, kw_only=True, frozen=True):
    """Either: the negotiation ends here; `reason` is a list of sentences."""

    provider_pid: Pid
    consumer_pid: Pid
    code: Any = None
    reason: Any = None


class TransferRequestMessage(Message, kw_only=True, frozen=True):
    """Consumer: asks for the data of an agreement in a format; `data_address` only for push.

    `purpose` and `revision` are ours: what the data is wanted for, and which revision of it (else the newest that is
    released). The protocol has no such properties, and others pass over them.
    """

    consumer_pid: Pid
    agreement_id: Pid
    format: Annotated[str, Meta(min_length=1, max_length=256)]
    data_address: Document | None = None
    callback_address: Url
    purpose: Annotated[str, Meta(min_length=1, max_length=1024)] | None = field(
        default=None, name="comity:purpose"
    )
    revision: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = field(default=None, name="comity:revision")


class TransferStartMessage(Message, kw_only=True, frozen=True):
    """Provider: the data is ready at `data_address`; consumer: resume."""

    provider_pid: Pid
    consumer_pid: Pid
    data_address: Document | None = None


class TransferSuspensionMessage(Message, kw_only=True, frozen=True):
    """Either: paused until a start."""

    provider_pid: Pid
    consumer_pid: Pid
    code: Any = None
    reason: Any = None


class TransferCompletionMessage(Message, kw_only=True, frozen=True):
    """Either: all data has been handed over."""

    provider_pid: Pid
    consumer_pid: Pid


class TransferTerminationMessage(Message, kw_only=True, frozen=True):
    """Either: the transfer ends here."""

    provider_pid: Pid
    consumer_pid: Pid
    code: Any = None
    reason: Any = None


class CatalogRequestMessage(Message, kw_only=True, frozen=True):
    """Consumer: asks for the catalog; `filter` is implementation specific."""

    filter: Any = None


class ContractNegotiation(Message, kw_only=True, frozen=True):
    """The answer to a negotiation message, and what a GET of the process returns."""

    provider_pid: str
    consumer_pid: str
    state: str


class TransferProcess(Message, kw_only=True, frozen=True):
    """The answer to a transfer message, and what a GET of the process returns."""

    provider_pid: str
    consumer_pid: str
    state: str


class ContractNegotiationError(Message, kw_only=True, frozen=True):
    """A negotiation message was refused; nothing changed."""

    provider_pid: str
    consumer_pid: str
    code: str | None = None
    reason: list[str] | None = None


class TransferError(Message, kw_only=True, frozen=True):
    """A transfer message was refused; nothing changed."""

    provider_pid: str
    consumer_pid: str
    code: str | None = None
    reason: list[str] | None = None


class CatalogError(Message, kw_only=True, frozen=True):
    """A catalog request was refused."""

    code: str | None = None
    reason: list[str] | None = None


CONTEXT = [terms.CONTEXT]
_encoder = msgspec.json.Encoder()


def encode(message: Struct) -> bytes:
    """Write a message as the bytes that go on the wire."""
    return _encoder.encode(message)


def encode_document(document: Document) -> bytes:
    """Write a document as bytes."""
    return _encoder.encode(document)


def event_key(message: Message) -> str:
    """Name the message as the state machine does: the type, and for an event the event."""
    name = type(message).__name__
    return f"{name}:{message.event_type}" if isinstance(message, ContractNegotiationEventMessage) else name
