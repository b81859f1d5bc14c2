"""`comity licence`: how much may be handed over under a licence, until when, and what was.

An offer names a licence by its number (`comity publish --licence NUMBER`); the connector counts.
"""

from __future__ import annotations

import enum
from typing import Annotated, Any

import typer

from comity.cli import ids, output, people, policy, processes, words
from comity.cli.invocation import AsJson, Data, Invocation

Document = dict[str, Any]

app = typer.Typer(
    no_args_is_help=True, help="Licences: how much may be handed over under each, and what was."
)


class Unit(enum.StrEnum):
    """What is counted."""

    TRANSFER = "transfer"
    FILE = "file"


Number = Annotated[str, typer.Argument(metavar="NUMBER", help="The licence's number, as offers name it.")]
Quantity = Annotated[int, typer.Option(min=1, metavar="N", help="How much it allows.", show_default=False)]
Until = Annotated[str, typer.Option(metavar="DATE", help="Its last day (UTC) or moment.", show_default=False)]
Counted = Annotated[Unit, typer.Option("--unit", metavar="WORD", help="What is counted: transfer or file.")]


@app.command()
def add(
    ctx: typer.Context,
    *,
    number: Number,
    quantity: Quantity,
    until: Until,
    unit: Counted = Unit.TRANSFER,
    _data: Data = None,
    _json: AsJson = False,
) -> None:
    """Write a licence down; again, this changes its quantity and its end. What was used stays used."""
    here = Invocation(ctx)
    body = {"number": number, "quantity": quantity, "until": until, "unit": unit.value}
    made: Document = here.connector.request("POST", "licences", body)
    if here.as_json:
        output.document(made)
    else:
        output.pairs([("licence", made["@id"]), *_rows(made)])
        if policy.is_past(until):
            output.note(f"nothing can be had under it: {until} is past")


@app.command("list")
def list_(ctx: typer.Context, *, _data: Data = None, _json: AsJson = False) -> None:
    """Show every licence, and how much of it is left."""
    here = Invocation(ctx)
    found: list[Document] = here.connector.request("GET", "licences")
    if here.as_json:
        output.document(found)
    elif not found:
        output.line(
            "no licences yet; write one down with: comity licence add <number> --quantity N --until DATE"
        )
    else:
        output.table(
            ("Number", "Used", "Left", "Unit", "Until"),
            [
                (
                    output.clean(each["@id"]),
                    f"{each['used']:,}",
                    f"{each['left']:,}",
                    str(each["unit"]),
                    words.moment(each["until"]),
                )
                for each in found
            ],
        )


@app.command()
def show(ctx: typer.Context, *, number: Number, _data: Data = None, _json: AsJson = False) -> None:
    """Show a licence, and each transfer that was counted on it."""
    here = Invocation(ctx)
    found = here.connector.load("licences", number)
    if here.as_json:
        output.document(found)
        return
    output.pairs([("licence", found["@id"]), *_rows(found)])
    uses = found.get("uses") or []
    if uses:
        names = processes.partner_names(here)
        output.line("")
        output.table(
            ("Time", "Partner", "Asset", "Agreement", "Transfer", "Amount"),
            [
                (
                    words.moment(each["at"]),
                    people.called(names, each["counterPartyId"]),
                    ids.short(str(each["assetId"])),
                    ids.short(str(each["agreementId"])),
                    ids.short(str(each["transferId"])),
                    f"{each['amount']:,}",
                )
                for each in uses
            ],
        )


def _rows(licence: Document) -> list[tuple[str, object]]:
    return [
        ("used", f"{words.count(licence['used'], licence['unit'])} of {licence['quantity']:,}"),
        ("left", f"{licence['left']:,}"),
        ("until", words.moment(licence["until"])),
    ]
