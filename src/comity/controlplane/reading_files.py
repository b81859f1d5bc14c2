"""What is read of a reading: its terms are asked at each request, its bytes come from the partner as they are wanted.

What is held in our store, and is what the partner has now, is read from there. Whether opened or refused, it is in the
evidence, once for each file and a few minutes (`openings`).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import TypeVar

from comity import errors
from comity.controlplane import kept, readings, received, seals, token_refresh
from comity.controlplane.connector import Connector
from comity.controlplane.readings import Open
from comity.dataplane import flows, looked, remote, serve
from comity.db import readings as reading_rows
from comity.db.store import Transaction
from comity.dsp import transfer
from comity.dsp.transfer import Access
from comity.storage.source import Source

T = TypeVar("T")
Body = bytes | AsyncGenerator[bytes, None]
NO_ACCESS = frozenset({401, 403})
GONE = frozenset({401, 404, 410})
"""What a data plane answers of a transfer that its connector has ended, or does not know."""
BEGINNING_MS = 60_000
"""How long a reading of which nothing came yet counts as one that begins."""


async def find(connector: Connector, name: str, *, by: str = "") -> serve.Package | Source:
    """Return what is read: a package, or a single resource, whose path is its name; `by` is the API key of who asks.

    Raises:
        NotFoundError: there is no such reading.
        PolicyError: its terms do not let it be read now.
        DeliveryError: the partner cannot be reached or refuses.
    """
    return await _look(connector, await _judged(connector, name, by=by), now=True)


async def load_manifest(connector: Connector, name: str, *, by: str = "") -> serve.Package:
    """Return the package that is read, with its manifest's bytes.

    Raises:
        NotFoundError: there is no such reading, or it is of a single resource.
        PolicyError, DeliveryError: as `find`.
    """
    found = await find(connector, name, by=by)
    if not isinstance(found, serve.Package):
        raise errors.NotFoundError("this is a single resource, which has no manifest")
    return found


async def answer(
    connector: Connector, name: str, path: str, method: str, headers: Mapping[str, str], *, by: str = ""
) -> tuple[serve.Answer, flows.StillAllowed]:
    """Answer a GET or HEAD for a file, and return how to ask whether it may still be read.

    Raises:
        NotFoundError: there is no such reading or file.
        ConflictError: the partner has another content there now.
        PolicyError, DeliveryError: as `find`.
    """
    opened = await _judged(connector, name, path, by=by)
    found = await _look(connector, opened, now=method == "HEAD")
    if _file(found, path) is None and method != "HEAD":
        found = await _look(connector, opened, now=True)
    source = _file(found, path)
    if source is None:
        raise errors.NotFoundError(f"the partner has no file {path[:200]!r} there")
    await _note(connector, opened, path)
    held = await _held(connector, opened, found.sha256, path)
    if held is not None:
        same = replace(held, media_type=source.media_type)
        reply = await serve.resource(same, method, headers, {held.kind: kept.Storage(connector)})
        return reply, lambda: _holds(connector, name)

    async def ask(access: Access) -> serve.Answer:
        storages = {remote.KIND: connector.remote}
        return await serve.resource(remote.with_token(source, access), method, headers, storages)

    try:
        reply = await _with_access(connector, opened, ask)
    except errors.ConflictError:
        connector.looked.forget(name)
        raise
    return replace(reply, body=_paced(connector, name, reply.body)), lambda: _holds(connector, name)


def _paced(connector: Connector, name: str, body: Body) -> Body:
    """Let the bytes of a body come no faster than the operator lets those of all transfers come."""
    if isinstance(body, bytes):
        return body

    async def paced() -> AsyncGenerator[bytes, None]:
        async with aclosing(body):
            async for piece in body:
                await connector.speeds.incoming.take(name, len(piece))
                yield piece

    return paced()


async def _held(connector: Connector, opened: Open, sha256: str, path: str) -> Source | None:
    """Return a file of the store, if what was received under the agreement is what the partner has now."""
    if not sha256 or opened.agreement is None:
        return None
    return await kept.find(connector, opened.agreement, sha256, path)


async def _judged(connector: Connector, name: str, path: str = "", *, by: str) -> Open:
    """Return a reading whose terms allow it to be read now; if they do not, that is written down.

    Raises:
        NotFoundError: there is none.
        PolicyError: with the terms that do not hold.
    """
    connector.halt.check()

    async def unit(tx: Transaction) -> tuple[Open, tuple[str, ...]]:
        opened = await readings.load(tx, name)
        return opened, await readings.obstacles(connector, tx, opened, _sha256(connector, name))

    opened, reasons = await connector.database.read(unit)
    if by != opened.reading.opened_by:  # the evidence would name somebody who did not read
        raise errors.PolicyError(
            "this reading was begun with another API key", hint="begin one of your own: POST readings"
        )
    if reasons:
        await _note(connector, opened, path, reasons)
        raise errors.PolicyError("it may not be read so", reasons=reasons)
    return opened


def _sha256(connector: Connector, name: str) -> str:
    found = connector.looked.find(name, connector.now_ms() - looked.FRESH_MS)
    return found.sha256 if isinstance(found, serve.Package) else ""


async def _note(connector: Connector, opened: Open, path: str, reasons: tuple[str, ...] = ()) -> None:
    """Write down that something is opened or refused, unless that was a moment ago."""
    agreement, record, access = opened.agreement, opened.record, opened.access
    what = ("reading", opened.reading.exchange_id, path, *reasons)
    if agreement is None or record is None or not connector.openings.is_new(what, connector.now_ms()):
        return
    detail = "; ".join([access.words(), f"read at the partner: {path or 'the list of files'}", *reasons])
    outcome = "refused" if reasons else "opened"

    async def unit(tx: Transaction) -> None:
        await received.record_use(connector, tx, record.id, access, outcome=outcome, detail=detail)
        if not reasons:
            await reading_rows.touch(tx, opened.reading.exchange_id, connector.now_ms())

    try:
        await connector.database.write(unit)
    except errors.DatabaseError:
        connector.openings.forget(what)
        raise


async def _holds(connector: Connector, name: str) -> bool:
    async def unit(tx: Transaction) -> bool:
        opened = await readings.load(tx, name)
        return not await readings.obstacles(connector, tx, opened, _sha256(connector, name))

    return await connector.database.read(unit)


async def _look(connector: Connector, opened: Open, *, now: bool = False) -> serve.Package | Source:
    """Return what the partner has: as it was seen a moment ago, or `now`, as when something is opened."""
    name, asked_ms = opened.reading.exchange_id, connector.now_ms()
    async with connector.looked.one_at_a_time(name):
        found = connector.looked.find(name, asked_ms if now else asked_ms - looked.FRESH_MS)
        if found is None:
            began_ms = connector.now_ms()
            found = await _with_access(
                connector, opened, lambda access: _look_there(connector, opened, access)
            )
            connector.looked.keep(name, found, began_ms)
    return found


async def _look_there(connector: Connector, opened: Open, access: Access) -> serve.Package | Source:
    """Look at the partner; the seal of a package that was not seen before is checked before anything is read of it."""
    before = connector.looked.last(opened.reading.exchange_id)
    found = await connector.remote.look(access, before)
    known = isinstance(before, serve.Package) and before.sha256 == found.sha256
    if isinstance(found, serve.Package) and not known:
        check = seals.Check(connector, opened.exchange.revision)
        await check(found.manifest, await connector.remote.read_seal(access))
    return found


def _file(found: serve.Package | Source, path: str) -> Source | None:
    if isinstance(found, serve.Package):
        return found.files.get(path)
    return found if path == found.name else None


async def _with_access(connector: Connector, opened: Open, ask: Callable[[Access], Awaitable[T]]) -> T:
    """Ask a partner with the token of today, and once more with a new one where it takes that no longer.

    Raises:
        PolicyError: the partner says that it may not be read.
        DeliveryError: it cannot be reached or refuses.
    """
    record = opened.record
    if record is None:
        raise errors.NotFoundError("there is nothing to read yet")
    access = transfer.access(await token_refresh.current(connector, record))
    try:
        return await ask(access)
    except errors.PermanentDeliveryError as error:
        newer = access
        if error.status in NO_ACCESS:
            newer = transfer.access(await token_refresh.current(connector, record, force=True))
        if newer == access:
            await _check_refusal(connector, opened, error)
            raise
    try:
        return await ask(newer)
    except errors.PermanentDeliveryError as error:
        await _check_refusal(connector, opened, error)
        raise


async def _check_refusal(connector: Connector, opened: Open, error: errors.PermanentDeliveryError) -> None:
    """Tell refusals apart; a reading whose transfer is not there any more ends, so that another can begin.

    One that is refused from its beginning goes on: the next one would be refused as well.

    Raises:
        PolicyError: the partner does not allow it, or knows nothing of it any more.
    """
    name, said = opened.reading.exchange_id, error.reason or f"status {error.status}"
    young = connector.now_ms() - opened.exchange.created_at < BEGINNING_MS
    if error.status in GONE and not (young and connector.looked.last(name) is None):
        await readings.give_up(connector, name, f"the partner takes its token no more: {said}")
        raise errors.PolicyError(
            "the partner does not let it be read any more", reasons=(said,), hint="begin to read it again"
        ) from error
    if error.status in NO_ACCESS:
        raise errors.PolicyError("the partner does not let it be read", reasons=(said,)) from error
