"""The proxy itself: each fault as the two sides see it, what is recorded of it, and the command."""

import asyncio
import io
import json
import re
import signal
import socket
import sys

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from comity.testing import chaos, record
from comity.testing.chaos import __main__ as command
from comity.testing.chaos import exchange as exchanges
from comity.testing.chaos import plan, waiting
from support.pair import wait_for

PATH = "/dsp/2025-1/negotiations/urn%3A1/agreement"
BODY = b'{"@type": "ContractAgreementMessage", "consumerPid": "urn:c", "providerPid": "urn:p"}'
END = b'{"@type": "ContractNegotiationTerminationMessage", "consumerPid": "urn:c", "providerPid": "urn:p"}'
ANSWER = b'{"state": "AGREED"}'
BROKEN = (aiohttp.ClientError, ConnectionError)


class Connector:
    """Anybody's: it keeps what it gets and answers `answer`."""

    def __init__(self):
        self.got = []
        self.answer = ANSWER

    async def serve(self, request):
        self.got.append(
            (request.method, request.raw_path, await request.content.read(), request.headers.get("X-Own"))
        )
        return web.Response(body=self.answer, status=200, headers={"X-Theirs": "1"})


@pytest.fixture
async def connector():
    made = Connector()
    runner = web.ServerRunner(web.Server(made.serve))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest.fixture
async def sender():
    async with aiohttp.ClientSession() as session:

        async def send(door, body=BODY, path=PATH):
            url = URL(door.address + path, encoded=True)
            async with session.post(url, data=body, headers={"X-Own": "2"}) as answer:
                return answer.status, answer.headers, await answer.read()

        yield send


@pytest.fixture
async def through(connector):
    """Opens a door that does one fault to every message."""
    proxies = []

    async def make(fault="", **more):
        kept = []
        profile = chaos.Profile(**({fault: 1.0} if fault else {}), **more)
        proxy = await chaos.Proxy(profile, seed=1, record=kept.append).__aenter__()
        proxies.append(proxy)
        return proxy, await proxy.open(to=connector.address, name="did:web:them"), kept

    yield make
    for proxy in proxies:
        await proxy.__aexit__(None, None, None)


def legs(kept):
    return [(leg.leg, leg.status) for each in kept for leg in each.messages]


async def test_without_a_fault_it_passes_on_what_came_and_what_was_answered(through, connector, sender):
    _, door, kept = await through()
    status, headers, body = await sender(door)
    assert (status, headers["X-Theirs"], body) == (200, "1", ANSWER)
    assert connector.got == [("POST", PATH, BODY, "2")]
    (exchange,) = kept
    assert exchange.fault == ""
    assert legs(kept) == [(record.BOTH, 200)]
    assert (exchange.messages[0].path, exchange.messages[0].receiver) == (
        "/negotiations/urn%3A1/agreement",
        "did:web:them",
    )


async def test_a_long_body_is_passed_on_in_both_directions(through, connector, sender):
    _, door, _ = await through()
    connector.answer = bytes(6 * 1024 * 1024)
    long = bytes(5 * 1024 * 1024)
    assert (await sender(door, io.BytesIO(long)))[2] == connector.answer
    assert connector.got[0][2] == long


async def test_a_dropped_request_reaches_nobody(through, connector, sender):
    proxy, door, kept = await through("drop_request")
    with pytest.raises(BROKEN):
        await sender(door)
    assert connector.got == []
    assert legs(kept) == [(record.SENDER, None)]
    assert proxy.counts == {"drop_request": 1}


@pytest.mark.parametrize("fault", ["drop_reply", "truncate"])
async def test_a_lost_answer_is_one_to_a_message_that_was_taken(through, connector, sender, fault):
    _, door, kept = await through(fault)
    with pytest.raises(BROKEN):
        await sender(door)
    assert len(connector.got) == 1
    assert legs(kept) == [(record.SENDER, None), (record.RECEIVER, 200)]


async def test_a_reset_may_come_before_and_after_the_message_was_taken(through, connector, sender):
    _, door, _ = await through("reset")
    for _ in range(12):
        with pytest.raises(BROKEN):
            await sender(door)
    assert 0 < len(connector.got) < 12


async def test_a_duplicate_arrives_twice_and_is_answered_once(through, connector, sender):
    _, door, kept = await through("duplicate_now")
    assert (await sender(door))[0] == 200
    assert len(connector.got) == 2
    assert legs(kept) == [(record.SENDER, 200), (record.RECEIVER, 200), (record.RECEIVER, 200)]


async def test_a_late_duplicate_is_an_exchange_of_its_own(through, connector, sender):
    proxy, door, kept = await through("duplicate_later", later_s=3600)
    await sender(door)
    assert len(connector.got) == 1
    await proxy.settle()
    assert len(connector.got) == 2
    assert [each.copy_of for each in kept] == [None, 1]


async def test_a_duplicate_after_the_end_comes_when_its_process_has_ended(through, connector, sender):
    proxy, door, _ = await through("duplicate_after_end", hold_s=0.01)
    await sender(door)
    await sender(door, BODY.replace(b"urn:", b"urn:other:"))
    proxy.profile = chaos.QUIET
    assert len(connector.got) == 2
    await sender(door, END)
    await wait_for(lambda: len(connector.got) == 4)
    assert [each[2] for each in connector.got[2:]] == [END, BODY]


async def test_a_message_that_waits_to_be_overtaken_goes_on_when_another_of_its_process_has_passed(
    through, connector, sender
):
    proxy, door, _ = await through("reorder", hold_s=3600)
    overtaken = asyncio.create_task(sender(door))
    await wait_for(lambda: proxy.overtaking._waiting)
    proxy.profile = chaos.QUIET
    await sender(door, END)
    assert (await overtaken)[0] == 200
    assert sorted(each[2] for each in connector.got) == sorted([BODY, END])


@pytest.mark.parametrize(("fault", "status"), [("status_503", 503), ("status_429", 429)])
async def test_come_again_later_is_said_of_a_message_that_was_not_passed_on(
    through, connector, sender, fault, status
):
    _, door, kept = await through(fault, retry_after_s=5)
    answered, headers, _ = await sender(door)
    assert answered == status
    assert 1 <= int(headers["Retry-After"]) <= 5
    assert connector.got == []
    assert legs(kept) == [(record.SENDER, status)]


@pytest.mark.parametrize(("fault", "status"), [("status_500", 500), ("garbage", 200)])
async def test_a_wrong_answer_may_be_to_a_message_that_was_taken(through, connector, sender, fault, status):
    _, door, _ = await through(fault)
    answers = [await sender(door) for _ in range(12)]
    assert {each[0] for each in answers} == {status}
    assert ANSWER not in {each[2] for each in answers}
    assert 0 < len(connector.got) < 12


@pytest.mark.parametrize(("cut", "arrived"), [("requests", 0), ("replies", 1)])
async def test_a_partition_is_one_way(through, connector, sender, cut, arrived):
    proxy, door, _ = await through()
    door.cut = cut
    with pytest.raises(BROKEN):
        await sender(door)
    assert len(connector.got) == arrived
    assert proxy.counts == {"cut": 1}
    door.cut = ""
    assert (await sender(door))[0] == 200


async def test_a_connector_that_is_away_is_seen_to_be_away(through, connector, sender):
    proxy, _, kept = await through()
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        door = await proxy.open(to=f"http://127.0.0.1:{nobody.getsockname()[1]}")
        with pytest.raises(BROKEN):
            await sender(door)
    assert proxy.counts == {"unreachable": 1}
    assert legs(kept) == [(record.SENDER, None)]


async def test_paths_that_are_not_meant_have_no_fault(connector, sender):
    async with chaos.Proxy(chaos.Profile(drop_request=1.0), only="/transfers/") as proxy:
        door = await proxy.open(to=connector.address)
        assert (await sender(door))[0] == 200
        with pytest.raises(BROKEN):
            await sender(door, path="/protocol/transfers/request")


def test_a_seed_gives_the_same_plan_again_and_another_seed_another():
    mixed = chaos.PROFILES["mixed"]

    def faults(seed, door="a"):
        return [plan.draw(seed, door, number, mixed).fault for number in range(500)]

    assert faults(1) == faults(1)
    assert faults(1) != faults(2)
    assert faults(1) != faults(1, "b")
    assert set(faults(1)) == {"", *chaos.FAULTS}
    assert 0.25 < sum(map(bool, faults(1))) / 500 < 0.45


def test_shares_that_cannot_be_are_refused():
    for shares in ({"delay": 1.1}, {"delay": -0.1}, {"delay": 0.6, "reset": 0.6}):
        with pytest.raises(ValueError, match="at most 1"):
            chaos.Profile(**shares)
    with pytest.raises(ValueError, match="there is no fault"):
        command.changed(chaos.QUIET, ["no=1"])
    assert command.changed(chaos.QUIET, ["delay=0.5"]).delay == 0.5


def test_copies_that_wait_for_an_end_are_bounded():
    sent, copies = [], waiting.Copies()
    for number in range(100):
        copies.keep((f"urn:{number}",), 1024 * 1024, lambda number=number: sent.append(number))
    assert sent == list(range(100 - waiting.KEPT_BYTES // (1024 * 1024)))
    copies.ended(["urn:99"])
    assert sent[-1] == 99


@pytest.mark.parametrize(
    ("document", "pids", "ends"),
    [
        ({"@type": "ContractRequestMessage", "consumerPid": "c"}, ("c",), False),
        ({"@type": "dspace:TransferCompletionMessage", "dspace:consumerPid": {"@id": "c"}}, ("c",), True),
        (
            {
                "@type": ["https://w3id.org/dspace/2025/1/ContractNegotiationEventMessage"],
                "https://w3id.org/dspace/2025/1/providerPid": [{"@id": "p"}],
                "https://w3id.org/dspace/2025/1/eventType": [
                    {"@id": "https://w3id.org/dspace/2025/1/FINALIZED"}
                ],
            },
            ("p",),
            True,
        ),
        ({"@type": "ContractNegotiationEventMessage", "eventType": "ACCEPTED"}, (), False),
        ([], (), False),
    ],
)
def test_messages_are_read_in_every_spelling(document, pids, ends):
    found = exchanges.about(json.dumps(document).encode())
    assert (found.pids, found.ends) == (pids, ends)


async def test_the_command_stands_between_and_says_what_it_did(connector, sender, tmp_path):
    words = ["--listen", "127.0.0.1:0", "--to", connector.address, "--profile", "quiet"]
    words += ["--share", "drop_reply=1", "--seed", "7", "--record", str(tmp_path / "wire.jsonl")]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "comity.testing.chaos", *words, stdout=asyncio.subprocess.PIPE
    )
    line = (await process.stdout.readline()).decode()
    assert "seed 7" in (await process.stdout.readline()).decode()

    class Door:
        address = re.match(r"http://\S+", line)[0]

    with pytest.raises(BROKEN):
        await sender(Door)
    process.send_signal(signal.SIGTERM)
    said, _ = await process.communicate()
    assert said.decode().split("\n")[:2] == ["1 requests", "       1 drop_reply"]
    assert process.returncode == 0
    kept = json.loads((tmp_path / "wire.jsonl").read_text())
    assert (kept["fault"], [leg["leg"] for leg in kept["messages"]]) == ("drop_reply", ["sender", "receiver"])
    assert (tmp_path / "wire.jsonl").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--listen", "abc"], "--listen abc: write HOST:PORT"),
        (["--listen", "127.0.0.1:{taken}"], "--listen 127.0.0.1:{taken}: Address already in use"),
        (["--only", "("], "--only (: missing )"),
        (["--record", "/no/such/folder/x"], "--record /no/such/folder/x: No such file"),
        (["--certificate", "/no/such/file"], "--certificate /no/such/file: No such file"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(capsys, words, said):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        given = [each.replace("{taken}", port) for each in words]
        given += [] if "--listen" in words else ["--listen", "127.0.0.1:0"]
        with pytest.raises(SystemExit) as ended:
            command.main([*given, "--to", "http://127.0.0.1:1"])
    lines = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2
    assert f"error: {said.replace('{taken}', port)}" in lines[-1]
