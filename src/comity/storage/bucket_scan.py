"""All objects below an address as they are published: listed, hashed in parallel, described as a folder's files are.

What is left out and refused of a folder is left out and refused here too. A key is told apart from the path that a
manifest has of it: that is in NFC.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from comity.storage import folder, hashing
from comity.storage.buckets import Place
from comity.storage.folder import Found, Scan
from comity.storage.hashing import Listed, Progress
from comity.storage.objects import Objects, Opened
from comity.storage.source import AT_REST, Source, changed
from comity.techdata import about

_THREADS: Final = 8


async def scan(objects: Objects, address: str, on_progress: Progress | None = None) -> Scan:
    """List and hash all objects below an address.

    Raises:
        StorageError: it is in no bucket of the settings, or one cannot be read or changed meanwhile.
        InvalidInputError: a name cannot be written in a manifest, or two cannot lie side by side.
    """
    place = objects.find(address)
    named = await objects.find_all(place, folder.MOST_ENTRIES)
    skipped = [each.path for each in named if _is_hidden(each.path)]
    listed = [
        Listed(path=folder.manifest_path(each.path, str(place)), real=each.path, size_bytes=each.size_bytes)
        for each in named
        if not _is_hidden(each.path) and each.path != about.NAME
    ]
    listed.sort(key=lambda entry: entry.path)
    folder.check_count(len(listed), str(place))
    folder.check_names(listed)
    opened = await objects.open_bucket(place)
    said = await objects.run(place, lambda: opened.get_small(place.below(about.NAME), about.MAX_BYTES))
    sizes = {entry.real: entry.size_bytes for entry in listed}
    sources = await hashing.hash_all(_measure(opened, place, sizes), listed, on_progress, threads=_THREADS)
    found = (
        Found(path=entry.path, source=replace(source, name=entry.path.rpartition("/")[2]))
        for entry, source in zip(listed, sources, strict=True)
    )
    return Scan(files=tuple(found), skipped=tuple(skipped), about=said)


def _is_hidden(path: str) -> bool:
    return path.startswith(".") or "/." in path


def _measure(opened: Opened, place: Place, sizes: dict[str, int]) -> hashing.Measure:
    def measure(path: str, add: Callable[[int], None], given_up: Callable[[], bool]) -> Source:
        found = opened.measure(place.below(path), add, given_up)
        if found.size_bytes != sizes[path]:
            raise changed(f"{str(place.below(path))!r} changed while it was hashed", hint=AT_REST)
        return found

    return measure
