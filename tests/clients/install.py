"""Brings the two clients into `.build`, exactly as their locks say; what is there already stays.

Nothing here reaches into the project's own environment. npm runs no scripts of packages.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
BUILD = HERE / ".build"
NODE = 24
"""The oldest Node that the TypeScript client takes."""


class MissingError(Exception):
    """The machine lacks what a client needs."""


class InstallError(Exception):
    """A client could not be installed."""


def node() -> tuple[Path, Path]:
    """Return a Node that is new enough and the folder that holds our scripts beside the installed client.

    Raises:
        MissingError: there is no Node or no npm.
        InstallError: npm failed.
    """
    npm, found = shutil.which("npm"), shutil.which("node")
    if npm is None or found is None:
        raise MissingError("there is no Node with npm on this machine")
    folder = BUILD / "node"
    locked = HERE / "node" / "package-lock.json"
    own = _version(found) >= NODE
    if _is_new(folder, locked, str(own)):
        shutil.copy(HERE / "node" / "package.json", folder)
        shutil.copy(locked, folder)
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        _run([npm, "ci", *options, *(["--omit=optional"] if own else [])], folder)
        _made(folder, locked, str(own))
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
    if _is_new(folder, locked, sys.version):
        _run([sys.executable, "-I", "-m", "venv", "--clear", str(folder)], BUILD)
        options = ["--quiet", "--require-hashes", "--only-binary", ":all:", "--ignore-requires-python"]
        _run([str(python), "-I", "-m", "pip", "install", *options, "-r", str(locked)], BUILD)
        _made(folder, locked, sys.version)
    return python


def sdk_version() -> str:
    """Return the version of the SDK that is locked."""
    text = (HERE / "tractusx" / "requirements.txt").read_text()
    return re.search(r"^tractusx-sdk==(\S+)", text, re.MULTILINE)[1]


def node_version() -> str:
    """Return the version of the TypeScript client that is locked."""
    package = json.loads((HERE / "node" / "package.json").read_text())
    return package["dependencies"]["@think-it-labs/edc-connector-client"]


def _mark(locked: Path, more: str) -> str:
    return f"{BUILD} {more} {hashlib.sha256(locked.read_bytes()).hexdigest()}"


def _is_new(folder: Path, locked: Path, more: str) -> bool:
    """Return whether a folder is to be filled; it is empty then."""
    made = folder / ".made"
    if made.exists() and made.read_text() == _mark(locked, more):
        return False
    print(f"clients: installing into {folder.relative_to(HERE.parent.parent)} ...", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return True


def _made(folder: Path, locked: Path, more: str) -> None:
    (folder / ".made").write_text(_mark(locked, more))


def _run(command: list[str], folder: Path) -> None:
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InstallError(f"{Path(command[0]).name} failed:\n{(done.stderr or done.stdout)[-2000:]}")
