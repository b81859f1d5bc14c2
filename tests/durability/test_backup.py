"""A backup is whole whenever it is taken, is checked before it is believed, and is put back without losing anything."""

import asyncio
import contextlib
import os
import shutil
import sqlite3
import stat
from hashlib import sha256

import msgspec
import pytest
from alembic import command
from sqlalchemy import create_engine, pool

from comity import data_folder, errors, settings
from comity.controlplane import backup
from comity.db import backup as backups
from comity.db import digest, evidence, migrate, sqlite, stores
from comity.evidence import entry
from support import processes
from support.ports import free_port

NOW_MS = 1_790_000_000_000


@pytest.fixture
def conf(tmp_path, template):
    """A data folder with an empty store."""
    made = data_folder.initialize(
        tmp_path / "site",
        address=f"http://127.0.0.1:{free_port()}",
        management=f"127.0.0.1:{free_port()}",
        insecure=True,
    )
    shutil.copy(template, made.database)
    grow(made, 3)
    return made


def grow(conf, count):
    """Add records to the evidence, as a connector would."""

    async def add():
        store = sqlite.Database(conf.database)
        for number in range(count):
            record = entry.Entry(
                at=number,
                direction="in",
                message="x",
                sha256="",
                sender="a",
                receiver="b",
                kind="k",
                process_id="p",
            )
            await store.write(lambda tx, record=record: evidence.append(tx, record))
        store.close()

    asyncio.run(add())


def agree(conf):
    """Add an agreement, as far as a backup cares."""
    with contextlib.closing(sqlite3.connect(conf.database)) as store:
        store.execute(
            "INSERT INTO negotiation (id, role, counterparty_id, counterparty_address, state, version, asset_id,"
            " offer, offered_by, created_at, updated_at)"
            " VALUES ('n', 'provider', 'did:web:b', 'https://b', 'FINALIZED', 1, 'asset', x'00', 'provider', 1, 1)"
        )
        store.execute(
            "INSERT INTO agreement (id, negotiation_id, role, counterparty_id, provider_id, consumer_id, asset_id,"
            " document, message_sha256, created_at)"
            " VALUES ('a', 'n', 'provider', 'did:web:b', 'a', 'b', 'asset', CAST('{\"asset\": 1}' AS BLOB), '', 1)"
        )
        store.commit()


def take(conf, name="backup", store=None, **more):
    file = conf.folder.parent / name
    return file, backup.take(
        store or conf.database,
        conf.folder,
        file,
        **{"participant_id": conf.participant_id, "now_ms": NOW_MS, "force": False, **more},
    )


def restore(conf, file, **more):
    return backup.restore(file, conf.folder, conf.database, **{"now_ms": NOW_MS, "force": False, **more})


def listing(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith((".lock", "-wal", "-shm"))
    }


def test_a_backup_holds_the_store_and_the_keys_and_only_its_owner_reads_it(conf):
    file, about = take(conf)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (about.evidence_size, about.taken_at) == (3, NOW_MS)
    found, files = backups.read(file)
    assert found == about
    assert set(files) == {"comity.toml", "keys/connector.pem", "keys/management.key", "keys/seal.key"}
    assert files["keys/seal.key"] == (conf.folder / "keys/seal.key").read_bytes()
    assert sorted(path.name for path in file.parent.iterdir()) == ["backup", "site"]
    with pytest.raises(errors.ConflictError, match="is there already"):
        take(conf)
    take(conf, force=True)


def test_a_backup_of_a_damaged_store_is_not_made(conf):
    with contextlib.closing(sqlite3.connect(conf.database)) as store:
        store.execute("UPDATE evidence SET record = x'00' WHERE seq = 2")
        store.commit()
    with pytest.raises(entry.BrokenChainError):
        take(conf)
    assert [path.name for path in conf.folder.parent.iterdir()] == ["site"]


def test_a_backup_is_whole_while_the_store_is_written_to(conf):
    async def work():
        store, stopped = sqlite.Database(conf.database), asyncio.Event()

        record = entry.Entry(
            at=1,
            direction="in",
            message="x" * 5000,
            sha256="",
            sender="a",
            receiver="b",
            kind="k",
            process_id="",
        )

        async def write():
            while not stopped.is_set():
                await store.write(lambda tx: evidence.append(tx, record))

        writing = [asyncio.create_task(write()) for _ in range(4)]
        sizes = [
            (await asyncio.to_thread(take, conf, f"backup-{number}"))[1].evidence_size for number in range(8)
        ]
        stopped.set()
        await asyncio.gather(*writing)
        store.close()
        return sizes

    sizes = asyncio.run(work())
    assert sizes == sorted(sizes)
    assert sizes[-1] > 3


def test_a_lost_folder_is_made_again_with_its_keys(conf):
    file, about = take(conf)
    before = listing(conf.folder / "keys")
    shutil.rmtree(conf.folder)
    done = restore(conf, file)
    assert (done.about, done.replaced) == (about, None)
    assert listing(conf.folder / "keys") == before
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in (conf.folder / "keys").iterdir())
    assert settings.load(conf.folder) == conf
    heads = backups.check(conf.database)
    assert heads[0].size == about.evidence_size + 1  # that it was restored
    with contextlib.closing(sqlite3.connect(conf.database)) as store:
        names = {name for (name,) in store.execute("SELECT name FROM sqlite_master")}
        assert not names & {backups.ABOUT, backups.FILES}
        assert store.execute("SELECT at, backup_at, evidence_size FROM restored").fetchall() == [
            (NOW_MS, NOW_MS, 3)
        ]
    assert before["seal.key"] not in conf.database.read_bytes()


def test_a_newer_state_is_replaced_only_on_demand_and_kept(conf):
    file, _ = take(conf)
    grow(conf, 2)
    before = listing(conf.folder)
    with pytest.raises(errors.ConflictError, match="does not have"):
        restore(conf, file)
    assert listing(conf.folder) == before
    done = restore(conf, file, force=True)
    assert backups.check(done.replaced / "comity.sqlite")[0].size == 5
    assert backups.check(conf.database)[0].size == 4
    assert not conf.database.with_name("comity.sqlite-wal").exists()


def test_the_state_of_the_backup_itself_and_a_damaged_one_are_replaced_without_more_words(conf):
    file, _ = take(conf)
    restore(conf, file)
    conf.database.write_bytes(os.urandom(9000))
    done = restore(conf, file, now_ms=NOW_MS + 1)
    assert backups.check(conf.database)[0].size == 4
    assert (done.replaced / "comity.sqlite").stat().st_size == 9000


def test_a_log_beside_the_replaced_store_does_not_meet_the_restored_one(conf):
    file, _ = take(conf)
    held = sqlite3.connect(conf.database)  # a reader keeps the log from being taken away
    held.execute("BEGIN")
    held.execute("SELECT * FROM evidence").fetchall()
    grow(conf, 2)
    copied = conf.folder.parent / "copied"
    shutil.copytree(conf.folder, copied)
    held.close()
    assert (copied / "comity.sqlite-wal").stat().st_size
    done = backup.restore(file, copied, copied / "comity.sqlite", now_ms=NOW_MS, force=True)
    assert backups.check(copied / "comity.sqlite")[0].size == 4
    assert backups.check(done.replaced / "comity.sqlite")[0].size == 5


def test_a_restore_that_breaks_off_leaves_the_store_that_was_there(conf, monkeypatch):
    file, _ = take(conf)
    grow(conf, 2)

    def full(folder, files):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup, "_putting_back", full)
    with pytest.raises(errors.StorageError, match="No space left"):
        restore(conf, file, force=True)
    assert backups.check(conf.database)[0].size == 5
    assert not list(conf.folder.glob("comity.sqlite.restored*"))


def test_what_has_a_name_that_begins_as_ours_is_left_alone(conf):
    near = [conf.folder.parent / name for name in ("backup.newest", "backup.new-york")]
    for each in near:
        each.write_text("somebody's")
    restore(conf, take(conf)[0])
    assert [each.read_text() for each in near] == ["somebody's"] * 2


def test_a_store_that_somebody_has_open_is_not_replaced(conf):
    file, _ = take(conf)
    with contextlib.closing(sqlite3.connect(conf.database, isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM evidence").fetchone()
        grow(conf, 1)
        with pytest.raises(errors.ConflictError, match=r"somebody has .* open"):
            restore(conf, file, force=True)
        assert other.execute("SELECT count(*) FROM evidence").fetchone() == (3,)
    with contextlib.closing(sqlite3.connect(conf.database)) as store:
        assert store.execute("SELECT count(*) FROM evidence").fetchone() == (4,), (
            "its last commit is in its log"
        )


def test_a_restore_that_breaks_off_leaves_the_store_with_its_log(conf, monkeypatch):
    file, _ = take(conf)
    log = conf.database.with_name("comity.sqlite-wal")
    with contextlib.closing(sqlite3.connect(conf.database, isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM evidence").fetchone()
        grow(conf, 1)  # stays in the log while somebody reads what was before
        as_killed = {path: path.read_bytes() for path in (conf.database, log)}
    for path, content in as_killed.items():
        path.write_bytes(content)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup, "_putting_back", full)
    monkeypatch.setattr(backups, "bring_together", lambda _: None)  # as if there were no room for that either
    with pytest.raises(errors.StorageError):
        restore(conf, file, force=True)
    with contextlib.closing(sqlite3.connect(conf.database)) as store:
        assert store.execute("SELECT count(*) FROM evidence").fetchone() == (4,)


def test_nothing_is_restored_under_a_running_connector(conf):
    file, _ = take(conf)
    lock = stores.lock_folder(conf.folder)
    try:
        with pytest.raises(errors.SettingsError, match="another connector runs"):
            restore(conf, file, force=True)
    finally:
        os.close(lock)


def test_keys_that_are_there_stay_but_a_foreign_seal_key_is_noticed(conf):
    file, _ = take(conf)
    ring, seal = conf.folder / "keys/keyring.json", conf.folder / "keys/seal.key"
    ring.write_text("a newer one")
    restore(conf, file)
    assert ring.read_text() == "a newer one"
    seal.write_text("0" * 64)
    with pytest.raises(errors.ConflictError, match="not the key"):
        restore(conf, file, now_ms=NOW_MS + 1)
    done = restore(conf, file, force=True, now_ms=NOW_MS + 2)
    assert seal.read_bytes() == backups.read(file)[1]["keys/seal.key"]
    assert (done.replaced / "seal.key").read_text() == "0" * 64


@pytest.mark.parametrize(
    "name", ["../evil.key", "keys/../../evil.key", "/keys/evil.key", "keys/a/b.key", "x"]
)
def test_a_backup_writes_nowhere_but_where_a_data_folder_has_its_files(conf, name):
    file, _ = take(conf)
    with contextlib.closing(sqlite3.connect(file)) as store:
        store.execute(f"INSERT INTO {backups.FILES} VALUES (?, x'00')", (name,))
        store.commit()
    before = listing(conf.folder.parent)
    with pytest.raises(errors.DatabaseError, match=r"no backup of a connector: it holds a file"):
        restore(conf, file, force=True)
    assert listing(conf.folder.parent) == before


ALTERED = {
    "evidence": "UPDATE evidence SET record = x'00' WHERE seq = 1",
    "agreement": "UPDATE agreement SET document = CAST(replace(document, 'asset', 'asseu') AS BLOB)",
    "agreement gone": "DELETE FROM agreement",
    "text": "UPDATE agreement SET asset_id = CAST(x'ff' AS TEXT)",
    "files": f"UPDATE {backups.FILES} SET content = x'00' WHERE path = 'keys/seal.key'",
    "about": f"UPDATE {backups.ABOUT} SET about = CAST(replace(about, '1790', '1791') AS BLOB)",
    "digests": f"UPDATE {backups.DIGESTS} SET content = CAST(replace(content, '1', '2') AS BLOB)",
    "schema": "DROP INDEX agreement_by_age",
    "newer": "UPDATE alembic_version SET version_num = '9999'",
}


@pytest.mark.parametrize("how", ["cut", "store", "text file", *ALTERED])
def test_what_is_no_good_backup_is_refused_and_changes_nothing(conf, how):
    agree(conf)
    file, _ = take(conf)
    if how == "cut":
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    elif how == "store":
        shutil.copy(conf.database, file)
    elif how == "text file":
        file.write_text("a backup, honestly\n" * 100)
    else:
        with contextlib.closing(sqlite3.connect(file)) as store:
            assert store.execute(ALTERED[how]).rowcount  # something was
            store.commit()
    before = listing(conf.folder)
    with pytest.raises(errors.ComityError) as found:
        restore(conf, file, force=True)
    assert isinstance(found.value, errors.DatabaseError | errors.SettingsError | entry.BrokenChainError)
    assert listing(conf.folder) == before


def test_one_altered_byte_of_an_agreement_is_refused_and_the_table_named(conf):
    agree(conf)
    file, _ = take(conf)
    content = file.read_bytes()
    assert content.count(b'{"asset": 1}') == 1
    file.write_bytes(content.replace(b'{"asset": 1}', b'{"asset": 0}'))  # one bit
    assert backups.check(file)
    with pytest.raises(errors.DatabaseError, match="table agreement was altered"):
        restore(conf, file, force=True)


@pytest.mark.parametrize("force", [False, True])
def test_the_backup_of_another_participant_is_refused_always(conf, force):
    file, _ = take(conf)
    before = listing(conf.folder)
    with pytest.raises(errors.ConflictError, match="another participant"):
        restore(conf, file, force=force, participant_id="did:web:another.example")
    other = conf.folder / "comity.toml"
    other.write_text(other.read_text().replace(conf.participant_id, "did:web:another.example"))
    words = ("--force",) if force else ()
    done = processes.command("db", "restore", str(file), *words, folder=conf.folder)
    assert (done.returncode, "another participant" in done.stderr) == (1, True), done
    other.write_bytes(before["comity.toml"])
    assert listing(conf.folder) == before


def test_a_backup_of_postgresql_goes_into_no_other_store_without_a_word(conf, tmp_path):
    file, about = take(conf)
    with contextlib.closing(sqlite3.connect(file)) as store:
        backup_of_server = msgspec.structs.replace(about, server=True)
        store.execute(f"UPDATE {backups.ABOUT} SET about = ?", (msgspec.json.encode(backup_of_server),))
        store.execute(f"DELETE FROM {backups.DIGESTS}")
        found = msgspec.json.encode(list(digest.of(store, without={backups.DIGESTS})))
        store.execute(f"INSERT INTO {backups.DIGESTS} VALUES (?, ?)", (found, sha256(found).digest()))
        store.commit()
    done = processes.command("db", "restore", str(file), "--data", str(tmp_path / "new"))
    assert (done.returncode, "COMITY_DATABASE_URL" in done.stderr) == (1, True), done
    assert not (tmp_path / "new").exists()


def test_a_command_does_not_read_another_store_than_the_running_connector(conf):
    lock = stores.lock_folder(conf.folder)
    stores.note_use(lock, "postgresql://db.example/comity")
    for words in (("evidence", "verify"), ("db", "backup", str(conf.folder / "b")), ("db", "reconcile")):
        done = processes.command(*words, folder=conf.folder)
        assert (done.returncode, "runs on another store" in done.stderr) == (1, True), done
    stores.note_use(lock, None)
    os.close(lock)
    assert processes.command("evidence", "verify", folder=conf.folder).returncode == 0


def test_a_backup_of_an_older_schema_is_brought_on(conf):
    older = conf.folder.parent / "older"
    made = create_engine(
        "sqlite://", creator=lambda: sqlite.connect(str(older), reading=False), poolclass=pool.NullPool
    )
    command.upgrade(migrate._config(engine=made), "0002")
    file, _ = take(conf, store=older)
    restore(conf, file, force=True)
    assert migrate.current_version(conf.database) == migrate.known_versions()[-1]


def test_the_commands_say_what_they_did(conf):
    site = processes.Served(conf)
    try:
        site.start()
        stores.check_use(conf.folder, "")
        with pytest.raises(errors.SettingsError, match="another store"):
            stores.check_use(conf.folder, "postgresql://db.example/comity")
        file = conf.folder.parent / "by-command"
        conf.kept.mkdir(mode=0o700)
        done = site.run("db", "backup", str(file))
        assert f"copy {conf.kept} too" in done.stderr
        assert (done.returncode, "is whole" in done.stdout, "private keys" in done.stderr) == (
            0,
            True,
            True,
        ), done
        refused = site.run("db", "restore", str(file))
        assert (refused.returncode, "another connector runs" in refused.stderr) == (1, True), refused
        site.stop()
        stores.check_use(conf.folder, "postgresql://db.example/comity")  # it has ended: nothing is noted
        done = site.run("db", "restore", str(file), "--force")
        assert f"what was received lies in {conf.kept}" in done.stderr
        assert (done.returncode, "restored the state of" in done.stdout) == (0, True), done
        assert "from a backup of" in (said := site.run("db", "reconcile").stdout)
        assert "nothing was open: no partner had to be asked" in said
        assert site.run("evidence", "verify", str(file)).returncode == 0
    finally:
        site.end()
