"""The catalogs of all partners at once (EDC's federated catalog), fetched now: nothing is cached that could be old.

Partners are asked side by side, with one deadline and one size for all, in equal shares. One that does not answer, or
says more than its share, is in the list with the reason and without datasets: it hides nobody.
"""

from __future__ import annotations

import asyncio
from typing import Any

from comity import errors
from comity.controlplane import catalog
from comity.controlplane.connector import Connector
from comity.db import partners
from comity.db.partners import Partner
from comity.management import catalog as forms
from comity.management import query

Document = dict[str, Any]
FIELDS = ("participantId", "createdAt")
ALIASES = {"counterPartyId": "participantId"}
DEADLINE_S = 20.0
AT_ONCE = 16
MAX_BYTES = 2 * catalog.MAX_CATALOG_BYTES
"""Of all catalogs together; a partner whose share is too small for it can still be asked alone."""


async def request(connector: Connector, spec: query.Spec) -> list[Document]:
    """Return the catalogs of those partners that a query asks for, whole, each as its partner wrote it.

    Raises:
        InvalidInputError: it asks about something else than the participant.
    """
    listed = await connector.database.read(partners.find_all)
    described = [{"@id": each.id, "participantId": each.id, "createdAt": each.created_at} for each in listed]
    wanted = {each["@id"]: None for each in query.select(described, spec, FIELDS, ALIASES)}
    by_id = {each.id: each for each in listed}
    places = asyncio.Semaphore(AT_ONCE)
    deadline = asyncio.get_running_loop().time() + DEADLINE_S
    share = min(catalog.MAX_CATALOG_BYTES, MAX_BYTES // max(len(wanted), 1))
    return await asyncio.gather(*(_fetch(connector, by_id[name], places, deadline, share) for name in wanted))


async def _fetch(
    connector: Connector, partner: Partner, places: asyncio.Semaphore, deadline: float, max_bytes: int
) -> Document:
    try:
        async with asyncio.timeout_at(deadline), places:
            return await catalog.request(connector, partner.id, max_bytes=max_bytes)
    except TimeoutError:
        return forms.encode_missing(partner.id, f"no answer within {DEADLINE_S:.0f} s")
    except errors.ComityError as error:
        return forms.encode_missing(partner.id, error.message)
