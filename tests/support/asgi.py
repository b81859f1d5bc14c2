"""Requests to an ASGI application without a socket: what was sent back, and how much of the body was taken."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

BASE = "/management/v3/"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    taken: int
    """Bytes of the request's body that were read."""

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def problem(self) -> dict[str, Any]:
        """The one problem of an error of the management API."""
        assert self.status >= 400, self
        assert self.headers["content-type"] == "application/json"
        (problem,) = self.json
        assert problem["message"]
        assert problem["type"]
        assert b"Traceback" not in self.body
        assert b".py" not in self.body
        return problem


class Client:
    """Sends requests below `/management/v3/` with an API key."""

    def __init__(self, application: Any, key: str) -> None:
        self._application = application
        self._key = key

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        chunks: Iterable[bytes] | None = None,
    ) -> Answer:
        """Send JSON, raw bytes, nothing, or `chunks`; a path that begins with `/` is sent as it is."""
        raw = path if path.startswith("/") else BASE + path
        place, _, query = raw.partition("?")
        sent = {"x-api-key": self._key} if headers is None else headers
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(place),
            "raw_path": place.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in sent.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        pieces = iter([content] if chunks is None else chunks)
        messages: list[dict[str, Any]] = []
        taken = 0

        async def receive() -> dict[str, Any]:
            nonlocal taken
            piece = next(pieces, None)
            if piece is None:
                if chunks is None:
                    await asyncio.Event().wait()
                return {"type": "http.request", "body": b"", "more_body": False}
            taken += len(piece)
            return {"type": "http.request", "body": piece, "more_body": chunks is not None}

        async def send(message: dict[str, Any]) -> None:
            messages.append(message)

        await self._application(scope, receive, send)
        start = messages[0]
        named = {name.decode().lower(): value.decode() for name, value in start["headers"]}
        return Answer(start["status"], named, b"".join(each.get("body", b"") for each in messages[1:]), taken)

    async def get(self, path: str, **more: Any) -> Answer:
        return await self.request("GET", path, **more)

    async def post(self, path: str, body: Any = None, **more: Any) -> Answer:
        return await self.request("POST", path, body, **more)

    async def put(self, path: str, body: Any = None, **more: Any) -> Answer:
        return await self.request("PUT", path, body, **more)

    async def delete(self, path: str, **more: Any) -> Answer:
        return await self.request("DELETE", path, **more)

    async def created(self, path: str, body: Any = None) -> str:
        """Create something and return its id."""
        answer = await self.post(path, body)
        assert answer.status == 200, answer
        assert answer.json["@type"] in {"IdResponse", "Partner"}
        assert answer.json["@context"]["@vocab"] == "https://w3id.org/edc/v0.0.1/ns/"
        assert answer.json["createdAt"] > 0
        return answer.json["@id"]

    async def found(self, path: str, body: Any = None) -> list[dict[str, Any]]:
        """Send a query and return what it finds."""
        answer = await self.post(path, body)
        assert answer.status == 200, answer
        return answer.json
