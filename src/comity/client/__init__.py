"""A connector for programs, with and without `async`, and for the `comity` command.

    from comity.client import Connector

    got = Connector().partner("alpha").get("pump", to="pump")

A client speaks to your connector's management API and to nothing else. `calls`, `getting` and `reading` describe what
is asked; `blocking` (standard library) and `aio` (aiohttp) send it; `problems` are the errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from comity.client.aconnector import AsyncConnector, AsyncPartner
    from comity.client.connector import Connector, Partner
    from comity.client.problems import RevisionWarning
    from comity.client.saving import Got
    from comity.client.stages import ExchangeError, Progress
    from comity.client.tracing import Traced

__all__ = [
    "AsyncConnector",
    "AsyncPartner",
    "Connector",
    "ExchangeError",
    "Got",
    "Partner",
    "Progress",
    "RevisionWarning",
    "Traced",
]
_MODULES = {
    "AsyncConnector": "aconnector",
    "AsyncPartner": "aconnector",
    "Connector": "connector",
    "ExchangeError": "stages",
    "Got": "saving",
    "Partner": "connector",
    "Progress": "stages",
    "RevisionWarning": "problems",
    "Traced": "tracing",
}


def __getattr__(name: str) -> Any:
    """Load what is asked for, so that a command loads nothing else."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415  only here

    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
