"""The manifest of a technical data package: which files it holds, and of what it is a revision, for what it is meant.

The same content always gives the same bytes, and only those bytes are accepted back: keys in order, no white space,
empty members left out, files ordered by path. So the digest of a manifest stands for the whole package, and a seal
over it (`seal`) for whoever published it. Files are hashed, never parsed. Version 2 is written; version 1, which had
files and a title only, is read. Which paths are good is `paths`; reading folders is left to `storage`, receiving to
`dataplane`. Documented for others in docs/reference/package-manifest.md, with a JSON Schema.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Struct, field

from comity.errors import InvalidInputError
from comity.techdata import effectivity as effectivities
from comity.techdata import paths
from comity.techdata.effectivity import Effectivity

FORMAT: Final = "comity-package/2"
FIRST_FORMAT: Final = "comity-package/1"
MEDIA_TYPE: Final = "application/vnd.comity.package+json"
MAX_BYTES: Final = 64 * 1024 * 1024
MAX_FILES: Final = 100_000
MAX_TITLE: Final = 500
MAX_ID: Final = 1024
MAX_WORDS: Final = 200
MAX_SIZE: Final = 2**60
MAX_REVISION: Final = 2**31 - 1
MAX_PARENTS: Final = 1000
MAX_TERMS: Final = 1000
MAX_TERM: Final = 10_000
MAX_LANGUAGES: Final = 100

DOCUMENT_CLASSES: Final = {
    "01-01": "Identification",
    "02-01": "Technical specification",
    "02-02": "Drawings, plans",
    "02-03": "Assemblies",
    "02-04": "Certificates, declarations",
    "03-01": "Commissioning, de-commissioning",
    "03-02": "Operation",
    "03-03": "General safety",
    "03-04": "Inspection, maintenance, testing",
    "03-05": "Repair",
    "03-06": "Spare parts",
    "04-01": "Contract documents",
}
"""Code -> name of the document classes of VDI 2770 Part 1."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_MEDIA_TYPE = re.compile(
    r"[A-Za-z0-9!#$&^_.+-]{1,100}/[A-Za-z0-9!#$&^_.+-]{1,100}(;[ A-Za-z0-9!#$&^_.+=\"-]{1,100})?"
)
LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,4}")
"""A tag of BCP 47, as far as its form goes: `de`, `pt-BR`."""
_A_FILE: Final = b'"path":'
"""Once in each file of a manifest, and in nothing else: a quotation mark in a text has a backslash before it."""


class File(Struct, frozen=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True):
    """One file of a package: its path (relative, POSIX), size, SHA-256 in lower-case hex, media type.

    `document_id`, `document_class` (a code of VDI 2770), `title`, `languages`, `revision`, `status` and `supersedes`
    are of the document that it is, as its owner says them; empty where nothing is said.
    """

    path: str
    size_bytes: int
    sha256: str
    media_type: str = field(default_factory=lambda: "application/octet-stream")  # a plain default is left out
    document_id: str = ""
    document_class: str = ""
    revision: str = ""
    status: str = ""
    supersedes: str = ""
    title: str = ""
    languages: tuple[str, ...] = ()


class Marking(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A release marking: its name, and the terms that it stands for, in words."""

    name: str
    terms: tuple[str, ...] = ()


class Parent(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a package was made from: the agreement it came under, its asset, and its manifest's SHA-256 if known."""

    agreement: str
    asset: str = ""
    manifest: str = ""


class Manifest(Struct, frozen=True):
    """A package: its title and its files, ordered by path; one without an `id` is of version 1.

    It is `revision` (from 1) of the asset `id`; `supersedes` is the SHA-256 of the manifest before. `effectivity` says
    for what it is meant, `sealed_by` whose seal it has.
    """

    title: str
    files: tuple[File, ...]
    id: str = ""
    revision: int = 0
    supersedes: str = ""
    effectivity: tuple[Effectivity, ...] = ()
    marking: Marking | None = None
    derived_from: tuple[Parent, ...] = ()
    sealed_by: str = ""

    @property
    def size_bytes(self) -> int:
        """Sum of the sizes of all files."""
        return sum(file.size_bytes for file in self.files)


class _First(
    Struct,
    frozen=True,
    rename="camel",
    forbid_unknown_fields=True,
    tag="comity-package/1",
    tag_field="format",
):
    files: tuple[File, ...]
    size_bytes: int
    title: str


class _Second(
    Struct,
    frozen=True,
    kw_only=True,
    rename="camel",
    omit_defaults=True,
    forbid_unknown_fields=True,
    tag="comity-package/2",
    tag_field="format",
):
    derived_from: tuple[Parent, ...] = ()
    effectivity: tuple[Effectivity, ...] = ()
    files: tuple[File, ...]
    id: str
    marking: Marking | None = None
    revision: int
    sealed_by: str = ""
    size_bytes: int
    supersedes: str = ""
    title: str


_decoder = msgspec.json.Decoder(_First | _Second, strict=True)
_encoder = msgspec.json.Encoder(order="sorted")


def encode(manifest: Manifest) -> bytes:
    """Write a manifest as its only form in bytes.

    Raises:
        InvalidInputError: a path, size, digest, media type or another member is not acceptable; `path` says which.
    """
    check(manifest)
    files = tuple(sorted(manifest.files, key=lambda file: file.path))
    if not manifest.id:
        return _encoder.encode(_First(files=files, size_bytes=manifest.size_bytes, title=manifest.title))
    members = msgspec.structs.asdict(manifest) | {"files": files}
    data = _encoder.encode(_Second(size_bytes=manifest.size_bytes, **members))
    if len(data) > MAX_BYTES:
        raise InvalidInputError(
            f"the manifest would have {len(data)} bytes; at most {MAX_BYTES} are read", path="$.files"
        )
    return data


def decode(data: bytes) -> Manifest:
    """Read a manifest that a partner sent, accepting nothing but the form that `encode` writes.

    Raises:
        InvalidInputError: it is too large, not JSON, not a manifest, not in the one form, or names a
            dangerous path.
    """
    if len(data) > MAX_BYTES:
        raise InvalidInputError(f"the manifest has {len(data)} bytes; at most {MAX_BYTES} are read")
    _check_number(data.count(_A_FILE))  # before a million of them are made into objects
    try:
        wire = _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInputError(f"this is not a package manifest: {error}") from error
    manifest = _read(wire)
    if encode(manifest) != data:
        raise InvalidInputError(
            "the manifest is not in its one canonical form",
            hint="keys in order, no white space, files ordered by path, sizeBytes equal to the sum of the files",
        )
    return manifest


def _read(wire: _First | _Second) -> Manifest:
    if isinstance(wire, _First):
        return Manifest(title=wire.title, files=wire.files)
    if not wire.id:
        raise InvalidInputError("a package has an id", path="$.id")
    members = msgspec.structs.asdict(wire)
    members.pop("size_bytes")
    return Manifest(**members)


def digest(data: bytes) -> str:
    """SHA-256 of a manifest's bytes in lower-case hex: it stands for the whole package."""
    return hashlib.sha256(data).hexdigest()


def is_media_type(text: str) -> bool:
    """Say whether text is a media type as a manifest takes it."""
    return _MEDIA_TYPE.fullmatch(text) is not None


def check(manifest: Manifest) -> None:
    """Check every rule that does not depend on the form in bytes.

    Raises:
        InvalidInputError: with the place of the first rule broken in `path`.
    """
    if not manifest.title or len(manifest.title) > MAX_TITLE or paths.has_control(manifest.title):
        raise InvalidInputError(
            f"a title has 1 to {MAX_TITLE} characters and none that control a terminal", path="$.title"
        )
    _check_number(len(manifest.files))
    if manifest.id:
        _check_second(manifest)
    elif manifest != Manifest(manifest.title, manifest.files):
        raise InvalidInputError("a package that says more than its title has an id", path="$.id")
    check_file_path = paths.check_portable if manifest.id else paths.check_path
    for index, file in enumerate(manifest.files):
        check_file_path(file.path, f"$.files[{index}].path")
        _check_file(file, f"$.files[{index}]", described=bool(manifest.id))
    if manifest.size_bytes > MAX_SIZE:  # what none can count is refused here, and not where it is counted
        raise InvalidInputError(f"all files together have more than {MAX_SIZE} bytes", path="$.sizeBytes")
    paths.check_distinct(file.path for file in manifest.files)


def _check_number(files: int) -> None:
    if files > MAX_FILES:
        raise InvalidInputError(f"{files} files; a package holds at most {MAX_FILES}", path="$.files")


def _check_second(manifest: Manifest) -> None:
    _check_words(manifest.id, "$.id", most=MAX_ID)
    _check_words(manifest.sealed_by, "$.sealedBy", most=MAX_ID, may_be_empty=True)
    if not 1 <= manifest.revision <= MAX_REVISION:
        raise InvalidInputError(f"revisions are numbered from 1 to {MAX_REVISION}", path="$.revision")
    _check_digest(manifest.supersedes, "$.supersedes", may_be_empty=True)
    if manifest.supersedes and manifest.revision == 1:
        raise InvalidInputError("a first revision supersedes none", path="$.supersedes")
    effectivities.check(manifest.effectivity)
    if manifest.marking is not None:
        _check_marking(manifest.marking)
    if len(manifest.derived_from) > MAX_PARENTS:
        raise InvalidInputError(f"it is made from more than {MAX_PARENTS}", path="$.derivedFrom")
    for index, parent in enumerate(manifest.derived_from):
        place = f"$.derivedFrom[{index}]"
        _check_words(parent.agreement, f"{place}.agreement", most=MAX_ID)
        _check_words(parent.asset, f"{place}.asset", most=MAX_ID, may_be_empty=True)
        _check_digest(parent.manifest, f"{place}.manifest", may_be_empty=True)


def _check_marking(marking: Marking) -> None:
    _check_words(marking.name, "$.marking.name", most=MAX_ID)
    if len(marking.terms) > MAX_TERMS:
        raise InvalidInputError(f"a marking has at most {MAX_TERMS} terms", path="$.marking.terms")
    for index, term in enumerate(marking.terms):
        _check_words(term, f"$.marking.terms[{index}]", most=MAX_TERM)


def _check_file(file: File, place: str, *, described: bool) -> None:
    if not 0 <= file.size_bytes <= MAX_SIZE:
        raise InvalidInputError(
            f"a size of {file.size_bytes} bytes is not possible", path=f"{place}.sizeBytes"
        )
    _check_digest(file.sha256, f"{place}.sha256")
    if not is_media_type(file.media_type):
        raise InvalidInputError(
            f"{file.media_type[:100]!r}, of {file.path!r}, is not a media type", path=f"{place}.mediaType"
        )
    if file.document_class and file.document_class not in DOCUMENT_CLASSES:
        raise InvalidInputError(
            f"{file.document_class[:50]!r}, of {file.path!r}, is no document class of VDI 2770",
            path=f"{place}.documentClass",
            hint=f"there are: {', '.join(DOCUMENT_CLASSES)}",
        )
    for name, words in _described(file):
        if words and not described:
            raise InvalidInputError("version 1 says nothing of documents", path=f"{place}.{name}")
        _check_words(
            words, f"{place}.{name}", most=MAX_TITLE if name == "title" else MAX_WORDS, may_be_empty=True
        )
    _check_languages(file.languages, f"{place}.languages", described=described)


def _check_languages(languages: tuple[str, ...], place: str, *, described: bool) -> None:
    if languages and not described:
        raise InvalidInputError("version 1 says nothing of documents", path=place)
    if len(languages) > MAX_LANGUAGES or not all(map(LANGUAGE.fullmatch, languages)):
        raise InvalidInputError(
            f"languages are at most {MAX_LANGUAGES} tags of BCP 47, and these are {', '.join(languages)[:100]!r}",
            path=place,
            hint="de, en, pt-BR",
        )


def _described(file: File) -> Iterator[tuple[str, str]]:
    yield "documentId", file.document_id
    yield "documentClass", file.document_class
    yield "revision", file.revision
    yield "status", file.status
    yield "supersedes", file.supersedes
    yield "title", file.title


def _check_digest(text: str, place: str, *, may_be_empty: bool = False) -> None:
    if not _DIGEST.fullmatch(text) and (text or not may_be_empty):
        raise InvalidInputError("a SHA-256 is written as 64 lower-case hex digits", path=place)


def _check_words(text: str, place: str, *, most: int = MAX_WORDS, may_be_empty: bool = False) -> None:
    if not text and may_be_empty:
        return
    if not text or len(text) > most or text != text.strip() or paths.has_control(text):
        raise InvalidInputError(
            f"this has 1 to {most} characters, none that control a terminal, and no blanks around it",
            path=place,
        )
