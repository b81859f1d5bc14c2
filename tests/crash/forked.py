"""Connectors as processes that are forked from one which has everything imported: started in 0.07 s."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crash import points
from support import processes

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["__main__", "crash.dying", "crash.migrating"])


def _serve(folder: str) -> None:
    from crash import dying  # noqa: PLC0415  not in the process of the tests: it changes what it wraps

    dying.serve(folder)


class Fork:
    """A forked process with the words of `subprocess.Popen` that `processes` uses.

    How a process ended can be read once, and `multiprocessing` reads that of all when it starts another one: so only
    one thread is there at a time.
    """

    _alone = threading.Lock()

    def __init__(self, work: Callable[..., None], *given: Any, **more: Any) -> None:
        self._process = _FORKS.Process(target=work, args=given, kwargs=more, daemon=True)
        with self._alone:
            self._process.start()
        self.pid = self._process.pid

    def poll(self) -> int | None:
        with self._alone:
            return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()

    def wait(self, timeout: float) -> int | None:
        deadline = time.monotonic() + timeout
        while self.poll() is None and time.monotonic() < deadline:
            time.sleep(0.001)
        return self.poll()


@dataclass
class Forked(processes.Served):
    """A connector that ends where its plan says."""

    def launch(self, *more: str) -> Fork:
        assert not more
        return Fork(_serve, str(self.conf.folder))

    @property
    def plan(self) -> Path:
        return self.conf.folder.with_suffix(".plan")

    @property
    def heard(self) -> Path:
        """What was received and answered: a number and a `record.Message` a line, the last of a number counts."""
        return self.conf.folder.with_suffix(".heard")

    def expect(self, *plans: points.Plan) -> None:
        """Have it end there, one after the other."""
        points.write(self.plan, list(plans))
