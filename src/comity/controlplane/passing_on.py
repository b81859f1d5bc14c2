"""What is published from data that was received: the terms of its agreement follow it, whoever says so or not.

A folder is known by its files: one whose bytes are those of a received file, or an agreement that its publisher names.
What was changed by a single byte is known only where somebody names the agreement.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from comity import errors
from comity.controlplane import received
from comity.controlplane.connector import Connector
from comity.db import agreements
from comity.db.store import Transaction
from comity.dsp import terms
from comity.dsp.negotiation import Agreement
from comity.odrl import derived

Document = dict[str, Any]
_SHOWN = 3


async def inherit(
    connector: Connector, offered: Document, files: Mapping[str, str], named: Sequence[str]
) -> tuple[Document, list[str]]:
    """Return the terms of an offer of some files (path -> SHA-256) with those that follow them, and from where.

    `named` are agreements from whose data they were made.

    Raises:
        PolicyError: an agreement does not let them be offered so; it names the agreement, the files and the terms.
        NotFoundError: there is no agreement of that id by which we received something.
    """

    async def unit(tx: Transaction) -> list[tuple[Agreement, list[str]]]:
        found = await received.origins(tx, list(files.values()))
        known = [(held.agreement, same) for held, same in found.values()]
        return known + [(await _load(tx, each), []) for each in named if each not in found]

    origins = await connector.database.read(unit)
    for agreement, same in origins:
        paths = [path for path, digest in files.items() if digest in set(same)]
        offered = _derive(connector, offered, agreement, paths)
    return offered, [agreement.id for agreement, _ in origins]


async def known(connector: Connector, digests: Sequence[str]) -> list[str]:
    """Return the agreements under which files with these digests (hex) were received."""
    return list(await connector.database.read(lambda tx: received.origins(tx, digests)))


async def _load(tx: Transaction, name: str) -> Agreement:
    found = await agreements.load(tx, name)
    if found.role != terms.CONSUMER:
        raise errors.NotFoundError(f"nothing was received under agreement {name[:200]}: we are its provider")
    return found


def _derive(connector: Connector, offered: Document, agreement: Agreement, paths: Iterable[str]) -> Document:
    try:
        return derived.derive(offered, agreement.document, us=connector.participant_id)
    except errors.PolicyError as error:
        listed = list(paths)
        more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
        what = f"{', '.join(listed[:_SHOWN])}{more}, received" if listed else "what is made of data received"
        raise errors.PolicyError(
            f"{what} under agreement {agreement.id}: {error.message}",
            reasons=error.reasons,
            hint=error.hint
            or f"ask {agreement.counterparty_id} for an agreement that permits it, or leave it out",
        ) from None
