"""How results look: tables and lines for people, JSON for programs on stdout, errors on stderr.

What partners wrote (titles, reasons) is shown without its control characters, and never read as markup.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from comity import errors
from comity.cli import ids

if TYPE_CHECKING:
    from rich.console import Console

_NO_BREAK = frozenset(
    {
        "ID",
        "State",
        "Role",
        "Size",
        "Row",
        "Way",
        "Files",
        "Message",
        "Version",
        "Until",
    }
)
_MAY_BREAK = frozenset(
    {
        "Detail",
        "Error",
        "File",
        "From",
        "Locked by",
        "Means",
        "Message",
        "Partner",
        "Reason",
        "Terms",
        "Text",
        "Where",
    }
)
"""Columns in which a long word may be broken, if there is no room else."""
_WORD = 14
_GAP = 2
_TO_THE_RIGHT = frozenset({"Size", "Files", "Row"})


def clean(text: object) -> str:
    """Return text from outside on one line, with `?` for what does not print."""
    return "".join(sign if sign.isprintable() else "?" for sign in str(text).replace("\n", " "))


def console(*, to_stderr: bool = False) -> Console:
    """Return a console that shows text as it is; 80 columns wide where there is no terminal."""
    from rich.console import Console  # noqa: PLC0415  start-up time

    return Console(stderr=to_stderr, highlight=False, markup=False, emoji=False)


def line(text: str = "") -> None:
    """Print a line as it is, however long."""
    sys.stdout.write(text + "\n")


def document(value: Any) -> None:
    """Print JSON."""
    line(json.dumps(value, indent=2))


def error(problem: errors.ComityError) -> None:
    """Print what went wrong and what to do."""
    sys.stdout.flush()
    place = problem.path if isinstance(problem, errors.InvalidInputError) and problem.path != "$" else ""
    sys.stderr.write(
        f"error: {ids.within(clean(problem.message))}{f' (at {clean(place)})' if place else ''}\n"
    )
    for reason in problem.reasons if isinstance(problem, errors.PolicyError) else ():
        sys.stderr.write(f"       {ids.within(clean(reason))}\n")
    if problem.hint:
        sys.stderr.write(f"hint: {clean(problem.hint)}\n")


def raw(content: bytes) -> None:
    """Print bytes as they are, with nothing after them."""
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def note(text: str) -> None:
    """Print something that is not a result to stderr."""
    sys.stdout.flush()
    sys.stderr.write(text + "\n")


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table that fits the width of the terminal, or 80 columns.

    No id, number or date is broken: where the table is too narrow for them each row becomes lines of name and value.
    """
    from rich.table import Table  # noqa: PLC0415  start-up time

    cells = [[clean(cell) for cell in row] for row in rows]
    target = console()
    widths = _widths(columns, cells, target.width)
    if widths is None:
        for index, row in enumerate(cells):
            line() if index else None
            pairs(list(zip(columns, row, strict=True)))
        return
    made = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="bold")
    for name, width in zip(columns, widths, strict=True):
        made.add_column(
            name,
            no_wrap=name in _NO_BREAK,
            overflow="fold",
            width=width,
            justify="right" if name in _TO_THE_RIGHT else "left",
        )
    for row in cells:
        made.add_row(*row)
    with target.capture() as captured:
        target.print(made)
    for text in captured.get().splitlines():
        line(text.rstrip())


def _widths(columns: Sequence[str], rows: Sequence[Sequence[str]], room: int) -> list[int] | None:
    """Return how wide each column is, so that no word is broken that must not be; None where that has no room."""
    shown = [[name, *(row[index] for row in rows)] for index, name in enumerate(columns)]
    most = [max(map(_cells, each)) for each in shown]
    widths = [
        wide if name in _NO_BREAK else min(wide, _longest_word(name, each))
        for name, wide, each in zip(columns, most, shown, strict=True)
    ]
    spare = room - sum(widths) - _GAP * (len(columns) - 1)
    if spare < 0:
        return None
    lacking = sorted(
        (wide - width, index) for index, (wide, width) in enumerate(zip(most, widths, strict=True))
    )
    for place, (missing, index) in enumerate(
        lacking
    ):  # the same share for each, and what one leaves for the others
        more = min(missing, spare // (len(lacking) - place))
        widths[index] += more
        spare -= more
    return widths


def _longest_word(name: str, texts: Sequence[str]) -> int:
    words = itertools.chain.from_iterable(each.split() for each in texts)
    longest = max(map(_cells, words), default=1)
    return max(min(longest, _WORD), _cells(name)) if name in _MAY_BREAK else longest


def _cells(text: str) -> int:
    from rich.cells import cell_len  # noqa: PLC0415  start-up time

    return cell_len(text)


def pairs(rows: Sequence[tuple[str, object]]) -> None:
    """Print names and values, one a line, leaving out what is empty."""
    shown = [(name, clean(value)) for name, value in rows if value not in {None, ""}]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        line(f"{name:<{width}}  {value}")
