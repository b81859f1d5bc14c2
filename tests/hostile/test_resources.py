"""Resource bombs against a real `comity serve`: memory stays flat, and honest callers hardly notice.

Each attack is measured in pairs: the honest caller's times just before it, and while it runs. COMITY_IDLE sets how many
idle sockets there are (2,000; 10,000 is what the targets say), COMITY_HONEST how many requests are timed (120).
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import http.client
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from aiohttp import web

from comity import errors, settings
from support import processes, wire
from support.peer import Peer, endless

IDLE = int(os.environ.get("COMITY_IDLE", "2000"))
HONEST = int(os.environ.get("COMITY_HONEST", "120"))
GROWTH_KIB = 50 * 1024
FLOOR_S = 0.02
"""Below this a figure is this machine's noise: a fsync that waits for another process's."""
TRIES = 3
TESTS = Path(__file__).parents[1]


class Victim:
    """A connector that runs, an honest partner's client, and a partner that is none."""

    def __init__(self, served):
        self.served = served
        self.honest, self.hostile = Peer(), Peer()
        self.host, self.port = settings.split_listen(served.conf.listen, "listen")
        for each in (self.honest, self.hostile):
            keys = [{**each.key.public_jwk(), "kid": each.key.kid}]
            body = {"participant": each.did, "address": each.dsp, "keys": keys}
            served.api.request("POST", "partners", body)

    def ask(self, connection):
        """A request that is signed, checked and written down, as any message is; returns its seconds."""
        token = self.honest.token(self.served.did, b"")
        began = time.perf_counter()
        connection.request(
            "GET", "/dsp/2025-1/negotiations/urn:x", headers={"Authorization": f"Bearer {token}"}
        )
        answer = connection.getresponse()
        answer.read()
        taken_s = time.perf_counter() - began
        assert answer.status == 404, answer.status
        return taken_s

    def times(self):
        """Seconds of honest requests, each on a connection of its own, sorted."""
        taken = []
        for _ in range(HONEST):
            connection = http.client.HTTPConnection(self.host, self.port, timeout=15)
            taken.append(self.ask(connection))
            connection.close()
        return sorted(taken)

    def request(self, document, *, path="/dsp/2025-1/negotiations/request", headers="", token=None):
        """A raw request of the hostile partner."""
        body = wire.encode(document)
        token = self.hostile.token(self.served.did, body) if token is None else token
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{headers}"
        return (
            head + f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body


@pytest.fixture(scope="module")
def victim(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    served = processes.make(folder, "victim")
    file = served.conf.folder / settings.FILE
    file.write_text(
        file.read_text().replace("[limits]\n", "[limits]\nrefused_per_hour = 60\nopen_processes = 20\n")
    )
    served.start()
    try:
        yield Victim(served)
        assert served.process.poll() is None, served.tail()
        assert served.stop() < 15
        assert "Traceback" not in served.log.read_text(errors="replace")
    finally:
        served.end()


class Running:
    """An attack in a process of its own, for as long as the block runs; `seen` is what it saw."""

    def __init__(self, victim, name, count, file=""):
        words = [
            sys.executable,
            "-m",
            "hostile.attacks",
            name,
            victim.host,
            str(victim.port),
            str(count),
            str(file),
        ]
        environment = {**processes.environment(), "PYTHONPATH": str(TESTS)}
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def __enter__(self):
        assert self.process.stdout.readline() == "ready\n"
        return self

    def wait(self):
        """Let it come to its own end."""
        self.seen = json.loads(self.process.stdout.readline())

    def __exit__(self, *_):
        try:
            if not hasattr(self, "seen"):
                self.process.stdin.close()
                self.seen = json.loads(self.process.stdout.readline())
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            self.process.stdin.close()


def p99(times):
    return times[int(len(times) * 0.99) - 1]


def withstood(victim, name, count, file="", *, to_its_end=False):
    """Run an attack, and see that honest callers and the memory hardly notice; returns what the attack saw."""
    figures = []
    for _ in range(TRIES):
        quiet = p99(victim.times())
        before = victim.served.memory_kib("VmRSS")
        with Running(victim, name, count, file) as attack:
            during = p99(victim.times())
            if to_its_end:
                attack.wait()
            grown = victim.served.memory_kib("VmRSS") - before
        figures.append((round(quiet * 1000, 1), round(during * 1000, 1), grown // 1024))
        assert grown <= GROWTH_KIB, figures
        if during <= max(2 * quiet, FLOOR_S):
            break
    print(f"{name} ({count}): p99 quiet ms, during ms, MiB more: {figures}; {attack.seen}")  # noqa: T201  figures
    assert during <= max(2 * quiet, FLOOR_S), figures
    return attack.seen


def test_idle_sockets_keep_nobody_out(victim):
    seen = withstood(victim, "idle sockets", IDLE)
    assert seen["opened"] == IDLE


def test_slow_heads_are_cut_within_10_s(victim):
    seen = withstood(victim, "slow heads", 300, to_its_end=True)
    assert (seen["cut"], seen["answers"]) == (300, {})
    assert seen["slowest_s"] <= 11  # 10 s and the attacker's own half second


@pytest.mark.parametrize(
    "name",
    ["slow bodies", "a head of 1 MB", "a head without end", "trailers without end", "a body without end",
     "a deep pipeline"],
)  # fmt: skip
def test_what_is_too_much_is_cut(victim, name):
    seen = withstood(victim, name, 200 if name == "slow bodies" else 1)
    assert "200" not in seen["answers"] or name == "a deep pipeline"
    assert "201" not in seen["answers"]


def bombs():
    """Bodies of at most 1 MiB that are costly to look at, and headers that belong to them."""
    good = wire.encode(wire.message("ContractRequestMessage"))[:-1]
    for value in (b"[[[]]]", b'{"a":1}', b"0", b"1e5"):
        for size in (19_000, 900_000):  # just below what is read at all, and all that is taken
            count = min(size // (value.count(b"[") + value.count(b"{") + 1), 900_000 // (len(value) + 1))
            yield good + b',"x":[' + b",".join([value] * count) + b"]}", ""
    yield good + b',"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", ""
    yield good + b"," + b",".join(b'"%d":0' % at for at in range(19_000)) + b"}", ""
    yield b"\x1f\x8b\x08" + b"\0" * 60_000, "Content-Encoding: gzip\r\n"


@pytest.mark.parametrize(("body", "headers"), list(bombs()), ids=lambda each: ascii(each)[-30:])
def test_a_body_that_is_costly_to_read_holds_nobody_up(victim, body, headers):
    """An honest request is sent right behind it: the best of five tries says how long the body held it up."""
    waited_s = []
    for _ in range(5):
        connection = http.client.HTTPConnection(victim.host, victim.port, timeout=15)
        connection.connect()
        connection.sock.sendall(victim.request(body, headers=headers))
        with contextlib.closing(http.client.HTTPConnection(victim.host, victim.port, timeout=15)) as honest:
            waited_s.append(victim.ask(honest))
        answer = connection.sock.recv(64)
        connection.close()
        assert answer[9:12] in {b"400", b"415"}
    assert min(waited_s) <= 0.1, waited_s


def written(tmp_path, requests):
    file = tmp_path / "requests"
    file.write_text("".join(json.dumps(each.decode("latin-1")) + "\n" for each in requests))
    return file


def test_a_flood_of_refused_messages_writes_so_many_records_and_no_more(victim, tmp_path):
    """A partner's messages that are refused leave evidence: 60 an hour here, then 429 with the time to come again."""
    unknown = {"@id": "urn:o", "@type": "Offer", "target": "nothing", "permission": [{"action": "use"}]}

    def message():
        fields = {"consumerPid": wire.new_id(), "callbackAddress": victim.hostile.dsp, "offer": unknown}
        return victim.request(wire.message("ContractRequestMessage", **fields))

    file = written(tmp_path, [message() for _ in range(300)])
    before = victim.served.rows("SELECT count(*) FROM evidence")[0][0]
    seen = withstood(victim, "requests", 1, file, to_its_end=True)
    recorded = victim.served.rows("SELECT count(*) FROM evidence")[0][0] - before
    assert recorded <= 62
    assert seen["answers"].keys() <= {"400", "401", "429"}
    status, retry_after, told = sent(victim, message())
    assert (status, told["code"]) == (429, "crowded")
    assert 1 <= int(retry_after) <= 60
    assert "refused within an hour" in told["reason"][0]


def sent(victim, request):
    """Send a raw request; return status, Retry-After and document."""
    connection = http.client.HTTPConnection(victim.host, victim.port, timeout=15)
    connection.connect()
    connection.sock.sendall(request)
    answer = http.client.HTTPResponse(connection.sock)
    answer.begin()
    found = answer.status, answer.headers["Retry-After"], json.loads(answer.read())
    connection.close()
    return found


def test_a_flood_of_strangers_writes_nothing(victim, tmp_path):
    document = wire.message("CatalogRequestMessage")
    token = Peer().token(victim.served.did, wire.encode(document))
    file = written(
        tmp_path, [victim.request(document, path="/dsp/2025-1/catalog/request", token=token)] * 300
    )
    counted = "SELECT (SELECT count(*) FROM evidence), (SELECT count(*) FROM token_use WHERE issuer != ?1)"
    before = victim.served.rows(counted, victim.honest.did)
    seen = withstood(victim, "requests", 1, file, to_its_end=True)
    assert seen["answers"] == {"401": 300}
    assert victim.served.rows(counted, victim.honest.did) == before


async def members(peer, request, seen):
    """A gzip of 10,000 members, each of which unpacks to nothing."""
    body = gzip.compress(b"") * 10_000
    return web.Response(body=body, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"})


BOMB = gzip.compress(b" " * (200 << 20), 1)


async def bomb(peer, request, seen):
    """A gzip that is two hundred times as long when it is unpacked."""
    return web.Response(body=BOMB, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"})


async def drip(peer, request, seen):
    """A byte now and then: it is given up after 30 s, and meanwhile is nobody's trouble."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):
        while not peer._gone.is_set():
            await response.write(b" ")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(peer._gone.wait(), 1)
    return response


@pytest.mark.parametrize("answer", [endless, members, bomb, drip], ids=lambda each: each.__name__)
async def test_a_partner_that_answers_without_end_holds_nobody_up(victim, answer):
    """Our own people ask a hostile partner for its catalog, again and again, while an honest one deals with us."""
    peer = Peer()
    await peer.start()
    try:
        await asyncio.to_thread(victim.served.api.request, "POST", "partners", {"participant": peer.did})
        peer.script("/catalog/request", *[answer] * 100)
        figures = []
        while len(figures) < TRIES:
            figures.append(await answered(victim, peer, 1 if answer is drip else 4))
            if answer is drip or figures[-1][1] <= max(2 * figures[-1][0], 0.05):
                break
    finally:
        await peer.stop()
    print(f"a partner's answers, {answer.__name__}: quiet s, during s, KiB more: {figures}")  # noqa: T201  figures
    quiet, during, grown = figures[-1]
    assert grown <= GROWTH_KIB
    assert during <= max(2 * quiet, 0.05)


async def answered(victim, peer, times):
    """Ask for a catalog so many times; return an honest caller's p99 before it and meanwhile, and the memory."""
    quiet = p99(await asyncio.to_thread(victim.times))
    before = victim.served.memory_kib("VmRSS")
    body = {"counterPartyId": peer.did, "protocol": processes.PROTOCOL}
    asking = asyncio.create_task(
        asyncio.to_thread(refused, victim.served.api, "catalog/request", body, times)
    )
    during = p99(await asyncio.to_thread(victim.times))
    if not asking.done() and times == 1:
        peer._gone.set()  # the rest of its 30 s is nobody's trouble either
    assert await asking == [502] * times
    return quiet, during, victim.served.memory_kib("VmRSS") - before


def refused(api, path, body, times):
    """The statuses of requests that cannot be answered."""
    found = []
    for _ in range(times):
        try:
            api.request("POST", path, body)
        except errors.ComityError as error:
            found.append(502 if isinstance(error, errors.DeliveryError) else error)
    return found
