"""The kit's table as the replaceable decisions that every connector has; everything else is decided by policy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from comity.controlplane.decide import ByPolicy, Move, NegotiationCase, TransferCase
from conformance.tck import table
from conformance.tck.table import Script

WAIT = Move()


class Scripted:
    """Decisions by the id of a dataset or an agreement."""

    def __init__(self) -> None:
        self._negotiations = {**table.PROVIDER_NEGOTIATIONS, **table.CONSUMER_NEGOTIATIONS}
        self._transfers = {**table.PROVIDER_TRANSFERS, **table.CONSUMER_TRANSFERS}
        self._versions: dict[tuple[str, str | None], set[int]] = defaultdict(set)
        self._others = ByPolicy()

    def negotiation(self, case: NegotiationCase) -> Move:
        """Return the next move in a negotiation."""
        found = case.negotiation
        if found.asset_id not in self._negotiations:
            return self._others.negotiation(case)
        return self._move(self._negotiations[found.asset_id], found.id, found.state, found.version)

    def transfer(self, case: TransferCase) -> Move:
        """Return the next move in a transfer."""
        found = case.transfer
        if found.agreement_id not in self._transfers:
            return self._others.transfer(case)
        return self._move(self._transfers[found.agreement_id], found.id, found.state, found.version)

    def _move(self, script: Script, process_id: str, state: str | None, version: int) -> Move:
        seen = self._versions[process_id, state]
        again = any(
            earlier < version for earlier in seen
        )  # a step that is run once more has the same version
        seen.add(version)
        return _row(script, state, again=again)


def _row(script: Mapping[str, Move], state: str | None, *, again: bool) -> Move:
    named = state or ""
    return script.get(table.AGAIN + named if again else named, WAIT)
