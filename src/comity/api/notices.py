"""What Comities tell each other beside the protocol: `POST /comity/notices`, with the tokens and limits of messages.

A connector that is no Comity has nothing here (404), and its sender leaves it at that; therefore nothing else is
answered with 404: whatever is wrong with a notice is 400, with one sentence.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from comity import errors
from comity.api import partner_requests as requests
from comity.controlplane import notices
from comity.controlplane.connector import Connector
from comity.dsp import notice

PATH = "/notices"
NOTHING_ELSE = 400


def application(connector: Connector) -> ASGIApp:
    """Return the application below `/comity`."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        response = requests.proven(request, await _respond(connector, request))
        await response(scope, receive, send)

    return app


async def _respond(connector: Connector, request: Request) -> Response:
    path = request.scope["path"].removeprefix(request.scope.get("root_path", "")).rstrip("/")
    if path != PATH:
        return requests.no_endpoint(404)
    if request.method != "POST":
        return requests.no_endpoint(405)
    try:
        content = await requests.content(connector, request)
        caller = await requests.caller(connector, request, content)
        document = await notices.receive(connector, caller, content, _refused)
        return Response(notice.encode(document), 200, None, requests.JSON)
    except errors.ComityError as error:
        return _refusal(error)


def _refused(error: errors.ComityError) -> tuple[int, bytes]:
    answer = _refusal(error)
    return answer.status_code, bytes(answer.body)


def _refusal(error: errors.ComityError) -> Response:
    status = NOTHING_ELSE if isinstance(error, errors.NotFoundError) else requests.status_of(error)
    body = notice.error(error.code, requests.sentence(error))
    return Response(notice.encode(body), status, requests.headers(error), requests.JSON)
