"""The protocol's endpoints: decode, call one use case, encode; refusals become the protocol's error messages.

Dataspace Protocol 2025-1, HTTPS bindings of catalog, negotiation and transfer. Both roles share paths: a process id is
ours, and says by its record which role we have. Missing and not yours are one 404; illegal is 400.
"""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from comity import errors
from comity.api import packing
from comity.api import partner_requests as requests
from comity.controlplane import catalog, negotiation, transfer
from comity.controlplane.connector import Connector
from comity.controlplane.process import Incoming, sha256_hex
from comity.dsp import codec, messages, terms, version

log = logging.getLogger(__name__)

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
        request = Request(scope, receive)
        response = requests.proven(request, await _respond(connector, request, path))
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
        return requests.no_endpoint(404)
    if not slash:
        return await _state(connector, request, COLLECTIONS[collection], pid)
    found = NEXT.get((collection, slash + rest))
    return (
        await _take(connector, request, COLLECTIONS[collection], found[1], pid, found[0])
        if found
        else requests.no_endpoint(404)
    )


async def _take(  # noqa: PLR0913, PLR0917  what a route knows of its message
    connector: Connector, request: Request, kind: str, expected: type[messages.Message], pid: str, role: str
) -> Response:
    if request.method != "POST":
        return requests.no_endpoint(405)
    document: dict[str, Any] = {}

    def refusal(error: errors.ComityError) -> tuple[int, bytes]:
        answer = _process_error(kind, error, document)
        return answer.status_code, bytes(answer.body)

    try:
        content = await requests.content(connector, request)
        caller = await requests.caller(connector, request, content)
        message, document = codec.decode(content, expected)
        incoming = Incoming(
            kind=kind,
            caller=caller,
            message=message,
            document=document,
            content=content,
            sha256=sha256_hex(content),
            process_id=pid,
            refusal=refusal,
        )
        receive = negotiation.receive if kind == terms.NEGOTIATION else transfer.receive
        return requests.answer(await receive(connector, incoming, role=role), 200 if pid else 201)
    except errors.ComityError as error:
        return _process_error(kind, error, document)


def _process_error(kind: str, error: errors.ComityError, document: dict[str, Any]) -> Response:
    """Return ContractNegotiationError or TransferError; a pid that is not known yet repeats the other one."""
    pids = [document.get(name) for name in ("providerPid", "consumerPid")]
    known = [pid for pid in pids if isinstance(pid, str) and pid]
    unknown = known[0] if known else "urn:comity:unknown"
    provider_pid, consumer_pid = (pid if isinstance(pid, str) and pid else unknown for pid in pids)
    kind_of_error = messages.ContractNegotiationError if kind == terms.NEGOTIATION else messages.TransferError
    return requests.answer(
        kind_of_error(
            context=messages.CONTEXT,
            provider_pid=provider_pid,
            consumer_pid=consumer_pid,
            code=error.code,
            reason=[requests.sentence(error)],
        ),
        requests.status_of(error),
        requests.headers(error),
    )


async def _state(connector: Connector, request: Request, kind: str, pid: str) -> Response:
    if request.method != "GET":
        return requests.no_endpoint(405)
    try:
        caller = await requests.caller(connector, request, b"")
        state = negotiation.state if kind == terms.NEGOTIATION else transfer.state
        return requests.answer(await state(connector, caller, pid))
    except errors.ComityError as error:
        return _process_error(kind, error, {"providerPid": pid})


async def _catalog(connector: Connector, request: Request, path: str) -> Response:
    dataset_id = path.removeprefix("/catalog/datasets/")
    try:
        if request.method == "POST" and path == "/catalog/request":
            return await _catalog_page(connector, request)
        if request.method == "GET" and dataset_id != path:
            caller = await requests.caller(connector, request, b"")
            dataset = await catalog.serve_dataset(connector, caller, dataset_id)
            return await packing.answer(request, messages.encode_document(dataset), requests.JSON)
    except errors.ComityError as error:
        return _catalog_error(error)
    return requests.no_endpoint(405 if path == "/catalog/request" or dataset_id != path else 404)


async def _catalog_page(connector: Connector, request: Request) -> Response:
    content = await requests.content(connector, request)
    caller = await requests.caller(connector, request, content)
    page = await catalog.serve(connector, caller, content, request.query_params.get("page"))
    response = await packing.answer(request, messages.encode_document(page.document), requests.JSON)
    for relation, token in (("next", page.next_token), ("previous", page.previous_token)):
        if token is not None:
            target = f"{connector.dsp_address}/catalog/request" + (f"?page={quote(token)}" if token else "")
            response.headers.append("Link", f'<{target}>; rel="{relation}"')
    return response


def _catalog_error(error: errors.ComityError) -> Response:
    message = messages.CatalogError(
        context=messages.CONTEXT, code=error.code, reason=[requests.sentence(error)]
    )
    return requests.answer(message, requests.status_of(error), requests.headers(error))


def version_route(connector: Connector) -> Route:
    """Return the version endpoint: unversioned and open to everyone."""

    async def endpoint(request: Request) -> Response:  # noqa: ARG001  the answer is one for all
        return Response(
            messages.encode_document(version.document(connector.participant_id)), 200, None, requests.JSON
        )

    return Route("/.well-known/dspace-version", endpoint, methods=["GET"])


def elsewhere_route() -> Route:
    """Return the route below `/dsp`, where other versions have their endpoints: callers learn which is ours."""

    async def endpoint(request: Request) -> Response:  # noqa: ARG001  the answer is one for all
        sentence = (
            f"this connector speaks the Dataspace Protocol {terms.VERSION} only, below {terms.VERSION_PATH}"
        )
        return Response(
            messages.encode_document({"code": "not-found", "message": sentence}), 404, None, requests.JSON
        )

    return Route("/dsp/{rest:path}", endpoint, methods=["GET", "POST"])
