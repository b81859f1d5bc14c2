"""A whole store goes from SQLite to PostgreSQL and back, is the same there row by row, or is not there at all."""

import asyncio
import contextlib
import json
import sqlite3

import pytest

from comity import errors
from comity.cli import join
from comity.controlplane import backup, catalog
from comity.db import backup as backups
from comity.db import copy, evidence, restored
from comity.db import postgres as opening
from comity.db import stores as db_stores
from comity.evidence import entry
from support import pair as pairs
from support import postgres, processes, stores
from support.pair import offer_of

RECORD = entry.encode(
    entry.Entry(
        at=1, direction="in", message="x", sha256="", sender="a", receiver="b", kind="k", process_id="p"
    )
)
HASHED = entry.link(entry.GENESIS, RECORD)


@pytest.fixture
async def grown(tmp_path, template):
    """The data folder of a provider that has dealt with somebody, and stands still now."""
    sites = [pairs.new_site(tmp_path / name, template) for name in ("provider", "consumer")]
    for each in sites:
        await each.start()
    pair = await pairs.introduced(*sites)
    await pair.provider.publish()
    dataset = await catalog.request_dataset(pair.consumer.connector, pair.provider.did, None, "asset")
    for _ in range(3):
        record = await pair.consumer.request(pair.provider, offer_of(dataset))
        await pair.consumer.reaches(record.id, "FINALIZED")
    for each in sites:
        await each.stop()
    return pair.provider.conf


@pytest.fixture(scope="module")
def server():
    """A server whose files may be damaged and that may be restarted."""
    made = postgres.Server()
    yield made
    made.close()


def empty(url):
    return all(
        postgres.rows(url, f"SELECT count(*) FROM {name}") == [(name == "evidence_chain",)]
        for (name,) in postgres.rows(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        if name != "alembic_version"
    )


async def test_a_store_goes_to_postgresql_and_back_and_stays_the_same(grown, tmp_path):
    url = postgres.create()
    there = await run(copied, grown.folder, url)
    assert {each.table: each.rows for each in there}["negotiation"] == 3
    assert await run(refusal, copied, grown.folder, url) == "ConflictError"
    (tmp_path / "back").mkdir()
    back = await run(copied, url, tmp_path / "back")
    assert back == there
    with contextlib.closing(sqlite3.connect(tmp_path / "back" / "comity.sqlite")) as store:
        assert store.execute("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'").fetchone()[0] >= 3
    assert backups.check(tmp_path / "back" / "comity.sqlite") == backups.check(grown.database)
    assert await run(refusal, copied, url, tmp_path / "back") == "ConflictError"


async def run(call, *given):
    """Run what has an event loop of its own."""
    return await asyncio.to_thread(call, *given)


def copied(source, to):
    return backup.copy(str(source), str(to), insecure=True)  # the tests' server does not wait for its disk


def refusal(call, *given):
    with pytest.raises(errors.ComityError) as found:
        call(*given)
    return type(found.value).__name__


async def test_what_is_interrupted_or_arrives_otherwise_leaves_the_target_empty(grown, monkeypatch):
    url = postgres.create()
    before = grown.database.read_bytes()
    compared = copy._compare

    async def altered(store, connection, table):
        if table.name == "negotiation":
            await connection.execute("UPDATE negotiation SET asset_id = 'another' WHERE asset_id = 'asset'")
        return await compared(store, connection, table)

    monkeypatch.setattr(copy, "_compare", altered)
    assert await run(refusal, copied, grown.folder, url) == "DatabaseError"
    assert empty(url)

    async def cut(store, connection, table):
        connection.terminate()
        raise ConnectionResetError("cut")

    monkeypatch.setattr(copy, "_compare", cut)
    assert await run(refusal, copied, grown.folder, url) == "DatabaseError"
    assert empty(url)
    assert grown.database.read_bytes() == before


async def copied_with_a_further_chain(grown):
    """Return a database with what the connector has, and a record that another replica wrote."""
    url = postgres.create()
    await run(copied, grown.folder, url)
    postgres.run(
        url,
        "INSERT INTO evidence_chain (number) VALUES (3)",
        f"INSERT INTO evidence (chain, seq, record, hash) VALUES (3, 1, '\\x{RECORD.hex()}', '\\x{HASHED.hex()}')",
    )
    return url


async def test_the_chains_of_replicas_come_along(grown, tmp_path):
    url = await copied_with_a_further_chain(grown)
    (tmp_path / "back").mkdir()
    await run(copied, url, tmp_path / "back")
    file = tmp_path / "back" / "comity.sqlite"
    assert backups.check(file) == {**backups.check(grown.database), 3: entry.Head(1, HASHED.hex())}
    found = await run(processes.command, "evidence", "verify", str(file))
    assert (found.returncode, f"{HASHED.hex()}  of chain 3" in found.stdout) == (0, True), found
    again = postgres.create()
    done = await run(
        processes.command,
        "db",
        "copy",
        "--from",
        str(file.parent),
        "--to",
        again,
        "--data",
        str(grown.folder),
    )
    assert done.returncode == 1  # its server does not sync, and only settings of the folder could allow that
    assert "fsync is off" in done.stderr
    assert {each.table for each in await run(copied, file.parent, again)} >= {"evidence", "evidence_chain"}


async def test_every_chain_says_that_it_was_restored(grown, tmp_path):
    url = await copied_with_a_further_chain(grown)
    file, did = tmp_path / "backup", grown.participant_id
    given = {"participant_id": did, "now_ms": 1, "force": False, "server": backup.Server(url)}
    await run(lambda: backup.take(grown.database, grown.folder, file, **given))
    await run(lambda: backup.restore(file, grown.folder, grown.database, now_ms=2, force=True))
    last = {chain: list(rows)[-1] for chain, rows in evidence.read_chains(grown.database)}
    assert set(last) == {0, 3}
    assert all(json.loads(record)["outcome"] == "restored" for _, record, _ in last.values())
    assert backups.check(grown.database)


async def test_an_older_schema_is_not_brought_on_by_who_only_reads(grown, tmp_path):
    url = postgres.create()
    await run(copied, grown.folder, url)
    postgres.run(url, "UPDATE alembic_version SET version_num = '0002'")
    given = {
        "participant_id": grown.participant_id,
        "now_ms": 1,
        "force": False,
        "server": backup.Server(url),
    }
    for reads in (
        lambda: backup.take(grown.database, grown.folder, tmp_path / "backup", **given),
        lambda: asyncio.run(db_stores.read(grown.database, url, restored.find_last)),
        lambda: asyncio.run(join._find(url, b"0" * 32)),
    ):
        with pytest.raises(errors.DatabaseError, match="not of this version"):
            await run(reads)
    assert postgres.rows(url, "SELECT version_num FROM alembic_version") == [("0002",)]


async def test_new_rows_get_new_numbers_after_a_copy(grown):
    url = postgres.create()
    with contextlib.closing(sqlite3.connect(grown.database)) as store:
        used = store.execute("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'").fetchone()[0]
    await run(copied, grown.folder, url)
    assert postgres.rows(url, "SELECT nextval(pg_get_serial_sequence('outbox', 'id'))") == [(used + 1,)]


async def test_a_connector_on_postgresql_is_backed_up_and_restored_and_asks_its_partner(tmp_path, template):
    provider = pairs.new_site(tmp_path / "provider", kind=stores.POSTGRESQL)
    consumer = pairs.new_site(tmp_path / "consumer", template)
    for each in (provider, consumer):
        await each.start()
    try:
        pair = await pairs.introduced(provider, consumer)
        await provider.publish()
        hold = consumer.hold("/agreement")
        dataset = await catalog.request_dataset(consumer.connector, provider.did, None, "asset")
        record = await pair.consumer.request(provider, offer_of(dataset))
        await hold.arrived.wait()
        file = tmp_path / "provider.backup"
        conf, now_ms = provider.conf, provider.connector.now_ms()
        about = await run(
            lambda: backup.take(
                conf.database, conf.folder, file, participant_id=provider.did, now_ms=now_ms, force=False,
                server=backup.Server(conf.database_url, insecure=True),
            )
        )  # fmt: skip
        consumer.release(hold)
        await consumer.reaches(record.id, "FINALIZED")

        def put_back(*, force):
            return backup.restore(
                file,
                conf.folder,
                conf.database,
                now_ms=now_ms + 1,
                force=force,
                server=backup.Server(conf.database_url, insecure=True),
            )

        assert await run(lambda: refusal(lambda: put_back(force=True))) == "ConflictError"  # it runs
        await provider.stop()
        assert await run(lambda: refusal(lambda: put_back(force=False))) == "ConflictError"  # it is newer
        assert not list(conf.folder.glob("replaced-*"))
        done = await run(lambda: put_back(force=True))
        assert (done.held, done.about) == (1, about)
        kept, _ = backups.read(done.replaced / "database.backup")
        assert kept.evidence_size > about.evidence_size
        await provider.start()
        ((name,),) = await provider.rows("SELECT id FROM negotiation")

        async def compared():
            (found,) = await provider.connector.database.read(restored.find_all)
            return found if found.verdict == restored.AHEAD else None

        found = await pairs.wait_for(compared, name)
        assert (found.here, found.there, found.held) == ("AGREED", "FINALIZED", True)
        assert await provider.rows("SELECT id FROM agreement") == await consumer.rows(
            "SELECT id FROM agreement"
        )
        assert [each["message"] for each in await provider.entries()].count("restored") == 1
    finally:
        for each in (provider, consumer):
            await each.stop()


def back_up(conf, file):
    given = {"participant_id": conf.participant_id, "now_ms": 1, "force": False}
    return backup.take(conf.database, conf.folder, file, **given)


def put_back(conf, file, url, **more):
    server = backup.Server(url, insecure=True)
    return backup.restore(file, conf.folder, conf.database, server=server, **{"now_ms": 2, **more})


def damaged(server, url, table):
    """Spoil the pages of a table, as a failing disk would."""
    ((name,),) = postgres.rows(url, f"SELECT pg_relation_filepath('{table}')")
    server.stop()
    path = server.data / name
    path.write_bytes(b"\xde\xad" * (path.stat().st_size // 2))
    server.start()


@pytest.mark.parametrize("table", ["evidence", "negotiation"])
async def test_a_database_that_cannot_be_read_is_put_aside_on_demand(grown, server, tmp_path, table):
    url, file = postgres.create(on=server), tmp_path / "backup"
    await run(copied, grown.folder, url)
    about = await run(back_up, grown, file)
    await run(damaged, server, url, table)
    with pytest.raises(errors.DatabaseError, match="cannot be read") as refused:
        await run(lambda: put_back(grown, file, url, force=False))
    assert "--force puts it aside" in refused.value.hint
    assert not list(grown.folder.glob("replaced-*"))
    assert postgres.rows(url, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'replaced%'") == [(0,)]
    done = await run(lambda: put_back(grown, file, url, force=True))
    assert done.aside.startswith("replaced_")
    assert postgres.rows(url, f"SELECT pg_relation_size('{done.aside}.{table}') > 0") == [(True,)]
    assert postgres.rows(url, "SELECT count(*) FROM negotiation") == [(3,)]
    sizes = await run(lambda: [entry.verify(rows).size for _, rows in evidence.read_chains(url)])
    assert sizes == [about.evidence_size + 1]
    assert await db_stores.read(grown.database, url, restored.find_last)
    again = await run(lambda: put_back(grown, file, url, force=True, now_ms=3))
    assert (again.aside, (again.replaced / "database.backup").exists()) == ("", True)


async def test_a_restore_into_a_database_that_breaks_off_leaves_the_key_that_its_store_was_sealed_with(
    grown, tmp_path, monkeypatch
):
    url, file, seal = postgres.create(), tmp_path / "backup", grown.folder / "keys" / "seal.key"
    await run(copied, grown.folder, url)
    await run(back_up, grown, file)
    of_the_backup = seal.read_bytes()
    seal.write_bytes(b"11" * 32)

    async def cut(connection, listed, *, replace):
        raise ConnectionResetError("cut")

    with monkeypatch.context() as patch:
        patch.setattr(copy, "_make_empty", cut)
        with pytest.raises(errors.DatabaseError, match="as it was"):
            await run(lambda: put_back(grown, file, url, force=True))
    assert seal.read_bytes() == b"11" * 32
    assert [each.name for each in seal.parent.glob("*.new")] == []
    assert postgres.rows(url, "SELECT count(*) FROM restored") == [(0,)]
    done = await run(lambda: put_back(grown, file, url, force=True, now_ms=3))
    assert (seal.read_bytes(), (done.replaced / "seal.key").read_bytes()) == (of_the_backup, b"11" * 32)


async def test_a_replica_that_has_written_nothing_since_the_server_started_is_seen(grown, server, tmp_path):
    url, file = postgres.create(on=server), tmp_path / "backup"
    await run(copied, grown.folder, url)
    await run(back_up, grown, file)
    (tmp_path / "back").mkdir()
    async with opening.opened(url, insecure=True, place="elsewhere:/x"):
        await run(server.restart)
        assert await run(refusal, lambda: put_back(grown, file, url, force=True)) == "ConflictError"
        assert await run(refusal, copied, url, tmp_path / "back") == "ConflictError"
    # its lease is given up when it ends, or is over some seconds later if it had not reached the server again
    await pairs.wait_for(lambda: run(is_alone, url), "the end of its lease", 15)
    assert (await run(lambda: put_back(grown, file, url, force=True))).aside == ""


def is_alone(url):
    with contextlib.suppress(errors.ConflictError):
        copy.check_alone(url)
        return True
    return False


async def test_the_lease_of_a_process_that_was_killed_on_the_same_folder_holds_up_nobody(grown, tmp_path):
    url, file = postgres.create(), tmp_path / "backup"
    await run(copied, grown.folder, url)
    await run(back_up, grown, file)
    later = "extract(epoch FROM now())::bigint * 1000 + 8000"
    for place in (db_stores.place(grown.folder), "elsewhere:/x"):
        postgres.run(url, f"INSERT INTO replica VALUES ('r', '{place}', {later})")
        if place == "elsewhere:/x":
            assert await run(refusal, lambda: put_back(grown, file, url, force=True)) == "ConflictError"
            continue
        await run(lambda: put_back(grown, file, url, force=True))
