"""`comity deletions` and `comity delete`: what was received and is to be deleted again, and the order to do so.

The connector deletes, signs a receipt and sends it to the provider; here is only what people say and see.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from comity import errors
from comity.cli import ids, output, processes, words
from comity.cli.invocation import AsJson, Data, Invocation
from comity.client.connector import AGREEMENTS, TRANSFERS

Document = dict[str, Any]

What = Annotated[
    str, typer.Argument(metavar="ID", help="A transfer or an agreement, or how its id begins or ends.")
]
ByHand = Annotated[
    bool, typer.Option("--by-hand", metavar="", help="It is deleted already: only sign that, and tell.")
]
Overdue = Annotated[bool, typer.Option("--overdue", metavar="", help="Only what should be gone by now.")]


def deletions(
    ctx: typer.Context,
    *,
    overdue: Overdue = False,
    limit: processes.Limit = 50,
    _data: Data = None,
    _json: AsJson = False,
) -> None:
    """Show what is to be deleted, here and at partners, until when, and what has been."""
    here = Invocation(ctx)
    found = here.connector.deletions(limit=limit, overdue=overdue)
    if here.as_json:
        output.document(found)
    elif not found:
        output.line(
            "nothing is overdue" if overdue else "nothing was received that an agreement wants deleted"
        )
    else:
        _table(here, found)


def _table(here: Invocation, found: list[Document]) -> None:
    short, assets = ids.shorten([str(each["@id"]) for each in found]), processes.short_assets(found)
    names = processes.partner_names(here)
    output.table(
        ("Transfer", "Asset", "Where", "State", "Until", "Deleted"),
        [
            (
                short[each["@id"]],
                assets[str(each.get("assetId") or "")],
                "here"
                if each.get("type") == "CONSUMER"
                else names.get(str(each.get("counterPartyId")), str(each.get("counterPartyId"))),
                str(each.get("state", "")),
                words.moment(each.get("dueAt")),
                words.moment(each.get("deletedAt")),
            )
            for each in found
        ],
    )


def delete(
    ctx: typer.Context, *, what: What, by_hand: ByHand = False, _data: Data = None, _json: AsJson = False
) -> None:
    """Delete the files that a transfer, or all under an agreement, brought, and sign that to the provider.

    Nothing else in their folder is touched. A file that was changed since stays, and is named.
    """
    here = Invocation(ctx)
    done = here.connector.delete_received(*_find(here, what), by_hand=by_hand)
    if here.as_json:
        output.document(done)
        return
    for each in done:
        said = f"{words.count(int(each.get('files') or 0), 'file')}, {words.size(each.get('sizeBytes'))}"
        told = "a receipt is sent" + (", which says that it was done by hand" if by_hand else "")
        output.line(f"deleted what transfer {ids.tail(str(each['@id']))} brought: {said}; {told}")


def _find(here: Invocation, text: str) -> tuple[str, str]:
    """Return what the text names, `transferId` or `agreementId`, and the whole id."""
    try:
        return "transferId", processes.find(here, TRANSFERS, text)
    except errors.NotFoundError:
        return "agreementId", processes.find(here, AGREEMENTS, text)
