"""Posts an event to a receiver: 2xx is taken, 410 says that it wants no more, anything else is tried again.

Redirects are not followed, and of the answer nothing is read but its status and its Retry-After.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from comity import errors
from comity.net import dsp
from comity.net.http import HttpClient

TIMEOUT_S: Final = 15.0
GONE: Final = 410
_OK: Final = range(200, 300)
_MAX_ANSWER_BYTES: Final = 64 * 1024


class Receivers:
    """Whoever receives events, reached through the one guarded client."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Send an event.

        Raises:
            TransientDeliveryError: it was not taken, or the guard refuses the address now; try again.
            PermanentDeliveryError: the receiver is gone for good (410).
        """
        try:
            answer = await self._client.request(
                "POST", url, headers=headers, body=body, timeout_s=TIMEOUT_S, max_bytes=_MAX_ANSWER_BYTES
            )
        except errors.PermanentDeliveryError as error:
            if error.status in _OK:  # taken, with an answer that is too long or encoded
                return
            raise errors.TransientDeliveryError(error.message) from None
        if answer.status == GONE:
            raise errors.PermanentDeliveryError("the receiver answers 410: gone", status=GONE)
        if answer.status not in _OK:
            wait_s = dsp.retry_after_s(answer.headers, time.time())
            raise errors.TransientDeliveryError(
                f"the receiver answers with status {answer.status}", retry_after_s=wait_s
            )
