"""A transfer process as a value, its messages, and the data address that a start carries.

Source: Dataspace Protocol 2025-1, "Transfer Process Protocol". For pull, the address names the endpoint and a token in
`authorization`; it is written twice, by the specification's names and by those that EDC reads, and read from both.
For push the request carries an address: that one is `push`'s.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from msgspec import Struct

from comity import errors
from comity.dsp import binding, machine, messages, terms
from comity.dsp.process import Process

Document = dict[str, Any]

PULL = "HttpData-PULL"
PUSH = "HttpData-PUSH"
FORMATS = (PULL, PUSH)
CARRY = "comity:Carry"
"""No format that can be asked for: the data goes on a medium, and no message of the protocol with it."""
HTTP_ENDPOINT = "https://w3id.org/idsa/v4.1/HTTP"
EDC = "https://w3id.org/edc/v0.0.1/ns/"
_HEADER = re.compile(r"[!-~]+(?: [!-~]+)*")  # a line end in it would begin another header


class Transfer(Process, frozen=True, kw_only=True):
    """One transfer as this side knows it.

    Of a pull the provider keeps the token's digest and the consumer the sealed address; of a push the consumer keeps
    the digest of the token of its inbox and the provider the sealed address. `suspended_by` is the role that
    suspended it last, empty while it runs. `purpose` is what the consumer says that it wants the data for, or empty;
    `revision` the number of the one that it asks for, 0 for the newest that is released.
    """

    kind = terms.TRANSFER
    collection = "transfers"
    endpoints: ClassVar[Mapping[str, str]] = {
        machine.TRANSFER_REQUEST: "/request",
        machine.START: "/start",
        machine.SUSPENSION: "/suspension",
        machine.COMPLETION: "/completion",
        machine.TRANSFER_TERMINATION: "/termination",
    }

    agreement_id: str
    asset_id: str
    format: str
    token_sha256: bytes | None = None
    data_address_sealed: bytes | None = None
    suspended_by: str = ""
    purpose: str = ""
    revision: int = 0


def suspender(transfer: Transfer, sender: str) -> str:
    """Return who holds a transfer that `sender` suspends: the provider, if it is one of the two."""
    return terms.PROVIDER if transfer.suspended_by == terms.PROVIDER else sender


class Access(Struct, frozen=True):
    """How to fetch the data of a pull: an URL and the value of the Authorization header, if any."""

    endpoint: str
    authorization: str | None


def data_address(endpoint: str, token: str) -> Document:
    """Return the data address of a pull: bearer token for `endpoint`."""
    properties = {
        "authorization": token,
        "authType": "bearer",
        EDC + "endpoint": endpoint,
        EDC + "authorization": token,
    }
    return {
        "@type": "DataAddress",
        "endpointType": HTTP_ENDPOINT,
        "endpoint": endpoint,
        "endpointProperties": [
            {"@type": "EndpointProperty", "name": name, "value": value} for name, value in properties.items()
        ],
    }


def endpoint_properties(address: Document) -> dict[str, str]:
    """Return the properties of a data address that are texts; EDC's full names count where the bare ones lack."""
    listed = address.get("endpointProperties") or []
    named = {
        each["name"]: each["value"]
        for each in (listed if isinstance(listed, list) else [listed])
        if isinstance(each, dict) and isinstance(each.get("name"), str) and isinstance(each.get("value"), str)
    }
    bare = {name.removeprefix(EDC): value for name, value in named.items() if name.startswith(EDC) and value}
    return {**bare, **{name: value for name, value in named.items() if value}}


def access(address: Document) -> Access:
    """Read a data address of either spelling.

    Raises:
        InvalidInputError: it names no endpoint.
    """
    named = endpoint_properties(address)
    endpoint = address.get("endpoint") or named.get("endpoint")
    if not isinstance(endpoint, str):
        raise errors.InvalidInputError("the data address names no endpoint", path="$.dataAddress.endpoint")
    binding.check_address(endpoint.partition("?")[0], path="$.dataAddress.endpoint")
    token = named.get("authorization")
    if token and not _HEADER.fullmatch(token):
        raise errors.InvalidInputError(
            "the authorization must be visible ASCII, as a header is", path="$.dataAddress.endpointProperties"
        )
    scheme = named.get("authType") or "bearer"
    bearer = token and scheme.lower() == "bearer" and " " not in token
    return Access(endpoint, f"Bearer {token}" if bearer else token)


def request_message(
    transfer: Transfer, *, callback_address: str, message_id: str, data_address: Document | None = None
) -> messages.Message:
    """The consumer asks for the data; for a push it says where it wants it."""
    return messages.TransferRequestMessage(
        context=messages.CONTEXT,
        id=message_id,
        consumer_pid=transfer.id,
        agreement_id=transfer.agreement_id,
        format=transfer.format,
        callback_address=callback_address,
        data_address=data_address,
        purpose=transfer.purpose or None,
        revision=transfer.revision or None,
    )


def start_message(transfer: Transfer, address: Document | None, *, message_id: str) -> messages.Message:
    """The provider says where the data is; the consumer resumes."""
    return messages.TransferStartMessage(
        **transfer.pids, context=messages.CONTEXT, id=message_id, data_address=address
    )


def suspension_message(transfer: Transfer, reason: str, *, message_id: str) -> messages.Message:
    """Either side pauses."""
    return messages.TransferSuspensionMessage(
        **transfer.pids, context=messages.CONTEXT, id=message_id, reason=[reason]
    )


def completion_message(transfer: Transfer, *, message_id: str) -> messages.Message:
    """Either side has what it wanted."""
    return messages.TransferCompletionMessage(**transfer.pids, context=messages.CONTEXT, id=message_id)


def termination_message(
    transfer: Transfer, reason: str, *, code: str | None, message_id: str
) -> messages.Message:
    """The end, with its reason in words."""
    return messages.TransferTerminationMessage(
        **transfer.pids, context=messages.CONTEXT, id=message_id, code=code, reason=[reason]
    )


def answer(transfer: Transfer, state: str) -> messages.TransferProcess:
    """The acknowledgement of a message that led, or had led, to `state`."""
    return messages.TransferProcess(**transfer.pids, context=messages.CONTEXT, state=state)
