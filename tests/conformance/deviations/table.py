"""Where other connectors deviate from the specification, and what we do about it: one table, read by tests and people.

A row: what the other side does; whether it is taken; why; and how to do it in a test. `docs/reference/protocol.md` has
the same rows (first three columns), which a test compares. A new deviation seen in the field is a new row here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from support import wire

OLD = "https://w3id.org/dspace/2024/1/"
OLDER = "https://w3id.org/dspace/v0.8/"
NOW = "https://w3id.org/dspace/2025/1/"
EDC = "https://w3id.org/edc/dspace/v0.0.1"
ODRL = "http://www.w3.org/ns/odrl/2/"
CX = "https://w3id.org/catenax/2025/9/policy/context.jsonld"


class Deviation(NamedTuple):
    """`change` makes the deviating thing of a right one."""

    what: str
    taken: bool
    why: str
    change: Callable[[Any], Any]


def has(**fields: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Other members; names with `__` for `@`; None takes one away."""

    def change(document):
        named = {name.replace("__", "@"): value for name, value in fields.items()}
        return {name: value for name, value in {**document, **named}.items() if value is not None}

    return change


def renamed(names: dict[str, str]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda document: {names.get(name, name): value for name, value in document.items()}


def nulled(*names: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda document: {**document, **dict.fromkeys(names)}


def offer(change: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda document: {**document, "offer": change(document["offer"])}


def agreement(change: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda document: {**document, "agreement": change(document["agreement"])}


def rule(change: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda policy: {**policy, "permission": [change(each) for each in policy["permission"]]}


def prefixed(document: dict[str, Any]) -> dict[str, Any]:
    return {name if name.startswith("@") else f"dspace:{name}": value for name, value in document.items()}


def add(name: str, value: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda document: {**document, name: value}


def same_again(name: str, spelling: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda document: {**document, spelling: document[name]}


def bytes_of(change: Callable[[bytes], bytes]) -> Callable[[dict[str, Any]], bytes]:
    return lambda document: change(wire.encode(document))


OTHERS = "the meaning is the same in JSON-LD"
NEWER = "a newer or another connector may say more; what is not known here is kept and passed on"
TWO = "two readers would read two things"
EARLIER = "names and forms differ from 2025-1; the answer names both versions"

REQUESTS = [
    Deviation("`@context` is one string", True, OTHERS, has(__context=wire.CONTEXT)),
    Deviation("EDC's second context", True, NEWER, has(__context=[wire.CONTEXT, EDC])),
    Deviation("further contexts, as texts or inline; never fetched", True, NEWER,
              has(__context=[CX, wire.CONTEXT, {"x": "urn:x"}])),
    Deviation("a further context that gives a name or prefix of the protocol another meaning", False, TWO,
              has(__context=[wire.CONTEXT, {"permission": "urn:x"}])),
    Deviation("`@type` with the prefix `dspace:`", True, OTHERS, has(__type="dspace:ContractRequestMessage")),
    Deviation("`@type` as a whole IRI", True, OTHERS, has(__type=NOW + "ContractRequestMessage")),
    Deviation("`@type` as a list of one", True, OTHERS, has(__type=["ContractRequestMessage"])),
    Deviation("members with the prefix `dspace:` under the 2025-1 context", True, OTHERS, prefixed),
    Deviation("members as whole IRIs", True, OTHERS, renamed({"consumerPid": NOW + "consumerPid"})),
    Deviation("members that are not known", True, NEWER, has(**{"urn:x": {"a": [1, None]}})),
    Deviation("`null` for a member that is absent", True, "some serializers write every field",
              nulled("providerPid", "extra")),
    Deviation("a message without `@id`", True, "the schemas do not have it; repeats are then known by their content",
              has(__id=None)),
    Deviation("an offer with `@type` `odrl:Offer`", True, OTHERS, offer(has(__type="odrl:Offer"))),
    Deviation("an offer without `@type`", True, "its place says what it is", offer(has(__type=None))),
    Deviation("`permission` as one object", True, "one is a list of one", offer(lambda one: {
        **one, "permission": one["permission"][0]})),
    Deviation("`prohibition: []`, `obligation: []`", True, "an empty list says nothing",
              offer(has(prohibition=[], obligation=[]))),
    Deviation("members of an offer with `odrl:` or as whole IRIs", True, OTHERS,
              offer(renamed({"permission": "odrl:permission", "target": ODRL + "target"}))),
    Deviation("`action` as an object with `@id`", True, OTHERS, offer(rule(has(action={"@id": "odrl:use"})))),
    Deviation("`constraint: []`", True, "an empty list says nothing", offer(rule(has(constraint=[])))),
    Deviation("`assigner` and `assignee` in an offer", True, "earlier versions had them; the parties are known",
              offer(has(assigner="did:web:a.example", assignee="did:web:b.example"))),
    Deviation("a slash at the end of `callbackAddress`", True, "the specification says so",
              lambda document: {**document, "callbackAddress": document["callbackAddress"] + "/"}),
    Deviation("the context of 2024-1", False, EARLIER, has(__context=[OLD + "context.json"])),
    Deviation("the context of 0.8", False, EARLIER, has(__context={"dspace": OLDER})),
    Deviation("names with `dspace:` and no context of 2025-1", False, EARLIER,
              lambda document: {**prefixed(document), "@context": None}),
    Deviation("the contexts of 2024-1 and 2025-1 together", False, TWO,
              has(__context=[wire.CONTEXT, OLD + "context.json"])),
    Deviation("no context", False, "its words have no meaning", has(__context=None)),
    Deviation("the context as an object only", False, "it would have to be processed as JSON-LD",
              has(__context={"@vocab": NOW})),
    Deviation("`@type` as a list of two", False, TWO, has(__type=["ContractRequestMessage", "ContractOfferMessage"])),
    Deviation("a pid in two spellings", False, TWO, same_again("consumerPid", "dspace:consumerPid")),
    Deviation("`permission` and `odrl:permission`", False, TWO, offer(same_again("permission", "odrl:permission"))),
    Deviation("`target` and `odrl:target`", False, TWO, offer(same_again("target", "odrl:target"))),
    Deviation("a pid as an object with `@id`", False, "the schema has a text, and so has every known connector",
              has(consumerPid={"@id": "urn:c"})),
    Deviation("an offer as its id only", False, "there is nothing to agree to", has(offer="urn:o")),
    Deviation("a first request with `providerPid`", False, "it says that it is none", has(providerPid="urn:p")),
    Deviation("a key twice in one object", False, TWO,
              bytes_of(lambda body: body[:-1] + b', "consumerPid": "urn:x"}')),
    Deviation("a byte order mark", False, "JSON has none (RFC 8259), and its digest would be another",
              bytes_of(lambda body: b"\xef\xbb\xbf" + body)),
]  # fmt: skip
"""A consumer's first request."""

AGREEMENTS = [
    Deviation("`callbackAddress` in an agreement message", True, "earlier versions had it", has(
        callbackAddress="https://a.example")),
    Deviation("a timestamp without seconds", True, "xsd:dateTime has them, the moment is plain; kept as it is",
              agreement(has(timestamp="2026-01-01T10:00Z"))),
    Deviation("a timestamp with an offset", True, "xsd:dateTime allows it",
              agreement(has(timestamp="2026-01-01T10:00:00+02:00"))),
    Deviation("an agreement without a timestamp", True, "the schema does not ask for it",
              agreement(has(timestamp=None))),
    Deviation("an agreement with `@type` `odrl:Agreement`", True, OTHERS, agreement(has(__type="odrl:Agreement"))),
    Deviation("an agreement with empty lists", True, "an empty list says nothing",
              agreement(has(prohibition=[], obligation=[]))),
    Deviation("members of an agreement with `odrl:`", True, OTHERS,
              agreement(renamed({"permission": "odrl:permission", "assigner": "odrl:assigner"}))),
    Deviation("a title or description in an agreement", True, NEWER, agreement(add("dct:title", "T"))),
    Deviation("a further context of an agreement", True, NEWER, has(__context=[wire.CONTEXT, CX])),
    Deviation("a member of an agreement that may limit it and was not offered", False,
              "an agreement is the offer, nothing more", agreement(add("x:limit", 1))),
    Deviation("an agreement with `assigner` in two spellings", False, TWO,
              agreement(same_again("assigner", "odrl:assigner"))),
    Deviation("an agreement with a rule more", False, "an agreement is the offer, nothing more",
              agreement(lambda one: {**one, "prohibition": [{"action": "use"}]})),
    Deviation("a providerPid that is not the one of before", False, TWO, has(providerPid="urn:other")),
]  # fmt: skip
"""A provider's agreement."""

EVENTS = [
    Deviation("`eventType` with the prefix `dspace:`", True, OTHERS, has(eventType="dspace:ACCEPTED")),
    Deviation("`eventType` as a whole IRI", True, OTHERS, has(eventType=NOW + "ACCEPTED")),
    Deviation("an `eventType` that is no event", False, "there is no such step", has(eventType="REFUSED")),
]
"""A consumer's acceptance."""

TERMINATIONS = [
    Deviation("`reason` as a text", True, "the schema has a list; it is shown as it is", has(reason="enough")),
    Deviation("`reason` as objects", True, "multilingual in earlier versions", has(reason=[{"message": "enough"}])),
    Deviation("`reason` in languages", True, "multilingual in earlier versions",
              has(reason=[{"@value": "enough", "@language": "en"}])),
    Deviation("no `reason`, no `code`", True, "both are optional", has(reason=None)),
    Deviation("`reason: []`", True, "an empty list says nothing", has(reason=[])),
    Deviation("`code` as a number", True, "the schema does not say", has(code=7)),
]  # fmt: skip
"""A consumer's termination."""

HEADERS = [
    Deviation("`Content-Type` with a charset", True, "JSON is UTF-8 in any case",
              {"Content-Type": "application/json; charset=utf-8"}),
    Deviation("`Content-Type: application/ld+json`", True, "it is JSON, the specification allows it",
              {"Content-Type": "application/ld+json"}),
    Deviation("no `Content-Type`", True, "the path says what it is", {"Content-Type": ""}),
    Deviation("a body with `Content-Encoding`", False, "status 415: what comes in is never unpacked",
              {"Content-Encoding": "gzip"}),
]  # fmt: skip
"""Headers of a first request."""

ANSWERS = [
    Deviation("200 for 201", True, "EDC answers so", lambda reply: (200, reply)),
    Deviation("202 for 201", True, "any 2xx means that it was taken", lambda reply: (202, reply)),
    Deviation("an answer without `@context` and `@type`", True, "clients may process it; only the pids are needed",
              lambda reply: (201, has(__context=None, __type=None)(reply))),
    Deviation("an answer with the prefix `dspace:`", True, OTHERS, lambda reply: (201, prefixed(reply))),
    Deviation("an answer with unknown and `null` members", True, NEWER,
              lambda reply: (201, {**reply, "x": 1, "error": None})),
    Deviation("a first answer without pids", False,
              "the process could not be found again; the request is repeated until the answer has them",
              lambda reply: (201, {})),
    Deviation("a first answer with a pid in two spellings", False, TWO + "; repeated",
              lambda reply: (201, {**reply, "dspace:providerPid": "urn:other"})),
]  # fmt: skip
"""A provider's answer to our first request."""

LATER_ANSWERS = [
    Deviation("an empty body with 200", True, "the specification asks for none", (200, b"")),
    Deviation("204 for 200", True, "any 2xx means that it was taken", (204, b"")),
    Deviation(
        "a body with 200 that is no JSON", True, "clients need not process it", (200, b"<html>ok</html>")
    ),
]
"""A consumer's answer to our agreement."""

REFUSALS = [
    Deviation("an error without pids", True, "EDC leaves them out; the words are shown",
              b'{"@type": "ContractNegotiationError", "code": "400", "reason": ["no such offer"]}'),
    Deviation("an error with the prefix `dspace:`", True, OTHERS,
              b'{"@type": "dspace:ContractNegotiationError", "dspace:reason": [{"@value": "no such offer"}]}'),
    Deviation("an error of the management API's kind", True, "EDC answers so before it reads the message",
              b'[{"message": "no such offer", "type": "ObjectNotFound"}]'),
    Deviation("an error that is a text", True, "a proxy or a server answers so", b"no such offer"),
]  # fmt: skip
"""A provider's refusal: its words arrive at our operator."""


def datasets(change: Callable[[Any], Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda catalog: {**catalog, "dataset": change(catalog["dataset"])}


def policies(change: Callable[[Any], Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return datasets(lambda listed: [{**each, "hasPolicy": change(each["hasPolicy"])} for each in listed])


CATALOGS = [
    Deviation("`dataset` as one object", True, "one is a list of one", datasets(lambda listed: listed[0])),
    Deviation("`dataset: []`", True, "an empty list says nothing", datasets(lambda listed: [])),
    Deviation("`dcat:dataset`, `odrl:hasPolicy`", True, OTHERS, lambda catalog: renamed({"dataset": "dcat:dataset"})(
        datasets(lambda listed: [renamed({"hasPolicy": "odrl:hasPolicy"})(each) for each in listed])(catalog))),
    Deviation("`hasPolicy` as one object", True, "one is a list of one", policies(lambda listed: listed[0])),
    Deviation("a target in an offer of a catalog", True, "it is the dataset's id anyway",
              policies(lambda listed: [{**each, "target": "asset"} for each in listed])),
    Deviation("members of datasets, offers and distributions that are not known", True, NEWER, datasets(
        lambda listed: [{**each, "x:y": {"z": [1]}} for each in listed])),
    Deviation("`dataset` and `dcat:dataset`", False, TWO, same_again("dataset", "dcat:dataset")),
    Deviation("a dataset without `@id`", False, "it cannot be asked for", datasets(
        lambda listed: [has(__id=None)(each) for each in listed])),
]  # fmt: skip
"""A provider's catalog."""

GROUPS = {
    "requests": REQUESTS,
    "headers": HEADERS,
    "agreements": AGREEMENTS,
    "events": EVENTS,
    "terminations": TERMINATIONS,
    "answers": ANSWERS,
    "later answers": LATER_ANSWERS,
    "refusals": REFUSALS,
    "catalogs": CATALOGS,
}
