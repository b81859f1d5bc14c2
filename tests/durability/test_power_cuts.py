"""The power is cut at any moment of a real recording: whatever the disk lost, it is what was said or what came next.

Two connectors deal with each other while strace writes down every change of their files; then the disk is cut,
offline, `COMITY_CUTS` times for both together (300): see `support.disk` for what it may hold then. Each time the store
must open, be whole, be exactly as it was after one of its commits and none older than the last answer, and hold every
message that was acknowledged and every thing that was said to be made; keys and received files must be there where
the store or an answer says so. `COMITY_SEED` is the seed, which is printed.
"""

import contextlib
import json
import os
import random
import sqlite3
import tempfile
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest

from comity import errors, settings
from comity.db import evidence, migrate
from comity.evidence import entry
from comity.storage import keys
from support import disk, recording, tracing

CUTS = int(os.environ.get("COMITY_CUTS", "300"))
SEED = int(os.environ.get("COMITY_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
NEGOTIATIONS = (
    12 if CUTS < 2000 else 120
)  # so many that the log is brought to the database file while it is in use
pytestmark = [tracing.missing, pytest.mark.timeout(60 + CUTS)]
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    return [
        (each, commits_of(each))
        for each in recording.record(tmp_path_factory.mktemp("power"), negotiations=NEGOTIATIONS)
    ]


def test_a_power_cut_at_any_moment_loses_nothing_that_was_acknowledged(recordings, record_property):
    print(f"seed {SEED}, {CUTS} cuts; again with COMITY_SEED={SEED}")  # noqa: T201  a figure to be read
    with ProcessPoolExecutor(2) as pool:
        halves = (CUTS // 2, CUTS - CUTS // 2)
        done = list(pool.map(cut_often, *zip(*recordings, strict=True), (SEED, SEED + 1), halves))
    figures = {name: sum(each.figures[name] for each in done) for name in done[0].figures}
    record_property("figures", figures)
    print(figures)  # noqa: T201  as above
    assert [wrong for each in done for wrong in each.wrong] == []
    assert figures["cuts"] == CUTS
    assert figures["cuts with something unsynced"] > CUTS // 3
    assert all(len(each.facts[-1].messages) > NEGOTIATIONS for each, _ in recordings)


@pytest.mark.parametrize("lost", ["comity.sqlite-wal", "keys", "pulled-first/parts"])
def test_a_disk_that_does_not_hear_a_sync_is_found_out(recordings, lost):
    assert cut_often(*recordings[0], SEED, 40, lost=lost).wrong


class Hasty(recording.Altered):
    """A connector whose commits do not wait for the disk."""

    usual, instead = "synchronous=FULL", "synchronous=NORMAL"


def test_a_connector_whose_commits_do_not_wait_for_the_disk_is_found_out(tmp_path):
    hasty = recording.record_alone(tmp_path / "hasty", kind=Hasty)
    found = cut_often(hasty, commits_of(hasty), SEED, 150).wrong
    assert any("was acknowledged and is gone" in wrong for wrong in found)


FIGURES = ("cuts", "cuts with something unsynced", "commits", "checkpoints", "answers")


class Cuts:
    """What came of cutting a recording often."""

    def __init__(self):
        self.wrong = []
        self.figures = dict.fromkeys(FIGURES, 0)


def cut_often(made, states, seed, count, lost=""):
    """Cut a recording `count` times; `lost` is a file or folder whose syncs the disk does not hear."""
    chance = random.Random(seed)
    deaf = {"deaf": lambda path: path.endswith(f"/{lost}")} if lost else {}
    done = Cuts()
    done.figures["commits"], done.figures["answers"] = len(states), len(made.facts)
    done.figures["checkpoints"] = sum(
        call.name in disk.SYNCS and call.place.endswith("/comity.sqlite") for call in made.calls
    )
    lines = sorted(chance.choices(moments_of(made), k=count))
    held = made.disk(**deaf)

    def tell(line):
        while lines and line > lines[0]:
            at = lines.pop(0)
            done.figures["cuts"] += 1
            done.figures["cuts with something unsynced"] += bool(held.unsynced())
            done.wrong += cut(made, held, at, states, chance)

    disk.play(held, made.calls, tell)
    return done


def moments_of(made):
    """Lines after which something in the folder was changed or synced."""
    name = str(made.folder)
    return [
        line
        for call in made.calls
        if call.name not in tracing.SOCKETS and (call.place.startswith(name) or name in "".join(call.paths))
        for line in (call.began, call.ended)
    ]


def commits_of(made):
    """(line, digest) of the store after each sync of its log: what it may be found as, and from when on."""
    held, states = made.disk(), []
    synced = {
        call.ended
        for call in made.calls
        if call.name in disk.SYNCS and call.place.endswith((".sqlite-wal", ".sqlite"))
    }

    def tell(line):
        if waiting and line > waiting[0]:
            with image(held, disk.All()) as folder:
                states.append(
                    (waiting.pop(0), digest(folder / made.data.relative_to(made.folder) / settings.DATABASE))
                )

    waiting = sorted(synced)
    disk.play(held, made.calls, tell)
    return states


@contextlib.contextmanager
def image(held, survives):
    """A folder that holds what the disk does."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as place:
        held.write_out(Path(place) / "disk", survives)
        yield Path(place) / "disk"


def cut(made, held, line, states, chance):
    """Cut the power after a line and return what is wrong with the disk then."""
    facts = max((each for each in made.facts if each.line <= line), key=lambda each: each.line)
    survives = chance.choice((disk.Nothing(), disk.Some(chance), disk.Some(chance), disk.Some(chance)))
    with image(held, survives) as folder:
        try:
            return [f"line {line}: {each}" for each in wrong_in(made, folder, facts, states)]
        except (errors.ComityError, sqlite3.Error) as error:
            return [f"line {line}: {error}"]


def wrong_in(made, folder, facts, states):
    data = folder / made.data.relative_to(made.folder)
    if facts.line < 0 and not (data / settings.FILE).exists():
        return  # `comity init` was under way, and says so when it is run again
    conf = settings.load(data)
    ring = keys.KeyFiles(data / "keys", conf.participant_id, now_ms=lambda: 1 << 50)
    settings.seal_key(conf)
    yield from (
        f"{key} was acknowledged and is gone" for key in facts.keys - {each.kid for each in ring.ring.keys}
    )
    now = digest(conf.database) if conf.database.exists() else "nothing"
    allowed = [state for at, state in states if at >= facts.line]
    before = [state for at, state in states if at < facts.line]
    if now not in allowed + before[-1:] and facts.line >= 0:
        yield "the store is not as it was after a commit" + " since the last answer" * (now in before)
    if facts.line < 0:
        migrate.migrate(conf.database)
    yield from wrong_in_store(made, conf, facts)


def wrong_in_store(made, conf, facts):
    with contextlib.closing(sqlite3.connect(conf.database)) as store:
        if (found := store.execute("PRAGMA integrity_check").fetchall()) != [("ok",)]:
            yield f"the store is damaged: {found}"
        if found := store.execute("PRAGMA foreign_key_check").fetchall():
            yield f"the store refers to what is not there: {found}"
        for table, name in facts.made:
            if not store.execute(f"SELECT 1 FROM {table} WHERE id = ?", (name,)).fetchone():
                yield f"{table} {name} was acknowledged and is gone"
        received = store.execute("SELECT destination FROM pull WHERE state = 'DONE'").fetchall()
    records = list(evidence.read_all(conf.database))
    entry.verify(records)
    taken = {json.loads(each[1])["sha256"] for each in records}
    yield from (f"message {each} was acknowledged and is gone" for each in facts.messages - taken)
    for (destination,) in received:
        for name, content in made.contents.items():
            path = conf.folder.parent / Path(destination).name / name
            if not path.exists() or path.read_bytes() != content:
                yield f"{path.name} was received, and is gone or cut off"


def digest(path):
    """Digest of all that a store holds; an empty or missing one has a name of its own."""
    if not path.exists():
        return "nothing"
    with contextlib.closing(sqlite3.connect(path)) as store:
        tables = [
            name
            for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")
        ]
        held = [(name, store.execute(f"SELECT * FROM {name}").fetchall()) for name in tables]
    return sha256(repr(held).encode()).hexdigest()
