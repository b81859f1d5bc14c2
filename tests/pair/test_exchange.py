"""Whole exchanges between two connectors."""

from comity.controlplane import catalog, decide, get
from comity.dsp import terms
from support import schemas
from support.pair import offer_of, wait_for


async def dataset_of(pair, asset_id="asset"):
    return await catalog.request_dataset(pair.consumer.connector, pair.provider.did, None, asset_id)


async def test_a_package_goes_from_the_catalog_to_exact_files(pair, tmp_path):
    files = {"a.txt": b"hello" * 1000, "sub/b.bin": bytes(range(256)) * 8192}
    await pair.provider.publish(files=files)
    begun = await get.start(pair.consumer.connector, pair.provider.did, "asset", str(tmp_path / "got"))

    async def done():
        return (await get.status(pair.consumer.connector, begun.id))["stage"] in {get.COMPLETED, get.FAILED}

    await wait_for(done)
    status = await get.status(pair.consumer.connector, begun.id)
    assert (status["stage"], status["error"]) == (get.COMPLETED, "")
    for name, content in files.items():
        assert (tmp_path / "got" / name).read_bytes() == content
    await pair.consumer.reaches(status["transferId"], terms.COMPLETED)
    await pair.consumer.reaches(status["negotiationId"], terms.FINALIZED)
    theirs = (await pair.provider.rows("SELECT id, state FROM transfer"))[0]
    assert theirs[1] == terms.COMPLETED
    for site in pair:
        kept = await site.rows("SELECT record, body, sealed FROM evidence WHERE body IS NOT NULL")
        assert [sealed for record, _, sealed in kept if b"TransferStartMessage" in record] == [1]
        assert len(kept) > 6
        assert not any(b"endpointProperties" in body for _, body, _ in kept)


async def test_both_sides_hold_the_same_agreement_and_matching_evidence(pair):
    await pair.provider.publish()
    offer = offer_of(await dataset_of(pair))
    record = await pair.consumer.request(pair.provider, offer)
    await pair.consumer.reaches(record.id, terms.FINALIZED)
    record = await pair.consumer.negotiation(record.id)
    await pair.provider.reaches(record.counterparty_pid, terms.FINALIZED)
    ours, theirs = (
        await pair.consumer.agreement(record.id),
        await pair.provider.agreement(record.counterparty_pid),
    )
    assert ours.document == theirs.document
    assert ours.message_sha256 == theirs.message_sha256
    assert ours.finalized
    assert theirs.finalized
    assert sorted(await pair.consumer.path_of(record.id)) == [
        ("", "REQUESTED"),
        ("AGREED", "VERIFIED"),
        ("REQUESTED", "AGREED"),
        ("VERIFIED", "FINALIZED"),
    ]
    for sender, sent_id, receiver, got_id in (
        (pair.consumer, record.id, pair.provider, record.counterparty_pid),
        (pair.provider, record.counterparty_pid, pair.consumer, record.id),
    ):
        sent, came = await said(sender, sent_id, "out"), await said(receiver, got_id, "in")
        assert sent == came
        assert len(sent) == 2
        assert all(side["signature"] for each in sent.values() for side in each[2:])


async def said(site, process_id, direction):
    """What a side holds of the messages of a direction: token and both signatures."""
    return {
        each["sha256"]: [each[name] for name in ("token", "tokenSha256", "request", "reply")]
        for each in await site.entries(process_id)
        if each["direction"] == direction
    }


async def test_every_message_of_an_exchange_is_emitted_once(pair):
    await pair.provider.publish()
    record = await pair.consumer.request(pair.provider, offer_of(await dataset_of(pair)))
    await pair.consumer.reaches(record.id, terms.FINALIZED)
    kinds = [
        s.document["@type"] for s in pair.provider.captured + pair.consumer.captured if s.method == "POST"
    ]
    assert sorted(kinds) == [
        "ContractAgreementMessage",
        "ContractAgreementVerificationMessage",
        "ContractNegotiationEventMessage",
        "ContractRequestMessage",
    ]
    assert not schemas.PRESENT or all(
        schemas.problems(s.document) == [] for s in pair.provider.captured if s.body
    )


async def test_a_provider_can_begin_and_the_consumer_accepts(pair):
    offer = {"@id": "urn:offer:1", "@type": "Offer", "target": "asset", "permission": [{"action": "use"}]}
    record = await pair.provider.offer(pair.consumer, offer)
    await pair.provider.reaches(record.id, terms.OFFERED)
    theirs = (await pair.provider.negotiation(record.id)).counterparty_pid
    assert await pair.consumer.state(theirs) == terms.OFFERED
    await pair.consumer.move(theirs, decide.ACCEPT)
    await pair.consumer.reaches(theirs, terms.FINALIZED)
    await pair.provider.reaches(record.id, terms.FINALIZED)
    assert (await pair.consumer.agreement(theirs)).document["target"] == "asset"


async def test_the_version_endpoint_needs_no_token(site, peer):
    answer = await peer._session.get(site.conf.address + "/.well-known/dspace-version")
    document = await answer.json()
    assert document["protocolVersions"][0]["version"] == "2025-1"
