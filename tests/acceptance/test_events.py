"""Events as a program and a person meet them: a stream over a real connection, taken up again, and `comity events`."""

import http.client
import json
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from comity.client import events as client
from support import processes
from support.processes import wait_until

POLICY = {"policy": {"@type": "Set", "permission": [{"action": "use"}]}}
NEGOTIATION = [
    f"contract.negotiation.{each}" for each in ("initiated", "requested", "agreed", "verified", "finalized")
]
TRANSFER = [f"transfer.process.{each}" for each in ("initiated", "requested", "started", "completed")]


@contextmanager
def stream(served, last=None, query=""):
    """Open a stream; yields what reads its next event as (place, event or None)."""
    host, _, port = served.conf.management.rpartition(":")
    with closing(http.client.HTTPConnection(host, int(port), timeout=20)) as connection:
        headers = {"X-Api-Key": served.conf.management_key, "Accept": "text/event-stream"}
        headers |= {"Last-Event-ID": str(last)} if last is not None else {}
        connection.request("GET", f"/management/v3/events{query}", None, headers)
        answer = connection.getresponse()
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        yield client.parse(answer)


@contextmanager
def following(served, *words):
    """Run `comity events --follow`; yields the process, and ends it as Ctrl-C would."""
    begun = served.begin("events", "--follow", "--json", *words)
    try:
        yield begun
    finally:
        begun.send_signal(signal.SIGINT)
        begun.communicate(timeout=10)


def define(served, *names):
    for name in names:
        served.api.request("POST", "policydefinitions", {"@id": name, **POLICY})


def test_a_stream_taken_up_again_has_neither_gap_nor_repeat(serving):
    served = serving("alpha")
    names = [f"p{at:03}" for at in range(60)]
    with stream(served, last=0) as opened, ThreadPoolExecutor(1) as pool:
        opening, _ = next(opened)
        work = pool.submit(define, served, *names)
        seen = [next(opened) for _ in range(7)]  # then the connection is dropped, with more on its way
    assert opening == 0
    work.result()
    while len(seen) < 60:
        with stream(served, last=seen[-1][0]) as opened:
            next(opened)
            seen += [next(opened) for _ in range(min(19, 60 - len(seen)))]
    assert [place for place, _ in seen] == list(range(1, 61))
    assert [event["subject"] for _, event in seen] == names


def test_a_stream_goes_on_over_a_kill_of_the_connector(serving):
    served = serving("alpha")
    define(served, "before")
    with stream(served, last=0) as opened:
        next(opened)
        first = next(opened)
        served.kill()
        with pytest.raises((OSError, http.client.HTTPException, StopIteration)):
            next(opened)
    served.start()
    define(served, "after")
    with stream(served, last=first[0]) as opened:
        next(opened)
        second = next(opened)
    assert (first[1]["subject"], second[1]["subject"]) == ("before", "after")
    assert second[0] == first[0] + 1


def test_a_connector_with_open_streams_stops_promptly(serving):
    served = serving("alpha")
    with stream(served) as opened, stream(served) as unread:
        next(opened)
        define(served, *(f"p{at}" for at in range(3)))
        for _ in range(3):
            next(opened)
        took_s = served.stop()
        with pytest.raises(StopIteration):
            next(opened)
        del unread
    assert took_s < 3
    assert "Traceback" not in served.tail()
    assert "ERROR" not in served.tail()


def test_a_reader_who_reads_nothing_keeps_neither_memory_nor_the_end_waiting(serving):
    served = serving("alpha")
    define(served, *(f"{'p' * 900}{at}" for at in range(3000)))  # so that caches are as full as they get
    before = served.memory_kib("VmRSS")
    with stream(served, last=0) as opened:
        next(opened)
        define(served, *(f"{'q' * 900}{at}" for at in range(3000)))  # 9 MB of events that nobody takes
        grown_kib = served.memory_kib("VmRSS") - before
        assert served.stop() < 4
    assert grown_kib < 4 * 1024
    assert "Traceback" not in served.tail()


def test_the_command_shows_what_happened_and_follows_what_happens(pair, folder):
    assert pair.provider.run("publish", str(folder), "--id", "part").returncode == 0
    with following(pair.consumer, "--last", "0") as begun:
        wait_until(lambda: _connected(pair.consumer), "the stream to open", 10)
        got = pair.consumer.run("get", "provider", "part", "-o", str(pair.consumer.conf.folder.parent / "in"))
        assert got.returncode == 0, got
        wait_until(lambda: "transfer.process.completed" in _types(pair.consumer), "the end", 10)
        seen = [json.loads(begun.stdout.readline()) for _ in range(9)]
    assert begun.returncode == 130
    assert [each["type"] for each in seen] == NEGOTIATION + TRANSFER
    assert [each["number"] for each in seen] == [1, 2, 3, 4, 5, 1, 2, 3, 4]
    process_id = seen[-1]["subject"]
    shown = pair.consumer.run("events", "--process", process_id[-12:]).stdout.splitlines()
    assert [line.split()[2] for line in shown] == TRANSFER
    listed = json.loads(pair.provider.run("events", "--json", "--type", "contract.negotiation").stdout)
    assert [each["type"] for each in listed] == NEGOTIATION[1:]


def _types(served):
    return [each["type"] for each in served.api.events(after=0, limit=1000)["events"]]


def _connected(served):
    """Whether a connection to the management listener is open."""
    _, _, port = served.conf.management.rpartition(":")
    table = Path("/proc/net/tcp").read_text().splitlines()[1:]
    wanted = f":{int(port):04X}"
    return any(line.split()[1].endswith(wanted) and line.split()[3] == "01" for line in table)


def test_a_follower_waits_for_a_connector_that_is_started_again(serving):
    served = serving("alpha")
    define(served, "one")
    with following(served) as begun:
        assert json.loads(begun.stdout.readline())["subject"] == "one"
        wait_until(lambda: _connected(served), "the stream to open", 10)
        served.kill()
        served.start()
        define(served, "two")
        began = time.monotonic()
        assert json.loads(begun.stdout.readline())["subject"] == "two"
        assert time.monotonic() - began < 10


def test_without_a_connector_the_command_says_so(serving):
    served = serving("alpha", starts=False)
    done = processes.command("events", folder=served.conf.folder)
    assert done.returncode == 3
    assert done.stderr.startswith("error: ")
