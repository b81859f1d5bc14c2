"""The consumer is killed with -9 while something comes into its store: it goes on, and all of it is right."""

import hashlib
import subprocess

import pytest

from support import big, processes

MIB = 2**20
SIZE = 96 * MIB


@pytest.fixture
def sides(serving):
    provider, consumer = serving("provider"), serving("consumer")
    processes.introduce(provider, consumer)
    return provider, consumer


def test_a_kill_in_the_middle_of_receiving_into_the_store_loses_nothing(sides, tmp_path):
    provider, consumer = sides
    source = tmp_path / "model"
    source.mkdir()
    big.write(source / "model.step", SIZE)
    (source / "note.txt").write_text("small")
    provider.api.publish(str(source), timeout_s=60, asset_id="model")
    exchange = consumer.api.start_exchange(provider.did, "model", "store:")["@id"]
    kept = consumer.conf.kept

    def held():
        return max((each.stat().st_size for each in kept.rglob("*") if each.is_file()), default=0)

    processes.wait_until(lambda: held() >= SIZE // 3, "a third of it", 30, provider, consumer)
    consumer.kill()
    before = held()
    assert SIZE // 3 <= before < SIZE, "the kill came too late"
    consumer.start()
    state = processes.wait_until(
        lambda: ended(consumer, exchange), "the end", 40, provider, consumer, every_s=0.05
    )
    assert (state["stage"], state["error"]) == ("COMPLETED", "")
    words = [*processes.COMITY, "received", "open", state["transferId"], "model.step"]
    done = subprocess.run(
        words, env=processes.environment(consumer.conf.folder), capture_output=True, check=True, timeout=30
    )
    assert (
        hashlib.sha256(done.stdout).digest() == hashlib.sha256((source / "model.step").read_bytes()).digest()
    )
    got = consumer.run("get", "provider", "model")
    assert (got.returncode, "encrypted, in the node's store" in got.stdout) == (0, True), got
    assert "comity received open" in got.stdout
    listed = consumer.run("received")
    assert (listed.returncode, "(each content once)" in listed.stdout) == (0, True), listed
    for each in [kept, *kept.rglob("*")]:
        assert each.stat().st_mode & 0o077 == 0


def ended(consumer, exchange):
    found = consumer.api.exchange(exchange)
    return found if found["stage"] in {"COMPLETED", "FAILED"} else None
