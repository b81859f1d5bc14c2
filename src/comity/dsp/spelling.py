"""Other spellings of a document: names with a prefix or as whole IRIs, further contexts, and earlier protocol versions.

JSON-LD lets one name be written in three ways; the specification asks for the bare one. The others are read where they
mean the same, and refused where two of them stand side by side. Who calls: `codec` for what comes in, the control
plane for answers and for what is passed on.
"""

from __future__ import annotations

from typing import Any

from comity import errors
from comity.dsp import terms
from comity.odrl import vocabulary

Document = dict[str, Any]
POLICIES = ("offer", "agreement")
_PREFIX = "dspace:"
_EARLIER = tuple(terms.EARLIER)


def bare(name: Any) -> Any:
    """Return a name without the protocol's prefix or namespace; whatever is no text as it is."""
    return name.removeprefix(_PREFIX).removeprefix(terms.NAMESPACE) if isinstance(name, str) else name


def plain(document: Document) -> Document:
    """Return a message with bare names, also those of its offer or agreement; null means absent.

    Raises:
        InvalidInputError: a name is given twice, in two spellings.
    """
    found = _named(document, bare, "$")
    for name in POLICIES:
        if isinstance(found.get(name), dict):
            found[name] = plain_policy(found[name], f"$.{name}")
    return found


def plain_policy(policy: Document, path: str = "$") -> Document:
    """Return an offer or agreement with bare names at its top; its rules stay as they are written.

    Raises:
        InvalidInputError: a name is given twice, in two spellings.
    """
    return _named(policy, vocabulary.term, path) if any(":" in name for name in policy) else policy


def _named(document: Document, spell: Any, path: str) -> Document:
    found: Document = {}
    for written, value in document.items():
        if value is None:
            continue
        name = spell(written) if ":" in written else written
        if name in found:
            raise errors.InvalidInputError(
                f"{name[:100]} is given twice, in two spellings", path=f"{path}.{name[:100]}"
            )
        found[name] = value
    return found


def further(context: Any) -> list[Any]:
    """Return what a context names besides the protocol's own: other documents (texts) and inline ones (objects)."""
    listed = context if isinstance(context, list) else [context]
    return [each for each in listed if each and each != terms.CONTEXT]


def within(policy: Document, context: Any) -> Document:
    """Return an offer or agreement with what the context of its message names further, so that it stands for itself."""
    found = [*further(context), *further(policy.get("@context"))]
    return {**policy, "@context": found} if found else policy


def check_context(context: Any, path: str) -> None:
    """Refuse an inline context that gives another meaning to what is read here without it; JSON-LD forbids that too.

    Raises:
        InvalidInputError: a name of the protocol's, a prefix or a rule of JSON-LD is redefined.
    """
    if not isinstance(context, list | dict):
        return
    for each in context if isinstance(context, list) else [context]:
        for name, meaning in each.items() if isinstance(each, dict) else ():
            known = terms.PREFIXES.get(name.partition(":")[0])
            if known is None and name not in terms.OWN and name[:1] != "@" and str(meaning)[:1] != "@":
                continue
            if meaning != known or ":" in name:
                raise errors.InvalidInputError(
                    f"this context gives {name[:100]} another meaning; what the protocol defines stays",
                    path=path,
                )


def meanings(policy: Document, text: str) -> dict[str, Any]:
    """Return what the inline contexts of a policy say of the names and prefixes that stand in `text`."""
    inline = [each for each in further(policy.get("@context")) if isinstance(each, dict)]
    return {
        name: meaning
        for each in inline
        for name, meaning in each.items()
        if f'"{name}"' in text or f'"{name}:' in text
    }


def sent(policy: Document) -> tuple[list[str], Document]:
    """Return the context of a message that carries `policy`, and `policy` as it stands in it.

    The schemas want texts in a message's context; what a policy's context says inline stays inside the policy.
    """
    if "@context" not in policy:
        return [terms.CONTEXT], policy
    found = further(policy["@context"])
    texts = list(dict.fromkeys(each for each in found if isinstance(each, str)))
    inline = [each for each in found if not isinstance(each, str)]
    bare_policy = {name: value for name, value in policy.items() if name != "@context"}
    return [terms.CONTEXT, *texts], {**bare_policy, **({"@context": inline} if inline else {})}


def earlier(document: Document) -> str:
    """Return the earlier version of the protocol in whose names a document is written, or "".

    Without a context, names with `dspace:` are of one of them, as 2025-1 has bare names.
    """
    words = [document.get("@type"), *document, *_words(document.get("@context"))]
    if any(isinstance(each, str) and each.startswith(_EARLIER) for each in words):
        return next(
            version
            for namespace, version in terms.EARLIER.items()
            if any(isinstance(each, str) and each.startswith(namespace) for each in words)
        )
    prefixed = any(name.startswith(_PREFIX) for name in document)
    return " or ".join(terms.EARLIER.values()) if prefixed and not _names_ours(document) else ""


def _names_ours(document: Document) -> bool:
    return any(
        isinstance(each, str) and each.startswith(terms.NAMESPACE)
        for each in _words(document.get("@context"))
    )


def _words(context: Any) -> list[Any]:
    """Return the texts of a context: the documents it names, and the namespaces of its prefixes."""
    listed = context if isinstance(context, list) else [context]
    return [word for each in listed for word in (each.values() if isinstance(each, dict) else [each])]
