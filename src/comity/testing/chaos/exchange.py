"""What the proxy keeps of a message (what came, what was done with it, what each side saw), and what it reads in it.

It reads names of the Dataspace Protocol in any spelling, and only to know which process a message is about.
"""

from __future__ import annotations

import json
import re
from typing import Any

from msgspec import Struct

from comity.testing.record import Message

OF_A_PROCESS = re.compile(r"/(?:negotiations|transfers)/.*", re.DOTALL)
PIDS = ("consumerPid", "providerPid")
ENDS = (
    "ContractNegotiationTerminationMessage",
    "TransferCompletionMessage",
    "TransferTerminationMessage",
)
EVENT = "ContractNegotiationEventMessage"
FINALIZED = "FINALIZED"


class Exchange(Struct, frozen=True, kw_only=True):
    """One request through a door, of those about negotiations and transfers.

    `fault` is what was done with it, empty for nothing. `messages` is what the sender saw, and then each time that it
    was passed on with what the receiver answered; one for both where nothing was done. A copy that was passed on after
    the sender had its answer is an exchange of its own: `copy_of` is the number of the first one, no sender saw it.
    """

    number: int
    fault: str = ""
    copy_of: int | None = None
    messages: tuple[Message, ...] = ()


class About(Struct, frozen=True):
    """Which process a message is about, by the ids that it names, and whether it ends that process when it is taken."""

    pids: tuple[str, ...] = ()
    ends: bool = False


NOTHING = About()


def below_base(target: str) -> str | None:
    """Return the path of a message below the connector's base address; None if it is not about a process."""
    found = OF_A_PROCESS.search(target)
    return found[0] if found else None


def about(body: bytes) -> About:
    """Read what a message is about; what cannot be read is about nothing."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return NOTHING
    if not isinstance(document, dict):
        return NOTHING
    named = {_bare(name): value for name, value in document.items()}
    kind = _bare(_text(named.get("@type")))
    ends = kind in ENDS or (kind == EVENT and _bare(_text(named.get("eventType"))) == FINALIZED)
    return About(tuple(pid for name in PIDS if (pid := _text(named.get(name)))), ends)


def _bare(name: str) -> str:
    """Return a name without the prefix or namespace that versions and connectors write it with."""
    return name if name.startswith("@") else name.rsplit("/", 1)[-1].rsplit(":", 1)[-1]


def _text(value: Any) -> str:
    if isinstance(value, list) and value:
        value = value[0]
    if isinstance(value, dict):
        value = value.get("@id", value.get("@value"))
    return value if isinstance(value, str) else ""
