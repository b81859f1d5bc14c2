"""`comity readings`: what programs read at partners without receiving it, and the end of one.

Readings are begun by those programs: whoever opens `comity://partner/asset/path`.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from comity.cli import ids, output, processes, words
from comity.cli.invocation import AsJson, Data, Invocation

Document = dict[str, Any]

app = typer.Typer(no_args_is_help=True, help="Readings: what is read at partners without being received.")

Id = Annotated[str, typer.Argument(metavar="ID", help="Its id, or how it begins or ends.")]


@app.command("list")
def list_(
    ctx: typer.Context, *, limit: processes.Limit = 50, _data: Data = None, _json: AsJson = False
) -> None:
    """Show what nobody has ended, the newest first."""
    here = Invocation(ctx)
    found = here.connector.find("readings", limit=limit)
    if here.as_json:
        output.document(found)
    elif not found:
        output.line("nothing is read at a partner")
    else:
        _table(here, found)


def _table(here: Invocation, found: list[Document]) -> None:
    short, assets = ids.shorten([str(each["@id"]) for each in found]), processes.short_assets(found)
    names = processes.partner_names(here)
    output.table(
        ("ID", "Partner", "Asset", "State", "Purpose", "Person", "Since"),
        [
            (
                short[str(each["@id"])],
                names.get(str(each["counterPartyId"]), str(each["counterPartyId"])),
                assets[str(each["assetId"])],
                "LOCKED" if each.get("locked") else str(each["stage"]),
                str(each.get("purpose") or ""),
                str(each.get("person") or ""),
                words.moment(each.get("createdAt")),
            )
            for each in found
        ],
    )


@app.command()
def end(ctx: typer.Context, *, reading: Id, _data: Data = None, _json: AsJson = False) -> None:
    """End one: whoever reads gets nothing more of it, and the partner is told."""
    here = Invocation(ctx)
    listed = [str(each["@id"]) for each in here.connector.find_all("readings")]
    name = ids.find(reading, listed, "reading", hint="comity readings list shows them")
    here.connector.end_reading(name)
    if here.as_json:
        output.document(here.connector.reading(name))
    else:
        output.line(f"reading {ids.tail(name)} has ended; its partner is told")
