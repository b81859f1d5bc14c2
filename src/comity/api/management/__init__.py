"""The management API: EDC's paths and payloads, and our own beside them; every endpoint needs the API key.

`endpoints` has the table of all of them, `paths` finds a request's row. A version is data: v3 is the one there is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, quote

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from comity import errors, strict_json
from comity.api import body as bodies
from comity.api import problems
from comity.api.management import paths
from comity.api.management.call import Call
from comity.api.management.endpoints import ENDPOINTS
from comity.controlplane.connector import Connector

MAX_BODY_BYTES = 4 * 1024 * 1024
MAX_PARAMETERS = 100
WITH_BODY = frozenset({"POST", "PUT"})
METHODS = paths.methods_of(ENDPOINTS)


def application(connector: Connector, accepts: Callable[[str], bool]) -> ASGIApp:
    """Return the application below `/management`; `accepts` checks an API key."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await _respond(connector, accepts, request)
        except errors.ComityError as error:
            response = problems.answer(error)
        except Exception as error:  # noqa: BLE001  whatever it is, the caller gets an id and the log the rest
            response = problems.unexpected(request, error)
        await response(scope, receive, send)

    return app


async def _respond(connector: Connector, accepts: Callable[[str], bool], request: Request) -> Response:
    if not accepts(_key(request)):
        return problems.unauthorized()
    key, ident = paths.find(METHODS, request.method, _raw_path(request.scope))
    call = Call(ident, await _body(request), _parameters(request))
    result = await ENDPOINTS[key](connector, call)
    if result is None:
        return Response(status_code=204)
    return Response(msgspec.json.encode(result), 200, None, problems.JSON)


def _key(request: Request) -> str:
    """Return the API key; some clients know only one header for it and send it bare there."""
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    return request.headers.get("x-api-key") or (bearer if scheme.lower() == "bearer" else scheme)


def _raw_path(scope: Scope) -> bytes:
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    return raw


async def _body(request: Request) -> dict[str, Any]:
    if request.method not in WITH_BODY:
        return {}
    content = await bodies.read(request, MAX_BODY_BYTES)
    if not content.strip():
        return {}
    bodies.check_json(request)
    return strict_json.decode_object(content)


def _parameters(request: Request) -> dict[str, str]:
    text = request.scope["query_string"].decode("latin-1")
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_PARAMETERS))
    except ValueError:
        raise errors.InvalidInputError(f"more than {MAX_PARAMETERS} query parameters are not taken") from None
