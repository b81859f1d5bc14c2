"""Framework agreements between two connectors: signed over DSP, in force for what is under them, stopped together."""

import asyncio
import functools
import json
from urllib.parse import quote

import msgspec
import pytest

from comity import errors
from comity.controlplane import catalog, explaining, framework_deliveries, framework_stops, frameworks, get
from comity.controlplane import framework_contact as contact
from comity.controlplane import framework_notices as notices
from comity.controlplane import framework_proposals as proposals
from comity.controlplane import framework_signatures as signatures
from comity.controlplane import framework_signing as signing
from comity.controlplane import framework_view as view
from comity.db import frameworks as rows
from comity.db import partners
from comity.dsp import terms
from comity.management.explaining import Question
from support import agreeing
from support.pair import wait_for
from support.peer import status
from support.process import finalized, started, transfer

BIG = {"big.bin": b"\x07" * (48 << 20)}


def document(pair, **changed):
    return agreeing.document((pair.provider.did, pair.consumer.did), **changed)


async def propose(pair, tmp_path, **changed):
    texts = agreeing.write(tmp_path / "texts")
    return await proposals.propose(pair.provider.connector, document(pair, **changed), str(texts))


async def state_of(site, urn):
    return (await view.load(site.connector, urn))["state"]


async def signed(pair, tmp_path, **changed):
    """A framework agreement that both have signed, and each has heard the other's heartbeat about."""
    urn = await propose(pair, tmp_path, **changed)
    await proposals.sign(pair.consumer.connector, pair.provider.did, urn)
    for site in pair:
        await wait_for(lambda site=site: _is(site, urn, view.SIGNED))
    return urn


async def _is(site, urn, state):
    return await state_of(site, urn) == state


async def in_force(site, other, urn, later_ms=0):
    now_ms = site.connector.now_ms() + later_ms
    return await site.connector.database.read(lambda tx: frameworks.in_force(tx, urn, (other.did,), now_ms))


async def test_it_is_read_before_it_is_signed_and_signed_by_both(pair, tmp_path):
    urn = await propose(pair, tmp_path)
    found = await proposals.offered(pair.consumer.connector, pair.provider.did, urn)
    assert found.document == document(pair)
    dataset = await catalog.request_dataset(pair.consumer.connector, pair.provider.did, None, found.texts)
    assert dataset["comity:files"] == "2"
    assert "has not signed" in await in_force(pair.provider, pair.consumer, urn)
    assert await state_of(pair.provider, urn) == view.OPEN
    await proposals.sign(pair.consumer.connector, pair.provider.did, urn)
    for site, other in (pair, pair[::-1]):
        await wait_for(lambda site=site: _is(site, urn, view.SIGNED))
        assert await in_force(site, other, urn) == ""
        parties = (await view.load(site.connector, urn))["parties"]
        assert [each["signatureHeld"] for each in parties] == [True, True]
    with pytest.raises(errors.ConflictError, match="signed here already"):
        await proposals.sign(pair.consumer.connector, pair.provider.did, urn)


async def publish_under(pair, urn, asset_id="asset", **more):
    await pair.provider.publish(asset_id, framework=urn, **more)


async def dataset_of(pair, asset_id="asset"):
    return await catalog.request_dataset(pair.consumer.connector, pair.provider.did, None, asset_id)


async def stage(pair, exchange_id):
    return (await get.status(pair.consumer.connector, exchange_id))["stage"]


async def test_an_offer_under_it_inherits_its_rules_and_stands_while_it_is_in_force(pair, tmp_path):
    urn = await propose(pair, tmp_path, releaseRules=agreeing.FREE)
    await publish_under(pair, urn)
    with pytest.raises(errors.DeliveryError):
        await dataset_of(pair)
    await proposals.sign(pair.consumer.connector, pair.provider.did, urn)
    await wait_for(lambda: _is(pair.provider, urn, view.SIGNED))
    begun = await get.start(pair.consumer.connector, pair.provider.did, "asset", str(tmp_path / "got"))
    await wait_for(lambda: _done(pair, begun.id))
    rules = (await dataset_of(pair))["hasPolicy"][0]
    assert rules["permission"][0]["constraint"][-1]["rightOperand"] == urn
    assert rules["prohibition"][0]["action"] == "distribute"
    with pytest.raises(errors.InvalidInputError, match="which is prohibited"):
        await publish_under(
            pair, urn, "other", policy={"permission": [{"action": "use"}, {"action": "distribute"}]}
        )


async def _done(pair, exchange_id):
    return await stage(pair, exchange_id) == get.COMPLETED


async def test_a_suspension_stops_streams_here_and_pulls_there_until_it_is_resumed(pair, tmp_path):
    urn = await signed(pair, tmp_path, releaseRules=agreeing.FREE)
    await publish_under(pair, urn, files=BIG)
    begun = await get.start(pair.consumer.connector, pair.provider.did, "asset", str(tmp_path / "got"))
    flows = pair.provider.parts.open_flows
    await wait_for(flows.count)
    loop = asyncio.get_running_loop()
    before = loop.time()
    await framework_stops.change(pair.provider.connector, urn, rows.SUSPENDED, "the licence was withdrawn")
    await wait_for(lambda: not flows.count(), timeout_s=5)
    await wait_for(lambda: _not_in_force(pair.consumer, pair.provider, urn), timeout_s=5)
    assert loop.time() - before < 5
    transfer_id = (await get.status(pair.consumer.connector, begun.id))["transferId"]
    await pair.consumer.reaches(transfer_id, terms.SUSPENDED)
    reason = await in_force(pair.consumer, pair.provider, urn)
    assert f"{pair.provider.did} suspended it: the licence was withdrawn" in reason
    with pytest.raises(errors.PolicyError, match=r"asset is not offered now: .*the licence was withdrawn"):
        await dataset_of(pair)
    asked = Question(pair.consumer.did, "asset", at_ms=None, purpose="")
    said = (await explaining.explain(pair.provider.connector, asked))["explanations"][0]
    assert "suspended it: the licence was withdrawn" in said["because"]
    assert said["rules"][0]["terms"][-1]["verdict"] == "fails"
    await framework_stops.change(pair.provider.connector, urn, rows.AGREED)
    await wait_for(lambda: _done(pair, begun.id))


async def _not_in_force(site, other, urn):
    return bool(await in_force(site, other, urn))


async def test_an_end_by_the_consumer_ends_it_for_both_with_its_reason(pair, tmp_path):
    urn = await signed(pair, tmp_path, releaseRules=agreeing.FREE)
    await publish_under(pair, urn, files=BIG)
    begun = await get.start(pair.consumer.connector, pair.provider.did, "asset", str(tmp_path / "got"))
    flows = pair.provider.parts.open_flows
    await wait_for(flows.count)
    await framework_stops.change(pair.consumer.connector, urn, rows.ENDED, "we leave the programme")
    await wait_for(lambda: not flows.count(), timeout_s=5)
    await wait_for(lambda: _not_in_force(pair.provider, pair.consumer, urn), timeout_s=5)
    transfer_id = (await get.status(pair.consumer.connector, begun.id))["transferId"]
    await pair.consumer.reaches(transfer_id, terms.TERMINATED)
    theirs = await pair.provider.rows("SELECT error FROM transfer")
    assert "was ended: we leave the programme" in theirs[0][0]
    with pytest.raises(errors.ConflictError, match="you have ended it"):
        await framework_stops.change(pair.consumer.connector, urn, rows.AGREED)


async def test_without_contact_a_pull_stops_when_the_lease_ends_and_goes_on_with_the_next(pair, tmp_path):
    urn = await signed(pair, tmp_path, releaseRules=agreeing.FREE)
    day_ms = 24 * 3600 * 1000
    assert await in_force(pair.consumer, pair.provider, urn, later_ms=day_ms - 60_000) == ""
    assert "longer than the lease" in await in_force(pair.consumer, pair.provider, urn, later_ms=2 * day_ms)
    await publish_under(pair, urn, files=BIG)
    begun = await get.start(pair.consumer.connector, pair.provider.did, "asset", str(tmp_path / "got"))
    flows = pair.provider.parts.open_flows
    await wait_for(flows.count)
    watching = contact.Contact(pair.consumer.connector)
    await heard(pair.consumer, pair.provider, urn, fresh_until=1, beat_at=1 << 50)
    await watching.look()
    await wait_for(lambda: not flows.count())
    assert await stage(pair, begun.id) == get.PULLING
    await heard(pair.consumer, pair.provider, urn, fresh_until=1, beat_at=0)
    await watching.look()  # it asks, and the answer is contact
    await wait_for(lambda: _done(pair, begun.id))


async def heard(site, other, urn, **changed):
    """Set until when what is known of the other party counts, and when it is asked next."""

    async def unit(tx):
        party = await rows.find_party(tx, urn, other.did)
        await rows.save_party(tx, msgspec.structs.replace(party, **changed))

    await site.connector.database.write(unit)


async def test_with_a_partner_that_signs_nothing_it_is_agreed_and_each_transfer_ended(site, peer, tmp_path):
    peer.token = functools.partial(peer.token, body_sha256=None)
    peer.script("/comity/notices", *[status(404)] * 9)
    document = agreeing.document((site.did, peer.did), releaseRules=agreeing.FREE)
    texts = agreeing.write(tmp_path / "texts")
    urn = await proposals.propose(site.connector, document, str(texts))
    await finalized(peer, site, quote(urn, safe=""))
    found = await view.load(site.connector, urn)
    assert found["state"] == view.AGREED
    assert "its signature is not held" in found["parties"][1]["detail"]
    await site.publish(framework=urn)
    _, agreement_id = await finalized(peer, site)
    process, endpoint, token = await started(peer, site, agreement_id)
    assert (await peer.fetch(endpoint, token)).status == 200
    await framework_stops.change(site.connector, urn, rows.SUSPENDED, "the licence was withdrawn")
    assert (await peer.fetch(endpoint, token)).status == 401
    await wait_for(lambda: peer.of(f"/{process.pid}/termination"))
    said = peer.of(f"/{process.pid}/termination")[0].document
    assert "was suspended: the licence was withdrawn" in said["reason"][0]
    assert (await transfer(peer, site).request_data(agreement_id)).status == 201
    await wait_for(lambda: len(peer.of("/termination")) == 2)


async def test_an_amendment_takes_the_place_of_what_it_names_once_both_have_signed_it(pair, tmp_path):
    old = await signed(pair, tmp_path, releaseRules=agreeing.FREE)
    with pytest.raises(errors.InvalidInputError) as caught:
        await propose(pair, tmp_path, version=2, replaces=f"{agreeing.ID}#sha256:{'0' * 64}")
    assert caught.value.path == "$.replaces"
    await publish_under(pair, old)
    new = await propose(pair, tmp_path, version=2, replaces=old, releaseRules=agreeing.FREE)
    assert await in_force(pair.provider, pair.consumer, old) == ""
    for state in (rows.SUSPENDED, rows.AGREED):  # of all versions: the consumer is under the old one
        await framework_stops.change(pair.provider.connector, new, state, "wait")
        assert await _not_in_force(pair.provider, pair.consumer, old) == (state == rows.SUSPENDED)
    await proposals.sign(pair.consumer.connector, pair.provider.did, new)
    for site in pair:
        await wait_for(lambda site=site: _is(site, new, view.SIGNED))
        assert (await view.load(site.connector, old))["replacedBy"] == new
    await dataset_of(pair)
    with pytest.raises(errors.ConflictError, match="an amendment has taken its place"):
        await framework_stops.change(pair.provider.connector, old, rows.SUSPENDED, "no")
    await framework_stops.change(pair.provider.connector, new, rows.SUSPENDED, "no")
    assert "suspended" in await in_force(pair.provider, pair.consumer, old)


async def test_a_further_party_accedes_by_signing_the_same_hash(pair, started, tmp_path):
    third = await started("third")
    await third.befriend(pair.provider)
    await pair.provider.befriend(third)
    await pair.consumer.befriend(third)
    urn = await signed(pair, tmp_path, accession={"openTo": [third.did]})
    with pytest.raises(errors.InvalidInputError, match="is not among the parties"):
        await proposals.sign(third.connector, pair.provider.did, urn)
    text = json.dumps(document(pair, accession={"openTo": [third.did]}))
    await third.befriend(pair.consumer)
    await third.publish(urn, properties={proposals.PROPERTY: text})
    with pytest.raises(errors.InvalidInputError, match=f"{third.did} is not among the parties"):
        await proposals.sign(pair.consumer.connector, third.did, urn)
    await proposals.sign(third.connector, pair.provider.did, urn, accede=True)
    await wait_for(lambda: _is(third, urn, view.SIGNED))
    await wait_for(lambda: _agrees(pair.consumer, third, urn))
    found = await view.load(pair.consumer.connector, urn)
    told = next(each for each in found["parties"] if each["participantId"] == third.did)
    assert pair.provider.did in told["detail"]
    assert not told["signatureHeld"]
    await wait_for(lambda: _agrees(third, pair.consumer, urn))


async def _agrees(site, other, urn):
    return not await in_force(site, other, urn)


async def test_what_was_delivered_of_a_commitment_is_reported_and_confirmed(pair, tmp_path):
    urn = await signed(pair, tmp_path)
    made = await framework_deliveries.deliver(pair.consumer.connector, urn, "C1", "40", "note 17")

    async def told():
        return (await view.load(pair.provider.connector, urn))["deliveries"]

    await wait_for(told)
    await framework_deliveries.confirm(pair.provider.connector, urn, made.id)

    async def confirmed():
        return (await view.load(pair.consumer.connector, urn))["commitments"][0]["confirmed"] == "40"

    await wait_for(confirmed)
    with pytest.raises(errors.InvalidInputError, match="N9 is no commitment"):
        await framework_deliveries.deliver(pair.consumer.connector, urn, "N9", "40", "")


async def test_signatories_signatures_come_with_it_and_are_judged_on_each_side(pair, tmp_path):
    urn = await propose(pair, tmp_path)
    verdict = await signatures.attach(pair.provider.connector, urn, b"no signature")
    assert not verdict.valid
    await proposals.sign(pair.consumer.connector, pair.provider.did, urn)

    async def told():
        return (await view.load(pair.consumer.connector, urn))["signatures"]

    (shown,) = await wait_for(told)
    assert (shown["party"], shown["valid"]) == (pair.provider.did, False)
    assert "cannot be read" in shown["detail"]


async def told(site, partner, said):
    """Let a site take a notice of a partner."""
    await site.connector.database.write(lambda tx: notices.receive(site.connector, tx, partner, said))


async def test_who_offers_another_s_framework_agreement_does_not_become_a_party(pair, tmp_path):
    urn = await signed(pair, tmp_path)
    ((name,),) = await pair.provider.rows("SELECT id FROM negotiation")
    record = msgspec.structs.replace(await pair.provider.negotiation(name), counterparty_id="did:web:x")

    async def unit(tx):
        await rows.save_party(tx, rows.Party(urn=urn, participant_id="did:web:x", changed_at=0))
        await signing.finalized(pair.provider.connector, tx, record)
        return await frameworks.in_force(tx, urn, ("did:web:x",), pair.provider.connector.now_ms())

    assert "has not signed it" in await pair.provider.connector.database.write(unit)


async def test_nobody_suspends_for_another_or_tells_of_what_is_not_between_us(pair, tmp_path):
    urn = await signed(pair, tmp_path)
    partner = await pair.provider.connector.database.read(lambda tx: partners.load(tx, pair.consumer.did))
    about = {"frameworkAgreement": urn}
    delivery = {"delivery": "urn:d", "commitment": "C2", "quantity": "1"}
    for said, why in (
        ({**about, "event": "acceded", "party": "d", "agreementId": "x"}, "only who proposed it"),
        ({**about, "event": "dissolved"}, "the event is none of"),
        ({**about, "event": "suspended", "at": "now"}, "a time in ms since 1970"),
        ({**about, "event": "suspended", "at": 5, "reason": "\0"}, "must be a text"),
        ({"frameworkAgreement": "\0", "event": "ended"}, "printable"),
        ({**about, "frameworkAgreement": urn + "0", "event": "ended"}, "no such framework agreement"),
        ({**about, **delivery, "event": "delivered"}, "is no commitment of"),
        ({**about, "event": "signature", "content": "?"}, "a file in base64"),
        ({**about, "event": "signature", "content": "\u00e9"}, "a file in base64"),
    ):  # fmt: skip
        with pytest.raises(errors.InvalidInputError, match=why):
            await told(pair.provider, partner, said)
    proposer = await pair.consumer.connector.database.read(lambda tx: partners.load(tx, pair.provider.did))
    joined = {**about, "event": "acceded", "party": "did:web:stranger.example", "agreementId": "urn:a"}
    with pytest.raises(errors.InvalidInputError, match="not open to this participant"):
        await told(pair.consumer, proposer, joined)
    late = {"frameworkAgreement": urn, "event": "suspended", "reason": "x", "at": 5}
    newer = {"frameworkAgreement": urn, "event": "resumed", "reason": "", "at": 9}
    odd = {"frameworkAgreement": urn, "event": "heartbeat", "state": [rows.SUSPENDED], "at": 10}
    for said, state in (
        (late, rows.SUSPENDED),
        (newer, rows.AGREED),
        (late, rows.AGREED),
        (odd, rows.AGREED),
        ({**late, "at": 11}, rows.SUSPENDED),
        ({**late, "at": 13}, rows.SUSPENDED),  # what came between is late
        ({**newer, "at": 12}, rows.SUSPENDED),
    ):
        await told(pair.provider, partner, said)
        found = (await view.load(pair.provider.connector, urn))["parties"]
        assert [each["state"] for each in found] == [rows.AGREED, state]


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        ({"validity": {"from": "2027-01-01", "until": "2026-01-01"}}, "$.validity.until"),
        ({"parent": agreeing.URN}, "$.parent"),
    ],
)
async def test_a_document_that_cannot_hold_is_not_offered(pair, tmp_path, changed, path):
    with pytest.raises(errors.InvalidInputError) as caught:
        await propose(pair, tmp_path, **changed)
    assert caught.value.path == path
    assert await view.find_all(pair.provider.connector) == []
