import itertools
import json
from hashlib import sha256

import msgspec
import pytest

from comity.evidence import entry
from comity.evidence.entry import BrokenChainError, Entry, Head, Reply, Request

ENTRY = Entry(
    at=1_700_000_000_000,
    direction="in",
    message="ContractAgreementMessage",
    message_id="urn:m",
    sha256="00" * 32,
    sender="did:web:beta",
    receiver="did:web:alpha",
    kind="negotiation",
    process_id="urn:us",
    before="REQUESTED",
    after="AGREED",
)


def chain(count):
    rows, last = [], entry.GENESIS
    for seq in range(1, count + 1):
        record = entry.encode(msgspec.structs.replace(ENTRY, at=ENTRY.at + seq))
        last = entry.link(last, record)
        rows.append((seq, record, last))
    return rows


def test_a_record_is_canonical_json_without_what_is_empty():
    assert entry.encode(ENTRY) == (
        b'{"after":"AGREED","at":1700000000000,"before":"REQUESTED","direction":"in","kind":"negotiation",'
        b'"message":"ContractAgreementMessage","messageId":"urn:m","processId":"urn:us",'
        b'"receiver":"did:web:alpha","sender":"did:web:beta","sha256":"' + b"00" * 32 + b'"}'
    )


@pytest.mark.parametrize("name", Entry.__struct_fields__)
def test_every_field_is_in_the_record(name):
    value = getattr(ENTRY, name)
    signed = {
        "request": Request(method="POST", target="https://a/b", signature_input="(x)", signature="eA=="),
        "reply": Reply(status=200, sha256="00" * 32, note="not signed"),
    }
    other = signed[name] if name in signed else value + 1 if isinstance(value, int) else value + "x"
    changed = msgspec.structs.replace(ENTRY, **{name: other})
    assert entry.encode(changed) != entry.encode(ENTRY)
    assert msgspec.json.decode(entry.encode(changed), type=Entry) == changed


def test_the_hash_of_a_record_is_over_the_one_before_and_its_bytes():
    assert entry.link(entry.GENESIS, b"x") == sha256(bytes(32) + b"x").digest()


def test_an_empty_chain_holds():
    assert entry.verify([]) == Head(0, "00" * 32)


def test_a_chain_that_holds_gives_its_head():
    rows = chain(5)
    assert entry.verify(iter(rows)) == Head(5, rows[-1][2].hex())


def test_what_is_cut_off_at_the_end_shows_only_in_the_head():
    rows = chain(5)
    assert entry.verify(rows[:3]) == Head(3, rows[2][2].hex())
    assert entry.verify(rows[:3]) != entry.verify(rows)


@pytest.mark.parametrize("at", range(5))
def test_one_changed_byte_is_found_at_its_row(at):
    rows = chain(5)
    seq, record, stored = rows[at]
    for changed in (
        (seq, record.replace(b"AGREED", b"REFUSED"), stored),
        (seq, record + b" ", stored),
        (seq, b"", stored),
        (seq, record, bytes(32)),
        (seq, record, stored[:-1]),
        (seq, record.decode(), stored),
        (seq, record, stored.hex()),
        (seq, None, stored),
    ):
        with pytest.raises(BrokenChainError, match=f"evidence row {seq} was altered") as caught:
            entry.verify([*rows[:at], changed, *rows[at + 1 :]])
        assert caught.value.seq == seq


@pytest.mark.parametrize("at", range(4))
def test_a_removed_row_is_found(at):
    rows = chain(5)
    with pytest.raises(BrokenChainError, match=f"row {at + 1} is missing"):
        entry.verify([*rows[:at], *rows[at + 1 :]])


@pytest.mark.parametrize("at", range(4))
def test_a_removed_row_is_found_also_when_the_others_close_up(at):
    rows = [
        (seq, record, stored)
        for seq, (_, record, stored) in enumerate([*chain(5)[:at], *chain(5)[at + 1 :]], 1)
    ]
    with pytest.raises(BrokenChainError, match=f"row {at + 1} was altered"):
        entry.verify(rows)


def test_another_order_is_found():
    rows = chain(4)
    for order in itertools.permutations(range(4)):
        if order == (0, 1, 2, 3):
            continue
        moved = [(seq, *rows[at][1:]) for seq, at in enumerate(order, 1)]
        first = next(seq for seq, at in enumerate(order, 1) if at != seq - 1)
        with pytest.raises(BrokenChainError) as caught:
            entry.verify(moved)
        assert caught.value.seq == first


def test_an_inserted_row_is_found():
    rows = chain(3)
    extra = entry.encode(msgspec.structs.replace(ENTRY, at=5))
    false = (2, extra, entry.link(rows[0][2], extra))
    moved = [(seq + 1, record, stored) for seq, record, stored in rows[1:]]
    with pytest.raises(BrokenChainError, match="row 3 was altered"):
        entry.verify([rows[0], false, *moved])


def test_a_row_twice_is_found():
    rows = chain(3)
    with pytest.raises(BrokenChainError, match="row 3 is missing"):
        entry.verify([*rows[:2], rows[1]])


def test_a_broken_chain_is_told_apart_by_programs():
    with pytest.raises(BrokenChainError) as caught:
        entry.verify(chain(2)[1:])
    assert caught.value.code == "broken-evidence"
    assert caught.value.hint


def test_records_are_read_by_any_json_reader():
    assert json.loads(entry.encode(ENTRY))["messageId"] == "urn:m"
