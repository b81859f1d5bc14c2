"""The management API as an OpenAPI 3.1 document, made from the table of endpoints and the forms.

Nothing is said here that the table does not say: paths, roles, forms, statuses, parameters. One document may hold
several versions of the API; what has no version is in each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from comity import __version__
from comity.api.management import idempotency, paths, summaries
from comity.api.management.call import Row
from comity.api.management.paths import Key
from comity.api.management.schemas import PROBLEMS, Schemas, example
from comity.management import forms, versions
from comity.management.versions import Version

Document = dict[str, Any]
JSON = "application/json"
MEANINGS = {
    400: "The body, a query or a value is wrong.",
    401: "The API key is missing or wrong.",
    403: "The API key's role does not suffice, or the agreement's policy does not allow it now.",
    404: "There is no such thing, partner, endpoint or version of the API.",
    405: "The endpoint is there, but not with this method; see Allow.",
    408: "The body did not come within 30 s.",
    409: "The id is taken, something still needs it, the protocol does not allow the move now, or the first request"
    " with this Idempotency-Key is still being worked on.",
    412: "The file has another entity tag than If-Match names.",
    413: "The body is longer than 4 MiB.",
    415: "The body says that it is something else than JSON.",
    416: "Not one range of bytes inside the file is asked for.",
    422: "A file or folder cannot be used, a partner's DID document does not hold, or the Idempotency-Key was sent"
    " before with another request.",
    429: "As many streams of events are open as may be; see Retry-After.",
    500: "An unexpected error; its id is in the log too.",
    502: "The partner cannot be reached or refuses.",
    503: "The store did not take it; nothing was changed, try again after Retry-After seconds.",
}
"""Status of an error -> what it means."""
ALWAYS = (401, 403, 500, 503)
WITH_BODY = (400, 408, 413, 415)
REPEATABLE = (409, 422)
SECURITY: list[Document] = [{"ApiKey": []}, {"Bearer": []}]
_ID = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": {"type": "string"},
    "description": "percent-encoded",
}
_PATH = {
    "name": "path",
    "in": "path",
    "required": True,
    "schema": {"type": "string"},
    "description": "of a file, as it stands in the list of files; its slashes may stay",
}
_KEY = {
    "name": idempotency.HEADER,
    "in": "header",
    "schema": {"type": "string", "maxLength": idempotency.MAX_KEY},
    "description": "Sent again within 24 hours with the same request, the answer is that to the first, and nothing is"
    " created twice.",
}
_REPLAYED = {
    "Idempotency-Replayed": {
        "description": "true, if this is the answer to an earlier request.",
        "schema": {"type": "string"},
    }
}


def document(
    rows: Mapping[Key, Row], open_to_all: Mapping[str, tuple[str, str]], served: Sequence[Version]
) -> Document:
    """Return the document for some versions; `open_to_all` has path -> form of the answer, words."""
    found: Document = {}
    schemas: Document = {}
    for version in served:
        of_version = Schemas(version)
        for key, row in rows.items():
            if row.is_in(version):
                path, operation = _operation(of_version, version, key, row)
                found.setdefault(path, {})[key[0].lower()] = operation
        schemas |= of_version.found
    shared = Schemas(served[0])
    for place, (gives, text) in open_to_all.items():
        found[f"/{paths.PREFIX}/{place}"] = {"get": _open(shared, place, gives, text)}
    return {
        "openapi": "3.1.0",
        "info": _info(served),
        "servers": [{"url": "/"}],
        "paths": found,
        "components": {
            "schemas": {**schemas, **shared.found, "Problems": PROBLEMS},
            "responses": {str(status): _problem(text) for status, text in MEANINGS.items()},
            "securitySchemes": {
                "ApiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
                "Bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _info(served: Sequence[Version]) -> Document:
    one = len(served) == 1
    return {
        "title": "Comity management API" + (f" {served[0].name}" if one else ""),
        "version": served[0].number if one else __version__,
        "summary": "For the connector's own people and programs.",
        "description": f"v3 takes any JSON-LD spelling. v4 wants @context with {versions.CONTEXT_V4} and @type in every"
        " body of EDC's. Both have the same endpoints, but where one is missing here.",
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    }


def _operation(schemas: Schemas, version: Version, key: Key, row: Row) -> tuple[str, Document]:
    method, noun, rest = key
    path = "/".join(part for part in (f"/{paths.PREFIX}", version.name, noun, rest) if part)
    name = rest.replace("/", ".").replace(paths.ID, "id").replace(paths.PATH, "path")
    operation: Document = {
        "operationId": ".".join(part for part in (version.name, method.lower(), noun, name) if part),
        "tags": [noun],
        "summary": summaries.summary(key),
        "description": f"Needs the role {row.role}.",
        "x-comity-role": row.role,
        "parameters": _parameters(key, row),
        "responses": _responses(schemas, key, row),
        "security": SECURITY,
    }
    if row.takes:
        content: Document = {"schema": schemas.body(row.takes)}
        if (shown := example(version, row.takes)) is not None:
            content["example"] = shown
        form = forms.BODIES[row.takes]
        needed = any(member.needed == "always" for member in form.members.values())
        operation["requestBody"] = {"description": form.text, "required": needed, "content": {JSON: content}}
    return path, operation


def _parameters(key: Key, row: Row) -> list[Document]:
    found: list[Document] = [_ID] if paths.ID in key[2] else []
    found += [_PATH] if paths.PATH in key[2] else []
    for name in row.parameters:
        member = forms.PARAMETERS[name]
        kind = {"number": "integer", "flag": "boolean"}.get(member.kind, "string")
        found.append({"name": name, "in": "query", "description": member.text, "schema": {"type": kind}})
    return [*found, _KEY] if row.creates is not None else found


def statuses(key: Key, row: Row) -> list[int]:
    """Return the statuses of the errors that an endpoint may answer."""
    own = {int(each) for each in row.errors.split()}
    own |= set(WITH_BODY) if key[0] in {"POST", "PUT"} else set()
    own |= set(REPEATABLE) if row.creates is not None else set()
    return sorted(own | set(ALWAYS))


def _responses(schemas: Schemas, key: Key, row: Row) -> Document:
    if row.gives:
        done = {"200": _given(schemas, row.gives)}
        if row.creates is not None:
            done["200"]["headers"] = _REPLAYED
    else:
        done = {"204": {"description": "Done."}}
    refused = {str(each): {"$ref": f"#/components/responses/{each}"} for each in statuses(key, row)}
    return {**done, **refused}


def _given(schemas: Schemas, gives: str) -> Document:
    form = forms.ANSWERS[gives.strip("[]")]
    if form.media != JSON:
        return {
            "description": form.text,
            "content": {form.media.partition(";")[0]: {"schema": {"type": "string"}}},
        }
    content: Document = {"schema": schemas.answer(gives)}
    if form.example is not None:
        content["example"] = form.example
    return {"description": form.text, "content": {JSON: content}}


def _problem(text: str) -> Document:
    return {"description": text, "content": {JSON: {"schema": {"$ref": "#/components/schemas/Problems"}}}}


def _open(schemas: Schemas, place: str, gives: str, text: str) -> Document:
    done: Document = {"200": _given(schemas, gives)}
    if gives == "HealthStatus":
        done["503"] = {**done["200"], "description": "Something is wrong."}
    return {
        "operationId": "open." + place.replace("/", "."),
        "tags": ["open to everybody"],
        "summary": text,
        "responses": done,
        "security": [],
    }
