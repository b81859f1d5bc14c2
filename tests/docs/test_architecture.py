"""ARCHITECTURE.md names what is there, all packages, and every module opens with what it is for."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PATH = re.compile(r"`([\w./-]*/[\w./-]+)`")
SHORTEST, LONGEST = 2, 8

#: Modules whose opening is still shorter or longer; take one out when it is mended, add none.
TO_MEND = {
    "comity/__init__.py",
    "comity/__main__.py",
    "comity/api/__init__.py",
    "comity/api/body.py",
    "comity/api/management/call.py",
    "comity/api/management/offers.py",
    "comity/api/management/partners.py",
    "comity/api/management/processes.py",
    "comity/controlplane/__init__.py",
    "comity/controlplane/connector.py",
    "comity/controlplane/evidence.py",
    "comity/controlplane/processes.py",
    "comity/controlplane/publish.py",
    "comity/dataplane/__init__.py",
    "comity/db/__init__.py",
    "comity/db/agreements.py",
    "comity/db/evidence.py",
    "comity/db/inbox.py",
    "comity/db/migrations/env.py",
    "comity/db/negotiations.py",
    "comity/db/offers.py",
    "comity/db/partners.py",
    "comity/db/pulls.py",
    "comity/db/token_uses.py",
    "comity/db/transfers.py",
    "comity/delivery/__init__.py",
    "comity/dsp/__init__.py",
    "comity/dsp/machine.py",
    "comity/errors.py",
    "comity/evidence/__init__.py",
    "comity/management/__init__.py",
    "comity/management/catalog.py",
    "comity/management/offers.py",
    "comity/management/partner.py",
    "comity/net/resolver.py",
    "comity/storage/__init__.py",
    "comity/techdata/__init__.py",
}


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
    assert {name: lines for name, lines in wrong.items() if name not in TO_MEND} == {}


def test_modules_that_are_still_to_be_mended_exist(root):
    assert [name for name in TO_MEND if not (root / "src" / name).exists()] == []
