"""The connections of an `AsyncConnector` and the event loops that they belong to."""

import asyncio

import pytest

from comity import errors
from comity.client import AsyncConnector
from unit.client import standin


@pytest.fixture
def client(api):
    api.says("GET", "partners", [])
    return AsyncConnector(api.address, standin.KEY)


def test_one_connector_works_in_one_event_loop_after_the_other(api, client):
    async def asked():
        return await client.partners()

    async def last():
        async with client:
            return await client.partners()

    assert [asyncio.run(asked()), asyncio.run(asked()), asyncio.run(last())] == [[], [], []]
    assert len(api.asked) == 3


def test_a_closed_connector_says_so_until_it_is_entered_again(api, client):
    async def run():
        async with client:
            await client.partners()
        with pytest.raises(errors.ConflictError, match="this AsyncConnector is closed"):
            await client.partners()
        async with client:
            await client.partners()

    asyncio.run(run())
    assert len(api.asked) == 2


def test_two_event_loops_at_once_have_no_connections_in_common(client):
    async def run():
        async with client:
            await client.partners()
            elsewhere = await asyncio.to_thread(asyncio.run, refused())
            assert elsewhere == "this AsyncConnector is used in another event loop"

    async def refused():
        try:
            await client.partners()
        except errors.ConflictError as error:
            return error.message

    asyncio.run(run())
