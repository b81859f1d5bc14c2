"""Named checks with what was seen: printed as they come, counted, written as a table."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


class CheckError(Exception):
    """Something that was to hold did not."""


@dataclass(frozen=True)
class Check:
    """One check; `seen` says what was there, or what was missing."""

    name: str
    holds: bool
    seen: str


@dataclass
class Checks:
    """What a run has checked so far; `label` is printed before each line."""

    label: str
    done: list[Check] = field(default_factory=list)

    def step(self, name: str, check: Callable[[], str]) -> bool:
        """Run one check: it returns what was seen and raises where something does not hold."""
        try:
            found = Check(name, holds=True, seen=check())
        except Exception as error:  # noqa: BLE001  one failure must not hide the other checks
            found = Check(name, holds=False, seen=f"{type(error).__name__}: {error}"[:2000])
        self.done.append(found)
        print(f"{self.label}  {'ok  ' if found.holds else 'FAIL'}  {name}: {found.seen}", flush=True)
        return found.holds

    @property
    def failed(self) -> int:
        """How many did not hold."""
        return sum(not each.holds for each in self.done)


def equal(found: Any, wanted: Any, what: str) -> None:
    """Refuse a value that is not the wanted one.

    Raises:
        CheckError: names both.
    """
    if found != wanted:
        raise CheckError(f"{what} is {found!r}, not {wanted!r}")


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 20.0) -> Any:
    """Return the first true value of a condition.

    Raises:
        CheckError: it did not become true in time.
    """
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise CheckError(f"waited {seconds:g} s for {what}")
        time.sleep(0.02)
    return found
