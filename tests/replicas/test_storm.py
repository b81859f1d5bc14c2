"""Three replicas on one database, one killed and one paused for longer than its lease, again and again: nothing breaks.

A hundred negotiations and twenty transfers with data are under way with a partner on SQLite; the replicas are the
provider in one run and the consumer in the other. Who is killed is replaced, by a further replica that is made from
the URL alone (and the seal key) or by itself.

`COMITY_REPLICA_ROUNDS` says how many rounds of about twelve seconds (1), `COMITY_REPLICA_SIDES` in which roles
("provider consumer"; in the ordinary suite the seed draws one of them), `COMITY_SEED` repeats what was drawn.
"""

import os
import random
import statistics
import threading
import time

import pytest

from crash import storm
from replicas import cluster
from support import postgres, processes

ROUNDS = int(os.environ.get("COMITY_REPLICA_ROUNDS", "1"))
SEED = int(os.environ.get("COMITY_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
SIDES = os.environ.get("COMITY_REPLICA_SIDES", "").split() or ["either"]
NEGOTIATING, TRANSFERRING = 100, 20
PAUSED_S = (8.5, 10.5)
CONVERGED_S = 90.0


@pytest.fixture
def loop():
    made = cluster.Loop()
    yield made
    made.close()


@pytest.fixture
def server():
    made = postgres.Server(fsync="on")
    yield made
    made.close()


@pytest.fixture
def slow():
    made = storm.Slow()
    yield made
    made.close()


@pytest.fixture
def many(tmp_path, loop, server):
    made = cluster.make(tmp_path, loop, postgres.create(on=server))
    yield made
    made.end()
    made.public.close()
    made.own.close()


@pytest.fixture
def partner(tmp_path, loop):
    """A connector on SQLite behind an ear."""
    address = f"127.0.0.1:{processes.free_port()}"
    made = processes.make(tmp_path, "partner", address=f"http://{address}")
    made.start()
    ear = cluster.Ear(loop, address, f"http://{made.conf.listen}")
    yield made, ear
    made.end()
    ear.close()


@pytest.mark.timeout(180 + 40 * ROUNDS)
@pytest.mark.parametrize("role", SIDES)
def test_replicas_that_are_killed_and_paused_lose_and_double_nothing(
    many, partner, slow, role, tmp_path, monkeypatch, record_property
):
    chance = random.Random(SEED)
    role = chance.choice(["provider", "consumer"]) if role == "either" else role
    print(f"seed {SEED}, {ROUNDS} rounds as {role}; again with COMITY_SEED={SEED}")  # noqa: T201  to be repeated
    other, ear = partner
    monkeypatch.setattr(storm, "NEGOTIATING", NEGOTIATING)
    monkeypatch.setattr(storm, "TRANSFERRING", TRANSFERRING)
    sides = (many, other) if role == "provider" else (other, many)
    people = storm.People(*sides, tmp_path / "received", random.Random(SEED + 1))
    people.prepare(slow, tmp_path)
    people.begin()
    taken_over_s: list[float] = []
    done = {"killed": 0, "paused": 0, "joined": 0, "restarted": 0}
    try:
        processes.wait_until(
            lambda: people.fullest["transferring"] >= TRANSFERRING // 2, "the storm", 30, many, other
        )
        began = time.monotonic()
        for _ in range(ROUNDS):
            a_round(many, chance, done, taken_over_s)
        stormed_s = time.monotonic() - began
        people.begin_no_more()
        began = time.monotonic()
        while not storm.is_over(*sides):
            assert time.monotonic() - began < CONVERGED_S, (
                f"it did not come to its end\n{left(*sides)}\n{many.tail()}"
            )
            time.sleep(0.05)
        converged_s = time.monotonic() - began
    finally:
        people.end()
        many.end()
        other.end()
    sent, doubled = ear.doubled()
    figures = {
        "seed": SEED,
        "role": role,
        **done,
        "stormed_s": round(stormed_s),
        **storm.check(people),
        "most under way": dict(people.fullest),
        "refused": dict(people.refused),
        "converged_s": round(converged_s, 1),
        "taken over after_s": [round(each, 1) for each in sorted(taken_over_s)],
        "taken over after_s (median)": round(statistics.median(taken_over_s), 1),
        "sent by the replicas": sent,
        "sent although it had been taken": doubled,
    }
    record_property("figures", figures)
    print(figures)  # noqa: T201  a figure to be read
    assert figures["violations"] == 0


def a_round(many, chance, done, taken_over_s) -> None:
    """Pause one for longer than its lease; meanwhile kill another, and start one in its place."""
    paused, killed = chance.sample(many.replicas, 2)
    first, second = chance.uniform(0, 2), chance.uniform(0, 2)
    watch = threading.Thread(target=note_takeovers, args=(many, taken_over_s))
    until = time.monotonic() + first + chance.uniform(*PAUSED_S)
    time.sleep(first)
    cluster.pause(paused)
    done["paused"] += 1
    try:
        time.sleep(second)
        many.kill(killed)
        watch.start()
        done["killed"] += 1
        fresh = chance.random() < 0.6
        time.sleep(chance.uniform(0, 2))
        done["joined" if fresh else "restarted"] += 1
        many.further(fresh=fresh)
        time.sleep(max(0.0, until - time.monotonic()))
    finally:
        cluster.resume(paused)
    watch.join(30)
    time.sleep(chance.uniform(0, 1))


def note_takeovers(many, taken_over_s) -> None:
    """Note after how long nothing belongs any more to somebody who was there at the kill and has no lease."""
    began = time.monotonic()
    known = {each for (each,) in postgres.rows(many.url, "SELECT id FROM replica")}
    sql = (
        "SELECT (SELECT array_agg(id) FROM replica),"
        " (SELECT array_agg(DISTINCT owner) FROM outbox WHERE owner NOT IN (SELECT id FROM replica))"
    )
    while time.monotonic() - began < 20:
        there, without = postgres.rows(many.url, sql)[0]
        gone = known - set(there or ())
        if gone and not set(without or ()) & gone:
            taken_over_s.append(time.monotonic() - began)
            return
        time.sleep(0.1)


def left(*sides) -> str:
    """What is still open, to be read."""
    found = []
    for side in sides:
        found.append(side.conf.name)
        for kind in ("negotiation", "transfer"):
            sql = f"SELECT id, role, state, error FROM {kind} WHERE state IS NULL OR state NOT IN ({storm.ENDS})"
            found += [f"  {kind} {row}" for row in side.rows(sql)[:20]]
        found += [f"  outbox {row}" for row in side.rows("SELECT * FROM outbox")[:20]]
        found += [
            f"  pull {row}"
            for row in side.rows("SELECT * FROM pull WHERE state IN ('WAITING', 'RUNNING')")[:20]
        ]
        found += [
            f"  push {row}"
            for row in side.rows("SELECT * FROM push WHERE state IN ('WAITING', 'RUNNING')")[:20]
        ]
    return "\n".join(found)
