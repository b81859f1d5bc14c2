"""How results look: tables and lines for people, JSON for programs on stdout, errors on stderr.

What partners wrote (titles, reasons) is shown without its control characters, and never read as markup.
"""

from __future__ import annotations

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
        "Signed",
        "Begun",
        "Time",
        "Message",
        "Version",
        "Until",
    }
)
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
    """Print a table that fits the width of the terminal, or 80 columns."""
    from rich.table import Table  # noqa: PLC0415  start-up time

    made = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for name in columns:
        made.add_column(
            name,
            no_wrap=name in _NO_BREAK,
            overflow="fold",
            justify="right" if name in _TO_THE_RIGHT else "left",
        )
    for row in rows:
        made.add_row(*(clean(cell) for cell in row))
    target = console()
    with target.capture() as captured:
        target.print(made)
    for text in captured.get().splitlines():
        line(text.rstrip())


def pairs(rows: Sequence[tuple[str, object]]) -> None:
    """Print names and values, one a line, leaving out what is empty."""
    shown = [(name, clean(value)) for name, value in rows if value not in {None, ""}]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        line(f"{name:<{width}}  {value}")
