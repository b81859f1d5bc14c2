"""Brings the two clients into `.build`, exactly as their locks say; see `support.fetched`."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from support import fetched
from support.fetched import MissingError

HERE = Path(__file__).parent
BUILD = HERE / ".build"
NODE = 24
"""The oldest Node that the TypeScript client takes."""


def node() -> tuple[Path, Path]:
    """Return a Node that is new enough and the folder that holds our scripts beside the installed client.

    Raises:
        MissingError: there is no Node or no npm.
        InstallError: npm failed.
    """
    found = fetched.npm()[1]
    folder = BUILD / "node"
    locked = HERE / "node" / "package-lock.json"
    own = _version(found) >= NODE
    if not fetched.is_made(folder, locked, str(own)):
        fetched.empty(folder)
        fetched.npm_ci(locked, folder, *(["--omit=optional"] if own else []))
        fetched.made(folder, locked, str(own))
    for script in (HERE / "node").glob("*.mjs"):
        shutil.copy(script, folder)
    brought = sorted(folder.glob("node_modules/node-*/bin/node"))
    if not own and not brought:
        raise MissingError(f"the client needs Node {NODE}, which npm has no package of for this machine")
    return (Path(found) if own else brought[0]), folder


def _version(found: str) -> int:
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
    number = re.match(r"v(\d+)\.", said)
    return int(number[1]) if number else 0


def sdk() -> Path:
    """Return the Python of an environment that holds the SDK.

    Raises:
        InstallError: pip failed.
    """
    folder = BUILD / "tractusx"
    locked = HERE / "tractusx" / "requirements.txt"
    python = folder / "bin" / "python"
    if not fetched.is_made(folder, locked, sys.version):
        fetched.empty(folder)
        fetched.run([sys.executable, "-I", "-m", "venv", "--clear", str(folder)], BUILD)
        options = ["--quiet", "--require-hashes", "--only-binary", ":all:", "--ignore-requires-python"]
        fetched.run([str(python), "-I", "-m", "pip", "install", *options, "-r", str(locked)], BUILD)
        fetched.made(folder, locked, sys.version)
    return python


def sdk_version() -> str:
    """Return the version of the SDK that is locked."""
    text = (HERE / "tractusx" / "requirements.txt").read_text()
    return re.search(r"^tractusx-sdk==(\S+)", text, re.MULTILINE)[1]


def node_version() -> str:
    """Return the version of the TypeScript client that is locked."""
    package = json.loads((HERE / "node" / "package.json").read_text())
    return package["dependencies"]["@think-it-labs/edc-connector-client"]
