"""From what an endpoint returned to the response.

A document or a list gets the context of the request's version; nothing is 204; a response that streams stays as it is.
"""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.responses import Response

from comity.api import problems
from comity.management import versions
from comity.management.versions import Version


def respond(result: Any, version: Version, headers: dict[str, str] | None = None) -> Response:
    """Return the response for what an endpoint returned, as a version of the API shows it."""
    if result is None:
        return Response(status_code=204)
    if isinstance(result, Response):
        return result
    return Response(msgspec.json.encode(versions.shown(version, result)), 200, headers, problems.JSON)
