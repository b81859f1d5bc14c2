"""A package folder out of an AASX (IDTA 01005, the container of an AAS); `aasx_export` is the other way.

Every part of the container is a file of the package, under its own name and with its own bytes; only what the container
needs for itself is left out. Shells, submodels and concept descriptions become JSON files below `aas/`. What handover
documentation says of files becomes `comity-package.toml`. Nothing is half there: a folder appears under its name when
it is whole.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from msgspec import structs

from comity.errors import InvalidInputError, StorageError
from comity.storage import media_types, opc
from comity.techdata import aas, about, handover, manifest, paths, shell
from comity.techdata.about import About
from comity.techdata.about import Document as Said
from comity.techdata.manifest import File, Manifest

Document = dict[str, Any]
BASES: Final = ("http://admin-shell.io/aasx/relationships", "http://www.admin-shell.io/aasx/relationships")
FOLDERS: Final = {aas.SHELLS: "aas/shells", aas.SUBMODELS: "aas/submodels"}
_CONCEPTS: Final = "aas/concept-descriptions.json"


@dataclass(slots=True)
class Report:
    """What was brought over: files with their sizes, of how many something is said, submodels, and what to know."""

    files: int = 0
    size_bytes: int = 0
    documents: int = 0
    submodels: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    environment: Document = field(default_factory=dict)


def unpack(path: str, target: str) -> Report:
    """Make the folder `target` of an AASX.

    Raises:
        InvalidInputError: it is no AASX, or one that could do harm, or names a file that no package can hold.
        StorageError: it cannot be read, or the folder cannot be written.
    """
    _check_is_container(path)
    with opc.Container(path) as container:
        specs, inner = _inner(container)
        environment = _environment(container, specs)
        own = _files(shell.without_extension(environment))
        names = [each for each in container.parts if each not in inner]
        paths.check_distinct([*names, *own, about.NAME])
        for each in [*names, *own]:
            paths.check_portable(each)
        said, notes = shell.read(environment, names)
        title = said.title or _stem(path)
        said = structs.replace(said, title=title, files=_media_types(container, names, said))
        _check_about(said, [*names, *own])
        _check_space(container.size_bytes, target)
        documents = handover.read(environment.get(aas.SUBMODELS, [])).keys() & set(names)
        report = Report(len(names) + len(own), documents=len(documents))
        report.submodels = [named(each) for each in environment.get(aas.SUBMODELS, [])]
        report.notes, report.environment = notes, environment
        with _whole_folder(target) as made:
            for name in names:
                report.size_bytes += _put(made, name, container.chunks(name))
            for name, content in own.items():
                report.size_bytes += _put(made, name, iter([content]))
            _put(made, about.NAME, iter([about.write(said)]))
    return report


def _check_is_container(path: str) -> None:
    """Refuse an environment by itself, as samples of submodels are: it is told what is missing."""
    with contextlib.suppress(OSError), open(path, "rb") as opened:
        begins = opened.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
        if begins in {b"{", b"<"}:
            kind = "JSON" if begins == b"{" else "XML"
            raise InvalidInputError(
                f"{os.path.basename(path)} is {kind}, as an environment without its container is; an AASX is imported",
                hint="get it as .aasx, or pack it as one with the tool that made it: the files that it names are then"
                " in it",
            )


def _stem(path: str) -> str:
    """Return a title for what says none: the name of its file."""
    name = os.path.splitext(os.path.basename(path))[0].strip()
    return name if name.isprintable() else ""


def _inner(container: opc.Container) -> tuple[list[str], set[str]]:
    """Return the parts that hold the environment, and with them all that only the container needs.

    Raises:
        InvalidInputError: it is no AASX.
    """
    origins = container.related("", *(f"{base}/aasx-origin" for base in BASES))
    if not origins:
        raise InvalidInputError(
            f"{os.path.basename(container.path)} is no AASX: it has no relationship to an aasx-origin"
        )
    specs = container.related(origins[0], *(f"{base}/aas-spec" for base in BASES))
    for each in list(specs):
        specs += container.related(each, *(f"{base}/aas-spec-split" for base in BASES))
    if not specs:
        raise InvalidInputError(
            f"{os.path.basename(container.path)} is no AASX: it has no relationship to an environment (aas-spec)"
        )
    relations = {each for each in container.parts if re.search(r"(^|/)_rels/[^/]*\.rels$", each)}
    return specs, {opc.TYPES, origins[0], *specs, *relations}


def _environment(container: opc.Container, specs: list[str]) -> Document:
    found: Document = {}
    for name in specs:
        kind = container.media_type(name).partition(";")[0]
        is_xml = kind.endswith("/xml") or (not kind.endswith("/json") and name.endswith(".xml"))
        read = aas.read(container.read(name), is_xml=is_xml, what=name)
        for part in aas.PARTS:
            found.setdefault(part, []).extend(read.get(part, []))
    return found


def _files(environment: Document) -> dict[str, bytes]:
    """Return an environment as files of the package."""
    found: dict[str, bytes] = {}
    for part, place in FOLDERS.items():
        seen: Counter[str] = Counter()
        for each in environment.get(part, []):
            stem = aas.id_short(each.get("idShort", ""), part[:-1])
            seen[stem.lower()] += 1
            number = seen[stem.lower()]
            found[f"{place}/{stem}{f'-{number}' if number > 1 else ''}.json"] = encoded(each)
    if environment.get(aas.CONCEPTS):
        found[_CONCEPTS] = encoded(environment[aas.CONCEPTS])
    return found


def encoded(value: object) -> bytes:
    """Return JSON as it lies in a package: for people too, and the same each time."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def _media_types(container: opc.Container, names: list[str], said: About) -> dict[str, Said]:
    """Return what is said of files, with the media types that their names alone do not tell."""
    found = dict(said.files)
    for name in names:
        told = found[name].media_type if name in found else ""
        told = told or container.media_type(name)
        good = told if manifest.is_media_type(told) and told != media_types.of(name) else ""
        found[name] = structs.replace(found.get(name, Said()), media_type=good)
    return {name: each for name, each in found.items() if each != Said()}


def _check_about(said: About, names: list[str]) -> None:
    """Check now that what is written can be published."""
    files = [File(each, 0, "0" * 64, media_types.of(each)) for each in names]
    described = about.describe(files, about.read(about.write(said)).files)
    manifest.check(Manifest(said.title or "t", described, id="i", revision=1))


def _check_space(needed: int, target: str) -> None:
    free = shutil.disk_usage(parent(target)).free
    if needed > free:
        raise StorageError(f"it unpacks to {needed} bytes, and {free} are free")


def parent(target: str) -> str:
    """Return the folder in which something is to be made.

    Raises:
        StorageError: there is none.
    """
    found = os.path.dirname(os.path.abspath(target))
    if not os.path.isdir(found):
        raise StorageError(f"there is no folder {found!r}")
    return found


def named(submodel: Document) -> str:
    """Return what people call a submodel."""
    return str(submodel.get("idShort") or submodel["id"])


@contextlib.contextmanager
def _whole_folder(target: str) -> Iterator[str]:
    """Give a folder to write into, which gets its name when all went well and is gone else."""
    if os.path.lexists(target) and (not os.path.isdir(target) or os.listdir(target)):
        raise StorageError(f"{target!r} is there already", hint="name a folder that is new or empty")
    made = tempfile.mkdtemp(prefix=f".{os.path.basename(os.path.abspath(target))}-", dir=parent(target))
    try:
        yield made
        os.chmod(made, 0o755)  # noqa: S103  as any folder that a person makes
        os.replace(made, os.path.abspath(target))  # an empty folder is replaced, one with files is not
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def _put(base: str, name: str, chunks: Iterator[bytes]) -> int:
    path = os.path.join(base, *name.split("/"))
    size = 0
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "xb") as opened:
            for chunk in chunks:
                size += opened.write(chunk)
    except OSError as error:
        raise StorageError(f"{name!r} cannot be written: {error.strerror or error}") from error
    return size
