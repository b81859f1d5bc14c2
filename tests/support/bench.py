"""A connector on the workbench: a real store, and doubles for everything that leaves the machine."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import msgspec

from comity import errors
from comity.controlplane import outcome, trust
from comity.controlplane.connector import Connector
from comity.controlplane.decide import ByPolicy
from comity.db import outbox, partners
from comity.db.seal import Seal
from comity.db.sqlite import Database
from comity.storage.file import Files
from comity.storage.objects import Objects

US = "did:web:us.example"
THEM = "did:web:them.example"
ADDRESS = "https://them.example/dsp/2025-1"
NOW_MS = 1_790_000_000_000


class Identity(trust.Unproven):
    """Proves nothing: nobody is there to check it."""

    def __init__(self):
        super().__init__(US)


class Peers:
    """Answers what a test says, and keeps what it was asked."""

    def __init__(self):
        self.answer: Any = {}
        self.asked: list[tuple[str, bytes]] = []

    async def get(self, url, proof):
        return self._reply(url, b"")

    async def post_page(self, url, body, proof):
        return self._reply(url, body), None

    async def version(self, root):
        return "/dsp/2025-1"

    def _reply(self, url, body):
        self.asked.append((url, body))
        if isinstance(self.answer, Exception):
            raise self.answer
        return json.dumps(self.answer).encode()


class Egress:
    """Takes everything but what lies on this machine."""

    def check_url(self, url):
        if "127.0.0.1" in url or "localhost" in url:
            raise errors.PermanentDeliveryError("loopback is refused")


async def no_credentials(bucket):
    """There are no buckets here."""
    raise AssertionError(bucket)


class Workbench:
    """The connector, and what a test does to it from outside."""

    def __init__(self, database: Path, root: Path, **parts):
        self.database = Database(database)
        self.now_ms = NOW_MS
        self.peers = Peers()
        numbers = itertools.count(1)
        self.connector = Connector(
            **{
                "participant_id": US,
                "dsp_address": "https://us.example/dsp/2025-1",
                "data_address": "https://us.example/data",
                "database": self.database,
                "seal": Seal(bytes(32)),
                "identity": Identity(),
                "peers": self.peers,
                "resolver": None,
                "signing_keys": None,
                "egress": Egress(),
                "files": Files([str(root)]),
                "kept": None,
                "back_end": None,
                "objects": Objects((), no_credentials),
                "remote": None,
                "decisions": ByPolicy(),
                "now_ms": self._now_ms,
                "new_id": lambda: f"urn:test:{next(numbers)}",
                "new_token": lambda: "t" * 43,
                **parts,
            }
        )

    def _now_ms(self):
        self.now_ms += 1
        return self.now_ms

    async def befriend(self, name: str = THEM, address: str = ADDRESS) -> None:
        partner = partners.Partner(
            id=name, name=name, address=address, keys=[], pinned=False, attributes={}, created_at=self.now_ms
        )
        await self.database.write(lambda tx: partners.save(tx, partner))

    async def outbox(self, process_id: str | None = None) -> list[outbox.Outgoing]:
        rows = await self.database.read(outbox.find_open)
        return [row for row in rows if process_id in {None, row.process_id}]

    async def acknowledge(self, process_id: str) -> None:
        """The partner takes our oldest message of a process."""
        row = (await self.outbox(process_id))[0]
        reply = json.dumps({"consumerPid": process_id, "providerPid": "urn:theirs"}).encode()
        if row.before is not None:
            reply = b"{}"
        await outcome.Outcomes(self.connector).acknowledged(row, reply, None)

    async def change(self, kind, process_id: str, **fields) -> Any:
        """Change fields of a stored negotiation or transfer (`kind` is the module of its rows)."""

        async def unit(tx):
            return await kind.save(tx, msgspec.structs.replace(await kind.load(tx, process_id), **fields))

        return await self.database.write(unit)
