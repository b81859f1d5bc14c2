"""The two applications of a connector: what partners reach, and what its own people reach.

They share nothing but the use cases: the management API is on a listener of its own, so that a proxy or a firewall
can keep it inside. Unexpected errors are answered here, with an id that the log has too, and no stack trace.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from comity import __version__
from comity.api import dsp, management, notices
from comity.controlplane import health
from comity.controlplane.connector import Connector
from comity.dsp import terms

log = logging.getLogger(__name__)
JSON = "application/json"
READY_S = 0.5
"""How long the answer to `GET /ready` is kept: strangers who ask all the time cost the store nothing."""


def public(
    connector: Connector,
    data: ASGIApp,
    inbox: ASGIApp,
    *,
    address: str,
    did_document: Callable[[], dict[str, Any]] | None,
) -> ASGIApp:
    """Return the application for partners: protocol, data, inbox, DID document; below the public address's path."""
    path = urlsplit(address).path.rstrip("/")
    ready = Route("/ready", _ready(connector), methods=["GET"])
    routes: list[BaseRoute] = [_health(), ready, dsp.version_route(connector), dsp.elsewhere_route()]
    if did_document is not None:
        place = "/did.json" if path else "/.well-known/did.json"
        routes.append(Route(place, _fresh(did_document), methods=["GET"]))
    others = _application([Mount(path, routes=routes)] if path else routes)
    busy = {
        path + terms.VERSION_PATH: dsp.application(connector),
        path + "/comity": notices.application(connector),
        path + "/data": data,
        path + "/inbox": inbox,
    }
    return _guarded(_Prefixes(busy, others))


class _Prefixes:
    """Hands requests to the application of their first path segments, and the rest to another one."""

    def __init__(self, applications: dict[str, ASGIApp], others: ASGIApp) -> None:
        self._applications = applications
        self._others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        for prefix, application in self._applications.items():
            if path.startswith(prefix + "/"):
                await application({**scope, "root_path": prefix}, receive, send)
                return
        await self._others(scope, receive, send)


def _guarded(application: ASGIApp) -> ASGIApp:
    """Answer an unexpected error with 500 and an id, if no answer has begun."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await application(scope, receive, noting)
        except Exception as error:
            if begun:
                raise
            await (await _unexpected(Request(scope), error))(scope, receive, send)

    return app


def internal(connector: Connector, find_holder: management.FindHolder) -> ASGIApp:
    """Return the application for the connector's own people and programs; `find_holder` knows the API keys.

    The management API answers every path but that of the health check: its problems have one form, also a wrong path.
    """
    health, others = _application([_health()]), management.application(connector, find_holder)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (health if scope["path"] == "/health" else others)(scope, receive, send)

    return app


def _application(routes: list[BaseRoute]) -> Starlette:
    return Starlette(
        routes=routes,
        exception_handlers={404: _missing, 405: _missing, Exception: _unexpected},
    )


async def _missing(request: Request, error: Exception) -> Response:  # noqa: ARG001  Starlette's signature
    status = getattr(error, "status_code", 404)
    return _json({"code": "not-found", "message": "there is no such endpoint or method"}, status)


async def _unexpected(request: Request, error: Exception) -> Response:
    name = secrets.token_hex(8)
    log.error("error %s at %s %s", name, request.method, request.url.path, exc_info=error)
    return _json(
        {"code": "internal", "message": "an unexpected error; the operator finds it by its id", "id": name},
        500,
    )


def _json(document: dict[str, Any], status: int = 200) -> Response:
    return Response(msgspec.json.encode(document), status, None, JSON)


def _fresh(document: Callable[[], dict[str, Any]]) -> Callable[[Request], Awaitable[Response]]:
    """Serve a document that changes, past every cache on the way: a key that was taken out must not live on in one."""

    async def endpoint(request: Request) -> Response:  # noqa: ARG001  the answer is one for all
        answer = _json(document())
        answer.headers["Cache-Control"] = "no-store"
        return answer

    return endpoint


def _fixed(document: dict[str, Any]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:  # noqa: ARG001  the answer is one for all
        return _json(document)

    return endpoint


def _health() -> Route:
    return Route("/health", _fixed({"status": "up", "version": __version__}), methods=["GET"])


def _ready(connector: Connector) -> Callable[[Request], Awaitable[Response]]:
    """Say whether requests can be taken now, for a load balancer: anybody may ask, so there are no details."""
    one_asks = asyncio.Lock()
    ready, known_until = False, 0.0

    async def endpoint(request: Request) -> Response:  # noqa: ARG001  the answer is one for all
        nonlocal ready, known_until
        async with one_asks:
            if time.monotonic() > known_until:
                ready = not any(each.failure for each in await health.check(connector))
                known_until = time.monotonic() + READY_S
        answer = _json({"status": "ready"}) if ready else _json({"status": "not ready"}, 503)
        answer.headers["Cache-Control"] = "no-store"
        return answer

    return endpoint
