"""Tells our own people that a partner asked for a file of a revision of ours that is not what was published any more.

Once a day for each revision and file, in the log and as an event. Which files that are is looked up by `whole`.
"""

from __future__ import annotations

import logging

from comity import errors
from comity.controlplane import revision_notices, revision_states
from comity.controlplane.connector import Connector
from comity.db import transfers
from comity.db.revisions import Revision
from comity.db.store import Transaction
from comity.dsp.transfer import Transfer
from comity.management import events

log = logging.getLogger(__name__)


async def note_asked(connector: Connector, transfer_id: str, path: str) -> None:
    """Tell of a file by its path in a package, empty where it is not known or what was asked for is none."""

    async def asked(tx: Transaction) -> tuple[Transfer, Revision | None]:
        record = await transfers.load(tx, transfer_id)
        return record, await revision_states.handed_out(tx, record.asset_id, record.revision)

    try:
        record, found = await connector.database.read(asked)
        what = f"revision {found.number} of {record.asset_id}" if found else record.asset_id
        if not connector.lost.is_new((what, path), connector.now_ms()):
            return
        why = f"{path or 'its data'} is not what was published, and {record.counterparty_id} was refused it"
        log.error("%s cannot be handed out: %s", what, why)
        if found is not None:
            await connector.database.write(
                lambda tx: revision_notices.note_event(connector, tx, found, events.INCOMPLETE, reason=why)
            )
    except errors.ComityError as error:  # whoever asked is answered all the same
        log.warning("transfer %s: %s", transfer_id, error.message)
