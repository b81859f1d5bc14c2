"""EDC's payloads, and the same written with the other names that JSON-LD allows."""

from __future__ import annotations

from typing import Any

EDC = "https://w3id.org/edc/v0.0.1/ns/"
USE = {"@type": "Set", "permission": [{"action": "use"}]}
OPEN = frozenset({"properties", "privateProperties", "dataAddress", "dataDestination", "querySpec"})
LISTS = frozenset({"filterExpression", "assetsSelector"})


def compact(document: dict[str, Any]) -> dict[str, Any]:
    """As EDC's own examples: bare names under a vocabulary."""
    return {"@context": {"@vocab": EDC}, **document}


def prefixed(document: dict[str, Any]) -> dict[str, Any]:
    """With `edc:` before every name of EDC's."""
    return {"@context": {"edc": EDC}, **_renamed(document, "edc:")}


def full(document: dict[str, Any]) -> dict[str, Any]:
    """With whole IRIs and no context."""
    return _renamed(document, EDC)


def with_nulls(document: dict[str, Any]) -> dict[str, Any]:
    """As clients write that serialize every field they know."""
    unset = (
        "description",
        "callbackAddresses",
        "privateProperties",
        "querySpec",
        "additionalScopes",
        "@context",
    )
    return {**dict.fromkeys(unset), **document}


SPELLINGS = (compact, prefixed, full, with_nulls)


def _renamed(value: Any, before: str) -> Any:
    found = {}
    for name, member in value.items():
        if name in OPEN:
            member = _renamed(member, before)  # noqa: PLW2901
        elif name in LISTS:
            member = [_renamed(each, before) for each in member]  # noqa: PLW2901
        found[name if name.startswith("@") or ":" in name else before + name] = member
    return found


def criterion(left: str, operator: str, right: Any) -> dict[str, Any]:
    return {"operandLeft": left, "operator": operator, "operandRight": right}


def query(*criteria: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"@type": "QuerySpec", "filterExpression": list(criteria), **more}
