"""Two connectors and a third partner of both, with all that passes kept: what becomes a history for the checker.

`World` runs real connectors; what they do is in their stores and on the recorder, nothing of it is made up.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from comity import settings
from comity.controlplane import catalog
from comity.dsp import terms
from comity.testing import collect, record, wire
from comity.testing.history import History
from support import asgi, edc
from support import pair as pairs
from support.peer import Peer
from support.process import Process

PARTY_PROTOCOL = "dataspace-protocol-http:2025-1"


@dataclass
class World:
    """A provider, a consumer, and a stranger that is a partner of both but no party to what they agree."""

    provider: pairs.Site
    consumer: pairs.Site
    stranger: Peer
    recorder: wire.Recorder
    contents: list[record.Content] = field(default_factory=list)
    operations: list[record.Operation] = field(default_factory=list)
    outages: list[record.Outage] = field(default_factory=list)
    texts: list[record.Text] = field(default_factory=list)
    readings: list[record.Reading] = field(default_factory=list)
    contacts: list[record.Contact] | None = None
    samples: list[record.Sample] | None = None
    before: list[Any] = field(default_factory=list)
    """Units to run in the provider's store before anything else."""

    @property
    def sites(self) -> tuple[pairs.Site, pairs.Site]:
        return self.provider, self.consumer

    async def publish(self, asset_id: str = "asset", **files: bytes) -> None:
        """Publish files (`a="text"` is a.txt), and note what they are."""
        named = {f"{name}.txt": content for name, content in (files or {"a": b"hello"}).items()}
        await self.provider.publish(asset_id, files=named)
        self.note_content(asset_id, named)

    def note_content(self, asset_id: str, files: dict[str, bytes]) -> None:
        digests = {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
        self.contents.append(record.Content(provider=self.provider.did, asset_id=asset_id, files=digests))

    async def offer(self, asset_id: str = "asset") -> dict[str, Any]:
        dataset = await catalog.request_dataset(self.consumer.connector, self.provider.did, None, asset_id)
        return pairs.offer_of(dataset)

    async def negotiate(self, asset_id: str = "asset"):
        """Come to an agreement, and return the negotiation as the consumer has it."""
        begun = await self.consumer.request(self.provider, await self.offer(asset_id))
        await self.consumer.reaches(begun.id, terms.FINALIZED)
        found = await self.consumer.negotiation(begun.id)
        await self.provider.reaches(found.counterparty_pid, terms.FINALIZED)
        return found

    async def transfer(self, negotiation_id: str):
        """Ask for the data of an agreement, and return the consumer's transfer once it runs on both sides."""
        begun = await self.consumer.ask_for_data(negotiation_id)
        await self.both(begun.id, terms.STARTED)
        return await self.consumer.transfer(begun.id)

    async def both(self, consumer_pid: str, state: str) -> None:
        """Wait until a process of the consumer, and its counterpart, are in a state."""
        await self.consumer.reaches(consumer_pid, state)
        pid = await self.consumer.rows(
            "SELECT counterparty_pid FROM negotiation WHERE id = ?1"
            " UNION ALL SELECT counterparty_pid FROM transfer WHERE id = ?1",
            consumer_pid,
        )
        await self.provider.reaches(pid[0][0], state)

    async def move(self, site: pairs.Site, process_id: str, kind: str, **more: Any) -> None:
        await site.move(process_id, kind, reason="because", **more)

    def access(self, transfer_pid: str, at: int = -1) -> tuple[str, str]:
        """The address and token of a start that was sent to a process."""
        starts = [each for each in self.consumer.captured if each.path.endswith(f"/{transfer_pid}/start")]
        address = starts[at].document["dataAddress"]
        named = {each["name"]: each["value"] for each in address["endpointProperties"]}
        return address["endpoint"], named["authorization"]

    async def fetch(self, transfer_pid: str, path: str = "/files/a.txt", at: int = -1):
        endpoint, token = self.access(transfer_pid, at)
        return await self.stranger.fetch(endpoint + path, token)

    async def resend(self, suffix: str, *, to: pairs.Site | None = None) -> None:
        """Send a message that a side (default: the provider) got before to it again, byte for byte, as its partner."""
        taker = to or self.provider
        maker = self.consumer if taker is self.provider else self.provider
        seen = [each for each in taker.captured if each.method == "POST" and each.path.endswith(suffix)][-1]
        await self._post(maker, taker, seen.path, seen.body)

    async def send_as_consumer(self, path: str, document: dict[str, Any]) -> None:
        """Send a message to the provider that the consumer's connector would not send."""
        await self._post(
            self.consumer, self.provider, terms.VERSION_PATH + path, json.dumps(document).encode()
        )

    async def _post(self, maker: pairs.Site, taker: pairs.Site, path: str, body: bytes) -> None:
        url = taker.conf.address + path
        attempt = maker.connector.identity.attempt(taker.did, "POST", url, body)
        await maker.connector.peers.post(url, body, attempt)

    async def ask_as_stranger(self, process_id: str, collection: str = "negotiations") -> None:
        """Ask the provider for a process of others, and for one that is missing; try to end both."""
        for pid in (process_id, "urn:uuid:00000000-0000-4000-8000-000000000000"):
            await self.stranger.get(self.provider, f"/{collection}/{pid}")
            process = Process(self.stranger, self.provider, collection=collection, theirs=pid)
            await process.terminate()

    async def begin(self, key: str, asset_id: str = "asset") -> str:
        """Begin a negotiation through the management API with an Idempotency-Key, and note what came of it."""
        api = asgi.Client(self.consumer.parts.internal, self.consumer.conf.management_key)
        policy = {**await self.offer(asset_id), "assigner": self.provider.did, "target": asset_id}
        body = {
            "counterPartyId": self.provider.did,
            "counterPartyAddress": self.provider.dsp,
            "protocol": PARTY_PROTOCOL,
            "policy": policy,
            "callbackAddresses": [],
        }
        at = wire.now_ms()
        answer = await api.post(
            "contractnegotiations",
            edc.compact(body),
            headers={"x-api-key": self.consumer.conf.management_key, "idempotency-key": key},
        )
        self.texts.append(record.Text("an answer of the management API", answer.body))
        taken = answer.status == 200
        made = record.Operation(
            at=at,
            participant_id=self.consumer.did,
            outcome=record.OK if taken else record.FAIL,
            key=key,
            creates=terms.NEGOTIATION,
            created=answer.json["@id"] if taken else "",
        )
        self.operations.append(made)
        return made.created

    @contextlib.contextmanager
    def outage(self, site: pairs.Site, what: str):
        began = wire.now_ms()
        yield
        self.outages.append(record.Outage(participant_id=site.did, at=began, until=wire.now_ms(), what=what))

    async def open_rows(self) -> int:
        return sum([len(await site.outbox()) for site in self.sites])

    async def calm(self, quiet_s: float = 0.12, timeout_s: float = 4.0) -> None:
        """Wait until nothing has happened for a while: what a fault has broken may never come to rest otherwise."""
        last, since_s, began_s = None, time.monotonic(), time.monotonic()
        while time.monotonic() - since_s < quiet_s and time.monotonic() - began_s < timeout_s:
            now = [len(self.recorder.messages), len(self.recorder.served)]
            for site in self.sites:
                now += [await site.outbox(), await site.rows("SELECT count(*) FROM event")]
            if now != last:
                last, since_s = now, time.monotonic()
            await asyncio.sleep(0.01)

    def secrets(self) -> tuple[bytes, ...]:
        """What must not show: the management keys, the keys of the seals, the signing keys' private parts."""
        found = []
        for site in self.sites:
            found += [site.conf.management_key.encode(), settings.seal_key(site.conf)]
            found += [
                key for path in sorted(Path(site.conf.folder, "keys").iterdir()) for key in _private(path)
            ]
        return tuple(found)

    async def history(self, **more: Any) -> History:
        """Everything that was seen until now."""
        stores = {site.did: site.connector.database for site in self.sites}
        known = {
            "sides": tuple([await collect.side(store, did) for did, store in stores.items()]),
            "messages": tuple(self.recorder.messages),
            "served": tuple(self.recorder.served),
            "contents": tuple(self.contents),
            "received": await collect.received(self.consumer.connector.database, self.consumer.did),
            "readings": tuple(self.readings),
            "operations": tuple(self.operations),
            "outages": tuple(self.outages),
            "contacts": None if self.contacts is None else tuple(self.contacts),
            "samples": None if self.samples is None else tuple(self.samples),
            "texts": tuple(self.texts),
            "secrets": self.secrets(),
        }
        return History(**{**known, **more})

    async def read_agreement(self, site: pairs.Site, agreement_id: str) -> None:
        """Read an agreement as a person would, and keep what was shown."""
        rows = await site.rows("SELECT document FROM agreement WHERE id = ?1", agreement_id)
        document = json.loads(rows[0][0])
        self.readings.append(
            record.Reading(
                at=wire.now_ms(), participant_id=site.did, agreement_id=agreement_id, document=document
            )
        )


def _private(path: Path) -> list[bytes]:
    """The lines of a private key's file that hold the key."""
    if not path.name.endswith(".pem"):
        return []
    return [line for line in path.read_bytes().splitlines() if line and not line.startswith(b"-----")]


async def settled(world: World, timeout_s: float = 10.0) -> None:
    """Wait until nothing is on its way between the two."""

    async def quiet():
        return await world.open_rows() == 0

    await pairs.wait_for(quiet, "nothing is on its way", timeout_s)
