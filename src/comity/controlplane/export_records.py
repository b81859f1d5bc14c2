"""The records of a bundle, from the store: those about some processes, each with its proof and what lies beside it.

What could still be used is left out, and named: a token until it has ended, a message or an answer with a credential.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

import msgspec

from comity import errors, strict_json
from comity.controlplane.connector import Connector
from comity.db import evidence, tiles
from comity.db.evidence import Beside
from comity.db.store import Transaction
from comity.evidence import credentials
from comity.evidence.bundle import packed
from comity.evidence.entry import Entry
from comity.identity import verify

Document = dict[str, Any]
PAGE: Final = 5000
MARGIN_S: Final = 300
"""How long after its end a token stays here: the clock of whoever takes it may be behind ours."""
CREDENTIAL: Final = "it holds a credential"
NOT_KEPT: Final = "it was not kept, or was erased"
PACKED: Final = "it was compressed on its way, and its digest is that of the compressed bytes"


class Exhibits:
    """Finds the records between us and a partner that are about any of `subjects`."""

    def __init__(self, connector: Connector, partner: str, subjects: Sequence[str]) -> None:
        self._connector = connector
        self._parties = {connector.participant_id, partner}
        names = b"|".join(re.escape(strict_json.canonical(each)) for each in subjects)
        self._wanted = re.compile(b'"processId":(?:' + names + b")")

    async def find(self, chain: int, size: int) -> list[Document]:
        """Return those among the first `size` records of a chain, in order; a page of it at a time is read."""
        found: list[Document] = []
        for after in range(0, size, PAGE):
            page = functools.partial(self._page, chain=chain, size=size, after=after)
            found += await self._connector.database.read(page)
        return found

    async def _page(self, tx: Transaction, *, chain: int, size: int, after: int) -> list[Document]:
        limit = min(PAGE, size - after)
        rows = await evidence.find_page(tx, after=after, limit=limit, chain=chain)
        found = []
        for seq, written, _ in rows:
            if not self._wanted.search(written):
                continue
            record = msgspec.json.decode(written, type=Entry)
            if {record.sender, record.receiver} <= self._parties:
                proof = await tiles.prove_inclusion(tx, chain, seq - 1, size)
                beside = await evidence.find_beside(tx, chain, seq)
                found.append(
                    {
                        "chain": chain,
                        "seq": seq,
                        "record": packed(written),
                        "proof": [packed(each) for each in proof],
                        **self._beside(record, written, beside),
                    }
                )
        return found

    def _beside(self, record: Entry, written: bytes, beside: Beside) -> Document:
        found: Document = {}
        withheld: dict[str, str] = {}
        for name, content, sealed, digest in (
            ("body", beside.body, beside.sealed, record.sha256),
            ("answer", beside.answer, False, record.reply.sha256 if record.reply else ""),
        ):
            why = _why_not(content, digest, sealed=sealed)
            if why:
                withheld[name] = why
            elif digest and content:
                found[name] = packed(content)
        why = self._token_kept(record, written, beside.token)
        if why:
            withheld["token"] = why
        elif beside.token:
            found["token"] = beside.token
        return found | ({"withheld": withheld} if withheld else {})

    def _token_kept(self, record: Entry, written: bytes, token: str) -> str:
        """Return why a token stays here, empty if it may go.

        Raises:
            ConflictError: it stands in the text of a record of before, and can be used still.
        """
        inside = msgspec.json.decode(written).get("token") if b'"token":' in written else None
        if inside:
            why = self._usable(inside)
            if why:
                raise errors.ConflictError(
                    f"a record of an earlier version has its token inside, and {why}", hint="export it later"
                )
            return ""
        if not record.token_sha256:
            return ""
        return self._usable(token) if token else NOT_KEPT

    def _usable(self, token: str) -> str:
        try:
            claims = verify.peek(token).claims
        except errors.IdentityError:
            return "it cannot be told when it ends"
        if "token" in claims:
            return "it carries another token"
        end = claims.get("exp")
        if isinstance(end, bool) or not isinstance(end, int | float):
            return "it has no end"
        until_s = int(end) + verify.LEEWAY_S + MARGIN_S
        if self._connector.now_ms() < until_s * 1000:
            moment = datetime.fromtimestamp(until_s, UTC).strftime("%Y-%m-%d %H:%M:%S")
            return f"it could still be used; a bundle that is made after {moment} UTC holds it"
        return ""


def _why_not(content: bytes, digest: str, *, sealed: bool) -> str:
    """Return why a message or an answer stays here; empty if it may go, or there is none."""
    if not digest or digest == sha256(b"").hexdigest():
        return ""
    if sealed:
        return CREDENTIAL
    if not content:
        return NOT_KEPT
    if sha256(content).hexdigest() != digest:
        return PACKED
    return CREDENTIAL if credentials.held_in(content) else ""
