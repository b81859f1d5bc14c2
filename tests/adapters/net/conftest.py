"""A server whose every answer is written by hand, byte by byte, on loopback."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from comity.net import http


class Server:
    """Runs `script(request head, body, writer)` for each request and remembers what came."""

    def __init__(self, script, ssl=None) -> None:
        self.script = script
        self.ssl = ssl
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.connections = 0
        self.sent = 0
        self.cut = asyncio.Event()
        self._tasks: set[asyncio.Task] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.ssl)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"{'https' if self.ssl else 'http'}://127.0.0.1:{self.port}"

    async def stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)

    async def _serve(self, reader, writer) -> None:
        self.connections += 1
        writer.transport.set_write_buffer_limits(high=0)  # what is drained is sent: the end is an abort
        self._tasks.add(asyncio.current_task())
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                line, *fields = head.decode("latin-1").rstrip("\r\n").split("\r\n")
                headers = dict(one.split(": ", 1) for one in fields)
                body = await reader.readexactly(int(headers.get("Content-Length", 0)))
                self.requests.append((line, headers, body))
                if await self._answer(writer):
                    break
        except (asyncio.IncompleteReadError, OSError):
            self.cut.set()
        finally:
            writer.transport.abort()
            with contextlib.suppress(Exception):
                await writer.wait_closed()

    async def _answer(self, writer):
        """Run the script; a true result ends the connection."""
        result = self.script(self, self.requests[-1])
        if isinstance(result, bytes):
            writer.write(result)
            await writer.drain()
            return b"\r\nConnection: close" in result
        async for piece in result:
            writer.write(piece)
            await writer.drain()
            self.sent += len(piece)
        writer.write_eof() if writer.can_write_eof() else None
        return True


@pytest.fixture
async def serve():
    servers: list[Server] = []

    async def start(script, ssl=None) -> Server:
        server = Server(script, ssl)
        await server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.stop()


@pytest.fixture
async def client():
    made = http.HttpClient(http.Guard(insecure=True), timeout_s=5)
    yield made
    await made.close()


@pytest.fixture
def answer():
    def make(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
        fields = {
            "Content-Length": str(len(body)),
            **{name.replace("_", "-"): text for name, text in headers.items()},
        }
        lines = "".join(f"{name}: {text}\r\n" for name, text in fields.items())
        return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode("latin-1") + body

    return make
