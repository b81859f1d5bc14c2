"""Data planes on the wire (EDC's selector API): there is one, in this process, and it cannot be changed.

Its transfer types are those of the catalog's distributions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from comity import errors
from comity.management import wire

Document = dict[str, Any]
OWN = "comity"
SOURCES = ("HttpData", "File")


def encode(address: str, formats: Sequence[str], now_ms: int) -> Document:
    """Write our data plane as it is now."""
    return wire.document(
        "DataPlaneInstance",
        OWN,
        url=address,
        state="AVAILABLE",
        stateTimestamp=now_ms,
        lastActive=now_ms,
        allowedSourceTypes=list(SOURCES),
        allowedTransferTypes=list(formats),
        destinationProvisionTypes=[],
    )


def refuse() -> errors.InvalidInputError:
    """Return the error for a data plane that somebody wants to register."""
    return errors.InvalidInputError(
        "no data plane can be registered: this connector serves and receives data itself",
        hint="there is nothing to do: GET dataplanes shows it",
    )
