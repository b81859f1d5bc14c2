"""What the connector received, fetched from its store into a folder of the client's machine, and checked here again.

The manifest is compared with what was offered, the files with the manifest, their bytes with both. A file that is
there and right is not fetched; a part that a break left is gone on with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from comity import errors
from comity.client import calls, placing, problems, stages, watch
from comity.client.choosing import Wanted
from comity.client.placing import MANIFEST_NAME, is_note
from comity.client.records import Exchange, File, Offer
from comity.client.stages import ExchangeError, Progress, Told
from comity.client.steps import Call, Download, Downloads, Flow, Look, Pause, Removals


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


def save(  # noqa: PLR0913  all but the first have their usual values
    transfer_id: str,
    to: str | Path,
    wanted: Wanted,
    *,
    progress: Told | None = None,
    ended: Exchange | None = None,
    overwrite: bool = False,
) -> Flow[Got]:
    """Fetch what a transfer brought from the connector's store into a folder, and check every hash.

    It leaves the store with that: the evidence has it as an export. What was not received in the folder is replaced
    only to `overwrite` it.

    Raises:
        ExchangeError: the terms do not allow it, a hash does not hold, a file cannot be written.
    """
    ids = stages.ids(ended) if ended is not None else {"transfer": transfer_id}
    digest = ended.manifest_sha256 if ended is not None else ""
    with stages.at(stages.RECEIVING, ids):
        folder = placing.chosen(to)
        listed = yield from calls.received_files(transfer_id)
        for each in [ended] if ended is not None else (yield from calls.received(transfer_id=transfer_id)):
            problems.warn(each)
            check_purpose(each.get("policy") or {}, wanted, stages.RECEIVING)
        digest = yield from _check_manifest(transfer_id, listed, wanted, digest)
        with placing.locked(folder):
            tally = _Tally(listed, progress or stages.nobody)
            files = _downloads(transfer_id, folder, listed, wanted, tally)
            content = {path: each for path, each in files.items() if not is_note(path)}
            missing = yield Look(str(folder), tuple(files.values()), overwrite)
            left = {each.target for each in missing}
            tally(sum(each.size_bytes for each in files.values() if each.target not in left))
            yield from _fetch([each for each in content.values() if each.target in left], tally)
            removed, changed = yield from _remove_older(transfer_id, folder, digest, wanted)
            # last: it says of which revision the folder is
            yield from _fetch(
                [each for path, each in files.items() if path not in content and each.target in left], tally
            )
            placing.settle(
                folder, {path: each.sha256 for path, each in content.items()}, named=MANIFEST_NAME in files
            )
    places = tuple(Path(each.target) for each in content.values())
    agreement_id = ended.agreement_id if ended is not None else ""
    return Got(folder, places, agreement_id, transfer_id, digest, removed, changed)


def check_purpose(
    terms: Mapping[str, Any], wanted: Wanted, stage: str, offered: Sequence[Offer] = ()
) -> None:
    """Refuse to begin what could not be opened then: its terms ask for a purpose, and none is stated.

    Raises:
        ExchangeError: with the purposes that its terms name.
    """
    from comity.odrl import purposes  # noqa: PLC0415  start-up time

    with stages.at(stage):
        asked = () if wanted.purpose else purposes.wanted(terms)
    if asked:
        raise ExchangeError(
            f"its terms ask for a purpose, and none is stated: {', '.join(asked)}",
            stage=stage,
            code=errors.PolicyError.code,
            hint=f'say what it is for: purpose="{asked[0]}"',
            offered=offered,
        )


def _downloads(
    transfer_id: str, folder: Path, listed: Sequence[File], wanted: Wanted, tally: _Tally
) -> dict[str, Download]:
    """Return from where each file comes and where it goes, by its path."""
    access = {**wanted.access, "export": "true"}
    return {
        each.path: Download(
            calls.file_path("received", transfer_id, each.path, **access),
            str(place),
            each.size_bytes,
            each.sha256,
            tally,
        )
        for each, place in zip(listed, places_of(folder, listed), strict=True)
    }


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
    if said != {each.path: (each.size_bytes, each.sha256) for each in listed if not is_note(each.path)}:
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


def _fetch(files: Sequence[Download], tally: _Tally) -> Flow[None]:
    """Fetch all files; a connector that is away for a moment is waited for, as long as something comes."""
    if not files:
        return
    begun = tally.done
    heard = yield Pause()
    while True:
        before = tally.done
        try:
            yield Downloads(tuple(files))
        except problems.UnreachableError:
            now = yield Pause()
            heard = now if tally.done > before else heard
            if now - heard > watch.PATIENCE_S:
                raise
            tally.done = begun
            yield Pause(watch.INTERVAL_S)
        else:
            return


def places_of(folder: Path, files: Sequence[File]) -> list[Path]:
    """Return where the files go; none of them can leave the folder, also not by a link that lies in it."""
    from comity.techdata import paths  # noqa: PLC0415  start-up time

    root = folder.resolve()
    found = []
    for each in files:
        if not is_note(each.path):
            paths.check_path(each.path)
        place = folder / each.path
        if not place.parent.resolve().is_relative_to(root):
            raise errors.StorageError(f"{place} would lie outside of {folder}: there is a link in its path")
        found.append(place)
    return found
