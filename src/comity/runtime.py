"""Puts a connector together and runs it: the only place that knows every part.

One process: two listeners, the writer and reader of the store, the delivery worker, the fetching of data. It answers
as soon as both listeners are bound; what a process before it left unfinished goes on by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import itertools
import logging
import os
import random
import resource
import signal
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

import uvicorn
from starlette.types import ASGIApp

from comity import errors, joining
from comity import settings as configuration
from comity.api import app, connection
from comity.api import dataplane as data_api
from comity.api import inbox as inbox_api
from comity.api.handshake import Handshake
from comity.controlplane import (
    bucket_keys,
    deletions,
    events,
    incomplete,
    kept,
    keyring,
    operands,
    readings,
    repeats,
    republishing,
    shredding,
    trust,
    webhooks,
)
from comity.controlplane.apikeys import Keys
from comity.controlplane.approvals import Deadlines
from comity.controlplane.checkpoints import Checkpoints
from comity.controlplane.connector import Connector
from comity.controlplane.content import Contents
from comity.controlplane.decide import ByPolicy, Decisions
from comity.controlplane.framework_contact import Contact
from comity.controlplane.held import Held
from comity.controlplane.limits import Limits
from comity.controlplane.outcome import Outcomes
from comity.controlplane.pulling import Pulling
from comity.controlplane.pushing import Pushing
from comity.controlplane.receiving import Receiving
from comity.controlplane.reconcile import Reconciliation
from comity.controlplane.sharing import SharedKeys, keep_settings
from comity.controlplane.stamping import Stamping
from comity.controlplane.transfer_moves import Revoked
from comity.dataplane import flows, push, tokens
from comity.dataplane.pull import Pull
from comity.dataplane.remote import Remote
from comity.dataplane.speeds import Speeds
from comity.db import repeatable, stores, token_uses
from comity.db.seal import Seal
from comity.db.store import Store
from comity.delivery.webhooks import Webhooks
from comity.delivery.worker import Post, Worker
from comity.dsp import terms
from comity.evidence import stamp
from comity.identity import did
from comity.management import rates
from comity.net import did as did_net
from comity.net import dsp as dsp_net
from comity.net.guard import Guard
from comity.net.http import HttpClient
from comity.net.stamp import Authority
from comity.net.webhook import Receivers
from comity.settings import Settings
from comity.storage import kept as kept_files
from comity.storage.file import Files
from comity.storage.http import HttpSource
from comity.storage.keys import KeyFiles
from comity.storage.objects import Objects
from comity.storage.source import Storage

BACKLOG = 2048
PURGE_S = 60.0
DAY_MS = 24 * 3600 * 1000
TOKEN_KEPT_S = 600
GRACE_S = 5
P = ParamSpec("P")
T = TypeVar("T")

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
    settings: Settings,
    *,
    decisions: Decisions | None = None,
    wrap_post: Callable[[Post], Post] | None = None,
    wrap_store: Callable[[Store], Store] | None = None,
) -> AsyncIterator[Parts]:
    """Run a connector without listeners for as long as the block runs.

    `wrap_post` takes the function that sends a message and returns the one to use in its place, `wrap_store` the store.

    Raises:
        SettingsError, DatabaseError: it cannot run.
    """
    operands.load()
    authority = urlsplit(settings.evidence_stamp_url).hostname  # authorities are often reached by http only
    guard = Guard(settings.allow, insecure=settings.insecure, plain=[authority] if authority else ())
    place = stores.place(settings.folder)
    async with stores.opened(
        settings.database, settings.database_url, insecure=settings.insecure, place=place
    ) as store:
        client = HttpClient(guard, tls_ca_file=settings.ca_file or None)
        try:
            used = wrap_store(store) if wrap_store else store
            made = _connector(settings, used, guard, client, decisions or ByPolicy())
            post = _leased(store, dsp_net.DspClient(client).post)
            async with _running(settings, made, client, wrap_post(post) if wrap_post else post) as parts:
                yield parts
        finally:
            await client.close()


@contextlib.asynccontextmanager
async def _running(
    settings: Settings, made: Connector, client: HttpClient, post: Post
) -> AsyncIterator[Parts]:
    store = made.database
    if made.shared_keys is not None:
        await _share(settings, made, made.shared_keys)
    reconciliation = Reconciliation(made)
    await reconciliation.begin()
    worker = Worker(Outcomes(made), post, now_ms=now_ms, chance=random.random, kept=made.held.keeps)
    pulling = Pulling(made, Pull(functools.partial(client.stream, "GET")), chance=random.random)
    pace = made.speeds.outgoing
    contents, open_flows = Contents(made, note_lost=incomplete.note_asked), flows.Flows(pace=pace)
    pushes = flows.Flows(stall_s=push.ANSWER_S, pace=pace)
    sender = push.Push(client.stream, _storages(made), pushes, speeds=made.speeds)
    pushing = Pushing(made, contents, sender, chance=random.random)
    cuts = (functools.partial(_cut, open_flows), functools.partial(_cut, pushes))
    telling = Webhooks(
        webhooks.Queue(made), _leased(store, Receivers(client).post), now_ms=now_ms, chance=random.random
    )
    deadlines, receiving = Deadlines(made), Receiving(made)
    told = (deadlines.notice, worker.notice, pulling.notice, pushing.notice, made.news.notice, telling.notice)
    for listener in (*told, *cuts):
        store.subscribe(listener)
    running = [deadlines.run(), worker.run(), reconciliation.run(), _purge(made, settings)]
    running += [each.run() for each in _proving(settings, made, client)]
    running.append(Contact(made).run())
    if made.shared_keys is not None:
        running.append(made.shared_keys.run())
    tasks = [asyncio.create_task(each) for each in running]
    try:
        await keyring.keep(made)
        for each in (pulling, pushing, telling):
            await each.resume()
        yield Parts(made, *_applications(settings, made, contents, receiving, open_flows), worker, open_flows)
    finally:
        open_flows.cut_all()
        made.readers.cut_all()
        made.news.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for part in (worker, pulling, pushing, telling):
            await part.close()
        receiving.close()
        made.objects.close()


def _proving(settings: Settings, made: Connector, client: HttpClient) -> list[Checkpoints | Stamping]:
    """Return what makes checkpoints of the evidence, and has them stamped.

    Raises:
        SettingsError: the certificates of the authority cannot be read.
    """
    proving: list[Checkpoints | Stamping] = [Checkpoints(made, every_s=settings.evidence_checkpoint_every_s)]
    if settings.evidence_stamp_url:
        try:
            trusted = stamp.certificates(made.stamp_roots)
        except stamp.StampError as error:
            raise errors.SettingsError(f"evidence.stamp_ca cannot be read: {error.message}") from None
        stamping = Stamping(
            made,
            Authority(client, settings.evidence_stamp_url).ask,
            trusted,
            every_s=settings.evidence_stamp_every_s,
            stop_after_s=settings.evidence_stop_after_s,
        )
        proving.append(stamping)
    return proving


async def _share(settings: Settings, made: Connector, keys: SharedKeys) -> None:
    """Have settings and keys in common with all replicas on the database."""
    mine = joining.share(settings)
    await keep_settings(made.database, made.seal, mine, functools.partial(joining.differs, settings))
    await keys.begin()


def _leased(store: Store, send: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """Return `send` for work that another replica may have taken over: not while our lease may be over."""

    async def leased(*words: P.args, **more: P.kwargs) -> T:
        store.check_lease()
        return await send(*words, **more)

    return leased


def _connector(
    settings: Settings, store: Store, guard: Guard, client: HttpClient, decisions: Decisions
) -> Connector:
    resolver = did_net.Resolver(client, clock_s=time.monotonic, insecure=settings.insecure)
    keys, held = configuration.signing_keys(settings, now_ms=now_ms), Held()
    seal = Seal(configuration.seal_key(settings))
    return Connector(
        participant_id=settings.participant_id,
        dsp_address=settings.address + terms.VERSION_PATH,
        data_address=settings.address + "/data",
        database=store,
        seal=seal,
        identity=_identity(settings, store, resolver, keys, held),
        peers=dsp_net.DspClient(client),
        resolver=resolver,
        egress=guard,
        signing_keys=keys,
        places=settings.storage_spatial,
        files=Files(settings.roots, private=str(settings.folder)),
        kept=kept_files.Folder(str(settings.kept)),
        shred_after_ms=settings.storage_shred_after_days * DAY_MS,
        back_end=HttpSource(client),
        objects=Objects(
            settings.buckets,
            bucket_keys.Keys(settings.folder, store, seal).find,
            insecure=settings.insecure,
            staging=str(settings.folder / "staging"),
        ),
        remote=Remote(client.stream),
        decisions=decisions,
        now_ms=now_ms,
        new_id=new_id,
        new_token=tokens.new_token,
        speeds=Speeds(
            bytes_per_s=rates.parse(settings.transfers_limit),
            bytes_ahead=settings.transfers_ahead_mib * 1024 * 1024,
            streams=settings.transfers_streams,
        ),
        limits=Limits(settings.limits_open_processes, settings.limits_refused_per_hour),
        held=held,
        shared_keys=SharedKeys(store, seal, keys) if settings.database_url else None,
        framework_lease_ms=settings.frameworks_lease_hours * 3600 * 1000,
        framework_roots=_certificates(settings.frameworks_trust_roots, "frameworks.trust_roots"),
        stamp_roots=_certificates(settings.evidence_stamp_ca, "evidence.stamp_ca"),
    )


def _certificates(path: str, name: str) -> bytes:
    """Return the file with certificates that a setting names."""
    if not path:
        return b""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise errors.SettingsError(f"{name} cannot be read: {error.strerror}") from None


def _identity(
    settings: Settings, store: Store, resolver: did_net.Resolver, keys: KeyFiles, held: Held
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
        held=held,
    )


def _storages(made: Connector) -> dict[str, Storage]:
    return {
        "file": made.files,
        "kept": republishing.Storage(made),
        "http": made.back_end,
        "object": made.objects,
    }


def _applications(
    settings: Settings,
    made: Connector,
    contents: Contents,
    receiving: Receiving,
    open_flows: flows.Flows,
) -> tuple[ASGIApp, ASGIApp]:
    data = data_api.application(contents.lookup, storages=_storages(made), open_flows=open_flows)
    inbox = inbox_api.application(receiving, open_flows=open_flows)
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
    text = f"{now_ms():012x}{os.urandom(10).hex()}"
    return f"urn:uuid:{text[:8]}-{text[8:12]}-7{text[13:16]}-a{text[17:20]}-{text[20:]}"


def _cut(open_flows: flows.Flows, announced: object) -> None:
    for event in announced:  # type: ignore[attr-defined]
        if isinstance(event, Revoked):
            open_flows.cut(event.transfer_id)


async def _purge(made: Connector, settings: Settings) -> None:
    store = made.database
    with contextlib.suppress(errors.ComityError):
        await kept.tidy(made)
    for minute in itertools.count():
        await asyncio.sleep(PURGE_S)
        with contextlib.suppress(errors.ComityError):
            await deletions.run_due(made)
            if minute % 60 == 0:
                await shredding.run(made)
                await readings.end_idle(made)
        with contextlib.suppress(errors.DatabaseError):
            await store.write(lambda tx: token_uses.purge(tx, before_s=int(time.time()) - TOKEN_KEPT_S))
            await store.write(lambda tx: repeatable.purge(tx, before_ms=now_ms() - repeats.KEPT_MS))
            await events.purge(made, settings.events_keep_days * DAY_MS)
            await keyring.tidy(made)


Assemble = Callable[[Settings], contextlib.AbstractAsyncContextManager[Parts]]


def serve(settings: Settings, *, assemble: Assemble = connector) -> None:
    """Run the connector of a data folder until it is told to stop (SIGTERM, SIGINT).

    `assemble` puts it together: `connector` with arguments of one's own, such as other decisions.

    Raises:
        SettingsError: it cannot run: the folder is in use, a port is taken, a key or certificate cannot be read.
        DatabaseError: the store cannot be read.
    """
    import uvloop  # noqa: PLC0415  only a server needs it

    _raise_files(settings)
    lock = stores.lock_folder(settings.folder)
    stores.note_use(lock, settings.database_url)
    try:
        with (
            _bound(settings.listen, "public.listen") as public,
            _bound(settings.management, "management.listen") as own,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            runner.run(_serve(settings, public, own, assemble))
    finally:
        stores.note_use(lock, None)
        os.close(lock)


async def _serve(settings: Settings, public: socket.socket, own: socket.socket, assemble: Assemble) -> None:
    async with assemble(settings) as parts:
        servers = [_server(parts.public, settings), _server(parts.internal, None)]
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, functools.partial(_stop, servers, parts))
        _announce(settings)
        _tend_memory()
        await asyncio.gather(servers[0].serve([public]), servers[1].serve([own]))
    log.info("%s has stopped", settings.name)


def _raise_files(settings: Settings) -> None:
    """Let this process open as many files as the connections that it takes need, if the system does."""
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(files, settings.limits_connections * 4 // 3 + 1)
    if most != resource.RLIM_INFINITY:
        wanted = min(wanted, most)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


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
    http = _connections(settings) if settings else connection.AbortableConnection
    config = uvicorn.Config(
        application,
        http=http,
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
        config.http_protocol_class = functools.partial(Handshake, config.ssl, http)  # type: ignore[assignment]
        config.ssl = None
    return _Server(config)


def _connections(settings: Settings) -> type[connection.AbortableConnection]:
    """Return the connection for partners; files and our own connections need descriptors too, so a quarter is kept."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return connection.limited(
        min(settings.limits_connections, files * 3 // 4), settings.limits_connections_per_address
    )


def _stop(servers: list[_Server], parts: Parts) -> None:
    """Let requests finish, but not streams: they may be long, and their receivers go on where they were cut."""
    for server in servers:
        server.should_exit = True
    parts.open_flows.cut_all()
    parts.connector.readers.cut_all()
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
