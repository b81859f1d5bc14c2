"""Negotiations and transfers: written, read back, changed by compare-and-set, refused where the table says so."""

import pytest

from adapters.db.rows import NEGOTIATION, TRANSFER, put, replace
from comity import errors
from comity.db import negotiations, transfers
from comity.management import query

RECORDS = [
    (
        negotiations,
        NEGOTIATION,
        {
            "counterparty_pid": "urn:theirs",
            "state": "AGREED",
            "offer": {"@id": "urn:o2"},
            "offered_by": "consumer",
            "agreement_id": "urn:a",
            "approval_id": "urn:approval",
            "last_received": b"\x00\xff",
            "error": "why",
            "updated_at": 99,
        },
    ),
    (
        transfers,
        TRANSFER,
        {
            "counterparty_pid": "urn:other",
            "state": "STARTED",
            "token_sha256": b"\x00" * 32,
            "data_address_sealed": b"sealed",
            "last_received": b"\x01",
            "suspended_by": "provider",
            "error": "why",
            "updated_at": 99,
        },
    ),
]


@pytest.mark.parametrize(("module", "record", "changes"), RECORDS)
async def test_a_record_is_read_back_and_changed_as_a_whole(store, module, record, changes):
    await put(store, module, record)
    assert await store.read(lambda tx: module.load(tx, record.id)) == record
    changed = replace(record, **changes)
    saved = await store.write(lambda tx: module.save(tx, changed))
    assert saved == replace(changed, version=1, events=2, told=changed.state)
    assert await store.read(lambda tx: module.find(tx, record.id)) == saved
    fixed = {"id", "role", "counterparty_id", "counterparty_address", "version", "asset_id", "created_at"}
    fixed |= {"events", "told"}
    fixed |= {"agreement_id", "format", "purpose", "revision"} if module is transfers else set()
    assert set(record.__struct_fields__) == set(changes) | fixed


@pytest.mark.parametrize(("module", "record", "changes"), RECORDS)
async def test_of_two_changes_of_one_version_the_second_is_refused(store, module, record, changes):
    await put(store, module, record)
    first = await store.write(lambda tx: module.save(tx, replace(record, state="TERMINATED")))
    with pytest.raises(errors.ConflictError, match=f"{record.id} was changed by somebody else"):
        await store.write(lambda tx: module.save(tx, replace(record, **changes)))
    assert await store.read(lambda tx: module.load(tx, record.id)) == first


@pytest.mark.parametrize(("module", "record", "_changes"), RECORDS)
async def test_a_record_is_found_by_the_partners_pid_and_its_role_only(store, module, record, _changes):
    record = replace(record, counterparty_pid="urn:theirs")
    other = "provider" if record.role == "consumer" else "consumer"
    # one pid may name one process of each role and of each partner
    await put(store, module, record, replace(record, id="urn:2", role=other))
    await put(store, module, replace(record, id="urn:3", counterparty_id="did:web:gamma"))

    async def found(party, role, pid="urn:theirs"):
        record = await store.read(lambda tx: module.find_by_party(tx, party, role, pid))
        return record.id if record else None

    assert await found("did:web:beta", record.role) == record.id
    assert await found("did:web:beta", other) == "urn:2"
    assert await found("did:web:gamma", record.role) == "urn:3"
    assert await found("did:web:BETA", record.role) is None
    assert await found("did:web:beta", record.role, "urn:x") is None
    with pytest.raises(errors.DatabaseError, match=r"(?i)unique"):
        await put(store, module, replace(record, id="urn:4"))


@pytest.mark.parametrize(("module", "record", "_changes"), RECORDS)
async def test_records_come_oldest_first_and_a_missing_one_is_not_found(store, module, record, _changes):
    ids = ["urn:b", "urn:a", "urn:c"]
    pids = {"counterparty_pid": None}
    await put(
        store, module, *(replace(record, id=each, created_at=ids.index(each), **pids) for each in sorted(ids))
    )
    found = await store.read(lambda tx: module.find_page(tx, query.Spec(), lambda each, *_: {"@id": each.id}))
    assert [each["@id"] for each in found] == ids
    assert await store.read(lambda tx: module.find(tx, "urn:x")) is None
    with pytest.raises(errors.NotFoundError, match="urn:x"):
        await store.read(lambda tx: module.load(tx, "urn:x"))


@pytest.mark.parametrize(("module", "record", "_changes"), RECORDS)
async def test_a_role_that_is_none_is_refused_by_the_table(store, module, record, _changes):
    with pytest.raises(errors.DatabaseError, match=r"(?i)check"):
        await put(store, module, replace(record, role="broker"))


async def test_transfers_are_found_by_their_agreement(store):
    await put(store, transfers, TRANSFER, replace(TRANSFER, id="urn:t2", counterparty_pid="x", created_at=0))
    await put(store, transfers, replace(TRANSFER, id="urn:t3", counterparty_pid="y", agreement_id="urn:b"))
    found = await store.read(lambda tx: transfers.find_by_agreement(tx, "urn:a"))
    assert [each.id for each in found] == ["urn:t2", "urn:t"]
