"""Checks of versions and catalogs, both ways: what each side offers is what the other one reads."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

from interop.edc.checks import CheckError, Checks, equal
from interop.edc.stock import EDC, PROTOCOL
from interop.edc.world import (
    COMITY_ID,
    EDC_ASSET,
    EDC_EXPIRED,
    EDC_ID,
    EDC_SMALL,
    OUR_CLOSED,
    OUR_FILE,
    OURS,
    World,
)

PARTS = 105
Document = dict[str, Any]


def run(world: World, checks: Checks) -> None:
    """Check versions and catalogs."""
    checks.step("EDC's version endpoint", lambda: _version(f"{world.to_edc.address}/protocol"))
    checks.step("Comity's version endpoint", lambda: _version(world.us.conf.address))
    checks.step("Comity reads EDC's catalog", lambda: _read_theirs(world))
    checks.step("`comity catalog` shows EDC's catalog", lambda: _command(world))
    checks.step("Comity reads one dataset of EDC", lambda: _one_of_theirs(world))
    checks.step("Comity reads EDC's catalog with a filter", lambda: _filter_theirs(world))
    checks.step("Comity follows the pages of EDC's catalog", lambda: _pages(world))
    checks.step("EDC reads Comity's catalog", lambda: _read_ours(world))
    checks.step("EDC reads one dataset of Comity", lambda: _one_of_ours(world))
    checks.step("EDC reads Comity's catalog with a filter", lambda: _filter_ours(world))
    checks.step("Comity refuses a filter that it does not know", lambda: _wrong_filter(world))


def _version(root: str) -> str:
    parts = urlsplit(f"{root}/.well-known/dspace-version")
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    try:
        connection.request("GET", parts.path)
        response = connection.getresponse()
        listed = json.loads(response.read())["protocolVersions"]
    finally:
        connection.close()
    found = [each for each in listed if each["version"] == "2025-1"]
    equal([each["binding"] for each in found], ["HTTPS"], "the binding of 2025-1")
    shown = [f"{each['version']} at {each['path']}" for each in listed]
    return f"{response.status} {', '.join(shown)}"


def _ids(catalog: Document) -> list[str]:
    listed = catalog.get("dataset") or catalog.get("dcat:dataset") or []
    return sorted(each["@id"] for each in (listed if isinstance(listed, list) else [listed]))


def _read_theirs(world: World) -> str:
    found = world.us.api.catalog(EDC_ID)
    equal(found["participantId"], EDC_ID, "participantId")
    equal(_ids(found), sorted([EDC_ASSET, EDC_EXPIRED, EDC_SMALL]), "the datasets")
    world.formats = sorted({each["format"] for one in found["dataset"] for each in one["distribution"]})
    return f"{len(found['dataset'])} datasets, {' '.join(world.formats)}"


def _command(world: World) -> str:
    done = world.us.run("catalog", "EDC")
    equal(done.returncode, 0, f"the exit status ({done.stderr})")
    lines = [line for line in done.stdout.splitlines() if line.startswith(EDC_ASSET)]
    if not lines or "Pump P-100, pump" not in lines[0]:
        raise CheckError(f"no line with the id and title of {EDC_ASSET}: {done.stdout!r}")
    return " ".join(lines[0].split())


def _one_of_theirs(world: World) -> str:
    found = world.us.api.dataset(EDC_ID, EDC_ASSET)
    equal(found["@id"], EDC_ASSET, "@id")
    return f"@id {found['@id']}, {len(found['hasPolicy'])} offer"


def _filter_theirs(world: World) -> str:
    found = _ask_theirs(world, EDC + "id", "=", EDC_ASSET)
    equal(_ids(found), [EDC_ASSET], "the datasets with that id")
    named = _ask_theirs(world, EDC + "name", "=", "Pump P-100, manual")
    equal(_ids(named), [EDC_SMALL], "the datasets with that name")
    return "by id 1 of 3, by name 1 of 3"


def _ask_theirs(world: World, left: str, operator: str, right: str) -> Document:
    criterion = {"operandLeft": left, "operator": operator, "operandRight": right}
    body = {"counterPartyId": EDC_ID, "querySpec": {"filterExpression": [criterion]}}
    found: Document = world.us.api.request("POST", "catalog/request", body)
    return found


def _pages(world: World) -> str:
    address = {"@type": "DataAddress", "type": "HttpData", "baseUrl": f"{world.endpoint.address}/manual"}
    for at in range(PARTS):
        body = {"@id": f"part-{at:03}", "properties": {"name": f"Part {at}"}, "dataAddress": address}
        world.edc.request("POST", "assets", body)
    selector = {"@type": "Criterion", "operandLeft": EDC + "id", "operator": "like", "operandRight": "part-%"}
    policies = {"accessPolicyId": "thirty-days", "contractPolicyId": "thirty-days"}
    definition = {"@id": "def-parts", **policies, "assetsSelector": [selector]}
    world.edc.request("POST", "contractdefinitions", definition)
    before = len(world.capture.crossings)
    whole = _ids(world.us.api.catalog(EDC_ID))
    pages = len(world.capture.crossings) - before
    equal(len(whole), PARTS + 3, "the number of datasets")
    equal(len(set(whole)), PARTS + 3, "the number of different datasets")
    world.edc.request("DELETE", "contractdefinitions/def-parts")
    return f"{len(whole)} datasets in {pages} pages"


def _request_ours(world: World, **more: Any) -> Document:
    body = {"counterPartyAddress": world.us.dsp, "counterPartyId": COMITY_ID, "protocol": PROTOCOL, **more}
    found: Document = world.edc.request("POST", "catalog/request", {"@type": "CatalogRequest", **body})
    return found


def _read_ours(world: World) -> str:
    found = _request_ours(world)
    equal(_ids(found), sorted(OURS), "the datasets")
    party = found.get("participantId") or found.get("dspace:participantId")
    equal(party, COMITY_ID, "participantId")
    return f"{len(_ids(found))} datasets of {party}"


def _one_of_ours(world: World) -> str:
    offer = world.our_offer(OUR_FILE)
    if not str(offer["@id"]).startswith("urn:comity:offer:"):
        raise CheckError(f"the offer is {offer}")
    return f"offer {offer['@id'][:24]}..."


def _query(left: str, right: str, **more: Any) -> Document:
    criterion = {"@type": "Criterion", "operandLeft": left, "operator": "=", "operandRight": right}
    return {"@type": "QuerySpec", "filterExpression": [criterion], **more}


def _filter_ours(world: World) -> str:
    by_id = _request_ours(world, querySpec=_query(EDC + "id", OUR_FILE))
    equal(_ids(by_id), [OUR_FILE], "the datasets with that id")
    by_name = _request_ours(world, querySpec=_query(EDC + "name", f"Pump P-100, {OUR_CLOSED}"))
    equal(_ids(by_name), [OUR_CLOSED], "the datasets with that name")
    return f"by id 1 of {len(OURS)}, by name 1 of {len(OURS)}"


def _wrong_filter(world: World) -> str:
    before = len(world.capture.crossings)
    try:
        _request_ours(world, querySpec=_query(EDC + "id", OUR_FILE, sortField="name"))
    except Exception as error:  # noqa: BLE001  what EDC makes of our refusal is what is looked at
        shown = str(error)
    else:
        raise CheckError("a query that orders was answered")
    crossing = world.capture.crossings[before]
    equal(crossing.status, 400, "our status")
    return f"our answer 400 {crossing.answered['reason']}; EDC shows {shown[:160]}"
