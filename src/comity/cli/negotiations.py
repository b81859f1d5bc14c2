"""`comity negotiations`: what is being agreed or was, and a person's moves.

Which moves are allowed in which state is decided by the connector (`dsp.machine`), not here.
"""

from __future__ import annotations

from typing import Any

import typer

from comity.cli import groups, ids, output, people, processes, words
from comity.cli.invocation import AsJson, Data, Invocation
from comity.client.connector import NEGOTIATIONS

Document = dict[str, Any]

app = typer.Typer(
    cls=groups.Noun,
    invoke_without_command=True,
    subcommand_metavar="[ID | VERB ID]",
    help="Negotiations: list them, show one by its ID, or make a move in one.",
)


@app.callback()
def list_(
    ctx: typer.Context,
    *,
    limit: processes.Limit = 50,
    _data: Data = None,
    _json: AsJson = False,
) -> None:
    """Negotiations: list them, show one by its ID, or make a move in one."""
    processes.show_list(ctx, NEGOTIATIONS, limit, _table)


def _table(here: Invocation, found: list[Document]) -> None:
    short, assets = ids.shorten([str(each["@id"]) for each in found]), processes.short_assets(found)
    names = processes.partner_names(here)
    output.table(
        ("ID", "Partner", "Asset", "Role", "State", "Begun"),
        [
            (
                short[each["@id"]],
                names.get(each.get("counterPartyId", ""), str(each.get("counterPartyId"))),
                assets[str(each.get("assetId") or "")],
                str(each.get("type", "")).lower(),
                str(each.get("state", "")),
                words.moment(each.get("createdAt")),
            )
            for each in found
        ],
    )


@app.command()
def show(ctx: typer.Context, *, negotiation: processes.Id, _data: Data = None, _json: AsJson = False) -> None:
    """Show one negotiation (the word show may be left out)."""
    processes.show_one(ctx, NEGOTIATIONS, negotiation, _pairs)


def _pairs(here: Invocation, found: Document) -> list[tuple[str, Any]]:
    return [
        ("negotiation", found.get("@id")),
        ("state", found.get("state")),
        ("waits", str((found.get("approval") or {}).get("waitsFor") or "").removeprefix("waits ")),
        ("error", found.get("errorDetail")),
        ("our role", str(found.get("type", "")).lower()),
        ("partner", people.called(processes.partner_names(here), found.get("counterPartyId"))),
        ("asset", found.get("assetId")),
        ("agreement", found.get("contractAgreementId")),
        ("partner's id", found.get("correlationId")),
        ("begun", words.moment(found.get("createdAt"))),
    ]


processes.add_move(app, NEGOTIATIONS, "accept", "Accept the provider's last offer (as the consumer).")
processes.add_move(app, NEGOTIATIONS, "agree", "Agree to what was requested or accepted (as the provider).")
processes.add_move(
    app, NEGOTIATIONS, "verify", "Verify the agreement that the provider sent (as the consumer)."
)
processes.add_move(
    app, NEGOTIATIONS, "finalize", "Finalize the agreement that the consumer verified (as the provider)."
)
processes.add_move(app, NEGOTIATIONS, "terminate", "End a negotiation without an agreement.", reasoned=True)
