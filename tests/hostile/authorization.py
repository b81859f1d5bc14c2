"""The authorization matrix: every endpoint of both listeners, and the rule that says who gets in.

`routes` finds the endpoints in the applications themselves; `page` writes them with their rules as
docs/reference/authorization.md. test_authorization.py compares the page with the routes, reads the rules back from it,
and tries every cell. To add an endpoint: give it a rule here, and write the page anew with

    PYTHONPATH=tests python -m hostile.authorization
"""

from __future__ import annotations

import dataclasses
import re
import tempfile
from pathlib import Path

from starlette.routing import Mount

from comity import runtime
from comity.api import app, dsp, inbox, notices
from comity.api.management import endpoints, unversioned
from comity.management import versions

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "authorization.md"
ROW = re.compile(r"^\| `([A-Z]+) ([^`]+)` \| ([^|]+) \|", re.MULTILINE)
PUBLIC, OWN = "public", "management"
DSP, COMITY, DATA, INBOX = "/dsp/2025-1", "/comity", "/data", "/inbox"

CATALOG = (("POST", "/catalog/request"), ("GET", "/catalog/datasets/{id}"))
"""The two endpoints of the protocol that are in none of its tables; a test looks for more in the code."""

EVERYBODY, PARTNER, PROCESS = "everybody", "a partner", "the partner of the process"
AGREEMENT, OFFER, DATASET = (
    "the partner of the agreement",
    "a partner who is shown the offer",
    "a partner who is shown it",
)
TOKEN = "the holder of the transfer's data token"
RULES: dict[str, dict[str, str]] = {
    PUBLIC: {
        "GET /health": EVERYBODY,
        "GET /ready": EVERYBODY,
        "GET /.well-known/dspace-version": EVERYBODY,
        "GET /.well-known/did.json": EVERYBODY,
        "GET /dsp/{rest}": EVERYBODY,
        "POST /dsp/{rest}": EVERYBODY,
        f"POST {DSP}/catalog/request": PARTNER,
        f"GET {DSP}/catalog/datasets/{{id}}": DATASET,
        f"POST {DSP}/negotiations/request": OFFER,
        f"POST {DSP}/negotiations/offers": PARTNER,
        f"POST {DSP}/transfers/request": AGREEMENT,
        f"GET {DSP}/negotiations/{{id}}": PROCESS,
        f"POST {DSP}/negotiations/{{id}}/request": PROCESS,
        f"POST {DSP}/negotiations/{{id}}/offers": PROCESS,
        f"POST {DSP}/negotiations/{{id}}/events": PROCESS,
        f"POST {DSP}/negotiations/{{id}}/agreement": PROCESS,
        f"POST {DSP}/negotiations/{{id}}/agreement/verification": PROCESS,
        f"POST {DSP}/negotiations/{{id}}/termination": PROCESS,
        f"GET {DSP}/transfers/{{id}}": PROCESS,
        f"POST {DSP}/transfers/{{id}}/start": PROCESS,
        f"POST {DSP}/transfers/{{id}}/suspension": PROCESS,
        f"POST {DSP}/transfers/{{id}}/completion": PROCESS,
        f"POST {DSP}/transfers/{{id}}/termination": PROCESS,
        f"POST {COMITY}{notices.PATH}": PARTNER,
        "GET /data/{id}": TOKEN,
        "HEAD /data/{id}": TOKEN,
        "HEAD /inbox/{id}": TOKEN,
        "PATCH /inbox/{id}": TOKEN,
        "POST /inbox/{id}": TOKEN,
        "PUT /inbox/{id}": TOKEN,
        "OPTIONS /inbox/{id}": EVERYBODY,
    },
    OWN: {"GET /health": EVERYBODY},
}
"""Listener -> endpoint -> who gets in. The management API's own table has the role that each endpoint needs."""

BUSY = {
    DSP: lambda: {
        *((method, path) for method, path in CATALOG),
        *(("POST", path) for path in dsp.FIRST),
        *(("POST", f"/{collection}/{{id}}{rest}") for collection, rest in dsp.NEXT),
        *(("GET", f"/{collection}/{{id}}") for collection in dsp.COLLECTIONS),
    },
    COMITY: lambda: {("POST", notices.PATH)},
    DATA: lambda: {(method, "/{id}") for method in ("GET", "HEAD")},
    INBOX: lambda: {(method, "/{id}") for method in inbox.METHODS},
}
"""Prefix of an application without a router -> what it serves."""


def inside(application):
    """What a wrapping application has in its closure, of a class: its guts have no other door."""
    found = [cell.cell_contents for cell in application.__closure__]
    return next(each for each in found if isinstance(each, app._Prefixes))


def routes(public) -> dict[str, list[str]]:
    """Every endpoint of both listeners, as `METHOD path`, found in the applications and their tables."""
    prefixes = inside(public)
    listed = {
        f"{method} {prefix}{path}" for prefix in prefixes._applications for method, path in BUSY[prefix]()
    }
    for route in prefixes._others.routes:
        assert not isinstance(route, Mount), "an address with a path is another test's matter"
        path = re.sub(r":\w+}", "}", route.path)
        listed |= {f"{method} {path}" for method in (route.methods or {"ANY"}) - {"HEAD"}}
    managed = {
        f"{method} /management/v3/{noun}/{rest}".rstrip("/") for method, noun, rest in endpoints.ENDPOINTS
    }
    opened = {f"GET /management/{path}" for path in unversioned.OPEN}
    edc = {f"GET /api/{path}" for path, each in unversioned.OPEN.items() if each.edc}
    return {PUBLIC: sorted(listed), OWN: sorted({"GET /health", *managed, *opened, *edc})}


def rule_of(listener: str, endpoint: str) -> str:
    """Who gets in; a KeyError for an endpoint that has no rule."""
    method, path = endpoint.split(" ", 1)
    named = re.fullmatch(r"/management/v3/([^/]+)/?(.*)", path)
    if listener == OWN and named and (method, *named.groups()) in endpoints.ENDPOINTS:
        return endpoints.ENDPOINTS[method, named[1], named[2]].role
    if listener == OWN and path.startswith(("/management/", "/api/")):
        return EVERYBODY
    return RULES[listener][endpoint]


HEAD = """\
# Who gets in

Every endpoint of both listeners, and who gets in. A test reads this page and tries each row with every kind of caller,
and each of these with an object of its own, one of somebody else and one that does not exist. An endpoint without a row
here fails the build. The page is made by `PYTHONPATH=tests python -m hostile.authorization`.

## Rules

{rules}

A partner is somebody on the list of partners, with a token that holds: signed with its key, for this connector, not
expired, not used for another request, bound to this body. Somebody who was taken off the list is a stranger at once.

What is somebody else's is answered exactly as what does not exist: status, headers and body are equal, but for the ids
that the request itself names.

Whatever opens one door opens no other: an API key is nothing to the listener for partners, a partner's token is nothing
to the management API and to the data, a data token is nothing to the protocol.
"""
TOLD = {
    EVERYBODY: ("the same for all", "the same for all", "the same for all"),
    PARTNER: ("in", "in", "401"),
    DATASET: ("in", "404, as one that does not exist", "401"),
    OFFER: ("in", "400, as one that does not exist", "401"),
    AGREEMENT: ("in", "400, as one that does not exist", "401"),
    PROCESS: ("in", "404, as one that does not exist", "401"),
    TOKEN: ("in", "401, as one that does not exist", "401"),
    "viewer": ("viewer, approver, operator, admin", "", "401"),
    "approver": ("approver, operator, admin", "403 to a viewer", "401"),
    "operator": ("operator, admin", "403 to a viewer or an approver", "401"),
    "admin": ("admin, and the key of the data folder", "403 to a lower role", "401"),
}


def page(public) -> str:
    """The page for what there is."""
    lines = [
        "| who gets in | the right one | another partner, a lower role | a stranger |",
        "|---|---|---|---|",
    ]
    lines += [f"| {name} | " + " | ".join(cells) + " |" for name, cells in TOLD.items()]
    text = HEAD.format(rules="\n".join(lines))
    titles = {
        PUBLIC: "The listener for partners",
        OWN: "The management listener (paths of v3; v4 is the same)",
    }
    for listener, listed in routes(public).items():
        text += f"\n## {titles[listener]}\n\n| endpoint | who gets in |\n|---|---|\n"
        text += "".join(f"| `{each}` | {rule_of(listener, each)} |\n" for each in listed)
    return text


def rows() -> dict[str, dict[str, str]]:
    """The page as it is: listener -> endpoint -> who gets in."""
    parts = PAGE.read_text().split("\n## ")
    found = [{f"{method} {path}": rule for method, path, rule in ROW.findall(part)} for part in parts]
    public, own = [each for each in found if each]
    return {PUBLIC: public, OWN: own}


VERSIONS = [each.name for each in versions.VERSIONS]


async def _write() -> None:
    from support import pair  # noqa: PLC0415  only for writing

    with tempfile.TemporaryDirectory() as folder:
        conf = dataclasses.replace(pair.new_site(Path(folder) / "site").conf)
        async with runtime.connector(conf) as parts:
            PAGE.write_text(page(parts.public))


if __name__ == "__main__":
    import asyncio

    asyncio.run(_write())
