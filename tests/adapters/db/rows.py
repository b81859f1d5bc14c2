"""Values that the tests of the store write, and the unit that writes them."""

import msgspec

from comity.db import outbox
from comity.dsp.negotiation import Agreement, Negotiation
from comity.dsp.transfer import Transfer

OFFER = {"@id": "urn:o", "target": "asset", "permission": [{"action": "use"}], "dct:title": "Größe \u0000 😀"}


NEGOTIATION = Negotiation(
    id="urn:n",
    role="consumer",
    counterparty_id="did:web:beta",
    counterparty_address="https://beta.example/dsp",
    counterparty_pid=None,
    state=None,
    version=0,
    asset_id="asset",
    offer=OFFER,
    offered_by="provider",
    created_at=1_700_000_000_001,
    updated_at=1_700_000_000_002,
)


TRANSFER = Transfer(
    id="urn:t",
    role="provider",
    counterparty_id="did:web:beta",
    counterparty_address="https://beta.example/dsp",
    counterparty_pid="urn:theirs",
    state="REQUESTED",
    version=0,
    agreement_id="urn:a",
    asset_id="asset",
    format="HttpData-PULL",
    purpose="repair",
    created_at=1,
    updated_at=2,
    told="REQUESTED",
)


AGREEMENT = Agreement(
    id="urn:a",
    negotiation_id="urn:n",
    role="consumer",
    counterparty_id="did:web:beta",
    provider_id="did:web:beta",
    consumer_id="did:web:alpha",
    asset_id="asset",
    document={"@id": "urn:a", "permission": [{"z": 1, "a": 2}]},
    message_sha256="00" * 32,
    created_at=5,
)


ROW = outbox.Outgoing(
    kind="negotiation",
    process_id="urn:n",
    counterparty_id="did:web:beta",
    url="https://beta.example/dsp/negotiations/request",
    message="ContractRequestMessage",
    message_id="urn:m",
    body=b"{}",
    before=None,
    leads_to="REQUESTED",
    due_at=10,
    created_at=9,
)


replace = msgspec.structs.replace


async def put(store, module, *values):
    async def unit(tx):
        for value in values:
            await module.insert(tx, value)

    await store.write(unit)
