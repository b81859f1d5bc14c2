"""Tables on a narrow terminal: what people copy (ids, numbers, dates) is never broken."""

import pytest

from comity.cli import output

COLUMNS = ("ID", "Asset", "Published", "Terms")
ROW = ("0000abcd", "urn:alpha:housing-p100", "2026-01-01", "use by Beta Works until 2027-12-31")


@pytest.mark.parametrize(("width", "is_table"), [(80, True), (62, True), (40, False)])
def test_words_that_people_copy_are_whole_at_any_width(monkeypatch, capsys, width, is_table):
    monkeypatch.setenv("COLUMNS", str(width))
    output.table(COLUMNS, [ROW, ROW])
    shown = capsys.readouterr().out
    for word in ROW[:3]:
        assert shown.count(word) == 2
    lines = shown.splitlines()
    assert lines[0].startswith("ID        Asset" if is_table else "ID         0000abcd")
    assert max(map(len, lines)) <= max(width, 45)


def test_a_short_column_gets_all_it_needs_before_a_long_one_gets_more(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "60")
    output.table(("Title", "Terms"), [("Turbine housing", "use by you, until 2027-12-31 " * 4)])
    assert "Turbine housing  use by you" in capsys.readouterr().out
