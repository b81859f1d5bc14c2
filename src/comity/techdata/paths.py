"""Which paths a package may name: what is dangerous, what cannot be written everywhere, what cannot lie side by side.

Paths are the attack surface of a package: its manifest comes from a partner and names files that will be written. So
every path is checked here before anything touches a disk. What is dangerous is refused in every version. What Windows
cannot write is refused from version 2 on: whoever gets a package may have to put it there.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Final

from comity.errors import InvalidInputError

MAX_PATH_BYTES: Final = 1024
_SHOWN: Final = 200
MAX_SEGMENT_BYTES: Final = 240  # a file being received has a few characters more, and file systems end at 255
_DIGITS: Final = "123456789\u00b9\u00b2\u00b3"
_DEVICES: Final = frozenset(
    {"con", "prn", "aux", "nul", "conin$", "conout$"}
    | {f"{device}{digit}" for device in ("com", "lpt") for digit in _DIGITS}
)
_NOT_ON_WINDOWS: Final = frozenset('<>:"|?*')


def check_path(path: str, place: str = "$") -> None:
    """Check that `path` is relative, POSIX, NFC and can only mean a file below the folder it is joined to.

    Raises:
        InvalidInputError: with `place` as its path.
    """
    _refuse(path, _path_fault(path), place)


def check_portable(path: str, place: str = "$") -> None:
    """Check, beside what `check_path` does, that Windows can write it as well.

    Raises:
        InvalidInputError: with `place` as its path.
    """
    fault = _path_fault(path) or next((each for each in map(_foreign_fault, path.split("/")) if each), "")
    _refuse(path, fault, place)


def check_distinct(paths: Iterable[str]) -> None:
    """Refuse two paths that are one on a disk blind to case, and a path that is also a folder of another.

    Raises:
        InvalidInputError: it names both.
    """
    seen: dict[str, str] = {}
    for path in paths:
        key = folded(path)
        if key in seen:
            raise _alike(path, seen[key])
        seen[key] = path
    for key, path in seen.items():
        parent = key.rpartition("/")[0]
        while parent:
            if parent in seen:
                raise InvalidInputError(
                    f"{seen[parent]!r} is a file and a folder of {path!r}", path="$.files"
                )
            parent = parent.rpartition("/")[0]


def check_folders(paths: Iterable[str]) -> None:
    """Refuse two folders that are one on a disk blind to case: what lies in both would lie in one.

    Raises:
        InvalidInputError: it names both.
    """
    seen: dict[str, str] = {}
    known: set[str] = set()
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder and folder not in known:
            known.add(folder)
            if (other := seen.setdefault(folded(folder), folder)) != folder:
                raise _alike(f"{folder}/", f"{other}/")
            folder = folder.rpartition("/")[0]


def _alike(path: str, other: str) -> InvalidInputError:
    names, why = f"{other!r} and {path!r}", "they differ only in upper and lower case"
    if path == other:
        names = f"two files named {path!r}"
        why = (
            "their names are the same, or differ in their Unicode form alone (\u00e9 as one sign, or as two)"
        )
    return InvalidInputError(
        f"{names} cannot lie side by side: {why}", path="$.files", hint="rename one of them"
    )


def has_control(text: str) -> bool:
    """Say whether text holds control characters, line separators, direction overrides or lone surrogates."""
    return not text.isprintable() and any(
        unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} or "\u202a" <= char <= "\u202e"
        for char in text
    )


def _refuse(path: str, fault: str, place: str) -> None:
    if fault:
        raise InvalidInputError(f"the path {_shown(path)!r} {fault}", path=place)


def _shown(path: str) -> str:
    """Return a path with its end, by which people know it, however long it is."""
    return path if len(path) <= _SHOWN else f"{path[: _SHOWN // 2]}...{path[-_SHOWN // 2 :]}"


def _path_fault(path: str) -> str:
    if not path:
        return "is empty"
    if has_control(path):
        surrogates = any("\ud800" <= sign <= "\udfff" for sign in path)
        return "is not UTF-8" if surrogates else "holds a control character"
    if "\\" in path:
        return "holds a backslash; segments are separated by '/'"
    if not unicodedata.is_normalized("NFC", path):
        return "is not in Unicode's NFC form"
    if len(path.encode()) > MAX_PATH_BYTES:
        return f"is longer than {MAX_PATH_BYTES} bytes"
    return next((fault for fault in map(_segment_fault, path.split("/")) if fault), "")


def _segment_fault(segment: str) -> str:
    if not segment:
        return "is absolute or has an empty segment"
    if segment.startswith("."):
        return "has a segment that starts with a dot"
    if len(segment.encode()) > MAX_SEGMENT_BYTES:
        return f"has a segment longer than {MAX_SEGMENT_BYTES} bytes"
    return ""


def _foreign_fault(segment: str) -> str:
    if segment.partition(".")[0].rstrip(" ").casefold() in _DEVICES:
        return f"has the segment {segment[:50]!r}, which is a device on Windows"
    if segment.endswith((".", " ")):
        return "has a segment that ends with a dot or a blank, which Windows drops"
    if not _NOT_ON_WINDOWS.isdisjoint(segment):
        return 'holds one of < > : " | ? *, which Windows cannot write'
    return ""


def folded(path: str) -> str:
    """Return a path as systems compare it for which neither case nor Unicode form counts."""
    return unicodedata.normalize("NFC", path.casefold())
