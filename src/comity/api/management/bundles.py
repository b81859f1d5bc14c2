"""The endpoint that exports what is held of an agreement: its answer is the bundle, byte for byte as it was sealed.

What is in it is decided in `controlplane.export`; the table of all endpoints is `endpoints`.
"""

from __future__ import annotations

from starlette.responses import Response

from comity.api import problems
from comity.api.management.call import Call
from comity.controlplane import export
from comity.controlplane.connector import Connector


async def export_evidence(connector: Connector, call: Call) -> Response:
    """POST contractagreements/{id}/evidence."""
    return Response(await export.export(connector, call.id), 200, None, problems.JSON)
