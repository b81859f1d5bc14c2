"""What every command needs to know: the data folder, JSON or tables, and the connector it talks to.

`--data` and `--json` may stand at the command or at the group before it; the inner one wins.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from comity.client import finding

if TYPE_CHECKING:
    from comity.client.connector import Connector
    from comity.settings import Settings

DEFAULT_FOLDER = finding.DEFAULT_FOLDER
_DATA_HELP = "Data folder of your connector; else the variable COMITY_DATA, else ./comity-data."

Data = Annotated[Path | None, typer.Option("--data", metavar="FOLDER", help=_DATA_HELP, show_default=False)]
AsJson = Annotated[
    bool, typer.Option("--json", metavar="", help="Print JSON for programs, with nothing left out.")
]


class Invocation:
    """The command as it was called; settings and connector are read when they are first asked for."""

    def __init__(self, ctx: typer.Context) -> None:
        self.folder: Path = _find(ctx, "_data") or DEFAULT_FOLDER
        self._elsewhere = not _named(ctx) and bool(os.environ.get(finding.URL))
        self.as_json = bool(_find(ctx, "_json"))

    def command(self, *words: str) -> str:
        """Return a command line that a person can run next, naming the data folder where it must be named."""
        return finding.command(self.folder, *words)

    @cached_property
    def settings(self) -> Settings:
        """The settings of the data folder."""
        return finding.settings(self.folder)

    @cached_property
    def us(self) -> str:
        """The participant id of the connector."""
        if self._elsewhere:
            return str(self.connector.identity()["@id"])
        return self.settings.participant_id

    @cached_property
    def connector(self) -> Connector:
        """A client of the connector's management API: that of the data folder, or the one that COMITY_URL names."""
        from comity.client import connector  # noqa: PLC0415  start-up time

        return connector.Connector(data=None if self._elsewhere else self.folder)


def _find(ctx: typer.Context, name: str) -> Any:
    here: Any = ctx
    while here is not None:
        if here.params.get(name):
            return here.params[name]
        here = here.parent
    return None


def _named(ctx: typer.Context) -> bool:
    """Tell whether the command line itself names a data folder."""
    here: Any = ctx
    while here is not None:
        source = here.get_parameter_source("_data")
        if here.params.get("_data") and source is not None and source.name == "COMMANDLINE":
            return True
        here = here.parent
    return False
