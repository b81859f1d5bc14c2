"""What is removed and what stays: ended negotiations, provisioned things, private notes of transfers, data planes."""

import pytest

from support.dealing import ENDED, agree, dataset_of, reaches, request, transfer
from support.edc import SPELLINGS, compact


async def test_a_negotiation_that_led_to_nothing_is_deleted_and_its_evidence_stays(pair, consumer, offered):
    name = await request(consumer, offered, **{"@id": "urn:no-such-offer", "target": "nothing"})
    assert await reaches(consumer, f"contractnegotiations/{name}", *ENDED) == "TERMINATED"
    before = await pair.consumer.entries(name)
    answer = await consumer.delete(f"contractnegotiations/{name}")
    assert (answer.status, answer.body) == (204, b"")
    assert (await consumer.get(f"contractnegotiations/{name}")).status == 404
    assert (await consumer.delete(f"contractnegotiations/{name}")).status == 404
    assert await consumer.found("contractnegotiations/request") == []
    assert before
    assert await pair.consumer.entries(name) == before


async def test_a_negotiation_that_goes_on_is_not_deleted(pair, consumer, offered):
    hold = pair.provider.hold("/negotiations/request")
    name = await request(consumer, offered)
    await hold.arrived.wait()
    answer = await consumer.delete(f"contractnegotiations/{name}")
    assert (answer.status, answer.problem["type"]) == (409, "conflict")
    pair.provider.release(hold)
    assert await reaches(consumer, f"contractnegotiations/{name}", *ENDED) == "FINALIZED"
    answer = await consumer.delete(f"contractnegotiations/{name}")
    assert answer.status == 409
    assert "agreement" in answer.problem["message"]


async def test_a_negotiation_whose_end_is_still_on_its_way_is_not_deleted(pair, consumer, offered):
    hold = pair.provider.hold("/negotiations/request", answers=True)
    name = await request(consumer, offered)
    await hold.arrived.wait()
    reason = {"@id": name, "reason": "never mind"}
    assert (await consumer.post(f"contractnegotiations/{name}/terminate", reason)).status == 204
    held = pair.provider.hold("/termination")
    pair.provider.release(hold)
    await held.arrived.wait()  # it had arrived, so the partner is told of the end
    assert (await consumer.get(f"contractnegotiations/{name}/state")).json["state"] == "TERMINATED"
    assert "on its way" in (await consumer.delete(f"contractnegotiations/{name}")).problem["message"]
    pair.provider.release(held)
    await pair.consumer.reaches(name, "TERMINATED")
    assert (await consumer.delete(f"contractnegotiations/{name}")).status == 204


async def test_a_transfer_is_deprovisioned_once_it_has_ended(consumer, offered):
    name = await transfer(consumer, offered, await agree(consumer, offered))
    await reaches(consumer, f"transferprocesses/{name}", "STARTED")
    answer = await consumer.post(f"transferprocesses/{name}/deprovision")
    assert (answer.status, answer.problem["type"]) == (409, "conflict")
    assert (await consumer.post(f"transferprocesses/{name}/complete")).status == 204
    await reaches(consumer, f"transferprocesses/{name}", "COMPLETED")
    answer = await consumer.post(f"transferprocesses/{name}/deprovision")
    assert (answer.status, answer.body) == (204, b"")
    assert (await consumer.post("transferprocesses/urn:x/deprovision")).status == 404


@pytest.mark.parametrize("spell", SPELLINGS, ids=lambda spell: spell.__name__)
async def test_private_properties_of_a_transfer_are_kept_here_and_sent_nowhere(
    pair, provider, consumer, offered, spell
):
    agreement = await agree(consumer, offered)
    body = {
        **offered,
        "contractId": agreement,
        "transferType": "HttpData-PULL",
        "privateProperties": {"order": "4711-private", "https://example.org/n": 7},
    }
    name = await consumer.created("transferprocesses", spell(body))
    await reaches(consumer, f"transferprocesses/{name}", "STARTED")
    shown = (await consumer.get(f"transferprocesses/{name}")).json
    assert shown["privateProperties"] == {"order": "4711-private", "https://example.org/n": 7}
    assert await consumer.found("transferprocesses/request") == [shown]
    (theirs,) = await provider.found("transferprocesses/request")
    assert "privateProperties" not in theirs
    assert not any(b"4711-private" in each.body for each in pair.provider.captured)


async def test_a_transfer_without_private_properties_shows_none(consumer, offered):
    agreement = await agree(consumer, offered)
    for given in ({}, None):
        name = await transfer(consumer, offered, agreement, privateProperties=given)
        assert "privateProperties" not in (await consumer.get(f"transferprocesses/{name}")).json
    answer = await consumer.post(
        "transferprocesses",
        compact(
            {**offered, "contractId": agreement, "transferType": "HttpData-PULL", "privateProperties": []}
        ),
    )
    assert (answer.status, answer.problem["path"]) == (400, "$.privateProperties")


@pytest.mark.parametrize(
    "path", ["dataplanes", "/management/v3//dataplanes", "/management/v4alpha//dataplanes"]
)
async def test_our_data_plane_is_the_one_that_there_is(site, api, path):
    (shown,) = (await api.get(path)).json
    assert (shown["@type"], shown["@id"], shown["state"]) == ("DataPlaneInstance", "comity", "AVAILABLE")
    assert shown["url"] == site.conf.address + "/data"
    assert "HttpData-PULL" in shown["allowedTransferTypes"]


async def test_no_data_plane_is_registered_or_removed(api):
    answer = await api.put("dataplanes", {"dataplaneId": "dp1", "endpoint": "http://127.0.0.1:1"})
    assert answer.status == 400
    assert "serves and receives data itself" in answer.problem["message"]
    assert (await api.delete("dataplanes/comity")).problem["type"] == "conflict"
    assert (await api.delete("dataplanes/other")).problem["type"] == "not-found"


async def test_an_offer_of_a_deleted_negotiation_can_be_negotiated_again(consumer, offered):
    name = await request(consumer, offered, **{"@id": "urn:no-such-offer", "target": "nothing"})
    await reaches(consumer, f"contractnegotiations/{name}", "TERMINATED")
    assert (await consumer.delete(f"contractnegotiations/{name}")).status == 204
    assert await dataset_of(consumer, offered)
    assert await agree(consumer, offered)
