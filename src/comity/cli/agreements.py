"""`comity agreements`: what was agreed with whom, about what, under which terms.

A list, or one by its id or the beginning of it. Agreements are never changed; one can be retired.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from comity.cli import groups, ids, output, people, processes, words
from comity.cli.invocation import AsJson, Data, Invocation
from comity.client.connector import AGREEMENTS

Document = dict[str, Any]
_MS = 1000

app = typer.Typer(
    cls=groups.Noun,
    invoke_without_command=True,
    subcommand_metavar="[ID]",
    help="Agreements: list them, show one by its ID, retire one.",
)

Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why: the partner is told.", show_default=False)]


@app.callback()
def list_(
    ctx: typer.Context,
    *,
    limit: processes.Limit = 50,
    _data: Data = None,
    _json: AsJson = False,
) -> None:
    """Agreements: list them, or show one by its ID."""
    processes.show_list(ctx, AGREEMENTS, limit, _table, get="negotiates")


def _table(here: Invocation, found: list[Document]) -> None:
    short, assets = ids.shorten([str(each["@id"]) for each in found]), processes.short_assets(found)
    names = processes.partner_names(here)
    us = here.us
    output.table(
        ("ID", "Partner", "Asset", "Terms", "Signed"),
        [
            (
                short[each["@id"]],
                names.get(_partner(each, us), _partner(each, us)),
                assets[str(each.get("assetId") or "")],
                words.terms(each.get("policy"), us=us, names=names),
                _signed(each)[: len("2026-11-24")],
            )
            for each in found
        ],
    )


@app.command()
def show(ctx: typer.Context, *, agreement: processes.Id, _data: Data = None, _json: AsJson = False) -> None:
    """Show one agreement (the word show may be left out)."""
    processes.show_one(ctx, AGREEMENTS, agreement, _pairs)


@app.command()
def retire(
    ctx: typer.Context, *, agreement: processes.Id, reason: Reason, _data: Data = None, _json: AsJson = False
) -> None:
    """Retire an agreement: nothing is transferred under it any more, what is open ends; it stays agreed."""
    here = Invocation(ctx)
    named = processes.find(here, AGREEMENTS, agreement)
    here.connector.request("POST", f"{AGREEMENTS}/retirements", {"agreementId": named, "reason": reason})
    if here.as_json:
        output.document({"agreementId": named, "reason": reason})
    else:
        output.line(f"retired agreement {named}; nothing is transferred under it any more")


def _pairs(here: Invocation, found: Document) -> list[tuple[str, Any]]:
    us = here.us
    return [
        ("agreement", found.get("@id")),
        (
            "partner's id",
            found.get("agreementId") if found.get("agreementId") != found.get("@id") else "",
        ),
        ("our role", "provider" if found.get("providerId") == us else "consumer"),
        ("partner", people.called(processes.partner_names(here), _partner(found, us))),
        ("asset", found.get("assetId")),
        ("terms", words.terms(found.get("policy"), us=us)),
        *words.enforced(found.get("policy")),
        ("signed", _signed(found)),
    ]


def _partner(agreement: Document, us: str) -> str:
    provider = str(agreement.get("providerId") or "")
    return str(agreement.get("consumerId") or "") if provider == us else provider


def _signed(agreement: Document) -> str:
    signed_s = agreement.get("contractSigningDate")
    return words.moment(signed_s * _MS) if isinstance(signed_s, int) else ""
