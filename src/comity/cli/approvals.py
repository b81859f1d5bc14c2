"""`comity approvals`: what people have to decide before a negotiation goes on, and their decisions.

Who decides is whose API key it is: the one in the variable COMITY_API_KEY. Who may is the connector's part.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from comity import errors
from comity.cli import ids, output, people, processes, words
from comity.cli.invocation import AsJson, Data, Invocation

Document = dict[str, Any]

app = typer.Typer(no_args_is_help=True, help="Approvals: what people have to decide, and their decisions.")

WITHIN_H = 72

Approval = Annotated[
    list[str] | None,
    typer.Option(
        "--approval", metavar="NAME", help="Whose API key approves each agreement first; may be repeated."
    ),
]
FourEyes = Annotated[
    bool,
    typer.Option("--four-eyes", metavar="", help="Two of them approve, neither the one who asks."),
]
Within = Annotated[
    int, typer.Option("--approve-within", min=1, max=8760, metavar="HOURS", help="How long they have.")
]
Id = Annotated[str, typer.Argument(metavar="ID", help="Its id, or how it begins or ends.")]
All = Annotated[bool, typer.Option("--all", metavar="", help="Also those that are over.")]
Reason = Annotated[
    str, typer.Option(metavar="TEXT", help="Why; it is kept in the evidence.", show_default=False)
]
Why = Annotated[
    str, typer.Option("--reason", metavar="TEXT", help="Why; the partner is told.", show_default=False)
]


def rule(approvers: list[str] | None, *, four_eyes: bool, within_h: int) -> Document:
    """Return who has to approve, empty if nobody.

    Raises:
        InvalidInputError: four eyes of nobody.
    """
    if not approvers:
        if four_eyes:
            raise errors.InvalidInputError(
                "--four-eyes needs to know whose", hint="name them with --approval NAME, twice or more"
            )
        return {}
    return {"approvers": approvers, "fourEyes": four_eyes, "withinSeconds": within_h * 3600}


def sentence(rule: Document) -> str:
    """Return who has to approve in words, empty if nobody."""
    if not rule:
        return ""
    names = ", ".join(rule["approvers"])
    who = f"two of {names}" if rule["fourEyes"] else names.replace(", ", " or ")
    return f"by {who} within {_time(rule['withinSeconds'])}"


def _time(seconds: int) -> str:
    hours, rest = divmod(seconds, 3600)
    return words.duration(seconds) if rest else words.count(hours, "hour")


@app.command("list")
def list_(
    ctx: typer.Context,
    *,
    over: All = False,
    limit: processes.Limit = 50,
    _data: Data = None,
    _json: AsJson = False,
) -> None:
    """Show what waits for people, the newest first."""
    here = Invocation(ctx)
    found = here.connector.approvals(limit=limit, waiting=not over)
    if here.as_json:
        output.document(found)
    elif not found:
        output.line("nothing waits for an approval" if not over else "no approvals yet")
    else:
        _table(here, found)


def _table(here: Invocation, found: list[Document]) -> None:
    short, assets = ids.shorten([str(each["@id"]) for each in found]), processes.short_assets(found)
    names = processes.partner_names(here)
    output.table(
        ("ID", "Partner", "Asset", "State", "Missing", "Until"),
        [
            (
                short[each["@id"]],
                people.called(names, each.get("counterPartyId")),
                assets[str(each.get("assetId") or "")],
                str(each.get("state", "")),
                "; ".join(f"{part['people']} of {', '.join(part['approvers'])}" for part in each["missing"]),
                words.moment(each.get("dueAt")),
            )
            for each in found
        ],
    )


@app.command()
def show(ctx: typer.Context, *, approval: Id, _data: Data = None, _json: AsJson = False) -> None:
    """Show one: the terms that it is about, who is asked, who decided what."""
    here = Invocation(ctx)
    found = here.connector.load("approvals", _find(here, approval))
    if here.as_json:
        output.document(found)
        return
    names = processes.partner_names(here)
    output.pairs(
        [
            ("approval", found.get("@id")),
            ("state", found.get("state")),
            ("waits", str(found.get("waitsFor") or "").removeprefix("waits ")),
            ("negotiation", found.get("contractNegotiationId")),
            ("partner", people.called(names, found.get("counterPartyId"))),
            ("asset", found.get("assetId")),
            ("terms", words.terms(found.get("offer"), us=here.us, names=names)),
            *words.enforced(found.get("offer")),
            ("we would", found.get("move")),
            *(("not by", ", ".join(each["notBy"])) for each in found["needs"] if each["notBy"]),
            *(("decided", _decision(each)) for each in found["decisions"]),
            ("until", words.moment(found.get("dueAt"))),
        ]
    )


def _decision(said: Document) -> str:
    verb = "approved" if said["approved"] else "refused"
    why = f": {said['reason']}" if said["reason"] else ""
    return f"{said['by']} {verb} at {words.moment(said['at'])}{why}"


@app.command()
def approve(
    ctx: typer.Context, *, approval: Id, reason: Reason = "", _data: Data = None, _json: AsJson = False
) -> None:
    """Approve it, as the person whose API key is in COMITY_API_KEY."""
    _settle(Invocation(ctx), approval, "approve", reason)


@app.command()
def refuse(
    ctx: typer.Context, *, approval: Id, reason: Why, _data: Data = None, _json: AsJson = False
) -> None:
    """Refuse it, as the person whose API key is in COMITY_API_KEY: the negotiation ends."""
    _settle(Invocation(ctx), approval, "refuse", reason)


def _settle(here: Invocation, text: str, verb: str, reason: str) -> None:
    found = here.connector.settle_approval(_find(here, text), verb, reason=reason)
    if here.as_json:
        output.document(found)
        return
    said = found.get("waitsFor") or f"is now {found.get('state')}"
    output.line(f"approval {ids.tail(str(found['@id']))} {said}")


def _find(here: Invocation, text: str) -> str:
    listed = [str(each["@id"]) for each in here.connector.find_all("approvals")]
    return ids.find(text, listed, "approval", hint="comity approvals list --all shows them")
