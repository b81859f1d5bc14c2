"""The `comity` command, put together from one module per noun.

The text of `comity --help`, the panels and the options before a command are here; every command is in its own module.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from comity.cli import (
    agreements,
    apikey,
    approvals,
    carry,
    catalog,
    db,
    deletions,
    events,
    evidence,
    explaining,
    framework,
    get,
    groups,
    identity,
    init,
    inquiries,
    join,
    licence,
    markings,
    negotiations,
    output,
    package,
    partner,
    publish,
    readings,
    received,
    revisions,
    serve,
    transfers,
    watch,
)

app = typer.Typer(
    cls=groups.Root,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

START, EXCHANGE, LOOK = "To begin", "To exchange", "To look and decide"

app.command(rich_help_panel=START)(init.init)
app.command(rich_help_panel=START)(join.join)
app.command(rich_help_panel=START)(serve.serve)
app.add_typer(partner.app, name="partner", rich_help_panel=START)
app.add_typer(licence.app, name="licence", rich_help_panel=START)
app.add_typer(apikey.app, name="apikey", rich_help_panel=START)
app.add_typer(db.app, name="db", rich_help_panel=START)
app.add_typer(framework.app, name="framework", rich_help_panel=EXCHANGE)
app.command(rich_help_panel=EXCHANGE)(publish.publish)
app.command(rich_help_panel=EXCHANGE)(watch.watch)
app.add_typer(package.app, name="package", rich_help_panel=EXCHANGE)
app.command(rich_help_panel=EXCHANGE)(markings.markings)
app.command(rich_help_panel=EXCHANGE)(catalog.catalog)
app.command(rich_help_panel=EXCHANGE)(get.get)
app.add_typer(carry.app, name="carry", rich_help_panel=EXCHANGE)
app.add_typer(negotiations.app, name="negotiations", rich_help_panel=LOOK)
app.add_typer(approvals.app, name="approvals", rich_help_panel=LOOK)
app.add_typer(inquiries.app, name="inquiries", rich_help_panel=LOOK)
app.add_typer(agreements.app, name="agreements", rich_help_panel=LOOK)
app.add_typer(received.app, name="received", rich_help_panel=LOOK)
app.add_typer(readings.app, name="readings", rich_help_panel=LOOK)
app.add_typer(revisions.app, name="revisions", rich_help_panel=LOOK)
app.add_typer(transfers.app, name="transfers", rich_help_panel=LOOK)
app.command(rich_help_panel=LOOK)(deletions.deletions)
app.command(rich_help_panel=LOOK)(deletions.delete)
app.command(rich_help_panel=LOOK)(events.events)
app.add_typer(explaining.app, name="policy", rich_help_panel=LOOK)
app.add_typer(identity.app, name="identity", rich_help_panel=LOOK)
app.add_typer(evidence.app, name="evidence", rich_help_panel=LOOK)


def _show_version(wanted: bool) -> None:
    if wanted:
        from comity import __version__  # noqa: PLC0415  only here

        output.line(f"comity {__version__}")
        raise typer.Exit


RootData = Annotated[
    Path | None,
    typer.Option(
        "--data",
        envvar="COMITY_DATA",
        metavar="FOLDER",
        help="Data folder of your connector; also after the command. Else ./comity-data.",
        show_default=False,
    ),
]
Version = Annotated[
    bool,
    typer.Option("--version", metavar="", callback=_show_version, is_eager=True, help="Print the version."),
]


@app.callback()
def root(_data: RootData = None, _version: Version = False) -> None:
    """Exchange technical data with partners, under agreements that hold.

    Start with: comity init --address https://connector.example

    Exit codes: 0 done, 1 failed, 2 wrong command or input,
    3 connector not reached, 4 refused by partner or policy, 5 not found,
    6 a hash or the evidence does not hold, 7 stopped watching (the work goes on).
    """


def run() -> None:
    """Run the command line; the process ends here."""
    app(prog_name="comity")
