"""The same exchange step by step with the SDK's controllers: negotiation, agreement, transfer, and how they end."""

from __future__ import annotations

from typing import Any

import requests

from clients.tractusx.checks import equal, wait_for
from clients.tractusx.consuming import datasets
from clients.tractusx.offering import FREE, RULE
from clients.tractusx.world import World, answered, criterion, empty, ids, reaches, refused, theirs


def request(world: World, asset_id: str, rules: Any) -> Any:
    """Make a contract request for the catalog's offer, with these rules."""
    found = world.consumer.consumer.get_catalog_by_asset_id(**world.partner, asset_id=asset_id)
    offer = datasets(found)[0]["hasPolicy"]
    offer = offer[0] if isinstance(offer, list) else offer
    return world.model(
        "contract_negotiation",
        counter_party_address=world.provider.dsp,
        offer_id=offer["@id"],
        asset_id=asset_id,
        provider_id=world.provider.did,
        offer_policy={"permission": rules},
    )


def negotiate(world: World) -> str:
    """Create, wait for FINALIZED, get."""
    negotiations = world.consumer.consumer.contract_negotiations
    oid = answered(negotiations.create(request(world, "drawing", RULE)))["@id"]
    reaches(negotiations, oid, "FINALIZED")
    found = answered(negotiations.get_by_id(oid))
    equal([found["type"], found["counterPartyId"]], ["CONSUMER", world.provider.did], "the negotiation")
    world.seen["negotiation"] = found
    refused(negotiations.get_by_id("nothing"), 404, "nothing")
    return found["contractAgreementId"]


def find_negotiations(world: World) -> None:
    """Query: filtered, sorted, by pages."""
    controller = world.consumer.consumer.contract_negotiations
    found = world.query(controller, criterion("assetId", "=", "part-1"))
    equal(len(found), 1, "by the asset")
    finalized = world.query(controller, criterion("state", "=", "FINALIZED"))
    equal(finalized[0]["@id"], world.seen["negotiation"]["@id"], "the newest that is finalized")
    everything = ids(answered(controller.get_all()))
    page = world.query(controller, sort_order="ASC", offset=1, limit=1)
    equal(ids(page), everything[1:2], "the page")
    spec = world.model("queryspec", filter_expression=[criterion("colour", "=", "red")])
    refused(controller.query(spec), 400, "colour")


def end_negotiation(world: World) -> str:
    """Ask for other terms, so that the provider makes an offer and waits; terminate."""
    negotiations = world.consumer.consumer.contract_negotiations
    asked = request(world, "drawing", FREE)
    oid = answered(negotiations.create(asked))["@id"]
    reaches(negotiations, oid, "OFFERED")
    empty(negotiations.terminate_by_id(oid, asked))
    reaches(negotiations, oid, "TERMINATED")
    other = theirs(world, world.provider.consumer.contract_negotiations, oid)
    equal(other["state"], "TERMINATED", "the provider's side")
    return refused(negotiations.terminate_by_id(world.seen["negotiation"]["@id"], asked), 409, "FINALIZED")


def agreement(world: World) -> None:
    """By its id, its negotiation, in a query; the same on both sides."""
    ours = world.consumer.controller("contract_agreement")
    oid = world.seen["negotiation"]["contractAgreementId"]
    found = answered(ours.get_by_id(oid))
    parties = [found["providerId"], found["consumerId"], found["assetId"]]
    equal(parties, [world.provider.did, world.consumer.did, "drawing"], "the parties")
    other = answered(world.provider.controller("contract_agreement").get_by_id(oid))
    equal(other["policy"], found["policy"], "the provider's policy")
    equal(
        answered(ours.get_negotiation_by_id(oid))["@id"],
        world.seen["negotiation"]["@id"],
        "the negotiation",
    )
    refused(ours.get_by_id("nothing"), 404, "nothing")


def find_agreements(world: World) -> None:
    """Query: without a body, filtered, sorted, by pages."""
    ours = world.consumer.controller("contract_agreement")
    oid = world.seen["negotiation"]["contractAgreementId"]
    everything = ids(answered(ours.get_all()))
    found = world.query(ours, criterion("assetId", "=", "drawing"))
    equal(found[0]["@id"], oid, "the newest of the asset")
    page = world.query(ours, sort_order="ASC", offset=1, limit=1)
    equal(ids(page), everything[1:2], "the page")


def start(world: World) -> str:
    """Create a transfer and wait for STARTED; return its id."""
    transfers = world.consumer.consumer.transfer_processes
    asked = world.model(
        "transfer_process",
        counter_party_address=world.provider.dsp,
        transfer_type="HttpData-PULL",
        contract_id=world.seen["negotiation"]["contractAgreementId"],
        data_destination={"type": "HttpProxy"},
    )
    oid = answered(transfers.create(asked))["@id"]
    world.seen["request"] = asked
    reaches(transfers, oid, "STARTED")
    return oid


def transfer(world: World) -> str:
    """Create, wait for STARTED, get, fetch the data."""
    oid = world.seen["transfer"] = start(world)
    found = answered(world.consumer.consumer.transfer_processes.get_by_id(oid))
    equal([found["state"], found["assetId"]], ["STARTED", "drawing"], "the transfer")
    return fetched(world, oid)


def fetched(world: World, oid: str) -> str:
    """Fetch the data of a transfer as the SDK would."""
    endpoint, token = world.consumer.consumer.get_endpoint_with_token(oid)
    headers = world.consumer.consumer.get_data_plane_headers(token)
    answer = requests.get(endpoint, headers=headers, timeout=10)
    equal(answer.status_code, 200, f"the status ({answer.text[:200]})")
    return world.is_file(answer.content)


def find_transfers(world: World) -> None:
    """Query: by the three names of the agreement, filtered, sorted, by pages."""
    controller = world.consumer.consumer.transfer_processes
    oid = world.seen["transfer"]
    for name in ("contractAgreementId", "contractId", "agreementId"):
        wanted = world.seen["negotiation"]["contractAgreementId"]
        equal(ids(world.query(controller, criterion(name, "=", wanted))), [oid], f"by {name}")
    everything = ids(answered(controller.get_all()))
    page = world.query(controller, sort_order="ASC", offset=1, limit=1)
    equal(ids(page), everything[1:2], "the page")
    equal(ids(world.query(controller, limit=1)), [oid], "the newest")


def wrong_transfers(world: World) -> str:
    """Under an agreement that is not there; one that is not there."""
    controller = world.consumer.consumer.transfer_processes
    refused(controller.get_by_id("nothing"), 404, "nothing")
    asked = world.model(
        "transfer_process",
        counter_party_address=world.provider.dsp,
        transfer_type="HttpData-PULL",
        contract_id="nothing",
        data_destination={"type": "HttpProxy"},
    )
    return refused(controller.create(asked), 404, "nothing")


def end_transfer(world: World) -> str:
    """Terminate: both sides know, and the token opens nothing any more."""
    controller = world.consumer.consumer.transfer_processes
    oid = world.seen["transfer"]
    endpoint, token = world.consumer.consumer.get_endpoint_with_token(oid)
    empty(controller.terminate_by_id(oid, world.seen["request"]))
    reaches(controller, oid, "TERMINATED")
    other = theirs(world, world.provider.consumer.transfer_processes, oid)
    equal(other["state"], "TERMINATED", "the provider's side")
    headers = {"Authorization": token}
    wait_for(
        lambda: requests.get(endpoint, headers=headers, timeout=5).status_code in {401, 403},
        "the token to open nothing",
    )
    return refused(controller.terminate_by_id(oid, world.seen["request"]), 409, "TERMINATED")


def deprovision(world: World) -> None:
    """Deprovision a transfer that is over."""
    empty(world.consumer.consumer.transfer_processes.deprovision_by_id(world.seen["transfer"]))


def asset_under_agreement(world: World) -> str:
    """An asset that an agreement is about is not deleted."""
    return refused(world.provider.provider.assets.delete("drawing"), 409, "drawing")


TABLE = [
    ("negotiation", "create, to FINALIZED, get", negotiate),
    ("negotiation", "filter, sort, offset and limit", find_negotiations),
    ("negotiation", "terminate one that waits, and one that is over", end_negotiation),
    ("agreement", "get, its negotiation, the same on both sides", agreement),
    ("agreement", "filter, sort, offset and limit", find_agreements),
    ("transfer", "create, to STARTED, the data byte for byte", transfer),
    ("transfer", "filter, sort, offset and limit", find_transfers),
    ("transfer", "errors", wrong_transfers),
    ("end of a transfer", "terminate, and once more", end_transfer),
    ("end of a transfer", "deprovision", deprovision),
    ("end of a transfer", "an asset under an agreement is not deleted", asset_under_agreement),
]
