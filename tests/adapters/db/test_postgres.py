"""PostgreSQL: several processes on one database, a server that goes away and comes back, and starts that cannot be."""

import asyncio
import contextlib
import functools
import os
import signal
import time

import pytest

from adapters.db.rows import ROW
from comity import errors
from comity.db import events, evidence, migrate, outbox, token_uses
from comity.evidence import entry as entries
from comity.evidence.entry import Entry
from support import postgres as servers
from support import small_disk as disks
from support import stores
from support.pair import wait_for

COUNT = "SELECT count(*) FROM token_use"
WRITERS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'COMMIT%'"


@pytest.fixture(scope="module")
def postgres():
    servers.need_binaries()
    from comity.db import postgres  # noqa: PLC0415  its driver is an extra

    return postgres


@pytest.fixture
def url(tmp_path, postgres):
    made = stores.fresh(stores.POSTGRESQL, tmp_path)
    yield made
    stores.give_back(made)


@pytest.fixture
async def replicas(url, postgres):
    """Two stores on one database, as two processes would have them."""
    made = (postgres.Postgres(url), postgres.Postgres(url))
    yield made
    for each in made:
        await each.close()


@pytest.fixture(scope="module")
def server():
    """A server to be killed and misused; each test leaves it running and as it was."""
    made = servers.Server()
    yield made
    made.close()


@pytest.fixture
async def own(server, postgres):
    """A store on a server of its own, and the server."""
    url = servers.create(on=server)
    async with postgres.opened(url, insecure=True) as store:
        yield store, server, url


def using(jti, request=b"r"):
    return lambda tx: token_uses.use(tx, "a", jti, request=request, expires_at_s=0)


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


async def verified(url):
    """The heads of all chains, as a command without a connector sees them."""
    return await asyncio.to_thread(lambda: [entries.verify(rows) for _, rows in evidence.read_chains(url)])


async def eventually(work, seconds=5.0):
    """Do what fails while the server is away until it succeeds, and return the seconds that it took."""
    began = time.monotonic()
    while True:
        try:
            await work()
        except errors.DatabaseError:
            assert time.monotonic() - began < seconds
            await asyncio.sleep(0.02)
        else:
            return time.monotonic() - began


class TestReplicas:
    async def test_one_of_a_hundred_copies_of_a_token_wins(self, replicas):
        copies = [replicas[at % 2].write(using("1", bytes([at]))) for at in range(100)]
        assert sorted(await asyncio.gather(*copies)) == [False] * 99 + [True]

    async def test_a_row_that_both_change_loses_no_change(self, replicas):
        async def insert(tx):
            await tx.run("INSERT INTO secret VALUES ('s', ?1, 0, 0)", b"")

        async def count(tx):
            (number,) = await tx.one("SELECT updated_at FROM secret WHERE id = 's'" + tx.lock)
            await tx.run("UPDATE secret SET updated_at = ?1 WHERE id = 's'", number + 1)

        await replicas[0].write(insert)
        await asyncio.gather(*(replicas[at % 2].write(count) for at in range(200)))
        found = await replicas[0].read(lambda tx: tx.one("SELECT updated_at FROM secret"))
        assert found == (200,)

    async def test_a_unit_that_loses_a_race_is_run_again_before_its_caller_hears_of_it(self, replicas):
        runs = 0

        async def losing(tx):
            nonlocal runs
            runs += 1
            await tx.run("INSERT INTO secret VALUES (?1, ?2, 0, 0)", f"s{runs}", b"")
            if runs < 4:
                raise errors.LostRaceError("somebody was quicker")
            return runs

        assert await replicas[0].write(losing) == 4
        assert await replicas[0].read(lambda tx: tx.all("SELECT id FROM secret")) == [("s4",)]

    async def test_a_unit_that_always_loses_is_given_up(self, replicas):
        async def losing(tx):
            raise errors.LostRaceError("somebody was quicker")

        with pytest.raises(errors.ConflictError, match="quicker"):
            await replicas[0].write(losing)

    async def test_units_that_take_rows_in_opposite_order_both_succeed(self, replicas):
        async def insert(tx):
            for name in "ab":
                await tx.run("INSERT INTO secret VALUES (?1, ?2, 0, 0)", name, b"")

        def taking(names):
            async def unit(tx):
                for name in names:
                    await tx.one("SELECT id FROM secret WHERE id = ?1" + tx.lock, name)
                    await tx.one("SELECT pg_sleep(0.05)")

            return unit

        await replicas[0].write(insert)
        await asyncio.gather(replicas[0].write(taking("ab")), replicas[1].write(taking("ba")))

    @pytest.mark.parametrize("neighbours", [0, 2])
    async def test_a_lock_that_somebody_holds_too_long_is_waited_for_twice(
        self, url, postgres, monkeypatch, neighbours
    ):
        monkeypatch.setitem(postgres.connections._SET, "lock_timeout", "300ms")
        store, holder = postgres.Postgres(url), await postgres.connections.connect(url)
        for each in "ab":
            await store.write(
                lambda tx, each=each: tx.run("INSERT INTO secret VALUES (?1, ?2, 0, 0)", each, b"")
            )
        runs, second = 0, asyncio.Event()

        async def wanting(tx):
            nonlocal runs
            runs += 1
            if runs % 2 == 0:
                second.set()
            return await tx.run("UPDATE secret SET updated_at = 1 WHERE id = 'a'")

        async def let_go():
            await second.wait()
            await holder.execute("ROLLBACK")

        others = [
            lambda tx, at=at: tx.run("UPDATE secret SET created_at = ?1", at) for at in range(neighbours)
        ]
        hold = "BEGIN; SELECT 1 FROM secret WHERE id = 'a' FOR UPDATE"
        await holder.execute(hold)
        letting = asyncio.create_task(let_go())
        done = await asyncio.gather(*map(store.write, (wanting, *others)))
        await letting
        assert (done, runs) == ([1] + [2] * neighbours, 2)
        await holder.execute(hold)
        free = [lambda tx: tx.run("UPDATE secret SET updated_at = 2 WHERE id = 'b'")] * neighbours
        found = await asyncio.gather(*map(store.write, (wanting, *free)), return_exceptions=True)
        assert (str(found[0]), runs) == (
            "another process holds what this needs in the database (lock timeout); nothing was changed",
            4,
        )
        assert found[1:] == [1] * neighbours
        await holder.close()
        await store.close()

    async def test_each_writer_has_a_chain_of_its_own_and_the_next_one_goes_on_with_it(
        self, replicas, url, postgres
    ):
        units = [
            replicas[at % 2].write(lambda tx, n=at: evidence.append(tx, an_entry(n))) for at in range(100)
        ]
        await asyncio.gather(*units)
        sizes = [head.size for head in await verified(url)]
        assert (len(sizes), sum(sizes)) == (2, 100)
        for each in replicas:
            await each.close()
        async with postgres.opened(url, insecure=True) as later:
            await later.write(lambda tx: evidence.append(tx, an_entry(100)))
            assert await later.read(evidence.find_chains) == [0, 1]
            head = await later.read(evidence.find_head)
        after = await verified(url)
        assert after[0] == head
        assert [after[0].size, after[1].size] == [sizes[0] + 1, sizes[1]]

    async def test_whoever_has_seen_an_event_has_seen_all_before_it(self, replicas):
        seen = []

        async def follow():
            while len(seen) < 300:
                place = {"after": seen[-1] if seen else 0, "limit": 50}
                page = await replicas[0].read(functools.partial(events.find_page, **place))
                seen.extend(each.seq for each in page.events)

        def telling(number):
            async def unit(tx):
                await using(str(number))(tx)
                await events.add(tx, "a.b", "s", number=number, at=0, data=ROW)

            return unit

        following = asyncio.ensure_future(follow())
        for round_ in range(30):
            await asyncio.gather(*(replicas[at % 2].write(telling(10 * round_ + at)) for at in range(10)))
        await asyncio.wait_for(following, 20)
        assert len(seen) == len(set(seen)) == 300

    async def test_what_a_message_waits_for_is_there_or_it_does_not_wait(self, replicas):
        for _ in range(20):
            first = await replicas[0].write(lambda tx: outbox.add(tx, ROW))

            async def wait_for_it(tx, first=first):
                rows = await outbox.find_of_process(tx, ROW.process_id)
                after = rows[-1].id if rows else None
                return await outbox.add(tx, _after(ROW, after))

            await asyncio.gather(
                replicas[0].write(lambda tx, first=first: outbox.remove(tx, first)),
                replicas[1].write(wait_for_it),
            )
            (left,) = await replicas[0].read(lambda tx: outbox.find_of_process(tx, ROW.process_id))
            assert left.after_id is None
            await replicas[0].write(lambda tx, left=left: outbox.remove(tx, left))

    async def test_three_starts_on_an_empty_database_make_one_schema(self, postgres):
        url = servers.create()
        done = await asyncio.gather(*(postgres.bring_on(url, insecure=True) for _ in range(3)))
        assert sorted(done) == [False, False, True]
        assert servers.rows(url, "SELECT version_num FROM alembic_version") == [
            (migrate.known_versions()[-1],)
        ]
        servers.drop(url)


async def _is_refused(store):
    try:
        await store.write(using("x"))
    except errors.DatabaseError as error:
        return "only reads" in error.message
    return False


async def _takes_on_another(store, before):
    with contextlib.suppress(errors.DatabaseError):
        await store.write(using(str(time.monotonic_ns())))
    return store._writer._server != before


def _after(row, after_id):
    from msgspec.structs import replace  # noqa: PLC0415

    return replace(row, after_id=after_id)


class TestFaults:
    async def test_after_a_kill_of_the_server_what_was_acknowledged_is_there(self, own):
        store, server, _ = own
        known = []

        async def note(number):
            if await store.write(using(str(number))):
                known.append(str(number))

        await asyncio.gather(*(note(at) for at in range(50)))
        server.kill()
        with pytest.raises(errors.DatabaseError, match="does not answer"):
            await store.write(using("lost"))
        with pytest.raises(errors.DatabaseError):
            await store.read(lambda tx: tx.one(COUNT))
        server.start()
        assert await eventually(lambda: note("since")) < 5
        rows = await store.read(lambda tx: tx.all("SELECT jti FROM token_use"))
        assert {row[0] for row in rows} >= set(known)

    async def test_a_killed_connection_is_made_anew_without_anybody_noticing(self, own):
        store, _, url = own
        end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'comity'"
        for number in range(5):
            await store.write(using(str(number)))
            assert await store.read(lambda tx: tx.one(COUNT)) == (number + 1,)
            servers.run(url, end)

    async def test_a_commit_whose_answer_was_lost_is_found_out_about(self, own):
        store, _, url = own
        told = []
        store.subscribe(told.extend)

        async def announcing(tx):
            await using("1")(tx)
            tx.announce("kept")
            await evidence.append(tx, an_entry(1))
            return "done"

        await store.write(using("0"))
        servers.run(url, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'", "SELECT pg_reload_conf()")
        writing = asyncio.ensure_future(store.write(announcing))
        waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        await wait_for(lambda: asyncio.to_thread(servers.rows, url, waiting))
        await asyncio.to_thread(
            servers.run,
            url,
            "ALTER SYSTEM RESET synchronous_standby_names",
            f"SELECT pg_terminate_backend(pid) FROM ({waiting}) AS them",
            "SELECT pg_reload_conf()",
        )
        assert await asyncio.wait_for(writing, 10) == "done"
        assert told == ["kept"]
        await store.write(lambda tx: evidence.append(tx, an_entry(2)))
        assert [head.size for head in await verified(url)] == [2]

    @pytest.mark.parametrize("number", ["forgotten", "another's now"])
    async def test_what_a_server_lost_at_the_commit_is_not_taken_for_committed(
        self, own, monkeypatch, number
    ):
        store, server, url = own
        await store.write(using("0"))
        told = []
        store.subscribe(told.extend)
        connection = store._writer._connection
        real, lost = type(connection).execute, []

        async def execute(self, sql, *values, **more):
            if sql != "COMMIT" or self is not connection:
                return await real(self, sql, *values, **more)
            lost.append(await connection.fetchval("SELECT pg_current_xact_id()::text"))
            await asyncio.to_thread(server.kill)  # its log is not on the disk: it will not know of us
            await asyncio.to_thread(server.start)
            if number != "forgotten":
                taken = ["SELECT pg_current_xact_id()"] * 50  # one of them gets our number, and commits
                await asyncio.to_thread(servers.run, url, *taken)
            return await real(self, sql, *values, **more)

        monkeypatch.setattr(type(connection), "execute", execute)
        runs = []

        async def queueing(tx):
            runs.append(tx)
            await using("1")(tx)
            tx.announce("queued")
            await evidence.append(tx, an_entry(1))
            return len(runs)

        assert await asyncio.wait_for(store.write(queueing), 20) == 2, (
            "it is run again, since it was not committed"
        )
        assert told == ["queued"]
        assert servers.rows(url, "SELECT count(*) FROM token_use") == [(2,)]
        assert [head.size for head in await verified(url)] == [1]
        if number != "forgotten":
            assert servers.rows(url, f"SELECT pg_xact_status('{lost[0]}'::xid8)") == [("committed",)]

    async def test_a_server_that_lost_one_process_is_not_the_one_that_it_was(self, own):
        store, _, url = own
        await store.write(using("0"))
        before = store._writer._server
        backends = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        ((pid,), *_) = servers.rows(url, backends)
        ((began,),) = servers.rows(url, "SELECT pg_postmaster_start_time()")
        os.kill(pid, signal.SIGKILL)  # it ends all others, and begins anew without having ended
        await wait_for(lambda: _takes_on_another(store, before), "another server in its eyes")
        assert servers.rows(url, "SELECT pg_postmaster_start_time()") == [(began,)]

    async def test_a_server_that_only_reads_refuses_until_it_writes_again(self, own):
        store, server, url = own
        await store.write(using("0"))
        only = "ALTER SYSTEM SET default_transaction_read_only = {}"
        servers.run(url, only.format("on"), "SELECT pg_reload_conf()")
        await wait_for(lambda: _is_refused(store))  # when the server has read its settings
        assert await store.read(lambda tx: tx.one("SELECT 1")) == (1,)
        server.stop()
        (server.data / "postgresql.auto.conf").write_text("")
        server.start()
        await eventually(lambda: store.write(using("after")))

    async def test_a_row_that_somebody_holds_is_waited_for_and_then_refused(self, own):
        store, _, url = own
        await store.write(lambda tx: tx.run("INSERT INTO secret VALUES ('s', ?1, 0, 0)", b""))
        import asyncpg  # noqa: PLC0415  only here

        other = await asyncpg.connect(url)
        try:
            async with other.transaction():
                await other.execute("SELECT 1 FROM secret FOR UPDATE")
                with pytest.raises(errors.DatabaseError, match="lock timeout"):
                    await store.write(lambda tx: tx.run("DELETE FROM secret"))
        finally:
            await other.close()
        assert await store.write(lambda tx: tx.run("DELETE FROM secret")) == 1

    async def test_on_a_full_disk_nothing_is_lost_and_writing_goes_on_after_making_room(self, own):
        store, server, url = own
        with small_disk(server) as place:
            servers.run(
                url, f"CREATE TABLESPACE small LOCATION '{place}'", "ALTER TABLE inbox SET TABLESPACE small"
            )
            add = "INSERT INTO inbox VALUES ('a', 'b', ?1, ?2, '')"
            kept, refused = [], []
            for number in range(100):
                try:
                    await store.write(lambda tx, n=number: tx.run(add, str(n), os.urandom(100_000)))
                    kept.append((str(number),))
                except errors.DatabaseError as error:
                    refused.append(error.message)
            assert set(refused) == {"the database's disk is full; nothing was changed"}
            found = await store.read(lambda tx: tx.all("SELECT message_id FROM inbox"))
            assert sorted(found) == sorted(kept)
            await store.write(using("still writes elsewhere"))
            disks.enlarge(place, 64)
            await store.write(lambda tx: tx.run(add, "since", os.urandom(100_000)))
            servers.run(url, "DROP TABLE inbox", "DROP TABLESPACE small")


@contextlib.contextmanager
def small_disk(server):
    """A disk of 4 MB that the server may use."""
    with disks.mounted(server.folder / "small", 4) as place:
        owner = server.data.stat()
        os.chown(place, owner.st_uid, owner.st_gid)
        yield place


class TestStarts:
    async def opens(self, postgres, url, **more):
        async with postgres.opened(url, **{"insecure": True, **more}) as store:
            return await store.read(lambda tx: tx.one("SELECT 1"))

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"password": "wrong"}, "password is wrong"),
            ({}, "cannot be used"),
        ],
    )
    async def test_who_may_not_connect_is_told_so_and_no_password_is_shown(self, postgres, change, words):
        url = servers.server().url("postgres", user=servers.LOCKED, **change)
        with pytest.raises(errors.SettingsError, match=words) as caught:
            await self.opens(postgres, url)
        assert "wrong@" not in str(caught.value)
        assert ":wrong" not in str(caught.value)

    async def test_the_right_password_opens_whatever_it_is_made_of(self, postgres):
        url = servers.create()
        name = servers.name_of(url)
        servers.run(url, f'ALTER DATABASE "{name}" OWNER TO {servers.LOCKED}')
        servers.run(url, f"ALTER SCHEMA public OWNER TO {servers.LOCKED}")
        theirs = servers.server().url(name, user=servers.LOCKED, password=servers.PASSWORD)
        assert await self.opens(postgres, theirs) == (1,)
        servers.drop(url)

    async def test_a_database_that_is_not_there_is_named(self, postgres):
        with pytest.raises(errors.SettingsError, match=r"no_such at .* there is no such database"):
            await self.opens(postgres, servers.server().url("no_such"))

    @pytest.mark.parametrize("url", ["postgresql://u:secret@[::/x", "postgresql://u:secret@h:port/x"])
    async def test_a_url_that_cannot_be_read_is_refused_without_showing_it(self, postgres, url):
        with pytest.raises(errors.SettingsError) as caught:
            await self.opens(postgres, url)
        assert "secret" not in str(caught.value)

    async def test_a_server_that_is_not_there_is_waited_for_and_then_named(
        self, postgres, monkeypatch, tmp_path
    ):
        monkeypatch.setattr(postgres.connections, "START_S", 0.3)
        with pytest.raises(errors.DatabaseError, match=r"x at .* does not answer") as caught:
            await self.opens(postgres, f"postgresql://comity@/x?host={tmp_path}")
        assert caught.value.message.count("does not answer") == 1
        assert "the right host" in caught.value.hint

    async def test_a_server_that_loses_what_it_acknowledged_is_refused(self, postgres, url):
        with pytest.raises(errors.SettingsError, match="fsync is off"):
            await self.opens(postgres, url, insecure=False)

    async def test_a_schema_of_a_newer_version_is_refused_and_left_alone(self, postgres):
        url = servers.create()
        servers.run(
            url,
            "CREATE TABLE alembic_version (version_num TEXT)",
            "INSERT INTO alembic_version VALUES ('9999')",
        )
        with pytest.raises(errors.SettingsError, match="written by a newer version"):
            await self.opens(postgres, url)
        servers.drop(url)

    async def test_somebody_elses_tables_are_not_mixed_with_ours(self, postgres):
        url = servers.create()
        servers.run(url, "CREATE TABLE partner (x INT)")
        with pytest.raises(errors.DatabaseError, match='"partner" already exists'):
            await self.opens(postgres, url)
        found = servers.rows(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        assert set(found) <= {("partner",), ("alembic_version",)}
        servers.drop(url)

    async def test_a_text_that_cannot_be_stored_is_the_callers_mistake(self, replicas):
        with pytest.raises(errors.InvalidInputError, match=r"U\+0000"):
            await replicas[0].write(using("\0"))
