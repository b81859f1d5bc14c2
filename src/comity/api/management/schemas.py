"""From the forms of bodies and answers to JSON schemas (2020-12, as OpenAPI 3.1 has them), for one version of the API.

Only what is named by an endpoint is written, with what it names in turn. A schema says how a client should write; v3
takes more: prefixed names, IRIs, null for absent, references as texts or objects.
"""

from __future__ import annotations

from typing import Any

from comity.management import forms, versions, wire
from comity.management.forms import form
from comity.management.forms.form import Form, Member
from comity.management.versions import Version

Document = dict[str, Any]
_PLAIN: dict[str, Document] = {
    "text": {"type": "string"},
    "number": {"type": "integer"},
    "flag": {"type": "boolean"},
    "object": {"type": "object"},
    "texts": {"type": "array", "items": {"type": "string"}},
    "objects": {"type": "array", "items": {"type": "object"}},
    "rules": {"type": "array", "items": {"type": "object"}, "minItems": 1},
    "any": {},
}
_CONTEXT: Document = {
    "type": "array",
    "items": {"type": "string"},
    "contains": {"const": versions.CONTEXT_V4},
}
PROBLEMS: Document = {
    "type": "array",
    "description": forms.ANSWERS["Problems"].text,
    "items": {
        "type": "object",
        "required": ["message", "type"],
        "properties": {
            "message": {"type": "string", "description": "a sentence"},
            "type": {"type": "string", "description": "a code that stays"},
            "path": {"type": "string", "description": "the place in what was sent"},
            "hint": {"type": "string", "description": "what to do"},
        },
    },
}


class Schemas:
    """The schemas of one version that have been asked for, by their names in `components/schemas`."""

    def __init__(self, version: Version) -> None:
        self._version = version
        self.found: dict[str, Document] = {}

    def body(self, name: str) -> Document:
        """Return a reference to the schema of a body."""
        return self._reference("body", name)

    def answer(self, kind: str) -> Document:
        """Return the schema of an answer such as `Asset` or `[Asset]`."""
        name, listed = form.split(kind)
        reference = self._reference("answer", name)
        return {"type": "array", "items": reference} if listed else reference

    def _reference(self, use: str, name: str) -> Document:
        full = f"{self._version.name}.{use}.{name}"
        if full not in self.found:
            self.found[full] = {}  # a form may name itself
            known = forms.BODIES if use == "body" else forms.ANSWERS
            self.found[full] = self._schema(use, known[name])
        return {"$ref": f"#/components/schemas/{full}"}

    def _schema(self, use: str, given: Form) -> Document:
        strict = use == "body" and self._version.strict and bool(given.types)
        properties: Document = {}
        required: list[str] = []
        if strict:
            properties = {"@context": _CONTEXT} if not given.nested else {}
            properties["@type"] = {"enum": list(given.types)}
            required = list(properties)
        if given.identified:
            properties["@id"] = {"type": "string"}
            if use == "body" and given.identified != form.ALWAYS:
                properties["@id"]["description"] = "without it, what is new gets one"
            required += ["@id"] if given.identified == form.ALWAYS else []
        for name, member in given.members.items():
            properties[name] = self._member(use, member)
            if member.needed == form.ALWAYS or (strict and member.needed):
                required.append(name)
        schema: Document = {"type": "object", "description": given.text, "properties": properties}
        if required:
            schema["required"] = required
        if strict and given.either:
            schema["oneOf"] = [{"required": [name]} for name in given.either]
        return schema

    def _member(self, use: str, member: Member) -> Document:
        name, listed = form.split(member.kind)
        known = forms.BODIES if use == "body" else forms.ANSWERS
        schema = self._reference(use, name) if name in known else _PLAIN[name]
        if listed:
            schema = {"type": "array", "items": schema}
        return {**schema, "description": member.text} if member.text else schema


def example(version: Version, name: str) -> Document | None:
    """Return an example of a body as a version wants it, None where the form has none."""
    given = forms.BODIES[name]
    if given.example is None:
        return None
    if not given.types:
        return dict(given.example)
    if version.strict:
        return {"@context": version.context, "@type": given.types[0], **given.example}
    return {"@context": {"@vocab": wire.CONTEXT["@vocab"]}, **given.example}
