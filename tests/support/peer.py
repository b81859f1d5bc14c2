"""A scripted counterparty: a did:web identity on loopback that sends any message with any token and answers anything.

Unscripted it answers as a polite partner would. `script` queues other answers for paths with an ending: see the
functions at the end. It keeps and counts what it receives, but for notices of revisions, which it takes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import defaultdict
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import aiohttp
from aiohttp import web

from comity.dsp import notice as notices
from comity.dsp import revision
from comity.identity import did, jose, token
from support import wire
from support.ports import free_port

BASE = "/dsp/2025-1"
FIRST = {
    "/negotiations/request": ("ContractNegotiation", "REQUESTED"),
    "/negotiations/offers": ("ContractNegotiation", "OFFERED"),
    "/transfers/request": ("TransferProcess", "REQUESTED"),
}
LONG = aiohttp.ClientTimeout(total=60)


@dataclass
class Received:
    """A request that came, with the time it came."""

    method: str
    path: str
    body: bytes
    authorization: str
    headers: Any = None
    at_s: float = field(default_factory=time.monotonic)

    @property
    def document(self) -> dict[str, Any]:
        return json.loads(self.body)

    @property
    def claims(self) -> dict[str, Any]:
        payload = self.authorization.removeprefix("Bearer ").split(".")[1]
        return json.loads(jose.decode_segment(payload.encode()))


@dataclass
class Answer:
    status: int
    headers: Any
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        return json.loads(self.body)

    @property
    def reason(self) -> str:
        return self.document["reason"][0]


class Peer:
    """The counterparty; `name` only tells several apart."""

    def __init__(self) -> None:
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.did = did.format_did_web(self.address)
        self.key = jose.SigningKey.generate(f"{self.did}#key-1")
        self.dsp = self.address + BASE
        self.received: list[Received] = []
        self.states: dict[str, str] = {}
        self.did_status = 200
        self.did_changes: dict[str, Any] = {}
        """Members of the DID document that are other ones than they should be."""
        self.versions: dict[str, Any] = {
            "": {"protocolVersions": [{"version": "2025-1", "path": BASE, "binding": "HTTPS"}]}
        }
        """Path of a root -> what its version endpoint answers, a document or bytes."""
        self._scripts: dict[str, list[Any]] = defaultdict(list)
        self._gone = asyncio.Event()

    async def start(self) -> None:
        application = web.Application(client_max_size=1 << 26)
        application.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await self.listen()
        self._session = aiohttp.ClientSession(
            timeout=LONG, headers={"User-Agent": "scripted"}, connector=aiohttp.TCPConnector(limit=0)
        )

    async def listen(self) -> None:
        self._site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await self._site.start()

    async def disappear(self) -> None:
        """Take no more connections and drop those that are open."""
        await self._site.stop()
        for connection in list(self._runner.server.connections):
            connection.force_close()
            if connection.transport is not None:
                connection.transport.abort()

    async def stop(self) -> None:
        self._gone.set()
        await self._session.close()
        await self._runner.cleanup()

    def script(self, suffix: str, *answers: Any) -> None:
        """Answer the next requests to paths with this ending so, then politely again."""
        self._scripts[suffix] += answers

    def of(self, suffix: str) -> list[Received]:
        return [each for each in self.received if each.path.endswith(suffix) and each.method == "POST"]

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/.well-known/did.json":
            document = did.document(self.did, [self.key.public_jwk()], address=self.address)
            return web.json_response({**document, **self.did_changes}, status=self.did_status)
        if request.path.endswith("/.well-known/dspace-version"):
            return self._tell_versions(request.path.removesuffix("/.well-known/dspace-version"))
        body = await request.read()
        seen = Received(
            request.method, request.path, body, request.headers.get("Authorization", ""), request.headers
        )
        scripted = [
            answers
            for suffix, answers in self._scripts.items()
            if answers and request.path.endswith(suffix) and request.method == "POST"
        ]
        if not scripted and request.path.endswith("/comity/notices") and revision.NOTICE.encode() in body:
            return web.json_response(notices.answer(seen.document, {}))  # told beside what was asked for
        self.received.append(seen)
        if scripted:
            answer = scripted[0].pop(0)
            return await answer(self, request, seen)
        return self.polite(request, seen)

    def _tell_versions(self, root: str) -> web.Response:
        if root not in self.versions:
            return web.json_response({}, status=404)
        return web.Response(body=wire.encode(self.versions[root]), content_type="application/json")

    def polite(self, request: web.Request, seen: Received) -> web.Response:
        path = request.path.removeprefix(BASE)
        if request.method == "GET":
            return self._tell_state(path)
        if path not in FIRST:
            return web.json_response({})
        kind, state = FIRST[path]
        theirs = "providerPid" if path == "/negotiations/offers" else "consumerPid"
        mine = "consumerPid" if theirs == "providerPid" else "providerPid"
        pids = {theirs: seen.document[theirs], mine: self.pid_for(seen.document[theirs])}
        return web.json_response(wire.message(kind, id_=None, state=state, **pids), status=201)

    @staticmethod
    def pid_for(their_pid: str) -> str:
        return f"urn:peer:{sha256(their_pid.encode()).hexdigest()[:24]}"

    def _tell_state(self, path: str) -> web.Response:
        pid = path.rsplit("/", 1)[-1]
        if pid not in self.states:
            return web.json_response({}, status=404)
        return web.json_response(
            wire.message(
                "ContractNegotiation", id_=None, providerPid=pid, consumerPid=pid, state=self.states[pid]
            )
        )

    def token(self, audience: str, body: bytes | None = b"", **more: Any) -> str:
        """A token as it should be; `more` overrides jti, key, issuer; `later_s` moves the clock that it is made by."""
        key = more.pop("key", self.key)
        claims = {
            "issuer": self.did,
            "audience": audience,
            "jti": wire.new_id(),
            "now_s": int(time.time()) + more.pop("later_s", 0),
            "body_sha256": None if body is None else sha256(body).hexdigest(),
            **more,
        }
        return token.issue(key, **claims)

    async def send(
        self,
        site,
        path: str,
        document: Any = None,
        *,
        method: str = "POST",
        authorization: str | None = None,
        fields: dict[str, str] | None = None,
        **more,
    ) -> Answer:
        """Send a document (or raw bytes) to a path below the site's base address, with more header `fields`."""
        body = b"" if document is None else wire.encode(document)
        if authorization is None:
            authorization = "Bearer " + self.token(more.pop("audience", site.did), body, **more)
        headers = {"Content-Type": "application/json", "Authorization": authorization, **(fields or {})}
        async with self._session.request(
            method, site.dsp + path, data=body or None, headers=headers
        ) as response:
            return Answer(response.status, response.headers, await response.read())

    async def get(self, site, path: str, **more) -> Answer:
        return await self.send(site, path, method="GET", **more)

    async def fetch(self, url: str, data_token: str, **headers: str) -> Answer:
        """Ask the data plane."""
        sent = {"Authorization": f"Bearer {data_token}", **headers}
        async with self._session.get(url, headers=sent) as response:
            return Answer(response.status, response.headers, await response.read())

    @contextlib.asynccontextmanager
    async def stream(self, url: str, data_token: str):
        async with self._session.get(url, headers={"Authorization": f"Bearer {data_token}"}) as response:
            yield response

    async def dataset(self, site, asset_id: str = "asset") -> dict[str, Any]:
        answer = await self.get(site, f"/catalog/datasets/{asset_id}")
        assert answer.status == 200, answer.body
        return answer.document


# Answers for `Peer.script`: each a function of peer, request and what was received.


def status(code: int, document: Any = None, **headers: str):
    async def answer(peer, request, seen):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.json_response({} if document is None else document, status=code, headers=named)

    return answer


def raw(body: bytes, code: int = 200):
    async def answer(peer, request, seen):
        return web.Response(body=body, status=code, content_type="application/json")

    return answer


def after(event: asyncio.Event, then=None):
    """Wait, then answer (politely)."""

    async def answer(peer, request, seen):
        await event.wait()
        return await then(peer, request, seen) if then else peer.polite(request, seen)

    return answer


def calling(act):
    """Do something first (send a message, say), then answer politely."""

    async def answer(peer, request, seen):
        await act(seen)
        return peer.polite(request, seen)

    return answer


async def never(peer, request, seen):
    """Not answer until the peer is stopped or the caller gives up."""
    await peer._gone.wait()
    return web.Response()


async def dropped(peer, request, seen):
    """Take the message and cut the connection instead of answering."""
    request.transport.abort()
    return web.Response()


async def truncated(peer, request, seen):
    """Promise a body and send half of it."""
    response = web.StreamResponse(headers={"Content-Length": "1000", "Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(b'{"@context":')
    request.transport.abort()
    return response


async def endless(peer, request, seen):
    """Send 5 GB, or as much of it as is taken."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    block = b" " * (1 << 20)
    with contextlib.suppress(ConnectionError):
        for _ in range(5 * 1024):
            await response.write(block)
    return response
