"""Brings what others wrote into a folder, exactly as a lock says; what is there already stays.

Nothing here reaches into the project's own environment. npm runs no scripts of packages.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


class MissingError(Exception):
    """The machine lacks what is needed."""


class InstallError(Exception):
    """What is needed could not be installed."""


def npm() -> tuple[str, str]:
    """Return npm and Node.

    Raises:
        MissingError: there is no Node or no npm.
    """
    found, node = shutil.which("npm"), shutil.which("node")
    if found is None or node is None:
        raise MissingError("there is no Node with npm on this machine")
    return found, node


def npm_ci(locked: Path, folder: Path, *options: str) -> None:
    """Install what the package-lock.json `locked` says into a folder.

    Raises:
        InstallError: npm failed.
    """
    for each in (locked.with_name("package.json"), locked):
        shutil.copy(each, folder)
    run([npm()[0], "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", *options], folder)


def is_made(folder: Path, locked: Path, more: str = "") -> bool:
    """Return whether a folder holds what its lock says; `more` is what else it depends on."""
    made = folder / ".made"
    return made.exists() and made.read_text() == _mark(folder, locked, more)


def empty(folder: Path) -> None:
    """Make a folder, or make it empty."""
    print(f"installing into {folder.relative_to(ROOT)} ...", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def made(folder: Path, locked: Path, more: str = "") -> None:
    """Write down that a folder holds what its lock says."""
    (folder / ".made").write_text(_mark(folder, locked, more))


def run(command: list[str], folder: Path) -> None:
    """Run a command that installs.

    Raises:
        InstallError: it failed.
    """
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InstallError(f"{Path(command[0]).name} failed:\n{(done.stderr or done.stdout)[-2000:]}")


def _mark(folder: Path, locked: Path, more: str) -> str:
    return f"{folder} {more} {hashlib.sha256(locked.read_bytes()).hexdigest()}"
