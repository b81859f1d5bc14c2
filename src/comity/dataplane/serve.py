"""What one request for data gets: a manifest, a file of a package or a single resource, whole or in part.

Whether the caller may have anything is decided before (`Grant`); how the bytes reach the wire, and how a
stream is cut, is the shell's (`api.dataplane`) with `flows`. A path a partner sends is only ever looked up
among the published paths, so it cannot name anything else. Headers come from what was published, never from
a back end or a request.
"""

from __future__ import annotations

import base64
import json
import urllib.parse
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from comity.dataplane import flows, ranges
from comity.errors import ConflictError, NotFoundError, PolicyError, StorageError
from comity.storage import source as sources
from comity.techdata import manifest
from comity.techdata import seal as seals

Headers = tuple[tuple[str, str], ...]

FILES: Final = "files/"
SEAL: Final = "seal"
_MAX_NAME: Final = 200
_ALWAYS: Final = (
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "default-src 'none'; sandbox"),
    ("Cache-Control", "private, no-store"),
)


@dataclass(frozen=True, slots=True)
class Package:
    """A published package: its manifest's exact bytes, their SHA-256, where each of its paths lies, and its seal."""

    manifest: bytes
    sha256: str
    files: Mapping[str, sources.Source]
    seal: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """The right of one transfer to one content, as looked up for this request.

    `still_allowed` is asked every 2 s while bytes flow. `revoked` refuses at once. `note_lost` is told the path of a
    file that is not what was published.
    """

    transfer_id: str
    content: Package | sources.Source
    still_allowed: flows.StillAllowed | None = None
    revoked: bool = False
    note_lost: Callable[[str], Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers and body; a streamed body must be closed (`aclose`) by whoever sends it."""

    status: int
    headers: Headers
    body: bytes | AsyncGenerator[bytes, None] = b""


def package(data: bytes, files: Mapping[str, sources.Source], *, seal: str = "") -> Package:
    """Put a package together from its manifest's bytes and the sources of its paths, once for many requests.

    Raises:
        InvalidInputError: the bytes are no manifest.
        StorageError: a path has no source, or a source of another size or hash.
    """
    for file in manifest.decode(data).files:
        found = files.get(file.path)
        if found is None or (found.size_bytes, found.sha256) != (file.size_bytes, file.sha256):
            raise StorageError(f"the source of {file.path!r} is not what the manifest says")
    return Package(manifest=data, sha256=manifest.digest(data), files=files, seal=seal)


async def answer(
    grant: Grant, method: str, path: str, headers: Mapping[str, str], storages: Mapping[str, sources.Storage]
) -> Answer:
    """Answer a request: `path` is what follows the transfer id, decoded; `headers` have lower-case names.

    `storages` maps a source's kind to its back end.

    Raises:
        PolicyError: the grant is revoked.
        NotFoundError: the content has no such path.
        ConflictError: the resource is not what was published.
        StorageError: the back end does not give it now.
    """
    if method not in {"GET", "HEAD"}:
        return Answer(405, (*_ALWAYS, ("Allow", "GET, HEAD"), ("Content-Length", "0")))
    if grant.revoked:
        raise PolicyError("the transfer no longer allows access")
    content = _find(grant.content, path.strip("/") if path in {"", "/"} else path.removeprefix("/"))
    if isinstance(content, bytes):
        described = (*_describe(seals.MEDIA_TYPE, "seal.jws", "", ""), ("Content-Length", str(len(content))))
        return Answer(200, described, b"" if method == "HEAD" else content)
    if isinstance(content, Package):
        return _manifest(content, method, headers)
    try:
        return await resource(content, method, headers, storages)
    except ConflictError:
        if grant.note_lost is not None:
            await grant.note_lost(path.strip("/").removeprefix(FILES))
        raise


def below(endpoint: str, path: str) -> str:
    """Return the address of a path below an endpoint, whose query stays."""
    base, mark, query = endpoint.partition("?")
    return f"{base.rstrip('/')}/{urllib.parse.quote(path)}{mark}{query}"


def etag_of(sha256: str) -> str:
    """Strong entity tag of contents with this SHA-256 (hex)."""
    return f'"sha256-{sha256}"'


def _find(content: Package | sources.Source, path: str) -> Package | sources.Source | bytes:
    if not path:
        return content
    if isinstance(content, Package) and path == SEAL and content.seal:
        return content.seal.encode("ascii")
    if isinstance(content, Package) and path.startswith(FILES):
        found = content.files.get(path.removeprefix(FILES))
        if found is not None:
            return found
    raise NotFoundError("there is no such resource in this transfer")


def _manifest(content: Package, method: str, headers: Mapping[str, str]) -> Answer:
    size = len(content.manifest)
    selected = ranges.select(method, headers, size_bytes=size, etag=etag_of(content.sha256))
    described = _describe(manifest.MEDIA_TYPE, "manifest.json", content.sha256, etag_of(content.sha256))
    if selected.status not in {200, 206}:
        return _refusal(selected, size, described)
    body = b"" if method == "HEAD" else content.manifest[selected.start : selected.end]
    return Answer(selected.status, (*described, *_extent(selected, size)), body)


async def resource(
    source: sources.Source, method: str, headers: Mapping[str, str], storages: Mapping[str, sources.Storage]
) -> Answer:
    """Answer a GET or HEAD for one resource; `headers` and `storages` as in `answer`.

    Raises:
        ConflictError: it is not what was published.
        ComityError: the back end does not give it now, by its own words.
    """
    etag = etag_of(source.sha256) if source.sha256 else source.etag
    described = _describe(source.media_type, source.name, source.sha256, etag)
    size = source.size_bytes
    if size is None:
        selected = ranges.Selection(200)
    else:
        selected = ranges.select(method, headers, size_bytes=size, etag=etag)
        if selected.status not in {200, 206}:
            return _refusal(selected, size, described)
    described = (*described, *_extent(selected, size, ranged=bool(etag)))
    if method == "HEAD":
        return Answer(selected.status, described)
    body = await _open(source, selected, storages)
    return Answer(selected.status, described, body)


async def _open(
    source: sources.Source, selected: ranges.Selection, storages: Mapping[str, sources.Storage]
) -> bytes | AsyncGenerator[bytes, None]:
    storage = storages.get(source.kind)
    if storage is None:
        raise StorageError(f"no back end reads sources of the kind {source.kind!r}")
    end = None if source.size_bytes is None else selected.end
    try:
        return await storage.open_range(source, selected.start, end)
    except StorageError as error:
        if error.code != sources.CHANGED:
            raise
        raise ConflictError(
            f"{source.name!r} is not what was published: its provider does not have that any more;"
            " ask it to publish it again"
        ) from error


def _describe(media_type: str, name: str, sha256: str, etag: str) -> Headers:
    described = [*_ALWAYS, ("Content-Type", media_type), ("Content-Disposition", disposition(name))]
    if etag:
        described.append(("ETag", etag))
    if sha256:
        described.append(("Repr-Digest", f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"))
    return tuple(described)


def _extent(selected: ranges.Selection, size: int | None, *, ranged: bool = True) -> Headers:
    if size is None:
        return (("Accept-Ranges", "none"),)
    extent = [
        ("Accept-Ranges", "bytes" if ranged else "none"),
        ("Content-Length", str(selected.end - selected.start)),
    ]
    if selected.status == 206:  # noqa: PLR2004
        extent.append(("Content-Range", f"bytes {selected.start}-{selected.end - 1}/{size}"))
    return tuple(extent)


def _refusal(selected: ranges.Selection, size: int, described: Headers) -> Answer:
    if selected.status == 304:  # noqa: PLR2004
        return Answer(304, tuple(pair for pair in described if pair[0] in {"ETag", "Cache-Control"}))
    if selected.status == 416:  # noqa: PLR2004
        return problem(
            416,
            "range",
            "one range of bytes inside the resource can be asked for",
            (("Content-Range", f"bytes */{size}"),),
        )
    return problem(412, "condition", "the resource has another entity tag")


def problem(status: int, code: str, message: str, extra: Headers = ()) -> Answer:
    """Make an answer that says what was wrong, as JSON with `code` and `message`."""
    body = json.dumps({"code": code, "message": message}).encode()
    described = (("Content-Type", "application/json"), ("Content-Length", str(len(body))))
    return Answer(status, (*_ALWAYS, *described, *extra), body)


def disposition(name: str) -> str:
    """Write a Content-Disposition that offers a file name, safe against header and path tricks (RFC 6266)."""
    plain = "".join(char if char.isprintable() and char not in '/\\"' else "_" for char in name)[
        :_MAX_NAME
    ].lstrip(".")
    if not plain:
        return "attachment"
    ascii_only = "".join(char if char.isascii() and char != "%" else "_" for char in plain)
    if ascii_only == plain:
        return f'attachment; filename="{plain}"'
    encoded = urllib.parse.quote(plain.encode(errors="replace"), safe="")
    return f"attachment; filename=\"{ascii_only}\"; filename*=UTF-8''{encoded}"
