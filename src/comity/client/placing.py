"""The folder of the client's machine that takes files: one call at a time, and nothing of the user's is replaced.

The lock is the one that a connector takes which receives into the same folder. What earlier calls brought is known by
the manifest that lies there, and by the note `.comity-receiving.json`, which is written before the first file: a call
that was killed leaves files that no manifest names yet, and data that is no package has none. All of it blocks.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from comity import errors
from comity.client import parts
from comity.client.steps import Download, Look

MANIFEST_NAME: Final = ".comity-manifest.json"
INCOMING_NAME: Final = ".comity-incoming.json"
RECEIVING_NAME: Final = ".comity-receiving.json"
Known = dict[str, set[str]]
"""SHA-256 (hex) of what was brought, by its path in the folder."""


def is_note(path: str) -> bool:
    """Tell whether a file is the manifest or the seal, which lie beside those of the package."""
    return path.startswith(".comity-") and "/" not in path


def chosen(to: str | Path) -> Path:
    """Return the folder that is meant; it need not be there.

    Raises:
        InvalidInputError: it is the address of a bucket, or something that is no folder is there.
        ConflictError: another transfer is being received into it.
    """
    if "://" in str(to):
        raise errors.InvalidInputError(
            f"{to} is no folder", hint="a connector receives into its buckets by itself: comity get -o BUCKET"
        )
    folder = Path(to).expanduser()
    there = next((each for each in (folder, *folder.parents) if os.path.lexists(each)), Path())
    if not there.is_dir():
        raise errors.InvalidInputError(
            f"{there} is no folder", hint="`to` names a folder that takes the files"
        )
    if not os.access(there, os.W_OK | os.X_OK):
        raise errors.StorageError(f"{there} cannot be written: you may not", hint="choose another folder")
    if there == folder:
        with locked(folder):
            pass
    return folder


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make the folder if it is missing, and keep others from receiving into it meanwhile.

    Raises:
        ConflictError: another transfer is being received into it.
        StorageError: it cannot be made or locked.
    """
    with parts.failures(folder):
        folder.mkdir(parents=True, exist_ok=True)
        number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _lock(number, folder)
        yield
    finally:
        os.close(number)


def _lock(number: int, folder: Path) -> None:
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise errors.ConflictError(
            f"another transfer is being received into {folder}",
            hint="get it again when that one has ended, or into another folder",
        ) from None
    except OSError as error:
        raise errors.StorageError(
            f"{folder} cannot be locked: {error.strerror or error}", hint="choose a folder on another disk"
        ) from None


def look(wanted: Look) -> tuple[Download, ...]:
    """Return which files are missing, once there is room for them and none would replace somebody else's.

    Raises:
        StorageError: something that was not received here is in their way; code `disk-full` where there is no room.
    """
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  start-up time

    folder = Path(wanted.folder)
    noted = _noted(folder)
    known = _known(folder, noted)
    with ThreadPoolExecutor(parts.AT_ONCE, thread_name_prefix="comity-look") as pool:
        there = list(pool.map(lambda each: _is_there(each, folder, known, wanted.overwrite), wanted.files))
    missing = [each for each, is_there in zip(wanted.files, there, strict=True) if not is_there]
    _check_room(folder, missing)
    for each in missing:
        path = _path(each, folder)
        if not is_note(path):
            noted.setdefault(path, set()).add(each.sha256)
    if missing:
        _note(folder, noted)
    return tuple(missing)


def settle(folder: Path, files: dict[str, str], *, named: bool) -> None:
    """Note what is there now: files by path with their SHA-256, unless a manifest names them (`named`)."""
    before = _noted(folder)
    noted = {path: digests for path, digests in before.items() if path not in files}
    if not named:
        noted |= {path: {sha256} for path, sha256 in files.items()}
    if noted != before:
        _note(folder, noted)


def _path(wanted: Download, folder: Path) -> str:
    return Path(wanted.target).relative_to(folder).as_posix()


def _is_there(wanted: Download, folder: Path, known: Known, overwrite: bool) -> bool:  # noqa: FBT001  as it was said
    """Tell whether a file is there and right; refuse one that is not ours to replace."""
    place = Path(wanted.target)
    path = _path(wanted, folder)
    if not os.path.lexists(place):
        return False
    with parts.failures(place):
        found = parts.digest(place)
    if found == wanted.sha256:
        return True
    if place.is_dir() and not place.is_symlink():
        raise errors.StorageError(f"{place} is a folder already", hint="get it into another folder")
    if overwrite or is_note(path) or found in known.get(path, ()):
        return False
    raise errors.StorageError(
        f"{place} is there already and was not received here, or was changed since; it is not replaced",
        hint="move it away, get it into another folder, or replace what is there with overwrite=True",
    )


def _check_room(folder: Path, missing: list[Download]) -> None:
    with parts.failures(folder):
        begun = sum(min(parts.begun_bytes(each), each.size_bytes) for each in missing)
        free = shutil.disk_usage(folder).free
    needed = sum(each.size_bytes for each in missing) - begun
    if needed > free:
        raise parts.full(folder, f"{needed:,} more bytes are needed, and {free:,} are free")


def _known(folder: Path, noted: Known) -> Known:
    from comity.techdata import manifest  # noqa: PLC0415  start-up time

    known = {path: set(digests) for path, digests in noted.items()}
    for name in (MANIFEST_NAME, INCOMING_NAME):
        with contextlib.suppress(OSError, errors.InvalidInputError):
            for each in manifest.decode((folder / name).read_bytes()).files:
                known.setdefault(each.path, set()).add(each.sha256)
    return known


def _noted(folder: Path) -> Known:
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
        return {path: set(digests) for path, digests in _read(folder).items()}
    return {}


def _read(folder: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads((folder / RECEIVING_NAME).read_bytes())
    return found


def _note(folder: Path, noted: Known) -> None:
    """Write the note whole, or remove it where it would say nothing."""
    place = folder / RECEIVING_NAME
    with parts.failures(place):
        if not noted:
            place.unlink(missing_ok=True)
            return
        written = place.with_name(f"{RECEIVING_NAME}~")
        written.unlink(missing_ok=True)  # what a link there leads to is not written
        written.write_text(json.dumps({path: sorted(digests) for path, digests in noted.items()}))
        written.replace(place)
