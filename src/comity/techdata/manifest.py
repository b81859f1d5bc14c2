"""The manifest of a technical data package: which files it holds, how large they are and their SHA-256.

The same files and title always give the same bytes, and only those bytes are accepted back: keys in order,
no white space, files ordered by path. So the digest of a manifest stands for the whole package. Paths are
the attack surface: a manifest comes from a partner and names files that will be written, so every path is
checked here, before anything touches a disk. Reading folders is left to `storage`, receiving to
`dataplane`.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from comity.errors import InvalidInputError

FORMAT: Final = "comity-package/1"
MEDIA_TYPE: Final = "application/vnd.comity.package+json"
MAX_BYTES: Final = 32 * 1024 * 1024
MAX_FILES: Final = 100_000
MAX_PATH_BYTES: Final = 1024
MAX_SEGMENT_BYTES: Final = 240  # a file being received has a few characters more, and file systems end at 255
MAX_TITLE: Final = 500
MAX_SIZE: Final = 2**60

_DIGEST = re.compile(r"[0-9a-f]{64}")
_MEDIA_TYPE = re.compile(
    r"[A-Za-z0-9!#$&^_.+-]{1,100}/[A-Za-z0-9!#$&^_.+-]{1,100}(;[ A-Za-z0-9!#$&^_.+=\"-]{1,100})?"
)


class File(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """One file of a package: its path (relative, POSIX), size, SHA-256 in lower-case hex, media type."""

    path: str
    size_bytes: int
    sha256: str
    media_type: str = "application/octet-stream"


class Manifest(msgspec.Struct, frozen=True):
    """A package: its title and its files, ordered by path."""

    title: str
    files: tuple[File, ...]

    @property
    def size_bytes(self) -> int:
        """Sum of the sizes of all files."""
        return sum(file.size_bytes for file in self.files)


class _Wire(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    files: tuple[File, ...]
    format: Literal["comity-package/1"]
    size_bytes: int
    title: str


_decoder = msgspec.json.Decoder(_Wire, strict=True)
_encoder = msgspec.json.Encoder(order="sorted")


def encode(manifest: Manifest) -> bytes:
    """Write a manifest as its only form in bytes.

    Raises:
        InvalidInputError: a path, size, digest, media type or the title is not acceptable; `path` says which.
    """
    check(manifest)
    files = tuple(sorted(manifest.files, key=_by_path))
    wire = _Wire(files=files, format=FORMAT, size_bytes=manifest.size_bytes, title=manifest.title)
    return _encoder.encode(wire)


def decode(data: bytes) -> Manifest:
    """Read a manifest that a partner sent, accepting nothing but the form that `encode` writes.

    Raises:
        InvalidInputError: it is too large, not JSON, not a manifest, not in the one form, or names a
            dangerous path.
    """
    if len(data) > MAX_BYTES:
        raise InvalidInputError(f"the manifest has {len(data)} bytes; at most {MAX_BYTES} are read")
    try:
        wire = _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInputError(f"this is not a package manifest: {error}") from error
    manifest = Manifest(title=wire.title, files=wire.files)
    if encode(manifest) != data:
        raise InvalidInputError(
            "the manifest is not in its one canonical form",
            hint="keys in order, no white space, files ordered by path, sizeBytes equal to the sum of the files",
        )
    return manifest


def digest(data: bytes) -> str:
    """SHA-256 of a manifest's bytes in lower-case hex: it stands for the whole package."""
    return hashlib.sha256(data).hexdigest()


def check(manifest: Manifest) -> None:
    """Check every rule that does not depend on the form in bytes.

    Raises:
        InvalidInputError: with the place of the first rule broken in `path`.
    """
    if not manifest.title or len(manifest.title) > MAX_TITLE or _has_control(manifest.title):
        raise InvalidInputError(
            f"a title has 1 to {MAX_TITLE} characters and none that control a terminal", path="$.title"
        )
    if len(manifest.files) > MAX_FILES:
        raise InvalidInputError(
            f"{len(manifest.files)} files; a package holds at most {MAX_FILES}", path="$.files"
        )
    for index, file in enumerate(manifest.files):
        _check_file(file, f"$.files[{index}]")
    _check_distinct(manifest.files)


def check_path(path: str, place: str = "$") -> None:
    """Check that `path` is relative, POSIX, NFC and can only mean a file below the folder it is joined to.

    Raises:
        InvalidInputError: with `place` as its path.
    """
    fault = _path_fault(path)
    if fault:
        raise InvalidInputError(f"the path {path[:200]!r} {fault}", path=place)


def _path_fault(path: str) -> str:
    if not path:
        return "is empty"
    if _has_control(path):
        return "holds a control character or half a surrogate pair"
    if "\\" in path:
        return "holds a backslash; segments are separated by '/'"
    if unicodedata.normalize("NFC", path) != path:
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


def _check_file(file: File, place: str) -> None:
    check_path(file.path, f"{place}.path")
    if not 0 <= file.size_bytes <= MAX_SIZE:
        raise InvalidInputError(
            f"a size of {file.size_bytes} bytes is not possible", path=f"{place}.sizeBytes"
        )
    if not _DIGEST.fullmatch(file.sha256):
        raise InvalidInputError("a SHA-256 is written as 64 lower-case hex digits", path=f"{place}.sha256")
    if not _MEDIA_TYPE.fullmatch(file.media_type):
        raise InvalidInputError(f"{file.media_type[:100]!r} is not a media type", path=f"{place}.mediaType")


def _check_distinct(files: Iterable[File]) -> None:
    """Refuse two paths that are one on a disk blind to case, and a path that is also a folder of another."""
    seen: dict[str, str] = {}
    for file in files:
        key = _fold(file.path)
        if key in seen:
            raise InvalidInputError(
                f"{file.path!r} and {seen[key]!r} cannot lie side by side", path="$.files"
            )
        seen[key] = file.path
    for key, path in seen.items():
        parent = key.rpartition("/")[0]
        while parent:
            if parent in seen:
                raise InvalidInputError(
                    f"{seen[parent]!r} is a file and a folder of {path!r}", path="$.files"
                )
            parent = parent.rpartition("/")[0]


def _fold(path: str) -> str:
    return unicodedata.normalize("NFC", path.casefold())


def _by_path(file: File) -> str:
    return file.path


def _has_control(text: str) -> bool:
    """Say whether text holds control characters, line separators, direction overrides or lone surrogates."""
    return any(
        unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} or "\u202a" <= char <= "\u202e"
        for char in text
    )
