"""Two connectors in a thread of their own, so that programs that wait can read one's data through the other.

What the provider's data plane sends is counted: bytes of bodies, by path and range.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from comity import runtime
from support import pair as pairs

PURPOSES = ["repair", "service", "production:programme-1"]
"""What the provider holds the consumer to have data for."""


class Sent(NamedTuple):
    """What was asked of the data plane, and how many bytes of a body were the answer."""

    method: str
    path: str
    range: str
    size_bytes: int


class Counting:
    """Counts what leaves a data plane."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []

    def wrap(self, application: Any, did: str) -> Any:
        """Return an application that counts; its data plane lies below /data."""
        del did

        async def counted(scope, receive, send):
            if not scope["path"].startswith("/data/"):
                await application(scope, receive, send)
                return
            size = 0

            async def speak(event):
                nonlocal size
                size += len(event.get("body", b""))
                await send(event)

            try:
                await application(scope, receive, speak)
            finally:
                ranged = dict(scope["headers"]).get(b"range", b"").decode()
                path = scope["path"].split("/", 3)[3:]
                self.sent.append(Sent(scope["method"], "".join(path), ranged, size))

        return counted

    @property
    def size_bytes(self) -> int:
        """Bytes of all bodies."""
        return sum(each.size_bytes for each in self.sent)


class Sides(NamedTuple):
    """A provider, a consumer, and where the consumer's management API is."""

    provider: pairs.Site
    consumer: pairs.Site
    data: Counting
    address: str
    loop: asyncio.AbstractEventLoop

    @property
    def options(self) -> dict[str, Any]:
        """What a program has to know to reach the consumer's connector."""
        return {"address": self.address, "api_key": self.consumer.conf.management_key}

    def run(self, work: Any) -> Any:
        """Run something in the connectors' loop, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def publish(self, asset_id: str, folder: Path, **more: Any) -> None:
        """Publish a folder below the provider's roots."""
        self.run(pairs.publish.publish(self.provider.connector, str(folder), asset_id=asset_id, **more))

    def url(self, *segments: str) -> str:
        """Return the address of something of the provider's."""
        partner = self.provider.did.replace("%", "%25")
        return "comity://" + "/".join((partner, *segments))


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Sides]:
    """Run both for as long as the block runs."""
    counting = Counting()
    provider = pairs.new_site(folder / "provider", recorder=counting)
    consumer = pairs.new_site(folder / "consumer")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    listening = asyncio.run_coroutine_threadsafe(_listening(provider, consumer), loop)
    try:
        address, serving = listening.result(30)
        yield Sides(provider, consumer, counting, address, loop)
        asyncio.run_coroutine_threadsafe(_stop(serving, provider, consumer), loop).result(30)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _listening(provider, consumer):
    for each in (provider, consumer):
        await each.start()
    await provider.befriend(consumer, name="beta", purpose=PURPOSES)
    await consumer.befriend(provider, name="alpha")
    server = runtime._server(consumer.parts.internal, None)
    bound = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(server.serve([bound]))
    await pairs.wait_for(lambda: server.started)
    return f"http://127.0.0.1:{bound.getsockname()[1]}", (server, serving)


async def _stop(serving, provider, consumer):
    server, task = serving
    server.force_exit = server.should_exit = True
    await task
    for each in (consumer, provider):
        await each.stop()
