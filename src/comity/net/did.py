"""Fetches did:web documents and keeps their keys for a while (identity.md, section 1.6).

Whoever sends a token makes us fetch, so fetching is small, short, shared and remembered: 64 KiB, 5 s, one fetch at a
time for a DID, its keys for 60 s (300 s while it cannot be reached), a document that is wrong for 30 s, one that cannot
be reached for 1 s, 2 s, ... 30 s. An unknown kid means that keys may have changed: fetched again, at most every 30 s,
and a failure then takes no known keys away. Until that fetch its sender is asked to come again, so that no message is
lost when a partner changes its keys. Which DIDs may be asked at all, and pinned keys, are the caller's part.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from comity import errors
from comity.identity import did as did_web
from comity.identity import jose
from comity.net.http import HttpClient, Response

FRESH_S: Final = 60.0
KEEP_S: Final = 300.0
KEEP_FAILURE_S: Final = 30.0
KEEP_UNREACHED_S: Final = 1.0
REFETCH_S: Final = 30.0
TIMEOUT_S: Final = 5.0
MAX_BYTES: Final = 64 * 1024
MAX_DIDS: Final = 1024
MAX_ABSENT: Final = 32
_OK: Final = 200
_ACCEPT: Final = {"Accept": "application/did+json, application/json"}


class _Known(Struct, frozen=True, kw_only=True):
    """What is known of a DID: its keys and when they came, when it was asked last, and why that failed if it did.

    `absent` are kids for which it was asked and which it did not list.
    """

    keys: Mapping[str, jose.PublicKey]
    fetched_s: float
    tried_s: float
    absent: frozenset[str] = frozenset()
    failure: errors.ComityError | None = None
    failures: int = 0

    def pause_s(self) -> float:
        """Seconds from one fetch to the next while there are no keys that serve."""
        if not isinstance(self.failure, errors.TransientDeliveryError):
            return KEEP_FAILURE_S if self.failure else REFETCH_S
        return float(min(KEEP_FAILURE_S, KEEP_UNREACHED_S * 2 ** min(self.failures - 1, 10)))


class Resolver:
    """Answers which keys may sign for a DID; `clock_s` is monotonic."""

    def __init__(self, client: HttpClient, *, clock_s: Callable[[], float], insecure: bool = False) -> None:
        """Fetch with `client`; `insecure` (development) tries http first, then https."""
        self._client = client
        self._clock_s = clock_s
        self._insecure = (True, False) if insecure else (False,)
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._fetching: dict[str, asyncio.Task[_Known]] = {}

    async def keys(self, did: str, kid: str) -> Mapping[str, jose.PublicKey]:
        """Return the keys of `did` by absolute id; `kid` is not among them if the DID does not list it.

        Raises:
            IdentityError: the DID or its document is malformed, refused or not there.
            TransientDeliveryError: its document cannot be fetched now, or was fetched before it may have had `kid`.
        """
        known = self._known.get(did)
        asked_for_it = False
        if known is None or not self._serves(known, kid):
            asked_for_it = did not in self._fetching
            known = await self._fetch_once(did)
        if known.failure is not None and not known.keys:
            raise _again(known.failure, known.pause_s())
        if kid not in known.keys and kid not in known.absent:
            if known.failure is not None or not asked_for_it:
                raise self._too_early(known, kid)
            self._known[did] = replace(known, absent=_remembered(known.absent, kid))
        return known.keys

    def _too_early(self, known: _Known, kid: str) -> errors.TransientDeliveryError:
        """Say when the document will be fetched again, if it does not have a kid that it may have by now."""
        wait_s = max(1.0, known.pause_s() - (self._clock_s() - known.tried_s))
        return errors.TransientDeliveryError(
            f"{kid[:200]} was not in the DID document when that was fetched; it is fetched again in {wait_s:.0f} s",
            retry_after_s=wait_s,
        )

    async def document(self, did: str) -> dict[str, Any]:
        """Fetch the document of `did` now, past what is remembered; it is checked to be that DID's.

        Raises:
            IdentityError: the DID or its document is malformed, refused or not there.
            TransientDeliveryError: it cannot be fetched now.
        """
        url, answer = await self._ask(did)
        if answer.status in {408, 429} or answer.status >= 500:  # noqa: PLR2004
            raise errors.TransientDeliveryError(f"{url} answers with status {answer.status}")
        if answer.status != _OK:
            raise _unresolved(did, f"{url} answers with status {answer.status}")
        try:
            document = jose.decode_object(answer.body)
        except ValueError as error:
            raise _unresolved(did, f"{url} is not a JSON object ({error})") from error
        if document.get("id") != did:
            raise _unresolved(did, f"{url} is the document of {str(document.get('id'))[:200]!r}")
        return document

    def forget(self, did: str) -> None:
        """Fetch this DID's document again when it is needed next."""
        self._known.pop(did, None)

    def _serves(self, known: _Known, kid: str) -> bool:
        now_s = self._clock_s()
        if kid in known.keys and now_s - known.fetched_s < FRESH_S:
            return True
        return now_s - known.tried_s < known.pause_s()

    async def _fetch_once(self, did: str) -> _Known:
        """Join the fetch that is under way, or begin one; it goes on if its first caller leaves."""
        task = self._fetching.get(did)
        if task is None:
            task = self._fetching[did] = asyncio.create_task(self._fetch(did))
            task.add_done_callback(lambda _: self._fetching.pop(did, None))
        return await asyncio.shield(task)

    async def _fetch(self, did: str) -> _Known:
        try:
            keys = _prepare(did_web.keys_for_invocation(await self.document(did), did))
            known = _Known(keys=keys, fetched_s=self._clock_s(), tried_s=self._clock_s())
        except errors.ComityError as error:
            known = self._failed(self._known.get(did), error)
        self._known[did] = known
        self._known.move_to_end(did)
        while len(self._known) > MAX_DIDS:
            self._known.popitem(last=False)
        return known

    def _failed(self, before: _Known | None, error: errors.ComityError) -> _Known:
        """Return what is known after a fetch that failed: young keys stay when the document was only out of reach."""
        now_s = self._clock_s()
        unreached = isinstance(error, errors.TransientDeliveryError)
        stays = before is not None and unreached and now_s - before.fetched_s < KEEP_S
        return _Known(
            keys=before.keys if before and stays else {},
            fetched_s=before.fetched_s if before and stays else now_s,
            tried_s=now_s,
            failure=error,
            failures=1 + (before.failures if before else 0),
        )

    async def _ask(self, did: str) -> tuple[str, Response]:
        """Return the URL that answered, and its answer: the next scheme is tried when there is none at all."""
        for insecure in self._insecure[:-1]:
            with contextlib.suppress(errors.TransientDeliveryError):
                return await self._get(did, did_web.document_url(did, insecure=insecure))
        return await self._get(did, did_web.document_url(did, insecure=self._insecure[-1]))

    async def _get(self, did: str, url: str) -> tuple[str, Response]:
        try:
            return url, await self._client.request(
                "GET", url, headers=_ACCEPT, timeout_s=TIMEOUT_S, max_bytes=MAX_BYTES
            )
        except errors.PermanentDeliveryError as error:
            raise _unresolved(did, error.message, error.hint) from error


def _prepare(jwks: Mapping[str, Mapping[str, Any]]) -> dict[str, jose.PublicKey]:
    """Prepare the keys that can be used; one of a kind that we do not take does not spoil the others."""
    prepared: dict[str, jose.PublicKey] = {}
    for kid, jwk in jwks.items():
        try:
            prepared[kid] = jose.public_key(jwk)
        except errors.IdentityError:
            continue
    return prepared


def _remembered(absent: frozenset[str], kid: str) -> frozenset[str]:
    return absent | {kid} if len(absent) < MAX_ABSENT else frozenset({kid})


def _unresolved(did: str, why: str, hint: str = "") -> errors.IdentityError:
    message = f"the keys of {did[:200]} cannot be found: {why}"
    return errors.IdentityError(message, step="did-document", hint=hint)


def _again(failure: errors.ComityError, pause_s: float) -> errors.ComityError:
    """Return a remembered failure as a new error, so that no traceback grows."""
    if isinstance(failure, errors.IdentityError):
        return errors.IdentityError(failure.message, step=failure.step, hint=failure.hint)
    return errors.TransientDeliveryError(failure.message, retry_after_s=pause_s)
