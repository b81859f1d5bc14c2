"""Puts a connector together and runs it: the only place that knows every part.

One process: two listeners, the writer and reader of the store, the delivery worker, the fetching of data. It answers
as soon as both listeners are bound; what a process before it left unfinished goes on by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import logging
import os
import random
import secrets
import signal
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from comity import errors
from comity import settings as configuration
from comity.api import app, connection
from comity.api import dataplane as data_api
from comity.api import inbox as inbox_api
from comity.controlplane import events, keyring, repeats, trust, webhooks
from comity.controlplane.apikeys import Keys
from comity.controlplane.connector import Connector
from comity.controlplane.content import Contents
from comity.controlplane.decide import ByPolicy, Decisions
from comity.controlplane.outcome import Outcomes
from comity.controlplane.pulling import Pulling
from comity.controlplane.pushing import Pushing
from comity.controlplane.receiving import Receiving
from comity.controlplane.transfer_moves import Revoked
from comity.dataplane import flows, push, tokens
from comity.dataplane.pull import Pull
from comity.db import database, migrate, repeatable, token_uses
from comity.db.seal import Seal
from comity.delivery.webhooks import Webhooks
from comity.delivery.worker import Post, Worker
from comity.dsp import terms
from comity.identity import did
from comity.net import did as did_net
from comity.net import dsp as dsp_net
from comity.net.guard import Guard
from comity.net.http import HttpClient
from comity.net.webhook import Receivers
from comity.settings import Settings
from comity.storage.file import Files
from comity.storage.http import HttpSource
from comity.storage.keys import KeyFiles
from comity.storage.source import Storage

BACKLOG = 2048
PURGE_S = 60.0
DAY_MS = 24 * 3600 * 1000
TOKEN_KEPT_S = 600
GRACE_S = 5

log = logging.getLogger("comity")


@dataclass(frozen=True, slots=True)
class Parts:
    """A connector that is running inside this process, without its listeners."""

    connector: Connector
    public: ASGIApp
    internal: ASGIApp
    worker: Worker
    open_flows: flows.Flows


@contextlib.asynccontextmanager
async def connector(
    settings: Settings, *, decisions: Decisions | None = None, wrap_post: Callable[[Post], Post] | None = None
) -> AsyncIterator[Parts]:
    """Run a connector without listeners for as long as the block runs.

    `wrap_post` takes the function that sends a message and returns the one to use in its place.

    Raises:
        SettingsError, DatabaseError: it cannot run.
    """
    migrate.migrate(settings.database)
    store = database.Database(settings.database)
    guard = Guard(settings.allow, insecure=settings.insecure)
    client = HttpClient(guard, tls_ca_file=settings.ca_file or None)
    try:
        made = _connector(settings, store, guard, client, decisions or ByPolicy())
        post = dsp_net.DspClient(client).post
        async with _running(settings, made, client, wrap_post(post) if wrap_post else post) as parts:
            yield parts
    finally:
        await client.close()
        store.close()


@contextlib.asynccontextmanager
async def _running(
    settings: Settings, made: Connector, client: HttpClient, post: Post
) -> AsyncIterator[Parts]:
    store = made.database
    worker = Worker(Outcomes(made), post, now_ms=now_ms, chance=random.random)
    pulling = Pulling(made, Pull(functools.partial(client.stream, "GET")), chance=random.random)
    contents, open_flows, pushes = Contents(made), flows.Flows(), flows.Flows(stall_s=push.ANSWER_S)
    sender = push.Push(client.stream, _storages(made), pushes)
    pushing = Pushing(made, contents, sender, chance=random.random)
    cuts = (functools.partial(_cut, open_flows), functools.partial(_cut, pushes))
    telling = Webhooks(webhooks.Queue(made), Receivers(client).post, now_ms=now_ms, chance=random.random)
    told = (worker.notice, pulling.notice, pushing.notice, made.news.notice, telling.notice)
    for listener in (*told, *cuts):
        store.subscribe(listener)
    tasks = [asyncio.create_task(worker.run()), asyncio.create_task(_purge(made, settings))]
    await keyring.keep(made)
    for each in (pulling, pushing, telling):
        await each.resume()
    try:
        yield Parts(made, *_applications(settings, made, contents, open_flows), worker, open_flows)
    finally:
        open_flows.cut_all()
        made.news.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for part in (worker, pulling, pushing, telling):
            await part.close()


def _connector(
    settings: Settings, store: database.Database, guard: Guard, client: HttpClient, decisions: Decisions
) -> Connector:
    resolver = did_net.Resolver(client, clock_s=time.monotonic, insecure=settings.insecure)
    keys = KeyFiles(settings.folder / "keys", settings.participant_id, now_ms=now_ms)
    return Connector(
        participant_id=settings.participant_id,
        dsp_address=settings.address + terms.VERSION_PATH,
        data_address=settings.address + "/data",
        database=store,
        seal=Seal(configuration.seal_key(settings)),
        identity=_identity(settings, store, resolver, keys),
        peers=dsp_net.DspClient(client),
        resolver=resolver,
        egress=guard,
        signing_keys=keys,
        files=Files(settings.roots, private=str(settings.folder)),
        back_end=HttpSource(client),
        decisions=decisions,
        now_ms=now_ms,
        new_id=new_id,
        new_token=tokens.new_token,
    )


def _identity(
    settings: Settings, store: database.Database, resolver: did_net.Resolver, keys: KeyFiles
) -> trust.Tokens | trust.Unproven:
    if settings.mock_identity:
        return trust.Unproven(settings.participant_id)
    return trust.Tokens(
        settings.participant_id,
        keys.signing_key,
        resolver=resolver,
        database=store,
        now_s=lambda: int(time.time()),
        new_jti=new_id,
    )


def _storages(made: Connector) -> dict[str, Storage]:
    return {"file": made.files, "http": made.back_end}


def _applications(
    settings: Settings, made: Connector, contents: Contents, open_flows: flows.Flows
) -> tuple[ASGIApp, ASGIApp]:
    data = data_api.application(contents.lookup, storages=_storages(made), open_flows=open_flows)
    inbox = inbox_api.application(Receiving(made), open_flows=open_flows)
    document = None
    if settings.participant_id.startswith("did:web:"):
        document = functools.partial(_did_document, settings, made.signing_keys)
    keys = Keys(made.database, settings.management_key, now_ms=now_ms)
    made.database.subscribe(keys.notice)
    return (
        app.public(made, data, inbox, address=settings.address, did_document=document),
        app.internal(made, keys.find),
    )


def _did_document(settings: Settings, keys: KeyFiles) -> dict[str, Any]:
    return did.document(settings.participant_id, keys.published(), address=settings.address)


def now_ms() -> int:
    """Return the time in milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


def new_id() -> str:
    """Return a new IRI that nobody can guess: a UUID with the time in front (RFC 9562, version 7).

    Rows of one moment lie side by side in the store, so that a commit writes few pages; 72 bits are chance.
    """
    text = f"{now_ms():012x}{secrets.token_hex(10)}"
    return f"urn:uuid:{text[:8]}-{text[8:12]}-7{text[13:16]}-a{text[17:20]}-{text[20:]}"


def _cut(open_flows: flows.Flows, announced: object) -> None:
    for event in announced:  # type: ignore[attr-defined]
        if isinstance(event, Revoked):
            open_flows.cut(event.transfer_id)


async def _purge(made: Connector, settings: Settings) -> None:
    store = made.database
    while True:
        await asyncio.sleep(PURGE_S)
        with contextlib.suppress(errors.DatabaseError):
            await store.write(lambda tx: token_uses.purge(tx, before_s=int(time.time()) - TOKEN_KEPT_S))
            await store.write(lambda tx: repeatable.purge(tx, before_ms=now_ms() - repeats.KEPT_MS))
            await events.purge(made, settings.events_keep_days * DAY_MS)
        await asyncio.to_thread(made.signing_keys.tidy)


def serve(settings: Settings, *, decisions: Decisions | None = None) -> None:
    """Run the connector of a data folder until it is told to stop (SIGTERM, SIGINT).

    Raises:
        SettingsError: it cannot run: the folder is in use, a port is taken, a key or certificate cannot be read.
        DatabaseError: the store cannot be read.
    """
    import uvloop  # noqa: PLC0415  only a server needs it

    lock = database.lock_folder(settings.folder)
    try:
        with (
            _bound(settings.listen, "public.listen") as public,
            _bound(settings.management, "management.listen") as own,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            runner.run(_serve(settings, public, own, decisions))
    finally:
        os.close(lock)


async def _serve(
    settings: Settings, public: socket.socket, own: socket.socket, decisions: Decisions | None
) -> None:
    async with connector(settings, decisions=decisions) as parts:
        servers = [_server(parts.public, settings), _server(parts.internal, None)]
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, functools.partial(_stop, servers, parts))
        _announce(settings)
        _tend_memory()
        await asyncio.gather(servers[0].serve([public]), servers[1].serve([own]))
    log.info("%s has stopped", settings.name)


def _tend_memory() -> None:
    """Look for cycles less often, and never among what was loaded at the start: 6 % of CPU a negotiation (median)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _announce(settings: Settings) -> None:
    if settings.mock_identity:
        log.warning("development.mock_identity is on: whoever says a name is believed. Only for tests.")
    if settings.insecure:
        log.warning("development.insecure is on: http and loopback are allowed. Never between two sites.")
    log.info("%s (%s) serves partners at %s", settings.name, settings.participant_id, settings.address)
    if settings.address.startswith("https:") and not settings.tls_certificate:
        log.info("it speaks plain HTTP at %s: a proxy in front of it must end TLS", settings.listen)
    log.info("its management API is at %s", settings.management_address)


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: there are two of them, and `serve` stops both."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _server(application: ASGIApp, settings: Settings | None) -> _Server:
    """Return a server; with settings it may end TLS itself."""
    config = uvicorn.Config(
        application,
        http=connection.AbortableConnection,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
        ssl_certfile=settings.tls_certificate or None if settings else None,
        ssl_keyfile=settings.tls_key or None if settings else None,
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise errors.SettingsError(f"public.tls_certificate or tls_key cannot be used: {error}") from None
    if config.ssl is not None:
        config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
    return _Server(config)


def _stop(servers: list[_Server], parts: Parts) -> None:
    """Let requests finish, but not streams: they may be long, and their receivers go on where they were cut."""
    for server in servers:
        server.should_exit = True
    parts.open_flows.cut_all()
    parts.connector.news.close()


@contextlib.contextmanager
def _bound(listen: str, name: str) -> Iterator[socket.socket]:
    host, port = configuration.split_listen(listen, name)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(
        family, socket.SOCK_STREAM, socket.IPPROTO_TCP
    ) as bound:  # asyncio turns Nagle off for TCP
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((host, port))
        except OSError as error:
            raise errors.SettingsError(
                f"{name} {listen} cannot be used: {error.strerror}",
                hint="is another process listening there?",
            ) from None
        bound.listen(BACKLOG)
        yield bound
