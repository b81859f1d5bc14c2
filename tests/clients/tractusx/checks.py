"""Named checks: each is printed as it comes, as `run.py` counts them; one failure does not hide the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any


class CheckError(Exception):
    """Something that was to hold did not."""


def run(table: Iterable[tuple[str, str, Callable[[Any], Any]]], world: Any) -> int:
    """Run a table of area, name and function; a function returns what was seen, or raises. Return how many failed."""
    failed = 0
    for area, name, check in table:
        try:
            seen = check(world)
        except Exception as error:  # noqa: BLE001  one failure must not hide the other checks
            failed += 1
            text = f"{type(error).__name__}: {error}"
            print(f"FAIL  {area}: {name}: {' '.join(text.split())[:600]}", flush=True)
        else:
            print(f"ok    {area}: {name}" + (f" ({seen})" if seen else ""), flush=True)
    return failed


def equal(found: Any, wanted: Any, what: str) -> None:
    """Refuse a value that is not the wanted one.

    Raises:
        CheckError: names both.
    """
    if found != wanted:
        raise CheckError(f"{what} is {found!r}, not {wanted!r}")


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 20.0) -> None:
    """Wait until a condition holds.

    Raises:
        CheckError: it did not become true in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise CheckError(f"waited {seconds:g} s for {what}")
        time.sleep(0.05)
