"""A connector whose signing keys are in a token (SoftHSM2): negotiates, rotates, stops where the token is away."""

import contextlib
import shutil

import pytest

from comity.controlplane import catalog, keyring
from comity.db import public_keys
from comity.errors import KeyAwayError
from comity.identity import jose
from support import softhsm
from support.pair import introduced, offer_of
from support.process import Process


@pytest.fixture
async def pair(started):
    provider = await started("provider", token=softhsm.token("provider"))
    return await introduced(provider, await started("consumer", token=softhsm.token("consumer")))


@contextlib.contextmanager
def away():
    """The tokens cannot be reached in the block."""
    tokens = softhsm.folder() / "tokens"
    shutil.move(tokens, tokens.with_name("away"))
    try:
        yield
    finally:
        shutil.move(tokens.with_name("away"), tokens)


async def agreed(pair):
    dataset = await catalog.request_dataset(pair.consumer.connector, pair.provider.did, None, "asset")
    record = await pair.consumer.request(pair.provider, offer_of(dataset))
    await pair.consumer.reaches(record.id, "FINALIZED")
    return record.id


async def test_negotiates_with_keys_that_never_leave_the_token_and_rotates_them(pair):
    await pair.provider.publish()
    await agreed(pair)
    before = pair.provider.connector.signing_keys.signing_key()
    await keyring.rotate(pair.provider.connector, lead_s=0, grace_s=3600)
    after = pair.provider.connector.signing_keys.signing_key()
    assert after.kid != before.kid
    pair.consumer.connector.resolver.forget(pair.provider.did)
    await agreed(pair)
    assert list((pair.provider.folder / "keys").glob("*.pem")) == []
    kept = await pair.consumer.connector.database.read(public_keys.find_all)
    known = {each.kid: jose.public_key(each.jwk) for each in kept}
    for key in (before, after):  # what the old one signed is checked with what the partner kept of it
        assert known[key.kid].holds(b"said", key.signature(b"said"))


async def test_nothing_goes_out_unsigned_while_the_token_is_away(pair):
    await pair.provider.publish()
    dataset = await catalog.request_dataset(pair.consumer.connector, pair.provider.did, None, "asset")
    with away():
        with pytest.raises(KeyAwayError):
            await catalog.request_dataset(pair.consumer.connector, pair.provider.did, None, "asset")
        record = await pair.consumer.request(pair.provider, offer_of(dataset))
        assert [row[2] for row in await pair.consumer.outbox()] == [0]  # waits, and no attempt was made
    await pair.consumer.reaches(record.id, "FINALIZED")


async def test_who_asks_while_the_token_is_away_gets_503_and_nothing_is_changed(started, peer):
    site = await started("provider", token=softhsm.token("provider"))
    await site.befriend(peer)
    await site.publish()
    process = Process(peer, site)
    offer = offer_of(await peer.dataset(site))
    with away():
        answer = await process.ask(offer)
        assert (answer.status, answer.body) == (503, b"")
        assert await site.rows("SELECT id FROM negotiation") == []
    assert (await process.ask(offer)).status == 201
    await site.reaches(process.theirs, "AGREED")
