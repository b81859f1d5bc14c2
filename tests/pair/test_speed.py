"""Transfers that may not be as fast as they can: a limit of one's own, and a token that ends on the way."""

import time

import pytest

from comity.controlplane import decide, get
from comity.db import pulls
from support.pair import wait_for

KB = 1000


async def ended(site, exchange_id):
    told = await get.status(site.connector, exchange_id)
    return told if told["stage"] in {get.COMPLETED, get.FAILED} else None


async def test_a_transfer_comes_as_fast_as_somebody_lets_it_and_tells_how_far_it_is(pair, tmp_path):
    files = {f"{at}.bin": bytes([at]) * 100 * KB for at in range(6)}
    await pair.provider.publish(files=files)
    consumer = pair.consumer.connector
    begun = await get.start(consumer, pair.provider.did, "asset", str(tmp_path / "got"), bytes_per_s=500 * KB)
    stood = []

    async def all_here():
        told = await ended(pair.consumer, begun.id)
        stood.extend(each.bytes_done for each in consumer.news.moved_since(0, ""))
        return told

    since_s = time.monotonic()
    told = await wait_for(all_here, timeout_s=20)
    assert (told["stage"], told["error"]) == (get.COMPLETED, "")
    assert time.monotonic() - since_s > 0.8  # the last 100 kB, and a tenth of a second, are not waited for
    assert (tmp_path / "got" / "5.bin").read_bytes() == files["5.bin"]
    assert any(0 < each < 600 * KB for each in stood)
    assert consumer.news.moved_since(0, "") == []


@pytest.mark.parametrize("size", [3 * 1024 * 1024])
async def test_a_token_that_ends_on_the_way_is_renewed_and_nothing_is_fetched_again(pair, tmp_path, size):
    """A suspension ends the token between two blocks, and the next start brings another one."""
    await pair.provider.publish(files={"big.bin": bytes(range(256)) * (size // 256)})
    begun = await get.start(
        pair.consumer.connector, pair.provider.did, "asset", str(tmp_path / "got"), bytes_per_s=2000 * KB
    )
    part = tmp_path / "got" / ".big.bin.part"
    await wait_for(lambda: part.exists() and part.stat().st_size > 0, timeout_s=20)
    ((name, pid),) = await pair.consumer.rows("SELECT id, counterparty_pid FROM transfer")
    await pair.provider.move(pid, decide.SUSPEND, reason="a pause")
    await pair.provider.reaches(pid, "SUSPENDED")
    stood = part.stat().st_size
    assert 0 < stood < size
    await pair.provider.move(pid, decide.START)
    told = await wait_for(lambda: ended(pair.consumer, begun.id), timeout_s=20)
    assert (told["stage"], told["bytesDone"]) == (get.COMPLETED, size)
    row = await pair.consumer.connector.database.read(lambda tx: pulls.find(tx, name))
    assert (row.state, row.error) == (pulls.DONE, "")
