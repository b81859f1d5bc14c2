from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MADE_HERE = {".git", ".venv", ".venv-lock", ".demo", "dist", "build", "__pycache__"}
MADE_HERE |= {".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".import_linter_cache"}


def _files() -> list[Path]:
    """What git tracks or would track; without git (an unpacked archive) all that was not made by a run."""
    command = [
        "git",
        "-c",
        "safe.directory=*",
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return [path for path in ROOT.rglob("*") if not MADE_HERE & set(path.relative_to(ROOT).parts)]
    return [ROOT / name.decode() for name in listed.split(b"\0") if name]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def texts() -> dict[str, str]:
    """The text of every file of the repository by its path below the root; what is not text is left out."""
    contents = {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in _files() if path.is_file()}
    return {
        name: content.decode(errors="replace") for name, content in contents.items() if b"\0" not in content
    }
