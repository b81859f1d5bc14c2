"""What partners say they saw of our own log: it must be in it, or our store is not the one that it was.

A partner that does not cosign shows the checkpoint of ours that it saw last. If we signed it, and our log does not
contain it, then records that others know of are lost here, by a file that was put back by hand say, or somebody else
signs with our key. A person has to look.
"""

from __future__ import annotations

import logging
from typing import Any

from comity.controlplane.connector import Connector
from comity.db import evidence, public_keys, tiles, witnessed
from comity.db.store import Transaction
from comity.db.witnessed import DENIED, Finding
from comity.evidence import checkpoint
from comity.evidence.checkpoint import Checkpoint

Document = dict[str, Any]

log = logging.getLogger(__name__)


async def find_known(
    connector: Connector, tx: Transaction, party: str, chain: int, answer: Document, *, denied: bool
) -> Checkpoint | None:
    """Return the checkpoint of ours that a partner shows, if our log contains it; else tell people."""
    text = answer.get("known")
    known = await signed_by_us(connector, tx, text)
    holds = known is not None and checkpoint.chain_of(known.origin) == chain and await contains(tx, known)
    if known is None and not denied:
        log.warning("%s asks for a proof from a checkpoint that is not ours", party)
    elif not holds:
        said = "does not contain a checkpoint that we signed" if known else "is said to have two faces"
        await tell(connector, tx, party, chain, f"our own log {said}: {_words(answer)}", str(text or ""))
    elif denied:
        log.warning("%s does not cosign our checkpoints: %s", party, _words(answer))
    return known if holds else None


async def signed_by_us(connector: Connector, tx: Transaction, text: Any) -> Checkpoint | None:
    """Return the checkpoint of ours that a note is, None if it is none."""
    try:
        note = checkpoint.parse(text if isinstance(text, str) else "")
        checkpoint.check(note, await public_keys.find_of(tx, connector.participant_id))
    except checkpoint.CheckpointError:
        return None
    found = note.checkpoint
    return found if checkpoint.is_of(found.origin, connector.participant_id) else None


async def contains(tx: Transaction, known: Checkpoint) -> bool:
    """Return whether the log that is here contains a checkpoint that we signed."""
    chain = checkpoint.chain_of(known.origin)
    head = await evidence.find_head(tx, chain)
    return known.size <= head.size and await tiles.hash_of(tx, chain, 0, known.size) == known.root


async def tell(connector: Connector, tx: Transaction, party: str, chain: int, said: str, known: str) -> None:
    """Keep what a partner says of our log, and tell people."""
    origin = checkpoint.origin(connector.participant_id, chain)
    if await witnessed.find_open(tx, party, origin, DENIED) is not None:
        return
    log.error("%s (by %s): if the store was put back, restore it with comity db restore", said, party)
    finding = Finding(
        id=connector.new_id(),
        participant_id=party,
        origin=origin,
        kind=DENIED,
        said=said,
        known=known[: checkpoint.MAX_CHARACTERS],
        shown="",
        found_at=connector.now_ms(),
    )
    await witnessed.add_finding(tx, finding)


def _words(answer: Document) -> str:
    reason = answer.get("reason")
    return reason[:300] if isinstance(reason, str) else "no reason is given"
