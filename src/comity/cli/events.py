"""`comity events`: what has happened, and what happens, as the connector records it.

The log itself is the connector's; what an event says is in `management.events`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any

import typer

from comity import errors
from comity.cli import ids, output, processes, words
from comity.cli.invocation import AsJson, Data, Invocation
from comity.client.connector import NEGOTIATIONS, TRANSFERS

Document = dict[str, Any]
PAGE = 1000
_FULL = "urn:uuid:"
_NAME_WIDTH = len("contract.negotiation.terminated")

Follow = Annotated[
    bool, typer.Option("--follow", "-f", metavar="", help="Go on showing what happens, until Ctrl-C.")
]
Process = Annotated[
    str,
    typer.Option("--process", metavar="ID", help="Only of this negotiation or transfer.", show_default=False),
]
Types = Annotated[
    list[str] | None,
    typer.Option(
        "--type",
        metavar="NAME",
        help="Only events whose names begin so, such as transfer.process. May be repeated.",
        show_default=False,
    ),
]
Last = Annotated[int, typer.Option("--last", min=0, max=1000, metavar="N", help="Begin with the last N.")]


def events(
    ctx: typer.Context,
    *,
    follow: Follow = False,
    process: Process = "",
    types: Types = None,
    last: Last = 20,
    _data: Data = None,
    _json: AsJson = False,
) -> None:
    """Show the last events, and with --follow those that come."""
    here = Invocation(ctx)
    process_id = _find(here, process) if process else ""
    wanted = types or []
    found, place = _last(here, process_id, wanted, last)
    if here.as_json and not follow:
        output.document(found)
        return
    names = {} if here.as_json else processes.partner_names(here)
    _show(here, found, names)
    if follow:
        sys.stdout.flush()
        _follow(here, place, process_id, wanted, names)
    elif not found:
        output.line("no events yet; each change of a negotiation, a transfer or an offer is one")


def _find(here: Invocation, text: str) -> str:
    """Return the id of the negotiation or the transfer that a person means."""
    try:
        return processes.find(here, NEGOTIATIONS, text)
    except errors.NotFoundError:
        return processes.find(here, TRANSFERS, text)


def _last(here: Invocation, process_id: str, types: list[str], last: int) -> tuple[list[Document], int]:
    """Return the last events, and the place after which the next ones come."""
    page = here.connector.events(after=0, limit=1)
    oldest, newest = int(page["oldest"]), int(page["newest"])
    chosen = bool(process_id or types)
    after = max(oldest - 1, 0 if chosen else newest - last)
    found: list[Document] = []
    more = last > 0
    while more:
        page = here.connector.events(after=after, limit=PAGE, process_id=process_id, types=types)
        found = [*found, *page["events"]][-last:]
        after, more = int(page["next"]), bool(page["more"])
    return found, after if last else newest


def _follow(here: Invocation, place: int, process_id: str, types: list[str], names: dict[str, str]) -> None:
    for event in here.connector.watch(after=place, process_id=process_id, types=types):
        _show(here, [event], names)
        sys.stdout.flush()


def _show(here: Invocation, found: Iterable[Document], names: dict[str, str]) -> None:
    for each in found:
        output.line(json.dumps(each) if here.as_json else _line(each, names))


def _line(event: Document, names: dict[str, str]) -> str:
    """Return an event as one line: when, what, of which process, with whom, about what, why."""
    data = event.get("data") or {}
    partner = str(data.get("counterPartyId") or "")
    subject = str(event.get("subject") or "")
    said = [
        words.moment(_at_ms(event)),
        f"{event.get('type')!s:<{_NAME_WIDTH}}",
        ids.short(subject) if subject.startswith(_FULL) else subject,
        names.get(partner, partner),
        str(data.get("assetId") or "") if partner else "",
        str(data.get("reason") or ""),
    ]
    return ids.within(output.clean("  ".join(each for each in said if each)))


def _at_ms(event: Document) -> float:
    return datetime.fromisoformat(str(event.get("time"))).timestamp() * 1000
