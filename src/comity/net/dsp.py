"""Sends messages of the Dataspace Protocol, reads the version and paged catalogs (DSP 2025-1, HTTPS binding).

It turns statuses into what the sender does next: 2xx is taken, 408, 425, 429 and 5xx are tried again (not before
Retry-After), anything else is the partner's refusal in its own words. What the bodies mean is `comity.dsp`'s part,
when to try again the worker's.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Final, Protocol

from yarl import URL

from comity import errors, strict_json
from comity.dsp import terms
from comity.dsp import version as versions
from comity.net.http import HttpClient, Response, same_origin

VERSION_PATH: Final = "/.well-known/dspace-version"
MAX_REASON: Final = 500
MAX_WAIT_S: Final = 86_400.0
_MAX_VERSION_BYTES: Final = 64 * 1024
_MAX_ANSWER_BYTES: Final = 1024 * 1024
_MAX_THING_BYTES: Final = 4 * 1024 * 1024  # a dataset may have many offers
_MAX_LINK: Final = 8192
_OK: Final = 200
_NOT_THERE: Final = frozenset({404, 405, 410})
ANSWERS: Final = " answers with status "
"""What stands in each error that a partner's answer is the reason of."""
_AGAIN: Final = frozenset({408, 425, 429})
_SERVER_ERROR: Final = 500
_SECONDS = re.compile(r"[0-9]{1,10}")
_FORM: Final = "application/x-www-form-urlencoded"
_LINK = re.compile(r"<([^<>]*)>((?:\s*;\s*[A-Za-z*-]+\s*(?:=\s*(?:\"[^\"]*\"|[^\s\",;]+))?)*)")
_REL = re.compile(r";\s*rel\s*=\s*(?:\"([^\"]*)\"|([^\s\",;]+))", re.IGNORECASE)
_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~!$&'()*+,;=:@-]+)*/?")


class Proof(Protocol):
    """What proves a request, and checks the answer to it."""

    headers: dict[str, str]

    async def take(
        self, status: int, headers: Mapping[str, str], content: bytes, packed_sha256: str = ""
    ) -> None:
        """Take an answer that decides; a TransientDeliveryError if it cannot be trusted."""

    async def unread(self, status: int) -> None:
        """Take that there was an answer which cannot be read; errors as in `take`."""


class Bearer:
    """An Authorization header alone, empty for none: nothing of the answer is checked."""

    def __init__(self, authorization: str = "") -> None:
        self.headers = {"Authorization": authorization} if authorization else {}

    async def take(
        self, status: int, headers: Mapping[str, str], content: bytes, packed_sha256: str = ""
    ) -> None:
        """Take it as it is."""

    async def unread(self, status: int) -> None:
        """Take it as it is."""


class DspClient:
    """Talks to partners' connectors."""

    def __init__(self, client: HttpClient, *, clock_s: Callable[[], float] = time.time) -> None:
        """Send with `client`; `clock_s` (since the epoch) is what a Retry-After date is compared with."""
        self._client = client
        self._clock_s = clock_s

    async def post(self, url: str, body: bytes, proof: Proof) -> bytes:
        """Send a message and return the answer's body.

        Raises:
            TransientDeliveryError: try again; `outcome_unknown` if it may have been taken.
            PermanentDeliveryError: refused, with `status` and the partner's `reason`, or not sent at all.
        """
        answer = await self._send("POST", url, body, proof, max_bytes=_MAX_ANSWER_BYTES)
        return answer.body

    async def get(self, url: str, proof: Proof) -> bytes:
        """Ask for a thing's state and return the answer's body; errors as in `post`."""
        answer = await self._send("GET", url, b"", proof, max_bytes=_MAX_THING_BYTES, packed=True)
        return answer.body

    async def post_form(self, url: str, body: bytes, authorization: str) -> bytes:
        """Send a form and return the answer's body; errors as in `post`."""
        answer = await self._send(
            "POST", url, body, Bearer(authorization), max_bytes=_MAX_VERSION_BYTES, content_type=_FORM
        )
        return answer.body

    async def post_page(self, url: str, body: bytes, proof: Proof) -> tuple[bytes, str | None]:
        """Send a catalog request and return a page and the URL to send the same request to for the next one.

        A page may come in gzip; it has at most `net.http.MAX_BYTES` bytes when that is undone.

        Raises:
            PermanentDeliveryError: the next page is said to be at another origin; and as in `post`.
        """
        answer = await self._send("POST", url, body, proof, packed=True)
        return answer.body, _next_link(url, ", ".join(answer.headers.getall("Link", [])))

    async def version(self, root_url: str) -> str:
        """Return the path of version 2025-1 below `root_url` (`/dsp/2025-1`, or "" for the root itself).

        Raises:
            PermanentDeliveryError: the partner does not speak this version, or not over HTTPS, and says which (without
                a status); and as in `versions`.
            TransientDeliveryError: it cannot be asked now.
        """
        url = _version_url(root_url)
        entries = await self.versions(root_url)
        chosen = versions.choose(entries)
        if chosen is None:
            raise errors.PermanentDeliveryError(
                f"{url} says that the partner speaks {_printable(versions.describe(entries))},"
                f" and this connector speaks {terms.VERSION} ({versions.BINDING}) only",
                status=0 if entries else _OK,
                hint=f"ask its operator to offer the Dataspace Protocol {terms.VERSION} (current connectors can)",
            )
        return _base_path(url, chosen.path or "")

    async def versions(self, root_url: str) -> list[versions.Entry]:
        """Return the versions that a partner says it speaks.

        Raises:
            PermanentDeliveryError: with status 404, 405 or 410 it has no version endpoint there.
            TransientDeliveryError: it cannot be asked now.
        """
        url = _version_url(root_url)
        try:
            answer = await self._send("GET", url, b"", Bearer(), max_bytes=_MAX_VERSION_BYTES)
        except errors.PermanentDeliveryError as error:
            if error.status in _NOT_THERE:
                raise _no_versions(url, error.status) from None
            raise
        try:
            return versions.read(strict_json.decode_object(answer.body))
        except errors.InvalidInputError as error:
            raise errors.PermanentDeliveryError(
                f"{url} is not a version answer: {error.message}", status=answer.status
            ) from error

    async def _send(  # noqa: PLR0913  # the parts of one request
        self,
        method: str,
        url: str,
        body: bytes,
        proof: Proof,
        *,
        max_bytes: int | None = None,
        content_type: str = "application/json",
        packed: bool = False,
    ) -> Response:
        headers = {"Content-Type": content_type} if body else {"Accept": "application/json"}
        if packed:
            headers["Accept-Encoding"] = "gzip"
        headers |= proof.headers
        try:
            answer = await self._client.request(method, url, headers=headers, body=body, max_bytes=max_bytes)
        except errors.PermanentDeliveryError as error:
            if error.status:
                await proof.unread(error.status)
            raise
        if answer.status not in _AGAIN and answer.status < _SERVER_ERROR:
            await proof.take(answer.status, answer.headers, answer.body, answer.packed_sha256)
        if 200 <= answer.status < 300:  # noqa: PLR2004
            return answer
        raise self._refusal(url, answer)

    def _refusal(self, url: str, answer: Response) -> errors.DeliveryError:
        words = reason(answer.body)
        message = f"{url[:200]}{ANSWERS}{answer.status}" + (f": {words}" if words else "")
        if answer.status in _AGAIN or answer.status >= _SERVER_ERROR:
            return errors.TransientDeliveryError(
                message,
                retry_after_s=retry_after_s(answer.headers, self._clock_s()),
                outcome_unknown=answer.status >= _SERVER_ERROR,
            )
        return errors.PermanentDeliveryError(message, status=answer.status, reason=words)


def reason(body: bytes) -> str:
    """Return the partner's words in an error's body, at most 500 characters; never fails, whatever the body is."""
    text = body[: 64 * 1024].decode("utf-8", errors="replace")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = text if not text.lstrip().startswith(("<", "{", "[")) else ""
    return _printable("; ".join(_words(value, 4)))


def _words(value: Any, depth: int) -> list[str]:
    """Collect texts: those of reason and message, then of code, from DSP errors, EDC's arrays and problem details."""
    if isinstance(value, str):
        return [value] if value else []
    if isinstance(value, list) and depth:
        return [text for one in value[:10] for text in _words(one, depth - 1)]
    if isinstance(value, dict) and depth:
        for names in (
            ("reason", "dspace:reason"),
            ("message", "detail", "@value", "title"),
            ("code", "dspace:code"),
        ):
            found = [text for name in names for text in _words(value.get(name), depth - 1)]
            if found:
                return found
    return []


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text[: MAX_REASON * 2]).strip()[
        :MAX_REASON
    ]


def retry_after_s(headers: Mapping[str, str], now_s: float) -> float | None:
    """Read Retry-After (RFC 9110, section 10.2.3) as seconds from now, 0 to one day; None if it says nothing."""
    text = headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), MAX_WAIT_S)
    try:
        date = parsedate_to_datetime(text)
        due_s = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(due_s - now_s, 0.0), MAX_WAIT_S)


def _next_link(url: str, header: str) -> str | None:
    """Return the target of rel=next (RFC 8288), absolute; None if there is none."""
    for link in _LINK.finditer(header[:_MAX_LINK]):
        rel = _REL.search(link[2])
        if rel is None or "next" not in (rel[1] or rel[2] or "").lower().split():
            continue
        try:
            here = URL(url, encoded=True)
            target = here.join(URL(link[1], encoded=True)).with_fragment(None)
            same = same_origin(target, here) and target.user is None
        except ValueError:
            same = False
        if not same:
            raise errors.PermanentDeliveryError(
                f"{url[:200]} names a next page at another origin: {link[1][:200]!r}"
            )
        return str(target)
    return None


def _version_url(root_url: str) -> str:
    return root_url.removesuffix(VERSION_PATH).rstrip("/") + VERSION_PATH


def _no_versions(url: str, status: int) -> errors.PermanentDeliveryError:
    return errors.PermanentDeliveryError(
        f"there is no version endpoint at {url[:300]} (status {status}): the partner speaks an older version of the"
        f" Dataspace Protocol (0.8 or 2024-1), or none; this connector speaks {terms.VERSION} only",
        status=status,
        hint=f"ask its operator to offer {terms.VERSION}; if it does, give the DSP base address: --address URL",
    )


def _base_path(url: str, path: str) -> str:
    """Return a path as it is appended to the root; a whole address counts where it leads below the same root."""
    root = url.removesuffix(VERSION_PATH)
    shown = path[len(root) :] if (path + "/").startswith(root + "/") else path
    shown = shown if shown.startswith("/") or not shown else f"/{shown}"
    if len(shown) > MAX_REASON or not _PATH.fullmatch(shown):
        raise errors.PermanentDeliveryError(f"{url[:200]} names an unusable path: {path[:200]!r}")
    return shown.rstrip("/")
