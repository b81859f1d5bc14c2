"""The key of the sealed columns is lost and replaced by a new one: what was agreed stays, what was published not."""

import asyncio

import pytest

from comity import errors
from comity.db import evidence
from comity.evidence import entry
from support import postgres
from support.process import finalized
from support.process import started as transfer_started


async def test_a_lost_seal_key_takes_what_was_published_and_nothing_that_was_agreed(site, peer):
    await site.publish()
    _, agreement_id = await finalized(peer, site)
    before = await site.rows("SELECT id, document FROM agreement")
    await site.stop()
    (site.folder / "keys" / "seal.key").write_text("0f" * 32)
    if site.conf.database_url:
        with pytest.raises(errors.SettingsError, match="another seal key") as refused:
            await site.start()
        assert "DELETE FROM shared" in refused.value.hint
        postgres.run(site.conf.database_url, "DELETE FROM shared")
    await site.start()
    place = site.conf.database_url or site.conf.database
    heads = await asyncio.to_thread(
        lambda: [entry.verify(rows, chain) for chain, rows in evidence.read_chains(place)]
    )
    assert sum(head.size for head in heads) == len(await site.entries())
    assert await site.rows("SELECT id, document FROM agreement") == before
    _, address, token = await transfer_started(peer, site, agreement_id)
    refused = await peer.fetch(address, token)
    assert (refused.status, "Retry-After" in refused.headers) == (503, True)
    await site.publish()
    assert (await peer.fetch(address, token)).status == 200
