"""Webhooks and `callbackAddresses` on the wire, and the signature of what is sent to them.

A webhook is ours: it is told of all events that it wants, as CloudEvents, signed as Standard Webhooks says where it
has a secret. A `callbackAddress` is EDC's: it belongs to one process and is told of that alone, in EDC's envelope.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from msgspec import Struct

from comity import errors
from comity.management import events, names, wire

Document = dict[str, Any]
SECRET_PREFIX = "whsec_"  # noqa: S105  how a secret begins, not one
SECRET_BYTES = range(24, 65)
MAX_CALLBACKS = 10
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_OURS = frozenset({"host", "connection", "transfer-encoding", "te", "upgrade", "expect", "user-agent"})
_WEBHOOK = frozenset({"@type", "@id", "url", "types", "secret", "authKey", "authCodeId", "after"})
_CALLBACK = frozenset({"@type", "uri", "events", "transactional", "authKey", "authCodeId"})


class Callback(Struct, frozen=True, kw_only=True):
    """A receiver as somebody named it: where, of which events, with the value of which secret in which header."""

    url: str
    types: tuple[str, ...] = ()
    auth_key: str = ""
    auth_code_id: str = ""


class NewWebhook(Struct, frozen=True, kw_only=True):
    """A webhook that somebody wants: `secret` signs, if there is one; `after` is the last event it does not need."""

    receiver: Callback
    secret: bytes | None = None
    after: int | None = None


def decode(body: Document) -> NewWebhook:
    """Read a webhook.

    Raises:
        InvalidInputError: with the place of what is wrong.
    """
    _check_members(body, _WEBHOOK, "$")
    auth_key, auth_code_id = _credential(body, "$")
    receiver = Callback(
        url=wire.text(body, "url", required=True),
        types=events.check_types(wire.texts(body, "types"), "$.types"),
        auth_key=auth_key,
        auth_code_id=auth_code_id,
    )
    return NewWebhook(receiver=receiver, secret=_secret(wire.text(body, "secret")), after=_after(body))


def _secret(text: str) -> bytes | None:
    if not text:
        return None
    try:
        key = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith(SECRET_PREFIX) or len(key) not in SECRET_BYTES:
        raise errors.InvalidInputError(
            f"the secret must be {SECRET_PREFIX} and 24 to 64 bytes in base64, as Standard Webhooks says",
            path="$.secret",
        )
    return key


def _after(body: Document) -> int | None:
    value = names.get(body, "after")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise errors.InvalidInputError("after must be the sequence of an event, or 0", path="$.after")
    return value


def decode_callbacks(body: Document) -> tuple[Callback, ...]:
    """Read the `callbackAddresses` of a request.

    Raises:
        InvalidInputError: with the place of what is wrong.
    """
    listed = names.get(body, "callbackAddresses", [])
    listed = listed if isinstance(listed, list) else [listed]
    if len(listed) > MAX_CALLBACKS:
        raise errors.InvalidInputError(
            f"at most {MAX_CALLBACKS} callbacks are taken", path="$.callbackAddresses"
        )
    return tuple(_callback(each, f"$.callbackAddresses[{at}]") for at, each in enumerate(listed))


def _callback(each: Any, path: str) -> Callback:
    if not isinstance(each, dict):
        raise errors.InvalidInputError("a callback must be an object", path=path)
    _check_members(each, _CALLBACK, path)
    if wire.flag(each, "transactional", path=path):
        raise errors.InvalidInputError(
            "a callback cannot be transactional: it is told after the change is stored, and then at least once",
            path=f"{path}.transactional",
            hint="leave transactional out, or say false",
        )
    types = events.check_types(wire.texts(each, "events", path=path), f"{path}.events")
    if not types:
        raise errors.InvalidInputError(
            "a callback must say of which events",
            path=f"{path}.events",
            hint='for example ["transfer.process"]',
        )
    auth_key, auth_code_id = _credential(each, path)
    url = wire.text(each, "uri", required=True, path=path)
    return Callback(url=url, types=types, auth_key=auth_key, auth_code_id=auth_code_id)


def _check_members(body: Document, known: frozenset[str], path: str) -> None:
    for name, _ in wire.bare_items(body):
        if name not in known:
            raise errors.InvalidInputError(
                f"there is no member {name[:100]} here; there is: {', '.join(sorted(known))}",
                path=f"{path}.{name[:100]}",
            )


def _credential(body: Document, path: str) -> tuple[str, str]:
    """Return the header and the name of the secret whose value it gets; both or neither."""
    key, code = wire.text(body, "authKey", path=path), wire.text(body, "authCodeId", path=path)
    if bool(key) != bool(code):
        missing = "authCodeId" if key else "authKey"
        raise errors.InvalidInputError("authKey and authCodeId go together", path=f"{path}.{missing}")
    lower = key.lower()
    taken = lower in _OURS or lower.startswith(("webhook-", "content-", "accept"))
    if key and (taken or not _TOKEN.fullmatch(key)):
        raise errors.InvalidInputError(
            "authKey must be the name of a header of yours", path=f"{path}.authKey"
        )
    return key, code


def encode(  # noqa: PLR0913  the document has these members
    name: str,
    receiver: Callback,
    *,
    process_id: str | None,
    signed: bool,
    state: str,
    last_delivered: int,
    newest: int,
    failing_since: int | None,
    attempts: int,
    due_at: int,
    last_error: str,
    created_at: int,
) -> Document:
    """Write a webhook with how it stands; times in ms since 1970, no secret."""
    return wire.document(
        "Webhook",
        name,
        url=receiver.url,
        types=list(receiver.types),
        authKey=receiver.auth_key or None,
        authCodeId=receiver.auth_code_id or None,
        processId=process_id,
        signed=signed,
        state=state,
        lastDelivered=last_delivered,
        newest=newest,
        failingSince=failing_since,
        attempts=attempts or None,
        nextAttempt=due_at or None,
        lastError=last_error or None,
        createdAt=created_at,
    )


def encode_callbacks(listed: Sequence[Callback]) -> list[Document]:
    """Write the callbacks of a process as EDC does."""
    return [
        {
            "@type": "CallbackAddress",
            "uri": each.url,
            "events": list(each.types),
            "transactional": False,
            **({"authKey": each.auth_key, "authCodeId": each.auth_code_id} if each.auth_key else {}),
        }
        for each in listed
    ]


def signature(secret: bytes, message_id: str, at_s: int, body: bytes) -> str:
    """Return the value of `webhook-signature` (Standard Webhooks 1.0, symmetric)."""
    signed = f"{message_id}.{at_s}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(secret, signed, sha256)).decode("ascii")
