from __future__ import annotations

import re
from pathlib import Path

import pytest

RECORDS = sorted((Path(__file__).parents[2] / "docs" / "decisions").glob("[0-9]*.md"))


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.stem)
def test_record_has_number_status_date_and_three_sections(record: Path) -> None:
    text = record.read_text()
    assert text.startswith(f"# {record.stem[:4]} ")
    assert re.search(r"^Status: (proposed|accepted|superseded by \d{4})", text, re.MULTILINE)
    assert re.search(r"^Date: (\d{4}-\d{2}-\d{2}|YYYY-MM-DD)$", text, re.MULTILINE)
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]


def test_records_are_numbered_without_gap() -> None:
    assert [int(record.stem[:4]) for record in RECORDS] == list(range(len(RECORDS)))


def test_every_record_is_in_the_index() -> None:
    index = (RECORDS[0].parent / "README.md").read_text()
    assert [record.name for record in RECORDS if f"({record.name})" not in index] == []
