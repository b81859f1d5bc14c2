"""The locks: every package with exact version and hashes, no address, one version of a package everywhere."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

LOCKS = ["build", "run", "dev", "lock"]
PINNED = re.compile(
    r"^([a-z0-9-]+)==([^\s;]+)(?: ; [^\\]+)? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)",
    re.MULTILINE,
)


def lock(root: Path, name: str) -> str:
    return (root / "requirements" / f"{name}.txt").read_text()


def versions(root: Path, name: str) -> dict[str, str]:
    return {package: version for package, version, _ in PINNED.findall(lock(root, name))}


def normal(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=;! ]", requirement)[0]).lower()


@pytest.mark.parametrize("name", LOCKS)
def test_lock_holds_nothing_but_pinned_and_hashed_packages(root: Path, name: str) -> None:
    rest = PINNED.sub("", lock(root, name))
    assert [line for line in rest.splitlines() if line.strip() and not line.lstrip().startswith("#")] == []
    assert versions(root, name)


@pytest.mark.parametrize("name", LOCKS)
def test_lock_names_no_address_and_no_option(root: Path, name: str) -> None:
    assert re.findall(r"https?:|file:/|^-", lock(root, name), re.MULTILINE) == []


def test_one_package_has_one_version_in_build_run_and_dev(root: Path) -> None:
    build, run, dev = (versions(root, name) for name in ("build", "run", "dev"))
    assert run.items() <= dev.items()
    assert {
        package: version for package, version in build.items() if dev.get(package, version) != version
    } == {}


def test_every_declared_dependency_is_in_its_lock(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    dev = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    assert {normal(name) for name in project["dependencies"]} - versions(root, "run").keys() == set()
    assert {normal(name) for name in dev} - versions(root, "dev").keys() == set()
    assert "hatchling" in versions(root, "build")
