"""The protocol's endpoints: decode, call one use case, encode; refusals become the protocol's error messages.

Dataspace Protocol 2025-1, HTTPS bindings of catalog, negotiation and transfer. Both roles share paths: a process id is
ours, and says by its record which role we have. Missing and not yours are one 404; illegal is 400.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from comity import errors
from comity.api import body as bodies
from comity.controlplane import catalog, negotiation, transfer
from comity.controlplane.authenticate import Caller
from comity.controlplane.connector import Connector
from comity.controlplane.process import Incoming, sha256_hex
from comity.dsp import codec, messages, terms, version

JSON = "application/json"
MAX_BODY_BYTES = 1024 * 1024
Endpoint = Callable[[Request], Awaitable[Response]]

log = logging.getLogger(__name__)

STATUSES: tuple[tuple[type[errors.ComityError], int], ...] = (
    (errors.NotFoundError, 404),
    (errors.IdentityError, 401),
    (errors.DatabaseError, 503),
    (errors.TransientDeliveryError, 503),
    (errors.ConflictError, 503),
    (bodies.TooLargeError, 413),
    (errors.ComityError, 400),
)
"""What a partner gets for an error; a lost race (ConflictError) is worth trying again."""


def status_of(error: errors.ComityError) -> int:
    """Return the HTTP status that a partner gets for an error."""
    return next(status for kind, status in STATUSES if isinstance(error, kind))


def routes(connector: Connector) -> list[Route]:
    """Return the routes below the base address, each with and without a slash at its end."""
    found: list[Route] = [
        *_both("/catalog/request", _catalog_request(connector), "POST"),
        *_both("/catalog/datasets/{id:path}", _dataset(connector), "GET"),
        *_both("/negotiations/request", _first(connector, terms.NEGOTIATION, messages.ContractRequestMessage), "POST"),
        *_both("/negotiations/offers", _first(connector, terms.NEGOTIATION, messages.ContractOfferMessage), "POST"),
        *_both("/transfers/request", _first(connector, terms.TRANSFER, messages.TransferRequestMessage), "POST"),
    ]
    for kind, path, role, expected in NEXT:
        found += _both(f"/{COLLECTIONS[kind]}/{{pid}}{path}", _next(connector, kind, expected, role), "POST")
    for kind, collection in COLLECTIONS.items():
        found += _both(f"/{collection}/{{pid}}", _state(connector, kind), "GET")
    return found


COLLECTIONS = {terms.NEGOTIATION: "negotiations", terms.TRANSFER: "transfers"}
EITHER = ""
NEXT: tuple[tuple[str, str, str, type[messages.Message]], ...] = (
    (terms.NEGOTIATION, "/request", terms.PROVIDER, messages.ContractRequestMessage),
    (terms.NEGOTIATION, "/offers", terms.CONSUMER, messages.ContractOfferMessage),
    (terms.NEGOTIATION, "/events", EITHER, messages.ContractNegotiationEventMessage),
    (terms.NEGOTIATION, "/agreement", terms.CONSUMER, messages.ContractAgreementMessage),
    (terms.NEGOTIATION, "/agreement/verification", terms.PROVIDER, messages.ContractAgreementVerificationMessage),
    (terms.NEGOTIATION, "/termination", EITHER, messages.ContractNegotiationTerminationMessage),
    (terms.TRANSFER, "/start", EITHER, messages.TransferStartMessage),
    (terms.TRANSFER, "/suspension", EITHER, messages.TransferSuspensionMessage),
    (terms.TRANSFER, "/completion", EITHER, messages.TransferCompletionMessage),
    (terms.TRANSFER, "/termination", EITHER, messages.TransferTerminationMessage),
)
"""Kind, path below the process, our role (either where both sides take the message), message type."""


def _both(path: str, endpoint: Endpoint, method: str) -> list[Route]:
    return [Route(path, endpoint, methods=[method]), Route(path + "/", endpoint, methods=[method])]


async def _caller(connector: Connector, request: Request, content: bytes) -> Caller:
    return await connector.identity.caller(
        request.headers.get("authorization"), request.method, request.scope["path"], content
    )


def _answer(message: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(messages.encode(message), status, headers, JSON)


def _first(connector: Connector, kind: str, expected: type[messages.Message]) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        return await _take(connector, request, kind, expected, "", EITHER)

    return endpoint


def _next(connector: Connector, kind: str, expected: type[messages.Message], role: str) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        return await _take(connector, request, kind, expected, request.path_params["pid"], role)

    return endpoint


async def _take(  # noqa: PLR0913  what a route knows of its message
    connector: Connector, request: Request, kind: str, expected: type[messages.Message], pid: str, role: str
) -> Response:
    document: dict[str, Any] = {}
    try:
        content = await bodies.read(request, MAX_BODY_BYTES)
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
        _retry_after(error),
    )


def _sentence(error: errors.ComityError) -> str:
    """Return one sentence: what is wrong, where, and what to do."""
    if isinstance(error, errors.DatabaseError):
        return "the message could not be stored now; send it again later"
    place = f" at {error.path}" if isinstance(error, errors.InvalidInputError) and error.path != "$" else ""
    hint = f" ({error.hint})" if error.hint else ""
    return f"{error.message}{place}{hint}"


def _retry_after(error: errors.ComityError) -> dict[str, str] | None:
    return {"Retry-After": "1"} if status_of(error) == 503 else None  # noqa: PLR2004  the status says it


def _state(connector: Connector, kind: str) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        try:
            caller = await _caller(connector, request, b"")
            state = negotiation.state if kind == terms.NEGOTIATION else transfer.state
            return _answer(await state(connector, caller, request.path_params["pid"]))
        except errors.ComityError as error:
            return _process_error(kind, error, {"providerPid": request.path_params["pid"]})

    return endpoint


def _catalog_request(connector: Connector) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        try:
            content = await bodies.read(request, MAX_BODY_BYTES)
            caller = await _caller(connector, request, content)
            page = await catalog.serve(connector, caller, content, request.query_params.get("page"))
        except errors.ComityError as error:
            return _catalog_error(error)
        headers = {}
        if page.next_token is not None:
            target = f"{connector.dsp_address}/catalog/request?page={quote(page.next_token)}"
            headers["Link"] = f'<{target}>; rel="next"'
        return Response(messages.encode_document(page.document), 200, headers, JSON)

    return endpoint


def _dataset(connector: Connector) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        try:
            caller = await _caller(connector, request, b"")
            dataset = await catalog.serve_dataset(connector, caller, request.path_params["id"].rstrip("/"))
        except errors.ComityError as error:
            return _catalog_error(error)
        return Response(messages.encode_document(dataset), 200, None, JSON)

    return endpoint


def _catalog_error(error: errors.ComityError) -> Response:
    message = messages.CatalogError(context=messages.CONTEXT, code=error.code, reason=[_sentence(error)])
    return _answer(message, status_of(error), _retry_after(error))


def version_route(connector: Connector) -> Route:
    """Return the version endpoint: unversioned and open to everyone."""

    async def endpoint(request: Request) -> Response:  # noqa: ARG001  the answer is one for all
        return Response(messages.encode_document(version.document(connector.participant_id)), 200, None, JSON)

    return Route("/.well-known/dspace-version", endpoint, methods=["GET"])
