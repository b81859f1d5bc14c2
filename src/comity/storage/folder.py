"""A folder as it is published: every file in it found, checked and hashed.

Left out, and named in the result: whatever starts with a dot. Refused, because nobody would get what they
expect: links that leave the folder or lead to a folder, and whatever is neither file nor folder. Names go
into the manifest in NFC; the source keeps the name the disk knows. What the folder says of itself, in the file
`techdata.about.NAME` at its root, is returned beside its files.
"""

from __future__ import annotations

import asyncio
import os
import stat
import unicodedata
from dataclasses import dataclass, replace
from typing import Final

from comity.errors import InvalidInputError, StorageError
from comity.storage import file, hashing
from comity.storage.hashing import Listed, Progress
from comity.storage.source import AT_REST, Source, changed
from comity.techdata import about, manifest, paths

MOST_ENTRIES: Final = 2 * manifest.MAX_FILES
"""How many files, folders and hidden names are looked at: a wrong folder must not take all memory first."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file below a folder: `path` as a manifest writes it, `source` as it is read again later."""

    path: str
    source: Source


@dataclass(frozen=True, slots=True)
class Scan:
    """What a folder holds: its files ordered by path, the hidden names that were left out, what it says of itself."""

    files: tuple[Found, ...]
    skipped: tuple[str, ...]
    about: bytes = b""

    def manifest(self, title: str) -> manifest.Manifest:
        """Describe the files as a package with this title."""
        return manifest.Manifest(title=title, files=tuple(map(_entry, self.files)))


async def scan(files: file.Files, folder: str, on_progress: Progress | None = None) -> Scan:
    """List and hash all files below `folder`.

    Raises:
        StorageError: something in the folder cannot be published, or changed meanwhile.
        InvalidInputError: a name cannot be written in a manifest, or two cannot lie side by side.
    """
    base = await asyncio.to_thread(files.resolve, folder)
    listed, skipped = await asyncio.to_thread(list_all, base)
    said = await asyncio.to_thread(read_about, base)
    sources = await hashing.hash_all(files.measure, listed, on_progress)
    if different := await asyncio.to_thread(_changed, base, listed, said):
        raise changed(f"{different} changed while it was hashed", hint=AT_REST)
    found = (
        Found(path=entry.path, source=replace(source, name=entry.path.rpartition("/")[2]))
        for entry, source in zip(listed, sources, strict=True)
    )
    return Scan(files=tuple(found), skipped=tuple(sorted(skipped)), about=said)


def list_all(base: str) -> tuple[list[Listed], list[str]]:
    """List what is to be hashed, in the order of the manifest, and the hidden names that are left out.

    Raises:
        StorageError: something below the real path `base` cannot be published.
        InvalidInputError: a name cannot be written in a manifest, or two cannot lie side by side.
    """
    listed, skipped = _list(base)
    listed.sort(key=lambda entry: entry.path)
    check_names(listed)
    return listed, skipped


def check_names(listed: list[Listed]) -> None:
    """Refuse names that are one where case or Unicode form does not count.

    Raises:
        InvalidInputError: it names both.
    """
    paths.check_distinct(entry.path for entry in listed)
    paths.check_folders(entry.path for entry in listed)


def _changed(base: str, listed: list[Listed], said: bytes) -> str:
    """Return what is not any more what it was, empty for nothing: files of two states would be published as one."""
    before, now = ({each.path: each for each in some} for some in (listed, list_all(base)[0]))
    others = [path for path in sorted(before.keys() | now.keys()) if before.get(path) != now.get(path)]
    if read_about(base) != said:
        others.insert(0, about.NAME)
    if not others:
        return ""
    more = f" and {len(others) - 1} more" if len(others) > 1 else ""
    return f"{others[0]!r}{more} in {base!r}"


def read_about(base: str) -> bytes:
    """Return what a folder says of itself; no bytes where it says nothing.

    Raises:
        StorageError: it cannot be read.
    """
    path = os.path.join(base, about.NAME)
    try:
        number = os.open(path, file.OPEN_FILE)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise file.unreadable(path, error) from error
    with os.fdopen(number, "rb") as opened:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise StorageError(f"{path!r} is no file")
        return opened.read(about.MAX_BYTES + 1)


def _list(base: str) -> tuple[list[Listed], list[str]]:
    """Walk below `base` without recursion, so that no depth of folders breaks it."""
    if not os.path.isdir(base):
        raise StorageError(f"{base!r} is not a folder")
    listed: list[Listed] = []
    skipped: list[str] = []
    waiting = [""]
    seen = 0
    while waiting:
        prefix = waiting.pop()
        try:
            with os.scandir(os.path.join(base, prefix)) as entries:
                for entry in entries:
                    _sort_in(base, prefix + entry.name, entry, (listed, skipped, waiting))
                    seen += 1
                    if len(listed) > manifest.MAX_FILES or seen > MOST_ENTRIES:
                        raise _too_many(base)
        except OSError as error:
            raise file.unreadable(os.path.join(base, prefix), error) from error
    return listed, skipped


def check_count(files: int, base: str) -> None:
    """Refuse more files than a manifest holds.

    Raises:
        StorageError: there are.
    """
    if files > manifest.MAX_FILES:
        raise _too_many(base)


def _too_many(base: str) -> StorageError:
    return StorageError(
        f"{base!r} holds more than {manifest.MAX_FILES} files, or {MOST_ENTRIES} names in all",
        hint="publish it in parts, each from a folder of its own",
    )


def _sort_in(
    base: str, relative: str, entry: os.DirEntry[str], into: tuple[list[Listed], list[str], list[str]]
) -> None:
    listed, skipped, waiting = into
    if entry.name.startswith("."):
        skipped.append(relative)
    elif relative == about.NAME:
        return
    elif entry.is_dir(follow_symlinks=False):
        waiting.append(relative + "/")
    else:
        path = manifest_path(relative, base)
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
        listed.append(Listed(path=path, real=real, size_bytes=status.st_size, mtime_ns=status.st_mtime_ns))


def manifest_path(relative: str, base: str) -> str:
    """Return the path that a manifest has of a name below `base`.

    Raises:
        InvalidInputError: no manifest can hold it.
    """
    path = unicodedata.normalize("NFC", relative)
    try:
        paths.check_portable(path)
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
