"""PostgreSQL: units side by side. What a statement finds and changes is the same, executed alone or with others.

The texts are those of the modules of `db`. Then units: who fails, who loses, and in what order they are told.
"""

import asyncio
from functools import partial

import pytest

from adapters.db import rows
from adapters.db.test_postgres import an_entry, postgres, replicas, url, verified  # noqa: F401  fixtures
from comity import errors
from comity.controlplane.limits import Limits
from comity.db import agreements, evidence, inbox, negotiations, outbox, partners, public_keys, token_uses
from comity.db.store import OfProcess
from comity.dsp import terms

TOKEN = ("did:web:beta", "1", b"r", 7)
OTHER_TOKEN = ("did:web:beta", "2", b"\x00\xff", 7)

PARTNER = partners.Partner(
    id="did:web:beta", name="", address="x", keys=[], pinned=False, attributes={}, created_at=0
)
TABLES = ("negotiation", "agreement", "outbox", "inbox", "token_use", "partner", "public_key", "secret")
SELECT_SECRET = "SELECT id, updated_at FROM secret WHERE updated_at >= ?1 AND id <> ?2 ORDER BY id DESC"
INSERT_SECRET = "INSERT INTO secret (id, value_sealed, created_at, updated_at) VALUES (?1, ?2, ?3, ?4)"
COUNT_ON = "UPDATE secret SET updated_at = updated_at + ?2 WHERE id = ?1"


def negotiation(number, **changes):
    return rows.replace(rows.NEGOTIATION, id=f"urn:n{number}", **changes)


def message(number, **changes):
    return rows.replace(rows.ROW, process_id=f"urn:n{number}", **changes)


async def fill(tx):
    """Three negotiations with an open message each, and a few secrets."""
    for number in range(3):
        await negotiations.insert(tx, negotiation(number, counterparty_pid=f"urn:their{number}"))
        await outbox.add(tx, message(number))
    for name in "abc":
        await tx.run(INSERT_SECRET, name, b"", 0, 0)
    await tx.run("INSERT INTO token_use (issuer, jti, request, expires_at_s) VALUES (?1, ?2, ?3, ?4)", *TOKEN)


def calls(method, sql, *values):
    return [lambda tx, each=each: getattr(tx, method)(sql, *each) for each in values]


async def saving(tx, number, *, state="AGREED", version=0):
    record = negotiation(number, state=state, version=version, counterparty_pid=f"urn:their{number}")
    try:
        return (await negotiations.save(tx, rows.replace(record, told=state))).version
    except errors.LostRaceError:
        return "lost"


# What each has is a list of things to do with a transaction: one after the other, and side by side.
SAME = {
    "rows by key, two the same, one missing": [
        partial(negotiations.find, process_id=f"urn:n{number}") for number in (0, 1, 9, 1)
    ],
    "rows by several columns": [
        partial(
            negotiations.find_by_party,
            counterparty_id="did:web:beta",
            role="consumer",
            counterparty_pid=f"urn:their{at}",
        )
        for at in (2, 0, 7)
    ],
    "an agreement that is not there": [
        partial(agreements.exists, agreement_id=each, counterparty_id="x") for each in "ab"
    ],
    "a sum": [partial(agreements.count_uses, counterparty_id="did:web:beta", asset_id=each) for each in "ab"],
    "a count": [
        partial(negotiations.count_open_with, counterparty_id=f"did:web:{each}") for each in ("beta", "x")
    ],
    "several rows for each, in their order": calls(
        "all", SELECT_SECRET, (0, "b"), (0, ""), (1, ""), (0, "a")
    ),
    "messages of a process": [partial(outbox.find_of_process, process_id=f"urn:n{at}") for at in (2, 5, 0)],
    "new rows": calls("run", INSERT_SECRET, ("d", b"1", 1, 2), ("e", b"\x00", -1, 2**62)),
    "new rows with nothing in some columns": [
        partial(negotiations.insert, new=negotiation(each, counterparty_pid=None)) for each in (7, 8)
    ],
    "new rows with numbers": [partial(outbox.add, new=message(each)) for each in (2, 0, 1)],
    "new agreements": [
        partial(agreements.insert, new=rows.replace(rows.AGREEMENT, id=each, negotiation_id=f"urn:n{each}"))
        for each in "12"
    ],
    "new rows of which some are there, some twice": [
        partial(token_uses.use, issuer=one, jti=two, request=request, expires_at_s=at)
        for one, two, request, at in (OTHER_TOKEN, TOKEN, OTHER_TOKEN, ("x", *TOKEN[1:]))
    ],
    "an inbox": [
        partial(inbox.add, process_id=one, counterparty_id="x", message_id="m", digest=b"d", answer_state="A")
        for one in ("1", "2", "1")
    ],
    "changes, one by a wrong version, one of no row": [
        partial(saving, number=0),
        partial(saving, number=1, version=1),
        partial(saving, number=2, state="OFFERED"),
        partial(saving, number=9),
    ],
    "two changes of one row": calls("run", COUNT_ON, ("a", 1), ("b", 2), ("a", 4), ("z", 8)),
    "changes of many rows by one": calls(
        "run", "UPDATE secret SET created_at = ?2 WHERE id < ?1", ("c", 3), ("a", 4)
    ),
    "changes of rows that others change too": calls(
        "run", "UPDATE secret SET updated_at = updated_at + ?2 WHERE id <= ?1", ("b", 1), ("c", 2), ("a", 4)
    ),
    "a change of what another change made of a row": calls(
        "run",
        "UPDATE secret SET updated_at = updated_at + 1 WHERE id = ?1 AND updated_at = ?2",
        ("a", 0),
        ("a", 1),
        ("b", 1),
        ("a", 7),
    ),
    "two deletions of one row": calls("run", "DELETE FROM secret WHERE id = ?1", ("a",), ("b",), ("a",)),
    "a deletion of many": calls("run", "DELETE FROM secret WHERE updated_at < ?1", (0,), (5,)),
    "marks": [partial(outbox.imply, row_id=each) for each in (1, 99)],
    "keys, one twice": [
        partial(public_keys.keep, key=public_keys.PublicKey(participant_id="b", kid=kid, jwk={}, seen_at=1))
        for kid in "aba"
    ],
    "texts without a simple form": [
        partial(partners.save, partner=rows.replace(PARTNER, name=each)) for each in "ab"
    ],
}


async def state_of(tx):
    return {table: sorted(map(repr, await tx.all(f"SELECT * FROM {table}"))) for table in TABLES}


@pytest.fixture
async def open_connection(url):  # noqa: F811
    from comity.db import postgres_connection  # noqa: PLC0415  its driver is an extra

    made = await postgres_connection.connect(url)
    yield made
    await made.close()


@pytest.mark.parametrize("name", SAME)
async def test_a_text_does_the_same_alone_and_with_others(open_connection, name):
    from comity.db import postgres_batch, postgres_unit  # noqa: PLC0415  its driver is an extra

    batches = postgres_batch.Batches(open_connection)

    def transaction():
        return postgres_unit.Transaction(open_connection, postgres_unit.Group({}, 0))

    async def alone():
        return [await postgres_unit.drive(each(transaction())) for each in SAME[name]]

    async def together():
        units = [postgres_unit.Running(each(transaction())) for each in SAME[name]]
        await batches.run([[each] for each in units])
        assert not any(each.error for each in units)
        return [each.result for each in units]

    found = []
    for run in (alone, together):
        await open_connection.execute("BEGIN")
        await open_connection.execute("ALTER SEQUENCE outbox_id_seq RESTART")
        await postgres_unit.drive(fill(transaction()))
        results = await run()
        if name == "two deletions of one row":  # which of the two had it is not said
            results.sort()
        found.append((results, await postgres_unit.drive(state_of(transaction()))))
        await open_connection.execute("ROLLBACK")
    assert found[0] == found[1]
    assert found[0][1]["negotiation"]


def counting(name, process="", **kept):
    """A unit that adds one to a secret, and tells what it came to."""

    async def unit(tx):
        (number,) = await tx.one("SELECT updated_at FROM secret WHERE id = ?1" + tx.lock, name)
        await tx.run("UPDATE secret SET updated_at = ?2 WHERE id = ?1", name, number + 1)
        await evidence.append(tx, an_entry(number))
        tx.announce((name, number + 1))
        return number + 1

    return OfProcess(process or name, unit)


@pytest.fixture
async def filled(replicas):  # noqa: F811
    async def unit(tx):
        for at in range(20):
            await tx.run(INSERT_SECRET, f"s{at}", b"", 0, 0)

    await replicas[0].write(unit)
    return replicas[0]


async def numbers(store):
    return [
        row[0] for row in await store.read(lambda tx: tx.all("SELECT updated_at FROM secret ORDER BY id"))
    ]


class TestUnits:
    async def test_those_of_one_process_see_each_other_and_all_are_told_in_order(self, filled, url):  # noqa: F811
        told = []
        filled.subscribe(told.extend)
        results = await asyncio.gather(*(filled.write(counting(f"s{at % 20}")) for at in range(60)))
        assert sorted(results) == [1] * 20 + [2] * 20 + [3] * 20
        assert await numbers(filled) == [3] * 20
        assert [number for name, number in told if name == "s7"] == [1, 2, 3]
        assert [head.size for head in await verified(url)] == [60]

    async def test_a_whole_group_takes_one_round_trip_for_a_text(self, filled, monkeypatch):
        from comity.db import postgres_batch  # noqa: PLC0415  its driver is an extra

        taken = []
        execute = postgres_batch.Batches.execute

        async def counted(batches, statements):
            taken.append(len(statements))
            return await execute(batches, statements)

        monkeypatch.setattr(postgres_batch.Batches, "execute", counted)
        await asyncio.gather(*(filled.write(counting(f"s{at}")) for at in range(20)))
        taken.clear()
        await asyncio.gather(*(filled.write(counting(f"s{at}")) for at in range(20)))
        assert taken == [20, 20]

    async def test_one_that_fails_fails_alone(self, filled, url):  # noqa: F811
        async def before(tx):
            await tx.one("SELECT 1 FROM secret WHERE id = ?1", "s0")
            raise errors.NotFoundError("before it wrote")

        async def after(tx):
            await tx.run("UPDATE secret SET updated_at = ?2 WHERE id = ?1", "s1", 77)
            await evidence.append(tx, an_entry(77))
            raise errors.NotFoundError("after it wrote")

        async def refused(tx):
            await tx.run(INSERT_SECRET, "new", None, 0, 0)

        for broken, error in ((before, "before it"), (after, "after it"), (refused, "23502")):
            units = [counting(f"s{at}") for at in range(2, 12)]
            units.insert(5, OfProcess("broken", broken))
            results = await asyncio.gather(*map(filled.write, units), return_exceptions=True)
            assert error in str(results.pop(5))
            assert len(set(results)) == 1
        assert sorted(await numbers(filled)) == [0] * 10 + [3] * 10
        assert [head.size for head in await verified(url)] == [30]

    async def test_one_that_loses_a_race_is_run_again(self, filled):
        runs = 0

        async def losing(tx):
            nonlocal runs
            runs += 1
            await tx.run("UPDATE secret SET updated_at = ?2 WHERE id = ?1", "s0", 0)
            if runs < 3:
                raise errors.LostRaceError("somebody was quicker")
            return runs

        units = [counting(f"s{at}") for at in range(1, 11)]
        results = await asyncio.gather(*map(filled.write, units), filled.write(OfProcess("x", losing)))
        assert results == [1] * 10 + [3]

    async def test_others_run_after_them_in_the_same_group(self, filled):
        plain = [counting("s0")._unit for _ in range(10)]
        mixed = [counting(f"s{at}") for at in range(20)]
        await asyncio.gather(
            *(filled.write(each) for pair in zip(plain, mixed, strict=False) for each in pair)
        )
        assert sorted(await numbers(filled)) == [0] * 10 + [1] * 9 + [11]

    async def test_no_more_of_them_take_a_place_than_there_are(self, filled):
        limits = Limits(open_processes=10)

        def beginning(number):
            async def unit(tx):
                await limits.take_place(tx, terms.NEGOTIATION, "did:web:beta", 0)
                await negotiations.insert(tx, negotiation(number))

            return OfProcess(f"urn:n{number}", unit)

        units = [filled.write(beginning(number)) for number in range(20)]
        results = await asyncio.gather(*units, return_exceptions=True)
        assert [type(each) for each in results].count(errors.CrowdedError) == 10
        assert len(await filled.read(negotiations.find_all)) == 10

    async def test_replicas_lose_no_change_of_rows_that_both_take(self, filled, replicas):  # noqa: F811
        work = [replicas[at % 2].write(counting(f"s{at // 2 % 20}")) for at in range(800)]
        await asyncio.gather(*work)
        assert await numbers(filled) == [40] * 20

    async def test_a_plan_that_was_made_for_empty_tables_finds_rows_by_their_key(self, open_connection):
        from comity.db import postgres_batch  # noqa: PLC0415  its driver is an extra

        await open_connection.execute(postgres_batch.SETTINGS)
        for sql, types in (
            ("SELECT state FROM negotiation WHERE id = ?1 FOR UPDATE", ["text"]),
            ("SELECT body FROM outbox WHERE process_id = ?1 ORDER BY id", ["text"]),
            ("SELECT 1 FROM removed_negotiation WHERE counterparty_id = ?1 AND role = ?2 AND counterparty_pid = ?3",
             ["text"] * 3),
            ("UPDATE negotiation SET state = ?2 WHERE id = ?1 AND version = ?3", ["text", "text", "int8"]),
            ("DELETE FROM outbox WHERE id = ?1", ["int8"]),
        ):  # fmt: skip
            text = postgres_batch.rewritten(sql, types).sql
            await open_connection.execute(f"PREPARE asked AS {text}")
            given = ", ".join("ARRAY[NULL]::" + each + "[]" for each in types)
            plan = "\n".join(
                row[0] for row in await open_connection.fetch(f"EXPLAIN EXECUTE asked ({given})")
            )
            await open_connection.execute("DEALLOCATE asked")
            assert "Seq Scan" not in plan, plan
