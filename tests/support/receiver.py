"""A receiver of webhooks on loopback: keeps what it is sent and answers what a test says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from support.ports import free_port


@dataclass
class Delivery:
    """A request as it came."""

    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        return json.loads(self.body)

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


class Receiver:
    """`status` is its answer (None: it hangs), `got` what it took, `tried` how often it was asked."""

    def __init__(self) -> None:
        self.port = free_port()
        self.status = 204
        self.got: list[Delivery] = []
        self.tried = 0
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/events"

    async def start(self) -> None:
        application = web.Application()
        application.router.add_post("/events", self._take)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _take(self, request: web.Request) -> web.Response:
        self.tried += 1
        seen = Delivery({name.lower(): text for name, text in request.headers.items()}, await request.read())
        if 200 <= self.status < 300:
            self.got.append(seen)
        return web.Response(status=self.status)

    def types(self, process_id: str = "") -> list[str]:
        """The names of the events that it took, of one process or of all, in order."""
        return [
            each.document["type"] for each in self.got if process_id in {"", each.document.get("subject")}
        ]
