"""Connectors in this process on loopback listeners, with every message that passes captured, held or repeated.

A `Site` is one connector: its folder, its running parts and its public listener. `pair` in tests/pair/conftest.py
starts two that know each other.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import shutil
import socket
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from comity import data_folder, runtime, settings
from comity.controlplane import content as contents
from comity.controlplane import negotiation_moves, packaging, partners, publish, transfer_moves
from comity.controlplane.decide import Move
from comity.db import agreements, negotiations, offers, published, transfers
from comity.db import evidence as evidence_rows
from comity.dsp import negotiation, terms
from comity.evidence import entry
from comity.techdata import manifest
from comity.testing.wire import Recorder
from support import stores
from support.ports import free_port

KEPT_BYTES = 1 << 20


async def wait_for(check, what: str = "", timeout_s: float = 10.0):
    """Return the first true result of `check` (plain or async), asked again and again until the deadline."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        found = check()
        found = await found if inspect.isawaitable(found) else found
        if found:
            return found
        if time.monotonic() > deadline_s:
            raise AssertionError(f"not within {timeout_s} s: {what or inspect.getsource(check).strip()}")
        await asyncio.sleep(0.005)


@dataclass
class Captured:
    """A request to a protocol endpoint and the status of its answer."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""
    status: int = 0

    @property
    def document(self) -> dict[str, Any]:
        return json.loads(self.body)


class Hold:
    """Keeps requests (or their answers) of a path waiting until it is released."""

    def __init__(self, suffix: str, *, answers: bool) -> None:
        self.suffix = suffix
        self.answers = answers
        self.arrived = asyncio.Event()
        self.released = asyncio.Event()

    def release(self) -> None:
        self.released.set()

    async def wait(self) -> None:
        self.arrived.set()
        await self.released.wait()


@dataclass
class Wire:
    """The public application, with an ear and a hand on the protocol's endpoints."""

    application: Any
    captured: list[Captured]
    holds: list[Hold]
    site: Site

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http" or not scope["path"].startswith("/dsp/"):
            await self.application(scope, receive, send)
            return
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        seen = Captured(scope["method"], scope["path"], headers)
        self.captured.append(seen)
        hold = next((each for each in self.holds if seen.path.endswith(each.suffix)), None)
        if hold is not None and not hold.answers:
            await hold.wait()

        async def listen():
            event = await receive()
            if event["type"] == "http.request" and len(seen.body) < KEPT_BYTES:
                seen.body += event.get("body", b"")
            return event

        async def speak(event):
            if event["type"] == "http.response.start":
                seen.status = event["status"]
                await asyncio.sleep(self.site.answer_after_s)
                if hold is not None and hold.answers:
                    await hold.wait()
            await send(event)

        await self.application(scope, listen, speak)


@dataclass
class Site:
    """One connector with its own folder, database, keys and listener."""

    folder: Path
    conf: settings.Settings
    template: Path | None = None
    captured: list[Captured] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    decisions: Any = None
    answer_after_s: float = 0.0
    recorder: Recorder | None = None
    """Keeps what passes, if there is one: for `comity.testing.history`."""

    @property
    def did(self) -> str:
        return self.conf.participant_id

    @property
    def dsp(self) -> str:
        return self.conf.address + terms.VERSION_PATH

    @property
    def connector(self):
        return self.parts.connector

    async def start(self) -> None:
        if self.template is not None and not self.conf.database_url and not self.conf.database.exists():
            shutil.copy(self.template, self.conf.database)
        self._running = runtime.connector(self.conf, decisions=self.decisions)
        self.parts = await self._running.__aenter__()
        wire = Wire(self.parts.public, self.captured, self.holds, self)
        public = self.recorder.wrap(wire, self.did) if self.recorder else wire
        self._server = runtime._server(public, None)
        host, port = settings.split_listen(self.conf.listen, "listen")
        bound = socket.socket(
            socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP
        )  # asyncio turns Nagle off for it
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(200)
        config, self._state = self._server.config, self._server.server_state
        connection = functools.partial(config.http_protocol_class, config, self._state, {})
        self._listener = await asyncio.get_running_loop().create_server(connection, sock=bound)

    async def stop(self) -> None:
        """End it as a kill would, for its partners: open connections are dropped."""
        for each in self._listener.sockets:
            asyncio.get_running_loop().remove_reader(each)
        for _ in range(3):  # what was accepted already gets its connection, and is dropped with the others
            await asyncio.sleep(0)
        self._listener.close()
        tasks = list(self._state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for each in list(self._state.connections):
            each.transport.abort()
        await self._running.__aexit__(None, None, None)

    def hold(self, suffix: str, *, answers: bool = False) -> Hold:
        """Keep requests to paths with this ending waiting, or only their answers."""
        made = Hold(suffix, answers=answers)
        self.holds.append(made)
        return made

    def release(self, hold: Hold) -> None:
        self.holds.remove(hold)
        hold.release()

    async def befriend(self, other, **more):
        return await partners.add(self.connector, other.did, **more)

    async def publish(self, asset_id: str = "asset", *, files: dict[str, bytes] | None = None, **more):
        """Publish a folder with `files`, named after the asset."""
        folder = self.folder.parent / "published" / asset_id
        for name, content in (files or {"a.txt": b"hello"}).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return await publish.publish(self.connector, str(folder), asset_id=asset_id, **more)

    async def hand_out(self, change, *, shown: bool = True) -> None:
        """Let the asset hand out what `change` makes of its content, against what was published.

        The catalog shows it too, unless it is not to be `shown`.
        """

        async def unit(tx):
            asset = await offers.find(tx, offers.Asset, "asset")
            stored = await published.find(tx, asset.content_id)
            kept = change(contents.opened(self.connector, "asset", stored))
            sealed = contents.close(self.connector, "asset", kept)
            digest = manifest.digest(kept.manifest.encode())
            properties = {**asset.properties, **({"comity:manifestSha256": digest} if shown else {})}
            await published.keep(tx, sealed)
            content_id = published.id_of(sealed)
            changed = msgspec.structs.replace(asset, content_id=content_id, properties=properties)
            await offers.save(tx, changed)
            await tx.run("UPDATE revision SET manifest_sha256 = ?1", digest)

        await self.connector.database.write(unit)

    async def manifest(self, asset_id: str = "asset"):
        """Return the manifest of what is published under an id."""
        return (await packaging.before(self.connector, asset_id)).manifest

    async def rows(self, sql: str, *values):
        return await self.connector.database.read(lambda tx: tx.all(sql, *values))

    async def negotiation(self, negotiation_id: str):
        return await self.connector.database.read(lambda tx: negotiations.load(tx, negotiation_id))

    async def transfer(self, transfer_id: str):
        return await self.connector.database.read(lambda tx: transfers.load(tx, transfer_id))

    async def agreement(self, negotiation_id: str):
        return await self.connector.database.read(
            lambda tx: agreements.find_by_negotiation(tx, negotiation_id)
        )

    async def outbox(self):
        return await self.rows("SELECT process_id, message, attempts, last_error, implied FROM outbox")

    async def state(self, process_id: str) -> str | None:
        sql = "SELECT state FROM negotiation WHERE id = ?1 UNION ALL SELECT state FROM transfer WHERE id = ?1"
        found = await self.rows(sql, process_id)
        return found[0][0] if found else None

    async def reaches(self, process_id: str, state: str, timeout_s: float = 10.0) -> None:
        """Wait until a process is in a state and nothing of it is on its way."""

        async def there():
            open_rows = [row for row in await self.outbox() if row[0] == process_id]
            return await self.state(process_id) == state and not open_rows

        try:
            await wait_for(there, "", timeout_s)
        except AssertionError:
            found = (await self.state(process_id), await self.outbox())
            raise AssertionError(f"{process_id} is not {state} within {timeout_s} s but {found}") from None

    async def request(self, partner, offer: dict[str, Any]):
        """Begin a negotiation as consumer."""
        return await self._begin(negotiation_moves.request, partner, offer)

    async def offer(self, partner, offer: dict[str, Any]):
        """Begin a negotiation as provider."""
        return await self._begin(negotiation_moves.offer, partner, offer)

    async def _begin(self, begin, partner, offer):
        known = await self.connector.database.read(lambda tx: partners.partners.load(tx, partner.did))
        return await self.connector.database.write(
            lambda tx: begin(self.connector, tx, known, offer, known.address)
        )

    async def ask_for_data(self, negotiation_id: str):
        """Request a transfer under the agreement of a negotiation, as consumer."""
        record, agreed = await self.negotiation(negotiation_id), await self.agreement(negotiation_id)
        return await self.connector.database.write(
            lambda tx: transfer_moves.request(self.connector, tx, agreed, record.counterparty_address)
        )

    async def move(self, process_id: str, kind: str, **more) -> None:
        """Make a move in a negotiation or a transfer, as an operator would."""
        known = await self.rows("SELECT 1 FROM negotiation WHERE id = ?1", process_id)
        moves = negotiation_moves if known else transfer_moves
        await moves.make(self.connector, process_id, Move(kind=kind, **more))

    async def entries(self, process_id: str = "") -> list[dict[str, Any]]:
        """The evidence, all of it or of one process, after its chains were verified; with the tokens beside it."""
        found: list[dict[str, Any]] = []
        for chain in await self.connector.database.read(evidence_rows.find_chains):
            rows = await self.connector.database.read(
                functools.partial(evidence_rows.find_page, after=0, limit=1_000_000, chain=chain)
            )
            entry.verify(rows)
            tokens = await self.connector.database.read(
                functools.partial(evidence_rows.find_tokens, after=0, limit=1_000_000, chain=chain)
            )
            found += [
                {**json.loads(record), **({"token": tokens[seq]} if seq in tokens else {})}
                for seq, record, _ in rows
            ]
        return [each for each in found if process_id in {"", each.get("processId")}]

    async def path_of(self, process_id: str) -> list[tuple[str, str]]:
        """The changes of state that the evidence shows, in order."""
        taken = {"accepted", "acknowledged", "not sent", ""}
        return [
            (each.get("before", ""), each["after"])
            for each in await self.entries(process_id)
            if each.get("outcome", "") in taken
        ]


def offer_of(dataset: dict[str, Any], at: int = 0) -> dict[str, Any]:
    """An offer of a dataset as it may stand in a message."""
    found = dataset["hasPolicy"][at]
    return negotiation.message_offer(found, offer_id=found["@id"], target=dataset["@id"])


def new_site(
    folder: Path,
    template: Path | None = None,
    *,
    insecure=True,
    address="",
    decisions=None,
    recorder=None,
    kind=stores.SQLITE,
    buckets=(),
    **more,
) -> Site:
    port = free_port()
    conf = data_folder.initialize(
        folder,
        address=address or f"http://127.0.0.1:{port}",
        listen=f"127.0.0.1:{port}",
        management="127.0.0.1:0",
        roots=[str(folder.parent)],
        insecure=insecure,
        **{"database": stores.fresh(kind, folder) if kind == stores.POSTGRESQL else ""} | more,
    )
    # one peer may try all there is to be refused
    conf = replace(conf, limits_refused_per_hour=1_000_000, buckets=tuple(buckets))
    return Site(folder, conf, template, decisions=decisions, recorder=recorder)


class Pair(NamedTuple):
    provider: Site
    consumer: Site


async def introduced(provider: Site, consumer: Site) -> Pair:
    """Put each on the other's list of partners."""
    await provider.befriend(consumer)
    await consumer.befriend(provider)
    return Pair(provider, consumer)
