"""An AASX out of a package folder: the other way of `aasx`.

What the manifest says of files is written into handover documentation (02004). Submodels that came out of an AASX,
below `aas/`, go into it again; the files, under their own names. Each file is hashed while it is packed: an AASX never
has other bytes than the manifest names.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import structs

from comity.errors import InvalidInputError, StorageError
from comity.storage import aasx, file, folder, media_types, opc
from comity.storage.aasx import Report
from comity.storage.source import CHUNK_BYTES, changed
from comity.techdata import aas, about, handover, manifest, paths, shell, xml
from comity.techdata.about import Document as Said
from comity.techdata.manifest import File, Manifest

Document = dict[str, Any]
MANIFEST: Final = ".comity-manifest.json"
"""Where a received package has its manifest."""
ORIGIN_PART, ENVIRONMENT_PART = "aasx/aasx-origin", "aasx/environment.aas.json"
_KEPT: Final = re.compile(r"aas/(shells|submodels)/[^/]+\.json|aas/concept-descriptions\.json")


def pack(source: str, target: str, add: Callable[[Manifest], list[Document]] | None = None) -> Report:
    """Make an AASX of a package folder: one with `comity-package.toml`, or one that was received.

    `add` returns more submodels for it.

    Raises:
        InvalidInputError: a file of the folder is not what its manifest says, or cannot be in an AASX.
        StorageError: the folder cannot be read, or the AASX is there already.
    """
    if not os.path.isdir(source):
        raise StorageError(f"{source!r} is not a folder")
    found, real = _package(source)
    carried = tuple(each for each in found.files if not _KEPT.fullmatch(each.path))
    environment = _collected(real, [each.path for each in found.files if _KEPT.fullmatch(each.path)])
    _add(environment, add(found) if add else [])
    documents = _documents(environment, carried)
    made = shell.write(environment, structs.replace(found, files=carried), documents)
    _check_said(made, documents)
    for each in carried:
        if re.search(r"(^|/)_rels(/|$)", each.path):
            raise InvalidInputError(f"{each.path!r} cannot be in an AASX: _rels is a folder of its own there")
    paths.check_distinct([*(each.path for each in carried), ORIGIN_PART, ENVIRONMENT_PART])
    content = _encoded(made)
    with _whole_file(target) as place, opc.Writer(place) as writer:
        _write(writer, real, carried, content)
    submodels = [aasx.named(each) for each in made.get(aas.SUBMODELS, [])]
    size = sum(each.size_bytes for each in carried)
    missing = sorted(handover.named(made) - {each.path for each in carried})
    notes = [f"a submodel names {each}, which is no file of the package" for each in missing]
    return Report(len(carried), size, len(documents), submodels, notes, made)


def _add(environment: Document, more: list[Document]) -> None:
    """Put further submodels beside those that there are.

    Raises:
        InvalidInputError: there is one of its kind already.
    """
    submodels = environment.setdefault(aas.SUBMODELS, [])
    for each in more:
        if aas.semantic_id(each) in map(aas.semantic_id, submodels):
            raise InvalidInputError(f"the folder has {aasx.named(each)} already, below aas/submodels")
        submodels.append(each)


def _write(writer: opc.Writer, real: dict[str, str], carried: tuple[File, ...], content: bytes) -> None:
    base = aasx.BASES[0]
    writer.relate("", [(f"{base}/aasx-origin", ORIGIN_PART)])
    writer.add(ORIGIN_PART, "text/plain", [b"Intentionally empty."])
    writer.relate(ORIGIN_PART, [(f"{base}/aas-spec", ENVIRONMENT_PART)])
    writer.add(ENVIRONMENT_PART, "application/json", [content])
    writer.relate(ENVIRONMENT_PART, [(f"{base}/aas-suppl", each.path) for each in carried])
    for each in carried:
        writer.add(each.path, each.media_type, _verified(real[each.path], each), each.size_bytes)


def _encoded(environment: Document) -> bytes:
    """Return an environment's JSON, if an AASX with it can be read again.

    Raises:
        InvalidInputError: it would be too large.
    """
    content = msgspec.json.encode(environment)
    if len(content) > xml.MAX_BYTES:
        raise InvalidInputError(
            f"its environment would have {len(content) >> 20} MiB; at most {xml.MAX_BYTES >> 20} are read",
            hint="make several AASX of it",
        )
    aas.read(content, is_xml=False, what="the environment that would be in it")
    return content


@contextlib.contextmanager
def _whole_file(target: str) -> Iterator[str]:
    """Give a name to write to, which becomes the file's when all went well and is gone else."""
    if os.path.lexists(target):
        raise StorageError(f"{target!r} is there already")
    made = Path(aasx.parent(target), f".{os.path.basename(target)}.part")
    made.unlink(missing_ok=True)
    try:
        yield str(made)
        made.replace(target)
    except BaseException:
        made.unlink(missing_ok=True)
        raise


def _package(source: str) -> tuple[Manifest, dict[str, str]]:
    """Return what a folder is as a package, as its manifest or itself says, and where its files lie really."""
    base = os.path.realpath(source)
    real = {each.path: each.real for each in folder.list_all(base)[0]}
    received = os.path.join(base, MANIFEST)
    if os.path.isfile(received):
        found = manifest.decode(Path(received).read_bytes())
        if {each.path for each in found.files} != real.keys():
            raise InvalidInputError(f"{source!r} does not hold the files that {MANIFEST} names")
        return (found if found.id else structs.replace(found, id=_made_up(found))), real
    said = about.read(folder.read_about(base))
    files = tuple(_measured(name, place) for name, place in sorted(real.items()))
    if not files:
        raise InvalidInputError(f"there is no file in {source!r}")
    made = Manifest(said.title or os.path.basename(base) or "package", about.describe(files, said.files))
    made = structs.replace(made, id=said.id or _made_up(made), revision=1, effectivity=said.effectivity or ())
    manifest.check(made)
    return made, real


def _made_up(found: Manifest) -> str:
    """Return an id for a package that has none: the same files have the same."""
    digests = "\n".join(f"{each.path} {each.sha256}" for each in found.files)
    return f"urn:comity:package:{hashlib.sha256(digests.encode()).hexdigest()[:32]}"


def _measured(name: str, real: str) -> File:
    size, digest = 0, hashlib.sha256()
    for chunk in _chunks(real):
        size += len(chunk)
        digest.update(chunk)
    return File(name, size, digest.hexdigest(), media_types.of(name))


def _chunks(real: str) -> Iterator[bytes]:
    try:
        with open(real, "rb") as opened:
            while chunk := opened.read(CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise file.unreadable(real, error) from error


def _verified(real: str, wanted: File) -> Iterator[bytes]:
    """Yield a file's bytes, and fail at their end if they are not those that the manifest names."""
    digest = hashlib.sha256()
    for chunk in _chunks(real):
        digest.update(chunk)
        yield chunk
    if digest.hexdigest() != wanted.sha256:
        raise changed(f"{wanted.path!r} is not what the manifest says: its SHA-256 is another")


def _collected(real: dict[str, str], names: list[str]) -> Document:
    """Return the environment that was kept as files."""
    found: Document = {}
    for name in names:
        data = b"".join(_chunks(real[name]))
        part = next((part for part, place in aasx.FOLDERS.items() if name.startswith(place)), aas.CONCEPTS)
        wrapped = b'{"%s":%s}' % (part.encode(), data if part == aas.CONCEPTS else b"[" + data + b"]")
        found.setdefault(part, []).extend(aas.read(wrapped, is_xml=False, what=name)[part])
    return found


def _documents(environment: Document, carried: tuple[File, ...]) -> list[File]:
    """Return the files that are documents: those of which something is said, or all where nothing came of an AAS."""
    named = handover.read(environment.get(aas.SUBMODELS, []))
    came = bool(environment.get(aas.SHELLS))
    silent = Said()
    return [
        each
        for each in carried
        if not came
        or each.path in named
        or structs.replace(handover.as_said(each), media_type="", supersedes="") != silent
    ]


def _check_said(made: Document, documents: list[File]) -> None:
    """Refuse what handover documentation cannot say: files of one document with different ids or classes."""
    said = handover.read(made.get(aas.SUBMODELS, []))
    for each in documents:
        wanted = handover.as_said(each)
        got = said.get(each.path, Said())
        for name in ("document_id", "document_class", "revision", "status", "title", "languages"):
            if getattr(wanted, name) and getattr(wanted, name) != getattr(got, name):
                raise InvalidInputError(
                    f"{each.path!r} has another {name.replace('_', ' ')} than the files of the same document",
                    hint="files of one document of 02004 have one id and one class",
                )
