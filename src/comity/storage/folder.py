"""A folder as it is published: every file in it found, checked and hashed.

Left out, and named in the result: whatever starts with a dot. Refused, because nobody would get what they
expect: links that leave the folder or lead to a folder, and whatever is neither file nor folder. Names go
into the manifest in NFC; the source keeps the name the disk knows.
"""

from __future__ import annotations

import asyncio
import os
import stat
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace

from comity.errors import InvalidInputError, StorageError
from comity.storage import file
from comity.storage.source import Source
from comity.techdata import manifest

Progress = Callable[[int, int, int], None]


@dataclass(frozen=True, slots=True)
class Found:
    """A file below a folder: `path` as a manifest writes it, `source` as it is read again later."""

    path: str
    source: Source


@dataclass(frozen=True, slots=True)
class Scan:
    """What a folder holds: its files ordered by path, and the hidden names that were left out."""

    files: tuple[Found, ...]
    skipped: tuple[str, ...]

    def manifest(self, title: str) -> manifest.Manifest:
        """Describe the files as a package with this title."""
        return manifest.Manifest(title=title, files=tuple(map(_entry, self.files)))


async def scan(files: file.Files, folder: str, on_progress: Progress | None = None) -> Scan:
    """List and hash all files below `folder`; `on_progress` is told (files done, bytes done, bytes in all).

    Raises:
        StorageError: something in the folder cannot be published, or changed meanwhile.
        InvalidInputError: a name cannot be written in a manifest.
    """
    base = await asyncio.to_thread(files.resolve, folder)
    listed, skipped = await asyncio.to_thread(_list, base)
    bytes_total = sum(entry.size_bytes for entry in listed)
    found: list[Found] = []
    bytes_done = 0
    for entry in sorted(listed, key=lambda entry: entry.path):

        def tell(size: int, before: int = bytes_done) -> None:
            if on_progress:
                on_progress(len(found), before + size, bytes_total)

        source = await files.publish(entry.real, tell)
        found.append(Found(path=entry.path, source=replace(source, name=entry.path.rpartition("/")[2])))
        bytes_done += source.size_bytes or 0
        tell(0, bytes_done)
    return Scan(files=tuple(found), skipped=tuple(sorted(skipped)))


@dataclass(frozen=True, slots=True)
class _Listed:
    path: str
    real: str
    size_bytes: int


def _list(base: str) -> tuple[list[_Listed], list[str]]:
    """Walk below `base` without recursion, so that no depth of folders breaks it."""
    if not os.path.isdir(base):
        raise StorageError(f"{base!r} is not a folder")
    listed: list[_Listed] = []
    skipped: list[str] = []
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        try:
            with os.scandir(os.path.join(base, prefix)) as entries:
                for entry in entries:
                    _sort_in(base, prefix + entry.name, entry, (listed, skipped, waiting))
        except OSError as error:
            raise file.unreadable(os.path.join(base, prefix), error) from error
        if len(listed) > manifest.MAX_FILES:
            raise StorageError(f"{base!r} holds more than {manifest.MAX_FILES} files: publish it in parts")
    return listed, skipped


def _sort_in(
    base: str, relative: str, entry: os.DirEntry[str], into: tuple[list[_Listed], list[str], list[str]]
) -> None:
    listed, skipped, waiting = into
    if entry.name.startswith("."):
        skipped.append(relative)
    elif entry.is_dir(follow_symlinks=False):
        waiting.append(relative + "/")
    else:
        path = _manifest_path(relative, base)
        real = os.path.realpath(entry.path)
        if not real.startswith(base.rstrip("/") + "/"):
            raise StorageError(
                f"{entry.path!r} is a link that leaves the folder", hint="put a copy in its place"
            )
        try:
            status = os.stat(real, follow_symlinks=False)
        except OSError as error:
            raise file.unreadable(entry.path, error) from error
        if not stat.S_ISREG(status.st_mode):
            kind = "a link to a folder" if stat.S_ISDIR(status.st_mode) else "neither a file nor a folder"
            raise StorageError(f"{entry.path!r} is {kind}", hint="remove it from what is to be published")
        listed.append(_Listed(path=path, real=real, size_bytes=status.st_size))


def _manifest_path(relative: str, base: str) -> str:
    path = unicodedata.normalize("NFC", relative)
    try:
        manifest.check_path(path)
    except InvalidInputError as error:
        raise InvalidInputError(
            f"in {base!r}: {error.message}", hint="rename it and publish again"
        ) from error
    return path


def _entry(found: Found) -> manifest.File:
    source = found.source
    return manifest.File(
        path=found.path,
        size_bytes=source.size_bytes or 0,
        sha256=source.sha256,
        media_type=source.media_type,
    )
