"""What a folder says of itself as a package: `comity-package.toml` at its root, itself no file of the package. Pure.

Its names are those of the manifest. `[files."drawings/*.pdf"]` is about all files that it names: `*` and `?` stand
within a segment, `**` for any. What stands later counts; what is about no file is refused, since somebody mistyped it.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from comity.errors import InvalidInputError
from comity.techdata import effectivity as effectivities
from comity.techdata.effectivity import Effectivity
from comity.techdata.manifest import File

T = TypeVar("T", bound=Struct)

NAME: Final = "comity-package.toml"
UNPUBLISHED: Final = "{} is not published yet"
PUBLISH_ONCE: Final = "publish it once, under its terms: comity publish {} --to PARTNER"
MAX_BYTES: Final = 4 * 1024 * 1024
_WILD = re.compile(r"(\*\*|\*|\?)")
_KINDS = re.compile(r"Expected `([^`]*)`, got `([^`]*)`")
_IN_TOML: Final = {"array": "a list", "object": "a table", "str": "text", "int": "a number"}
_WILDCARDS: Final = {"**": ".*", "*": "[^/]*", "?": "[^/]"}


class Document(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What is said of a file; empty where nothing is."""

    media_type: str = ""
    document_id: str = ""
    document_class: str = ""
    revision: str = ""
    status: str = ""
    supersedes: str = ""
    title: str = ""
    languages: tuple[str, ...] = ()


class About(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What a folder says of itself; None where it says nothing, and what was said before stays."""

    id: str = ""
    title: str = ""
    effectivity: tuple[Effectivity, ...] | None = None
    files: dict[str, Document] = {}


def read(data: bytes) -> About:
    """Read the file's bytes; without any, nothing is said.

    Raises:
        InvalidInputError: with the line, or the key, of what is wrong.
    """
    if len(data) > MAX_BYTES:
        raise _wrong(f"it has more than {MAX_BYTES} bytes")
    try:
        said = tomllib.loads(data.decode())
    except UnicodeDecodeError as error:
        raise _wrong(f"line {data[: error.start].count(10) + 1}: it is not UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise _wrong(str(error)) from None
    about = _convert(said)
    if place := _empty(said):
        raise _wrong(f"{place} is empty", "leave it out: then what was said before stays")
    for index, each in enumerate(said.get("effectivity", ())):
        if not each:
            raise _wrong(
                f"effectivity[{index}] says nothing", "leave it out: then it is meant for everything"
            )
    try:
        effectivities.check(about.effectivity or (), "effectivity")
    except InvalidInputError as error:
        raise _wrong(f"{error.path}: {error.message}", error.hint) from None
    return about


def _empty(said: object, place: str = "") -> str:
    """Return where an empty text is said, which says nothing; empty for nowhere."""
    if isinstance(said, dict):
        dot = "." if place else ""
        return next(filter(None, (_empty(each, f"{place}{dot}{name}") for name, each in said.items())), "")
    if isinstance(said, list):
        return next(filter(None, (_empty(each, f"{place}[{at}]") for at, each in enumerate(said))), "")
    return place if said == "" else ""


def _convert(said: dict[str, Any]) -> About:
    files = said.get("files")
    listed = files if isinstance(files, dict) else {}
    documents = {name: _one(each, Document, f"files.{name!r}") for name, each in listed.items()}
    top = _one(said | ({"files": {}} if isinstance(files, dict) else {}), About, "")
    return msgspec.structs.replace(top, files=documents)


def _one(said: object, kind: type[T], place: str) -> T:
    try:
        return msgspec.convert(said, kind)
    except msgspec.ValidationError as error:
        words, _, at = str(error).partition(" - at `$")
        key = (place + at.rstrip("`")).removeprefix(".") or "at the top"
        raise _wrong(
            f"{key}: {_plain(words)}", _known(Effectivity if key.startswith("effectivity") else kind)
        ) from None


def _plain(words: str) -> str:
    """Return what a decoder says of the wrong kind of value in the words of TOML."""
    kinds = _KINDS.fullmatch(words)
    if kinds is None:
        return words
    wanted, got = (_IN_TOML.get(each.partition(" |")[0], each) for each in kinds.groups())
    return f"this must be {wanted}, not {got}"


def _known(kind: type[Struct]) -> str:
    """Return the names that may stand where one is wrong."""
    return f"known here: {', '.join(each.encode_name for each in msgspec.structs.fields(kind))}"


def own_id(participant_id: str, real: str) -> str:
    """Return the asset id of a folder that says none: the same for the same publisher and real path, each time."""
    place = hashlib.sha256(f"{participant_id}\n{real}".encode(errors="surrogateescape"))
    return f"urn:comity:package:{place.hexdigest()[:32]}"


def write(about: About) -> bytes:
    """Write what a folder says of itself, as `read` reads it."""
    lines = [
        f"{name} = {_value(value)}" for name, value in (("id", about.id), ("title", about.title)) if value
    ]
    for each in about.effectivity or ():
        lines += ["", "[[effectivity]]", *_members(each)]
    for path, said in sorted(about.files.items()):
        lines += ["", f"[files.{_value(path)}]", *_members(said)]
    return "".join(f"{line}\n" for line in lines).encode()


def _members(said: Struct) -> list[str]:
    found = msgspec.to_builtins(said)
    return [f"{name} = {_value(value)}" for name, value in found.items() if value]


def _value(value: object) -> str:
    """Return text or a list of it as TOML writes it: what is printable is written alike in JSON."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return msgspec.json.encode(value).decode()


def describe(files: Iterable[File], said: Mapping[str, Document]) -> tuple[File, ...]:
    """Return files with what is said of them.

    Raises:
        InvalidInputError: something is said of a file that is not there.
    """
    known = {each.path: each for each in files}
    for name, document in said.items():
        members = {key: value for key, value in msgspec.structs.asdict(document).items() if value}
        named = _named(name, known)
        if not named:
            raise _wrong(f"files.{name!r} names no file of the folder")
        known |= {path: msgspec.structs.replace(known[path], **members) for path in named}
    return tuple(known.values())


def _named(name: str, known: Mapping[str, File]) -> list[str]:
    if name in known or not _WILD.search(name):
        return [name] if name in known else []
    pattern = re.compile(
        "".join(_WILDCARDS.get(part) or re.escape(part) for part in _WILD.split(name)), re.DOTALL
    )
    return [path for path in known if pattern.fullmatch(path)]


def _wrong(message: str, hint: str = "") -> InvalidInputError:
    return InvalidInputError(f"{NAME}: {message}", path="$.folder", hint=hint)
