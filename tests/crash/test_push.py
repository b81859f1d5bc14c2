"""A push of 512 MiB while either side is killed with -9 in the middle: exact, and never from zero again."""

import hashlib

import pytest

from support import big, processes

MIB = 2**20
SIZE = 512 * MIB
KILLS = (("consumer", 0.15), ("provider", 0.35), ("consumer", 0.6), ("provider", 0.8))


@pytest.fixture
def sides(serving):
    provider, consumer = serving("provider"), serving("consumer")
    processes.introduce(provider, consumer)
    return provider, consumer


def test_a_push_survives_two_kills_of_either_side(sides, tmp_path, record_property):
    provider, consumer = sides
    source, into = tmp_path / "model", tmp_path / "received"
    source.mkdir()
    big.write(source / "big.bin", SIZE)
    provider.api.publish(str(source), timeout_s=60, asset_id="model")
    body = {
        "contractId": processes.agreement(provider, consumer, "model"),
        "transferType": "HttpData-PUSH",
        "dataDestination": {"type": "File", "path": str(into)},
    }
    name = consumer.api.request("POST", "transferprocesses", body)["@id"]
    part, kills, before = into / ".big.bin.part", 0, 0
    for side, share in KILLS:
        served = {"consumer": consumer, "provider": provider}[side]
        processes.wait_until(
            lambda share=share: big.size_of(part) >= share * SIZE or (into / "big.bin").exists(),
            f"{share:.0%} of the file",
            60,
            provider,
            consumer,
            every_s=0.001,
        )
        if (into / "big.bin").exists():
            break
        served.kill()
        assert big.size_of(part) >= before, "what had come was lost"
        before = big.size_of(part)
        kills += 1
        served.start()
    processes.wait_until(
        lambda: consumer.api.request("GET", f"transferprocesses/{name}")["state"] == "COMPLETED",
        "the transfer to be complete",
        90,
        provider,
        consumer,
    )
    assert kills >= 2
    record_property("kills", kills)
    digests = []
    for path in (source / "big.bin", into / "big.bin"):
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    assert digests[0] == digests[1]
    assert provider.rows("SELECT state, error FROM push") == [("DONE", "")]
    assert "STARTED" in {state for states in provider.steps().values() for state in states}
