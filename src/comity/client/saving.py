"""What the connector received, fetched from its store into a folder of the client's machine, and checked here again.

The manifest is compared with what was offered, the files with the manifest, their bytes with both. A file that is
there and right is not fetched; a part that a break left is gone on with.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from comity import errors
from comity.client import calls, problems, stages, watch
from comity.client.choosing import Wanted
from comity.client.records import Exchange, File
from comity.client.stages import Progress, Told
from comity.client.steps import Call, Download, Downloads, Flow, Pause

MANIFEST_NAME = ".comity-manifest.json"


class Got(NamedTuple):
    """Verified files in a folder, and under which agreement they are there."""

    folder: Path
    files: tuple[Path, ...]
    agreement_id: str
    transfer_id: str
    manifest_sha256: str

    @property
    def file(self) -> Path:
        """The only file."""
        [only] = self.files
        return only


def save(
    transfer_id: str,
    to: str | Path,
    wanted: Wanted,
    *,
    progress: Told | None = None,
    ended: Exchange | None = None,
) -> Flow[Got]:
    """Fetch what a transfer brought from the connector's store into a folder, and check every hash.

    It leaves the store with that: the evidence has it as an export.

    Raises:
        ExchangeError: the terms do not allow it, a hash does not hold, a file cannot be written.
    """
    ids = stages.ids(ended) if ended is not None else {"transfer": transfer_id}
    folder = Path(to)
    digest = ended.manifest_sha256 if ended is not None else ""
    with stages.at(stages.RECEIVING, ids):
        check_folder(to)
        listed = yield from calls.received_files(transfer_id)
        digest = yield from _check_manifest(transfer_id, listed, wanted, digest)
        places = places_of(folder, listed)
        yield from _fetch(transfer_id, listed, places, wanted, _Tally(listed, progress or stages.nobody))
    files = tuple(place for place, each in zip(places, listed, strict=True) if not _is_note(each.path))
    return Got(folder, files, ended.agreement_id if ended is not None else "", transfer_id, digest)


def _is_note(path: str) -> bool:
    """Tell whether a file is the manifest or the seal, which lie beside those of the package."""
    return path.startswith(".comity-") and "/" not in path


def _check_manifest(transfer_id: str, listed: Sequence[File], wanted: Wanted, digest: str) -> Flow[str]:
    """Check that the files are those of the manifest that was offered, and return its digest (no package: empty)."""
    found = next((each for each in listed if each.path == MANIFEST_NAME), None)
    if found is None:
        return digest
    from comity.techdata import manifest  # noqa: PLC0415  start-up time

    path = calls.file_path("received", transfer_id, MANIFEST_NAME, **wanted.access, export="true")
    data: bytes = yield Call("GET", path, read=bytes, raw=True)
    if digest not in {"", manifest.digest(data)}:
        raise problems.HashError(f"the manifest is not the one that was offered, whose SHA-256 is {digest}")
    said = {each.path: (each.size_bytes, each.sha256) for each in manifest.decode(data).files}
    if said != {each.path: (each.size_bytes, each.sha256) for each in listed if not _is_note(each.path)}:
        raise problems.HashError("the files that were received are not those of their manifest")
    return manifest.digest(data)


class _Tally:
    """Counts bytes as they come; told in whole percents, from several threads at once."""

    def __init__(self, files: Sequence[File], tell: Told) -> None:
        self.done = 0
        self._total = sum(each.size_bytes for each in files)
        self._tell = tell
        self._told = -1

    def __call__(self, more: int) -> None:
        self.done += more
        percent = self.done * 100 // self._total if self._total else 100
        if percent != self._told:
            self._told = percent
            note = "from your connector's store"
            self._tell(Progress(stages.RECEIVING, bytes_done=self.done, bytes_total=self._total, note=note))


def _fetch(
    transfer_id: str, files: Sequence[File], places: Sequence[Path], wanted: Wanted, tally: _Tally
) -> Flow[None]:
    """Fetch all files; a connector that is away for a moment is waited for, as long as something comes."""
    access = {**wanted.access, "export": "true"}
    downloads = Downloads(
        tuple(
            Download(
                calls.file_path("received", transfer_id, each.path, **access),
                str(place),
                each.size_bytes,
                each.sha256,
                tally,
            )
            for each, place in zip(files, places, strict=True)
        )
    )
    heard = yield Pause()
    while True:
        before = tally.done
        try:
            yield downloads
        except problems.UnreachableError:
            now = yield Pause()
            heard = now if tally.done > before else heard
            if now - heard > watch.PATIENCE_S:
                raise
            tally.done = 0
            yield Pause(watch.INTERVAL_S)
        else:
            return


def check_folder(to: str | Path) -> None:
    """Refuse what is no folder of this machine.

    Raises:
        InvalidInputError: it is the address of a bucket.
    """
    if "://" in str(to):
        raise errors.InvalidInputError(
            f"{to} is no folder", hint="a connector receives into its buckets by itself: comity get -o BUCKET"
        )


def places_of(folder: Path, files: Sequence[File]) -> list[Path]:
    """Return where the files go; none of them can leave the folder, also not by a link that lies in it."""
    from comity.techdata import paths  # noqa: PLC0415  start-up time

    root = folder.resolve()
    found = []
    for each in files:
        if not _is_note(each.path):
            paths.check_path(each.path)
        place = folder / each.path
        if not place.parent.resolve().is_relative_to(root):
            raise errors.StorageError(f"{place} would lie outside of {folder}: there is a link in its path")
        found.append(place)
    return found
