"""The data plane's front door: GET and HEAD below /data/{transfer id}, as an ASGI application.

It moves bytes from `dataplane.serve` to the wire and turns errors into answers; every decision is taken
there or by the `lookup` it is given. Once a stream is running, whatever goes wrong ends in an aborted
connection: a receiver must never take a short or mixed body for a whole one. With `api.connection` under
uvicorn the abort also drops what is still buffered.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

from comity.api import sending
from comity.dataplane import flows, serve, tokens
from comity.errors import (
    ComityError,
    ConflictError,
    DatabaseError,
    IdentityError,
    NotFoundError,
    PolicyError,
    StorageError,
    TransientDeliveryError,
)
from comity.storage import source

_MAX_HEADER: Final = 8192
_WHY_CUT: Final = 1.0
"""Seconds that a request which was cut waits for its reason: a look-up that hangs holds up no cut."""
_log = logging.getLogger(__name__)


class Lookup(Protocol):
    """What the control plane answers: the right that a token gives to a transfer."""

    async def __call__(self, transfer_id: str, token_digest: bytes, /) -> serve.Grant:
        """Find the right of a token.

        Raises:
            IdentityError: the token is not this transfer's.
            NotFoundError: there is no such transfer.
            PolicyError: the transfer does not allow data now.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Door:
    lookup: Lookup
    storages: Mapping[str, source.Storage]
    open_flows: flows.Flows


def application(
    lookup: Lookup, *, storages: Mapping[str, source.Storage], open_flows: flows.Flows, prefix: str = ""
) -> ASGIApp:
    """Make the application; `prefix` is the path before the transfer id, where no mount took it away."""
    door = _Door(lookup, storages, open_flows)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        transfer_id, path = parts_of(scope, prefix)
        started, flow = sending.Started(send), None
        try:
            async with open_flows.open(transfer_id) as flow:
                leaving = asyncio.create_task(sending.watch_leaving(receive, flow))
                try:
                    reply = await _answer(door, flow, scope, path)
                    await sending.send(reply, started, flow)
                finally:
                    leaving.cancel()
        except ComityError as error:
            if flow is not None and flow.ending == "cut" and not started.begun:
                error = await _why_cut(door, transfer_id, scope, error)
            await _fail(error, scope, started)

    return app


async def _why_cut(door: _Door, transfer_id: str, scope: Scope, error: ComityError) -> ComityError:
    """Return why a request was cut before its answer began: it is told what the next one would be told."""
    try:
        digest = tokens.digest(tokens.read(headers_of(scope).get("authorization")))
        await asyncio.wait_for(door.lookup(transfer_id, digest), _WHY_CUT)
    except ComityError as reason:
        return reason
    except TimeoutError:
        _log.info("no reason in %s s why a request for transfer %s was cut", _WHY_CUT, transfer_id)
        return error
    return TransientDeliveryError("the stream was cut, and the transfer still allows it: ask again")


async def _answer(door: _Door, flow: flows.Flow, scope: Scope, path: str) -> serve.Answer:
    headers = headers_of(scope)
    token = tokens.read(headers.pop("authorization", None))
    grant = await door.lookup(flow.transfer_id, tokens.digest(token))
    if door.open_flows.crowded(flow.transfer_id):
        return serve.problem(
            429, "crowded", "too many streams of this transfer are open", (("Retry-After", "5"),)
        )
    flow.watch(grant.still_allowed)
    return await serve.answer(grant, scope["method"], path, headers, door.storages)


async def _fail(error: ComityError, scope: Scope, started: sending.Started) -> None:
    if isinstance(error, StorageError):
        _log.error("transfer data could not be read: %s", error.message)
    if not started.begun:
        reply = problem(error)
        await started.start(reply)
        await started.end(reply.body if isinstance(reply.body, bytes) else b"")
    else:
        await sending.abort(scope, started)


_PROBLEMS: Final[tuple[tuple[type[ComityError], int, str, serve.Headers], ...]] = (
    (IdentityError, 401, "", (("WWW-Authenticate", "Bearer"),)),
    (PolicyError, 403, "", ()),
    (NotFoundError, 404, "", ()),
    (ConflictError, 409, "", ()),
    (TransientDeliveryError, 503, "", (("Retry-After", "1"),)),
    (StorageError, 503, "the data cannot be read now", (("Retry-After", "10"),)),
    (DatabaseError, 503, "try again", (("Retry-After", "2"),)),
    (ComityError, 500, "this request could not be answered", ()),
)


def problem(error: ComityError) -> serve.Answer:
    """Turn an error into the answer a partner gets: what to do about it, and nothing about our files."""
    status, message, extra = next(row[1:] for row in _PROBLEMS if isinstance(error, row[0]))
    reasons = error.reasons if isinstance(error, PolicyError) else ()
    said = message or ": ".join(filter(None, [error.message, "; ".join(reasons)]))
    return serve.problem(status, error.code, said, extra)


async def send_whole(reply: serve.Answer, send: Send) -> None:
    """Send an answer whose body is there already."""
    started = sending.Started(send)
    await started.start(reply)
    await started.end(reply.body if isinstance(reply.body, bytes) else b"")


def parts_of(scope: Scope, prefix: str) -> tuple[str, str]:
    """Return the transfer id of a path and what follows it."""
    path: str = scope["path"]
    path = path.removeprefix(scope.get("root_path", "")).removeprefix(prefix).removeprefix("/")
    transfer_id, _, rest = path.partition("/")
    return transfer_id, rest


def headers_of(scope: Scope) -> dict[str, str]:
    """Collect headers by lower-case name; a repeated one becomes a list, as RFC 9110 5.3 says."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers
