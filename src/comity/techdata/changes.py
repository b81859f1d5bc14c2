"""What changed from one revision of a package to the next, by file. Pure.

A file is known by its path and its contents: the same path with other bytes is changed, a path that went while the same
bytes came at another is renamed. Bytes that lie at several paths are paired in the order of the paths.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from msgspec import Struct

from comity.errors import InvalidInputError
from comity.techdata import manifest, paths
from comity.techdata.manifest import File, Manifest


class Renamed(Struct, frozen=True, rename="camel"):
    """A file that lies at another path now."""

    before: str
    path: str


class Changes(Struct, frozen=True, rename="camel"):
    """Paths of files, each kind in the order of paths; what stayed as it was is only counted."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    renamed: tuple[Renamed, ...] = ()
    same: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """How many files of each kind."""
        return {
            "added": len(self.added),
            "removed": len(self.removed),
            "changed": len(self.changed),
            "renamed": len(self.renamed),
            "same": self.same,
        }

    @property
    def words(self) -> str:
        """It in a few words."""
        said = [f"{count} {name}" for name, count in self.counts.items() if count and name != "same"]
        return ", ".join(said) or "no file"


def between(before: Manifest | None, after: Manifest) -> Changes:
    """Return what changed by file; of a first revision (None before) all is added."""
    old = {each.path: each for each in before.files} if before else {}
    new = {each.path: each for each in after.files}
    gone = [each for path, each in sorted(old.items()) if path not in new]
    come = [each for path, each in sorted(new.items()) if path not in old]
    both = [path for path in sorted(new) if path in old]
    changed = tuple(path for path in both if old[path].sha256 != new[path].sha256)
    renamed = _renamed(gone, come)
    left, arrived = {each.before for each in renamed}, {each.path for each in renamed}
    return Changes(
        added=_paths(come, arrived),
        removed=_paths(gone, left),
        changed=changed,
        renamed=renamed,
        same=len(both) - len(changed),
    )


def dropped(before: bytes, after: bytes) -> list[File]:
    """Return the files of a manifest (its bytes) that a later one of the same asset, sealed by the same, has not.

    One of version 1 says neither: it is of the same asset if the later one names it as what it supersedes. Where it is
    of another asset, or none that can be read, there are none.
    """
    try:
        old, new = manifest.decode(before), manifest.decode(after)
    except InvalidInputError:
        return []
    named = new.supersedes == manifest.digest(before)
    if not (named if not old.id else (old.id, old.sealed_by) == (new.id, new.sealed_by)):
        return []
    kept = {paths.folded(each.path) for each in new.files}  # where case does not count they are one file
    return [each for each in old.files if paths.folded(each.path) not in kept]


def _paths(files: Iterable[File], without: set[str]) -> tuple[str, ...]:
    return tuple(each.path for each in files if each.path not in without)


def _renamed(gone: Sequence[File], come: Sequence[File]) -> tuple[Renamed, ...]:
    """Pair what went with what came of the same bytes; empty files are nobody's in particular."""
    waiting: dict[str, list[str]] = defaultdict(list)
    for each in reversed(gone):
        if each.size_bytes:
            waiting[each.sha256].append(each.path)
    return tuple(Renamed(waiting[each.sha256].pop(), each.path) for each in come if waiting.get(each.sha256))
