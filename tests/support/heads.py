"""Checkpoints of connectors in this process: made now, and waited for until partners have answered."""

from __future__ import annotations

from comity.controlplane import checkpoints
from comity.db import checkpoints as rows
from comity.db import witnessed
from support.pair import wait_for


async def read(site, find, *values):
    return await site.connector.database.read(lambda tx: find(tx, *values))


async def made_by(site):
    """Have a site make checkpoints, and return those of the chain that it writes, oldest first."""
    await checkpoints.make(site.connector)
    return sorted(await read(site, rows.find_newest, 100), key=lambda each: each.size)


async def told(site):
    """Wait until partners have answered everything, and return what they know of it."""

    async def settled():
        found = await site.rows("SELECT known_origin, known_size, due FROM told WHERE open_id = ''")
        still = await site.rows("SELECT 1 FROM told WHERE open_id <> ''")
        return found if not still else None

    return await wait_for(settled, "answers to the checkpoints")


async def findings(site):
    return await read(site, witnessed.find_findings)
