"""The management API as one page to read, made from its OpenAPI documents: no script, nothing from elsewhere.

All of it stands in the page, so that a browser's own search finds it. Endpoints that several versions have are shown
once; where versions differ in what a body needs, each has its column.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

Document = dict[str, Any]
_BEFORE = """URL=http://127.0.0.1:8281
KEY=$(cat "$COMITY_DATA/keys/management.key")
ID=bracket-17"""
_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem;color:#1a1a1a;background:#fff}
h2{margin-top:3rem;border-bottom:2px solid #ccc}h3{margin-top:2rem;font-size:1rem}
code,pre{font-family:ui-monospace,monospace;font-size:.9em}pre{background:#f4f4f4;padding:.6rem;overflow-x:auto}
table{border-collapse:collapse;width:100%}
td,th{text-align:left;vertical-align:top;border-bottom:1px solid #ddd;padding:.2rem .5rem}
nav{display:flex;flex-wrap:wrap;gap:.2rem 1rem}b.m{display:inline-block;min-width:4.5rem}
p,h3{overflow-wrap:anywhere}@media(max-width:45rem){table{display:block;overflow-x:auto}}
@media(prefers-color-scheme:dark){body{color:#eee;background:#161616}pre{background:#262626}a{color:#8cf}}
"""


def write(documents: Sequence[Document]) -> str:
    """Return the page for the OpenAPI documents of single versions, the oldest first."""
    return "".join(_parts(documents))


def _parts(documents: Sequence[Document]) -> Iterator[str]:
    newest = documents[-1]
    names = " and ".join(_name(each) for each in documents)
    groups = _groups(documents)
    yield (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Comity management API</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><h1>Comity management API, {names}</h1>"
        f"<p>{_text(newest['info']['description'])}</p>"
        "<p>Every endpoint below <code>/management/v…</code> needs an API key, as <code>X-Api-Key: …</code> or"
        " <code>Authorization: Bearer …</code>, with the role that is named. The same as a document:"
        ' <a href="openapi.json"><code>openapi.json</code></a>.</p>'
        "<p>Every command can be pasted into a shell. Say first where this page is, with which API key you come (<code>"
        "comity apikey add</code> makes more), and what is meant by <code>{id}</code> in a path, percent-encoded:</p>"
        f"{_pre(_BEFORE)}<nav>"
    )
    yield from (f'<a href="#{_anchor(group)}">{_text(group)}</a>' for group in groups)
    yield '<a href="#forms">forms inside others</a><a href="#errors">errors</a></nav>'
    for group, operations in groups.items():
        yield f'<h2 id="{_anchor(group)}">{_text(group)}</h2>'
        for shown in operations:
            yield from _operation(shown)
    yield '<h2 id="forms">forms inside others</h2>'
    for name, inner in _inner(documents).items():
        yield f"<h3>{_text(name)}</h3><p>{_text(inner[-1][1]['description'])}</p>"
        yield from _members(inner)
    yield '<h2 id="errors">errors</h2><table><tr><th>status</th><th>when</th></tr>'
    for status, response in newest["components"]["responses"].items():
        yield f"<tr><td>{_text(status)}</td><td>{_text(response['description'])}</td></tr>"
    yield "</table></body></html>"


Shown = list[tuple[str, str, Document, Document]]
"""One endpoint in each version that has it: path, method, operation, the document that it is in."""


def _groups(documents: Sequence[Document]) -> dict[str, list[Shown]]:
    """Return the endpoints by their first tag, in the order of the table."""
    found: dict[str, dict[str, Shown]] = {}
    for document in documents:
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                name = operation["operationId"].removeprefix(_name(document) + ".")
                group = found.setdefault(operation["tags"][0], {})
                group.setdefault(name, []).append((path, method.upper(), operation, document))
    return {group: list(operations.values()) for group, operations in found.items()}


def _inner(documents: Sequence[Document]) -> dict[str, list[tuple[str, Document]]]:
    """Return the forms of bodies that are parts of others: name -> version and schema."""
    found: dict[str, list[tuple[str, Document]]] = {}
    for document in documents:
        whole = {
            operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
            for methods in document["paths"].values()
            for operation in methods.values()
            if "requestBody" in operation
        }
        for name, schema in document["components"]["schemas"].items():
            if ".body." in name and name not in whole:
                found.setdefault(name.rpartition(".")[2], []).append((_name(document), schema))
    return found


def _operation(shown: Shown) -> Iterator[str]:
    paths = dict.fromkeys((path, method) for path, method, *_ in shown)
    places = "<br>".join(f'<b class="m">{method}</b> <code>{_text(path)}</code>' for path, method in paths)
    _, _, operation, document = shown[-1]
    yield f"<h3>{places}</h3><p>{_text(operation['summary'])}."
    if role := operation.get("x-comity-role"):
        yield f" Role: <b>{_text(role)}</b>."
    yield "</p>"
    yield from _parameters(operation)
    if "requestBody" in operation:
        yield from _body(shown)
    else:
        path, method, *_ = shown[-1]
        yield _pre(_curl(method, path, None, key="security" not in operation or bool(operation["security"])))
    yield from _answers(operation, document)


def _parameters(operation: Document) -> Iterator[str]:
    listed = operation.get("parameters", [])
    if listed:
        yield "<table><tr><th>parameter</th><th>in</th><th></th></tr>"
        for each in listed:
            yield f"<tr><td><code>{_text(each['name'])}</code></td><td>{each['in']}</td>"
            yield f"<td>{_text(each.get('description', ''))}</td></tr>"
        yield "</table>"


def _body(shown: Shown) -> Iterator[str]:
    bodies = [(operation["requestBody"], document) for _, _, operation, document in shown]
    yield f"<p>Body: {_text(bodies[-1][0]['description'])}</p>"
    schemas = [(_name(document), _schema(body, document)) for body, document in bodies]
    yield from _members(schemas)
    for path, method, operation, document in shown:
        example = operation["requestBody"]["content"]["application/json"].get("example")
        if example is not None:
            yield f"<p>{_name(document)}:</p>{_pre(_curl(method, path, example))}"


def _curl(method: str, path: str, body: Any, *, key: bool = True) -> str:
    """Return a command for a shell in which URL, KEY and ID are set."""
    written = f'''"$URL{path.replace("{id}", "$ID")}"'''
    words = ["curl", written] if method == "GET" else ["curl -X", method, written]
    words += ['-H "X-Api-Key: $KEY"'] if key else []
    if body is None:
        return " ".join(words)
    text = json.dumps(body, indent=2, ensure_ascii=False).replace("'", r"'\''")
    return " ".join([*words, '\\\n  -H "Content-Type: application/json"', f"-d '{text}'"])


def _schema(part: Document, document: Document) -> Document:
    schema: Document = part["content"]["application/json"]["schema"]
    return _resolved(schema, document)


def _resolved(schema: Document, document: Document) -> Document:
    reference = schema.get("$ref")
    found: Document = document["components"]["schemas"][reference.rpartition("/")[2]] if reference else schema
    return found


def _members(schemas: list[tuple[str, Document]]) -> Iterator[str]:
    heads = "".join(f"<th>{name}</th>" for name, _ in schemas)
    yield f"<table><tr><th>member</th><th>kind</th>{heads}<th></th></tr>"
    properties: Document = {}
    for _, schema in schemas:
        properties |= schema.get("properties", {})
    for name, member in properties.items():
        needed = "".join(
            f"<td>{'needed' if name in schema.get('required', []) else ''}</td>" for _, schema in schemas
        )
        yield f"<tr><td><code>{_text(name)}</code></td><td>{_text(_kind(member))}</td>{needed}"
        yield f"<td>{_text(member.get('description', ''))}</td></tr>"
    yield "</table>"


def _kind(schema: Document) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition(".")[2]
    if "enum" in schema:
        return " or ".join(map(str, schema["enum"]))
    kind = str(schema.get("type", "any"))
    return f"list of {_kind(schema['items'])}" if kind == "array" else kind


def _answers(operation: Document, document: Document) -> Iterator[str]:
    for status, response in operation["responses"].items():
        if "$ref" in response:
            continue
        yield f"<p>{status}: {_text(response['description'])}</p>"
        schema = response.get("content", {}).get("application/json", {}).get("schema")
        if schema is not None:
            item = schema.get("items", schema)
            if item is not schema:
                yield "<p>A list, each with:</p>"
            yield from _members([("", _resolved(item, document))])
    refused = [status for status, response in operation["responses"].items() if "$ref" in response]
    if refused:
        yield f'<p>Errors: <a href="#errors">{" ".join(refused)}</a></p>'


def _name(document: Document) -> str:
    return str(document["info"]["title"]).rpartition(" ")[2]


def _anchor(group: str) -> str:
    return "of-" + "".join(each if each.isalnum() else "-" for each in group)


def _pre(text: str) -> str:
    return f"<pre>{_text(text)}</pre>"


def _text(value: object) -> str:
    return escape(str(value))
