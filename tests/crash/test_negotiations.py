"""Negotiations while either side is killed with -9 at random moments: nothing answered is lost, nothing doubled.

`COMITY_KILLS` sets how many kills (12), `COMITY_SEED` the seed, which is printed.
"""

import json
import os
import random
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from comity import errors
from support import processes

KILLS = int(os.environ.get("COMITY_KILLS", "12"))
SEED = int(os.environ.get("COMITY_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
THREADS = 4
PAUSE_S = 0.02
CONVERGED_S = 40.0
PATH = ["REQUESTED", "AGREED", "VERIFIED", "FINALIZED"]


class Driver:
    """Keeps starting negotiations through the management API, from several threads, and keeps what was answered."""

    def __init__(self, consumer, body) -> None:
        self._consumer, self._body = consumer, body
        self._stopped = threading.Event()
        self._pool = ThreadPoolExecutor(THREADS)
        self._running = [self._pool.submit(self._keep_starting) for _ in range(THREADS)]

    def _keep_starting(self) -> list[str]:
        answered = []
        while not self._stopped.wait(PAUSE_S):
            try:
                begun = self._consumer.api.request("POST", "contractnegotiations", self._body)
            except errors.DeliveryError:
                continue  # killed before it answered: begun or not, it must end well
            answered.append(begun["@id"])
        return answered

    def finish(self) -> list[str]:
        """Stop, and return the ids that were answered with 2xx."""
        self._stopped.set()
        self._pool.shutdown()
        return [each for one in self._running for each in one.result()]


def prepare(serving, tmp_path):
    provider, consumer = serving("provider"), serving("consumer")
    processes.introduce(provider, consumer)
    (tmp_path / "drawings").mkdir()
    (tmp_path / "drawings" / "a.txt").write_text("a drawing")
    permission = {
        "action": "use",
        "constraint": [{"leftOperand": "recipient", "operator": "eq", "rightOperand": consumer.did}],
    }
    provider.api.publish(
        str(tmp_path / "drawings"), timeout_s=20, assetId="drawings", policy={"permission": [permission]}
    )
    return provider, consumer


def open_of(side):
    rows = side.rows("SELECT count(*) FROM negotiation WHERE state IS NOT 'FINALIZED'")
    return rows[0][0] + side.rows("SELECT count(*) FROM outbox")[0][0]


def storm(sides, chance, kills) -> int:
    """Kill one side after the other (or both) while negotiations are under way; return how many were."""
    under_way = 0
    for _ in range(kills):
        time.sleep(chance.uniform(0.02, 0.5))
        chosen = chance.choices([sides[:1], sides[1:], sides], weights=[4, 4, 1])[0]
        for side in chosen:
            side.kill()
        under_way += max(open_of(side) for side in sides) > 0
        for side in chosen:
            side.start()
    return under_way


def test_negotiations_survive_kills_of_either_side(serving, tmp_path, record_property):
    print(f"seed {SEED}, {KILLS} kills; again with COMITY_SEED={SEED}")  # noqa: T201  a figure to be read
    chance = random.Random(SEED)
    provider, consumer = sides = prepare(serving, tmp_path)
    body = processes.contract_request(provider, consumer, "drawings")
    driver = Driver(consumer, body)
    for side in sides:
        side.starts_s.clear()
    under_way = storm(list(sides), chance, KILLS)
    answered = driver.finish()
    began = time.monotonic()
    processes.wait_until(
        lambda: not open_of(provider) and not open_of(consumer),
        "all negotiations to be finalized on both sides",
        CONVERGED_S,
        *sides,
    )
    converged_s = time.monotonic() - began
    count = check(provider, consumer, answered)
    starts_s = sorted(provider.starts_s + consumer.starts_s)
    figures = {
        "kills": len(starts_s),
        "negotiations": count,
        "answered": len(answered),
        "kills_with_some_under_way": under_way,
        "converged_s": round(converged_s, 2),
        "restart_median_s": round(statistics.median(starts_s), 2),
        "restart_max_s": round(starts_s[-1], 2),
    }
    record_property("figures", figures)
    print(figures)  # noqa: T201  a figure to be read
    assert count >= min(100, 8 * KILLS)
    assert under_way >= 0.8 * KILLS, "the kills came too early or too late to show anything"
    assert starts_s[-1] < 5, starts_s


def check(provider, consumer, answered) -> int:
    """Check both stores and both chains, and return how many negotiations there are."""
    ours = agreements(consumer)
    theirs = agreements(provider)
    assert set(answered) <= ours.keys(), "a start that was answered is not in the store"
    assert all(len(found) == 1 for found in (*ours.values(), *theirs.values()))
    pids = dict(consumer.rows("SELECT id, counterparty_pid FROM negotiation"))
    assert {pid: one for one, pid in pids.items()} == dict(
        provider.rows("SELECT id, counterparty_pid FROM negotiation")
    ), "one negotiation here is one negotiation there"
    for mine, pid in pids.items():
        assert ours[mine] == theirs[pid], "the agreements differ"
    assert len({found[0][0] for found in ours.values()}) == len(ours)
    for side in (provider, consumer):
        assert side.rows("PRAGMA integrity_check") == [("ok",)]
        for process_id, reached in side.steps().items():
            assert sorted(reached, key=PATH.index) == PATH, (side.conf.name, process_id, reached)
    return len(ours)


def agreements(side):
    """The agreements of each negotiation: id, document, digest of the message, in force."""
    found = {row[0]: [] for row in side.rows("SELECT id FROM negotiation WHERE state = 'FINALIZED'")}
    sql = "SELECT negotiation_id, id, document, message_sha256, finalized FROM agreement"
    for negotiation_id, *agreement in side.rows(sql):
        found[negotiation_id].append((agreement[0], json.loads(agreement[1]), *agreement[2:]))
        assert agreement[-1] == 1
    return found
