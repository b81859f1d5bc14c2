"""Makes checkpoints of our evidence from time to time, and tells them to the partners that the records are about.

One is made where there is something new in a chain; that a partner was told of one is nothing new. Each notice has the
proof that the log goes on from the checkpoint that its receiver knows, and the next waits for its answer: so each side
can say at any time what the other has seen. What a partner does with ours is `witnessing`'s part, time stamps are
`stamping`'s. Making one costs those who write nothing: it reads what is committed.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from msgspec import Struct

from comity import errors, strict_json
from comity.controlplane import denials, notify
from comity.controlplane.connector import Connector
from comity.db import checkpoints, evidence, partners, public_keys, restored, tiles
from comity.db.checkpoints import Cosignature, Made, Told
from comity.db.outbox import Outgoing
from comity.db.partners import Partner
from comity.db.store import Transaction
from comity.evidence import checkpoint, tree, witness
from comity.evidence.checkpoint import Checkpoint

Document = dict[str, Any]
NOTICE = "comity:CheckpointNotice"
UNKNOWN_KEY, REFUSED = "UNKNOWN_KEY", "REFUSED"

log = logging.getLogger(__name__)


class Parties(Struct):
    """What of a record says whom a checkpoint is to be told."""

    sender: str
    receiver: str
    message: str


class Standing(Struct):
    """Where a chain stands: its records, last checkpoint and tiles, when it was restored, whether a partner waits."""

    size: int
    last: Made | None
    tiles: int
    restored_at: int
    due: bool


class Checkpoints:
    """Makes checkpoints of every chain; replicas do so too, and the first one's counts."""

    def __init__(
        self,
        connector: Connector,
        *,
        every_s: float,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._connector = connector
        self._every_s = every_s
        self._pause = pause

    async def run(self) -> None:
        """Make them from time to time, until cancelled."""
        while True:
            await self._pause(self._every_s)
            try:
                await make(self._connector, young_ms=int(self._every_s * 500))
            except errors.ComityError as error:
                log.warning("no checkpoint can be made now: %s", error.message)
            except Exception:
                log.exception("a checkpoint failed; the next one is tried all the same")


async def make(connector: Connector, *, young_ms: int = 0) -> None:
    """Make a checkpoint of each chain with something new, and tell partners; not so soon after one that is young.

    Raises:
        DatabaseError: the store cannot be used now.
    """
    for chain in await connector.database.read(evidence.find_chains):
        await _make(connector, chain, young_ms)


async def _make(connector: Connector, chain: int, young_ms: int) -> None:
    begun = await connector.database.read(lambda tx: _stand(tx, chain))
    last = begun.last.size if begun.last else 0
    young = begun.last is not None and 0 <= connector.now_ms() - begun.last.made_at < young_ms
    parties = await _read_on(connector, chain, begun, last) if begun.size > last and not young else set()
    made = await _sign(connector, chain, begun) if parties else None
    if made is not None or begun.due:

        async def unit(tx: Transaction) -> None:
            if made is not None:
                await _add(connector, tx, made, parties)
            await _tell(connector, tx, chain)

        await connector.database.write(unit)


async def _sign(connector: Connector, chain: int, begun: Standing) -> Made:
    root = await connector.database.read(lambda tx: tiles.hash_of(tx, chain, 0, begun.size))
    origin = checkpoint.origin(connector.participant_id, chain, begun.restored_at)
    note = checkpoint.sign(Checkpoint(origin, begun.size, root), connector.signing_keys.signing_key())
    return Made(chain=chain, size=begun.size, origin=origin, note=note, made_at=connector.now_ms())


async def _stand(tx: Transaction, chain: int) -> Standing:
    head = await evidence.find_head(tx, chain)
    marker = await restored.find_last(tx)
    return Standing(
        head.size,
        await checkpoints.find_last(tx, chain),
        await tiles.count(tx, chain),
        marker.at if marker else 0,
        bool(await checkpoints.find_due(tx, chain)),
    )


async def _read_on(connector: Connector, chain: int, begun: Standing, last: int) -> set[str]:
    """Keep the hashes of whole tiles, a few at a time, and return whom the records after the last one are about."""
    parties: set[str] = set()
    at = begun.tiles * tiles.WIDTH
    while at < begun.size:
        end = min(at + tiles.AT_ONCE * tiles.WIDTH, begun.size)
        hashes, found = await connector.database.read(_part(chain, at, end, last))
        parties |= found
        if hashes:
            await connector.database.write(_keeping(chain, at // tiles.WIDTH, hashes))
        at = end
    return parties


def _part(
    chain: int, start: int, end: int, last: int
) -> Callable[[Transaction], Awaitable[tuple[list[bytes], set[str]]]]:
    async def unit(tx: Transaction) -> tuple[list[bytes], set[str]]:
        records = await tiles.find_records(tx, chain, start, end)
        leaves = [tree.leaf(each) for each in records]
        whole = range(0, len(leaves) - tiles.WIDTH + 1, tiles.WIDTH)
        hashes = [tree.root(leaves[at : at + tiles.WIDTH]) for at in whole]
        return hashes, _parties(records[max(0, last - start) :])

    return unit


def _keeping(chain: int, position: int, hashes: list[bytes]) -> Callable[[Transaction], Awaitable[None]]:
    async def unit(tx: Transaction) -> None:
        await tiles.add(tx, chain, position, hashes)

    return unit


def _parties(records: list[bytes]) -> set[str]:
    """Return whom records are about; those of checkpoints that were told are about nobody."""
    found: set[str] = set()
    for each in records:
        record = msgspec.json.decode(each, type=Parties)
        if record.message != NOTICE:
            found |= {record.sender, record.receiver}
    return found


async def _add(connector: Connector, tx: Transaction, made: Made, parties: set[str]) -> None:
    if not await checkpoints.add(tx, made):
        return  # another replica was quicker, and has told of it
    for party in sorted(parties - {connector.participant_id}):
        if await partners.find(tx, party) is not None:
            told = await checkpoints.find_told(tx, party, made.chain)
            await checkpoints.save_told(tx, msgspec.structs.replace(told, due=True))


async def _tell(connector: Connector, tx: Transaction, chain: int) -> None:
    """Tell the last checkpoint of a chain to every partner that is to know it and has answered the one before."""
    made = await checkpoints.find_last(tx, chain)
    for told in await checkpoints.find_due(tx, chain):
        partner = await partners.find(tx, told.participant_id)
        name = ""
        if partner is not None and made is not None and not _knows(told, made):
            name = await _notify(connector, tx, partner, made, told)
        await checkpoints.save_told(tx, msgspec.structs.replace(told, due=False, open_id=name))


def _knows(told: Told, made: Made) -> bool:
    return (told.known_origin, told.known_size) == (made.origin, made.size)


async def _notify(connector: Connector, tx: Transaction, partner: Partner, made: Made, told: Told) -> str:
    since = told.known_size if told.known_size <= made.size else 0
    proof = await tiles.prove_consistency(tx, made.chain, since, made.size)
    notice = {
        "@type": NOTICE,
        "checkpoint": made.note,
        "sinceOrigin": told.known_origin if since else "",
        "sinceSize": since,
        "consistency": [base64.b64encode(each).decode() for each in proof],
    }
    return await notify.send(connector, tx, partner, notice)


async def answered(connector: Connector, tx: Transaction, row: Outgoing, answer: Document) -> None:
    """Keep what a partner answered to a checkpoint of ours.

    Raises:
        InvalidInputError: the answer is none.
    """
    note = checkpoint.parse(strict_json.decode_object(row.body)["checkpoint"]).checkpoint
    chain = checkpoint.chain_of(note.origin)
    told = await checkpoints.find_told(tx, row.counterparty_id, chain)
    if told.open_id != row.message_id:
        return  # a store that was restored knows of another one
    told = msgspec.structs.replace(told, open_id="")
    state = str(answer.get("state"))[:100]
    if state in {witness.COSIGNED, witness.RESTARTED}:
        await _keep_cosignature(connector, tx, row.counterparty_id, note, answer)
        told = msgspec.structs.replace(told, known_origin=note.origin, known_size=note.size)
    elif state in {witness.COMPARE, witness.FORKED, REFUSED}:
        compare = state == witness.COMPARE
        known = await denials.find_known(
            connector, tx, row.counterparty_id, chain, answer, denied=not compare
        )
        if known is not None:
            told = msgspec.structs.replace(
                told, known_origin=known.origin, known_size=known.size, due=told.due or compare
            )
    else:  # SEEN, a key that it does not know yet, or something of a later version
        log.info("%s did not cosign a checkpoint: %s", row.counterparty_id, state)
    await checkpoints.save_told(tx, told)


async def _keep_cosignature(
    connector: Connector, tx: Transaction, party: str, note: Checkpoint, answer: Document
) -> None:
    line, keys = answer.get("cosignature"), await public_keys.find_of(tx, party)
    if not isinstance(line, str) or len(line) > checkpoint.MAX_CHARACTERS:
        raise errors.InvalidInputError("there is no cosignature", path="$.cosignature")
    try:
        checkpoint.check_cosignature(note, line, checkpoint.key_name(party), keys)
    except checkpoint.UnknownKeyError:
        pass  # by a key that was not seen here yet: who checks the evidence has it, or says so
    except checkpoint.CheckpointError as error:
        raise errors.InvalidInputError(error.message, path="$.cosignature") from None
    await checkpoints.add_cosignature(
        tx,
        Cosignature(
            chain=checkpoint.chain_of(note.origin),
            size=note.size,
            participant_id=party,
            line=line,
            at=connector.now_ms(),
        ),
    )


async def refused(connector: Connector, tx: Transaction, row: Outgoing, reason: str) -> None:  # noqa: ARG001  a kind's
    """A partner did not take a checkpoint: the next that is about it is told to it again."""
    note = checkpoint.parse(strict_json.decode_object(row.body)["checkpoint"]).checkpoint
    told = await checkpoints.find_told(tx, row.counterparty_id, checkpoint.chain_of(note.origin))
    if told.open_id == row.message_id:
        await checkpoints.save_told(tx, msgspec.structs.replace(told, open_id=""))
