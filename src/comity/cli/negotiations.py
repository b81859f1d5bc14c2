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
    if ctx.invoked_subcommand is not None:
        return
    here = Invocation(ctx)
    found = here.connector.find(NEGOTIATIONS, limit=limit)
    if here.as_json:
        output.document(found)
    elif not found:
        output.line("no negotiations yet; comity get <partner> <asset> -o <folder> begins one")
    else:
        _table(here, found)
        processes.more(here, found, limit)


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
    here = Invocation(ctx)
    found = here.connector.load(NEGOTIATIONS, processes.find(here, NEGOTIATIONS, negotiation))
    if here.as_json:
        output.document(found)
        return
    output.pairs(
        [
            ("negotiation", found.get("@id")),
            ("state", found.get("state")),
            ("error", found.get("errorDetail")),
            ("our role", str(found.get("type", "")).lower()),
            ("partner", people.called(processes.partner_names(here), found.get("counterPartyId"))),
            ("asset", found.get("assetId")),
            ("agreement", found.get("contractAgreementId")),
            ("partner's id", found.get("correlationId")),
            ("begun", words.moment(found.get("createdAt"))),
        ]
    )


@app.command()
def accept(
    ctx: typer.Context, *, negotiation: processes.Id, _data: Data = None, _json: AsJson = False
) -> None:
    """Accept the provider's last offer (as the consumer)."""
    processes.move(Invocation(ctx), NEGOTIATIONS, negotiation, "accept")


@app.command()
def agree(
    ctx: typer.Context, *, negotiation: processes.Id, _data: Data = None, _json: AsJson = False
) -> None:
    """Agree to what was requested or accepted (as the provider)."""
    processes.move(Invocation(ctx), NEGOTIATIONS, negotiation, "agree")


@app.command()
def verify(
    ctx: typer.Context, *, negotiation: processes.Id, _data: Data = None, _json: AsJson = False
) -> None:
    """Verify the agreement that the provider sent (as the consumer)."""
    processes.move(Invocation(ctx), NEGOTIATIONS, negotiation, "verify")


@app.command()
def finalize(
    ctx: typer.Context, *, negotiation: processes.Id, _data: Data = None, _json: AsJson = False
) -> None:
    """Finalize the agreement that the consumer verified (as the provider)."""
    processes.move(Invocation(ctx), NEGOTIATIONS, negotiation, "finalize")


@app.command()
def terminate(
    ctx: typer.Context,
    *,
    negotiation: processes.Id,
    reason: processes.Reason = "",
    _data: Data = None,
    _json: AsJson = False,
) -> None:
    """End a negotiation without an agreement."""
    processes.move(Invocation(ctx), NEGOTIATIONS, negotiation, "terminate", reason)
