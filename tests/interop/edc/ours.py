"""A Comity under test: a data folder made with `comity init`, a real `comity serve`, its commands and its API."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from comity import settings as configuration
from comity.client.connector import TRANSFERS, Connector
from comity.errors import ComityError
from interop.edc.checks import CheckError, wait_for
from interop.edc.places import free_port, resident_mib

READY_S = 20.0


class Ours:
    """One connector; its public address is a relay's."""

    def __init__(self, folder: Path, *, participant_id: str, port: int, public: str) -> None:
        self.participant_id = participant_id
        self.folder = folder / "comity"
        self.public = public
        self.dsp = f"{public}/dsp/2025-1"
        self.starts_s = 0.0
        self.root = folder
        self._process: subprocess.Popen[bytes] | None = None
        done = self.comity(
            *("init", "--address", public, "--name", "Comity", "--id", participant_id),
            *("--listen", f"127.0.0.1:{port}", "--management", f"127.0.0.1:{free_port()}"),
            *("--insecure", "--mock-identity", "--root", str(folder)),
        )
        if done.returncode:
            raise CheckError(f"comity init: {done.stderr}")
        settings = configuration.load(self.folder)
        self.api = Connector(settings.management_address, settings.management_key)

    @property
    def log(self) -> Path:
        """What it prints."""
        return self.root / "comity.log"

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""

    def comity(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a `comity` command as its people would."""
        return subprocess.run(
            [sys.executable, "-m", "comity", *words],
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("COMITY_")}
        return {**kept, "COMITY_DATA": str(self.folder), "COLUMNS": "200"}

    def start(self) -> None:
        """Start it and wait until its management API answers."""
        began = time.monotonic()
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "comity", "serve"], env=self._environment(), stdout=log, stderr=log
            )
        try:
            wait_for(self._answers, "comity serve to answer", READY_S)
        except CheckError as failed:
            raise CheckError(f"{failed}: {self.tail()}") from None
        self.starts_s = time.monotonic() - began

    def _answers(self) -> bool:
        try:
            self.api.find(TRANSFERS, limit=1)
        except ComityError:
            return False
        return True

    def stop(self) -> None:
        """End it, whatever happened."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=10)

    def memory_mib(self) -> float:
        """Resident memory now."""
        assert self._process is not None
        return resident_mib(self._process.pid)
