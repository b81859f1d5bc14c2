"""Whose turn it is among the requests that push one transfer."""

import asyncio
import contextlib

import pytest

from comity.dataplane import flows
from comity.dataplane.turns import Turns
from comity.errors import ConflictError
from support.pair import wait_for


class Requests:
    """Requests of one transfer, each of which runs until it is let go or ended; `running` names those that run."""

    def __init__(self):
        self.turns, self.flows = Turns(), flows.Flows()
        self.running, self.go_on, self.tasks = [], asyncio.Event(), {}

    async def _run(self, name, path, offset, more):
        async with self.flows.open("t-1") as flow, self.turns.take(path, offset, flow, **more):
            self.running.append(name)
            try:
                await self.go_on.wait()
            finally:
                self.running.remove(name)

    async def ask(self, name, path, offset=None, **more):
        more.setdefault("alone", False)
        self.tasks[name] = asyncio.create_task(self._run(name, path, offset, more))
        await asyncio.sleep(0)
        await asyncio.sleep(0)


@pytest.fixture
async def requests():
    made = Requests()
    yield made
    made.go_on.set()
    await asyncio.gather(*made.tasks.values(), return_exceptions=True)
    assert made.turns.idle
    assert made.running == []


async def test_files_and_blocks_of_one_file_go_side_by_side(requests):
    await requests.ask("a", "a")
    await requests.ask("b from 0", "b", 0)
    await requests.ask("b from 5", "b", 5)
    assert requests.running == ["a", "b from 0", "b from 5"]


@pytest.mark.parametrize(("offset", "ended"), [(None, {"b from 0", "b from 5"}), (5, {"b from 5"})])
async def test_who_comes_again_ends_what_lost_its_sender(requests, offset, ended):
    for name, path, at in (("a", "a", None), ("b from 0", "b", 0), ("b from 5", "b", 5)):
        await requests.ask(name, path, at)
    await requests.ask("again", "b", offset)
    await wait_for(lambda: "again" in requests.running and all(requests.tasks[each].done() for each in ended))
    assert {"a", "b from 0", "b from 5"} - set(requests.running) == ended
    for name in ended:
        with pytest.raises(ConflictError, match="left"):
            await requests.tasks[name]


async def test_one_that_goes_alone_waits_for_the_others_and_they_for_it(requests):
    await requests.ask("a", "a")
    await requests.ask("alone", "m", alone=True)
    assert requests.running == ["a"]
    requests.tasks["a"].cancel()
    await wait_for(lambda: requests.running == ["alone"])
    await requests.ask("b", "b")
    assert requests.running == ["alone"]


async def test_a_sender_that_begins_anew_ends_all_others(requests):
    await requests.ask("a", "a")
    await requests.ask("b", "b", 7)
    await requests.ask("anew", "m", alone=True, anew=True)
    await wait_for(lambda: requests.running == ["anew"])
    with contextlib.suppress(ConflictError):
        await requests.tasks["a"]
    assert requests.tasks["b"].done()
