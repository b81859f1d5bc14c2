"""What a consumer does with the SDK's main path: from catalog to data in one call; the steps of it; EDRs."""

from __future__ import annotations

from typing import Any

import requests

from clients.tractusx.checks import CheckError, equal
from clients.tractusx.offering import RULE, SUBMODEL
from clients.tractusx.world import ID, World, answered, criterion, empty, ids, refused

POLICIES = [{"permission": RULE}]
"""What the SDK's user accepts: the offer's rules."""


def datasets(catalog: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a catalog's datasets, one or many."""
    found = catalog["dataset"]
    return found if isinstance(found, list) else [found]


def catalog(world: World) -> None:
    """The whole catalog."""
    found = world.consumer.consumer.get_catalog(**world.partner)
    equal(sorted(ids(datasets(found))), ["drawing", "part-1"], "the datasets")


def filtered(world: World) -> None:
    """By the asset's id and by its type, in the two ways that the SDK has."""
    service = world.consumer.consumer
    by_id = service.get_catalog_by_asset_id(**world.partner, asset_id="part-1")
    equal(ids(datasets(by_id)), ["part-1"], "by the id")
    by_type = service.get_catalog_by_dct_type(**world.partner, dct_type=SUBMODEL)
    equal(ids(datasets(by_type)), ["drawing"], "by the type")


def many(world: World) -> None:
    """Several connectors at once; one of them is away."""
    nobody = world.told["nobody"]
    found = world.consumer.consumer.get_catalogs_by_dct_type(
        world.provider.did, [world.provider.dsp], dct_type=SUBMODEL
    )
    equal(ids(datasets(found[world.provider.dsp])), ["drawing"], "the datasets")
    try:
        world.consumer.consumer.get_catalog(world.provider.did, nobody)
    except ConnectionError as error:
        if "[502]" not in str(error):
            raise CheckError(f"the error does not name the status: {error}") from None
    else:
        raise CheckError("a catalog came from nobody")


def exists(world: World) -> None:
    """Ask whether there is something."""
    service = world.consumer.consumer
    for asset_id, wanted in (("drawing", True), ("nothing", False)):
        found = service.assets_exists(**world.partner, filter_expression=[criterion(ID, "=", asset_id)])
        equal(found, wanted, f"whether {asset_id} exists")


def do_get(world: World) -> str:
    """All in one: catalog, POST edrs, polling, data address, data."""
    response = world.consumer.consumer.do_get(
        **world.partner,
        filter_expression=[criterion(ID, "=", "drawing")],
        policies=POLICIES,
        protocol=world.protocol,
    )
    equal(response.status_code, 200, f"the status ({response.text[:200]})")
    return world.is_file(response.content)


def do_get_again(world: World) -> str:
    """The same once more: the SDK has kept the transfer and asks for the data address only."""
    before = len(answered(world.consumer.consumer.transfer_processes.get_all()))
    seen = do_get(world)
    equal(
        len(answered(world.consumer.consumer.transfer_processes.get_all())), before, "the number of transfers"
    )
    return seen


def do_get_by_type(world: World) -> str:
    """By the asset's type."""
    response = world.consumer.consumer.do_get_by_dct_type(
        **world.partner, dct_type=SUBMODEL, policies=POLICIES
    )
    equal(response.status_code, 200, f"the status ({response.text[:200]})")
    return world.is_file(response.content)


def do_post(world: World) -> str:
    """POST to the data: this connector hands data out and takes none."""
    response = world.consumer.consumer.do_post(
        **world.partner, filter_expression=[criterion(ID, "=", "drawing")], json={}, policies=POLICIES
    )
    equal(response.status_code, 405, "the status")
    return "405"


def wrong_policy(world: World) -> str:
    """Nothing is asked for when no offer has the terms that are accepted."""
    try:
        world.consumer.consumer.do_get(
            **world.partner,
            filter_expression=[criterion(ID, "=", "part-1")],
            policies=[{"permission": {**RULE, "action": "read"}}],
        )
    except RuntimeError as error:
        return str(error)[:160]
    raise CheckError("an offer was taken")


def in_steps(world: World) -> str:
    """POST edrs, then the entry by the negotiation's id, then address and token."""
    service = world.consumer.consumer
    entry = service.negotiate_and_transfer(
        **world.partner,
        filter_expression=[criterion(ID, "=", "part-1")],
        policies=POLICIES,
        protocol=world.protocol,
    )
    wanted = {"assetId": "part-1", "providerId": world.provider.did, "@id": entry["transferProcessId"]}
    equal({name: entry[name] for name in wanted}, wanted, "the entry")
    negotiation = answered(service.contract_negotiations.get_by_id(entry["contractNegotiationId"]))
    equal(
        [negotiation["state"], negotiation["contractAgreementId"]],
        ["FINALIZED", entry["agreementId"]],
        "the negotiation",
    )
    world.seen["entry"] = entry
    world.seen["access"] = service.get_endpoint_with_token(entry["transferProcessId"])
    return entry["transferProcessId"]


def find_edrs(world: World) -> None:
    """Query: without a body, by the agreement, sorted, by pages."""
    edrs = world.consumer.consumer.edrs
    entry = world.seen["entry"]
    everything = answered(edrs.get_all())
    equal(len(everything) >= 2, True, f"whether there are two or more of {len(everything)}")
    found = world.query(edrs, criterion("agreementId", "=", entry["agreementId"]))
    equal(ids(found), [entry["@id"]], "by the agreement")
    found = world.query(edrs, sort_order="ASC", offset=len(everything) - 1)
    equal(ids(found), [entry["@id"]], "the last page")
    spec = world.model("queryspec", filter_expression=[criterion("colour", "=", "red")])
    refused(edrs.query(spec), 400, "colour")


def refresh(world: World) -> str:
    """The data address again, with a token that opens the data."""
    edrs = world.consumer.consumer.edrs
    found = answered(edrs.refresh(world.seen["entry"]["transferProcessId"]))
    equal(found["endpoint"], world.seen["access"][0], "the endpoint")
    headers = world.consumer.consumer.get_data_plane_headers(found["authorization"])
    seen = world.is_file(requests.get(found["endpoint"], headers=headers, timeout=10).content)
    refused(edrs.refresh("nothing"), 404, "nothing")
    refused(edrs.get_data_address("nothing"), 404, "nothing")
    return seen


def delete_edr(world: World) -> str:
    """Delete an entry."""
    edrs = world.consumer.consumer.edrs
    oid = world.seen["entry"]["transferProcessId"]
    empty(edrs.delete(oid))
    return refused(edrs.get_data_address(oid), 404, oid)


TABLE = [
    ("catalog", "get_catalog", catalog),
    ("catalog", "get_catalog_by_asset_id, get_catalog_by_dct_type", filtered),
    ("catalog", "get_catalogs_by_dct_type, and one that cannot be reached", many),
    ("catalog", "assets_exists", exists),
    ("main path", "do_get: from the catalog to the data, byte for byte", do_get),
    ("main path", "do_get again, with the transfer that it kept", do_get_again),
    ("main path", "do_get_by_dct_type", do_get_by_type),
    ("main path", "do_post", do_post),
    ("main path", "terms that are not accepted", wrong_policy),
    ("main path", "negotiate_and_transfer, get_endpoint_with_token", in_steps),
    ("EDRs", "filter, sort, offset and limit", find_edrs),
    ("EDRs", "refresh, and of one that is not there", refresh),
    ("EDRs", "delete", delete_edr),
]
