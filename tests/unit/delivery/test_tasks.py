"""One task for each name: never two, once more for news that came meanwhile, none after the end."""

import asyncio

from comity.delivery.tasks import Tasks


class Work:
    """Counts what is begun and ends each when it is let go."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.go = asyncio.Event()
        self.tasks = Tasks(self)

    async def __call__(self, name: str) -> None:
        self.begun.append(name)
        await self.go.wait()

    async def idle(self) -> None:
        while running := list(self.tasks.running.values()):
            await asyncio.gather(*running, return_exceptions=True)


async def test_news_during_the_work_is_looked_at_once_more_however_often_it_came():
    work = Work()
    for name in ("a", "a", "b"):
        work.tasks.begin(name)
    await asyncio.sleep(0)
    work.tasks.begin("a")
    assert sorted(work.begun) == ["a", "b"]
    work.go.set()
    await work.idle()
    assert sorted(work.begun) == ["a", "a", "b"]


async def test_work_that_is_stopped_ends_and_may_begin_anew():
    work = Work()
    work.tasks.begin("a")
    await asyncio.sleep(0)
    work.tasks.cancel("a")
    await work.idle()
    work.tasks.begin("a")
    await asyncio.sleep(0)
    assert work.begun == ["a", "a"]
    await work.tasks.close()


async def test_nothing_is_begun_after_the_end():
    work = Work()
    work.tasks.begin("a")
    await asyncio.sleep(0)
    work.tasks.begin("a")
    await work.tasks.close()
    work.tasks.begin("b")
    assert work.begun == ["a"]
    assert work.tasks.running == {}
