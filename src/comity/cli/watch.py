"""`comity watch`: what a PLM system drops into a folder is published as the next revision, when it is at rest.

The folder is looked at every few seconds; a state that stayed for a while, with no file unfinished, is published under
the terms that stand. Nothing has to be remembered over a restart: the connector knows what is published already.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from comity import errors
from comity.cli import hashing, output, places, words
from comity.cli.invocation import Data, Invocation
from comity.client import problems
from comity.storage import drop
from comity.storage.drop import State

Document = dict[str, Any]
FOLDER = "privateProperties.folder"
LONGEST_PAUSE_S = 60.0
SPARING = 10
"""A look at many files takes a while: it is rested for so many times as long."""
AGAIN_S = 300.0
"""After which time a state that was refused is tried again: the connector may have been set up otherwise."""

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder that is published already.")]
AssetId = Annotated[
    str,
    typer.Option(
        "--id", metavar="ID", help="Its asset id, if another folder was published.", show_default=False
    ),
]
Stable = Annotated[
    float, typer.Option(min=0, metavar="SECONDS", help="Publish a state that has stayed for so long.")
]
Every = Annotated[float, typer.Option(min=0.1, metavar="SECONDS", help="Look so often.")]


def watch(
    ctx: typer.Context,
    *,
    folder: Folder,
    asset_id: AssetId = "",
    stable: Stable = 10.0,
    every: Every = 2.0,
    _data: Data = None,
) -> None:
    """Publish a folder again each time something new was dropped into it, under the terms that stand.

    It goes on until it is stopped, over restarts of the connector. Nothing half-written is published.
    """
    here = Invocation(ctx)
    named = places.absolute(folder)
    _check_published(here, named, asset_id)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())

    def publish() -> Document:
        return hashing.publish(here.connector, named, quiet=True, asset_id=asset_id, again=True)

    watching = Watching(publish, lambda: drop.busy(named), stable_s=stable, say=_say)
    _say(f"watching {named}: a state that stays for {words.duration(stable)} is published")
    try:
        while not ended.is_set():
            begun_s = time.monotonic()
            found = drop.look(named)
            rest_s = SPARING * (time.monotonic() - begun_s)
            pause_s = watching.look(found, time.monotonic())
            ended.wait(max(every, pause_s, rest_s))
    except KeyboardInterrupt:
        pass
    _say("stopped")


def _check_published(here: Invocation, named: str, asset_id: str) -> None:
    """Refuse a folder that is not published; where that cannot be told now, publishing it again tells.

    Raises:
        NotFoundError: it is not.
    """
    from comity.storage import folder as folders  # noqa: PLC0415  start-up time
    from comity.techdata import about  # noqa: PLC0415

    real = os.path.realpath(named)
    try:
        said = asset_id or about.read(folders.read_about(named)).id
        own = said or about.own_id(here.us, real)
        found = here.connector.find("assets", limit=1, criteria=[_one_of("@id", [own])])
        if not found and not said:
            found = here.connector.find("assets", limit=1, criteria=[_one_of(FOLDER, [named, real])])
    except (problems.UnreachableError, errors.InvalidInputError, errors.StorageError):
        return
    if not found:
        raise errors.NotFoundError(about.UNPUBLISHED.format(named), hint=about.PUBLISH_ONCE.format(named))


def _one_of(field: str, values: list[str]) -> Document:
    return {"operandLeft": field, "operator": "in", "operandRight": values}


def _say(text: str) -> None:
    output.line(f"{datetime.now().astimezone():%Y-%m-%dT%H:%M:%S%z} {output.clean(text)}")


@dataclass
class Watching:
    """What was seen of a folder, since when, and what became of it."""

    publish: Callable[[], Document]
    busy: Callable[[], str]
    stable_s: float
    say: Callable[[str], None]
    _seen: State | None = None
    _since_s: float = 0.0
    _done: str = ""
    _refused_s: float | None = None
    _failed: int = 0
    _told: str = field(default="")

    def look(self, found: State | None, now_s: float) -> float:
        """Take how the folder looks now, publish it if it is time; return for how long (s) to wait at least."""
        if found is None or not found.files:
            self._seen = None
            self._tell("the folder is not there" if found is None else "the folder is empty")
        elif self._seen is None or found.mark != self._seen.mark:
            self._seen, self._since_s = found, now_s
            if self._done and found.mark != self._done:
                self._tell(f"a new state: {words.count(found.files, 'file')}")
        elif self._is_due(found, now_s):
            return self._publish(found, now_s)
        return 0.0

    def _is_due(self, found: State, now_s: float) -> bool:
        if found.mark != self._done:
            return now_s - self._since_s >= self.stable_s
        return self._refused_s is not None and now_s - self._refused_s >= AGAIN_S

    def _publish(self, found: State, now_s: float) -> float:
        if unfinished := self.busy():
            self._since_s = now_s
            self._tell(f"{unfinished} is not finished")
            return 0.0
        self._refused_s = None
        try:
            done = self.publish()
        except problems.UnreachableError as error:
            self._failed += 1
            self._tell(f"{error.message}; it is tried again")
            return float(min(LONGEST_PAUSE_S, 2**self._failed))
        except errors.ComityError as error:
            self._failed = 0
            if isinstance(error, errors.NotFoundError) and not self._done:
                raise
            if error.code == problems.CHANGED:
                self._seen = None
                self._tell("it changed while it was hashed; waiting until it is at rest")
                return 0.0
            self._done, self._refused_s = found.mark, now_s
            self._tell(f"not published: {error.message}{f'; {error.hint}' if error.hint else ''}")
            return 0.0
        self._failed, self._done, self._told = 0, found.mark, ""
        self.say(_sentence(done))
        return 0.0

    def _tell(self, text: str) -> None:
        """Say something once, until something else is to be said."""
        if text != self._told:
            self._told = text
            self.say(text)


def _sentence(done: Document) -> str:
    which = f"revision {done.get('revision')} of {done.get('assetId')}"
    if done.get("unchanged"):
        return f"{which} is what lies there"
    amount = f"{words.count(int(done.get('files') or 0), 'file')}, {words.size(done.get('sizeBytes'))}"
    return f"published {which}: {amount}, manifest {done.get('manifestSha256')}"
