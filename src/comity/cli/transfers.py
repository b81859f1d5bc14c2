"""`comity transfers`: which data is, or was, handed over under which agreement, and a person's moves.

Which moves are allowed in which state is decided by the connector (`dsp.machine`), not here.
"""

from __future__ import annotations

from typing import Any

import typer

from comity.cli import groups, ids, output, people, processes, words
from comity.cli.invocation import AsJson, Data, Invocation
from comity.client.connector import TRANSFERS

Document = dict[str, Any]

app = typer.Typer(
    cls=groups.Noun,
    invoke_without_command=True,
    subcommand_metavar="[ID | VERB ID]",
    help="Transfers: list them, show one by its ID, or make a move in one.",
)


@app.callback()
def list_(
    ctx: typer.Context,
    *,
    limit: processes.Limit = 50,
    _data: Data = None,
    _json: AsJson = False,
) -> None:
    """Transfers: list them, show one by its ID, or make a move in one."""
    processes.show_list(ctx, TRANSFERS, limit, _table)


def _table(_: Invocation, found: list[Document]) -> None:
    short, assets = ids.shorten([str(each["@id"]) for each in found]), processes.short_assets(found)
    agreements = ids.shorten({str(each.get("contractId") or "") for each in found})
    output.table(
        ("ID", "Asset", "Agreement", "Role", "State", "Begun"),
        [
            (
                short[each["@id"]],
                assets[str(each.get("assetId") or "")],
                agreements[str(each.get("contractId") or "")],
                str(each.get("type", "")).lower(),
                str(each.get("state", "")),
                words.moment(each.get("createdAt")),
            )
            for each in found
        ],
    )


@app.command()
def show(ctx: typer.Context, *, transfer: processes.Id, _data: Data = None, _json: AsJson = False) -> None:
    """Show one transfer with its receipts (the word show may be left out)."""
    here = Invocation(ctx)
    name = processes.find(here, TRANSFERS, transfer)
    found = {**here.connector.load(TRANSFERS, name), "receipts": here.connector.receipts(name)}
    if here.as_json:
        output.document(found)
    else:
        output.pairs(_pairs(here, found))


def _pairs(here: Invocation, found: Document) -> list[tuple[str, Any]]:
    return [
        ("transfer", found.get("@id")),
        ("state", found.get("state")),
        ("error", found.get("errorDetail")),
        ("our role", str(found.get("type", "")).lower()),
        ("partner", people.called(processes.partner_names(here), found.get("counterPartyId"))),
        ("asset", found.get("assetId")),
        ("agreement", found.get("contractId")),
        ("kind", found.get("transferType")),
        ("purpose", found.get("purpose")),
        ("partner's id", found.get("correlationId")),
        ("begun", words.moment(found.get("createdAt"))),
        ("in this state", words.moment(found.get("stateTimestamp"))),
        *((f"{each.get('kind')} receipt", _said(each)) for each in found["receipts"]),
    ]


def _said(receipt: Document) -> str:
    what = f"{receipt.get('files')} files, {words.size(receipt.get('sizeBytes'))}"
    became = " ".join(filter(None, (receipt.get("state"), receipt.get("said"))))
    return f"{what}, {words.moment(receipt.get('at'))}: {became}"


processes.add_move(
    app, TRANSFERS, "suspend", "Hold a transfer: its token opens nothing until it is resumed.", reasoned=True
)
processes.add_move(app, TRANSFERS, "resume", "Let a suspended transfer go on.")
processes.add_move(
    app, TRANSFERS, "complete", "Say that a transfer is done; its token opens nothing any more."
)
processes.add_move(
    app, TRANSFERS, "terminate", "End a transfer for good; its token opens nothing any more.", reasoned=True
)
