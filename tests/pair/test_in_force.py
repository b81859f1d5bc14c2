"""EDC's `inForceDate` between two connectors: it ends transfers and locks what was received, and no negotiation."""

from datetime import datetime, timedelta

import pytest

from comity import errors
from comity.controlplane import content, get, processes, pulling, received, shredding
from comity.controlplane.received import Access
from comity.dataplane import tokens
from comity.dataplane.kept import STORE
from support import wire
from support.pair import offer_of, wait_for
from support.process import finalized, started, transfer

DAY_MS = 24 * 3600 * 1000
ONE_DAY = wire.constrained("edc:inForceDate", "lteq", "contractAgreement+1d")
LONG_AGO = wire.constrained("inForceDate", "lteq", "2020-01-01T00:00:00Z")


async def got(pair, asset):
    consumer = pair.consumer.connector
    begun = await get.start(consumer, pair.provider.did, asset, STORE)

    async def ended():
        found = await get.status(consumer, begun.id)
        return found if found["stage"] in {get.COMPLETED, get.FAILED} else None

    return await wait_for(ended)


def days_later(site, days):
    now_ms = site.connector.now_ms() + days * DAY_MS
    object.__setattr__(site.connector, "now_ms", lambda: now_ms)


def end_of(agreement):
    """The instant that a day after the agreement comes to, as EDC counts it: from the second of its signing."""
    return datetime.fromisoformat(agreement.document["timestamp"]).replace(microsecond=0) + timedelta(days=1)


async def test_what_is_offered_for_a_day_from_the_agreement_opens_and_is_locked_after_it(pair):
    await pair.provider.publish(policy=ONE_DAY)
    status = await got(pair, "asset")
    assert (status["stage"], status["error"]) == (get.COMPLETED, "")
    consumer, name = pair.consumer.connector, status["transferId"]
    held = await received.open_(consumer, name, Access())
    until = f"{end_of(held.agreement):%Y-%m-%dT%H:%M:%SZ}"
    (shown,) = (await processes.load_agreement(consumer, held.agreement.id))["comity:enforcement"]
    assert shown["comity:term"] == f"inForceDate lteq contractAgreement+1d ({until})"
    days_later(pair.consumer, 2)
    with pytest.raises(errors.PolicyError, match="it may not be opened so") as caught:
        await received.open_(consumer, name, Access())
    assert caught.value.reasons == (f"inForceDate lteq contractAgreement+1d ({until})",)
    days_later(pair.consumer, 8)
    assert await shredding.run(consumer) == 1


async def test_what_had_ended_before_is_not_agreed_to_by_get(pair):
    await pair.provider.publish(policy=LONG_AGO)
    with pytest.raises(errors.PolicyError, match="has ended: inForceDate lteq 2020-01-01T00:00:00Z"):
        await got(pair, "asset")
    assert await pair.consumer.rows("SELECT id FROM negotiation") == []


async def test_what_had_ended_before_can_be_agreed_to_and_is_not_handed_out(site, peer):
    await site.publish(policy=LONG_AGO)
    _, agreement_id = await finalized(peer, site)
    late = transfer(peer, site)
    await late.request_data(agreement_id)
    await site.reaches(late.theirs, "TERMINATED")
    (told,) = peer.of(f"/{late.pid}/termination")
    assert "inForceDate lteq 2020-01-01T00:00:00Z" in told.document["reason"][0]


async def test_a_provider_hands_out_under_it_until_it_ends_and_ends_what_runs(site, peer):
    await site.publish(policy=ONE_DAY)
    offered = offer_of(await peer.dataset(site))["permission"][0]["constraint"][0]
    assert offered["leftOperand"] == "https://w3id.org/edc/v0.0.1/ns/inForceDate"
    _, agreement_id = await finalized(peer, site)
    process, endpoint, token = await started(peer, site, agreement_id)
    assert (await peer.fetch(endpoint, token)).status == 200
    grant = await content.Contents(site.connector).lookup(process.theirs, tokens.digest(token))
    assert await grant.still_allowed()
    days_later(site, 2)
    assert (await peer.fetch(endpoint, token)).status == 403
    assert not await grant.still_allowed()
    late = transfer(peer, site)
    await late.request_data(agreement_id)
    await site.reaches(late.theirs, "TERMINATED")
    (told,) = peer.of(f"/{late.pid}/termination")
    assert "inForceDate lteq contractAgreement+1d" in told.document["reason"][0]


async def test_a_transfer_in_whose_middle_the_time_ends_says_so_on_both_sides(pair, tmp_path, monkeypatch):
    monkeypatch.setattr(pulling, "ACCESS_ATTEMPTS", 0)
    await pair.provider.publish(policy=ONE_DAY, files={"big.bin": bytes(32_000_000)})
    consumer, into = pair.consumer.connector, tmp_path / "got"
    begun = await get.start(consumer, pair.provider.did, "asset", str(into), bytes_per_s=6_000_000)
    await wait_for((into / ".big.bin.part").exists)
    for each in (pair.provider, pair.consumer):
        days_later(each, 2)

    async def ended():
        found = await get.status(consumer, begun.id)
        return found if found["stage"] == get.FAILED else None

    failed = await wait_for(ended)
    why = "the time of the agreement is over: inForceDate lteq contractAgreement+1d ("
    assert f"status 403: {why}" in failed["error"]
    ((theirs,),) = await pair.provider.rows("SELECT id FROM transfer")
    await pair.provider.reaches(theirs, "TERMINATED")
    for site, name in ((pair.consumer, failed["transferId"]), (pair.provider, theirs)):
        shown = await processes.load_transfer(site.connector, name)
        assert shown["errorDetail"].startswith(f"the data were refused: {why}")
