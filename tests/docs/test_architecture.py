"""ARCHITECTURE.md names what is there, all packages, and every module opens with what it is for."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PATH = re.compile(r"`([\w./-]*/[\w./-]+)`")
SHORTEST, LONGEST = 2, 8

# Longer on purpose: a table's own rules, and the tree of all errors, stand at the head of these two.
LONGER = {"comity/dsp/machine.py", "comity/errors.py"}


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "ARCHITECTURE.md").read_text()


def modules(root: Path) -> list[Path]:
    return sorted((root / "src" / "comity").rglob("*.py"))


def test_every_path_in_a_table_exists(root, page):
    rows = [line for line in page.splitlines() if line.startswith("|")]
    named = {path for row in rows for path in PATH.findall(row)}
    assert named
    assert [
        path for path in named if not ((root / path).exists() or (root / "src/comity" / path).exists())
    ] == []


def test_every_package_and_module_at_the_top_is_named(root, page):
    top = root / "src" / "comity"
    names = {path.parent.name for path in top.glob("*/__init__.py")}
    names |= {path.stem for path in top.glob("*.py")} - {"__init__"}
    assert sorted(name for name in names if not re.search(rf"(?<!\w){name}(?!\w)", page)) == []


def opening_lines(path: Path) -> int:
    return len((ast.get_docstring(ast.parse(path.read_text())) or "").splitlines())


def test_every_module_opens_with_two_to_eight_lines(root):
    lengths = {path.relative_to(root / "src").as_posix(): opening_lines(path) for path in modules(root)}
    wrong = {name: lines for name, lines in lengths.items() if not SHORTEST <= lines <= LONGEST}
    assert {name: lines for name, lines in wrong.items() if name not in LONGER} == {}


def test_modules_with_longer_docstrings_exist(root):
    assert [name for name in LONGER if not (root / "src" / name).exists()] == []
