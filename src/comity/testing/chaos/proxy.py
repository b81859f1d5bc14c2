"""Stands between connectors, passes their messages on and does what the plan says; keeps what happened.

Each connector's public address is a door of the proxy, the connector itself listens behind it. So everything that
others know of it (callback addresses, identity documents, data addresses) leads through the
door. Any connector may stand there.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import random
import re
import ssl
from collections import Counter
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec
from aiohttp import web

from comity.testing import record
from comity.testing.chaos import exchange, faults, http, plan, waiting
from comity.testing.chaos.exchange import Exchange
from comity.testing.chaos.http import Reply, Request
from comity.testing.chaos.plan import QUIET, Draw, Profile
from comity.testing.wire import now_ms, sender_of

BACKLOG = 2048
COPIES = "late copies"
SUCCESS = range(200, 300)

log = logging.getLogger(__name__)


class Proxy:
    """Any number of doors with one profile and one seed; use it as an asynchronous context.

    `profile` may be changed at any time. `only` is a regular expression: paths in which it is not found have no fault.
    What was done with a message about a process is given to `record` once its sender has its answer. `counts` says how
    often each fault was done, `requests` how many there were.
    """

    def __init__(
        self,
        profile: Profile = QUIET,
        *,
        seed: int | None = None,
        only: str = "",
        record: Callable[[Exchange], object] | None = None,
    ) -> None:
        """Draw faults from `seed`; without one, take one by chance."""
        self.profile = profile
        self.seed = random.SystemRandom().randrange(1, 2**32) if seed is None else seed
        self.counts: Counter[str] = Counter()
        self.requests = 0
        self.copies = waiting.Copies()
        self.overtaking = waiting.Overtaking()
        self.only = re.compile(only)
        self.record = record
        self._hurry = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._runners: list[web.ServerRunner] = []

    async def __aenter__(self) -> Self:
        self.client = http.session()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for runner in self._runners:
            await runner.cleanup()
        await self.client.close()

    async def open(
        self, listen: str = "127.0.0.1:0", *, to: str, name: str = "", tls: ssl.SSLContext | None = None
    ) -> Door:
        """Listen at HOST:PORT for the connector at the address `to`; port 0 takes a free one.

        `name` is what records call this connector, best its participant id; else they have its address.

        Raises:
            OSError: the port is taken.
        """
        host, _, port = listen.rpartition(":")
        door = Door(self, to.rstrip("/"), name or to)
        server = web.Server(door.serve, auto_decompress=False, access_log=None)
        runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await runner.setup()
        self._runners.append(runner)
        site = web.TCPSite(runner, host.strip("[]"), int(port), ssl_context=tls, backlog=BACKLOG)
        await site.start()
        door.address = f"http{'s' if tls else ''}://{host}:{runner.addresses[0][1]}"
        return door

    async def settle(self) -> None:
        """Let nothing wait any longer: pass on all copies that are kept, now, and wait until they were answered."""
        self._hurry.set()
        self.copies.send_all()
        while self._tasks:
            await asyncio.gather(*self._tasks)
        self._hurry.clear()

    async def pause(self, seconds: float, then: Coroutine[Any, Any, object] | None = None) -> None:
        """Let time pass, unless there is a hurry, or until `then` is done."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await (then or self._hurry.wait())

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside what is being answered."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class Door:
    """Where one connector is reached; `cut` is a partition in this direction.

    While `cut` is "requests" nothing gets through, while it is "replies" messages arrive and nobody hears of it.
    """

    def __init__(self, proxy: Proxy, to: str, name: str) -> None:
        self.proxy = proxy
        self.to = to
        self.name = name
        self.address = ""
        self.cut = ""
        self.numbers = itertools.count(1)

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Do with a request what the plan says."""
        message = Passing(self, request, await http.read(request))
        try:
            return await message.answer()
        finally:
            message.done()


class Passing:
    """One message on its way through a door; see `faults.Message`."""

    def __init__(self, door: Door, incoming: web.BaseRequest, request: Request) -> None:
        self._door, self._proxy = door, door.proxy
        self._incoming, self._request = incoming, request
        self._path = exchange.below_base(request.target)
        self._about = exchange.about(request.body) if self._path else exchange.NOTHING
        self._number = next(door.numbers)
        self._sent = self._leg(record.SENDER)
        self._legs: list[record.Message] = []
        self.profile = self._proxy.profile
        drawn = plan.draw(self._proxy.seed, door.name, self._number, self.profile)
        quiet = request.rest is not None or self._proxy.only.search(request.target) is None
        self.draw = Draw("", drawn.chance) if quiet else drawn
        self._fault = plan.CUT if door.cut else self.draw.fault

    async def answer(self) -> web.StreamResponse:
        """Pass the message on as its fault says and answer the sender, or do not."""
        if self._door.cut:
            if self._door.cut == "replies":
                await self.pass_on()
            return http.close(self._incoming)
        if not self._fault:
            return await self._relay()
        reply = await faults.ACTS[self._fault](self)
        if reply is None:
            return http.close(self._incoming, reset=self._fault == plan.RESET)
        if self._fault == plan.TRUNCATE or reply.cut:
            raw = reply.raw
            return http.close(self._incoming, first=raw[: self.draw.chance.randrange(1, len(raw))])
        self._sent = _answered(self._sent, reply)
        return http.respond(reply)

    async def _relay(self) -> web.StreamResponse:
        """Pass the message on and its answer back as it comes, however long it is."""
        try:
            async with http.send(self._proxy.client, self._door.to, self._request) as answer:
                reply, response = await http.relay(self._incoming, answer)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.info("%s: %s", self._door.name, error)
            self._fault = plan.UNREACHABLE
            return http.close(self._incoming)
        self._sent = _answered(self._sent, reply)
        self._passed(reply)
        return response

    async def pass_on(self) -> Reply | None:
        """Pass it on and return the answer, None if the connector behind cannot be reached."""
        leg, reply = await self._deliver()
        self._legs.append(leg)
        return reply

    async def _deliver(self) -> tuple[record.Message, Reply | None]:
        leg = self._leg(record.RECEIVER)
        try:
            async with http.send(self._proxy.client, self._door.to, self._request) as answer:
                reply = await http.hold(answer)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.info("%s: %s", self._door.name, error)
            return leg, None
        self._passed(reply)
        return _answered(leg, reply), reply

    def _passed(self, reply: Reply) -> None:
        self._proxy.overtaking.passed(self._about.pids)
        if self._about.ends and reply.status in SUCCESS:
            self._proxy.copies.ended(self._about.pids)

    async def pause(self, seconds: float) -> None:
        """Let time pass."""
        await self._proxy.pause(seconds)

    async def be_overtaken(self) -> None:
        """Wait for a later message of its process, for a while."""
        await self._proxy.pause(self.profile.hold_s, self._proxy.overtaking.wait(self._about.pids))

    def copy_later(self, seconds: float) -> None:
        """Pass a copy on after some time."""
        self._proxy.begin(self._copy(seconds))

    def copy_after_end(self) -> None:
        """Pass a copy on when its process has ended."""
        soon_s = self.draw.up_to(self.profile.hold_s)
        if self._about.ends:
            self.copy_later(soon_s)
            return
        pids, size = self._about.pids, len(self._request.body)
        self._proxy.copies.keep(pids, size, lambda: self.copy_later(soon_s))

    async def _copy(self, after_s: float) -> None:
        await self._proxy.pause(after_s)
        leg, _ = await self._deliver()
        self._proxy.counts[COPIES] += 1
        self._keep([leg], copy_of=self._number)

    def done(self) -> None:
        """Count and record what was done with it."""
        self._proxy.requests += 1
        if self._fault:
            self._proxy.counts[self._fault] += 1
        whole = not self._fault and self._sent.status is not None
        legs = [msgspec.structs.replace(self._sent, leg=record.BOTH)] if whole else [self._sent, *self._legs]
        self._keep(messages=legs)

    def _keep(self, messages: list[record.Message], copy_of: int | None = None) -> None:
        if self._proxy.record is not None and self._path is not None:
            self._proxy.record(
                Exchange(number=self._number, fault=self._fault, copy_of=copy_of, messages=tuple(messages))
            )

    def _leg(self, leg: str) -> record.Message:
        return record.Message(
            at=now_ms(),
            sender=sender_of(self._request.headers.get("Authorization")),
            receiver=self._door.name,
            path=self._path or "",
            method=self._request.method,
            body=self._request.body,
            leg=leg,
        )


def _answered(leg: record.Message, reply: Reply) -> record.Message:
    return msgspec.structs.replace(leg, status=reply.status, answer=reply.body, answered_at=now_ms())
