"""The page about the errors has a row for each class of error, with its code and its statuses, and no other."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import comity
from comity import errors
from comity.api import partner_requests, problems

ROW = re.compile(r"^\| `([A-Z]\w+)` \| `([a-z-]+)` \| ([^|]+) \| ([^|]+) \|", re.MULTILINE)


def classes() -> dict[str, type[errors.ComityError]]:
    """Every class of the tree by its name, wherever in the package it is defined."""
    for found in pkgutil.walk_packages(comity.__path__, "comity."):
        if not found.name.endswith("__main__") and ".migrations." not in found.name:
            importlib.import_module(found.name)
    open_, seen = [errors.ComityError], {}
    while open_:
        kind = open_.pop()
        if kind.__module__.startswith("comity"):
            seen[kind.__name__] = kind
        open_ += kind.__subclasses__()
    return seen


CLASSES = classes()
# made by commands and clients, never by an API
NO_STATUS = {"ExchangeError", "HashError", "UnauthorizedError", "UnfinishedError", "UnreachableError"}


def status(kind: type[errors.ComityError], table) -> str:
    return next(str(code) for parent, code in table if issubclass(kind, parent))


@pytest.fixture(scope="module")
def rows(root: Path) -> dict[str, tuple[str, str, str]]:
    page = (root / "docs" / "reference" / "errors.md").read_text()
    return {name: (code, ours.strip(), theirs.strip()) for name, code, ours, theirs in ROW.findall(page)}


def test_page_has_a_row_for_each_class_and_no_other(rows):
    assert sorted(rows) == sorted(CLASSES)


@pytest.mark.parametrize("name", CLASSES)
def test_row_names_code_and_both_statuses(name, rows):
    kind = CLASSES[name]
    ours, theirs = status(kind, problems.STATUSES), status(kind, partner_requests.STATUSES)
    if name in NO_STATUS:
        ours = theirs = "none"
    assert rows[name] == (kind.code, ours, theirs)
