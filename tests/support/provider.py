"""A scripted provider of data, and what tests of receiving look at."""

import contextlib
import hashlib
import random
import urllib.parse

from comity.dataplane import pull, serve
from comity.errors import (
    NotFoundError,
    TransientDeliveryError,
)
from comity.storage import source
from comity.techdata import manifest

URL = "https://provider.example/data/t-1"
GIB = 2**30


class Headers(dict):
    def get(self, name, default=None):
        return super().get(name.lower(), default)


class Reply:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = Headers({name.lower(): value for name, value in headers})
        self.body = body
        self.cut_after = None

    async def chunks(self):
        left = self.cut_after
        for start in range(0, len(self.body), 4096):
            chunk = self.body[start : start + 4096]
            if left is not None and len(chunk) > left:
                yield chunk[:left]
                raise TransientDeliveryError("the connection was cut")
            left = None if left is None else left - len(chunk)
            yield chunk


class Provider:
    """Serves `contents` (path -> bytes as a package, or bytes as one resource); `tamper` may change a reply."""

    def __init__(self, contents, *, name="part.bin"):
        self.requests = []
        self.headers = []
        self.tamper = lambda _path, _reply: None
        self.publish(contents, name)

    def publish(self, contents, name="part.bin"):
        self.contents = contents if isinstance(contents, dict) else {"": contents}
        sources = {
            path: source.Source(
                kind="file",
                address=path,
                size_bytes=len(data),
                sha256=hashlib.sha256(data).hexdigest(),
                name=name,
            )
            for path, data in self.contents.items()
        }
        if isinstance(contents, dict):
            files = tuple(
                manifest.File(path, entry.size_bytes, entry.sha256) for path, entry in sources.items()
            )
            self.content = serve.package(manifest.encode(manifest.Manifest("t", files)), sources)
        else:
            self.content = sources[""]

    async def open_range(self, published, start=0, end=None):
        return self._chunks(self.contents[published.address][start:end])

    async def _chunks(self, data):
        yield data

    @contextlib.asynccontextmanager
    async def request(self, url, *, headers):
        path = urllib.parse.unquote(url.removeprefix(URL))
        self.requests.append((path, headers.get("Range")))
        self.headers.append(headers)
        assert headers["Authorization"] == "Bearer secret"
        lowered = {name.lower(): value for name, value in headers.items()}
        try:
            answer = await serve.answer(
                serve.Grant("t-1", self.content), "GET", path, lowered, {"file": self}
            )
            body = (
                answer.body
                if isinstance(answer.body, bytes)
                else b"".join([part async for part in answer.body])
            )
            reply = Reply(answer.status, answer.headers, body)
        except NotFoundError:
            reply = Reply(404, (), b'{"message": "there is no such resource"}')
        self.tamper(path, reply)
        yield reply

    def get(self, folder, **options):
        settings = {name: options.pop(name) for name in ("free", "reserve_bytes") if name in options}
        settings = {"free": lambda _folder: GIB, "reserve_bytes": 0} | settings
        return pull.Pull(self.request, **settings).run(URL, "Bearer secret", folder, **options)


def listing(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)
