"""A new data token from a provider whose tokens do not live as long as the transfer does, by its refresh grant.

Tractus-X "Refresh Token Grant Profile": the data address names an endpoint, a refresh token, an audience and how many
seconds the token is good for. Our own data addresses have none of these: their tokens end with the transfer.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from comity import errors
from comity.controlplane.connector import Connector
from comity.controlplane.transfer_moves import ADDRESS
from comity.db import transfers
from comity.db.store import Transaction
from comity.dsp import messages, terms, transfer
from comity.dsp.transfer import Transfer

Document = dict[str, Any]
AUTH = "https://w3id.org/tractusx/auth/"
REFRESH_TOKEN, ENDPOINT, AUDIENCE, EXPIRES = "refreshToken", "refreshEndpoint", "refreshAudience", "expiresIn"
TOLD = (REFRESH_TOKEN, ENDPOINT, AUDIENCE, EXPIRES)
MARGIN_MS = 15_000
MAX_DIGITS = 12
REFRESHED_AT = "comity:refreshedAt"
_AUTHORIZATIONS = frozenset({"authorization", transfer.EDC + "authorization"})


class Answer(Struct, frozen=True):
    """The answer of a refresh endpoint; `expires_in` in seconds."""

    access_token: str
    refresh_token: str = ""
    expires_in: int | None = None


def read(connector: Connector, record: Transfer) -> Document:
    """Return the data address of a transfer that has one, as the partner sent it, with the token of today."""
    plain = connector.seal.open(record.data_address_sealed or b"", ADDRESS + record.id)
    return msgspec.json.decode(plain, type=dict[str, Any])


def told(address: Document) -> dict[str, str]:
    """Return what a data address says of its refresh, by the bare names; empty if its token lives with the transfer."""
    named = transfer.endpoint_properties(address)
    return {name: named[AUTH + name] for name in TOLD if named.get(AUTH + name)}


def is_due(address: Document, record: Transfer, now_ms: int) -> bool:
    """Return whether a token has ended, or does within 15 s; one that says nothing of its end has none."""
    seconds = told(address).get(EXPIRES, "")
    if not (seconds.isascii() and seconds.isdigit() and len(seconds) <= MAX_DIGITS):
        return False
    since_ms = address.get(REFRESHED_AT)
    if not isinstance(since_ms, int):
        since_ms = record.updated_at
    return now_ms >= since_ms + int(seconds) * 1000 - MARGIN_MS


async def current(connector: Connector, record: Transfer, *, force: bool = False) -> Document:
    """Return the data address of a running transfer, with a new token where the one that is there ends, or by `force`.

    Raises:
        DeliveryError: the refresh endpoint cannot be reached or refuses, or the token for it would be somebody else's.
    """
    address = read(connector, record)
    possible = {REFRESH_TOKEN, ENDPOINT, AUDIENCE} <= told(address).keys()
    if not possible or not (force or is_due(address, record, connector.now_ms())):
        return address
    _check_audience(address, record)
    try:
        changed = _with_token(address, await _ask(connector, address), connector.now_ms())
    except errors.PermanentDeliveryError:
        stored = await connector.database.read(lambda tx: transfers.load(tx, record.id))
        if stored.data_address_sealed in {None, record.data_address_sealed}:
            raise
        return read(connector, stored)  # somebody else used the refresh token first, and has its answer
    return await _save(connector, record, changed)


def _check_audience(address: Document, record: Transfer) -> None:
    """Refuse to sign for anybody but the provider: a token for a third one would let it speak to that one as us."""
    audience = told(address)[AUDIENCE]
    if audience != record.counterparty_id:
        raise errors.PermanentDeliveryError(
            f"the data address asks for a token with the audience {audience[:200]!r}, which is not its provider's",
            hint=f"ask the provider to name {record.counterparty_id} as the audience",
        )


async def _ask(connector: Connector, address: Document) -> Answer:
    grant = told(address)
    url = grant[ENDPOINT] if grant[ENDPOINT].endswith("/token") else grant[ENDPOINT].rstrip("/") + "/token"
    body = urlencode({"grant_type": "refresh_token", "refresh_token": grant[REFRESH_TOKEN]}).encode()
    held = transfer.endpoint_properties(address).get("authorization", "").removeprefix("Bearer ")
    authorization = connector.identity.authorization(grant[AUDIENCE], body, token=held)
    answer = await connector.peers.post_form(url, body, authorization)
    try:
        found = msgspec.json.decode(answer, type=Answer, strict=False)
    except msgspec.MsgspecError:
        found = Answer("")
    if not found.access_token:
        raise errors.PermanentDeliveryError(f"{url[:200]} answered with something else than a token")
    return found


def _with_token(address: Document, new: Answer, now_ms: int) -> Document:
    changes = dict.fromkeys(_AUTHORIZATIONS, new.access_token)
    if new.refresh_token:
        changes[AUTH + REFRESH_TOKEN] = new.refresh_token
    if new.expires_in is not None:
        changes[AUTH + EXPIRES] = str(new.expires_in)
    listed = address["endpointProperties"]
    properties = [_changed(each, changes) for each in (listed if isinstance(listed, list) else [listed])]
    return {**address, "endpointProperties": properties, REFRESHED_AT: now_ms}


def _changed(each: Any, changes: dict[str, str]) -> Any:
    """Return a property with its new value; what is none, or not one of these, as it is."""
    name = each.get("name") if isinstance(each, dict) else None
    return {**each, "value": changes[name]} if isinstance(name, str) and name in changes else each


async def _save(connector: Connector, record: Transfer, changed: Document) -> Document:
    """Keep the new address, unless a start has brought another one while we asked."""

    async def unit(tx: Transaction) -> Transfer:
        stored = await transfers.load(tx, record.id)
        if stored.data_address_sealed != record.data_address_sealed or stored.state != terms.STARTED:
            return stored
        sealed = connector.seal.close(messages.encode_document(changed), ADDRESS + record.id)
        return await transfers.save(tx, msgspec.structs.replace(stored, data_address_sealed=sealed))

    stored = await connector.database.write(unit)
    return read(connector, stored) if stored.data_address_sealed else changed
