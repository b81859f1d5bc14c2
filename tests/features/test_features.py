"""The matrix of features: its rows name tests that exist, every endpoint has a row, and all of it is on the page."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from comity.api.management.endpoints import ENDPOINTS

ROOT = Path(__file__).parents[2]
OURS = {
    "apikeys", "approvals", "carries", "deletions", "events", "evidence", "exchanges", "frameworks", "inquiries",
    "licences", "packages", "partners", "readings", "receipts", "received", "revisions", "webhooks", "identity",
    "check",
}  # fmt: skip


def _tool():
    spec = importlib.util.spec_from_file_location("features", ROOT / "tools" / "features.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


features = _tool()
ROWS = [row for _, name in features.MATRICES for row in features.rows(name)["row"]]
LISTED = {(each["method"], each["path"]) for each in features.rows("edc")["endpoint"]}


@pytest.fixture(scope="module")
def page() -> str:
    return features.PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("test", features.named_tests())
def test_a_test_that_a_row_names_exists(test):
    assert features.exists(test)


def test_a_test_that_is_nowhere_is_found_out():
    assert not features.exists("tests/features/test_features.py::test_that_nobody_wrote")
    assert not features.exists("tests/features/test_nothing.py::test_a_test_that_a_row_names_exists")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["rule"][:40])
def test_a_row_is_shown_by_tests_or_says_why_not(row, page):
    assert row["comity"] in {"yes", "partly", "no"}
    assert row["tests"] or row["comity"] == "no"
    assert row["comity"] == "yes" or row["note"]
    assert f"| {row['rule']} |" in page, "write it anew with: make features"


def test_every_endpoint_that_edc_has_is_on_the_page_and_shown(page):
    assert [each for each in sorted(LISTED) if f"| `{each[0]} {each[1]}` |" not in page] == []
    assert features.NOT_SHOWN not in page


def test_every_endpoint_of_ours_that_edc_has_too_is_listed():
    of_ours = {(method, f"{noun}/{rest}".rstrip("/")) for method, noun, rest in ENDPOINTS if noun not in OURS}
    moves = {"accept", "offer", "request", "agree", "verify", "finalize", "complete"}
    beyond = {each for each in of_ours if each[1].split("/")[-1] in moves and "{id}" in each[1]}
    beyond |= {("POST", "contractnegotiations/offers"), ("PUT", "policydefinitions")}
    beyond.add(("POST", "contractagreements/{id}/evidence"))
    beyond |= {("POST", f"policydefinitions/{verb}") for verb in ("explain", "simulate")}
    assert sorted(of_ours - beyond - LISTED) == []


def test_every_test_that_the_page_names_exists(page):
    named = re.findall(r"\[(\w+)\]\(\.\./\.\./(tests/[^)]+)\)", page)
    assert len(named) > len(LISTED)
    assert [each for each in named if f"def {each[0]}(" not in (ROOT / each[1]).read_text()] == []
