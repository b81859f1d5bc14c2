"""Named signatories' own signatures, attached to a framework agreement: kept, sent to the other parties, verified here.

Each side verifies with its own trusted roots whenever one is shown; what does not hold is shown with the reason.
"""

from __future__ import annotations

import base64
from hashlib import sha256
from typing import Any

from comity import errors
from comity.controlplane import framework_signing as signing
from comity.controlplane import frameworks, signatories
from comity.controlplane.connector import Connector
from comity.controlplane.signatories import Verdict
from comity.db import frameworks as rows
from comity.db.store import Transaction

Document = dict[str, Any]
MOST = 32
"""How many a partner may attach to one framework agreement: each may have half a MiB."""


async def attach(connector: Connector, urn: str, content: bytes) -> Verdict:
    """Keep a signature of one of our signatories, send it to the other parties, and return what it is worth here.

    Raises:
        NotFoundError: there is no such framework agreement.
        InvalidInputError: it is too large.
    """
    row = await connector.database.read(lambda tx: rows.load(tx, urn))
    made = _kept(connector, row.urn, connector.participant_id, content)

    async def unit(tx: Transaction) -> None:
        await rows.keep_signature(tx, made)
        await signing.tell(connector, tx, row.urn, signing.attached(made))

    await connector.database.write(unit)
    return await verify(connector, row, made)


def _kept(connector: Connector, urn: str, party: str, content: bytes) -> rows.Signature:
    return rows.Signature(
        urn=urn,
        sha256=sha256(content).hexdigest(),
        party=party,
        media_type=signatories.kind(content),
        content=content,
        created_at=connector.now_ms(),
    )


async def take(
    connector: Connector, tx: Transaction, row: rows.Framework, party: rows.Party, notice: Document
) -> None:
    """Keep a signature that a partner sent."""
    try:
        content = base64.b64decode(str(notice.get("content", "")), validate=True)
    except ValueError:  # no base64, or not even ASCII
        content = b""
    if not content:
        raise errors.InvalidInputError("a signature is a file in base64", path="$.content")
    theirs = [each for each in await rows.find_signatures(tx, row.urn) if each.party == party.participant_id]
    if len(theirs) >= MOST:
        raise errors.InvalidInputError(f"a party may attach {MOST} signatures", path="$.content")
    await rows.keep_signature(tx, _kept(connector, row.urn, party.participant_id, content))


async def verify(connector: Connector, row: rows.Framework, kept: rows.Signature) -> Verdict:
    """Return what a kept signature is worth, with the roots that are trusted here now."""
    return await signatories.verify(
        kept.content, row.document, frameworks.read(row), connector.framework_roots, kept.party
    )
