from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def makefile(root: Path) -> str:
    return (root / "Makefile").read_text()


def targets(makefile: str) -> set[str]:
    return set(re.findall(r"^([a-z][\w-]*):(?!=)", makefile, re.MULTILINE))


def test_every_target_has_a_help_line(makefile: str) -> None:
    described = set(re.findall(r"^([a-z][\w-]*):[^=\n]*## \S", makefile, re.MULTILINE))
    assert targets(makefile) - described == set()


def test_every_target_is_declared_as_not_a_file(makefile: str) -> None:
    phony = re.search(r"^\.PHONY:(.*)$", makefile, re.MULTILINE)
    assert phony is not None
    assert targets(makefile) == set(phony.group(1).split())


def test_make_help_lists_every_target(root: Path, makefile: str) -> None:
    make = shutil.which("make")
    if make is None:
        pytest.skip("make is not installed")
    listed = subprocess.run([make, "help"], cwd=root, capture_output=True, text=True, check=True).stdout
    assert targets(makefile) == set(re.findall(r"^  make (\S+)", listed, re.MULTILINE))


def test_contributing_names_every_target(texts: dict[str, str], makefile: str) -> None:
    named = set(re.findall(r"`make ([a-z][\w-]*)", texts["CONTRIBUTING.md"]))
    assert targets(makefile) - named == set()


def test_documents_name_only_targets_that_exist(texts: dict[str, str], makefile: str) -> None:
    named = {
        (name, target)
        for name, text in texts.items()
        if name.endswith(".md")
        for target in re.findall(r"`make ([a-z][\w-]*)", text)
    }
    assert {(name, target) for name, target in named if target not in targets(makefile)} == set()
