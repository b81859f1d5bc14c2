"""An HTTP endpoint that takes pushes: a plain one or a resumable one (tus 1.0), which can be made to misbehave."""

import asyncio
import base64
import hashlib

from aiohttp import web

CHUNK = 1 << 16


def digest_header(data):
    return f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"


class Endpoint:
    """`got` has what lies at each path; `cut` says after how many bytes of a body the connection is dropped."""

    def __init__(self, *, resumable=False, keep=True):
        self.resumable, self.keep = resumable, keep
        self.got, self.whole, self.requests, self.answers = {}, {}, [], []
        self.cut = lambda: None
        self.cuts = self.open = 0
        self.pause_s = 0.0
        self.hang = False
        self.sha256 = hashlib.sha256()

    async def __aenter__(self):
        self.ended = asyncio.Event()
        application = web.Application(client_max_size=1 << 40)
        application.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await self.listen(0)
        self.port = self._site._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/up/secret-place"
        return self

    async def listen(self, port):
        self._site = web.TCPSite(self._runner, "127.0.0.1", port, reuse_address=True)
        await self._site.start()

    async def disappear(self):
        """Take no more connections and drop those that are open."""
        await self._site.stop()
        for connection in list(self._runner.server.connections):
            connection.force_close()
            if connection.transport is not None:
                connection.transport.abort()

    async def __aexit__(self, *_):
        self.ended.set()
        await self._runner.cleanup()

    def of(self, *methods):
        return [request for request in self.requests if request.method in methods]

    async def _serve(self, request):
        self.requests.append(request)
        if request.method == "HEAD":
            return self._stand(request.path)
        if self.answers and (answer := self.answers.pop(0)) is not None:
            status, headers, body = (*answer, b"")[:3]
            return web.Response(status=status, headers=headers, body=body)
        self.open += 1
        try:
            await self._receive(request)
        finally:
            self.open -= 1
        data = bytes(self.got.get(request.path, b""))
        if request.method != "PATCH":
            self.whole[request.path] = data
        offset = {"Upload-Offset": str(len(data)), "Tus-Resumable": "1.0.0"} if self.resumable else {}
        return web.Response(status=204, headers=offset)

    def _stand(self, path):
        if not self.resumable:
            return web.Response(status=405)
        length = self.whole.get(path)
        told = {"Upload-Defer-Length": "1"} if length is None else {"Upload-Length": str(length)}
        offset = str(len(self.got.get(path, b"")))
        return web.Response(headers={"Tus-Resumable": "1.0.0", "Upload-Offset": offset, **told})

    async def _receive(self, request):
        rest = request.method == "PATCH"
        data = self.got.setdefault(request.path, bytearray()) if rest else bytearray()
        if rest:
            assert int(request.headers["Upload-Offset"]) == len(data)
            if "Upload-Length" in request.headers:
                self.whole[request.path] = int(request.headers["Upload-Length"])
        left = self.cut()
        if self.hang:
            await self.ended.wait()
        while chunk := await request.content.read(CHUNK):
            part = chunk if left is None else chunk[:left]
            self.sha256.update(part)
            if self.keep:
                data += part
            left = None if left is None else left - len(part)
            if left == 0:
                self.cuts += 1
                request.transport.abort()
                raise web.HTTPBadRequest
            await asyncio.sleep(self.pause_s)
        if not rest:
            self.got[request.path] = data
