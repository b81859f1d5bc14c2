"""The management API: EDC's paths and payloads, and our own beside them; every endpoint needs an API key.

`endpoints` has the table of all of them, `paths` finds a request's row and version, `unversioned` has what is open to
everybody. The order of checks: key, path, role, body; only then anything is read or done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from comity import errors, strict_json
from comity.api import body as bodies
from comity.api import problems
from comity.api.management import idempotency, paths, unversioned
from comity.api.management.call import Call, Row
from comity.api.management.endpoints import ENDPOINTS
from comity.api.management.responses import respond
from comity.controlplane.apikeys import Holder
from comity.controlplane.connector import Connector
from comity.controlplane.repeats import Repeats
from comity.management import forms, roles, strict, versions
from comity.management.versions import Version

MAX_BODY_BYTES = 4 * 1024 * 1024
MAX_PARAMETERS = 100
WITH_BODY = frozenset({"POST", "PUT"})
METHODS = {
    version.name: paths.methods_of(key for key, row in ENDPOINTS.items() if row.is_in(version))
    for version in versions.VERSIONS
}

FindHolder = Callable[[str], Awaitable[Holder | None]]
"""Says who holds an API key, None if it opens nothing."""


def application(connector: Connector, find_holder: FindHolder) -> ASGIApp:
    """Return the application below `/management`."""
    repeats = Repeats()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await _respond(connector, find_holder, repeats, request)
        except errors.ComityError as error:
            response = problems.answer(error)
        except Exception as error:  # noqa: BLE001  whatever it is, the caller gets an id and the log the rest
            response = problems.unexpected(request, error)
        await response(scope, receive, send)

    return app


async def _respond(
    connector: Connector, find_holder: FindHolder, repeats: Repeats, request: Request
) -> Response:
    path = _raw_path(request.scope)
    open_to_all = unversioned.find(request.method, path)
    if open_to_all is not None:
        return await open_to_all(connector)
    key = _key(request)
    holder = await find_holder(key)
    if holder is None:
        return problems.unauthorized()
    found = paths.find(METHODS, request.method, path)
    row = ENDPOINTS[found.key]
    if not roles.suffices(holder.role, row.role):
        raise problems.RoleError(holder.role, row.role)
    body = await _body(request, row, found.version)

    async def holds() -> bool:
        still = await find_holder(key)
        return still is not None and roles.suffices(still.role, row.role)

    call = Call(
        found.id,
        body,
        _parameters(request),
        version=found.version,
        caller=holder.name,
        headers=request.headers,
        role=holder.role,
        holds=holds,
        method=request.method,
        path=found.path,
    )
    if row.creates is not None and (repeatable := idempotency.read(request)):
        return await idempotency.answer(connector, repeats, repeatable, found.key, row, call)
    return respond(await row.run(connector, call), found.version)


def _key(request: Request) -> str:
    """Return the API key; some clients know only one header for it and send it bare there."""
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    return request.headers.get("x-api-key") or (bearer if scheme.lower() == "bearer" else scheme)


def _raw_path(scope: Scope) -> bytes:
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    return raw


async def _body(request: Request, row: Row, version: Version) -> dict[str, Any]:
    """Return the body as an object; no body is an empty one, of which even a strict version asks nothing."""
    if request.method not in WITH_BODY:
        return {}
    content = await bodies.read(request, MAX_BODY_BYTES)
    if not content.strip():
        return {}
    bodies.check_json(request)
    body = strict_json.decode_object(content)
    if version.strict and row.takes:
        strict.check(forms.BODIES, row.takes, body, versions.CONTEXT_V4)
    if row.takes in forms.OWN:
        strict.check_known(forms.OWN, row.takes, body)
    return body


def _parameters(request: Request) -> dict[str, str]:
    """Return the query parameters; of one that is repeated all values, separated by commas."""
    text = request.scope["query_string"].decode("latin-1")
    found: dict[str, str] = {}
    try:
        for name, value in parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_PARAMETERS):
            found[name] = f"{found[name]},{value}" if name in found else value
        return found  # noqa: TRY300  what cannot be read is told below
    except ValueError:
        raise errors.InvalidInputError(f"more than {MAX_PARAMETERS} query parameters are not taken") from None
