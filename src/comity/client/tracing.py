"""A trace of requests: which, how answered, how long it took, the ids in the answer, or why it was refused.

There are never keys or contents in it.

The query of a path is left out as well: what stands there may name a person.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from comity.client.steps import REFUSED

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
_LONGEST = 500


class Traced(NamedTuple):
    """A request that was made; `error` says why it was refused, or, with `status` 0, why nothing answered."""

    method: str
    path: str
    status: int
    ms: float
    ids: dict[str, str]
    error: str = ""

    def __str__(self) -> str:
        """Return it as a line."""
        outcome = str(self.status) if self.status else "no answer"
        outcome += f" ({self.error})" if self.error else ""
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
        """Tell how it was answered; the ids, or the reason of a refusal, are taken from the body."""
        if self._trace is not None:
            refused = status >= REFUSED
            self._tell(status, {} if refused else _ids(body), _reason(body) if refused else "")

    def failed(self, why: str) -> None:
        """Tell that there was no answer."""
        self._tell(0, {}, why)

    def _tell(self, status: int, ids: dict[str, str], error: str) -> None:
        if self._trace is not None:
            ms = (time.monotonic() - self._began) * 1000
            self._trace(Traced(self._method, self._path, status, ms, ids, error))


def _reason(body: bytes) -> str:
    """Return what an error of the management API says, and the terms that it names."""
    try:
        listed: Any = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    found = [each for each in (listed if isinstance(listed, list) else [listed]) if isinstance(each, dict)]
    said = [str(each.get("message") or "") for each in found]
    reasons = [each["reasons"] for each in found if isinstance(each.get("reasons"), list)]
    said += [str(term) for terms in reasons for term in terms]
    return " ".join("; ".join(filter(None, said)).split())[:_LONGEST]


def _ids(body: bytes) -> dict[str, str]:
    if not body.startswith(b"{") or len(body) > _LARGEST:
        return {}
    try:
        found: Any = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    said = found if isinstance(found, dict) else {}
    return {name: value for name in _IDS if isinstance(value := said.get(name), str) and value}
