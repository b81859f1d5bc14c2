"""The version endpoint's document, ours and a partner's: which versions a connector speaks, and where.

Source: Dataspace Protocol 2025-1, "Exposure of Dataspace Protocol Versions": unversioned, unauthenticated, no context.
Earlier versions wrote the same document as JSON-LD (`dspace:protocolVersions`, whole IRIs, `2024/1`, `v0.8`); it is
read too, so that a refusal can name what the other side speaks. Fetching it is `comity.net.dsp`'s part.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

from comity.dsp import terms

BINDING: Final = "HTTPS"
_KNOWN_AUTH: Final = frozenset({"", "dcp"})
_KNOWN_IDENTIFIERS: Final = frozenset({"", "did:web"})
_WRAPPERS: Final = frozenset({"@value", "@id", "@list", "@set"})
_BESIDE: Final = _WRAPPERS | {"@type", "@language"}
_MAX_ENTRIES: Final = 100
_MAX_SHOWN: Final = 10
_MAX_WORD: Final = 40


class Entry(Struct, frozen=True):
    """One version that a connector offers; a member that it does not name is empty, `path` None where it is no text."""

    version: str
    path: str | None
    binding: str
    auth: str = ""
    identifier_type: str = ""

    @property
    def ours(self) -> bool:
        """Whether it is the version, over the binding, that this connector speaks."""
        return self.version == terms.VERSION and self.binding in {"", BINDING} and self.path is not None


def document(participant_id: str) -> dict[str, Any]:
    """Return the answer of `/.well-known/dspace-version`; paths count from where that lies."""
    entry: dict[str, Any] = {"version": terms.VERSION, "path": terms.VERSION_PATH, "binding": BINDING}
    if participant_id.startswith("did:web:"):
        entry["identifierType"] = "did:web"
    entry["serviceId"] = participant_id
    return {"protocolVersions": [entry]}


def read(answer: dict[str, Any]) -> list[Entry]:
    """Return the versions that a partner's answer lists; what is no entry is left out."""
    listed = _plain(_member(answer, "protocolVersions"))
    entries = listed if isinstance(listed, list) else [listed]
    return [_entry(each) for each in entries[:_MAX_ENTRIES] if isinstance(each, dict)]


def choose(entries: list[Entry]) -> Entry | None:
    """Return the entry to talk through, None if there is none.

    Of several it is the first whose authentication and kind of identifier are ours or are not named.
    """
    usable = [each for each in entries if each.ours]
    return min(usable, key=_strangeness, default=None)


def _strangeness(entry: Entry) -> tuple[bool, bool]:
    return entry.auth not in _KNOWN_AUTH, entry.identifier_type not in _KNOWN_IDENTIFIERS


def describe(entries: list[Entry]) -> str:
    """Name the versions for a person, such as `2024-1, 0.8 (GRPC)`; `no version` if there is none."""
    named = [
        (each.version or "one without a name")
        + (f" ({each.binding or 'no binding'})" if each.binding not in {"", BINDING} else "")
        + (" without a usable path" if each.version == terms.VERSION and each.path is None else "")
        for each in entries
    ]
    return ", ".join(list(dict.fromkeys(named))[:_MAX_SHOWN]) or "no version"


def _entry(found: dict[str, Any]) -> Entry:
    path = _plain(_member(found, "path"))
    auth = _plain(_member(found, "auth"))
    return Entry(
        version=normal(_word(_member(found, "version"))),
        path=path if isinstance(path, str) else None,
        binding=_word(_member(found, "binding")).upper(),
        auth=_word(_member(auth, "protocol")).lower() if isinstance(auth, dict) else "",
        identifier_type=_word(_member(found, "identifierType")).lower(),
    )


def normal(version: str) -> str:
    """Return a version as the specification writes it: `2024/1` and `2024-01` are `2024-1`, `v0.8` is `0.8`."""
    text = version.strip().removeprefix("v").replace("/", "-")
    year, dash, number = text.partition("-")
    return f"{year}-{number.lstrip('0')}" if dash and number.isdigit() and number.strip("0") else text


def _member(found: dict[str, Any], name: str) -> Any:
    """Return a member under its bare name, with the prefix, or as a whole IRI of any version."""
    for key in (name, f"dspace:{name}"):
        if found.get(key) is not None:
            return found[key]
    for each in terms.NAMESPACES:
        if found.get(each + name) is not None:
            return found[each + name]
    return None


def _plain(value: Any) -> Any:
    """Return what stands inside the wrappings of JSON-LD: `{"@value": x}`, `{"@list": x}`, a list of one."""
    for _ in range(4):
        if isinstance(value, dict) and value.keys() <= _BESIDE and (names := _WRAPPERS & value.keys()):
            value = value[min(names)]
        elif isinstance(value, list) and len(value) == 1:
            value = value[0]
        else:
            break
    return value


def _word(value: Any) -> str:
    plain = _plain(value)
    text = plain if isinstance(plain, str) else str(plain) if isinstance(plain, int | float) else ""
    return "".join(sign for sign in text[:_MAX_WORD] if sign.isprintable())
