"""Negotiations and agreements between two connectors driven through their management APIs."""

import pytest

from support import schemas
from support.dealing import ENDED, PROTOCOL, agree, dataset_of, reaches, request
from support.edc import EDC, SPELLINGS, USE, criterion, query


@pytest.mark.parametrize("protocol", ["dataspace-protocol-http", PROTOCOL, None])
async def test_every_name_that_clients_have_for_the_protocol_is_taken(consumer, offered, protocol):
    name = await request(consumer, {**offered, "protocol": protocol})
    assert await reaches(consumer, f"contractnegotiations/{name}", *ENDED) == "FINALIZED"
    assert (await consumer.get(f"contractnegotiations/{name}")).json["protocol"] == PROTOCOL


@pytest.mark.parametrize("spell", SPELLINGS, ids=lambda spell: spell.__name__)
async def test_a_negotiation_is_begun_in_any_spelling_and_shown_in_one(pair, consumer, offered, spell):
    (policy,) = (await dataset_of(consumer, offered))["hasPolicy"]
    body = {
        **offered,
        "policy": {**policy, "assigner": {"@id": pair.provider.did}, "target": {"@id": "part"}},
    }
    name = await consumer.created("contractnegotiations", spell(body))
    assert await reaches(consumer, f"contractnegotiations/{name}", *ENDED) == "FINALIZED"
    found = (await consumer.get(f"contractnegotiations/{name}")).json
    assert found["@context"]["@vocab"] == EDC
    expected = {
        "@type": "ContractNegotiation",
        "@id": name,
        "type": "CONSUMER",
        "protocol": PROTOCOL,
        "state": "FINALIZED",
        "counterPartyId": pair.provider.did,
        "counterPartyAddress": pair.provider.dsp,
        "assetId": "part",
        "callbackAddresses": [],
    }
    assert {key: found[key] for key in expected} == expected
    assert found["correlationId"].startswith("urn:uuid:")
    assert "errorDetail" not in found
    assert await consumer.found("contractnegotiations/request") == [found]


async def test_an_offer_as_the_python_sdk_sends_it(pair, consumer, offered):
    """`odrl:Offer`, no counterPartyId, rules with prefixes and single objects."""
    (policy,) = (await dataset_of(consumer, offered))["hasPolicy"]
    body = {
        "@context": [{"@vocab": EDC}, "http://www.w3.org/ns/odrl.jsonld"],
        "@type": "ContractRequest",
        "counterPartyAddress": pair.provider.dsp,
        "protocol": PROTOCOL,
        "callbackAddresses": None,
        "policy": {
            "@context": "http://www.w3.org/ns/odrl.jsonld",
            "@id": policy["@id"],
            "@type": "odrl:Offer",
            "odrl:assigner": {"@id": pair.provider.did},
            "odrl:target": {"@id": "part"},
            "odrl:permission": {"odrl:action": {"@id": "odrl:use"}, "odrl:constraint": []},
            "odrl:prohibition": [],
            "odrl:obligation": None,
        },
    }
    name = await consumer.created("contractnegotiations", body)
    assert await reaches(consumer, f"contractnegotiations/{name}", *ENDED) == "FINALIZED"


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"policy": None}, "$.policy"),
        ({"policy": []}, "$.policy"),
        ({"policy": {"target": "part", **USE}}, "$.policy.@id"),
        ({"policy": {"@id": "urn:o", **USE}}, "$.policy.target"),
        ({"policy": {"@id": "urn:o", "target": "part"}}, "$.policy.permission"),
        ({"policy": {"@id": "urn:o", "target": "part", "permission": [{}]}}, "$.policy.permission[0].action"),
        ({"counterPartyId": None}, "$.counterPartyId"),
        ({"counterPartyId": 7}, "$.counterPartyId"),
        ({"callbackAddresses": [{"uri": "http://127.0.0.1:1/"}]}, "$.callbackAddresses[0].events"),
    ],
)
async def test_a_negotiation_that_cannot_be_is_refused_with_its_place(pair, consumer, offered, change, path):
    policy = {"@id": "urn:o", "@type": "Offer", "target": "part", **USE}
    answer = await consumer.post("contractnegotiations", {**offered, "policy": policy, **change})
    assert (answer.status, answer.problem["path"]) == (400, path)
    assert await consumer.found("contractnegotiations/request") == []


async def test_a_negotiation_that_the_provider_ends_says_why(pair, consumer, offered):
    name = await request(consumer, offered, **{"@id": "urn:no-such-offer", "target": "nothing"})
    assert await reaches(consumer, f"contractnegotiations/{name}", *ENDED) == "TERMINATED"
    assert "offer is not known" in (await consumer.get(f"contractnegotiations/{name}")).json["errorDetail"]
    assert (await consumer.get(f"contractnegotiations/{name}/agreement")).status == 404


async def test_an_agreement_is_found_by_all_that_names_it(pair, consumer, provider, offered):
    agreement = await agree(consumer, offered)
    shown = (await consumer.get(f"contractagreements/{agreement}")).json
    assert shown["@type"] == "ContractAgreement"
    assert (shown["providerId"], shown["consumerId"]) == (pair.provider.did, pair.consumer.did)
    assert shown["assetId"] == "part"
    assert 1_700_000_000 < shown["contractSigningDate"] < 5_000_000_000
    assert shown["policy"]["permission"] == [{"action": "use"}]
    assert shown["policy"]["@context"] == "https://w3id.org/dspace/2025/1/odrl-profile.jsonld"
    negotiation = (await consumer.get(f"/management/v3//contractagreements/{agreement}/negotiation")).json
    assert (await consumer.get(f"contractnegotiations/{negotiation['@id']}/agreement")).json == shown
    for field, value in (
        ("id", agreement),
        ("agreementId", agreement),
        (EDC + "assetId", "part"),
        ("contractNegotiationId", negotiation["@id"]),
    ):
        assert await consumer.found("contractagreements/request", query(criterion(field, "=", value))) == [
            shown
        ]
        assert await consumer.found("contractagreements/request", query(criterion(field, "=", "x"))) == []
    theirs = (await provider.get(f"contractagreements/{agreement}")).json
    assert theirs["policy"] == shown["policy"]
    await pair.provider.reaches(negotiation["correlationId"], "FINALIZED")
    answer = await provider.delete("assets/part")
    assert (answer.status, answer.problem["type"]) == (409, "conflict")


async def test_a_provider_offers_and_the_consumer_accepts(pair, provider, consumer, offered):
    policy = {"@type": "Offer", "target": "part", **USE}
    body = {"counterPartyId": pair.consumer.did, "policy": policy}
    name = await provider.created("contractnegotiations/offers", body)
    await reaches(provider, f"contractnegotiations/{name}", "OFFERED")
    (theirs,) = await consumer.found(
        "contractnegotiations/request", query(criterion("state", "=", "OFFERED"))
    )
    assert theirs["offer"]["permission"] == USE["permission"]
    assert (await consumer.post(f"contractnegotiations/{theirs['@id']}/accept")).status == 204
    assert await reaches(consumer, f"contractnegotiations/{theirs['@id']}", *ENDED) == "FINALIZED"
    assert await reaches(provider, f"contractnegotiations/{name}", *ENDED) == "FINALIZED"


async def test_a_state_on_its_way_is_shown_as_edc_does(pair, consumer, offered):
    hold = pair.provider.hold("/negotiations/request")
    name = await request(consumer, offered)
    await hold.arrived.wait()
    assert (await consumer.get(f"contractnegotiations/{name}/state")).json["state"] == "REQUESTING"
    (found,) = await consumer.found(
        "contractnegotiations/request", query(criterion("state", "=", "REQUESTING"))
    )
    assert found["@id"] == name
    pair.provider.release(hold)
    assert await reaches(consumer, f"contractnegotiations/{name}", *ENDED) == "FINALIZED"


@pytest.mark.parametrize(
    "rules",
    [
        {"permission": {"action": "use"}},
        {"permission": [{"action": {"@id": "use"}}]},
        {"permission": [{"action": "use", "constraint": []}], "prohibition": [], "obligation": []},
        {"permission": [{"action": "use", "constraint": None}], "prohibition": None},
        {"odrl:permission": [{"odrl:action": "odrl:use"}]},
        {
            "http://www.w3.org/ns/odrl/2/permission": {
                "http://www.w3.org/ns/odrl/2/action": {"@id": "odrl:use"}
            }
        },
        {
            "@type": "odrl:Offer",
            "permission": [{"action": "use"}],
            "@context": "http://www.w3.org/ns/odrl.jsonld",
        },
    ],
)
async def test_whatever_the_spelling_the_message_is_valid_and_the_offer_is_met(
    pair, consumer, offered, rules
):
    (policy,) = (await dataset_of(consumer, offered))["hasPolicy"]
    body = {**offered, "policy": {"@id": policy["@id"], "target": "part", **rules}}
    name = await consumer.created("contractnegotiations", body)
    assert await reaches(consumer, f"contractnegotiations/{name}", *ENDED) == "FINALIZED"
    sent = [each for each in pair.provider.captured if each.path.endswith("/negotiations/request")]
    assert len(sent) == 1
    assert schemas.problems(sent[0].document) == []
    for seen in pair.provider.captured + pair.consumer.captured:
        assert not seen.body or schemas.problems(seen.document) == []
