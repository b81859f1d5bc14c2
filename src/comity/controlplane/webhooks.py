"""Webhooks: who is told of events, made and removed by people and programs, and what is sent to each.

A webhook gets CloudEvents, a callback of a process EDC's envelope. Credentials come from the secrets by their names at
each attempt, so that a new value counts at once. When to send is `delivery.webhooks`' part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from comity import errors
from comity.controlplane import secrets
from comity.controlplane.connector import Connector
from comity.db import events, webhooks
from comity.db.events import Page
from comity.db.store import Transaction
from comity.db.webhooks import Webhook
from comity.management import events as event_forms
from comity.management import webhooks as forms
from comity.management.events import Event

Document = dict[str, Any]
SIGNING = "webhook-secret"
PAGE = 64
CLOUD_EVENT, JSON = "application/cloudevents+json", "application/json"


async def create(connector: Connector, form: forms.NewWebhook) -> Webhook:
    """Store a webhook, told of what comes from now on or after an event that is named.

    Raises:
        InvalidInputError: the address is refused, there is no such secret, or no such event yet.
    """
    check_address(connector, form.receiver.url, path="$.url")
    name = connector.new_id()
    sealed = None if form.secret is None else connector.seal.close(form.secret, SIGNING + name)

    async def unit(tx: Transaction) -> Webhook:
        oldest, newest = await events.find_ends(tx)
        if form.after is not None and form.after > newest:
            raise errors.InvalidInputError(
                f"there is no event {form.after} yet; the newest is {newest}", path="$.after"
            )
        if form.after and form.after < oldest - 1:
            raise errors.InvalidInputError(
                f"the events after {form.after} are not kept any more; the oldest is {oldest}", path="$.after"
            )
        after = newest if form.after is None else form.after
        await _check_secret(connector, tx, form.receiver, path="$")
        new = _new(connector, name, form.receiver, after)
        return await webhooks.insert(tx, msgspec.structs.replace(new, secret_sealed=sealed))

    return await connector.database.write(unit)


async def _check_secret(
    connector: Connector, tx: Transaction, receiver: forms.Callback, *, path: str
) -> None:
    if receiver.auth_code_id and await secrets.find_value(connector, tx, receiver.auth_code_id) is None:
        raise errors.InvalidInputError(
            f"there is no secret {receiver.auth_code_id}",
            path=f"{path}.authCodeId",
            hint="POST it to secrets first",
        )


def _new(connector: Connector, name: str, receiver: forms.Callback, after: int) -> Webhook:
    return Webhook(
        id=name,
        url=receiver.url,
        types=receiver.types,
        auth_key=receiver.auth_key,
        auth_code_id=receiver.auth_code_id,
        last_delivered=after,
        created_at=connector.now_ms(),
    )


def check_address(connector: Connector, url: str, *, path: str) -> None:
    """Refuse an address of a receiver to which nothing may be sent.

    Raises:
        InvalidInputError: at `path`.
    """
    try:
        connector.egress.check_url(url)
    except errors.PermanentDeliveryError as error:
        raise errors.InvalidInputError(error.message, path=path, hint=error.hint) from None


def check_callbacks(connector: Connector, callbacks: Sequence[forms.Callback]) -> None:
    """Refuse the callbacks of a process if one has an address to which nothing may be sent.

    Raises:
        InvalidInputError: with its place.
    """
    for at, each in enumerate(callbacks):
        check_address(connector, each.url, path=f"$.callbackAddresses[{at}].uri")


async def add_callbacks(
    connector: Connector, tx: Transaction, process_id: str, callbacks: Sequence[forms.Callback]
) -> None:
    """Store the callbacks of a new process, in the unit that makes it: they are told of all its events.

    Raises:
        InvalidInputError: there is no such secret.
    """
    for at, each in enumerate(callbacks):
        await _check_secret(connector, tx, each, path=f"$.callbackAddresses[{at}]")
    await _tell_of(connector, tx, process_id, callbacks)


async def _tell_of(
    connector: Connector, tx: Transaction, process_id: str, callbacks: Sequence[forms.Callback]
) -> None:
    for each in callbacks:
        new = _new(connector, connector.new_id(), each, 0)
        await webhooks.insert(tx, msgspec.structs.replace(new, process_id=process_id))


async def inherit(connector: Connector, tx: Transaction, negotiation_id: str, transfer_id: str) -> None:
    """Give the callbacks of a negotiation to the transfer that follows from it by itself."""
    found = await webhooks.find_of_process(tx, negotiation_id)
    await _tell_of(connector, tx, transfer_id, [_receiver(each) for each in found])


async def find_callbacks(tx: Transaction, process_id: str) -> list[Document]:
    """Return the callbacks of a process as EDC shows them."""
    found = await webhooks.find_of_process(tx, process_id)
    return forms.encode_callbacks([_receiver(each) for each in found])


async def find_all(connector: Connector, process_id: str = "") -> list[Document]:
    """Return the webhooks, or the callbacks of one process, as documents."""

    async def unit(tx: Transaction) -> list[Document]:
        _, newest = await events.find_ends(tx)
        found = await (webhooks.find_of_process(tx, process_id) if process_id else webhooks.find_all(tx))
        return [_shown(each, newest) for each in found]

    return await connector.database.read(unit)


async def load(connector: Connector, name: str) -> Document:
    """Return a webhook as a document.

    Raises:
        NotFoundError: there is none with this id.
    """

    async def unit(tx: Transaction) -> Document:
        _, newest = await events.find_ends(tx)
        return _shown(await webhooks.load(tx, name), newest)

    return await connector.database.read(unit)


async def remove(connector: Connector, name: str) -> None:
    """Delete a webhook: nothing is sent to it any more.

    Raises:
        NotFoundError: there is none with this id.
    """
    await connector.database.write(lambda tx: webhooks.remove(tx, name))


def _receiver(webhook: Webhook) -> forms.Callback:
    return forms.Callback(
        url=webhook.url,
        types=webhook.types,
        auth_key=webhook.auth_key,
        auth_code_id=webhook.auth_code_id,
    )


def _shown(webhook: Webhook, newest: int) -> Document:
    return forms.encode(
        webhook.id,
        _receiver(webhook),
        process_id=webhook.process_id,
        signed=webhook.secret_sealed is not None,
        state=webhook.state,
        last_delivered=webhook.last_delivered,
        newest=newest,
        failing_since=webhook.failing_since,
        attempts=webhook.attempts,
        due_at=webhook.due_at if webhook.state == webhooks.ACTIVE else 0,
        last_error=webhook.last_error,
        created_at=webhook.created_at,
    )


class Queue:
    """The other side of `delivery.webhooks`."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector

    async def find_active(self) -> list[Webhook]:
        """Return the webhooks that something may have to be sent to."""
        return await self._connector.database.read(webhooks.find_active)

    async def find_page(self, webhook: Webhook) -> Page:
        """Return the next events for a webhook; of a process all, so that its end is seen."""
        process_id = webhook.process_id or ""
        types = () if process_id else webhook.types
        return await self._connector.database.read(
            lambda tx: events.find_page(
                tx, after=webhook.last_delivered, limit=PAGE, subject=process_id, types=types
            )
        )

    async def prepare(self, webhook: Webhook, event: Event) -> tuple[bytes, Mapping[str, str]]:
        """Return body and headers of a delivery: the same body at every attempt, a signature of now.

        Raises:
            NotFoundError: the secret that the webhook names is gone.
            DatabaseError: the secret cannot be opened.
        """
        callback = webhook.process_id is not None
        document = (
            event_forms.envelope(event)
            if callback
            else event_forms.cloud_event(event, self._connector.participant_id)
        )
        body, at_s = msgspec.json.encode(document), self._connector.now_ms() // 1000
        headers = {
            "Content-Type": JSON if callback else CLOUD_EVENT,
            "webhook-id": event.id,
            "webhook-timestamp": str(at_s),
        }
        if webhook.secret_sealed is not None:
            secret = self._connector.seal.open(webhook.secret_sealed, SIGNING + webhook.id)
            headers["webhook-signature"] = forms.signature(secret, event.id, at_s, body)
        if webhook.auth_key:
            headers[webhook.auth_key] = await self._credential(webhook.auth_code_id)
        return body, headers

    async def _credential(self, name: str) -> str:
        value = await self._connector.database.read(lambda tx: secrets.find_value(self._connector, tx, name))
        if value is None:
            raise errors.NotFoundError(f"there is no secret {name}")
        return value

    async def save(self, webhook: Webhook) -> bool:
        """Keep how far a webhook has come; return whether it is still ours to tell."""
        return await self._connector.database.write(lambda tx: webhooks.save(tx, webhook))
