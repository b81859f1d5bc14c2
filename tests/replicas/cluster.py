"""Replicas of one connector as processes, and what stands before them: one address, behind it those that answer.

`Front` is what a load balancer is: it gives each connection to the next replica that answered when it was last looked
at. `Cluster` looks like one connector to whoever drives it (`crash.storm.People`).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from comity import settings
from comity.testing import chaos
from support import postgres, processes
from support.ports import free_port

LOOK_S = 0.3
HEALTH = b"GET /health HTTP/1.1\r\nHost: front\r\nConnection: close\r\n\r\n"


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Any, timeout_s: float = 20) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout_s)

    def close(self) -> None:
        self.run(_end_tasks())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


async def _end_tasks() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for each in tasks:
        each.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0.05)  # connections that were ended say so


class Front:
    """Hands connections on, in turn, to those of its `targets` (host:port) that answer."""

    def __init__(self, loop: Loop) -> None:
        self.port = free_port()
        self.targets: list[str] = []
        self.sides: set[Side] = set()
        self._up: set[str] = set()
        self._next = itertools.count()
        self._loop = loop
        self._server = loop.run(self._start())

    async def _start(self) -> asyncio.Server:
        self._looking = asyncio.create_task(self._look())
        running = asyncio.get_running_loop()
        return await running.create_server(lambda: Side(self), "127.0.0.1", self.port)

    async def _look(self) -> None:
        while True:
            targets = list(self.targets)
            found = await asyncio.gather(*(asyncio.to_thread(answers, each) for each in targets))
            self._up = {each for each, up in zip(targets, found, strict=True) if up}
            await asyncio.sleep(LOOK_S)

    async def connect(self, side: Side) -> None:
        """Connect a new connection with the replica whose turn it is, or end it."""
        up = [each for each in self.targets if each in self._up]
        try:
            if not up:
                raise ConnectionError
            host, port = settings.split_listen(up[next(self._next) % len(up)], "target")
            running = asyncio.get_running_loop()
            await running.create_connection(lambda: Side(self, side), host, port)
        except OSError:
            side.transport.abort()

    async def _end(self) -> None:
        self._server.close()
        self._looking.cancel()
        for each in list(self.sides):
            each.transport.abort()

    def close(self) -> None:
        self._loop.run(self._end())


class Side(asyncio.Protocol):
    """One of the two connections that a front joins."""

    def __init__(self, front: Front, other: Side | None = None) -> None:
        self._front = front
        self._other = other

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._front.sides.add(self)
        if self._other is None:
            transport.pause_reading()
            self._connecting = asyncio.create_task(self._front.connect(self))
        else:
            self._other.join(self)

    def join(self, other: Side) -> None:
        self._other = other
        if self.transport.is_closing():
            other.transport.abort()
        else:
            self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        self._other.transport.write(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._front.sides.discard(self)
        if self._other is not None:
            self._other.transport.close()

    def pause_writing(self) -> None:
        if self._other is not None:
            self._other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self._other is not None and not self._other.transport.is_closing():
            self._other.transport.resume_reading()


def answers(target: str) -> bool:
    """Whether somebody answers a request there."""
    with contextlib.suppress(OSError):
        host, port = settings.split_listen(target, "target")
        with socket.create_connection((host, port), timeout=LOOK_S) as connection:
            connection.sendall(HEALTH)
            return connection.recv(5) == b"HTTP/"
    return False


class Everyone:
    """Stands where a process is expected: somebody of them is always there."""

    def poll(self) -> None:
        return None


@dataclass
class Cluster(processes.Served):
    """All replicas as one; `conf` is the first one's, with the front's addresses."""

    folder: Path = Path()
    url: str = ""
    public: Any = None
    own: Any = None
    replicas: list[processes.Served] = field(default_factory=list)
    gone: list[processes.Served] = field(default_factory=list)

    def further(self, *, fresh: bool = True) -> processes.Served:
        """Start one more: made from the URL alone, and the seal key, or from a folder that one left that was killed."""
        if fresh or not self.gone:
            made = join(
                self.folder, f"replica-{len(self.replicas) + len(self.gone) + 1}", self.replicas[0].conf
            )
        else:
            made = self.gone.pop()
        made.start()
        self.replicas.append(made)
        self._stand()
        return made

    def kill(self, one: processes.Served) -> None:
        """End it with kill -9."""
        one.kill()
        self.replicas.remove(one)
        self.gone.append(one)
        self._stand()

    def _stand(self) -> None:
        self.public.targets = [each.conf.listen for each in self.replicas]
        self.own.targets = [each.conf.management for each in self.replicas]

    def end(self) -> None:
        for each in (*self.replicas, *self.gone):
            if each.process is not None and each.process.poll() is None:
                resume(each)
            each.end()

    def tail(self) -> str:
        return "\n".join(
            f"--- {each.conf.folder.name}\n{each.tail()}" for each in (*self.replicas, *self.gone)
        )

    def leases(self) -> int:
        """How many replicas have a lease."""
        return postgres.rows(self.url, "SELECT count(*) FROM replica")[0][0]


def pause(one: processes.Served) -> None:
    os.kill(one.process.pid, signal.SIGSTOP)


def resume(one: processes.Served) -> None:
    os.kill(one.process.pid, signal.SIGCONT)


def join(folder: Path, name: str, first: settings.Settings) -> processes.Served:
    """Make the folder of a further replica as its operator does."""
    words = ("join", first.database_url, "--seal-key", str(first.folder / "keys" / "seal.key"))
    listening = ("--listen", f"127.0.0.1:{free_port()}", "--management", f"127.0.0.1:{free_port()}")
    done = processes.command(*words, *listening, folder=folder / name)
    assert done.returncode == 0, done.stderr
    return processes.Served(settings.load(folder / name))


def make(folder: Path, loop: Loop, url: str, *, count: int = 3, name: str = "many") -> Cluster:
    """Make and start replicas, the first by `comity init`, the others by `comity join`."""
    public, own = Front(loop), Front(loop)
    first = processes.make(folder, name, address=f"http://127.0.0.1:{public.port}", database=url)
    conf = replace(first.conf, management=f"127.0.0.1:{own.port}")
    made = Cluster(conf, Everyone(), folder=folder, url=url, public=public, own=own)
    first.start()
    made.replicas.append(first)
    for _ in range(count - 1):
        made.further()
    made._stand()
    return made


class Ear:
    """A quiet proxy before a partner that keeps what is sent to it."""

    def __init__(self, loop: Loop, address: str, to: str) -> None:
        self.exchanges: list[chaos.Exchange] = []
        self._loop = loop
        self._proxy = chaos.Proxy(record=self.exchanges.append)
        loop.run(self._start(address, to))

    async def _start(self, address: str, to: str) -> None:
        await self._proxy.__aenter__()
        await self._proxy.open(address, to=to, name="partner")

    def doubled(self) -> tuple[int, int]:
        """How many messages there were, and how often one was sent that had been taken already."""
        taken: set[tuple[str, bytes]] = set()
        sent = doubled = 0
        for exchange in self.exchanges:
            for leg in exchange.messages:
                if leg.method == "POST" and leg.leg != "receiver":
                    sent += 1
                    doubled += (leg.path, leg.body) in taken
                    if leg.status is not None and 200 <= leg.status < 300:
                        taken.add((leg.path, leg.body))
        return sent, doubled

    def close(self) -> None:
        self._loop.run(self._proxy.__aexit__(None, None, None))
