"""`comity inquiries`: questions, deviations and changes between the holder of a revision and its owner.

Who asks, answers or grants is whose API key it is: the one in the variable COMITY_API_KEY. Who may is the connector's
part; what it means for building is `comity revisions`'.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from comity.cli import ids, meant, output, people, processes, words
from comity.cli.invocation import AsJson, Data, Invocation
from comity.client.connector import AGREEMENTS

Document = dict[str, Any]

app = typer.Typer(
    no_args_is_help=True, help="Inquiries: questions, deviations and changes, asked, answered, granted."
)

Id = Annotated[str, typer.Argument(metavar="ID", help="Its id, or how it begins or ends.")]
Agreement = Annotated[
    str,
    typer.Argument(metavar="AGREEMENT", help="Under which you hold it: its id, or how it begins or ends."),
]
Kind = Annotated[str, typer.Option(metavar="KIND", help="question, deviation or change.")]
Text = Annotated[str, typer.Option("--text", metavar="TEXT", help="What is said.", show_default=False)]
Why = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is told.", show_default=False)]
Files = Annotated[
    list[str] | None,
    typer.Option("--file", metavar="PATH", help="A file of the package that it is about; may be repeated."),
]
Manifest = Annotated[
    str,
    typer.Option(
        "--manifest",
        metavar="SHA256",
        help="The revision, by its manifest; else the one received last.",
        show_default=False,
    ),
]
Proposal = Annotated[
    str,
    typer.Option(
        metavar="ASSET", help="A package of yours that shows it, published for the owner.", show_default=False
    ),
]
AnswerBy = Annotated[
    str, typer.Option(metavar="DATE", help="The day by which you need an answer.", show_default=False)
]
Lots = Annotated[
    str,
    typer.Option(
        metavar="FROM..TO", help="Only these lots, both ends included; L-12 is one.", show_default=False
    ),
]
Serials = Annotated[
    str, typer.Option(metavar="FROM..TO", help="Only these serial numbers.", show_default=False)
]
Quantity = Annotated[int, typer.Option(min=0, metavar="N", help="Only so many pieces.", show_default=False)]
Until = Annotated[str, typer.Option(metavar="DATE", help="Until this day.", show_default=False)]
Conditions = Annotated[str, typer.Option(metavar="TEXT", help="What must be kept.", show_default=False)]
All = Annotated[bool, typer.Option("--all", metavar="", help="Also those that are over.")]


def _limits(
    lots: str,
    serials: str,
    quantity: int,
    until: str,
    conditions: str,
) -> Document:
    said = {"quantity": quantity, "until": until, "conditions": conditions}
    for name, text in (("lot", lots), ("serial", serials)):
        if text:
            said[f"{name}From"], said[f"{name}To"] = meant.ends(text)
    return {name: value for name, value in said.items() if value}


@app.command()
def ask(
    ctx: typer.Context,
    *,
    agreement: Agreement,
    text: Text,
    kind: Kind = "question",
    file: Files = None,
    manifest: Manifest = "",
    proposal: Proposal = "",
    answer_by: AnswerBy = "",
    lots: Lots = "",
    serials: Serials = "",
    quantity: Quantity = 0,
    until: Until = "",
    conditions: Conditions = "",
    _data: Data = None,
    _json: AsJson = False,
) -> None:
    """Ask the owner of a revision that you hold: a question, for a deviation, for a change."""
    here = Invocation(ctx)
    said = {
        "agreementId": processes.find(here, AGREEMENTS, agreement),
        "kind": kind,
        "text": text,
        "files": file,
        "manifestSha256": manifest,
        "proposal": proposal,
        "answerBy": answer_by,
        "limits": _limits(lots, serials, quantity, until, conditions),
    }
    made = here.connector.request("POST", "inquiries", {name: value for name, value in said.items() if value})
    if here.as_json:
        output.document(made)
    else:
        output.line(f"asked: inquiry {ids.tail(str(made['@id']))}; its owner is told")


@app.command("list")
def list_(
    ctx: typer.Context,
    *,
    over: All = False,
    limit: processes.Limit = 50,
    _data: Data = None,
    _json: AsJson = False,
) -> None:
    """Show what is open or was not delivered, ours and partners', the newest first."""
    here = Invocation(ctx)
    is_open = [{"operandLeft": "state", "operator": "in", "operandRight": ["OPEN", "UNDELIVERED", "REVOKED"]}]
    found = here.connector.find("inquiries", limit=limit, criteria=[] if over else is_open)
    found = [each for each in found if over or each["state"] != "REVOKED" or each.get("error")]
    if here.as_json:
        output.document(found)
    elif not found:
        output.line("no inquiries yet" if over else "no inquiry is open; --all shows those that are over")
    else:
        _table(here, found)


def _table(here: Invocation, found: list[Document]) -> None:
    short, assets = ids.shorten([str(each["@id"]) for each in found]), processes.short_assets(found)
    names = processes.partner_names(here)
    columns = ("ID", "Kind", "Decides", "Asset", "State", "Text", "Until")
    rows = [
        (
            short[each["@id"]],
            str(each["kind"]),
            "we" if each["type"] == "PROVIDER" else _name(names, each["counterPartyId"]),
            assets[str(each["assetId"])],
            _state(each),
            _first_line(str(each["text"])),
            str(each.get("answerBy") or ""),
        )
        for each in found
    ]
    shown = len(columns) if any(each[-1] for each in rows) else -1
    output.table(columns[:shown], [each[:shown] for each in rows])


def _state(found: Document) -> str:
    """Return how one stands; that a deviation was revoked is not over while the other side has not taken it."""
    untold = found["state"] == "REVOKED" and found.get("error")
    return "OVERDUE" if found["overdue"] else "NOT TAKEN" if untold else str(found["state"])


def _deadline(found: Document) -> str:
    return f"{found['answerBy']}, overdue" if found["overdue"] else str(found.get("answerBy") or "")


def _first_line(text: str) -> str:
    line = text.strip().split("\n", 1)[0]
    return line if len(line) <= 24 else f"{line[:22]}.."  # noqa: PLR2004  what a table has room for


def _name(names: dict[str, str], participant_id: str) -> str:
    return names.get(participant_id, participant_id)


@app.command()
def show(ctx: typer.Context, *, inquiry: Id, _data: Data = None, _json: AsJson = False) -> None:
    """Show one: what is asked, what became of it, who said what and when."""
    here = Invocation(ctx)
    found = here.connector.load("inquiries", find(here, inquiry))
    if here.as_json:
        output.document(found)
        return
    names = processes.partner_names(here)
    partner = _name(names, found["counterPartyId"])
    proposal = found.get("proposal") or {}
    output.pairs(
        [
            ("inquiry", found["@id"]),
            ("kind", found["kind"]),
            ("state", found["state"]),
            ("waits", found.get("waitsFor")),
            ("partner", people.called(names, found["counterPartyId"])),
            ("who decides", "we" if found["type"] == "PROVIDER" else partner),
            ("asked by", f"{partner if found['type'] == 'PROVIDER' else 'us'}{_whose(found.get('askedBy'))}"),
            ("agreement", found["agreementId"]),
            ("asset", found["assetId"]),
            ("revision", found.get("ofRevision")),
            ("manifest", found["manifestSha256"]),
            *(("file", each) for each in found["files"]),
            ("asked for", limits_and_conditions(found.get("limits"))),
            ("proposal", proposal.get("assetId")),
            ("answer by", _deadline(found)),
            ("granted", limits(found.get("granted"))),
            ("conditions", (found.get("granted") or {}).get("conditions")),
            ("revoked", words.moment(found.get("revokedAt"))),
            ("decided by", ", ".join(found["decidedBy"])),
            ("answered with", _answer(found)),
            ("not delivered", found.get("error")),
        ]
    )
    for each in found.get("thread") or []:
        whose = "us" if each["type"] == found["type"] else partner
        output.line(
            f"\n{words.moment(each['at'])}  {each['event']} by {whose}{_whose(', '.join(each['by']))}"
        )
        if each["delivery"] in {"sent", "refused"}:
            output.line(f"  {_delivery(each)}")
        for line in str(each["text"]).splitlines():
            output.line(f"  {line}")


def _answer(found: Document) -> str:
    number = found.get("revision")
    return f"revision {number}, {found['revisionSha256']}" if number else ""


def _whose(name: Any) -> str:
    return f" ({name})" if name else ""


def _delivery(step: Document) -> str:
    return f"not taken: {step.get('error')}" if step["delivery"] == "refused" else "on its way"


def limits(said: Document | None) -> str:
    """Return the limits of a deviation in words, empty if there are none."""
    from comity.techdata import inquiry  # noqa: PLC0415  start-up time

    if not said:
        return ""
    parts = [
        inquiry.span("lot", said.get("lotFrom", ""), said.get("lotTo", "")),
        inquiry.span("serial number", said.get("serialFrom", ""), said.get("serialTo", "")),
        words.count(int(said["quantity"]), "piece") if "quantity" in said else "",
        f"until {said['until']}" if "until" in said else "",
    ]
    return ", ".join(each for each in parts if each)


def limits_and_conditions(said: Document | None) -> str:
    """Return the limits of a deviation with what must be kept, on one line."""
    conditions = " ".join(str((said or {}).get("conditions") or "").split())
    return "; ".join(
        each for each in (limits(said), f"conditions: {conditions}" if conditions else "") if each
    )


@app.command()
def say(ctx: typer.Context, *, inquiry: Id, text: Text, _data: Data = None, _json: AsJson = False) -> None:
    """Write to the other side; nothing is decided by it."""
    _step(Invocation(ctx), inquiry, "say", {"text": text})


@app.command()
def answer(ctx: typer.Context, *, inquiry: Id, text: Text, _data: Data = None, _json: AsJson = False) -> None:
    """Answer a question or a change, as the person whose API key is in COMITY_API_KEY."""
    _step(Invocation(ctx), inquiry, "answer", {"text": text})


@app.command()
def grant(
    ctx: typer.Context,
    *,
    inquiry: Id,
    lots: Lots = "",
    serials: Serials = "",
    quantity: Quantity = 0,
    until: Until = "",
    conditions: Conditions = "",
    text: Annotated[
        str, typer.Option(metavar="TEXT", help="What the asker is told.", show_default=False)
    ] = "",
    _data: Data = None,
    _json: AsJson = False,
) -> None:
    """Grant a deviation within limits, as the person whose API key is in COMITY_API_KEY.

    A limit that is not named stays as a colleague granted it, or else as it was asked for.
    """
    within = _limits(lots, serials, quantity, until, conditions)
    said = {name: value for name, value in {"limits": within, "text": text}.items() if value}
    _step(Invocation(ctx), inquiry, "grant", said)


@app.command()
def refuse(
    ctx: typer.Context, *, inquiry: Id, reason: Why, _data: Data = None, _json: AsJson = False
) -> None:
    """Refuse it, as the person whose API key is in COMITY_API_KEY; the asker is told why."""
    _step(Invocation(ctx), inquiry, "refuse", {"text": reason})


@app.command()
def revoke(
    ctx: typer.Context, *, inquiry: Id, reason: Why, _data: Data = None, _json: AsJson = False
) -> None:
    """Take back a deviation, as the person whose API key is in COMITY_API_KEY; who asked for it is told why."""
    _step(Invocation(ctx), inquiry, "revoke", {"text": reason})


@app.command()
def withdraw(
    ctx: typer.Context,
    *,
    inquiry: Id,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; it is told.", show_default=False)] = "",
    _data: Data = None,
    _json: AsJson = False,
) -> None:
    """Withdraw what you asked; what its owner decided before stands. A deviation that you granted: `revoke`."""
    _step(Invocation(ctx), inquiry, "withdraw", {"text": reason} if reason else {})


def _step(here: Invocation, text: str, verb: str, said: Document) -> None:
    from urllib.parse import quote  # noqa: PLC0415  start-up time

    name = quote(find(here, text), safe="")
    found = here.connector.request("POST", f"inquiries/{name}/{verb}", said)
    if here.as_json:
        output.document(found)
        return
    waits = found.get("waitsFor")
    shown = ids.tail(str(found["@id"]))
    output.line(f"inquiry {shown} is {waits}" if waits else f"inquiry {shown} is now {found['state']}")
    if found.get("note"):
        output.note(output.clean(found["note"]))


def find(here: Invocation, text: str) -> str:
    """Return the id of the inquiry that a person means.

    Raises:
        NotFoundError, InvalidInputError: it is none, or could be several.
    """
    listed = [str(each["@id"]) for each in here.connector.find_all("inquiries")]
    return ids.find(text, listed, "inquiry", hint="comity inquiries list --all shows them")
