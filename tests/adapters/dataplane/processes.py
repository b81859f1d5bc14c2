"""A provider and a receiver as processes, the client they use, and a proxy that cuts connections."""

import asyncio
import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

from comity.net import http

HERE = Path(__file__).parent
SOURCES = str(HERE.parents[2] / "src")
ENVIRONMENT = os.environ | {"PYTHONPATH": SOURCES}


def make_client():
    """The guarded client, allowed to reach this machine."""
    return http.HttpClient(http.Guard(insecure=True))


class Provider:
    """A provider process and what it serves."""

    def __init__(self, path, sha256=""):
        self.path = Path(path)
        command = [sys.executable, str(HERE / "provider.py"), str(path), sha256]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, env=ENVIRONMENT)
        self.port = int(self.process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}/data/t-1"

    def stats(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/stats") as answer:
            return json.loads(answer.read())

    def revoke(self):
        (self.path.parent / "revoked").touch()

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def receive(url, folder):
    """Start a receiver process."""
    command = [sys.executable, str(HERE / "receiver.py"), url, str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT)


class CuttingProxy:
    """Forwards connections and resets each after `allowed()` bytes of answers; None lets it pass."""

    def __init__(self, port, allowed):
        self.port, self.allowed, self.cuts = port, allowed, 0

    async def __aenter__(self):
        self.server = await asyncio.start_server(self._forward, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/data/t-1"
        return self

    async def __aexit__(self, *_):
        self.server.close()
        await self.server.wait_closed()

    async def _forward(self, reader, writer):
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self.port)
        upward = asyncio.create_task(self._pump(reader, to_writer, None))
        try:
            if await self._pump(to_reader, writer, self.allowed()):
                self.cuts += 1
        finally:
            upward.cancel()
            to_writer.close()
            writer.transport.abort()

    async def _pump(self, reader, writer, left):
        try:
            while data := await reader.read(65536):
                writer.write(data if left is None else data[:left])
                await writer.drain()
                if left is not None:
                    left -= len(data)
                    if left <= 0:
                        writer.close()
                        await writer.wait_closed()
                        return True
        except OSError:
            pass
        return False
