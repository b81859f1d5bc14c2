"""What negotiations, agreements and transfers have in common for people: lists, one of them by a short id, moves.

Which moves are allowed in which state is decided by the connector, not here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from comity import errors
from comity.cli import ids, output, people
from comity.cli.invocation import AsJson, Data, Invocation

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


def show_list(
    ctx: typer.Context,
    noun: str,
    limit: int,
    table: Callable[[Invocation, list[Document]], None],
    *,
    get: str = "begins",
) -> None:
    """Show the newest of a noun, unless a verb follows; where there are none, say that `comity get` begins one."""
    if ctx.invoked_subcommand is not None:
        return
    here = Invocation(ctx)
    found = here.connector.find(noun, limit=limit)
    if here.as_json:
        output.document(found)
    elif not found:
        output.line(f"no {_WORDS[noun]}s yet; comity get <partner> <asset> -o <folder> {get} one")
    else:
        table(here, found)
        if len(found) == limit:
            output.note(f"the newest {limit}; --limit shows more")


def show_one(
    ctx: typer.Context,
    noun: str,
    text: str,
    pairs: Callable[[Invocation, Document], list[tuple[str, Any]]],
) -> None:
    """Show the one of a noun that a person means, a line for each of its `pairs`."""
    here = Invocation(ctx)
    found = here.connector.load(noun, find(here, noun, text))
    if here.as_json:
        output.document(found)
    else:
        output.pairs(pairs(here, found))


def add_move(app: typer.Typer, noun: str, verb: str, text: str, *, reasoned: bool = False) -> None:
    """Add the command of a move, with `text` as its help; `reasoned`: the partner may be told why."""

    def plain(ctx: typer.Context, *, process: Id, _data: Data = None, _json: AsJson = False) -> None:
        _move(Invocation(ctx), noun, process, verb)

    def with_reason(
        ctx: typer.Context, *, process: Id, reason: Reason = "", _data: Data = None, _json: AsJson = False
    ) -> None:
        _move(Invocation(ctx), noun, process, verb, reason)

    app.command(verb, help=text)(with_reason if reasoned else plain)


def _move(here: Invocation, noun: str, text: str, verb: str, reason: str = "") -> None:
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
