"""The container of an AASX: a zip of parts with media types and relationships (OPC, ECMA-376 part 2), read with care.

Whoever wrote it may mean harm: a few kilobytes that unpack to terabytes, names that leave the folder, two parts under
one name. All of that is refused from the directory of the zip, before anything is unpacked; what a part really unpacks
to is bounded by what the directory said of it.
"""

from __future__ import annotations

import io
import itertools
import os
import posixpath
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Self
from urllib.parse import quote, unquote

from comity.errors import InvalidInputError, StorageError
from comity.storage import file
from comity.storage.source import CHUNK_BYTES
from comity.techdata import manifest, paths, xml

TYPES: Final = "[Content_Types].xml"
TYPES_NAMESPACE: Final = "http://schemas.openxmlformats.org/package/2006/content-types"
RELATIONSHIPS: Final = "application/vnd.openxmlformats-package.relationships+xml"
RELATIONSHIPS_NAMESPACE: Final = "http://schemas.openxmlformats.org/package/2006/relationships"
MAX_PARTS: Final = manifest.MAX_FILES + 1000
MAX_DIRECTORY_BYTES: Final = 64 * 1024 * 1024
MAX_RATIO: Final = 200
SMALL_BYTES: Final = 64 * 1024 * 1024
"""What unpacks to no more than this is no bomb, however well it was packed."""
_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED: Final = 0x1
_HARDLY: Final = 0.95
_ANYBODY_READS: Final = 0o644
_UNREADABLE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)


class _Bounded(io.FileIO):
    """A file of which no more than a directory's worth is read at once: `zipfile` reads that as a whole."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > MAX_DIRECTORY_BYTES:
            raise InvalidInputError(
                f"its directory has {size >> 20} MiB; at most {MAX_DIRECTORY_BYTES >> 20} are read"
            )
        return super().read(-1 if size is None else size) or b""


class Container:
    """The parts of a container that was opened: names begin without a `/`, as a package's paths do."""

    def __init__(self, path: str) -> None:
        """Open it and look through its directory.

        Raises:
            StorageError: the file cannot be read.
            InvalidInputError: it is no zip, or one that could do harm.
        """
        self.path = path
        try:
            self._file = _Bounded(path)
        except OSError as error:
            raise file.unreadable(path, error) from error
        try:
            self._zip = zipfile.ZipFile(self._file)
            self._parts = _checked(self._zip.infolist(), os.fstat(self._file.fileno()).st_size)
            self._defaults, self._overrides = _types(self.read(TYPES))
        except InvalidInputError as error:
            self._file.close()
            raise self._refused(error.message) from None
        except _UNREADABLE as error:
            self._file.close()
            raise self._refused(f"it is no zip, or a damaged one ({error})") from None

    def __enter__(self) -> Self:
        """Return it, open."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self._zip.close()
        self._file.close()

    @property
    def parts(self) -> list[str]:
        """The names of all parts."""
        return list(self._parts)

    @property
    def size_bytes(self) -> int:
        """What all parts unpack to."""
        return sum(each.file_size for each in self._parts.values())

    def media_type(self, name: str) -> str:
        """Return the media type of a part, as the container says it; empty if it does not."""
        extension = posixpath.splitext(name)[1].removeprefix(".").lower()
        return self._overrides.get(name.lower()) or self._defaults.get(extension, "")

    def read(self, name: str) -> bytes:
        """Return a part that is XML or JSON, as a whole.

        Raises:
            InvalidInputError: it is not there, too large, or damaged.
        """
        if name not in self._parts:
            raise self._refused(f"it has no part {name!r}")
        if self._parts[name].file_size > xml.MAX_BYTES:
            raise self._refused(f"its part {name[:200]!r} has more than {xml.MAX_BYTES >> 20} MiB")
        return b"".join(self.chunks(name))

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a part, checked against the zip's own checksum.

        Raises:
            InvalidInputError: it is damaged.
        """
        try:
            with self._zip.open(self._parts[name]) as opened:
                while chunk := opened.read(CHUNK_BYTES):
                    yield chunk
        except _UNREADABLE as error:
            raise self._refused(f"its part {name[:200]!r} is damaged ({error})") from None

    def related(self, source: str, *types: str) -> list[str]:
        """Return the parts to which a part (empty: the container) has a relationship of one of some types.

        Raises:
            InvalidInputError: one of them is not there.
        """
        folder, _, name = source.rpartition("/")
        holder = posixpath.join(folder, "_rels", f"{name}.rels")
        if holder not in self._parts:
            return []
        listed = xml.read(self.read(holder), holder).find("Relationship")
        found = (each.attributes for each in listed if each.attributes.get("Type") in types)
        return list(dict.fromkeys(self._target(folder, each, holder) for each in found))

    def _target(self, folder: str, said: Mapping[str, str], holder: str) -> str:
        target = unquote(said.get("Target", ""))
        name = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
        if said.get("TargetMode", "Internal") != "Internal" or name not in self._parts:
            raise self._refused(f"{holder[:200]!r} names {target[:200]!r}, which is no part of it")
        return name

    def _refused(self, why: str) -> InvalidInputError:
        return InvalidInputError(f"{os.path.basename(self.path)} is not read: {why}")


def _checked(listed: Sequence[zipfile.ZipInfo], size_bytes: int) -> dict[str, zipfile.ZipInfo]:
    """Return the parts by their names, as far as the directory tells that they do no harm."""
    if len(listed) > MAX_PARTS:
        raise InvalidInputError(f"it has {len(listed)} parts; at most {MAX_PARTS} are read")
    found: dict[str, zipfile.ZipInfo] = {}
    unpacked = 0
    for each in listed:
        if each.is_dir():
            continue
        unpacked += each.file_size
        if each.flag_bits & _ENCRYPTED:
            raise InvalidInputError("it is encrypted")
        if each.compress_type not in _METHODS:
            raise InvalidInputError("it is packed in a way that an AASX is not (neither stored nor deflated)")
        name = _name(each)
        if name in found:
            raise InvalidInputError(f"it has two parts {name[:200]!r}")
        found[name] = each
    if unpacked > max(SMALL_BYTES, size_bytes * MAX_RATIO):
        raise InvalidInputError(
            f"it would unpack to more than {MAX_RATIO} times its size: {unpacked >> 20} MiB"
        )
    return found


def _name(entry: zipfile.ZipInfo) -> str:
    """Return the name of a part as a path; what is in the parts' own folders may begin with a dot or a bracket."""
    if entry.filename != entry.orig_filename:
        raise InvalidInputError(f"the name of its part {entry.filename[:200]!r} has a NUL in it")
    name = unquote(entry.filename)
    checked = name.replace(".rels", "rels") if name.endswith(".rels") else name
    if name != TYPES:
        paths.check_path(checked)
    return name


def _types(data: bytes) -> tuple[dict[str, str], dict[str, str]]:
    root = xml.read(data, TYPES)
    defaults = {
        each.attributes.get("Extension", "").lower(): each.attributes.get("ContentType", "")
        for each in root.find("Default")
    }
    overrides = {
        unquote(each.attributes.get("PartName", "")).lstrip("/").lower(): each.attributes.get(
            "ContentType", ""
        )
        for each in root.find("Override")
    }
    return defaults, overrides


class Writer:
    """Writes a container; the same parts make the same bytes."""

    def __init__(self, path: str) -> None:
        """Make the file.

        Raises:
            StorageError: it is there already, or cannot be written.
        """
        try:
            self._zip = zipfile.ZipFile(path, "x", zipfile.ZIP_DEFLATED)
        except OSError as error:
            raise StorageError(f"{path!r} cannot be written: {error.strerror or error}") from error
        self._types: dict[str, str] = {}

    def __enter__(self) -> Self:
        """Return it, open."""
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Write the media types and close it."""
        if kind is None:
            self._write(TYPES, [_types_xml(self._types)])
        self._zip.close()

    def add(self, name: str, media_type: str, chunks: Iterable[bytes], size_bytes: int = 0) -> None:
        """Write a part; of a large one the size has to be told before."""
        self._types[name] = media_type
        self._write(quote(name), chunks, size_bytes)

    def relate(self, source: str, targets: Sequence[tuple[str, str]]) -> None:
        """Write the relationships of a part (empty: the container), each a type and the name of a part."""
        folder, _, name = source.rpartition("/")
        holder = posixpath.join(folder, "_rels", f"{name}.rels")
        lines = (
            f'<Relationship Id="r{at}" Type={_attribute(kind)} Target={_attribute("/" + quote(target))}/>'
            for at, (kind, target) in enumerate(targets)
        )
        body = f'<Relationships xmlns="{RELATIONSHIPS_NAMESPACE}">{"".join(lines)}</Relationships>'
        self.add(holder, RELATIONSHIPS, [_xml(body)])

    def _write(self, name: str, chunks: Iterable[bytes], size_bytes: int = 0) -> None:
        waiting = iter(chunks)
        first = next(waiting, b"")
        entry = zipfile.ZipInfo(name)  # of 1980: no clock is in it
        entry.compress_type, entry.file_size = _method(first), size_bytes
        entry.external_attr = _ANYBODY_READS << 16
        with self._zip.open(entry, "w") as opened:
            for chunk in itertools.chain([first], waiting):
                opened.write(chunk)


def _method(first: bytes) -> int:
    """Return how a part is packed: one that hardly becomes smaller is stored, at ten times the speed."""
    packed = len(zlib.compress(first, 1))
    return zipfile.ZIP_STORED if packed > _HARDLY * len(first) else zipfile.ZIP_DEFLATED


def _types_xml(types: Mapping[str, str]) -> bytes:
    lines = (
        f"<Override PartName={_attribute('/' + quote(name))} ContentType={_attribute(kind)}/>"
        for name, kind in sorted(types.items())
    )
    default = f'<Default Extension="rels" ContentType="{RELATIONSHIPS}"/>'
    return _xml(f'<Types xmlns="{TYPES_NAMESPACE}">{default}{"".join(lines)}</Types>')


def _attribute(text: str) -> str:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return f'"{escaped}"'


def _xml(body: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'.encode()
