"""Requests with an Idempotency-Key while the connector is killed with -9 at random moments: each creates one thing.

`COMITY_KILLS` sets how many kills (12), `COMITY_SEED` the seed, which is printed.
"""

import http.client
import json
import os
import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from comity import settings

KILLS = int(os.environ.get("COMITY_KILLS", "12"))
SEED = int(os.environ.get("COMITY_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
THREADS = 4
PAUSE_S = 0.05
GIVEN_UP_S = 30.0
FILE = {"type": "HttpData", "baseUrl": "http://127.0.0.1:1/x"}


def post(conf, key):
    """Send a creation with a key once and return status, id and whether it was a replay."""
    host, port = settings.split_listen(conf.management, "management")
    connection = http.client.HTTPConnection(host, port, timeout=10)
    headers = {"X-Api-Key": conf.management_key, "Idempotency-Key": key, "Content-Type": "application/json"}
    body = json.dumps({"properties": {"key": key}, "dataAddress": FILE})
    try:
        connection.request("POST", "/management/v3/assets", body, headers)
        answer = connection.getresponse()
        content = json.loads(answer.read())
        name = content["@id"] if answer.status == 200 else ""
        return answer.status, name, answer.headers["Idempotency-Replayed"] == "true"
    finally:
        connection.close()


def insist(conf, key):
    """Send it until it is answered with 200, and return the id and whether that was a replay."""
    until = time.monotonic() + GIVEN_UP_S
    while time.monotonic() < until:
        try:
            status, name, replayed = post(conf, key)
        except (OSError, http.client.HTTPException):
            time.sleep(PAUSE_S)
            continue
        if status == 200:
            return name, replayed
        assert status in {409, 503}, status
    raise AssertionError(f"{key} was not answered within {GIVEN_UP_S} s")


def test_a_repeat_after_a_kill_creates_nothing_twice(serving, record_property):
    print(f"seed {SEED}, {KILLS} kills; again with COMITY_SEED={SEED}")  # noqa: T201  a figure to be read
    chance = random.Random(SEED)
    served = serving("alpha")
    stopped = threading.Event()

    def keep_creating(thread):
        answered = {}
        while not stopped.is_set():
            key = f"{thread}-{len(answered)}"
            answered[key] = insist(served.conf, key)
        return answered

    with ThreadPoolExecutor(THREADS) as pool:
        running = [pool.submit(keep_creating, thread) for thread in range(THREADS)]
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.02, 0.5))
            served.kill()
            served.start()
        stopped.set()
        answered = {key: found for each in running for key, found in each.result().items()}
    stored = {
        name: json.loads(properties) for name, properties in served.rows("SELECT id, properties FROM asset")
    }
    assert Counter(each["key"] for each in stored.values()) == dict.fromkeys(answered, 1)
    assert all(stored[name]["key"] == key for key, (name, _) in answered.items())
    rows = dict(served.rows("SELECT key, created_id FROM repeatable"))
    assert rows == {key: name for key, (name, _) in answered.items()}
    for key, (name, _) in chance.sample(sorted(answered.items()), 50):
        assert post(served.conf, key) == (200, name, True)
    replayed = sum(found[1] for found in answered.values())
    figures = {"kills": KILLS, "created": len(answered), "answered only after a repeat": replayed}
    record_property("figures", figures)
    print(figures)  # noqa: T201  a figure to be read
    assert len(answered) >= 10 * KILLS
