"""The page about the protocol: its state tables are those of the code, and it names every endpoint and message."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from comity.api import dsp, notices
from comity.dsp import machine, terms

KINDS = [terms.NEGOTIATION, terms.TRANSFER]


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs" / "reference" / "protocol.md").read_text()


@pytest.fixture(scope="module")
def drawing(root: Path):
    spec = importlib.util.spec_from_file_location("draw_machine", root / "tools" / "draw_machine.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("kind", KINDS)
def test_state_table_on_the_page_is_the_one_of_the_code(kind, page, drawing):
    assert drawing.drawn(kind) in page, "draw it anew with: python tools/draw_machine.py --write"


@pytest.mark.parametrize("kind", KINDS)
def test_drawn_table_holds_every_step_and_no_other(kind, drawing):
    steps = set()
    for line in drawing.table(kind)[2:]:
        before, message, sender, after = (cell.strip(" `") for cell in line.strip("|").split("|"))
        senders = [terms.CONSUMER, terms.PROVIDER] if sender == drawing.EITHER else [sender]
        steps |= {(None if before.startswith("(") else before, message, each, after) for each in senders}
    assert steps == {(*key, after) for key, after in machine.TABLES[kind].items()}


def test_drawing_a_page_anew_does_not_change_it(page, drawing):
    assert drawing.updated(page) == page


def test_page_names_every_endpoint_of_a_process(page):
    paths = [*dsp.FIRST, *(f"/{collection}/{{pid}}{rest}" for collection, rest in dsp.NEXT)]
    assert [path for path in paths if f"`POST {path}`" not in page] == []


def test_page_names_no_endpoint_that_is_not_there(page):
    known = {
        *dsp.FIRST,
        *(f"/{collection}/{{pid}}{rest}" for collection, rest in dsp.NEXT),
        "/catalog/request",
        "/comity" + notices.PATH,
    }
    assert set(re.findall(r"`POST (/[^`]*)`", page)) - known == set()


def test_every_message_stands_beside_its_endpoint(page):
    messages = {**dsp.FIRST, **{f"/{at}/{{pid}}{rest}": kind for (at, rest), (_, kind) in dsp.NEXT.items()}}
    missing = [
        (path, message.__name__)
        for path, message in messages.items()
        if not re.search(rf"^\| `POST {re.escape(path)}` \| `{message.__name__}` \|", page, re.MULTILINE)
    ]
    assert missing == []
