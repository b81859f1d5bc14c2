"""The storm: processes killed with -9 every 0.2 to 3 s under 200 negotiations and 50 transfers, and nothing is lost.

Killed are either side, both at once, and where a store is on PostgreSQL its whole server; the consumer is the one that
pulls and is pushed to, the provider the one that serves and pushes. The history checker judges what is left.

`COMITY_KILLS` says how many kills (50), `COMITY_STORM` on which stores, in words (`mixed`: the provider on PostgreSQL,
the consumer on SQLite; `sqlite`; `postgresql`), `COMITY_SEED` repeats what was drawn. `make crash N=1000` runs the
last two. In the ordinary suite short pauses are drawn more often than long ones.
"""

import asyncio
import os
import random
import statistics
import time

import pytest

from comity.db import postgres as store
from crash import storm
from support import postgres, processes, stores

KILLS = int(os.environ.get("COMITY_KILLS", "50"))
STORM = os.environ.get("COMITY_STORM", "mixed").split()
SEED = int(os.environ.get("COMITY_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
SHORTEST_S, LONGEST_S = 0.2, 3.0
USUAL_S = 1.6 if KILLS > 50 else 0.2
KINDS = {
    "mixed": (stores.POSTGRESQL, stores.SQLITE),
    "sqlite": (stores.SQLITE, stores.SQLITE),
    "postgresql": (stores.POSTGRESQL, stores.POSTGRESQL),
}
CONVERGED_S, STARTED_S = 60.0, 5.0
TARGETS = ("provider", "consumer", "both", "server")


@pytest.fixture
def server():
    """A server of its own, whose commits are on the disk when they are acknowledged."""
    made = postgres.Server(fsync="on")
    yield made
    made.close()


@pytest.fixture
def slow():
    made = storm.Slow()
    yield made
    made.close()


@pytest.fixture
def sides(tmp_path, request, name):
    made = []
    for side, kind in zip(("provider", "consumer"), KINDS[name], strict=True):
        url = ""
        if kind == stores.POSTGRESQL:
            url = postgres.create(on=request.getfixturevalue("server"))
            asyncio.run(store.bring_on(url))
        made.append(processes.make(tmp_path, side, **({"database": url} if url else {})))
    try:
        for each in made:
            each.start()
        yield made
    finally:
        for each in made:
            each.end()


@pytest.mark.timeout(240 + 5 * KILLS)
@pytest.mark.parametrize("name", STORM)
def test_nothing_is_lost_in_a_storm(sides, slow, name, tmp_path, request, record_property):
    print(f"seed {SEED}, {KILLS} kills; again with COMITY_SEED={SEED}")  # noqa: T201  a figure to be read
    chance = random.Random(SEED)
    provider, consumer = sides
    server = request.getfixturevalue("server") if stores.POSTGRESQL in KINDS[name] else None
    people = storm.People(provider, consumer, tmp_path / "received", random.Random(SEED + 1))
    people.prepare(slow, tmp_path)
    people.begin()
    processes.wait_until(
        lambda: people.fullest["transferring"] >= 40, "the storm to begin", 30, provider, consumer
    )
    keepers = {each.conf.name: storm.Keeper(each) for each in sides}
    began, killed, back_s = time.monotonic(), dict.fromkeys(TARGETS, 0), []
    try:
        while sum(killed.values()) < KILLS:
            time.sleep(chance.triangular(SHORTEST_S, LONGEST_S, USUAL_S))
            target = chance.choices(TARGETS, weights=[4, 4, 1, 2 if server else 0])[0]
            if target == "server":
                back_s.append(restart(server, sides))
                killed[target] += 1
                continue
            names = list(keepers) if target == "both" else [target]
            ended = [keepers[each].kill(chance) for each in names]
            killed[target] += any(ended)
        stormed_s = time.monotonic() - began
        people.begin_no_more()
        began = time.monotonic()
        while not storm.is_over(*sides):
            assert time.monotonic() - began < CONVERGED_S, "it did not come to its end"
            time.sleep(0.05)
        converged_s = time.monotonic() - began
    finally:
        for each in keepers.values():
            each.end()
        people.end()
    starts_s = sorted(each for keeper in keepers.values() for each in keeper.starts_s)
    figures = {
        "stores": name,
        "seed": SEED,
        "kills": killed,
        "stormed_s": round(stormed_s),
        **storm.check(people),
        "received_mib": round(sum(big for big in sizes(tmp_path / "received")) / 2**20),
        "most under way": dict(people.fullest),
        "refused": dict(people.refused),
        "converged_s": round(converged_s, 1),
        "restart_p50_s": round(statistics.median(starts_s), 2),
        "restart_p99_s": round(starts_s[int(len(starts_s) * 0.99)], 2),
        "back after a kill of the server_s": [round(each, 1) for each in sorted(back_s)],
    }
    record_property("figures", figures)
    print(figures)  # noqa: T201  a figure to be read
    assert figures["violations"] == 0
    assert figures["negotiations"] >= 8 * KILLS
    assert people.fullest["negotiating"] >= 40, "there was too little under way to show anything"
    assert figures["restart_p99_s"] < STARTED_S
    for each in sides:
        if not each.conf.database_url:
            assert each.rows("PRAGMA integrity_check") == [("ok",)]


def sizes(folder):
    return (each.stat().st_size for each in folder.rglob("*") if each.is_file())


def restart(server, sides) -> float:
    """Kill the server, start it again and return the seconds from then until a connector on it answers as ready."""
    server.kill()
    server.start()
    began = time.monotonic()
    while not all(each.answers() for each in sides):
        assert time.monotonic() - began < 30
        time.sleep(0.01)
    return time.monotonic() - began
