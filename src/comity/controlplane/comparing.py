"""Compares what somebody else saw of a partner's log with what we saw: so two faces for two partners are found out.

A person brings the other's note, from a bundle say. Of one size both must be the same tree; else the partner is asked
to prove that the smaller is the beginning of the larger, which a log with one face always can.
"""

from __future__ import annotations

import base64
import logging
from typing import Any

from comity import errors, strict_json
from comity.controlplane import denials, notify, witnessing
from comity.controlplane.connector import Connector
from comity.db import partners, public_keys, tiles, witnessed
from comity.db.outbox import Outgoing
from comity.db.partners import Partner
from comity.db.store import Transaction
from comity.evidence import checkpoint, tree, witness
from comity.evidence.checkpoint import Checkpoint
from comity.evidence.witness import Verdict

Document = dict[str, Any]
NOTICE = "comity:ConsistencyNotice"
log = logging.getLogger(__name__)
ASKED, UNSEEN = "ASKED", "UNSEEN"


async def compare(connector: Connector, text: str) -> str:
    """Compare a partner's checkpoint that was shown to somebody else; return SEEN, FORKED, ASKED or UNSEEN.

    ASKED: the partner is asked for a proof, and there will be a finding, CONSISTENT or FORKED.

    Raises:
        InvalidInputError: it is no checkpoint, or none that a partner signed.
    """
    head = _read(text)

    async def unit(tx: Transaction) -> str:
        partner = await _signer(tx, text, head)
        if await witnessed.find_of_size(tx, partner.id, head.origin, head.size, head.root):
            return witness.SEEN
        same = await witnessed.find_of_size(tx, partner.id, head.origin, head.size)
        if same is not None:
            verdict = Verdict(witness.FORKED, f"two different trees of {head.size} records are signed")
            await witnessing.find(connector, tx, partner, verdict, known=same.note, shown=text)
            return witness.FORKED
        last = await witnessed.find_last(tx, partner.id, head.origin)
        if last is None:
            return UNSEEN
        older, newer = (text, last.note) if head.size < last.size else (last.note, text)
        await notify.send(connector, tx, partner, {"@type": NOTICE, "older": older, "newer": newer})
        return ASKED

    return await connector.database.write(unit)


def _read(text: Any, name: str = "checkpoint") -> Checkpoint:
    try:
        return checkpoint.parse(text if isinstance(text, str) else "").checkpoint
    except checkpoint.CheckpointError as error:
        raise errors.InvalidInputError(error.message, path=f"$.{name}") from None


async def _signer(tx: Transaction, text: str, head: Checkpoint) -> Partner:
    for each in await partners.find_all(tx):
        if checkpoint.is_of(head.origin, each.id):
            try:
                checkpoint.check(
                    checkpoint.parse(text), [*await public_keys.find_of(tx, each.id), *each.keys]
                )
            except checkpoint.CheckpointError as error:
                raise errors.InvalidInputError(error.message, path="$.checkpoint") from None
            return each
    raise errors.InvalidInputError(f"{head.origin[:200]} is no log of a partner", path="$.checkpoint")


async def receive(connector: Connector, tx: Transaction, partner: Partner, notice: Document) -> Document:
    """Prove that one checkpoint of ours goes on from another.

    Raises:
        InvalidInputError: they are not two of one log of ours.
    """
    older = await denials.signed_by_us(connector, tx, notice.get("older"))
    newer = await denials.signed_by_us(connector, tx, notice.get("newer"))
    if older is None or newer is None or older.origin != newer.origin or older.size >= newer.size:
        raise errors.InvalidInputError(
            "these are not two checkpoints of one log of ours, the older one first"
        )
    chain = checkpoint.chain_of(older.origin)
    for each, name in ((older, "older"), (newer, "newer")):
        if not await denials.contains(tx, each):
            said = f"our own log does not contain a checkpoint of {each.size} records that we signed"
            await denials.tell(connector, tx, partner.id, chain, said, notice[name])
            return {"consistency": []}
    proof = await tiles.prove_consistency(tx, chain, older.size, newer.size)
    return {"consistency": [base64.b64encode(each).decode() for each in proof]}


async def answered(connector: Connector, tx: Transaction, row: Outgoing, answer: Document) -> None:
    """Keep whether the partner has proven it.

    Raises:
        InvalidInputError: the answer is none.
    """
    notice, proof = strict_json.decode_object(row.body), witnessing.hashes(answer)
    older, newer = _read(notice["older"]), _read(notice["newer"])
    partner = await partners.find(tx, row.counterparty_id)
    if partner is None:
        return
    try:
        tree.check_consistency(older.size, older.root, newer.size, newer.root, proof)
        said = (
            f"the tree of {newer.size} records contains that of {older.size}, which is what others were shown"
        )
        verdict = Verdict(witness.CONSISTENT, said)
    except tree.TreeError:
        said = f"the tree of {newer.size} records does not contain that of {older.size}, which somebody else was shown"
        verdict = Verdict(witness.FORKED, said)
    await witnessing.find(connector, tx, partner, verdict, known=notice["older"], shown=notice["newer"])


async def refused(connector: Connector, tx: Transaction, row: Outgoing, reason: str) -> None:  # noqa: ARG001  a kind's
    """A partner does not answer: nothing is shown by that, and nothing proven."""
    log.warning(
        "%s was asked for a proof that its log has one face, and gave none: %s", row.counterparty_id, reason
    )
