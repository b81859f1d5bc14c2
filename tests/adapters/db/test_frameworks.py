"""Framework agreements on both stores: what is stored comes back, and whether one is in force follows from the rows."""

import pytest

from adapters.db.rows import replace
from comity import errors
from comity.controlplane import frameworks as questions
from comity.db import frameworks as rows
from comity.framework import document as documents
from support import agreeing

NOW_MS = 1_800_000_000_000


def framework(**changed):
    document = agreeing.document(**changed)
    return rows.Framework(
        urn=documents.urn(document),
        framework_id=document["id"],
        document=documents.canonical(document),
        proposer=agreeing.A,
        parent=document.get("parent", ""),
        created_at=5,
    )


def party(row, name, **changed):
    given = {"own": name == agreeing.A, "agreed_at": 7, "state": rows.AGREED, "changed_at": 7, "held": True}
    return rows.Party(urn=row.urn, participant_id=name, **{**given, **changed})


async def keep(store, row, *parties):
    async def unit(tx):
        await rows.insert(tx, row)
        for each in parties:
            await rows.save_party(tx, each)

    await store.write(unit)


async def why_not(store, urn, *others, now_ms=NOW_MS):
    return await store.read(lambda tx: questions.in_force(tx, urn, others or (agreeing.B,), now_ms))


@pytest.fixture
def signed():
    row = framework()
    return row, party(row, agreeing.A), party(row, agreeing.B, fresh_until=NOW_MS + 10, stopped=["urn:t"])


async def test_what_is_stored_comes_back_and_a_document_never_changes(store, signed):
    row, ours, theirs = signed
    await keep(store, row, theirs, ours)
    await keep(store, replace(row, document=b"{}"))
    assert await store.read(lambda tx: rows.load(tx, row.urn)) == row
    assert await store.read(lambda tx: rows.load(tx, row.framework_id)) == row
    assert await store.read(lambda tx: rows.find_parties(tx, row.urn)) == [ours, theirs]
    assert await store.read(rows.find_leased) == [theirs]
    with pytest.raises(errors.NotFoundError, match="no framework agreement urn:x"):
        await store.read(lambda tx: rows.load(tx, "urn:x"))
    delivery = rows.Delivery(
        id="urn:d",
        urn=row.urn,
        framework_id=row.framework_id,
        commitment_id="C1",
        quantity="40",
        note="",
        reported_by=agreeing.B,
        created_at=9,
    )
    signature = rows.Signature(
        urn=row.urn,
        sha256="ab",
        party=agreeing.B,
        media_type="x/y",
        content=b"\x00\xff",
        created_at=9,
    )
    for _ in range(2):
        await store.write(lambda tx: rows.save_delivery(tx, delivery))
        await store.write(lambda tx: rows.keep_signature(tx, signature))
    assert await store.read(lambda tx: rows.find_deliveries(tx, row.framework_id)) == [delivery]
    assert await store.read(lambda tx: rows.find_signatures(tx, row.urn)) == [signature]
    assert await store.read(lambda tx: rows.count_deliveries(tx, row.framework_id, agreeing.B)) == 1


async def test_it_is_in_force_between_those_who_agreed_while_none_stopped_it(store, signed):
    row, ours, theirs = signed
    await keep(store, row, ours, theirs)
    assert await why_not(store, row.urn) == ""
    assert await why_not(store, row.urn, agreeing.A, agreeing.B) == ""
    assert "has not signed" in await why_not(store, row.urn, agreeing.C)
    assert "is not known here" in await why_not(store, "urn:comity:framework:x")
    assert "longer than the lease" in await why_not(store, row.urn, now_ms=NOW_MS + 11)
    assert "begins 2020-01-01" in await why_not(store, row.urn, now_ms=0)
    for name, state, said in (
        (agreeing.A, rows.SUSPENDED, f"{agreeing.A} suspended it: why"),
        (agreeing.B, rows.ENDED, f"{agreeing.B} ended it: why"),
    ):
        await keep(store, row, ours, theirs, party(row, name, state=state, reason="why"))
        assert said in await why_not(store, row.urn)


async def test_it_stands_with_its_parent(store, signed):
    parent, ours, theirs = signed
    child = framework(id=agreeing.ID.replace("1111", "2222"), parent=parent.urn)
    await keep(store, child, party(child, agreeing.A), party(child, agreeing.B))
    assert "is not known here" in await why_not(store, child.urn)
    await keep(store, parent, ours, theirs)
    assert await why_not(store, child.urn) == ""
    await keep(store, parent, party(parent, agreeing.B, state=rows.SUSPENDED, reason="why"))
    assert "suspended it: why" in await why_not(store, child.urn)
    assert await store.read(lambda tx: questions.family(tx, parent.urn)) == {parent.urn, child.urn}
    assert await store.read(lambda tx: questions.family(tx, child.urn)) == {child.urn}


@pytest.mark.parametrize(("earlier", "said"), [("continue", ""), ("end", "an amendment ended")])
async def test_an_amendment_counts_for_those_who_agreed_to_it(store, signed, earlier, said):
    old, ours, theirs = signed
    new = framework(version=2, replaces=old.urn, earlierAgreements=earlier)
    await keep(store, old, ours, theirs)
    await keep(store, new, party(new, agreeing.A))
    await store.write(lambda tx: rows.replace(tx, old.urn, new.urn))
    assert await why_not(store, old.urn) == ""  # B has not signed the new one, and goes on with the old one
    await keep(store, new, party(new, agreeing.B))
    found = await why_not(store, old.urn)
    assert said in found
    assert bool(found) == bool(said)
    assert await why_not(store, new.urn) == ""
