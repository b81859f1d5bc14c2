"""A sequence diagram in plain text, made from what crossed the wire between two connectors.

Each request is an arrow with its message and the states that the answer names; ids are replaced by short names in the
order of their appearance, so that two runs draw the same picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from interop.edc.relay import Crossing

WIDTH = 66
NAMES = ("consumerPid", "providerPid")


def draw(crossings: Iterable[Crossing], left: str, right: str) -> str:
    """Return the diagram with `left` and `right` as its two columns."""
    head = f"{left}{' ' * (WIDTH + 2 - len(right))}{right}"
    margin = " " * (len(left) // 2)
    lines = [head]
    for each in crossings:
        lines += [
            f"{margin}|{_arrow(each, left)}|",
            *(f"{margin}|{_centre(note)}|" for note in _answer(each)),
        ]
    return "\n".join(line.rstrip() for line in lines)


def _arrow(crossing: Crossing, left: str) -> str:
    said = f" {label(crossing)} "
    dashes = "-" * max(0, WIDTH - len(said) - 3)
    return f"-{said}{dashes}->" if crossing.sender == left else f"<-{dashes}{said}-"


def _centre(text: str) -> str:
    return text.center(WIDTH)


def label(crossing: Crossing) -> str:
    """Return the message of a request, or its method and path where it has none."""
    message = crossing.message
    if isinstance(message, dict) and isinstance(message.get("@type"), str):
        event = message.get("eventType")
        return f"{message['@type']} {event}" if isinstance(event, str) else str(message["@type"])
    sent = f", {len(crossing.request):,} bytes" if crossing.request else ""
    return f"{crossing.method} {place(crossing.path)}{sent}"


def place(path: str) -> str:
    """Return a path without its ids: `/negotiations/<id>/events`."""
    parts = path.partition("?")[0].split("/")
    return "/".join("<id>" if _is_id(part) else part for part in parts)


def _is_id(part: str) -> bool:
    return part.startswith("urn:") or (len(part) == 36 and part.count("-") == 4)


def _answer(crossing: Crossing) -> Sequence[str]:
    """Return the lines below an arrow: status and state of the answer."""
    answer: Any = crossing.answered
    state = answer.get("state") if isinstance(answer, dict) else None
    kind = answer.get("@type") if isinstance(answer, dict) and not state else None
    told = state or kind or (f"{len(crossing.answer):,} bytes" if crossing.answer and answer is None else "")
    return [f"{crossing.status} {told}".strip()]
