"""docs/reference/protocol.md has the rows of the table of deviations, and those beyond the diagrams, and no others."""

import re
from pathlib import Path

from conformance.deviations import table
from conformance.test_diagrams import EXTRA

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "protocol.md").read_text()


def rows(text):
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("| ")]
    return [tuple(cell.strip() for cell in row) for row in cells]


def test_the_page_has_every_deviation_with_what_becomes_of_it_and_why():
    part = PAGE.partition("<!-- deviations: begin -->")[2].partition("<!-- deviations: end -->")[0]
    written = [row for row in rows(part) if row != ("what", "", "why")]
    listed = [each for group in table.GROUPS.values() for each in group]
    assert written == [(each.what, "taken" if each.taken else "refused", each.why) for each in listed]


def test_the_page_has_every_step_beyond_the_diagrams_with_its_reason():
    part = PAGE.partition("\n## Steps that are not in the diagrams\n")[2].partition("\n## ")[0]
    written = [row for row in rows(part) if row[0] != "state before"]
    assert {(before, message.strip("`"), sender) for before, message, sender, _ in written} == {
        (before, message, sender) for kind in EXTRA.values() for before, message, sender in kind
    }
    assert all(why for *_, why in written)
