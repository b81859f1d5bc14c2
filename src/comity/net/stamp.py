"""Asks a time stamp authority (RFC 3161, section 3.4: HTTP) through the one guarded client.

Whether its answer holds is `evidence.stamp`'s part.
"""

from __future__ import annotations

from typing import Final

from comity import errors
from comity.net.http import HttpClient

TIMEOUT_S: Final = 15.0
_OK: Final = 200
_MAX_ANSWER_BYTES: Final = 64 * 1024
_HEADERS: Final = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}


class Authority:
    """A time stamp authority at an address."""

    def __init__(self, client: HttpClient, url: str) -> None:
        self._client = client
        self._url = url

    async def ask(self, request: bytes) -> bytes:
        """Return the response to a request; whether it holds is for `evidence.stamp`.

        Raises:
            DeliveryError: there is none.
        """
        answer = await self._client.request(
            "POST",
            self._url,
            headers=_HEADERS,
            body=request,
            timeout_s=TIMEOUT_S,
            max_bytes=_MAX_ANSWER_BYTES,
        )
        if answer.status != _OK:
            raise errors.TransientDeliveryError(f"it answers with status {answer.status}")
        return answer.body
