"""Exchanges, pulls and sealed values."""

import pytest

from adapters.db.rows import TRANSFER, put, replace
from comity import errors
from comity.db import exchanges, pulls, transfers
from comity.db.seal import Seal


async def test_an_exchange_is_stored_and_found_by_what_it_waits_for(store):
    new = exchanges.Exchange(
        id="urn:e",
        counterparty_id="did:web:beta",
        asset_id="asset",
        destination="/in",
        manifest_sha256="ab",
        created_at=5,
    )
    await store.write(lambda tx: exchanges.save(tx, new))
    assert await store.read(lambda tx: exchanges.load(tx, "urn:e")) == new
    known = replace(new, negotiation_id="urn:n", agreement_id="urn:a", transfer_id="urn:t", error="why")
    await store.write(lambda tx: exchanges.save(tx, known))
    assert await store.read(lambda tx: exchanges.find_by_negotiation(tx, "urn:n")) == known
    assert await store.read(lambda tx: exchanges.find_by_transfer(tx, "urn:t")) == known
    assert await store.read(lambda tx: exchanges.find_by_transfer(tx, "urn:x")) is None
    assert await store.read(lambda tx: exchanges.find_by_negotiation(tx, "urn:x")) is None
    await store.write(lambda tx: exchanges.save(tx, replace(new, id="urn:d", created_at=1)))
    ours = (new.counterparty_id, new.asset_id, new.destination)
    assert (await store.read(lambda tx: exchanges.find_newest(tx, *ours))).id == "urn:e"
    assert await store.read(lambda tx: exchanges.find_newest(tx, *ours[:2], "/elsewhere")) is None
    with pytest.raises(errors.NotFoundError, match="urn:x"):
        await store.read(lambda tx: exchanges.load(tx, "urn:x"))


async def test_a_pull_is_stored_and_open_until_it_is_done_or_has_failed(store):
    await put(store, transfers, TRANSFER, replace(TRANSFER, id="urn:t2", counterparty_pid="x"))
    new = pulls.Pull(transfer_id="urn:t", destination="/in", updated_at=5)
    second = pulls.Pull(transfer_id="urn:t2", destination="/in", updated_at=1)
    for each in (new, second):
        await store.write(lambda tx, each=each: pulls.save(tx, each))
    assert await store.read(lambda tx: pulls.find(tx, "urn:t")) == new
    assert await store.read(pulls.find_open) == [second, new]
    running = replace(
        new,
        state=pulls.RUNNING,
        files_done=1,
        files_total=2,
        bytes_done=3,
        bytes_total=5 * 2**40,
        error="why",
        updated_at=9,
    )
    await store.write(lambda tx: pulls.save(tx, running))
    assert await store.read(lambda tx: pulls.find(tx, "urn:t")) == running
    for state in (pulls.DONE, pulls.FAILED):
        await store.write(lambda tx, state=state: pulls.save(tx, replace(running, state=state)))
        assert await store.read(pulls.find_open) == [second]
    assert await store.read(lambda tx: pulls.find(tx, "urn:x")) is None
    with pytest.raises(errors.DatabaseError, match=r"(?i)check"):
        await store.write(lambda tx: pulls.save(tx, replace(running, state="x")))
    with pytest.raises(errors.DatabaseError, match=r"(?i)foreign key"):
        await store.write(lambda tx: pulls.save(tx, replace(new, transfer_id="urn:none")))


def test_a_sealed_value_is_opened_by_its_key_for_its_purpose_only():
    seal = Seal(b"k" * 32)
    sealed = seal.close(b"secret", "data-address:urn:t")
    assert b"secret" not in sealed
    assert seal.close(b"secret", "data-address:urn:t") != sealed
    assert seal.open(sealed, "data-address:urn:t") == b"secret"
    altered = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for opener, value, purpose in (
        (seal, sealed, "data-address:urn:other"),
        (Seal(b"l" * 32), sealed, "data-address:urn:t"),
        (seal, altered, "data-address:urn:t"),
        (seal, sealed[:20], "data-address:urn:t"),
        (seal, sealed[:12], "data-address:urn:t"),
        (seal, sealed[:5], "data-address:urn:t"),
        (seal, b"", "data-address:urn:t"),
    ):
        with pytest.raises(errors.DatabaseError, match="cannot be opened"):
            opener.open(value, purpose)
