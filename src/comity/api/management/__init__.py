"""The management API: EDC's paths and payloads, and our own beside them; every endpoint needs the API key.

`endpoints` has the table of all of them; here a request finds its row. A path is read by its raw segments, so that an
id may hold any character, and `//` or a slash at the end do not matter. A version is data: v3 is the one there is.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qsl, unquote

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from comity import errors, strict_json
from comity.api import body as bodies
from comity.api import problems
from comity.api.management.endpoints import ENDPOINTS, Call
from comity.controlplane.connector import Connector

MAX_BODY_BYTES = 4 * 1024 * 1024
VERSIONS = frozenset({"v3"})
PREFIX_SEGMENTS = 2


def application(connector: Connector, accepts: Callable[[str], bool]) -> ASGIApp:
    """Return the application below `/management`; `accepts` checks an API key."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        response = await _respond(connector, accepts, Request(scope, receive))
        await response(scope, receive, send)

    return app


async def _respond(connector: Connector, accepts: Callable[[str], bool], request: Request) -> Response:
    if not accepts(_key(request)):
        return problems.unauthorized()
    try:
        name, ident = find(request.method, request.scope.get("raw_path") or request.scope["path"].encode())
        content = await bodies.read(request, MAX_BODY_BYTES)
        document = strict_json.decode_object(content) if content.strip() else {}
        parameters = dict(parse_qsl(request.scope["query_string"].decode("latin-1")))
        result = await ENDPOINTS[name](connector, Call(ident, document, parameters))
    except errors.ComityError as error:
        return problems.answer(error)
    if result is None:
        return Response(status_code=204)
    return Response(msgspec.json.encode(result), 200, None, "application/json")


def _key(request: Request) -> str:
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
    return request.headers.get("x-api-key") or bearer


def find(method: str, raw_path: bytes) -> tuple[tuple[str, str, str], str]:
    """Return the row of the table for a path below `/management/v3`, and the id in it.

    Raises:
        NotFoundError: there is no such endpoint, or not with this method.
    """
    path = raw_path.partition(b"?")[0].decode("latin-1")
    segments = [unquote(each) for each in path.split("/") if each]
    if len(segments) > PREFIX_SEGMENTS and segments[1] in VERSIONS:
        noun, rest = segments[PREFIX_SEGMENTS], segments[PREFIX_SEGMENTS + 1 :]
        fixed = (method, noun, "/".join(rest))
        if fixed in ENDPOINTS:
            return fixed, ""
        if len(rest) > 1 and (acting := (method, noun, f"{{id}}/{'/'.join(rest[1:])}")) in ENDPOINTS:
            return acting, rest[0]
        if len(rest) > 1 and (acting := (method, noun, f"{{id}}/{rest[-1]}")) in ENDPOINTS:
            return acting, "/".join(rest[:-1])
        if rest and (method, noun, "{id}") in ENDPOINTS:
            return (method, noun, "{id}"), "/".join(rest)
    raise errors.NotFoundError(f"there is no endpoint {method} {path[:200]}")
