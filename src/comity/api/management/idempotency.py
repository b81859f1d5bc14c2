"""The header Idempotency-Key (draft-ietf-httpapi-idempotency-key-header-07), on POSTs that create something.

The key counts for one caller. What tells a request from another is its path, with the version, its query and its body
as JSON, however it is written. Doing it once is `controlplane.repeats`.
"""

from __future__ import annotations

import re

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from comity import errors
from comity.api.management.call import Call, Row
from comity.api.management.paths import Key
from comity.api.management.responses import respond
from comity.controlplane import repeats
from comity.controlplane.connector import Connector

HEADER = "Idempotency-Key"
REPLAYED = {"Idempotency-Replayed": "true"}
MAX_KEY = 255
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])+)"')


def read(request: Request) -> str:
    """Return the key of a request, empty if it has none; a structured string and plain characters are taken.

    Raises:
        InvalidInputError: it is no key.
    """
    given = request.headers.getlist(HEADER)
    if not given:
        return ""
    key = given[0].strip()
    quoted = _QUOTED.fullmatch(key)
    if quoted is not None:
        key = re.sub(r"\\(.)", r"\1", quoted[1])
    plain = key.isascii() and key.isprintable() and 0 < len(key) <= MAX_KEY
    if len(given) > 1 or not plain:
        raise errors.InvalidInputError(
            f"{HEADER} must be given once, with 1 to {MAX_KEY} printable ASCII characters", path=HEADER
        )
    return key


async def answer(  # noqa: PLR0913, PLR0917  what is known of the request
    connector: Connector, done: repeats.Repeats, key: str, place: Key, row: Row, call: Call
) -> Response:
    """Return the response to a request with a key: its endpoint's, or that of an earlier request.

    Raises:
        KeyReusedError: the key belongs to another request.
        StillRunningError: the first request is being worked on.
        ComityError: of the endpoint.
    """
    request = repeats.Request(call.caller, key, _fingerprint(connector, place, call), row.creates or object)
    result, replayed = await done.once(connector, request, lambda noting: row.run(noting, call))
    return respond(result, call.version, REPLAYED if replayed else None)


def _fingerprint(connector: Connector, place: Key, call: Call) -> bytes:
    """Return a keyed digest of all that makes a request what it is: a secret cannot be guessed from it."""
    told = [place, call.id, call.version.name, call.parameters, call.body]
    return connector.seal.mac(msgspec.json.encode(told, order="sorted"), HEADER)
