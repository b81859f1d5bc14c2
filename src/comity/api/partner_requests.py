"""What every request of a partner has in common: its body, who asks, and the status and sentence of a refusal.

Messages of the protocol (`api.dsp`) and notices (`api.notices`) give these their own forms.
"""

from __future__ import annotations

import math
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from comity import errors
from comity.api import body as bodies
from comity.controlplane.authenticate import Caller
from comity.controlplane.connector import Connector
from comity.dsp import codec, messages
from comity.identity import http_signature
from comity.identity.http_signature import Fields

JSON = "application/json"
_CALLER = "comity.caller"
_FIELDS = (b"content-digest", b"signature-input", b"signature")
MAX_BODY_BYTES = 1024 * 1024

STATUSES: tuple[tuple[type[errors.ComityError], int], ...] = (
    (errors.NotFoundError, 404),
    (errors.IdentityError, 401),
    (errors.CrowdedError, 429),
    (errors.DatabaseError, 503),
    (errors.TransientDeliveryError, 503),
    (errors.ConflictError, 503),
    (bodies.TooLargeError, 413),
    (bodies.TooSlowError, 408),
    (bodies.EncodedError, 415),
    (errors.ComityError, 400),
)
"""What a partner gets for an error; a lost race (ConflictError) is worth trying again."""
_AGAIN = frozenset({429, 503})


def status_of(error: errors.ComityError) -> int:
    """Return the HTTP status that a partner gets for an error."""
    return next(status for kind, status in STATUSES if isinstance(error, kind))


def no_endpoint(status: int) -> Response:
    """Return the answer to a path or method that is not ours."""
    body = {"code": "not-found", "message": "there is no such endpoint or method"}
    return Response(messages.encode_document(body), status, None, JSON)


async def content(connector: Connector, request: Request) -> bytes:
    """Return the body; a long one is read from a partner only, so that strangers cannot fill the memory.

    Raises:
        UnstampedError: nothing new is taken now.
    """
    connector.halt.check()
    if not bodies.is_short(request):
        bodies.check_length(request, MAX_BODY_BYTES)
        await connector.identity.admit(authorization(request))
    return await bodies.read(request, MAX_BODY_BYTES)


async def caller(connector: Connector, request: Request, content: bytes) -> Caller:
    """Return who is asking; one whose message is of an earlier version of the protocol learns that first.

    Whoever speaks another version has another kind of token too, and its operator would look for the fault there.
    """
    query = request.scope["query_string"].decode("latin-1")
    path, target = request.scope["path"] + "?" + query, _target(connector, request, query)
    try:
        who = await connector.identity.caller(
            authorization(request), request.method, path, content, target, _signed(request)
        )
    except errors.IdentityError:
        codec.refuse_earlier(content)
        raise
    request.scope[_CALLER] = who
    return who


def _target(connector: Connector, request: Request, query: str) -> str:
    """Return the address that a request was sent to: what is in front of us may have another one for us."""
    raw = request.scope.get("raw_path") or quote(request.scope["path"]).encode()
    scheme, _, rest = connector.dsp_address.partition("://")
    origin = f"{scheme}://{rest.partition('/')[0]}"
    return http_signature.target_uri(origin + raw.decode("latin-1") + (f"?{query}" if query else ""))


def _signed(request: Request) -> Fields:
    found: dict[bytes, list[str]] = {name: [] for name in _FIELDS}
    for name, value in request.scope["headers"]:
        if name in found:
            found[name].append(value.decode("latin-1").strip())
    return Fields(*(", ".join(found[name]) for name in _FIELDS))


def proven(request: Request, response: Response) -> Response:
    """Return the answer to a request with our signature, if it is known who asked; 503 where we cannot sign now."""
    who: Caller | None = request.scope.get(_CALLER)
    if who is not None:
        try:
            fields = who.arrival.headers(response.status_code, bytes(response.body))
        except errors.KeyAwayError as error:
            return Response(b"", 503, headers(error))
        response.raw_headers += [(name.lower().encode(), text.encode()) for name, text in fields.items()]
    return response


def authorization(request: Request) -> str:
    """Return the header; two of them are one that holds no token: which of them a proxy believed is not known here."""
    return ", ".join(request.headers.getlist("authorization"))


def answer(message: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return the answer that a message is."""
    return Response(messages.encode(message), status, headers, JSON)


def sentence(error: errors.ComityError) -> str:
    """Return one sentence: what is wrong, where, and what to do."""
    if isinstance(error, errors.UnstampedError):
        return (
            "nothing new is taken now: this connector waits for its time stamp authority; send it again later"
        )
    if isinstance(error, errors.DatabaseError):
        return "the message could not be stored now; send it again later"
    place = f" at {error.path}" if isinstance(error, errors.InvalidInputError) and error.path != "$" else ""
    hint = f" ({error.hint})" if error.hint else ""
    return f"{error.message}{place}{hint}"


def headers(error: errors.ComityError) -> dict[str, str] | None:
    """Say when to try again, and drop the connection of who would go on sending what is not taken."""
    if isinstance(error, bodies.TooLargeError | bodies.TooSlowError):
        return {"Connection": "close"}
    if isinstance(error, bodies.EncodedError):
        return {"Accept-Encoding": "identity", "Connection": "close"}
    if status_of(error) not in _AGAIN:
        return None
    return {"Retry-After": str(math.ceil(getattr(error, "retry_after_s", None) or 1))}
