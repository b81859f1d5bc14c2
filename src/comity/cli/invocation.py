"""What every command needs to know: the data folder, JSON or tables, and the connector it talks to.

`--data` and `--json` may stand at the command or at the group before it; the inner one wins.
"""

from __future__ import annotations

import os
import shlex
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from comity.client.connector import Connector
    from comity.settings import Settings

DEFAULT_FOLDER = Path("comity-data")
API_KEY = "COMITY_API_KEY"
"""The variable of a person's own API key; else commands use the one of the data folder, which is nobody's by name."""
_DATA_HELP = "Data folder of your connector; else the variable COMITY_DATA, else ./comity-data."

Data = Annotated[Path | None, typer.Option("--data", metavar="FOLDER", help=_DATA_HELP, show_default=False)]
AsJson = Annotated[
    bool, typer.Option("--json", metavar="", help="Print JSON for programs, with nothing left out.")
]


class Invocation:
    """The command as it was called; settings and connector are read when they are first asked for."""

    def __init__(self, ctx: typer.Context) -> None:
        self.folder: Path = _find(ctx, "_data") or DEFAULT_FOLDER
        self.as_json = bool(_find(ctx, "_json"))

    def command(self, *words: str) -> str:
        """Return a command line that a person can run next, naming the data folder where it must be named."""
        usual = Path(os.environ.get("COMITY_DATA") or DEFAULT_FOLDER)
        named = () if self.folder.absolute() == usual.absolute() else ("--data", str(self.folder))
        return shlex.join(["comity", *words, *named])

    @cached_property
    def settings(self) -> Settings:
        """The settings of the data folder."""
        from comity import errors, settings  # noqa: PLC0415  start-up time: brings the cryptography along

        try:
            return settings.load(self.folder)
        except errors.SettingsError as error:
            if not (self.folder / settings.FILE).exists():
                error.hint += "; or name its folder with --data or COMITY_DATA"
            raise

    @cached_property
    def connector(self) -> Connector:
        """A client of the connector's management API."""
        from comity.client import connector  # noqa: PLC0415  start-up time

        return connector.Connector(
            self.settings.management_address,
            os.environ.get(API_KEY) or self.settings.management_key,
            start_with=self.command("serve"),
        )


def _find(ctx: typer.Context, name: str) -> Any:
    here: Any = ctx
    while here is not None:
        if here.params.get(name):
            return here.params[name]
        here = here.parent
    return None
