"""Mutants of a policy, and an oracle that says which mean the same: both by themselves, without the code's help.

The oracle is the reading that DSP 2025-1's contract schema and JSON-LD give: order of rules, constraints and values
means nothing (but for andSequence), one is a list of one, an empty list and null are absent, `odrl:` and the whole IRI
are the bare word, `{"@id": word}` is the word, numbers and `{"@value": text}` are their text. `meaning` returns a form
that is equal exactly for equal meanings; what has none raises `UnreadableError`. A `lenient` wrapping has no meaning by
the schema, and a reader may take them or not.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

ODRL = "http://www.w3.org/ns/odrl/2/"
STRING = "xsd:string"
XSD = "http://www.w3.org/2001/XMLSchema#"
RULES = ("permission", "prohibition", "obligation")
LOGICAL = ("and", "or", "xone", "andSequence")
HEAD = {"@context", "@id", "@type", "uid", "target", "assigner", "assignee", "timestamp", "profile", *RULES}
DESCRIBING = ("dct:", "rdfs:")
TYPES = {"Rule", "Permission", "Prohibition", "Duty", "Constraint", "AtomicConstraint", "LogicalConstraint"}
SAME, OTHER, EITHER = "same", "other", "either"


class UnreadableError(Exception):
    """It has no meaning that everybody would agree on."""


class Mutant(NamedTuple):
    """A changed policy; `lenient`: a wrapping that a reader may take or not. `context` stands in the message."""

    kind: str
    where: str
    policy: Any
    lenient: bool = False
    context: Any = None


def bare(word: str) -> str:
    return word.removeprefix("odrl:").removeprefix(ODRL)


def members(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UnreadableError
    named = [(bare(name), inner) for name, inner in value.items() if inner is not None]
    found = dict(named)
    if len(found) != len(named):
        raise UnreadableError
    return found


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def word(value: Any) -> str:
    if isinstance(value, list) and len(value) == 1:
        return word(value[0])
    if isinstance(value, dict) and value.keys() == {"@id"}:
        return word(value["@id"])
    if not isinstance(value, str) or not value:
        raise UnreadableError
    return bare(value)


def _dump(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _operand(value: Any) -> Any:
    if isinstance(value, list):
        if any(isinstance(each, list) for each in value):
            raise UnreadableError
        items = sorted((_operand(each) for each in value), key=_dump)
        return items[0] if len(items) == 1 else items
    if isinstance(value, dict):
        if value.keys() <= {"@value", "@type"} and not isinstance(
            value.get("@value"), dict | list | type(None)
        ):
            kind = str(value.get("@type", "xsd:string")).replace(XSD, "xsd:")
            text = _operand(value["@value"])
            return text if kind == "xsd:string" else {"@value": text, "@type": kind}
        return value
    if value is None:
        raise UnreadableError
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _constraint(value: Any) -> Any:
    found = members(value)
    if found.get("@type") in TYPES:
        del found["@type"]
    logical = [name for name in LOGICAL if name in found]
    if logical:
        if len(logical) > 1 or found.keys() & {"leftOperand", "operator", "rightOperand"}:
            raise UnreadableError
        inner = [_constraint(each) for each in listed(found.pop(logical[0]))]
        if logical[0] != "andSequence":
            inner.sort(key=_dump)
        return {**found, logical[0]: inner}
    if not found.keys() >= {"leftOperand", "operator", "rightOperand"}:
        raise UnreadableError
    words = {name: word(found.pop(name)) for name in ("leftOperand", "operator")}
    return {**found, **words, "rightOperand": _operand(found.pop("rightOperand"))}


def _rule(value: Any, head: dict[str, Any]) -> Any:
    found = members(value)
    if "action" not in found:
        raise UnreadableError
    if found.get("@type") in TYPES:
        del found["@type"]
    action = word(found.pop("action"))
    constraints = sorted((_constraint(each) for each in listed(found.pop("constraint", None))), key=_dump)
    rest = {name: inner for name, inner in found.items() if name not in head or inner != head[name]}
    return {**rest, "action": action, "constraint": constraints}


def meaning(policy: Any) -> str:
    """The terms of an offer or agreement and what else it says, in one form."""
    found = members(policy)
    head = {
        name: found[name] for name in ("target", "assigner", "assignee") if isinstance(found.get(name), str)
    }
    rules = {
        kind: sorted((_rule(each, head) for each in listed(found.get(kind))), key=_dump) for kind in RULES
    }
    said = {
        name: inner for name, inner in found.items() if name not in HEAD and not name.startswith(DESCRIBING)
    }
    profile = sorted(word(each) for each in listed(found.get("profile")))
    return _dump({**said, "profile": profile, **{kind: each for kind, each in rules.items() if each}})


def terms_of(policy: Any) -> Any:
    """A policy without what it says besides its terms."""
    return (
        {name: value for name, value in policy.items() if bare(name) in HEAD}
        if isinstance(policy, dict)
        else policy
    )


def means(policy: Any, what: str) -> bool:
    try:
        return meaning(policy) == what
    except UnreadableError:
        return False


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every path of a document, its root not among them."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, each in inner:
        yield (*at, step)
        yield from places(each, (*at, step))


def get(document: Any, at: tuple[Any, ...]) -> Any:
    for step in at:
        document = document[step]
    return document


def put(document: Any, at: tuple[Any, ...], value: Any) -> Any:
    if not at:
        return value
    changed = copy.deepcopy(document)
    get(changed, at[:-1])[at[-1]] = value
    return changed


def renamed(document: Any, at: tuple[Any, ...], name: str) -> Any:
    parent = get(document, at[:-1])
    return put(document, at[:-1], {name if each == at[-1] else each: inner for each, inner in parent.items()})


LOOKALIKES = {
    "a": "а",
    "e": "е",
    "o": "о",
    "p": "р",
    "c": "с",
    "i": "і",
    "t": "ｔ",
    "s": "ѕ",
    "0": "０",
    "2": "２",
}


def lookalike(text: str) -> str:
    return next(
        (text.replace(each, other, 1) for each, other in LOOKALIKES.items() if each in text), text + "\u200b"
    )


def _of_text(text: str) -> Iterator[tuple[str, Any, bool]]:
    yield "replace", text + "x", False
    yield "replace", "", False
    for changed in (text.upper(), text.swapcase(), f" {text}", f"{text} ", f"{text}\u0000", f"{text}/"):
        yield "replace", changed, False
    yield "unicode", lookalike(text), False
    yield "unicode", text + "\u200b", False
    yield "unicode", "\u202e" + text, False
    yield "prefix", f"odrl:{text}", False
    yield "prefix", ODRL + text, False
    yield "prefix", f"dspace:{text}", False
    yield "prefix", f"https://evil.example/{text}", False
    for kind, changed in (
        ("id", {"@id": text}),
        ("value", {"@value": text}),
        ("value", {"@value": text, "@type": "xsd:string"}),
    ):
        yield "retype", changed, kind == "value"
    for changed in (7, 7.5, True, None, [], {}, {"@type": text}):
        yield "retype", changed, False
    yield "array", [text], False
    yield "array", [[text]], True
    yield "array", {"@set": [text]}, True
    yield "array", [text, text], False
    yield "array", [text, "other"], False


def _of_list(items: list[Any]) -> Iterator[tuple[str, Any, bool]]:
    yield "delete", [], False
    yield "reorder", items[::-1], False
    yield "reorder", items[1:] + items[:1], False
    yield "duplicate", [*items, copy.deepcopy(items[-1])], False
    yield "add", [*items, {}], False
    yield "add", [*items, None], False
    yield "array", items[0], False
    yield "array", [items], False
    yield "array", {"@list": items}, True
    yield "array", {str(place): each for place, each in enumerate(items)}, False
    yield "retype", json.dumps(items), False


def _of_object(value: dict[str, Any]) -> Iterator[tuple[str, Any, bool]]:
    yield "reorder", dict(reversed(value.items())), False
    yield "add", {**value, "x:limit": "1"}, False
    yield "add", {**value, "dct:title": "a title"}, False
    yield "add", {**value, "absent": None}, False
    yield "add", {**value, "duty": [{"action": "delete"}]}, False
    yield (
        "add",
        {**value, "constraint": [{"leftOperand": "count", "operator": "lteq", "rightOperand": "1"}]},
        False,
    )
    yield "add", {**value, "assignee": "did:web:other"}, False
    yield "array", [value], False
    yield "retype", json.dumps(value), False
    yield "retype", {"@value": json.dumps(value)}, False


def numbers(text: str) -> list[Any]:
    return [int(text), float(text), f"{text}.0", f"0{text}", f"+{text}", f"{text}e0", int(text) + 1]


def of_terms(policy: dict[str, Any]) -> Iterator[Mutant]:
    """Mutants of every path of a policy."""
    yield Mutant("reorder", "$", dict(reversed(policy.items())))
    for kind, changed, lenient in _of_object(policy):
        if isinstance(changed, dict):
            yield Mutant(kind, "$", changed, lenient)
    for at in places(policy):
        where, value = "$." + ".".join(map(str, at)), get(policy, at)
        parent = get(policy, at[:-1])
        rest = copy.deepcopy(policy)
        del get(rest, at[:-1])[at[-1]]
        yield Mutant("delete", where, rest)
        if isinstance(parent, dict):
            for name in (f"odrl:{at[-1]}", ODRL + at[-1], at[-1].upper(), lookalike(at[-1]), f"x:{at[-1]}"):
                kind = "prefix" if ":" in name else "unicode" if not name.isascii() else "replace"
                yield Mutant(
                    kind, where, renamed(policy, at, name), lenient=at[-1].startswith("@") and ":" in name
                )
            for name in (f"odrl:{at[-1]}", ODRL + at[-1]):
                yield Mutant("duplicate", where, put(policy, at[:-1], {**parent, name: copy.deepcopy(value)}))
        kinds = {str: _of_text, list: _of_list, dict: _of_object}
        for kind, changed, lenient in kinds[type(value)](value):
            yield Mutant(kind, where, put(policy, at, changed), lenient)
        if isinstance(value, str) and value.isdigit():
            for number in (
                int(value),
                float(value),
                f"{value}.0",
                f"0{value}",
                f"+{value}",
                f"{value}e0",
                int(value) + 1,
            ):
                yield Mutant("number", where, put(policy, at, number))


def of_context(policy: dict[str, Any]) -> Iterator[Mutant]:
    """Contexts that come with a policy: harmless ones, and such as give its words another meaning."""
    harmless = ["https://w3id.org/catenax/2025/9/policy/context.jsonld", {"y": "urn:y:"}, {"odrl": ODRL}]
    words = [
        *RULES,
        "action",
        "constraint",
        "use",
        "leftOperand",
        "operator",
        "rightOperand",
        "target",
        "lteq",
        "odrl",
        "dct",
    ]
    hostile = [{name: "urn:x:other"} for name in words]
    hostile += [
        {"@vocab": "urn:x:"},
        {"@base": "urn:x:"},
        {"kind": "@type"},
        {"rdfs": ODRL},
        {"dct:title": "odrl:prohibition"},
    ]
    for context in (*harmless, *hostile):
        yield Mutant("context", "message", policy, context=context)
        yield Mutant("context", "policy", {**policy, "@context": [context]})
        yield Mutant("context", "policy", {**policy, "@context": context})


def is_hostile(context: Any) -> bool:
    """Whether a further context redefines something: all those above with more than one letter in a name."""
    return isinstance(context, dict) and any(
        (name != "y" and meant != ODRL) or name == "rdfs" for name, meant in context.items()
    )


def _is_agreement(kind: Any) -> bool:
    try:
        return word(kind) == "Agreement"
    except UnreadableError:
        return False


def oracle(mutant: Mutant, own: str, head: dict[str, str]) -> str:
    """What a mutant of an agreement is to an offer with the meaning `own`; `head` are target and parties."""
    contexts = [mutant.context]
    if isinstance(mutant.policy, dict):
        contexts += listed(mutant.policy.get("@context"))
    if any(map(is_hostile, contexts)):
        return OTHER
    try:
        found = members(mutant.policy)
        same = meaning(mutant.policy) == own and all(found.get(name) == value for name, value in head.items())
        named = isinstance(found.get("@id"), str) and found["@id"]
    except UnreadableError:
        return EITHER if mutant.lenient else OTHER
    if not same or not named:
        lenient = mutant.lenient or (
            mutant.where in {f"$.{name}" for name in (*head, "@id")} and mutant.kind in {"retype", "array"}
        )
        return EITHER if lenient else OTHER
    if "assigner" in head and "@type" in found and not _is_agreement(found["@type"]):
        return OTHER
    head_only = mutant.where in {"$.@id", "$.@type", "$.timestamp"}
    return EITHER if head_only or mutant.lenient else SAME
