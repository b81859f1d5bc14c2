"""Processes on one database: who does which work, what happens to that of one that has gone, and who hears what.

Stores in this process stand for replicas; what real processes do is `test_storm`.
"""

import asyncio
import re
import time

import asyncpg
import pytest

from comity import errors
from comity.controlplane import held, transfer_moves
from comity.db import (
    apikeys,
    approvals,
    events,
    outbox,
    partners,
    postgres,
    postgres_connection,
    pulls,
    pushes,
    replicas,
    shared,
    webhooks,
)
from comity.db.store import Deposed, Shared
from comity.management import events as forms
from replicas import cluster
from support import postgres as servers
from support import stores
from support.pair import wait_for

SHARED = [
    apikeys.ApiKeysChanged(),
    approvals.Asked("1"),
    partners.PartnersChanged(),
    transfer_moves.Revoked("urn:uuid:1"),
    pulls.PullReady("urn:uuid:2"),
    pushes.PushReady("urn:uuid:3"),
    webhooks.WebhookRemoved("urn:uuid:4"),
    shared.SharedChanged(),
    held.Released("urn:uuid:5"),
    events.Recorded("urn:uuid:6"),
]


class Member:
    """A store that takes part, and what its listeners were told."""

    def __init__(self, url: str, name: str) -> None:
        self.store = postgres.Postgres(url, name)
        self.told: list[object] = []
        self.store.subscribe(self.told.extend)

    @property
    def replica(self) -> replicas.Replica:
        return self.store._replica

    async def vanish(self) -> None:
        """Do no more, as a process that was stopped: it does not even say so."""
        self.replica._keeping.cancel()
        await asyncio.gather(self.replica._keeping, return_exceptions=True)

    def come_back(self) -> None:
        self.replica._keeping = asyncio.create_task(self.replica._keep())
        self.replica._wake.set()

    def heard(self, kind: type) -> list[object]:
        return [each for each in self.told if isinstance(each, kind)]

    async def send(self, number: int) -> list[outbox.Outgoing]:
        """Write messages down, in one transaction each."""
        new = outbox.Outgoing(
            kind="negotiation", process_id="urn:uuid:p", counterparty_id="did:web:b.example", url="https://b.example",
            message="m", message_id="urn:uuid:m", body=b"{}", before=None, leads_to="REQUESTED", due_at=0, created_at=0,
        )  # fmt: skip
        return await asyncio.gather(
            *(self.store.write(lambda tx: outbox.add(tx, new)) for _ in range(number))
        )

    async def open_rows(self) -> list[int]:
        return [each.id for each in await self.store.read(outbox.find_open)]


@pytest.fixture
def url(tmp_path):
    made = stores.fresh(stores.POSTGRESQL, tmp_path)
    yield made
    stores.give_back(made)


@pytest.fixture
async def members(url):
    """Three that take part."""
    made = [Member(url, name) for name in ("a", "b", "c")]
    for each in made:
        await each.store.begin()
    yield made
    for each in made:
        await each.store.close()


def forget(url, member):
    """Have the lease of one be over, at once."""
    servers.run(url, f"DELETE FROM replica WHERE id = '{member.replica.id}'")


async def test_each_does_what_it_wrote_down_itself(members):
    a, b, _ = members
    first, second = await a.send(3), await b.send(2)

    assert await a.open_rows() == [each.id for each in first]
    assert await b.open_rows() == [each.id for each in second]
    assert await b.store.read(lambda tx: outbox.find(tx, first[0].id)) is None


async def test_two_that_see_one_dead_at_once_take_each_row_once(members, url):
    a, b, c = members
    rows = await a.send(2500)
    await a.vanish()
    forget(url, a)
    b.replica._wake.set()
    c.replica._wake.set()

    def taken():
        return [each.row.id for one in (b, c) for each in one.heard(outbox.Queued)]

    await wait_for(lambda: len(taken()) >= len(rows), "all to be taken over")
    assert sorted(taken()) == [each.id for each in rows]
    owners = dict(servers.rows(url, "SELECT owner, count(*) FROM outbox GROUP BY owner"))
    assert owners == {
        one.replica.id: len(one.heard(outbox.Queued)) for one in (b, c) if one.heard(outbox.Queued)
    }


async def test_who_ends_says_so_and_its_work_goes_on_at_once(members):
    a, b, c = members
    rows = await a.send(5)
    began = time.monotonic()
    await a.store.close()
    await wait_for(lambda: len(b.heard(outbox.Queued) + c.heard(outbox.Queued)) == len(rows))

    assert time.monotonic() - began < replicas.RENEW_S / 2


async def test_who_starts_again_at_the_same_place_has_its_work_at_once(members, url):
    a = members[0]
    rows = await a.send(5)
    await a.vanish()
    again = Member(url, "a")
    await again.store.begin()

    assert await again.open_rows() == [each.id for each in rows]
    await again.store.close()


async def test_who_was_away_does_nothing_before_it_has_its_lease_again(members, url):
    a, b, _ = members
    rows = await a.send(5)
    await a.vanish()
    a.replica._renewed_s -= replicas.LEASE_S
    with pytest.raises(errors.DatabaseError, match="lease"):
        a.store.check_lease()
    forget(url, a)
    b.replica._wake.set()
    await wait_for(lambda: len(b.heard(outbox.Queued)) + len(members[2].heard(outbox.Queued)) == len(rows))
    late = await a.send(1)  # written before it knows
    a.told.clear()
    a.come_back()
    await wait_for(lambda: a.heard(Deposed))
    a.store.check_lease()

    async def found():
        return late[0].id in [each for one in members for each in await one.open_rows()]

    await wait_for(found)
    assert not set(await a.open_rows()) & {each.id for each in rows}


async def test_a_message_that_waited_goes_to_the_one_who_set_it_free(members):
    a, b, _ = members
    (first,) = await a.send(1)
    waiting = outbox.Outgoing(**{
        **{name: getattr(first, name) for name in first.__struct_fields__}, "id": 0, "after_id": first.id
    })  # fmt: skip
    second = await a.store.write(lambda tx: outbox.add(tx, waiting))
    await b.store.write(lambda tx: outbox.remove(tx, first))

    assert [each.row.id for each in b.heard(outbox.Queued)] == [second.id]
    assert (await b.open_rows(), await a.open_rows()) == ([second.id], [])


def test_who_is_stopped_in_the_middle_of_a_transaction_loses_it_and_does_it_again(url):
    loops = [cluster.Loop(), cluster.Loop()]
    a, b = (loop.run(_member(url, name)) for loop, name in zip(loops, "ab", strict=True))
    servers.run(url, "CREATE TABLE IF NOT EXISTS counted (n BIGINT)", "INSERT INTO counted VALUES (0)")
    stopped: list[float] = []

    async def count(tx):
        await tx.run("UPDATE counted SET n = n + 1")

    async def count_slowly(tx):
        await count(tx)
        if not stopped:
            stopped.append(time.monotonic())
            time.sleep(5)  # noqa: ASYNC251  a process that is stopped does not give its loop a chance either

    one = asyncio.run_coroutine_threadsafe(a.store.write(count_slowly), loops[0].loop)
    while not stopped:
        time.sleep(0.01)
    loops[1].run(b.store.write(count))
    waited_s = time.monotonic() - stopped[0]
    one.result(20)
    try:
        assert servers.rows(url, "SELECT n FROM counted") == [(2,)]
        assert 2.5 < waited_s < 4.9
    finally:
        servers.run(url, "DROP TABLE counted")
        for loop, member in zip(loops, (a, b), strict=True):
            loop.run(member.store.close())
            loop.close()


def test_a_connection_that_the_server_left_while_nobody_listened_is_lost():
    error = asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress")

    assert isinstance(error, postgres_connection.FAILURES)
    assert postgres_connection.is_lost(error)


async def _member(url, name):
    made = Member(url, name)
    await made.store.begin()
    return made


async def test_a_server_that_is_away_is_said_once_and_its_return_once(caplog):
    server = servers.Server()
    try:
        url = servers.create(on=server)
        await postgres.bring_on(url, insecure=True)
        made = await _member(url, "a")
        tried, connect = [], made.replica._door.connect

        async def counted():
            tried.append(time.monotonic())
            return await connect()

        made.replica._door.connect = counted
        server.kill()
        await wait_for(lambda: len(tried) > 3)
        server.start()
        await wait_for(lambda: len(caplog.messages) > 1)
        away, back = caplog.messages
        assert re.match(
            r"this replica cannot renew its lease in the database \S+ at \S+: the (database|store)", away
        )
        assert "Error(" not in away
        assert re.match(r"the database \S+ at \S+ is back", back)
        await made.store.close()
    finally:
        server.close()


async def test_a_restart_of_the_server_costs_nobody_its_work():
    server = servers.Server()
    try:
        url = servers.create(on=server)
        await postgres.bring_on(url, insecure=True)
        made = [Member(url, name) for name in ("a", "b", "c")]
        for each in made:
            await each.store.begin()
        rows = [await each.send(3) for each in made]
        servers.run(url, "UPDATE replica SET until = 0")  # as if it had been away for as long as a lease
        server.kill()
        for each in made:
            each.replica._renewed_s -= replicas.LEASE_S
            with pytest.raises(errors.DatabaseError, match="lease"):
                each.store.check_lease()
            each.told.clear()
        server.start()

        def again():
            try:
                return [each.store.check_lease() for each in made]
            except errors.DatabaseError:
                return None

        await wait_for(again, "all leases", 5)
        await wait_for(lambda: all(each.heard(partners.PartnersChanged) for each in made))
        assert not any(each.heard(Deposed) for each in made)
        for each, own in zip(made, rows, strict=True):
            assert await each.open_rows() == [row.id for row in own]
            assert sorted(queued.row.id for queued in each.heard(outbox.Queued)) == [row.id for row in own]
        for each in made:
            await each.store.close()
    finally:
        server.close()


async def test_what_is_announced_is_heard_by_all_after_the_commit(members):
    a, b, c = members

    async def unit(tx):
        for each in SHARED:
            tx.announce(each)
        await tx.run("UPDATE partner SET name = name")

    async def failing(tx):
        await unit(tx)
        raise errors.InvalidInputError("no")

    with pytest.raises(errors.InvalidInputError):
        await a.store.write(failing)
    await a.store.write(unit)
    await wait_for(lambda: all(each in one.told for each in SHARED for one in (b, c)))
    assert [one.told.count(SHARED[2]) for one in members] == [1, 1, 1]


async def test_more_than_can_be_said_is_said_as_look_anew(members):
    a, b, _ = members

    async def unit(tx):
        for at in range(500):
            tx.announce(events.Recorded(f"urn:uuid:{at:036}"))
        await tx.run("UPDATE partner SET name = name")

    b.told.clear()
    await a.store.write(unit)
    await wait_for(lambda: set(replicas.ANEW) <= set(b.told))


def test_an_announcement_is_measured_as_it_is_sent():
    told, _ = replicas.encode("a", [events.Recorded("零件" * 2000)])
    assert len(told.encode()) < 8000, "the server refuses more, and with it all that is committed together"


async def test_that_it_was_deposed_is_told_although_the_connection_is_lost_meanwhile(
    members, url, monkeypatch
):
    a = members[0]
    real, lost = replicas.Replica._take_over, [True]

    async def broken(self, connection):
        if self is a.replica and lost:
            lost.clear()
            raise OSError("cut")
        return await real(self, connection)

    monkeypatch.setattr(replicas.Replica, "_take_over", broken)
    forget(url, a)
    a.replica._wake.set()
    await wait_for(lambda: a.heard(Deposed))


async def test_who_lost_its_connection_looks_at_everything_anew(members, url):
    b = members[1]
    mine = await b.send(2)
    b.told.clear()
    servers.run(
        url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'comity'"
    )
    await wait_for(lambda: set(replicas.ANEW) <= set(b.told))
    await wait_for(lambda: {each.row.id for each in b.heard(outbox.Queued)} == {each.id for each in mine})


def test_everything_that_is_shared_can_be_said():
    text, urgent = replicas.encode("x", [*SHARED, *SHARED, forms])
    assert replicas._decoder().decode(text) == ("x", SHARED)
    assert urgent
    assert replicas.encode("x", [events.Recorded("p")])[1] is False
    assert replicas.encode("x", [forms]) == ("", False)
    known = {type(each) for each in (*SHARED, *replicas.ANEW)} | {replicas.Left}
    assert {each for each in Shared.__subclasses__() if each.__module__.startswith("comity")} == known
