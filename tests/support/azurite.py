"""A real Azure Blob server for the tests (Azurite): started once in a process, on loopback, with two accounts.

    PYTHONPATH=tests python -m support.azurite

installs it, as `azure/package-lock.json` says. Exit status: 3 if there is no Node for it, 1 if npm fails, else 0.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import itertools
import json
import secrets
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

from support import fetched, served

LOCKED = Path(__file__).parent / "azure" / "package-lock.json"
BUILD = LOCKED.parent / ".build"
MISSING = 3
_names = itertools.count(1)


@dataclass(frozen=True)
class Identity:
    """Who owns the account that has its name."""

    name: str
    account_key: str

    @property
    def credentials(self) -> str:
        """What a file or secret of Comity's says."""
        return json.dumps({"account_key": self.account_key})

    @property
    def secrets(self) -> tuple[str, ...]:
        """What of it nobody else may see."""
        return (self.account_key,)

    def sign(self, text: str) -> str:
        """Sign as Azure's shared keys do."""
        digest = hmac.new(base64.b64decode(self.account_key), text.encode(), hashlib.sha256).digest()
        return base64.b64encode(digest).decode()


class Server(served.Server):
    """The server, and the owners `alpha` and `beta` of its accounts; `refused` are whom alpha's containers refuse."""

    kind = "azure"

    def __init__(self) -> None:
        program = _program()
        super().__init__("azure")
        self.alpha, self.beta, unknown = (
            Identity(name, base64.b64encode(secrets.token_bytes(64)).decode())
            for name in ("alpha", "beta", "alpha")
        )
        self.refused = (unknown, self.beta)
        keys = ";".join(f"{each.name}:{each.account_key}" for each in (self.alpha, self.beta))
        where = ("--blobHost", "127.0.0.1", "--blobPort", str(self.port))
        self.start(
            *program, *where, "--inMemoryPersistence", "--silent", environment={"AZURITE_ACCOUNTS": keys}
        )

    def bucket(self, of: Identity) -> str:
        """Make a fresh container in somebody's account, and return its name."""
        name = f"{of.name}-{next(_names)}"
        now = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
        headers = {"x-ms-date": now, "x-ms-version": "2021-08-06"}
        lines = "\n".join(f"{name}:{value}" for name, value in headers.items())
        path = f"/{of.name}/{name}"
        signature = of.sign(f"PUT\n{chr(10) * 11}{lines}\n/{of.name}{path}\nrestype:container")
        headers["Authorization"] = f"SharedKey {of.name}:{signature}"
        assert self.ask("PUT", f"{path}?restype=container", headers=headers) == 201
        return name

    def section(self, of: Identity, container: str, prefix: str) -> dict[str, str]:
        """Return what the settings say of a bucket, but for its credentials."""
        return {
            "url": f"azure://{container}/{prefix}",
            "endpoint": f"{self.endpoint}/{of.name}",
            "account": of.name,
        }


def shared_access(of: Identity, container: str, may: str) -> str:
    """Return a shared access signature: who has it may do `may` (of `rwdl`) in a container, for an hour."""
    until, version = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600)), "2021-08-06"
    rest = [f"/blob/{of.name}/{container}", "", "", "", version, "c", *[""] * 7]
    signature = of.sign("\n".join([may, "", until, *rest]))
    return urlencode({"sp": may, "se": until, "sv": version, "sr": "c", "sig": signature}, quote_via=quote)


def install() -> None:
    """Install it, if it is not there.

    Raises:
        MissingError: there is no Node or no npm.
        InstallError: npm failed.
    """
    if not fetched.is_made(BUILD, LOCKED):
        fetched.npm()
        fetched.empty(BUILD)
        fetched.npm_ci(LOCKED, BUILD)
        fetched.made(BUILD, LOCKED)


def _program() -> tuple[str, str]:
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        pytest.skip("there is no Node here, which the Azure Blob server of the tests needs")
    if not fetched.is_made(BUILD, LOCKED):
        served.missing("the Azure Blob server of the tests is not installed: make azurite")
    return node, str(BUILD / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js")


@functools.cache
def server() -> Server:
    """The server that this process's tests share."""
    return Server()


def main() -> int:
    """Install it and return the exit status."""
    try:
        install()
    except fetched.MissingError as error:
        print(f"azurite is left out: {error}")
        return MISSING
    except fetched.InstallError as error:
        print(f"azurite: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
