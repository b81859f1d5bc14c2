"""The key of the sealed columns is lost and replaced by a new one: what was agreed stays, what was published not."""

from comity.db import evidence
from comity.evidence import entry
from support.process import finalized
from support.process import started as transfer_started


async def test_a_lost_seal_key_takes_what_was_published_and_nothing_that_was_agreed(site, peer):
    await site.publish()
    _, agreement_id = await finalized(peer, site)
    before = await site.rows("SELECT id, document FROM agreement")
    await site.stop()
    (site.folder / "keys" / "seal.key").write_text("0f" * 32)
    await site.start()
    assert entry.verify(evidence.read_all(site.conf.database)).size == len(await site.entries())
    assert await site.rows("SELECT id, document FROM agreement") == before
    _, address, token = await transfer_started(peer, site, agreement_id)
    refused = await peer.fetch(address, token)
    assert (refused.status, "Retry-After" in refused.headers) == (503, True)
    await site.publish(replace=True)
    assert (await peer.fetch(address, token)).status == 200
