"""`comity serve` with an ear at every point of `crash.points`: at the store, at sending, at the listener.

All of it is put around the product from outside, by what `runtime` offers for that. Forked from a process that has
imported everything, it is up in a twentieth of the time of a command.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import dataclasses
import functools
import logging
import os
import signal
from contextvars import ContextVar
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import uvloop

from comity import runtime, settings
from comity.cli import serve as _command  # noqa: F401  loaded before the fork
from comity.db.outbox import Queued
from comity.dsp import terms
from comity.net import http as net_http
from comity.net.connection import Connection
from comity.testing import record, wire
from crash import points as at

PR_SET_PDEATHSIG = 1  # prctl(2)
RECEIVED: ContextVar[str] = ContextVar("received", default="")
WRITING: ContextVar[str] = ContextVar("writing", default="")
SENT: ContextVar[str] = ContextVar("sent", default="")

net_http._tls = functools.cache(
    net_http._tls
)  # the system's authorities are read once for all; no test speaks TLS
net_http._tls(None)
uvloop.new_event_loop().close()


def serve(folder: str) -> None:
    """Run the connector of a data folder until it is ended, or ends itself."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # nothing is left of a run that was cut off
    conf = settings.load(Path(folder))
    log = os.open(conf.folder.with_suffix(".log"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for each in (1, 2):
        os.dup2(log, each)
    logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(message)s", force=True)
    ear = at.Points(conf.folder.with_suffix(".plan"))
    _hear_writing(ear)
    runtime.serve(conf, assemble=functools.partial(_assemble, ear))


@contextlib.asynccontextmanager
async def _assemble(ear, conf):
    wraps = {"wrap_post": functools.partial(_sending, ear), "wrap_store": functools.partial(Store, ear)}
    async with runtime.connector(conf, **wraps) as parts:
        yield dataclasses.replace(parts, public=Answering(ear, conf, parts.public))


class Transaction:
    """A transaction that keeps which messages it puts into the outbox."""

    def __init__(self, plain) -> None:
        self._plain = plain
        self.queued: list[str] = []

    def __getattr__(self, name):
        return getattr(self._plain, name)

    def announce(self, event) -> None:
        if isinstance(event, Queued):
            self.queued.append(_name(event))
        self._plain.announce(event)


def _name(event: Queued) -> str:
    return at.name(event.row.message, first=event.row.before is None)


class Store:
    """The store, with a point before each commit and, for what is sent, one right after it."""

    def __init__(self, ear: at.Points, plain) -> None:
        self._ear = ear
        self._plain = plain
        plain.subscribe(self._committed)

    def __getattr__(self, name):
        return getattr(self._plain, name)

    def _committed(self, announced) -> None:
        for event in announced:
            if isinstance(event, Queued):
                self._ear.pass_by(at.AFTER_COMMIT, _name(event))

    async def write(self, unit):
        received, sent = RECEIVED.get(), SENT.get()

        async def heard(plain):
            transaction = Transaction(plain)
            result = await unit(transaction)
            for each in transaction.queued:
                self._ear.pass_by(at.BEFORE_COMMIT, each)
            if received:
                self._ear.pass_by(at.BEFORE_RECEIPT, received)
            if sent:
                self._ear.pass_by(at.BEFORE_ACK, sent)
            return result

        return await self._plain.write(heard)


def _sending(ear: at.Points, plain):
    async def post(url: str, body: bytes, authorization: str) -> bytes:
        name = at.name_of(urlsplit(url).path, body)
        RECEIVED.set("")  # the task may have been made while a message was received
        SENT.set("")
        ear.pass_by(at.BEFORE_SEND, name)
        WRITING.set(name)
        try:
            reply = await plain(url, body, authorization)
        finally:
            WRITING.set("")
        SENT.set(name)
        return reply

    return post


def _hear_writing(ear: at.Points) -> None:
    """Have a point where the last byte of a message has been written and no answer was read."""
    plain = Connection.ask

    async def ask(self, *given, **more) -> None:
        asking = plain(self, *given, **more)
        open_ = self._transport is not None and not self._transport.is_closing()
        if WRITING.get() and open_ and ear.due(at.AFTER_SEND, WRITING.get()):
            asking.send(None)  # as far as it goes: it has written, and waits for the answer
            await _end_when_written()
        await asking

    Connection.ask = ask


async def _end_when_written() -> None:
    """End when the loop has given to the kernel what was written."""
    for _ in range(2):
        await asyncio.sleep(0)
    at.end()


class Answering:
    """An application, with a point before its answer to a message and one after it; both are written down."""

    def __init__(self, ear: at.Points, conf: settings.Settings, application) -> None:
        self._ear = ear
        self._conf = conf
        self._application = application
        self._number = 0
        self._heard = os.open(
            conf.folder.with_suffix(".heard"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600
        )

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._application(scope, receive, send)
            return
        arrived, body, answer, status = wire.now_ms(), bytearray(), bytearray(), 0
        self._number += 1
        note = functools.partial(self._note, f"{os.getpid()}-{self._number}", scope, arrived)

        async def listen():
            event = await receive()
            body.extend(event.get("body", b""))
            name = at.name_of(scope["path"], bytes(body)) if not event.get("more_body") else ""
            if name:
                RECEIVED.set(name)
                note(bytes(body), None, b"")
            return event

        async def speak(event) -> None:
            nonlocal status
            name = RECEIVED.get()
            ended = event["type"] == "http.response.body" and not event.get("more_body")
            if event["type"] == "http.response.start":
                status = event["status"]
                if name and status < 300:
                    self._ear.pass_by(at.BEFORE_REPLY, name)
            answer.extend(event.get("body", b""))
            if name and ended:
                note(bytes(body), status, bytes(answer))
            await send(event)
            if name and ended and status < 300 and self._ear.due(at.AFTER_REPLY, name):
                await _end_when_written()

        await self._application(scope, listen, speak)

    def _note(self, number: str, scope, arrived: int, body: bytes, status: int | None, answer: bytes) -> None:
        """Write down what was received, and once more with the answer, before the partner can have it."""
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        heard = record.Message(
            at=arrived,
            sender=wire.sender_of(headers.get(b"authorization")),
            receiver=self._conf.participant_id,
            path=scope["path"].removeprefix(terms.VERSION_PATH),
            body=body,
            status=status,
            answer=answer,
            answered_at=wire.now_ms() if status else None,
        )
        os.write(self._heard, msgspec.json.encode((number, heard)) + b"\n")
