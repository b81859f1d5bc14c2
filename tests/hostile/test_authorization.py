"""Every endpoint x every kind of caller x {own, another's, missing object}, as docs/reference/authorization.md says.

COMITY_TIMING sets how many pairs of answers are timed (80; 5,000 for a figure worth publishing).
"""

from __future__ import annotations

import math
import os
import re
import time
import types
from dataclasses import dataclass, field
from urllib.parse import quote

import aiohttp
import pytest
from starlette.responses import Response
from starlette.routing import Route

from comity.api import dsp
from comity.api.management import endpoints
from comity.api.management.call import Row
from comity.controlplane import apikeys, partners
from comity.db import apikeys as key_rows
from comity.db.apikeys import ApiKey
from comity.dsp import terms
from comity.identity import jose
from comity.management import roles
from hostile import authorization as matrix
from support import asgi, handed, wire
from support.pair import offer_of
from support.process import PATHS, finalized
from support.process import started as started_transfer

MISSING = "urn:uuid:00000000-0000-4000-8000-000000000000"
KINDS = {
    (collection, path): kind
    for kind, path in PATHS.items()
    for collection in ("transfers" if kind.startswith("Transfer") else "negotiations",)
}
PAIRS = int(os.environ.get("COMITY_TIMING", "80"))
OWNER, OTHER, STRANGER = "owner", "other", "stranger"
GOOD = (*roles.ROLES, "data folder")
USE = {"@id": "urn:o", "@type": "Offer", "target": "asset", "permission": [{"action": "use"}]}


@dataclass
class World:
    """A connector, A who has one of everything, C who has not, and all that opens any door."""

    site: object
    a: object
    c: object
    strangers: dict[str, object]
    session: aiohttp.ClientSession
    keys: dict[str, str] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)


@pytest.fixture
async def world(site, peer, peers, tmp_path):
    c, removed, unknown = await peers(), await peers(), await peers()
    for each in (c, removed):
        await site.befriend(each)
    await partners.remove(site.connector, removed.did)
    async with aiohttp.ClientSession(headers={"User-Agent": "scripted"}) as session:
        made = World(site, peer, c, {"removed partner": removed, "unknown participant": unknown}, session)
        await site.publish()
        await site.publish("hidden", policy=wire.constrained("recipient", "eq", peer.did))
        await fill(made, tmp_path)
        await add_keys(made)
        yield made


async def fill(world, tmp_path):
    site, a, c = world.site, world.a, world.c
    sold, world.ids["agreement"] = await finalized(a, site)
    handed_over, world.ids["data"], world.tokens["data"] = await started_transfer(
        a, site, world.ids["agreement"]
    )
    _, others = await finalized(c, site)
    _, _, world.tokens["C's data"] = await started_transfer(c, site, others)
    pushed = await handed.hand_over(site, a, world.session, tmp_path)
    await pushed.start()
    world.tokens["inbox"] = pushed.authorization
    world.ids |= {"negotiations": sold.theirs, "transfers": handed_over.theirs, "inbox": pushed.id}
    world.ids |= {"offer": offer_of(await a.dataset(site, "hidden"))["@id"]}
    (bought,) = await site.rows("SELECT id FROM negotiation WHERE role = 'consumer'")  # `hand_over` bought it
    world.ids |= {"negotiations as consumer": bought[0], "dataset": "hidden"}
    world.ids["pids"] = {
        sold.theirs: {"providerPid": sold.theirs, "consumerPid": sold.pid},
        handed_over.theirs: {"providerPid": handed_over.theirs, "consumerPid": handed_over.pid},
        world.ids["negotiations as consumer"]: {
            "consumerPid": world.ids["negotiations as consumer"],
            "providerPid": a.pid_for(world.ids["negotiations as consumer"]),
        },
    }


async def add_keys(world):
    api = asgi.Client(world.site.parts.internal, world.site.conf.management_key)
    for role in roles.ROLES:
        world.keys[role] = (await api.post("apikeys", {"name": role, "role": role})).json["key"]
    expired = ApiKey(id="old", role="admin", digest=apikeys.digest("comity-old"), expires_at=1, created_at=0)
    await world.site.connector.database.write(lambda tx: key_rows.insert(tx, expired))
    gone = (await api.post("apikeys", {"name": "gone", "role": "admin"})).json["key"]
    assert (await api.delete("apikeys/gone")).status == 204
    world.keys |= {
        "data folder": world.site.conf.management_key,
        "removed key": gone,
        "expired key": "comity-old",
        "wrong key": "comity-wrong",
    }


def callers(world, body):
    """Name -> who that is to the listener for partners, and the headers it sends with this body."""
    a, c, did = world.a, world.c, world.site.did

    def bearer(token):
        return {"Authorization": f"Bearer {token}"}

    another = jose.SigningKey.generate(a.key.kid)
    listed = {
        "anonymous": (STRANGER, {}),
        "A": (OWNER, bearer(a.token(did, body))),
        "C": (OTHER, bearer(c.token(did, body))),
        "A for another audience": (STRANGER, bearer(a.token("did:web:somebody.example", body))),
        "A, expired": (STRANGER, bearer(a.token(did, body, later_s=-700))),
        "A with another key": (STRANGER, bearer(a.token(did, body, key=another))),
        "C in A's name": (STRANGER, bearer(c.token(did, body, issuer=a.did))),
        "the connector in its own name": (STRANGER, bearer(c.token(did, body, issuer=did))),
        "a data token": (STRANGER, bearer(world.tokens["data"])),
        "a data token as it is": (STRANGER, {"Authorization": world.tokens["data"]}),
    }
    listed |= {name: (STRANGER, bearer(each.token(did, body))) for name, each in world.strangers.items()}
    for name, key in world.keys.items():
        listed[f"{name}, as a bearer"] = (STRANGER, bearer(key))
        listed[f"{name}, as an API key"] = (STRANGER, {"X-Api-Key": key})
    return listed


def holders(world, kind):
    """The same for data and inbox: only the data token of the transfer counts."""
    mine, not_mine = ("data", "inbox") if kind == "data" else ("inbox", "data")
    listed = {
        "the token": (OWNER, {"Authorization": f"Bearer {world.tokens[mine].removeprefix('Bearer ')}"}),
        "another transfer's token": (STRANGER, {"Authorization": world.tokens[not_mine]}),
        "C's token": (STRANGER, {"Authorization": world.tokens["C's data"]}),
        "the token, but for a letter": (STRANGER, {"Authorization": world.tokens[mine][:-1]}),
        "the token as an API key": (STRANGER, {"X-Api-Key": world.tokens[mine]}),
    }
    strangers = {f"{name} (control)": headers for name, (_, headers) in callers(world, b"").items()}
    return listed | {name: (STRANGER, each) for name, each in strangers.items() if "data token" not in name}


def body_for(world, path, ident, real):
    """A message as it belongs to an endpoint and an object; `real` has the pids of the object that there is."""
    if path.endswith("/catalog/request"):
        return wire.message("CatalogRequestMessage")
    collection, _, last = path.removeprefix(f"{matrix.DSP}/").replace("{id}/", "").partition("/")
    kind = KINDS[collection, last]
    fields = dict(world.ids["pids"].get(real, {"consumerPid": f"urn:pid:{collection}"}))
    fields = {name: ident if pid == real else pid for name, pid in fields.items()}
    if path.endswith("/negotiations/offers"):
        fields = {"providerPid": "urn:pid:offers"}
    fields["id_"] = "urn:same"
    if "Agreement" in kind and "Verification" not in kind:
        fields["agreement"] = wire.agreement(USE, assigner=world.a.did, assignee=world.site.did)
    if kind in {"ContractOfferMessage", "ContractRequestMessage"}:
        fields["offer"] = {**USE, "@id": ident if real == world.ids["offer"] else "urn:o", "target": "hidden"}
    if kind.endswith("EventMessage"):
        fields["eventType"] = "FINALIZED"
    if kind == "TransferRequestMessage":
        fields |= {"agreementId": ident, "format": "HttpData-PULL"}
    return wire.message(kind, **fields, **({"callbackAddress": world.a.dsp} if "{id}" not in path else {}))


def target_of(world, rule, path):
    """The id of the object that A has and an endpoint is about, empty if it is about none."""
    if rule == matrix.OFFER:
        return world.ids["offer"]
    if rule == matrix.AGREEMENT:
        return world.ids["agreement"]
    if rule == matrix.DATASET:
        return world.ids["dataset"]
    if "/negotiations/{id}" in path:
        ours = dsp.NEXT.get(("negotiations", path.partition("{id}")[2]), ("", None))[0]
        return world.ids["negotiations as consumer" if ours == terms.CONSUMER else "negotiations"]
    if "/transfers/{id}" in path or path.startswith("/data"):
        return world.ids["transfers"]
    return world.ids["inbox"] if path.startswith("/inbox") else ""


async def ask(world, method, path, headers, body):
    """Send one request; return status, headers and body, with what no two answers have in common taken out."""
    base = world.site.conf.address
    sent = {"Content-Type": "application/json", **headers}
    async with world.session.request(method, base + path, data=body or None, headers=sent) as answer:
        named = sorted((name.lower(), text) for name, text in answer.headers.items())
        dropped = {"date", "content-length", "content-digest", "signature-input", "signature"}
        return answer.status, [each for each in named if each[0] not in dropped], await answer.read()


REFUSED = {
    matrix.PROCESS: 404,
    matrix.DATASET: 404,
    matrix.OFFER: 400,
    matrix.AGREEMENT: 400,
    matrix.TOKEN: 401,
}


def is_right(rule, who, what, status):
    """Whether a status is the one that a rule has for a caller and an object."""
    if rule == matrix.EVERYBODY:
        return status in {200, 204, 404}
    if who == STRANGER:
        return status == 401
    if rule == matrix.PARTNER or (who == OWNER and what == "own"):
        return status not in {401, 403, 404} and status < 500
    return status == REFUSED[rule]


async def tried(world, endpoint, rule):
    """Try every cell of an endpoint; return how many, and those that are not as the rule says."""
    method, path = endpoint.split(" ", 1)
    real = target_of(world, rule, path)
    cells, wrong = 0, []
    objects = {"own": real, "missing": MISSING if real != "hidden" else "absent"} if real else {"own": ""}
    protocol = path.startswith(matrix.DSP)
    sample = {}
    for what, ident in objects.items():
        place = path.replace("{id}", quote(ident, safe="")).replace("{rest}", "2024-1/catalog/request")
        if path.startswith(matrix.DATA) and what == "own":
            place = world.ids["data"].removeprefix(world.site.conf.address)
        written = body_for(world, path, ident, real) if protocol and method == "POST" else None
        body = wire.encode(written) if written else b""
        made = holders(world, path.split("/")[1]) if rule == matrix.TOKEN else callers(world, body)
        for name, (who, headers) in sorted(
            made.items(), key=lambda each: each[1][0] == OWNER
        ):  # who may, last
            answer = await ask(world, method, place, headers, body)
            cells += 1
            if not is_right(rule, who, what, answer[0]):
                wrong.append((endpoint, name, what, answer))
            text = re.sub(rb"expired [0-9]+ s", b"expired", answer[2].replace(ident.encode() or b"\0", b"ID"))
            sample[name, what] = (answer[0], answer[1], text)
    for name, who in {(name, each[0]) for name, each in made.items()}:
        if len(objects) > 1 and who != OWNER and sample[name, "own"] != sample[name, "missing"]:
            wrong.append((endpoint, name, "another's is not answered as a missing one", sample[name, "own"]))
        if rule == matrix.EVERYBODY and sample[name, "own"] != sample["anonymous", "own"]:
            wrong.append((endpoint, name, "not the same for all", sample[name, "own"]))
    return cells, wrong


async def test_every_cell_of_the_listener_for_partners_is_as_the_page_says(world):
    cells, wrong = 0, []
    listed = matrix.rows()[matrix.PUBLIC]
    for endpoint in sorted(listed, key=lambda each: ("termination" in each, "completion" in each)):
        more, bad = await tried(world, endpoint, listed[endpoint])
        cells += more
        wrong += bad
    print(f"cells of the listener for partners: {cells}")  # noqa: T201  a figure to be read
    assert not wrong, "\n".join(map(str, wrong[:20]))
    assert cells >= 800
    assert await world.site.state(world.ids["negotiations"]) == "FINALIZED"


@pytest.mark.parametrize("version", matrix.VERSIONS)
async def test_every_cell_of_the_management_api_is_as_the_page_says(world, version):
    """Each endpoint with each key and all that is none: the body is broken, and not looked at by who may not."""
    client = asgi.Client(world.site.parts.internal, "")
    wrong, cells = [], 0
    none = {name: headers for name, (_, headers) in callers(world, b"{").items() if not name.startswith(GOOD)}
    none |= {"a data token as an API key": {"x-api-key": world.tokens["data"]}}
    for endpoint, rule in matrix.rows()[matrix.OWN].items():
        if rule == matrix.EVERYBODY:
            continue
        method, path = endpoint.replace("/v3/", f"/{version}/").replace("{id}", "x").split(" ", 1)
        for name, headers in none.items():
            answer = await client.request(method, path, b"{", headers=headers)
            cells += 1
            if (answer.status, answer.taken) != (401, 0) or answer.problem["type"] != "unauthorized":
                wrong.append((endpoint, name, answer))
        for role in GOOD:
            answer = await client.request(method, path, b"{", headers={"x-api-key": world.keys[role]})
            cells += 1
            held = roles.ADMIN if role == "data folder" else role
            refused = (answer.status, answer.taken) == (403, 0) and answer.problem["type"] == "role-too-low"
            if refused:
                assert rule in answer.problem["message"]
                assert held in answer.problem["message"]
            if refused is roles.suffices(held, rule) or answer.status == 401:
                wrong.append((endpoint, role, answer))
    print(f"cells of the management API, {version}: {cells}")  # noqa: T201  a figure to be read
    assert not wrong, "\n".join(map(str, wrong[:20]))


async def test_what_is_open_on_the_management_listener_is_the_same_for_all(world):
    client = asgi.Client(world.site.parts.internal, "")
    for endpoint, rule in matrix.rows()[matrix.OWN].items():
        if rule == matrix.EVERYBODY:
            method, path = endpoint.split(" ", 1)
            found = {
                (answer.status, answer.body)
                for headers in ({}, {"x-api-key": "wrong"}, {"x-api-key": world.site.conf.management_key})
                for answer in [await client.request(method, path, headers=headers)]
            }
            assert len(found) == 1, endpoint
            assert next(iter(found))[0] == 200
            assert world.a.did.encode() not in next(iter(found))[1]


async def test_a_message_in_the_path_of_one_process_cannot_speak_of_another(world):
    """Path, body and token have to name the same: each is exchanged for that of another process of the same partner."""
    site, a = world.site, world.a
    other, _ = await finalized(a, site)
    mine = world.ids["pids"][world.ids["negotiations"]]
    theirs = {"providerPid": other.theirs, "consumerPid": other.pid}
    for pids in (theirs, {**mine, "consumerPid": other.pid}, {**mine, "providerPid": other.theirs}):
        document = wire.message("ContractNegotiationTerminationMessage", reason=["x"], **pids)
        answer = await a.send(site, f"/negotiations/{world.ids['negotiations']}/termination", document)
        assert (answer.status, answer.document["@type"]) == (404, "ContractNegotiationError")
    assert await site.state(other.theirs) == await site.state(world.ids["negotiations"]) == "FINALIZED"


async def test_the_page_is_what_the_routes_and_the_rules_make_of_it(site):
    assert matrix.page(site.parts.public) == matrix.PAGE.read_text()


async def test_no_endpoint_of_the_protocol_hides_from_the_tables(site):
    """Whatever path stands in the code is one that the matrix has: most come from tables, a few are written out."""
    known = {path for _, path in matrix.BUSY[matrix.DSP]()}
    written = {text for text in texts_of(dsp) if text.startswith("/") and len(text) > 1}
    routed = {"/.well-known/dspace-version", "/dsp/{rest:path}", terms.VERSION_PATH}
    rests = {rest for _, rest in dsp.NEXT}
    assert written - routed - rests - known <= {"/catalog/", "/catalog/datasets/", "/catalog/request"}


def texts_of(module):
    """Every text in the functions of a module."""
    open_ = [each.__code__ for each in vars(module).values() if isinstance(each, types.FunctionType)]
    while open_:
        for each in open_.pop().co_consts:
            if isinstance(each, types.CodeType):
                open_.append(each)
            elif isinstance(each, str):
                yield each
            elif isinstance(each, tuple | frozenset):
                yield from (text for text in each if isinstance(text, str))


@pytest.mark.parametrize("where", ["protocol", "router", "prefix", "management", "open"])
async def test_a_new_endpoint_without_a_row_fails_the_build(site, monkeypatch, where):
    prefixes = matrix.inside(site.parts.public)
    if where == "protocol":
        monkeypatch.setitem(dsp.NEXT, ("transfers", "/new"), next(iter(dsp.NEXT.values())))
    elif where == "router":
        monkeypatch.setattr(
            prefixes._others.router, "routes", [*prefixes._others.routes, Route("/new", print)]
        )
    elif where == "prefix":
        monkeypatch.setitem(prefixes._applications, "/new", Response())
    elif where == "management":
        monkeypatch.setitem(endpoints.ENDPOINTS, ("GET", "new", ""), Row(len, roles.VIEWER))
    else:
        monkeypatch.setitem(matrix.unversioned.OPEN, "new", next(iter(matrix.unversioned.OPEN.values())))
    if where in {"management", "open"}:  # these have a rule by themselves, and no row on the page
        found = matrix.page(site.parts.public)
        assert "new`" in found
        assert found != matrix.PAGE.read_text()
    else:
        with pytest.raises(KeyError, match="new"):
            matrix.page(site.parts.public)


def separable(one, other):
    """Probability that two samples of one thing differ as much (Mann-Whitney, normal approximation)."""
    ranked = sorted([(each, 0) for each in one] + [(each, 1) for each in other])
    ranks = sum(at for at, (_, which) in enumerate(ranked, 1) if which == 0)
    n, m = len(one), len(other)
    away = (ranks - n * (n + m + 1) / 2) / math.sqrt(n * m * (n + m + 1) / 12)
    return math.erfc(abs(away) / math.sqrt(2))


async def test_how_long_an_answer_takes_does_not_tell_anothers_process_from_a_missing_one(world):
    taken = {world.ids["negotiations"]: [], MISSING: []}
    for at in range(PAIRS):
        for pid, times in sorted(taken.items(), reverse=bool(at % 2)):  # who comes second finds more at hand
            began = time.perf_counter()
            assert (await world.c.get(world.site, f"/negotiations/{pid}")).status == 404
            times.append(time.perf_counter() - began)
    chance = separable(*taken.values())
    print(f"another's and a missing process are told apart by time with p = {chance:.3f}")  # noqa: T201
    assert chance > 1e-4
