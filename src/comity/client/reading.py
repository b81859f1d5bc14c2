"""A partner's file read where it lies: an agreement is made or used, and only the bytes that are asked for come.

The connector fetches them and judges the terms at each opening; if it holds the data already, it reads its own.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from typing import NamedTuple

from comity import errors
from comity.client import calls, getting, problems, saving, stages, watch
from comity.client.choosing import Wanted
from comity.client.records import File, Reading
from comity.client.stages import ExchangeError, Progress, Told
from comity.client.steps import Flow

READY = "READY"
ENDED = frozenset({"ENDED", "FAILED"})
OVER = ENDED | {READY}
BUFFER_BYTES = 1 << 20


class Opened(NamedTuple):
    """A file that can be read: below which path of the API, and what is known of it."""

    source: str
    file: File


def begin(wanted: Wanted, *, progress: Told | None = None, timeout_s: float | None = None) -> Flow[Reading]:
    """Make it possible to read an asset, and return when it is.

    Raises:
        ExchangeError: with the stage in which it ended.
    """
    tell = stages.once(progress or stages.nobody)
    found = yield from getting.find(wanted)
    saving.check_purpose(found.offer, wanted, stages.NEGOTIATING, found.asset.offers)
    with stages.at(stages.NEGOTIATING):
        begun = yield from calls.begin_reading(
            found.partner.id,
            found.asset.id,
            offer_id=found.offer.id,
            offer=found.offer,
            revision=wanted.revision,
            **wanted.access,
        )
        status = yield from watch.follow(
            calls.reading(begun.id),
            told=lambda one: tell(Progress(_stage(one), note=one.waits_for or one.error)),
            ended=lambda one: one.stage in OVER,
            timeout_s=timeout_s,
        )
    if status.stage == READY:
        problems.warn(status)
        return status
    raise ExchangeError(
        status.error or "no reason was given",
        stage=_stage(status),
        reason=status.error,
        hint="ask the partner which terms it would take",
        accepted=found.offer if not status.agreement_id else None,
        offered=found.asset.offers,
        ids={"reading": status.id, "agreement": status.agreement_id, "transfer": status.transfer_id},
    )


def files(wanted: Wanted) -> Flow[list[File]]:
    """Return which files an asset has, without fetching any.

    Raises:
        ExchangeError: with the stage in which it ended.
    """
    return (yield from _listed(wanted))[1]


def _listed(wanted: Wanted) -> Flow[tuple[Reading, list[File]]]:
    """Begin to read, and once more where the partner has ended meanwhile what was begun before."""
    status = yield from begin(wanted)
    with stages.at(stages.RECEIVING):
        try:
            return status, (yield from calls.reading_files(status.id))
        except errors.PolicyError:
            if (yield from calls.reading(status.id)).stage not in ENDED:
                raise
    status = yield from begin(wanted)
    with stages.at(stages.RECEIVING):
        return status, (yield from calls.reading_files(status.id))


def open_(wanted: Wanted, path: str = "") -> Flow[Opened]:
    """Find one file of an asset, and be able to read it; the path may be left out if there is only one.

    Raises:
        ExchangeError: with the stage in which it ended.
    """
    status, listed = yield from _listed(wanted)
    with stages.at(stages.RECEIVING):
        found = [each for each in listed if path in {"", each.path}]
        if len(found) != 1:
            shown = ", ".join(each.path for each in listed[:5])
            raise errors.NotFoundError(
                f"there is no file {path}" if path else f"it has {len(listed)} files: name one",
                hint=f"it has: {shown}{', ...' if len(listed) > 5 else ''}",  # noqa: PLR2004  as many as fit
            )
    return Opened(calls.file_path("readings", status.id, found[0].path), found[0])


def checked(file: File, content: bytes) -> bytes:
    """Return the bytes of a file if they are those that were published.

    Raises:
        ExchangeError: they are not.
    """
    if file.sha256 and hashlib.sha256(content).hexdigest() != file.sha256:
        with stages.at(stages.VERIFYING):
            raise problems.HashError(
                f"{file.path} does not have the SHA-256 {file.sha256} that was published"
            )
    return content


def _stage(status: Reading) -> str:
    if not status.agreement_id:
        return stages.NEGOTIATING
    return stages.RECEIVING if status.stage == READY else stages.TRANSFERRING


class Ranges(io.RawIOBase):
    """The bytes of a file, fetched when they are read; `fetch` returns those from a place up to another."""

    def __init__(self, size_bytes: int, fetch: Callable[[int, int], bytes]) -> None:
        self._size_bytes = size_bytes
        self._fetch = fetch
        self._at = 0

    def readable(self) -> bool:
        """It is for reading."""
        return True

    def seekable(self) -> bool:
        """It can be read from anywhere."""
        return True

    def tell(self) -> int:
        """Return where it is read next."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size_bytes}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill a buffer from the place where it stands."""
        end = min(self._at + len(buffer), self._size_bytes)
        if end <= self._at:
            return 0
        got = self._fetch(self._at, end)
        buffer[: len(got)] = got
        self._at += len(got)
        return len(got)
