"""`comity apikey`: keys for programs and people that use the management API, each with the role it needs.

A key is shown once, when it is made: the connector keeps only its digest.
"""

from __future__ import annotations

import enum
import time
from typing import Annotated

import typer

from comity.cli import output, words
from comity.cli.invocation import AsJson, Data, Invocation

DAY_MS = 24 * 3600 * 1000

app = typer.Typer(no_args_is_help=True, help="API keys: who may use your connector's management API.")


class Role(enum.StrEnum):
    """What a key may do; each role may do what the ones before it may."""

    VIEWER = "viewer"
    APPROVER = "approver"
    OPERATOR = "operator"
    ADMIN = "admin"


Name = Annotated[str, typer.Argument(metavar="NAME", help="Who will hold it, such as dashboard.")]
Wanted = Annotated[
    Role,
    typer.Option(
        "--role",
        metavar="ROLE",
        help="viewer reads; approver also decides where it is named; operator also offers, negotiates and"
        " transfers; admin also decides who may.",
        show_default=False,
    ),
]
Days = Annotated[
    int | None, typer.Option("--days", min=1, max=36_500, metavar="N", help="It ends after so many days.")
]


@app.command()
def add(
    ctx: typer.Context,
    *,
    name: Name,
    role: Wanted,
    days: Days = None,
    _data: Data = None,
    _json: AsJson = False,
) -> None:
    """Make a key and show it, this once."""
    here = Invocation(ctx)
    expires_at = None if days is None else int(time.time() * 1000) + days * DAY_MS
    made = here.connector.add_api_key(name, role.value, expires_at=expires_at)
    if here.as_json:
        output.document(made)
        return
    output.pairs(
        [
            ("added", made["@id"]),
            ("role", made["role"]),
            ("ends", _ends(made.get("expiresAt"))),
            ("key", made["key"]),
        ]
    )
    output.note("\nit is not shown again; send it as X-Api-Key")


@app.command("list")
def list_(ctx: typer.Context, *, _data: Data = None, _json: AsJson = False) -> None:
    """Show who holds a key; the one in keys/management.key is always there, and an admin's."""
    here = Invocation(ctx)
    keys = here.connector.api_keys()
    if here.as_json:
        output.document(keys)
    elif not keys:
        output.line(
            "no API keys beside keys/management.key; make one with: comity apikey add <name> --role viewer"
        )
    else:
        output.table(
            ("Name", "Role", "Begun", "Ends"),
            [
                (
                    output.clean(each["@id"]),
                    output.clean(each["role"]),
                    words.moment(each["createdAt"]),
                    _ends(each.get("expiresAt")),
                )
                for each in keys
            ],
        )


@app.command()
def remove(ctx: typer.Context, *, name: Name, _data: Data = None, _json: AsJson = False) -> None:
    """Remove a key: it opens nothing from then on."""
    here = Invocation(ctx)
    here.connector.remove_api_key(name)
    if here.as_json:
        output.document({"@id": name, "removed": True})
    else:
        output.line(f"removed {output.clean(name)}")


def _ends(expires_at: object) -> str:
    return "never" if expires_at is None else words.moment(expires_at)
