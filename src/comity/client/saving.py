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
from comity.client.steps import Call, Download, Downloads, Flow, Pause, Removals

MANIFEST_NAME = ".comity-manifest.json"


class Got(NamedTuple):
    """Verified files in a folder, and under which agreement they are there.

    Of what an older revision had left there, `removed` are the files that this one has not any more; `changed` are
    those that stay, because somebody has changed them.
    """

    folder: Path
    files: tuple[Path, ...]
    agreement_id: str
    transfer_id: str
    manifest_sha256: str
    removed: tuple[Path, ...] = ()
    changed: tuple[Path, ...] = ()

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
        tally = _Tally(listed, progress or stages.nobody)
        both = list(zip(listed, places, strict=True))
        content = [each for each in both if not _is_note(each[0].path)]
        notes = [each for each in both if _is_note(each[0].path)]
        yield from _fetch(transfer_id, content, wanted, tally)
        removed, changed = yield from _remove_older(transfer_id, folder, digest, wanted)
        if notes:
            yield from _fetch(
                transfer_id, notes, wanted, tally
            )  # last: it says of which revision the folder is
    files = tuple(place for _, place in content)
    agreement_id = ended.agreement_id if ended is not None else ""
    return Got(folder, files, agreement_id, transfer_id, digest, removed, changed)


def _remove_older(
    transfer_id: str, folder: Path, digest: str, wanted: Wanted
) -> Flow[tuple[tuple[Path, ...], tuple[Path, ...]]]:
    """Remove what an older revision left in the folder and this one has not; return that, and what was changed."""
    note = folder / MANIFEST_NAME
    before = note.read_bytes() if note.is_file() else b""
    if not before:
        return (), ()
    from comity.techdata import changes, manifest  # noqa: PLC0415  start-up time

    if manifest.digest(before) == digest:
        return (), ()
    path = calls.file_path("received", transfer_id, MANIFEST_NAME, **wanted.access, export="true")
    now: bytes = yield Call("GET", path, read=bytes, raw=True)
    old = [File({"path": each.path, "sizeBytes": each.size_bytes, "sha256": each.sha256})
           for each in changes.dropped(before, now)]  # fmt: skip
    gone = [
        Download("", str(place), each.size_bytes, each.sha256, _told_nobody)
        for each, place in zip(old, places_of(folder, old), strict=True)
    ]
    changed = (yield Removals(str(folder), tuple(gone))) if gone else []
    return (
        tuple(Path(each.target) for each in gone if each.target not in changed),
        tuple(Path(each.target) for each in gone if each.target in changed),
    )


def _told_nobody(_: int) -> None:
    """Hear of bytes that nobody waits for."""


def _is_note(path: str) -> bool:
    """Tell whether a file is the manifest or the seal, which lie beside those of the package."""
    return path.startswith(".comity-") and "/" not in path


def _check_manifest(transfer_id: str, listed: Sequence[File], wanted: Wanted, digest: str) -> Flow[str]:
    """Check that the files are those of the manifest that was offered, and return its digest (no package: empty)."""
    found = next((each for each in listed if each.path == MANIFEST_NAME), None)
    if found is None:
        if digest:
            raise problems.HashError(
                f"the manifest that was offered, whose SHA-256 is {digest}, is not there"
            )
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


def _fetch(transfer_id: str, files: Sequence[tuple[File, Path]], wanted: Wanted, tally: _Tally) -> Flow[None]:
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
            for each, place in files
        )
    )
    begun = tally.done
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
            tally.done = begun
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
