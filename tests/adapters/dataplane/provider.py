"""A provider's data plane as a process: serves one file or a published folder under transfer `t-1`.

Usage: provider.py PATH [SHA256 [ADDRESS CERTIFICATE KEY]]; prints its port. A file
beside PATH named `revoked` revokes the transfer.
GET /stats tells CPU and peak memory.
"""

import json
import os
import resource
import socket
import sys
from pathlib import Path

import uvicorn
import uvloop

from comity.api import connection, dataplane
from comity.dataplane import flows, serve, tokens
from comity.errors import IdentityError, NotFoundError, PolicyError
from comity.storage import file, folder, source
from comity.techdata import manifest

TOKEN = "t" * 43


async def publish(path, known_sha256=""):
    files = file.Files([str(Path(path).parent)])
    if known_sha256:
        status = Path(path).stat()
        known = {"size_bytes": status.st_size, "mtime_ns": status.st_mtime_ns, "sha256": known_sha256}
        return files, source.Source(kind="file", address=path, name=Path(path).name, **known)
    if not Path(path).is_dir():
        return files, await files.publish(path)
    found = await folder.scan(files, path)
    data = manifest.encode(found.manifest("package"))
    return files, serve.package(data, {entry.path: entry.source for entry in found.files})


def grants(content, revoked):
    async def still_allowed():
        return not revoked()

    async def lookup(transfer_id, token_digest):
        if transfer_id != "t-1":
            raise NotFoundError("there is no such transfer")
        if token_digest != tokens.digest(TOKEN):
            raise IdentityError("this token opens nothing", step="token")
        if revoked():
            raise PolicyError("the transfer no longer allows access")
        return serve.Grant("t-1", content, still_allowed)

    return lookup


async def stats(scope, receive, send):
    usage = resource.getrusage(resource.RUSAGE_SELF)
    peak = next(
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")
    )
    body = json.dumps({"cpu_s": usage.ru_utime + usage.ru_stime, "peak_kib": int(peak.split()[1])}).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def main(path, known_sha256="", address="127.0.0.1", certificate=None, key=None):
    files, content = await publish(path, known_sha256)
    revoked = (Path(path).parent / "revoked").exists
    data = dataplane.application(
        grants(content, revoked), storages={"file": files}, open_flows=flows.Flows(), prefix="/data"
    )

    async def app(scope, receive, send):
        await (stats if scope["path"] == "/stats" else data)(scope, receive, send)

    listener = socket.create_server((address, 0))
    if congestion := os.environ.get("CONGESTION"):  # what TCP does about losses, on every connection
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, congestion.encode())
    print(listener.getsockname()[1], flush=True)  # noqa: T201
    config = uvicorn.Config(
        app,
        http=connection.AbortableConnection,
        lifespan="off",
        access_log=False,
        log_level="error",
        loop="uvloop",
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    await uvicorn.Server(config).serve([listener])


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
