"""Pages that say what holds name tests that there are: in each row of each of their tables, by whole pytest ids."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

PAGES = ("threats.md", "what-binds.md", "what-survives.md")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(?:(\w+)::)?(\w+)`")
ROW = re.compile(r"^\|.*\|$", re.MULTILINE)
FOUND_IN = "test"
"""The heading of the last column of each table."""


@functools.cache
def names_in(file: Path) -> set[tuple[str, str]]:
    """Return (class or nothing, function) of each test of a module."""
    tree = ast.parse(file.read_text())
    classes = [each for each in tree.body if isinstance(each, ast.ClassDef)]
    return {
        (owner, each.name)
        for owner, body in [("", tree.body), *((one.name, one.body) for one in classes)]
        for each in body
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and each.name.startswith("test_")
    }


@pytest.mark.parametrize("name", PAGES)
def test_every_row_names_a_test_that_there_is(root: Path, name: str) -> None:
    page = (root / "docs" / "explanation" / name).read_text()
    tables = [found.splitlines() for found in re.findall(r"(?:^\|.*\|\n)+", page, re.MULTILINE)]
    assert sum(map(len, tables)) == len(ROW.findall(page))
    for head, line, *rows in tables:
        assert (cells(head)[-1], set(line)) == (FOUND_IN, {"|", "-"}), head
        assert rows, head
        for row in rows:
            assert len(cells(row)) == len(cells(head)), row
            assert TEST.sub("", cells(row)[-1]).strip(", ") == "", row
            named = TEST.findall(row)
            assert named, row
            for file, owner, test in named:
                assert (owner, test) in names_in(root / file), f"{file} has no {owner} {test}"


def cells(row: str) -> list[str]:
    return [each.strip() for each in row.strip("|").split("|")]
