"""The protocol's endpoints: decode, call one use case, encode; refusals become the protocol's error messages.

Dataspace Protocol 2025-1, HTTPS bindings of catalog, negotiation and transfer. Both roles share paths: a process id is
ours, and says by its record which role we have. Missing and not yours are one 404; illegal is 400.
"""

from __future__ import annotations

import logging
import math
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from comity import errors
from comity.api import body as bodies
from comity.api import packing
from comity.controlplane import catalog, negotiation, transfer
from comity.controlplane.authenticate import Caller
from comity.controlplane.connector import Connector
from comity.controlplane.process import Incoming, sha256_hex
from comity.dsp import codec, messages, terms, version

JSON = "application/json"
MAX_BODY_BYTES = 1024 * 1024

log = logging.getLogger(__name__)

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


EITHER = ""
COLLECTIONS = {"negotiations": terms.NEGOTIATION, "transfers": terms.TRANSFER}

FIRST: dict[str, type[messages.Message]] = {
    "/negotiations/request": messages.ContractRequestMessage,
    "/negotiations/offers": messages.ContractOfferMessage,
    "/transfers/request": messages.TransferRequestMessage,
}
"""Path of a first message -> message type."""

NEXT: dict[tuple[str, str], tuple[str, type[messages.Message]]] = {
    ("negotiations", "/request"): (terms.PROVIDER, messages.ContractRequestMessage),
    ("negotiations", "/offers"): (terms.CONSUMER, messages.ContractOfferMessage),
    ("negotiations", "/events"): (EITHER, messages.ContractNegotiationEventMessage),
    ("negotiations", "/agreement"): (terms.CONSUMER, messages.ContractAgreementMessage),
    ("negotiations", "/agreement/verification"): (
        terms.PROVIDER,
        messages.ContractAgreementVerificationMessage,
    ),
    ("negotiations", "/termination"): (EITHER, messages.ContractNegotiationTerminationMessage),
    ("transfers", "/start"): (EITHER, messages.TransferStartMessage),
    ("transfers", "/suspension"): (EITHER, messages.TransferSuspensionMessage),
    ("transfers", "/completion"): (EITHER, messages.TransferCompletionMessage),
    ("transfers", "/termination"): (EITHER, messages.TransferTerminationMessage),
}
"""Collection and path below a process -> our role (either where both sides take the message), message type."""


def application(connector: Connector) -> ASGIApp:
    """Return the application below the base address; a slash at the end of a path does not matter.

    Paths are looked up in the two tables above: this is the busiest part of a connector, and a router that tries one
    pattern after the other costs more than the rest of the request's HTTP.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].removeprefix(scope.get("root_path", "")).rstrip("/")
        response = await _respond(connector, Request(scope, receive), path)
        await response(scope, receive, send)

    return app


async def _respond(connector: Connector, request: Request, path: str) -> Response:
    if path.startswith("/catalog/"):
        return await _catalog(connector, request, path)
    if path in FIRST:
        kind = COLLECTIONS[path.split("/")[1]]
        return await _take(connector, request, kind, FIRST[path], "", EITHER)
    _, _, rest = path.partition("/")
    collection, _, rest = rest.partition("/")
    pid, slash, rest = rest.partition("/")
    if collection not in COLLECTIONS or not pid or "\0" in pid:  # which not every store could look for
        return _no_endpoint(404)
    if not slash:
        return await _state(connector, request, COLLECTIONS[collection], pid)
    found = NEXT.get((collection, slash + rest))
    return (
        await _take(connector, request, COLLECTIONS[collection], found[1], pid, found[0])
        if found
        else _no_endpoint(404)
    )


def _no_endpoint(status: int) -> Response:
    body = {"code": "not-found", "message": "there is no such endpoint or method"}
    return Response(messages.encode_document(body), status, None, JSON)


async def _content(connector: Connector, request: Request) -> bytes:
    """Return the body; a long one is read from a partner only, so that strangers cannot fill the memory."""
    if not bodies.is_short(request):
        bodies.check_length(request, MAX_BODY_BYTES)
        await connector.identity.admit(_authorization(request))
    return await bodies.read(request, MAX_BODY_BYTES)


async def _caller(connector: Connector, request: Request, content: bytes) -> Caller:
    """Return who is asking; one whose message is of an earlier version of the protocol learns that first.

    Whoever speaks another version has another kind of token too, and its operator would look for the fault there.
    """
    target = request.scope["path"] + "?" + request.scope["query_string"].decode("latin-1")
    try:
        return await connector.identity.caller(_authorization(request), request.method, target, content)
    except errors.IdentityError:
        codec.refuse_earlier(content)
        raise


def _authorization(request: Request) -> str:
    """Return the header; two of them are one that holds no token: which of them a proxy believed is not known here."""
    return ", ".join(request.headers.getlist("authorization"))


def _answer(message: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(messages.encode(message), status, headers, JSON)


async def _take(  # noqa: PLR0913, PLR0917  what a route knows of its message
    connector: Connector, request: Request, kind: str, expected: type[messages.Message], pid: str, role: str
) -> Response:
    if request.method != "POST":
        return _no_endpoint(405)
    document: dict[str, Any] = {}
    try:
        content = await _content(connector, request)
        caller = await _caller(connector, request, content)
        message, document = codec.decode(content, expected)
        incoming = Incoming(
            kind=kind,
            caller=caller,
            message=message,
            document=document,
            sha256=sha256_hex(content),
            process_id=pid,
        )
        receive = negotiation.receive if kind == terms.NEGOTIATION else transfer.receive
        return _answer(await receive(connector, incoming, role=role), 200 if pid else 201)
    except errors.ComityError as error:
        return _process_error(kind, error, document)


def _process_error(kind: str, error: errors.ComityError, document: dict[str, Any]) -> Response:
    """Return ContractNegotiationError or TransferError; a pid that is not known yet repeats the other one."""
    pids = [document.get(name) for name in ("providerPid", "consumerPid")]
    known = [pid for pid in pids if isinstance(pid, str) and pid]
    unknown = known[0] if known else "urn:comity:unknown"
    provider_pid, consumer_pid = (pid if isinstance(pid, str) and pid else unknown for pid in pids)
    kind_of_error = messages.ContractNegotiationError if kind == terms.NEGOTIATION else messages.TransferError
    return _answer(
        kind_of_error(
            context=messages.CONTEXT,
            provider_pid=provider_pid,
            consumer_pid=consumer_pid,
            code=error.code,
            reason=[_sentence(error)],
        ),
        status_of(error),
        _headers(error),
    )


def _sentence(error: errors.ComityError) -> str:
    """Return one sentence: what is wrong, where, and what to do."""
    if isinstance(error, errors.DatabaseError):
        return "the message could not be stored now; send it again later"
    place = f" at {error.path}" if isinstance(error, errors.InvalidInputError) and error.path != "$" else ""
    hint = f" ({error.hint})" if error.hint else ""
    return f"{error.message}{place}{hint}"


def _headers(error: errors.ComityError) -> dict[str, str] | None:
    """Say when to try again, and drop the connection of who would go on sending what is not taken."""
    if isinstance(error, bodies.TooLargeError | bodies.TooSlowError):
        return {"Connection": "close"}
    if isinstance(error, bodies.EncodedError):
        return {"Accept-Encoding": "identity", "Connection": "close"}
    if status_of(error) not in _AGAIN:
        return None
    return {"Retry-After": str(math.ceil(getattr(error, "retry_after_s", None) or 1))}


async def _state(connector: Connector, request: Request, kind: str, pid: str) -> Response:
    if request.method != "GET":
        return _no_endpoint(405)
    try:
        caller = await _caller(connector, request, b"")
        state = negotiation.state if kind == terms.NEGOTIATION else transfer.state
        return _answer(await state(connector, caller, pid))
    except errors.ComityError as error:
        return _process_error(kind, error, {"providerPid": pid})


async def _catalog(connector: Connector, request: Request, path: str) -> Response:
    dataset_id = path.removeprefix("/catalog/datasets/")
    try:
        if request.method == "POST" and path == "/catalog/request":
            return await _catalog_page(connector, request)
        if request.method == "GET" and dataset_id != path:
            caller = await _caller(connector, request, b"")
            dataset = await catalog.serve_dataset(connector, caller, dataset_id)
            return await packing.answer(request, messages.encode_document(dataset), JSON)
    except errors.ComityError as error:
        return _catalog_error(error)
    return _no_endpoint(405 if path == "/catalog/request" or dataset_id != path else 404)


async def _catalog_page(connector: Connector, request: Request) -> Response:
    content = await _content(connector, request)
    caller = await _caller(connector, request, content)
    page = await catalog.serve(connector, caller, content, request.query_params.get("page"))
    response = await packing.answer(request, messages.encode_document(page.document), JSON)
    for relation, token in (("next", page.next_token), ("previous", page.previous_token)):
        if token is not None:
            target = f"{connector.dsp_address}/catalog/request" + (f"?page={quote(token)}" if token else "")
            response.headers.append("Link", f'<{target}>; rel="{relation}"')
    return response


def _catalog_error(error: errors.ComityError) -> Response:
    message = messages.CatalogError(context=messages.CONTEXT, code=error.code, reason=[_sentence(error)])
    return _answer(message, status_of(error), _headers(error))


def version_route(connector: Connector) -> Route:
    """Return the version endpoint: unversioned and open to everyone."""

    async def endpoint(request: Request) -> Response:  # noqa: ARG001  the answer is one for all
        return Response(messages.encode_document(version.document(connector.participant_id)), 200, None, JSON)

    return Route("/.well-known/dspace-version", endpoint, methods=["GET"])


def elsewhere_route() -> Route:
    """Return the route below `/dsp`, where other versions have their endpoints: callers learn which is ours."""

    async def endpoint(request: Request) -> Response:  # noqa: ARG001  the answer is one for all
        sentence = (
            f"this connector speaks the Dataspace Protocol {terms.VERSION} only, below {terms.VERSION_PATH}"
        )
        return Response(messages.encode_document({"code": "not-found", "message": sentence}), 404, None, JSON)

    return Route("/dsp/{rest:path}", endpoint, methods=["GET", "POST"])
