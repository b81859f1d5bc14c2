"""The checkpoints of a bundle, from the store: the newest of each chain, and those before it that somebody vouched for.

A time stamp of years ago says more of a record of years ago than one of today: so the first stamped and the first
cosigned checkpoint after each record go along. Signatures that the keys and certificates of the bundle do not show to
hold prove nothing to whoever reads it, and stay here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cryptography import x509

from comity.db import checkpoints, tiles
from comity.db.checkpoints import Made
from comity.db.store import Transaction
from comity.evidence import checkpoint, stamp
from comity.evidence.bundle import packed

Document = dict[str, Any]


class Heads:
    """Collects checkpoints; `keys` are those of the bundle, `trusted` certificates of its stamp authorities."""

    def __init__(self, partner: str, keys: Sequence[Document], trusted: list[x509.Certificate]) -> None:
        self._partner = partner
        self._keys = [each["jwk"] for each in keys if each["participantId"] == partner]
        self._trusted = trusted
        self.found: list[Document] = []

    async def add(self, tx: Transaction, head: Made, rows: Sequence[int]) -> None:
        """Add the newest checkpoint of a chain, and those before that cover records with these numbers."""
        if not rows:
            return
        earlier = {}
        for row in rows:
            for each in await checkpoints.find_vouched(tx, head.chain, row, self._partner):
                if each.size < head.size:
                    earlier[each.size] = each
        self.found.append(
            {
                "chain": head.chain,
                **await self._signed(tx, head),
                "earlier": [await self._earlier(tx, earlier[size], head.size) for size in sorted(earlier)],
            }
        )

    async def _earlier(self, tx: Transaction, made: Made, size: int) -> Document:
        proof = await tiles.prove_consistency(tx, made.chain, made.size, size)
        return {**await self._signed(tx, made), "consistency": [packed(each) for each in proof]}

    async def _signed(self, tx: Transaction, made: Made) -> Document:
        found: Document = {"note": made.note}
        read = checkpoint.parse(made.note).checkpoint
        cosigned = [
            {"participantId": each.participant_id, "line": each.line, "at": each.at}
            for each in await checkpoints.find_cosignatures(tx, made.chain, made.size)
            if each.participant_id == self._partner and self._holds(read, each.line)
        ]
        if cosigned:
            found["cosignatures"] = cosigned
        if made.stamp is not None and self._is_stamp(made.stamp, made.note):
            found["stamp"] = packed(made.stamp)
        return found

    def _holds(self, read: checkpoint.Checkpoint, line: str) -> bool:
        try:
            checkpoint.check_cosignature(read, line, checkpoint.key_name(self._partner), self._keys)
        except checkpoint.CheckpointError:
            return False
        return True

    def _is_stamp(self, response: bytes, note: str) -> bool:
        try:
            stamp.check(response, note, self._trusted)
        except stamp.StampError:
            return False
        return True
