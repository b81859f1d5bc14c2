"""What an older revision leaves in a place that takes a newer one: files that the newer one has not any more.

Somebody could build from them. So those that are as they were received are removed, before the newer manifest is kept;
one that was changed here is somebody's own by now: it stays, and is named. The files of another asset are not touched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from comity.techdata import changes, manifest

SHOWN = 20


class Left(NamedTuple):
    """Which files of an older revision were removed, and which stay because they were changed."""

    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """What a person is told; empty if there was nothing."""
        removed = f"removed, not in this revision any more: {_named(self.removed)}" if self.removed else ""
        changed = f"changed here, and not in this revision: {_named(self.changed)}" if self.changed else ""
        return "; ".join(filter(None, (removed, changed)))


def remove(
    before: bytes, now: bytes, remove_files: Callable[[Sequence[manifest.File]], Sequence[str]]
) -> Left:
    """Remove what a manifest names and its successor does not; `remove_files` returns what it let be. Blocks.

    Raises:
        StorageError: a file cannot be removed.
    """
    gone = changes.dropped(before, now)
    if not gone:
        return Left()
    changed = set(remove_files(gone))
    return Left(
        tuple(each.path for each in gone if each.path not in changed),
        tuple(each.path for each in gone if each.path in changed),
    )


def _named(files: Sequence[str]) -> str:
    more = f" and {len(files) - SHOWN} more" if len(files) > SHOWN else ""
    return ", ".join(files[:SHOWN]) + more
