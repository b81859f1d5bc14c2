"""Requests with an Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): done once, answered alike again.

Whatever creates something does so in one transaction; the same one writes the key beside it (docs/decisions/0011). So
a kill leaves both or neither, and a repeat either finds what was created or may create it. Keys are kept for a day.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from comity import errors
from comity.controlplane.connector import Connector
from comity.db import repeatable
from comity.db.repeatable import Repeatable
from comity.db.store import Store, Transaction, Unit
from comity.management import wire

Document = dict[str, Any]
T = TypeVar("T")
KEPT_MS = 24 * 3600 * 1000
_ANSWER = "repeatable:"
ID_RESPONSE = "IdResponse"


class KeyReusedError(errors.ConflictError):
    """The key was sent before, with another request."""

    code = "idempotency-key-reused"


class StillRunningError(errors.ConflictError):
    """The first request with this key has not been answered yet."""

    code = "still-running"


class OvertakenError(errors.ConflictError):
    """Another replica has done the request meanwhile; what was done for it here is undone."""


class Request(Struct, frozen=True):
    """A request that may come again: who sends it, its key, 32 bytes that tell it from others, what it creates."""

    caller: str
    key: str
    fingerprint: bytes
    creates: type


class Repeats:
    """Requests with a key: those that run now are known here, those of the last day in the store."""

    def __init__(self) -> None:
        self._running: dict[tuple[str, str], bytes] = {}

    async def once(
        self, connector: Connector, request: Request, run: Callable[[Connector], Awaitable[Document]]
    ) -> tuple[Document, bool]:
        """Return the answer to a request, and whether it is that of an earlier one.

        `run` is given the connector to work with.

        Raises:
            KeyReusedError: the key belongs to another request.
            StillRunningError: the same request is being worked on.
            ComityError: of `run`; nothing was created then, and the key is free.
        """
        place = (request.caller, request.key)
        if place in self._running:
            _check(self._running[place], request)
            raise StillRunningError(
                "the first request with this Idempotency-Key is still being worked on", hint="try again later"
            )
        self._running[place] = request.fingerprint
        try:
            return await _once(connector, request, run)
        finally:
            del self._running[place]


async def _once(
    connector: Connector, request: Request, run: Callable[[Connector], Awaitable[Document]]
) -> tuple[Document, bool]:
    found = await _find(connector, request)
    if found is not None:
        return found, True
    try:
        answer = await run(dataclasses.replace(connector, database=_Noting(connector, request)))
    except OvertakenError:
        found = await _find(connector, request)
        if found is None:
            raise
        return found, True
    if answer["@type"] != ID_RESPONSE:
        sealed = connector.seal.close(msgspec.json.encode(answer), _ANSWER + request.key)
        with contextlib.suppress(errors.DatabaseError):  # it is created all the same; a repeat is told its id
            await connector.database.write(
                lambda tx: repeatable.set_answer(tx, request.caller, request.key, sealed)
            )
    return answer, False


async def _find(connector: Connector, request: Request) -> Document | None:
    since_ms = connector.now_ms() - KEPT_MS
    known = await connector.database.read(
        lambda tx: repeatable.find(tx, request.caller, request.key, since_ms=since_ms)
    )
    if known is None:
        return None
    _check(known.fingerprint, request)
    return _answer(connector, known)


def _check(fingerprint: bytes, request: Request) -> None:
    if fingerprint != request.fingerprint:
        raise KeyReusedError(
            "this Idempotency-Key was sent before, with another request", hint="take a new key"
        )


def _answer(connector: Connector, known: Repeatable) -> Document:
    if known.answer_sealed is None:
        return wire.id_response(known.created_id, known.created_at)
    plain = connector.seal.open(known.answer_sealed, _ANSWER + known.key)
    return msgspec.json.decode(plain, type=dict[str, Any])


class _Noting:
    """The store for one request: the unit that creates what the request is about also writes the request's key."""

    def __init__(self, connector: Connector, request: Request) -> None:
        self._store: Store = connector.database
        self._now_ms = connector.now_ms
        self._request = request
        self._noted = False

    async def read(self, unit: Unit[T]) -> T:
        return await self._store.read(unit)

    def subscribe(self, listener: Callable[[Sequence[object]], None]) -> None:
        self._store.subscribe(listener)

    def check_lease(self) -> None:
        self._store.check_lease()

    def is_alone(self) -> bool:
        return self._store.is_alone()

    async def write(self, unit: Unit[T]) -> T:
        async def noting(tx: Transaction) -> T:
            result: Any = await unit(tx)
            if isinstance(result, self._request.creates):
                await self._note(tx, result)
            return result  # type: ignore[no-any-return]

        written = await self._store.write(noting)
        self._noted = self._noted or isinstance(written, self._request.creates)
        return written

    async def _note(self, tx: Transaction, created: Any) -> None:
        now = self._now_ms()
        row = Repeatable(
            caller=self._request.caller,
            key=self._request.key,
            fingerprint=self._request.fingerprint,
            created_id=created.id,
            created_at=created.created_at,
            answer_sealed=None,
            kept_at=now,
        )
        if not await repeatable.insert(tx, row, since_ms=now - KEPT_MS) and not self._noted:
            raise OvertakenError("the same request was done at the same time", hint="send it again")
