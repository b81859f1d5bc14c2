"""Received bytes have the source's SHA-256 whatever is cut or killed, and memory stays flat whatever the size."""

import functools
import hashlib
import json
import random
import shutil
import struct
import time

import pytest

from adapters.dataplane.processes import CuttingProxy, make_client
from comity.dataplane import pull
from comity.errors import TransientDeliveryError

MIB, GIB = 2**20, 2**30
TOKEN = "Bearer " + "t" * 43
SHA256_OF_5_GIB_OF_ZEROS = "7f06c62352aebd8125b2a1841e2b9e1ffcbed602f381c3dcb3200200e383d1d5"


@pytest.fixture
def source(tmp_path):
    (tmp_path / "src").mkdir()
    return tmp_path / "src"


@pytest.mark.parametrize("kind", ["resource", "package"])
async def test_two_hundred_random_cuts_leave_the_file_exact(tmp_path, source, serve, kind):
    size = 24 * MIB + 17
    content = random.Random(1).randbytes(size)
    (source / "pub").mkdir()
    (source / "pub/model.step").write_bytes(content)
    provider = serve(source / "pub" if kind == "package" else source / "pub/model.step")
    chance = random.Random(2)
    part = tmp_path / "in" / (".model.step.part" if kind == "package" else ".resource.part")
    on_disk = 0
    # At least what the answers' heads and a manifest take, so that every cut falls into the content.
    async with CuttingProxy(provider.port, lambda: chance.randrange(8192, 2 * size // 220)) as proxy:
        while proxy.cuts < 200:
            client = make_client()
            get = pull.Pull(functools.partial(client.stream, "GET"))
            try:
                await get.run(proxy.url, TOKEN, tmp_path / "in")
            except TransientDeliveryError:
                pass
            else:
                pytest.fail(f"whole after {proxy.cuts} cuts: not enough of them")
            finally:
                await client.close()
            size_now = part.stat().st_size if part.exists() else 0
            assert size_now > on_disk, f"cut {proxy.cuts} lost what had come"
            on_disk = size_now
        proxy.allowed = lambda: None
        client = make_client()
        received = await pull.Pull(functools.partial(client.stream, "GET")).run(
            proxy.url, TOKEN, tmp_path / "in"
        )
        await client.close()
    assert proxy.cuts >= 200
    assert on_disk < size
    assert received.fetched_bytes == size - on_disk
    assert (tmp_path / "in/model.step").read_bytes() == content
    assert received.files[0].sha256 == hashlib.sha256(content).hexdigest()


def noted(journal):
    """Bytes of a part that its journal says are there; a run that a kill kept from being noted comes again."""
    content = journal.read_bytes()
    return sum(length for length, _ in struct.iter_unpack(">II", content[: len(content) // 8 * 8]))


def test_a_killed_receiver_goes_on_where_it_was(tmp_path, source, serve, receiver):
    content = random.Random(3).randbytes(200 * MIB)
    (source / "big.bin").write_bytes(content)
    provider = serve(source / "big.bin")
    part = tmp_path / "in/.resource.part"
    kills, on_disk = 0, 0
    for limit in (20 * MIB, 60 * MIB, 120 * MIB):
        process = receiver(provider.url, tmp_path / "in")
        while process.poll() is None and (not part.exists() or part.stat().st_size < limit):
            time.sleep(0.002)
        process.kill()
        process.communicate()
        if not part.exists():
            break
        kills += 1
        on_disk = noted(tmp_path / "in/.resource.runs")
    assert kills >= 1
    process = receiver(provider.url, tmp_path / "in")
    out, err = process.communicate()
    assert process.returncode == 0, err.decode()
    told = json.loads(out)
    assert told["fetched_bytes"] == len(content) - on_disk
    assert told["sha256"] == hashlib.sha256(content).hexdigest()
    assert hashlib.sha256((tmp_path / "in/big.bin").read_bytes()).hexdigest() == told["sha256"]
    notes = {".comity-before.json", ".comity-receiving.json", ".resource.json"}
    assert {path.name for path in (tmp_path / "in").iterdir()} == {*notes, "big.bin"}


def test_a_killed_provider_is_a_transient_failure_and_the_rest_comes_later(tmp_path, source, serve, receiver):
    content = random.Random(4).randbytes(100 * MIB)
    (source / "pub").mkdir()
    (source / "pub/big.bin").write_bytes(content)
    provider = serve(source / "pub")
    part = tmp_path / "in/.big.bin.part"
    process = receiver(provider.url, tmp_path / "in")
    while process.poll() is None and (not part.exists() or part.stat().st_size < 10 * MIB):
        time.sleep(0.002)
    provider.process.kill()
    _, err = process.communicate()
    assert "TransientDeliveryError" in err.decode()
    assert not (tmp_path / "in/big.bin").exists()
    process = receiver(serve(source / "pub").url, tmp_path / "in")
    out, err = process.communicate()
    assert process.returncode == 0, err.decode()
    assert json.loads(out)["fetched_bytes"] < len(content) - 9 * MIB
    assert (tmp_path / "in/big.bin").read_bytes() == content


def test_a_source_changed_in_the_middle_never_arrives_as_a_file(tmp_path, source, serve, receiver):
    (source / "big.bin").write_bytes(random.Random(5).randbytes(MIB) * 300)
    provider = serve(source / "big.bin")
    part = tmp_path / "in/.resource.part"
    process = receiver(provider.url, tmp_path / "in")
    while process.poll() is None and (not part.exists() or part.stat().st_size < 5 * MIB):
        time.sleep(0.002)
    with (source / "big.bin").open("r+b") as opened:
        opened.seek(299 * MIB)
        opened.write(b"changed")
    _, err = process.communicate()
    assert process.returncode != 0
    assert any(
        each in err.decode() for each in ("TransientDeliveryError", "409")
    )  # in a block, or between two
    assert not (tmp_path / "in/big.bin").exists()
    _, err = receiver(provider.url, tmp_path / "in").communicate()
    assert "PermanentDeliveryError" in err.decode()
    assert "409" in err.decode()


def test_five_gib_pass_with_flat_memory(tmp_path, source, serve, receiver, record_property):
    if shutil.disk_usage(tmp_path).free < 6 * GIB:
        pytest.skip("needs 6 GiB of free disk, though it writes almost nothing")
    with (source / "sparse.bin").open("wb") as opened:
        opened.truncate(5 * GIB)
    provider = serve(source / "sparse.bin", SHA256_OF_5_GIB_OF_ZEROS)
    before = provider.stats()
    started = time.monotonic()
    process = receiver(provider.url, tmp_path / "in")
    out, err = process.communicate(timeout=60)
    took_s = time.monotonic() - started
    assert process.returncode == 0, err.decode()
    told, after = json.loads(out), provider.stats()
    figures = {
        "took_s": took_s,
        "mb_per_s": 5 * GIB / took_s / 1e6,
        "server_cpu_s_per_gib": (after["cpu_s"] - before["cpu_s"]) / 5,
        "receiver_cpu_s_per_gib": told["cpu_s"] / 5,
        "server_peak_mib": after["peak_kib"] / 1024,
        "receiver_peak_mib": told["peak_kib"] / 1024,
    }
    for name, value in figures.items():
        record_property(name, round(value, 2))
    print(figures)  # noqa: T201
    assert told["sha256"] == SHA256_OF_5_GIB_OF_ZEROS
    assert told["fetched_bytes"] == 5 * GIB
    assert after["peak_kib"] - before["peak_kib"] < 24 * 1024
    assert told["peak_kib"] < 100 * 1024
    assert (tmp_path / "in/sparse.bin").stat().st_size == 5 * GIB
    assert (tmp_path / "in/sparse.bin").stat().st_blocks * 512 < 100 * MIB
