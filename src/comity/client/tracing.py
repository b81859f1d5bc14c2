"""A trace of requests: which, how answered, how long it took, and the ids in the answer; never keys or contents.

The query of a path is left out as well: what stands there may name a person.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

_IDS = (
    "@id",
    "agreementId",
    "contractAgreementId",
    "contractId",
    "correlationId",
    "exchangeId",
    "negotiationId",
    "transferId",
)
_LARGEST = 1 << 20


class Traced(NamedTuple):
    """A request that was made; `status` is 0 where nothing answered, and then `error` says why."""

    method: str
    path: str
    status: int
    ms: float
    ids: dict[str, str]
    error: str = ""

    def __str__(self) -> str:
        """Return it as a line."""
        outcome = str(self.status) if self.status else f"no answer ({self.error})"
        ids = "".join(f" {name}={value}" for name, value in self.ids.items())
        return f"{self.method} {self.path} {outcome} in {self.ms:.0f} ms{ids}"


Trace = Callable[[Traced], object]


def choose(trace: bool | Trace | None) -> Trace | None:  # noqa: FBT001  True is the usual one
    """Return who is told of requests: True prints them to the error stream."""
    if trace is True:
        return lambda traced: print(traced, file=sys.stderr)  # noqa: T201  it is what was asked for
    return trace or None


class Asked:
    """A request that is on its way, for the one who is told of it (None: nobody)."""

    def __init__(self, trace: Trace | None, method: str, path: str) -> None:
        self._trace = trace
        self._method = method
        self._path = path.partition("?")[0]
        self._began = time.monotonic()

    def answered(self, status: int, body: bytes = b"") -> None:
        """Tell how it was answered; the ids are taken from the body."""
        self._tell(status, _ids(body) if self._trace else {}, "")

    def failed(self, why: str) -> None:
        """Tell that there was no answer."""
        self._tell(0, {}, why)

    def _tell(self, status: int, ids: dict[str, str], error: str) -> None:
        if self._trace is not None:
            ms = (time.monotonic() - self._began) * 1000
            self._trace(Traced(self._method, self._path, status, ms, ids, error))


def _ids(body: bytes) -> dict[str, str]:
    if not body.startswith(b"{") or len(body) > _LARGEST:
        return {}
    try:
        found: Any = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    said = found if isinstance(found, dict) else {}
    return {name: value for name in _IDS if isinstance(value := said.get(name), str) and value}
