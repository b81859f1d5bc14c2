"""What the management API shows to everybody, without a key and without a version: it holds no data.

The versions that are served and EDC's health checks, both also at `/api` where EDC has them; this API as an OpenAPI
document, whole or one version of it, and as a page to read.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from msgspec import Struct
from starlette.responses import Response

from comity import __version__
from comity.api import problems
from comity.api.management import openapi, page, paths
from comity.api.management.endpoints import ENDPOINTS
from comity.controlplane import health
from comity.controlplane.connector import Connector
from comity.management import forms, versions
from comity.management.versions import Version

EDC_PREFIX = "api"
ENDED = 503
Run = Callable[[Connector], Awaitable[Response]]


class Open(Struct, frozen=True):
    """An endpoint for everybody: the form of its answer, a few words, and whether EDC has it at `/api`."""

    run: Run
    gives: str
    text: str
    edc: bool = False


def find(method: str, raw_path: bytes) -> Run | None:
    """Return the endpoint for a path such as `/management/check/health`, None if it is none of these."""
    if method != "GET":
        return None
    prefix, *rest = [each for each in raw_path.partition(b"?")[0].decode("latin-1").split("/") if each] or [
        ""
    ]
    found = OPEN.get("/".join(rest))
    if found is None or not (prefix == paths.PREFIX or (found.edc and prefix == EDC_PREFIX)):
        return None
    return found.run


def _json(document: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(document), status, None, problems.JSON)


async def _versions(connector: Connector) -> Response:  # noqa: ARG001  the answer is one for all
    served = [
        {"version": each.number, "urlPath": f"/{each.name}", "maturity": "stable"}
        for each in versions.VERSIONS
    ]
    own = [{"version": __version__, "urlPath": "/v1", "maturity": "stable"}]
    return _json({"management": served, "version": own, "observability": own})


async def _health(connector: Connector) -> Response:
    parts = await health.check(connector)
    well = not any(each.failure for each in parts)
    results = [
        {
            "component": each.name,
            "isHealthy": not each.failure,
            "failure": {"messages": [each.failure]} if each.failure else None,
        }
        for each in parts
    ]
    return _json({"isSystemHealthy": well, "componentResults": results}, 200 if well else ENDED)


async def _alive(connector: Connector) -> Response:  # noqa: ARG001  that it answers is the answer
    return _json({"isSystemHealthy": True, "componentResults": []})


def _document(*served: Version) -> Run:
    @functools.cache
    def content() -> bytes:
        return msgspec.json.encode(openapi.document(ENDPOINTS, OPEN_FORMS, served))

    async def run(connector: Connector) -> Response:  # noqa: ARG001  the answer is one for all
        return Response(content(), 200, None, problems.JSON)

    return run


@functools.cache
def _html() -> str:
    return page.write([openapi.document(ENDPOINTS, OPEN_FORMS, [each]) for each in versions.VERSIONS])


async def _page(connector: Connector) -> Response:  # noqa: ARG001  the answer is one for all
    headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return Response(_html(), 200, headers, forms.ANSWERS["Page"].media)


OPEN: dict[str, Open] = {
    "v1/version": Open(_versions, "VersionDocument", "Which versions of the API are served.", edc=True),
    "check/health": Open(_health, "HealthStatus", "Whether the connector can do its work.", edc=True),
    "check/liveness": Open(_alive, "HealthStatus", "Whether the process answers.", edc=True),
    "check/readiness": Open(_health, "HealthStatus", "Whether it takes requests.", edc=True),
    "check/startup": Open(_health, "HealthStatus", "Whether it has started.", edc=True),
    "openapi.json": Open(_document(*versions.VERSIONS), "OpenApi", "This API, every version of it."),
    **{
        f"{each.name}/openapi.json": Open(_document(each), "OpenApi", f"This API, {each.name} alone.")
        for each in versions.VERSIONS
    },
    "docs": Open(_page, "Page", "This API as a page to read."),
}
"""Path below `/management` -> endpoint, all of them GET."""

OPEN_FORMS = {path: (each.gives, each.text) for path, each in OPEN.items()}
