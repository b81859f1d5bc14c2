"""Without the development flag: no http, no private address, wherever a partner writes one."""

import pytest

from comity.controlplane import partners
from comity.db import pulls
from comity.db.partners import Partner
from support.pair import offer_of
from support.process import Process, awaited, bought

ADDRESSES = [
    "http://partner.example/dsp",
    "https://127.0.0.1/dsp",
    "https://127.0.0.1:8443",
    "https://[::1]/dsp",
    "https://10.0.0.1",
    "https://192.168.1.1/dsp",
    "https://172.16.0.1",
    "https://169.254.169.254/latest",
    "https://100.64.0.1",
    "https://[::ffff:10.0.0.1]/",
    "https://[64:ff9b::a00:1]/",
    "https://[fec0::1]/",
    "https://0.0.0.0",
    "https://2130706433/",
    "https://0x7f.1/",
    "https://user@partner.example/",
    "file:///etc/passwd",
    "gopher://partner.example/",
]


@pytest.fixture
async def strict(started, peer):
    """A connector without the development flag; it knows the peer's key, and is asked at its listener directly."""
    site = await started("strict", insecure=False, address="https://connector.example")
    keys = [{**peer.key.public_jwk(), "kid": peer.key.kid}]
    await partners.add(site.connector, peer.did, address="https://partner.example/dsp", keys=keys)
    site.reached_at = f"http://{site.conf.listen}/dsp/2025-1"
    return Reached(site)


class Reached:
    """The site, reached where it listens and not where it says it is."""

    def __init__(self, site):
        self.site = site
        self.did, self.dsp = site.did, site.reached_at

    def __getattr__(self, name):
        return getattr(self.site, name)


@pytest.mark.parametrize("address", ADDRESSES)
async def test_a_callback_that_may_not_be_called_is_refused(strict, peer, address):
    await strict.publish()
    offer = offer_of(await peer.dataset(strict))
    document = Process(peer, strict).message("ContractRequestMessage", offer=offer, callbackAddress=address)
    answer = await peer.send(strict, "/negotiations/request", document)
    assert answer.status == 400, answer.body
    assert "$.callbackAddress" in answer.reason
    document = Process(peer, strict, consumer=False).message(
        "ContractOfferMessage", offer=offer, callbackAddress=address
    )
    assert (await peer.send(strict, "/negotiations/offers", document)).status == 400
    assert await strict.rows("SELECT 1 FROM negotiation") == []
    assert await strict.rows("SELECT 1 FROM outbox") == []


async def test_a_public_callback_is_taken(strict, peer):
    await strict.publish()
    offer = offer_of(await peer.dataset(strict))
    document = Process(peer, strict).message(
        "ContractRequestMessage", offer=offer, callbackAddress="https://partner.example/dsp/2025-1/"
    )
    assert (await peer.send(strict, "/negotiations/request", document)).status == 201


async def test_the_did_of_a_partner_is_not_fetched_from_loopback(strict, peer):
    other = Partner(
        id=peer.did.replace("127.0.0.1", "localhost"), name="", address="https://p.example", keys=[], pinned=False,
        attributes={}, created_at=0,
    )  # fmt: skip
    await strict.connector.database.write(lambda tx: partners.partners.save(tx, other))
    key = type(peer.key).generate(f"{other.id}#key-1")
    answer = await peer.get(strict, "/negotiations/urn:x", issuer=other.id, key=key)
    assert answer.status in {401, 503}
    assert peer.received == []


async def test_data_at_an_address_that_may_not_be_called_is_never_fetched(site, peer, tmp_path):
    record = await bought(peer, site)
    asked = await site.ask_for_data(record.id)
    await site.reaches(asked.id, "REQUESTED")
    pull = pulls.Pull(transfer_id=asked.id, destination=str(tmp_path / "got"), updated_at=0)
    await site.connector.database.write(lambda tx: pulls.save(tx, pull))
    handing = awaited(peer, site, asked.id, collection="transfers")
    address = {"@type": "DataAddress", "endpointType": "https://w3id.org/idsa/v4.1/HTTP"}
    for bad in ("file:///etc/passwd", "http://a b/", 7, None):
        answer = await handing.send("TransferStartMessage", dataAddress={**address, "endpoint": bad})
        assert answer.status == 400, bad
        assert "dataAddress" in answer.reason
    answer = await handing.send(
        "TransferStartMessage", dataAddress={**address, "endpoint": "http://10.0.0.1:1/data"}
    )
    assert answer.status == 200
    await site.reaches(asked.id, "TERMINATED")
    assert "refused" in (await site.rows("SELECT error FROM pull"))[0][0]
