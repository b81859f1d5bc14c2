"""`comity serve`: the connector itself, in the foreground, until it is told to stop.

Only the log is set up here; `comity.runtime` puts the connector together and runs it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from comity.cli.invocation import Data, Invocation


class Level(StrEnum):
    """How much the log says."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"


LogLevel = Annotated[Level, typer.Option("--log-level", help="How much the log on stderr says.")]


def serve(ctx: typer.Context, *, log_level: LogLevel = Level.INFO, _data: Data = None) -> None:
    """Run the connector until Ctrl-C or SIGTERM; it goes on with what it left unfinished."""
    import logging  # noqa: PLC0415  start-up time

    from comity import runtime  # noqa: PLC0415  brings web server, store and cryptography along

    logging.basicConfig(level=log_level.upper(), format="%(asctime)s %(levelname)s %(message)s")
    if log_level != Level.DEBUG:
        for name in ("alembic", "uvicorn"):  # they tell what only their makers want to know
            logging.getLogger(name).setLevel(logging.WARNING)
    runtime.serve(Invocation(ctx).settings)
