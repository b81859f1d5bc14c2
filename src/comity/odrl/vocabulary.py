"""The words of ODRL 2.2 that this connector knows, and one spelling for each.

`odrl:use`, `http://www.w3.org/ns/odrl/2/use` and `use` are one term; the bare word is what DSP 2025-1 writes.
A word that is not listed here is unknown: it is kept and compared, and it never allows anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

Kind: TypeAlias = Literal["text", "time", "number", "duration"]
#: What a left operand's value is made of. Text may be several values at once, the others are one.
KINDS: Final = ("text", "time", "number", "duration")

_LENGTH: Final = 200

ORDER: Final = frozenset({"lt", "lteq", "gt", "gteq"})
OPERATORS: Final = ORDER | {"eq", "neq", "isA", "hasPart", "isPartOf", "isAllOf", "isAnyOf", "isNoneOf"}
#: The schema's enumeration has a word more (a slip, it is not in the context): legal, but unknown to us.
SCHEMA_OPERATORS: Final = OPERATORS | {"term-lteq"}

LOGICAL: Final = ("and", "andSequence", "or", "xone")

_IN_USE = (
    "acceptTracking aggregate annotate anonymize archive attribute compensate concurrentUse delete "
    "derive digitize distribute ensureExclusivity execute grantUse include index inform install modify "
    "move nextPolicy obtainConsent play present print read reproduce reviewPolicy stream synchronize "
    "textToSpeech transform translate uninstall watermark"
)
#: Action -> the action that includes it (ODRL vocabulary 2.2, `includedIn`); nothing includes the two roots.
#: `access` is Catena-X's: to see an offer, which is what an access policy is asked about.
ACTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "use": "",
        "transfer": "",
        **dict.fromkeys(_IN_USE.split(), "use"),
        "display": "play",
        "extract": "reproduce",
        "give": "transfer",
        "sell": "transfer",
        "access": "use",
    }
)

_ODRL = ("odrl:", "http://www.w3.org/ns/odrl/2/", "https://www.w3.org/ns/odrl/2/")
_XSD = ("xs:", "http://www.w3.org/2001/XMLSchema#", "https://www.w3.org/2001/XMLSchema#")
_ANNOTATIONS = (
    "dc:",
    "dct:",
    "dcterms:",
    "rdfs:",
    "skos:",
    "http://purl.org/dc/",
    "http://www.w3.org/2000/01/rdf-schema#",
    "http://www.w3.org/2004/02/skos/core#",
)


def term(name: str) -> str:
    """Return the bare word of an ODRL term in any spelling; other names come back unchanged."""
    if ":" in name:
        for prefix in _ODRL:
            if name.startswith(prefix):
                return name[len(prefix) :]
    return name


def datatype(name: str) -> str:
    """Return an XML Schema datatype in any spelling as `xsd:name`; other names come back unchanged."""
    for prefix in _XSD:
        if name.startswith(prefix):
            return "xsd:" + name[len(prefix) :]
    return name


def printable(text: str) -> str:
    """Return text from a partner so that it can stand in a message or a log: short, on one line."""
    short = text if len(text) <= _LENGTH else text[: _LENGTH - 2] + ".."
    return short if short.isprintable() else "".join(sign if sign.isprintable() else "?" for sign in short)


def annotates(member: str) -> bool:
    """Tell whether a member only describes (a title, a label) and so cannot limit what a rule says."""
    return member in ("@id", "uid") or member.startswith(_ANNOTATIONS)


def covers(rule_action: str, asked: str) -> bool:
    """Tell whether a rule about `rule_action` is about `asked` too, since one action includes others."""
    while asked:
        if asked == rule_action:
            return True
        asked = ACTIONS.get(asked, "")
    return False
