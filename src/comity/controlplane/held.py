"""What a connector that was restored from a backup must not do before its partners have said where they are.

Held processes send nothing but first messages (the same bytes as ever, which a partner takes once) and their end, and
take no move but their end. Who is asked, and what follows, is `reconcile`'s. A connector that was never restored
holds nothing and asks nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from comity import errors
from comity.controlplane import decide
from comity.db.outbox import Outgoing
from comity.db.store import Shared
from comity.dsp import terms

FIRST_MESSAGES_MS = 72 * 3600 * 1000
"""How long after a restore a first message may be one that was taken before: a partner sends no longer than that."""


class Released(Shared, frozen=True):
    """Announced after the commit: a process goes on, or has ended."""

    process_id: str


class Held:
    """Which processes are held, and when the store was restored (ms since 1970, 0 if never)."""

    def __init__(self) -> None:
        self.restored_at = 0
        self.names: set[str] = set()

    def notice(self, announced: Sequence[object]) -> None:
        """Let go what a committed step released; called in the event loop."""
        for event in announced:
            if isinstance(event, Released):
                self.names.discard(event.process_id)

    def hold(self, names: Iterable[str]) -> None:
        """Hold these processes and no others."""
        self.names = set(names)

    def keeps(self, row: Outgoing) -> bool:
        """Whether a message waits until its partner has said where it is."""
        return row.process_id in self.names and row.before is not None and row.leads_to != terms.TERMINATED

    def check(self, process_id: str, kind: str) -> bool:
        """Whether a process is held; a move of its end is the only one that it takes then.

        Raises:
            LocalProtocolError: it is held, and this is another one.
        """
        if process_id not in self.names:
            return False
        if kind != decide.TERMINATE:
            raise errors.LocalProtocolError(
                "this process is as it was in a backup, and its partner is not known to be where it was then",
                hint="comity db reconcile says where it is; ending it is possible at any time",
            )
        return True

    def recently(self, now_ms: int) -> bool:
        """Whether a first message may be one that was taken before the restore, and forgotten."""
        return self.restored_at > 0 and now_ms - self.restored_at < FIRST_MESSAGES_MS
