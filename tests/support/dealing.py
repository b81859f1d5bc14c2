"""Two connectors dealing with each other through their management APIs, as EDC's clients do it step by step."""

from __future__ import annotations

import aiohttp

from support import pair as pairs
from support.edc import EDC, USE, compact, criterion

PROTOCOL = "dataspace-protocol-http:2025-1"
CONTENT = bytes(range(256)) * 4096
ENDED = {"FINALIZED", "TERMINATED"}


async def offer(provider, name, address, policy=USE, **properties):
    await provider.created("assets", {"@id": name, "properties": properties, "dataAddress": address})
    await provider.created("policydefinitions", {"@id": f"{name}-p", "policy": policy})
    selector = [criterion(EDC + "id", "=", name)]
    body = {
        "@id": f"{name}-c",
        "accessPolicyId": f"{name}-p",
        "contractPolicyId": f"{name}-p",
        "assetsSelector": selector,
    }
    await provider.created("contractdefinitions", body)


async def dataset_of(consumer, party, name="part"):
    answer = await consumer.post("catalog/dataset/request", {"@id": name, **party})
    assert answer.status == 200, answer
    return answer.json


async def request(consumer, party, name="part", **more):
    """Negotiate as EDC's TypeScript client does, and return the negotiation's id."""
    (policy, *_) = (await dataset_of(consumer, party, name))["hasPolicy"]
    offered = {**policy, "assigner": party["counterPartyId"], "target": name, **more}
    return await consumer.created(
        "contractnegotiations", compact({**party, "policy": offered, "callbackAddresses": []})
    )


async def reaches(api, path, *states):
    async def there():
        found = (await api.get(f"{path}/state")).json
        return found if found["state"] in states else None

    return (await pairs.wait_for(there, f"{path} is {states}"))["state"]


async def agree(consumer, party, name="part"):
    negotiation = await request(consumer, party, name)
    assert await reaches(consumer, f"contractnegotiations/{negotiation}", *ENDED) == "FINALIZED"
    return (await consumer.get(f"contractnegotiations/{negotiation}")).json["contractAgreementId"]


async def transfer(consumer, party, agreement, **more):
    body = {
        **party,
        "contractId": agreement,
        "transferType": "HttpData-PULL",
        "callbackAddresses": [],
        **more,
    }
    return await consumer.created("transferprocesses", compact(body))


async def fetch(edr, **headers):
    """Fetch data as EDC's clients do: the token without "Bearer"."""
    sent = {"Authorization": edr["authorization"], **headers}
    async with aiohttp.ClientSession() as session, session.get(edr["endpoint"], headers=sent) as answer:
        return answer.status, await answer.read()
