"""The chain in the store: it grows with the steps, and whoever edits the file is found out."""

import asyncio
import sqlite3
from contextlib import closing

import pytest

from comity import errors
from comity.db import evidence
from comity.evidence import entry as entries
from comity.evidence.entry import BrokenChainError, Entry


def an_entry(number):
    return Entry(
        at=number,
        direction="out",
        message="ContractRequestMessage",
        sha256="00" * 32,
        sender="did:web:alpha",
        receiver="did:web:beta",
        kind="negotiation",
        process_id=f"urn:{number}",
    )


async def append(store, *numbers):
    await asyncio.gather(
        *(store.write(lambda tx, n=number: evidence.append(tx, an_entry(n))) for number in numbers)
    )


def edit(path, sql, *values):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(sql, values)
        connection.commit()


async def test_a_chain_written_in_groups_holds(store, path):
    assert await store.read(evidence.find_head) == entries.verify([])
    await append(store, *range(200))
    head = entries.verify(evidence.read_all(path))
    assert await store.read(evidence.find_head) == head
    assert head.size == 200
    rows = await store.read(lambda tx: evidence.find_page(tx, after=0, limit=1000))
    assert rows == list(evidence.read_all(path))
    assert rows[-1][2].hex() == head.hash
    assert [row[0] for row in await store.read(lambda tx: evidence.find_page(tx, after=5, limit=3))] == [
        6,
        7,
        8,
    ]


async def test_a_step_that_fails_leaves_no_evidence_and_no_gap(store, path):
    async def failing(tx):
        await evidence.append(tx, an_entry(2))
        raise errors.ConflictError("no")

    await append(store, 1)
    found = await asyncio.gather(store.write(failing), append(store, 3), return_exceptions=True)
    assert isinstance(found[0], errors.ConflictError)
    assert [b'"urn:1"' in row[1] or b'"urn:3"' in row[1] for row in evidence.read_all(path)] == [True, True]
    assert entries.verify(evidence.read_all(path)).size == 2


@pytest.mark.parametrize(
    ("sql", "row", "words"),
    [
        ("UPDATE evidence SET record = replace(record, 'beta', 'gamma') WHERE seq = 3", 3, "altered"),
        (
            "UPDATE evidence SET record = CAST(replace(record, 'beta', 'gamma') AS BLOB) WHERE seq = 3",
            3,
            "altered",
        ),
        ("UPDATE evidence SET record = CAST(x'ff' AS TEXT) WHERE seq = 3", 3, "altered"),
        ("UPDATE evidence SET record = 7 WHERE seq = 3", 3, "altered"),
        ("UPDATE evidence SET hash = zeroblob(32) WHERE seq = 3", 3, "altered"),
        ("UPDATE evidence SET hash = hex(hash) WHERE seq = 3", 3, "altered"),
        ("DELETE FROM evidence WHERE seq = 3", 3, "missing"),
        ("DELETE FROM evidence WHERE seq = 1", 1, "missing"),
        ("UPDATE evidence SET seq = 99 WHERE seq = 3", 3, "missing"),
        ("UPDATE evidence SET seq = -1 WHERE seq = 3", 1, "missing"),
        ("INSERT INTO evidence (seq, record, hash) VALUES (0, x'00', x'00')", 1, "missing"),
    ],
)
async def test_whoever_edits_the_file_is_found_out(store, path, sql, row, words):
    await append(store, *range(6))
    edit(path, sql)
    with pytest.raises(BrokenChainError, match=f"evidence row {row} .*{words}"):
        entries.verify(evidence.read_all(path))


async def test_new_records_do_not_heal_a_broken_chain(store, path):
    await append(store, 1, 2, 3)
    edit(path, "DELETE FROM evidence WHERE seq = 2")
    await append(store, 4)
    with pytest.raises(BrokenChainError, match="row 2 is missing"):
        entries.verify(evidence.read_all(path))


@pytest.mark.parametrize("content", [None, b"this is no database" * 100, b""])
def test_a_file_that_holds_no_evidence_is_refused(tmp_path, content):
    path = tmp_path / "x.sqlite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(errors.DatabaseError, match=r"x\.sqlite cannot be read"):
        list(evidence.read_all(path))
    assert path.exists() == (content is not None)
