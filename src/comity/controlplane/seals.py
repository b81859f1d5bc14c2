"""Seals of packages: ours made anew when its key has left, a partner's checked before a single file is fetched.

A seal counts with the keys that its sealer publishes when it is received; the one that it was checked with is kept,
so that it can be shown for what it is when keys have changed. Who publishes renews a seal whose key has left the DID
document: a key that was retired, a stolen one say, seals nothing any more, for whoever holds it.
"""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

from comity import errors
from comity.controlplane import revision_states
from comity.controlplane.connector import Connector
from comity.dataplane import serve
from comity.db import public_keys
from comity.techdata import seal as seals

BAD_SEAL = "bad-seal"
MAX_BYTES = seals.MAX_BYTES

log = logging.getLogger(__name__)


def renewed(connector: Connector, content: serve.Package) -> serve.Package:
    """Return a package of ours with a seal whose key is published now."""
    kid = seals.read(content.seal).kid.rpartition("#")[2]
    ring, now_ms = connector.signing_keys.ring, connector.now_ms()
    if any(each.kid == kid for each in ring.published(now_ms)):
        return content
    log.info("%s is not published any more: the seal over %s is made anew", kid, content.sha256)
    return dataclasses.replace(content, seal=connector.identity.seal(content.manifest))


def shown(text: str) -> dict[str, Any] | None:
    """Return a seal that was checked as documents have it, None for none."""
    if not text:
        return None
    said = seals.read(text)
    return {"sealedBy": said.sealed_by, "key": said.kid, "sealedAt": said.at_s * 1000}


class Check:
    """Checks the revision (0: any) and the seal of a package that is being received, and remembers the seal."""

    def __init__(self, connector: Connector, revision: int = 0, *, carried: bool = False) -> None:
        self._connector = connector
        self._revision = revision
        self._carried = carried
        self.text = ""

    async def __call__(self, data: bytes, text: str) -> None:
        """See `check`, and `revision_states.check_brought`."""
        revision_states.check_brought(data, self._revision)
        await check(self._connector, data, text, carried=self._carried)
        self.text = text


async def check(connector: Connector, data: bytes, text: str, *, carried: bool = False) -> None:
    """Check a partner's seal over a manifest's bytes; none at all is good where the manifest names no sealer.

    Raises:
        PermanentDeliveryError: it does not hold, or there is none although the manifest names who has sealed it.
        TransientDeliveryError: the sealer's keys cannot be told now.
    """
    named = seals.sealer_of(data)
    if not text:
        if named and connector.identity.sealer:
            raise _refusal(f"its manifest says that {named[:200]} has sealed it, and there is no seal")
        return
    try:
        key = await connector.identity.check_seal(text, data, carried=carried)
    except errors.IdentityError as error:
        raise _refusal(error.message, error.hint) from None
    if key is not None:
        await connector.database.write(lambda tx: public_keys.keep(tx, key))


def _refusal(why: str, hint: str = "") -> errors.PermanentDeliveryError:
    error = errors.PermanentDeliveryError(
        f"the package is refused: {why}", hint=hint or "ask the provider to publish it again"
    )
    error.code = BAD_SEAL
    return error
