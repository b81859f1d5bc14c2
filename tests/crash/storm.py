"""Two connectors under load while their processes, and the server of their stores, are killed with -9 at random.

Two hundred negotiations and fifty transfers with data are under way at any time. Programs begin them and say what
people say (accept, terminate), as often as needed until it is answered; whoever was killed is started again at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import http.client
import json
import random
import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from comity import settings
from comity.client.connector import NEGOTIATIONS, PROTOCOL, TRANSFERS
from comity.db import stores
from comity.dsp import terms
from comity.testing import collect, history, record
from support import processes

NEGOTIATING, TRANSFERRING = 200, 50
LOOK_S = 0.1
THREADS = 12
THOUGHT_S = (0.5, 4.0)
DRAWINGS, STREAM = "drawings", "stream"
OTHER_TERMS = {"leftOperand": "dateTime", "operator": "lteq", "rightOperand": "2099-12-31T00:00:00Z"}
ENDS = f"'{terms.FINALIZED}', '{terms.TERMINATED}', '{terms.COMPLETED}'"
KINDS = ("HttpData-PULL", "HttpData-PULL", "HttpData-PUSH")


class Slow:
    """An HTTP back end that takes some seconds for half a mebibyte: what is cut in the middle goes on from there."""

    SIZE, PIECE, EVERY_S = 512 * 1024, 16 * 1024, 0.1

    def __init__(self) -> None:
        self.content = random.Random(7).randbytes(self.SIZE)
        self.port = processes.free_port()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._runner = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)

    async def _start(self) -> web.AppRunner:
        application = web.Application()
        application.router.add_get("/stream", self._answer)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        return runner

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        part = request.http_range
        content = self.content[part]
        start = part.start or 0
        answer = web.StreamResponse(status=206 if "Range" in request.headers else 200)
        answer.headers["ETag"] = '"one"'
        answer.content_length = len(content)
        if answer.status == 206:
            answer.headers["Content-Range"] = f"bytes {start}-{start + len(content) - 1}/{self.SIZE}"
        await answer.prepare(request)
        if request.method == "HEAD":
            return answer
        with contextlib.suppress(ConnectionError):
            for at in range(0, len(content), self.PIECE):
                await answer.write(content[at : at + self.PIECE])
                await asyncio.sleep(self.EVERY_S)
        return answer

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


class Keeper:
    """Starts a connector again whenever its process has ended, and notes how long each start took."""

    def __init__(self, side: processes.Served) -> None:
        self.side = side
        self.starts_s: list[float] = []
        self._starting = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep)
        self._thread.start()

    def _keep(self) -> None:
        while not self._ended.wait(0.002):
            if self.side.process.poll() is None:
                continue
            self._starting = True
            with contextlib.suppress(AssertionError):  # it was killed while it started
                self.starts_s.append(self.side.start())
            self._starting = False

    def kill(self, chance: random.Random) -> bool:
        """Kill it, and return whether it was: one that starts is spared four times of five, for slow machines."""
        alive = self.side.process.poll() is None and (not self._starting or chance.random() < 0.2)
        if alive:
            self.side.process.kill()
        return alive

    def end(self) -> None:
        self._ended.set()
        self._thread.join(processes.READY_S + 5)


@dataclass
class People:
    """Keeps negotiations and transfers under way, and decides what waits for a person."""

    provider: processes.Served
    consumer: processes.Served
    into: Path
    chance: random.Random
    operations: list[record.Operation] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    fullest: Counter[str] = field(default_factory=Counter)

    def prepare(self, slow: Slow, folder: Path) -> None:
        """Offer a package and a stream, and agree on both."""
        processes.introduce(self.provider, self.consumer)
        source = folder / DRAWINGS
        source.mkdir()
        for name in ("a.txt", "b/c.txt"):
            (source / name).parent.mkdir(exist_ok=True)
            (source / name).write_text(name * 20_000)
        self.provider.api.publish(str(source), timeout_s=20, asset_id=DRAWINGS)
        address = {"type": "HttpData", "baseUrl": f"http://127.0.0.1:{slow.port}/stream"}
        self.provider.api.request("POST", "assets", {"@id": STREAM, "properties": {}, "dataAddress": address})
        policy = {"@id": "any", "policy": {"@type": "Set", "permission": [{"action": "use"}]}}
        self.provider.api.request("POST", "policydefinitions", policy)
        chosen = {"operandLeft": "id", "operator": "=", "operandRight": STREAM}
        offered = {"accessPolicyId": "any", "contractPolicyId": "any", "assetsSelector": [chosen]}
        self.provider.api.request("POST", "contractdefinitions", offered)
        self.contents = (
            record.Content(provider=self.provider.did, asset_id=DRAWINGS, files=collect.files_of(source)),
            record.Content(
                provider=self.provider.did,
                asset_id=STREAM,
                files={"": hashlib.sha256(slow.content).hexdigest()},
            ),
        )
        self._bodies = {
            asset: processes.contract_request(self.provider, self.consumer, asset)
            for asset in (DRAWINGS, STREAM)
        }
        self._agreements = {asset: self._agree(asset) for asset in self._bodies}

    def _agree(self, asset: str) -> str:
        name = self.consumer.api.request("POST", NEGOTIATIONS, self._bodies[asset])["@id"]
        found = processes.wait_until(
            lambda: (
                (shown := self.consumer.api.load(NEGOTIATIONS, name))["state"] == terms.FINALIZED and shown
            ),
            "an agreement",
            20,
            self.provider,
            self.consumer,
        )
        return found["contractAgreementId"]

    def begin(self) -> None:
        self._begins, self._stopped = True, threading.Event()
        self._pool = ThreadPoolExecutor(THREADS)
        self._thread = threading.Thread(target=self._look_on)
        self._pending: dict[str, Future[None]] = {}
        self._thread.start()

    def begin_no_more(self) -> None:
        """Leave it at what is under way; what waits for a person is decided all the same."""
        self._begins = False

    def end(self) -> None:
        self._stopped.set()
        self._thread.join(60)
        self._pool.shutdown()
        for each in self._pending.values():
            each.result()

    def _look_on(self) -> None:
        while not self._stopped.wait(LOOK_S):
            for name, each in list(self._pending.items()):
                if each.done():
                    del self._pending[name]
                    each.result()
            rows = peek(
                self.consumer,
                "SELECT id, CASE WHEN EXISTS (SELECT 1 FROM outbox WHERE process_id = n.id AND implied = 0)"
                " THEN 'on its way' ELSE state END, updated_at FROM negotiation n"
                f" WHERE state IS NULL OR state NOT IN ({ENDS})"
                f" UNION ALL SELECT id, 'transfer', 0 FROM transfer WHERE state IS NULL OR state NOT IN ({ENDS})",
            )
            if rows is not None:
                self._do_what_is_due(rows)

    def _do_what_is_due(self, rows: list[tuple[Any, ...]]) -> None:
        transferring = sum(state == "transfer" for _, state, _ in rows)
        negotiating = len(rows) - transferring
        self.fullest |= Counter(negotiating=negotiating, transferring=transferring)
        now_ms = time.time() * 1000
        for name, state, updated_at in rows:
            thought_ms = 1000 * random.Random(name).uniform(*THOUGHT_S)
            if state == terms.OFFERED and now_ms - updated_at > thought_ms:
                self._submit(name, self._decide, name)
        if self._begins:
            waiting = Counter(each.partition("-")[0] for each in self._pending)
            for _ in range(NEGOTIATING - negotiating - waiting["n"]):
                key = f"n-{self._count()}"
                self._submit(key, self._insist, NEGOTIATIONS, self._request(), key)
            for _ in range(TRANSFERRING - transferring - waiting["t"]):
                key = f"t-{self._count()}"
                self._submit(key, self._insist, TRANSFERS, self._transfer(key), key)

    def _submit(self, name: str, work: Any, *arguments: Any) -> None:
        if name not in self._pending:
            self._pending[name] = self._pool.submit(work, *arguments)

    def _count(self) -> int:
        self._number = getattr(self, "_number", 0) + 1
        return self._number

    def _request(self) -> dict[str, Any]:
        """Return a request: one in six for what is offered, the others for terms that have to be talked about."""
        body = self._bodies[DRAWINGS]
        if self.chance.random() < 1 / 6:
            return body
        return {
            **body,
            "policy": {**body["policy"], "permission": [{"action": "use", "constraint": [OTHER_TERMS]}]},
        }

    def _transfer(self, key: str) -> dict[str, Any]:
        asset = self.chance.choice((STREAM, STREAM, STREAM, DRAWINGS))
        return {
            "@type": "TransferRequest",
            "protocol": PROTOCOL,
            "counterPartyId": self.provider.did,
            "counterPartyAddress": self.provider.dsp,
            "contractId": self._agreements[asset],
            "transferType": self.chance.choice(KINDS),
            "dataDestination": {"type": "File", "path": str(self.into / key)},
        }

    def _decide(self, name: str) -> None:
        """Accept three offers of four, and decline the fourth; where that was not answered, it is looked at again."""
        move = "terminate" if random.Random(name).random() < 0.25 else "accept"
        with contextlib.suppress(OSError, http.client.HTTPException):
            self._post(f"{NEGOTIATIONS}/{name}/{move}", {"reason": "too dear"}, process_id=name)

    def _insist(self, path: str, body: dict[str, Any], key: str) -> None:
        """Send a request until it is answered: begun once, however often it was sent."""
        while not self._stopped.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self._post(path, body, key=key):
                    return
            time.sleep(LOOK_S)
        raise AssertionError(f"{key} was never answered")

    def _post(self, path: str, body: Any, *, key: str = "", process_id: str = "") -> bool:
        """Send one request to the consumer's management API, and write down what came of it."""
        side = self.consumer
        at, outcome, created = time.time_ns() // 1_000_000, record.INFO, ""
        host, port = settings.split_listen(side.conf.management, "management")
        connection = http.client.HTTPConnection(host, port, timeout=20)
        headers = {"X-Api-Key": side.conf.management_key, "Content-Type": "application/json"}
        headers |= {"Idempotency-Key": key} if key else {}
        try:
            connection.request("POST", f"/management/v3/{path}", json.dumps(body), headers)
            answer = connection.getresponse()
            said = answer.read()
            outcome = record.OK if answer.status < 300 else record.FAIL
            if outcome == record.FAIL:
                self.refused[str(answer.status)] += 1
                assert answer.status in {409, 503}, (path, answer.status, said)
            elif key:
                created = json.loads(said)["@id"]
        finally:
            connection.close()
            self.operations.append(
                record.Operation(
                    at=at,
                    participant_id=side.did,
                    outcome=outcome,
                    key=key,
                    created=created,
                    process_id=process_id,
                )
            )
        return outcome == record.OK


def peek(side: processes.Served, sql: str) -> list[tuple[Any, ...]] | None:
    """Read a store from outside, None if it cannot be read now: its server may just have been killed."""
    try:
        return side.rows(sql)
    except Exception:  # noqa: BLE001  the drivers have no common class
        return None


def is_over(*sides: processes.Served) -> bool:
    """Whether nothing is open on any side, and nothing on its way."""
    sql = (
        f"SELECT (SELECT count(*) FROM negotiation WHERE state IS NULL OR state NOT IN ({ENDS}))"
        f" + (SELECT count(*) FROM transfer WHERE state IS NULL OR state NOT IN ({ENDS}))"
        " + (SELECT count(*) FROM outbox)"
    )
    return all(peek(side, sql) == [(0,)] for side in sides)


async def seen(conf: settings.Settings) -> tuple[record.Side, tuple[record.Received, ...]]:
    """Return all that a side holds: its store, and the data that it holds for complete."""
    async with stores.opened(conf.database, conf.database_url, insecure=conf.insecure) as store:
        return (
            await collect.side(store, conf.participant_id),
            await collect.received(store, conf.participant_id),
        )


def check(people: People) -> dict[str, int]:
    """Have the history checked, and return how much of it there is."""
    held = [asyncio.run(seen(each.conf)) for each in (people.provider, people.consumer)]
    received = tuple(each for _, found in held for each in found)
    found = history.check(
        record.History(
            sides=tuple(side for side, _ in held),
            contents=people.contents,
            received=received,
            operations=tuple(people.operations),
        )
    )
    found.expect("I1", "I2", "I3", "I4", "I5", "I6", "I8", "I10", "I11", "I14")
    kinds = Counter(each.kind for each in held[1][0].processes)
    return {
        "violations": len(found.violations),
        "negotiations": kinds[terms.NEGOTIATION],
        "transfers": kinds[terms.TRANSFER],
        "received": len(received),
    }
