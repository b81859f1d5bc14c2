"""A store that goes away while a connector starts: the start fails, and nothing of it goes on in the background."""

import asyncio

import pytest

from comity import errors, runtime
from comity.controlplane import negotiation_moves
from comity.db import partners
from support import pair as pairs

OFFER = {"@id": "urn:offer:1", "@type": "Offer", "target": "asset", "permission": [{"action": "use"}]}


class Leaving:
    """A store that answers so many requests and no more."""

    def __init__(self, plain, answers):
        self._plain, self._left = plain, answers

    def __getattr__(self, name):
        return getattr(self._plain, name)

    def _count(self):
        self._left -= 1
        if self._left < 0:
            raise errors.DatabaseError("the database does not answer")

    async def write(self, unit):
        self._count()
        return await self._plain.write(unit)

    async def read(self, unit):
        self._count()
        return await self._plain.read(unit)


async def start(conf, answers):
    async with runtime.connector(conf, wrap_store=lambda plain: Leaving(plain, answers)):
        raise errors.DatabaseError("it could start with that")


@pytest.mark.parametrize("answers", range(5))
async def test_a_start_without_a_store_leaves_nothing_running(tmp_path, template, answers):
    site = pairs.new_site(tmp_path / "site", template)
    await site.start()
    known = partners.Partner(
        id="did:web:127.0.0.1%3A9",
        name="away",
        address="http://127.0.0.1:9/dsp/2025-1",
        keys=[],
        pinned=False,
        attributes={},
        created_at=1,
    )
    await site.connector.database.write(lambda tx: partners.save(tx, known))
    await site.connector.database.write(
        lambda tx: negotiation_moves.request(site.connector, tx, known, OFFER, known.address)
    )
    await site.stop()
    with pytest.raises(errors.DatabaseError):
        await start(site.conf, answers)
    assert asyncio.all_tasks() == {asyncio.current_task()}
