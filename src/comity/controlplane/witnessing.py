"""Partners' checkpoints: checked against what was seen of their logs before, cosigned, and kept.

A log that shows two faces, or goes back, is found out here: both signed notes are kept, people are told, and nothing of
that log is cosigned until a person has acknowledged it. Then what the partner showed last is where it goes on from. How
two checkpoints are compared is `evidence.witness`.
"""

from __future__ import annotations

import base64
import logging
from hashlib import sha256
from typing import Any

from comity import errors
from comity.controlplane.checkpoints import REFUSED, UNKNOWN_KEY
from comity.controlplane.connector import Connector
from comity.db import events, evidence, public_keys, witnessed
from comity.db.partners import Partner
from comity.db.store import Transaction
from comity.db.witnessed import Finding, Seen
from comity.evidence import checkpoint, witness
from comity.evidence.checkpoint import Checkpoint
from comity.evidence.entry import Entry
from comity.evidence.witness import Since, Verdict
from comity.management import events as forms

Document = dict[str, Any]
MOST_HASHES, MOST_RECORDS = 128, 10**18
_LOUD = {witness.FORKED: logging.ERROR, witness.RESTARTED: logging.WARNING, witness.CONSISTENT: logging.INFO}

log = logging.getLogger(__name__)


class Shown:
    """A partner's checkpoint as it is shown now: the note, and the proof that it goes on from another one."""

    def __init__(self, partner: Partner, notice: Document) -> None:
        """Read a notice.

        Raises:
            InvalidInputError: it is malformed, or about a log that is not the partner's.
        """
        self.partner = partner
        self.text = _text(notice, "checkpoint")
        try:
            self.note = checkpoint.parse(self.text)
        except checkpoint.CheckpointError as error:
            raise errors.InvalidInputError(error.message, path="$.checkpoint") from None
        self.head = self.note.checkpoint
        if not checkpoint.is_of(self.head.origin, partner.id):
            raise errors.InvalidInputError(
                f"{self.head.origin[:200]} is no log of {partner.id}", path="$.checkpoint"
            )
        self.log = checkpoint.origin(partner.id, checkpoint.chain_of(self.head.origin))
        self.since = _since(partner, notice)
        self.proof = hashes(notice)


async def receive(connector: Connector, tx: Transaction, partner: Partner, notice: Document) -> Document:
    """Take a partner's checkpoint, and answer with our cosignature, or with why there is none.

    Raises:
        InvalidInputError: the notice is malformed, or its signature does not hold.
    """
    shown = Shown(partner, notice)
    keys = [*await public_keys.find_of(tx, partner.id), *partner.keys]
    try:
        checkpoint.check(shown.note, keys)
    except checkpoint.UnknownKeyError as error:
        return {"state": UNKNOWN_KEY, "reason": error.message}
    except checkpoint.CheckpointError as error:
        raise errors.InvalidInputError(error.message, path="$.checkpoint") from None
    fork = await witnessed.find_open(tx, partner.id, shown.log)
    if fork is not None:
        return {
            "state": REFUSED,
            "reason": f"nobody has looked yet at this: {fork.said}",
            "known": fork.known,
        }
    last = await witnessed.find_last_of_chain(tx, partner.id, shown.log)
    return await _answer(connector, tx, shown, last, await _judge(tx, shown, last))


async def _judge(tx: Transaction, shown: Shown, last: Seen | None) -> Verdict:
    party, head = shown.partner.id, shown.head
    repeated = await witnessed.find_of_size(tx, party, head.origin, head.size, head.root) is not None
    if last is not None and last.origin != head.origin and not repeated:
        known = await witnessed.find_of_size(tx, party, shown.since.origin, shown.since.size)
        return witness.judge_anew(head, _head(last), _head(known) if known else None, proof=shown.proof)
    same = _head(last) if last else None
    found = witness.judge(head, same, repeated=repeated, since=shown.since, proof=shown.proof)
    if found.name != witness.COMPARE or last is None:
        return found
    await witnessed.note_asked(tx, last)
    return witness.unproven(head, _head(last)) if last.asked else found


def _head(seen: Seen) -> Checkpoint:
    return Checkpoint(seen.origin, seen.size, seen.root)


async def _answer(
    connector: Connector, tx: Transaction, shown: Shown, last: Seen | None, verdict: Verdict
) -> Document:
    answer: Document = {"state": verdict.name, **({"reason": verdict.said} if verdict.said else {})}
    if verdict.name in {witness.FORKED, witness.RESTARTED}:
        known = last.note if last else ""
        await find(connector, tx, shown.partner, verdict, known=known, shown=shown.text)
    if verdict.name in {witness.COSIGNED, witness.RESTARTED}:
        key, now_ms = connector.signing_keys.signing_key(), connector.now_ms()
        name = checkpoint.key_name(connector.participant_id)
        answer["cosignature"] = line = checkpoint.cosign(shown.head, name, key, time_s=now_ms // 1000)
        await _keep(tx, shown, line, now_ms)
    elif last is not None:
        answer["known"] = last.note
    return answer


async def _keep(tx: Transaction, shown: Shown, cosignature: str, now_ms: int) -> None:
    head = shown.head
    seen = Seen(
        participant_id=shown.partner.id,
        origin=head.origin,
        size=head.size,
        root=head.root,
        note=shown.text,
        cosignature=cosignature,
        seen_at=now_ms,
    )
    await witnessed.add_seen(tx, seen)


async def find(
    connector: Connector, tx: Transaction, partner: Partner, verdict: Verdict, *, known: str, shown: str
) -> None:
    """Keep what was found out of a partner's log, with both notes, in the evidence too, and tell people."""
    finding = Finding(
        id=connector.new_id(),
        participant_id=partner.id,
        origin=checkpoint.parse(shown).checkpoint.origin,
        kind=verdict.name,
        said=verdict.said,
        known=known,
        shown=shown,
        found_at=connector.now_ms(),
        acknowledged_at=connector.now_ms() if verdict.name == witness.CONSISTENT else None,
    )
    log.log(
        _LOUD[verdict.name],
        "the log %s of %s: %s",
        finding.origin,
        partner.name,
        verdict.said,
    )
    await witnessed.add_finding(tx, finding)
    await events.add(
        tx,
        forms.LOG + verdict.name.lower(),
        finding.id,
        number=0,
        at=finding.found_at,
        data=forms.LogData(finding.id, finding.participant_id, finding.origin, finding.said),
    )
    await evidence.append(tx, *_record(connector, finding))


def _record(connector: Connector, finding: Finding) -> tuple[Entry, evidence.Beside]:
    proof = f"{finding.known}\n{finding.shown}".encode()
    record = Entry(
        at=finding.found_at,
        direction="in",
        message=f"comity:{finding.kind.title()}",
        sha256=sha256(proof).hexdigest(),
        sender=finding.participant_id,
        receiver=connector.participant_id,
        kind="log",
        process_id=finding.id,
        outcome=finding.kind.lower(),
        detail=f"{finding.origin}: {finding.said}"[:500],
    )
    return record, evidence.Beside(body=proof)


async def acknowledge(connector: Connector, name: str, by: str) -> None:
    """Note that a person has looked at a finding: a log with two faces goes on from what was shown last.

    Raises:
        NotFoundError, ConflictError: there is no such finding, or somebody has looked at it already.
    """
    now_ms = connector.now_ms()

    async def unit(tx: Transaction) -> None:
        found = await witnessed.acknowledge(tx, name, now_ms, by)
        if found.kind == witness.FORKED:
            head = checkpoint.parse(found.shown).checkpoint
            await witnessed.add_seen(
                tx,
                Seen(
                    participant_id=found.participant_id,
                    origin=head.origin,
                    size=head.size,
                    root=head.root,
                    note=found.shown,
                    cosignature="",
                    seen_at=now_ms,
                ),
            )

    await connector.database.write(unit)


def _text(notice: Document, name: str) -> str:
    value = notice.get(name)
    if not isinstance(value, str):
        raise errors.InvalidInputError(f"{name} must be a text", path=f"$.{name}")
    return value


def _since(partner: Partner, notice: Document) -> Since:
    origin, size = _text(notice, "sinceOrigin"), notice.get("sinceSize")
    if type(size) is not int or not 0 <= size < MOST_RECORDS:
        raise errors.InvalidInputError("sinceSize must be a whole number", path="$.sinceSize")
    if origin and not checkpoint.is_of(origin, partner.id):
        raise errors.InvalidInputError(f"that is no log of {partner.id}", path="$.sinceOrigin")
    return Since(origin, size)


def hashes(notice: Document) -> list[bytes]:
    """Return the proof in a notice or an answer.

    Raises:
        InvalidInputError: there is none that can be read.
    """
    found = notice.get("consistency")
    if not isinstance(found, list) or len(found) > MOST_HASHES:
        raise errors.InvalidInputError(
            f"consistency must be a list of at most {MOST_HASHES} hashes", path="$.consistency"
        )
    try:
        return [base64.b64decode(each, validate=True) for each in found]
    except (ValueError, TypeError):
        raise errors.InvalidInputError("a hash is no base64", path="$.consistency") from None
