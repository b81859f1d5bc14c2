"""Writes the two state machines of `comity.dsp.machine` as diagrams (Mermaid) and tables into the protocol page.

Without an option it prints them; with `--write` it puts them between the marks of docs/reference/protocol.md.
`tests/docs/test_protocol.py` compares the page with the tables, so a changed table needs a run of this.

    python tools/draw_machine.py [--write]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from comity.dsp import machine, terms

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "protocol.md"
EITHER = "either side"

Rows = dict[tuple[str | None, str, str], list[str]]
"""State before, message, state after -> who may send it."""


def rows(kind: str) -> Rows:
    """Return the rows of a table with the senders of one step put together."""
    found: Rows = {}
    for (before, message, sender), after in machine.TABLES[kind].items():
        found.setdefault((before, message, after), []).append(sender)
    return found


def who(senders: list[str]) -> str:
    """Return one sender's name, or that both sides may."""
    return EITHER if len(senders) > 1 else senders[0]


def diagram(kind: str) -> list[str]:
    """Return a state machine as the lines of a Mermaid diagram."""
    lines = ["```mermaid", "stateDiagram-v2"]
    for (before, message, after), senders in rows(kind).items():
        name = message.replace("Message:", " ").removesuffix("Message")  # a colon would end Mermaid's label
        lines.append(f"    {before or '[*]'} --> {after}: {name} ({who(senders)})")
    reached = {after for _, _, after in rows(kind)}
    lines += [f"    {state} --> [*]" for state in sorted(reached & machine.TERMINAL)]
    return [*lines, "```"]


def table(kind: str) -> list[str]:
    """Return a state machine as the lines of a table."""
    lines = ["| state before | message | sent by | state after |", "|---|---|---|---|"]
    for (before, message, after), senders in rows(kind).items():
        lines.append(f"| {before or '(no process yet)'} | `{message}` | {who(senders)} | {after} |")
    return lines


def drawn(kind: str) -> str:
    """Return what stands between the marks of a kind, the marks included."""
    return "\n".join(
        [f"<!-- {kind}: begin -->", "", *diagram(kind), "", *table(kind), "", f"<!-- {kind}: end -->"]
    )


def updated(page: str) -> str:
    """Return the page with what is between its marks drawn anew."""
    for kind in (terms.NEGOTIATION, terms.TRANSFER):
        before, _, rest = page.partition(f"<!-- {kind}: begin -->")
        _, end, after = rest.partition(f"<!-- {kind}: end -->")
        if not end:
            raise SystemExit(f"{PAGE.name} has no marks for {kind}")
        page = before + drawn(kind) + after
    return page


def main() -> None:
    """Print both, or write them into the page."""
    parser = argparse.ArgumentParser(description="Draw the state machines of the protocol.")
    parser.add_argument("--write", action="store_true", help=f"write them into {PAGE.name}")
    if parser.parse_args().write:
        PAGE.write_text(updated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print("\n\n".join(drawn(kind) for kind in (terms.NEGOTIATION, terms.TRANSFER)))


if __name__ == "__main__":
    main()
