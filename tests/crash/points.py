"""The points at which a connector can be ended, and the plan that tells one of ours where to end.

The plan is a file beside the data folder: a list of (point, message, number). A process that runs `crash.dying` looks
at its first entry whenever it passes a point, and at the n-th passing takes it out and ends with `os._exit(137)`.
A message is named by its type, with its event, and `(first)` where a message that begins a negotiation may also come
later in one.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

from comity.dsp import machine, terms

EXIT = 137
BEFORE_COMMIT, AFTER_COMMIT = "sender: before commit", "sender: after commit"
BEFORE_SEND, AFTER_SEND = "sender: between claim and send", "sender: after send"
BEFORE_ACK = "sender: before the acknowledgement is recorded"
BEFORE_RECEIPT, BEFORE_REPLY, AFTER_REPLY = (
    "receiver: before commit",
    "receiver: before reply",
    "receiver: after reply",
)
AT_SENDER = (BEFORE_COMMIT, AFTER_COMMIT, BEFORE_SEND, AFTER_SEND, BEFORE_ACK)
AT_RECEIVER = (BEFORE_RECEIPT, BEFORE_REPLY, AFTER_REPLY)

FIRST = " (first)"
BEGINNINGS = (machine.REQUEST, machine.OFFER)
COLLECTIONS = {"negotiations": terms.NEGOTIATION, "transfers": terms.TRANSFER}


class Plan(NamedTuple):
    """End at the `number`-th passing of `point` with `message`."""

    point: str
    message: str
    number: int = 1


def name(message: str, *, first: bool) -> str:
    """Return the name of a message by its name in the state machine."""
    return message + FIRST if first and message in BEGINNINGS else message


def name_of(path: str, body: bytes) -> str:
    """Return the name of a message that is sent to `path`, empty if it is none of a process."""
    parts = path.partition("/dsp/2025-1/")[2].split("/")
    if parts[0] not in COLLECTIONS or not body:
        return ""
    document = json.loads(body)
    event = f":{document['eventType']}" if "eventType" in document else ""
    return name(document["@type"] + event, first=len(parts) == 2)


class Points:
    """Where a process under test may end; `file` holds its plan, if there is one."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._passed: dict[str, int] = {}

    def due(self, point: str, message: str) -> bool:
        """Count a passing and return whether the process has to end now; its plan is shorter then."""
        try:
            text = self._file.read_text()
        except FileNotFoundError:
            return False
        plans = [Plan(*each) for each in json.loads(text)]
        if not plans or plans[0][:2] != (point, message):
            return False
        self._passed[text] = self._passed.get(text, 0) + 1
        if self._passed[text] < plans[0].number:
            return False
        write(self._file, plans[1:])
        return True

    def pass_by(self, point: str, message: str) -> None:
        """Pass a point, or end there."""
        if self.due(point, message):
            end()


def end() -> None:
    """End at once: nothing is closed, flushed or said."""
    os._exit(EXIT)


def write(file: Path, plans: list[Plan]) -> None:
    """Put down where the process is to end next; an empty list lets it live."""
    if not plans:
        file.unlink(missing_ok=True)
        return
    unfinished = file.with_suffix(".new")
    unfinished.write_text(json.dumps(plans))
    unfinished.rename(file)
