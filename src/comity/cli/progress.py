"""How an exchange looks while it runs: a line for each stage, and on a terminal a bar below them.

Every line is told once, in the order of the stages, also when some were too quick to be seen.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from comity.cli import ids, output, words
from comity.client import watch
from comity.client.calls import STORE

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn, TaskID

Document = dict[str, Any]
_LABEL = 13
_SUSPENDED = "SUSPENDED"
_FIGURES = re.compile(r"[0-9]+")


class Story:
    """Tells an exchange; `agreed_terms` returns the terms of an agreement in words."""

    def __init__(self, console: Console, agreed_terms: Callable[[str], str], *, quiet: bool = False) -> None:
        self.offered = ""
        self._console = console
        self._agreed_terms = agreed_terms
        self._quiet = quiet
        self._told: set[str] = set()
        self._trouble = ""
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal and not self._quiet:
            self._bar = _bar(self._console)
            self._task = self._bar.add_task("starting", total=None, files="")
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def line(self, label: str, text: str) -> None:
        """Print a line under a label."""
        if not self._quiet:
            self._console.print(f"{label:<{_LABEL}}{output.clean(text)}", soft_wrap=True, markup=False)

    def tell(self, status: Document) -> None:
        """Tell what is new in how far the exchange has come."""
        agreement_id = status.get("agreementId")
        if status.get("negotiationId") and (self.offered or not agreement_id):
            self._once("negotiating", self.offered or "the partner's offer")
        known = "" if status.get("negotiationId") else ", in force already"
        if agreement_id and self._once("agreed", f"{ids.tail(str(agreement_id))}{known}"):
            with contextlib.suppress(LookupError):
                self.line("", self._agreed_terms(str(agreement_id)))
        if status.get("bytesTotal") or status.get("filesTotal"):
            self._once("pulling", _amount(status, "Total"))
        self._tell_trouble(status)
        self._move_bar(status)

    def _once(self, label: str, text: str) -> bool:
        if label in self._told:
            return False
        self._told.add(label)
        self.line(label, text)
        return True

    def _tell_trouble(self, status: Document) -> None:
        trouble = ""
        if status.get("stage") in watch.ENDED:
            return
        if status.get("transferState") == _SUSPENDED:
            why = f"comity transfers {ids.short(str(status.get('transferId') or ''))}"
            trouble = f"the transfer is suspended ({why} says why); it goes on when it is resumed"
        elif status.get("waitsFor"):
            waits = str(status["waitsFor"]).removeprefix("waits ")
            trouble = f"{waits}; they see it with: comity approvals list"
        elif status.get("error"):
            trouble = f"{status['error']}; it is tried again"
        kind = _FIGURES.sub(
            "", trouble
        )  # free space and the like change at each attempt, the trouble does not
        if kind and kind != self._trouble:
            self.line("waiting", trouble)
        self._trouble = kind

    def _move_bar(self, status: Document) -> None:
        if self._bar is None or self._task is None:
            return
        done, files = int(status.get("filesDone") or 0), int(status.get("filesTotal") or 0)
        total = int(status.get("bytesTotal") or 0)
        if total:
            self._bar.columns = _columns()
        self._bar.update(
            self._task,
            description=str(status.get("stage", "")).lower(),
            completed=int(status.get("bytesDone") or 0),
            total=total or None,
            files=f"{done}/{files} files" if files else "",
        )

    def end(self, status: Document, *, seconds: float) -> None:
        """Tell what was received, in which time, where it is, and by what it was checked."""
        if not status.get("filesDone"):
            self.line("completed", "")
            return
        self.line("received", f"{_amount(status, 'Done')} in {words.duration(seconds)}")
        for each in filter(None, str(status.get("note") or "").split("; ")):
            self.line("", each)
        self.line("checked", "SHA-256 of every file, against the manifest")
        if status.get("manifestSha256"):
            self.line("manifest", str(status["manifestSha256"]))
        if status.get("sealedBy") is not None and status.get("manifestSha256"):
            self.line("sealed by", str(status["sealedBy"]) or "nobody: the partner gives no seal")
        place = str(status.get("destination"))
        self.line("kept", "encrypted, in the node's store") if place == STORE else self.line("folder", place)


class Hashing:
    """A bar for files that are being hashed."""

    def __init__(self, console: Console) -> None:
        from rich import progress  # noqa: PLC0415  start-up time

        self._bar = progress.Progress(*_columns(), console=console, transient=True)
        self._task = self._bar.add_task("hashing the files", total=None, files="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def tell(self, status: Document) -> None:
        """Show how far it is."""
        self._bar.update(
            self._task,
            completed=int(status.get("bytesDone") or 0),
            total=int(status.get("bytesTotal") or 0) or None,
            files=f"{status.get('filesDone')}/{status.get('filesTotal')} files",
        )


def _amount(status: Document, what: str) -> str:
    """Return `4 files, 23.1 MB`; the number of files is left out while it is not known."""
    files, size = int(status.get(f"files{what}") or 0), words.size(status.get(f"bytes{what}"))
    return f"{words.count(files, 'file')}, {size}" if files else size


def _bar(console: Console) -> Progress:
    from rich import progress  # noqa: PLC0415  start-up time

    return progress.Progress(*_columns()[:2], console=console, transient=True)


def _columns() -> tuple[ProgressColumn, ...]:
    """Return what stands in the line: spinner and stage, and the rest once the size is known."""
    from rich import progress  # noqa: PLC0415  start-up time

    return (
        progress.SpinnerColumn("line"),
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(bar_width=18),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TextColumn("{task.fields[files]}", markup=False),
    )
