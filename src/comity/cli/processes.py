"""What negotiations, agreements and transfers have in common for people: lists, one of them by a short id, moves.

Which moves are allowed in which state is decided by the connector, not here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from comity import errors
from comity.cli import ids, output, people
from comity.cli.invocation import Invocation

Document = dict[str, Any]

Id = Annotated[str, typer.Argument(metavar="ID", help="Its id, or how it begins or ends.")]
Limit = Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="Show the newest N.")]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="What the partner is told.", show_default=False)]

_FULL = len("urn:uuid:00000000-0000-0000-0000-000000000000")
_WORDS = {
    "contractnegotiations": "negotiation",
    "contractagreements": "agreement",
    "transferprocesses": "transfer",
}


def find(here: Invocation, noun: str, text: str) -> str:
    """Return the id of the process that a person means."""
    if text.startswith("urn:uuid:") and len(text) == _FULL:
        return text
    word = _WORDS[noun]
    listed = [str(each["@id"]) for each in here.connector.find_all(noun)]
    return ids.find(text, listed, word, hint=f"comity {word}s shows them")


def move(here: Invocation, noun: str, text: str, verb: str, reason: str = "") -> None:
    """Make a person's move and say what became of it."""
    process_id = find(here, noun, text)
    try:
        here.connector.move(noun, process_id, verb, reason=reason)
    except errors.LocalProtocolError as error:
        state = here.connector.load(noun, process_id).get("state")
        said = f"{verb} is not possible: {_WORDS[noun]} {ids.short(process_id)} is {state}"
        raise errors.LocalProtocolError(said, hint=error.message) from None
    now = here.connector.load(noun, process_id)
    if here.as_json:
        output.document(now)
    else:
        output.line(f"{_WORDS[noun]} {ids.tail(process_id)} is now {now.get('state')}")


def partner_names(here: Invocation) -> dict[str, str]:
    """Return participant id -> what a person calls it."""
    return people.names(here.connector.partners())


def short_assets(found: Sequence[Document]) -> dict[str, str]:
    """Return asset id -> its short form."""
    return ids.shorten({str(each.get("assetId") or "") for each in found})


def more(here: Invocation, found: Sequence[Document], limit: int) -> None:
    """Say that there may be more than the list shows."""
    if len(found) == limit and not here.as_json:
        output.note(f"the newest {limit}; --limit shows more")
