"""A stock EDC: its jars brought by Maven, one Java process with a properties file, its management API v3.

Everything is in memory, unless settings name a database. It has no setting for the address it listens at: for the time
of a run its ports are open on every address of the machine; what is sent goes to 127.0.0.1 only.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from interop.edc.checks import CheckError
from interop.edc.places import resident_mib
from support.ports import free_port

HERE = Path(__file__).parent
EDC = "https://w3id.org/edc/v0.0.1/ns/"
PROTOCOL = "dataspace-protocol-http:2025-1"
MAIN = "org.eclipse.edc.boot.system.runtime.BaseRuntime"
READY_S = 60.0
MAVEN_S = 540.0
WITH_EDRS = {"0.14.0", "0.18.0"}
"""Versions whose API for EDRs is asked for; of 0.15.1 that one artifact cannot be had everywhere."""

Document = dict[str, Any]


class MissingError(Exception):
    """The machine lacks something that a run needs."""


class RefusedError(Exception):
    """EDC's management API answered with an error."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(f"{status} {json.dumps(body) if not isinstance(body, str) else body}")
        self.status = status
        self.body = body


def check_machine() -> None:
    """Tell what is missing.

    Raises:
        MissingError: Java 17 or newer, or Maven.
    """
    if not (shutil.which("java") and shutil.which("mvn")):
        raise MissingError("make interop needs Java (17 or newer) and Maven")
    said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', said)
    if not found or int(found[1]) < 17:
        raise MissingError(
            f"make interop needs Java 17 or newer, here is {said.partition(chr(10))[0] or 'none'}"
        )


def bring(version: str, folder: Path, *profiles: str) -> Path:
    """Have Maven copy the jars of a version into a folder and return it; "sql" brings the stores on PostgreSQL too.

    Raises:
        MissingError: Maven cannot have them.
    """
    target = folder / "-".join(["edc", version, *profiles])
    command = ["mvn", "-q", "-B", "-f", str(HERE / "pom.xml"), f"-Dedc.version={version}"]
    wanted = [*profiles, *(["edrs"] if version in WITH_EDRS else [])]
    command += [f"-P{','.join(wanted)}"] if wanted else []
    command += ["dependency:copy-dependencies", f"-DoutputDirectory={target}", "-DincludeScope=runtime"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=MAVEN_S, check=False)
    if done.returncode:
        told = re.search(r"\[ERROR\] (.*)", done.stdout)
        raise MissingError(
            f"Maven cannot bring EDC {version}: {told[1][:400] if told else done.stdout[-400:]}"
        )
    return target


class Stock:
    """One EDC process; `dsp` is the address that partners are told, a relay's."""

    def __init__(
        self, version: str, jars: Path, folder: Path, *, participant_id: str, protocol_port: int
    ) -> None:
        self.version = version
        self.participant_id = participant_id
        self.protocol_port = protocol_port
        self.management_port = free_port()
        self.default_port = free_port()
        self.starts_s = 0.0
        self.dsp = ""
        self._jars = jars
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """What EDC prints."""
        return self._folder / "edc.log"

    def start(self, public: str, more: dict[str, str] | None = None) -> None:
        """Start it under the public address `public`, with `more` settings, and wait until it says that it is up."""
        self.dsp = f"{public}/protocol/2025-1"
        control = free_port()
        properties = {
            "edc.participant.id": self.participant_id,
            "edc.participant.context.id": self.participant_id,
            "edc.hostname": "127.0.0.1",
            "edc.dsp.callback.address": f"{public}/protocol",
            "web.http.port": self.default_port,
            "web.http.path": "/api",
            "web.http.management.port": self.management_port,
            "web.http.management.path": "/management",
            "web.http.protocol.port": self.protocol_port,
            "web.http.protocol.path": "/protocol",
            "web.http.control.port": control,
            "web.http.control.path": "/control",
            "web.http.version.port": free_port(),
            "web.http.version.path": "/version",
            "edc.dpf.selector.url": f"http://127.0.0.1:{control}/control/v1/dataplanes",
            "edc.catalog.cache.execution.enabled": "false",
            "edc.transfer.proxy.token.signer.privatekey.alias": "private-key",
            "edc.transfer.proxy.token.verifier.publickey.alias": "public-key",
            **(more or {}),
        }
        settings = self._folder / "edc.properties"
        settings.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
        command = ["java", f"-Dedc.fs.config={settings}", "-cp", f"{self._jars}/*", MAIN]
        began = time.monotonic()
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=_environment())
        while not self._is_up():
            if self._process.poll() is not None or time.monotonic() - began > READY_S:
                raise CheckError(f"EDC {self.version} did not start: {self.tail()}")
            time.sleep(0.05)
        self.starts_s = time.monotonic() - began

    def _is_up(self) -> bool:
        try:
            status, body = _ask("GET", self.default_port, "/api/check/startup", None)
        except OSError:
            return False
        return status == 200 and self._says_ready() and isinstance(body, dict)

    def _says_ready(self) -> bool:
        return "ready" in self.log.read_text(errors="replace")

    def stop(self) -> None:
        """End it, whatever happened."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=10)

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    def memory_mib(self) -> float:
        """Resident memory now."""
        return resident_mib(self.pid)

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-1500:] if self.log.exists() else ""

    def request(self, method: str, path: str, body: Document | None = None) -> Any:
        """Send one request below `/management/v3/`, in EDC's own vocabulary, and return the JSON of its answer.

        Raises:
            RefusedError: what it answered.
        """
        sent = None if body is None else {"@context": {"@vocab": EDC}, **body}
        status, answer = _ask(method, self.management_port, f"/management/v3/{path}", sent)
        if status >= 300:
            raise RefusedError(status, answer)
        return answer

    def load(self, noun: str, process_id: str) -> Document:
        """Return one negotiation, agreement or transfer."""
        found: Document = self.request("GET", f"{noun}/{quote(process_id, safe='')}")
        return found

    def find(self, noun: str, left: str, right: str | int) -> list[Document]:
        """Return what has `left` equal to `right`."""
        criterion = {"@type": "Criterion", "operandLeft": left, "operator": "=", "operandRight": right}
        found: list[Document] = self.request(
            "POST", f"{noun}/request", {"@type": "QuerySpec", "filterExpression": [criterion]}
        )
        return found


def _environment() -> dict[str, str]:
    """No option of the caller's for Java: what is measured is what the file says."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in {"JAVA_TOOL_OPTIONS", "EDC_FS_CONFIG"}
    }


def _ask(method: str, port: int, path: str, body: Any) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        sent = None if body is None else json.dumps(body).encode()
        connection.request(method, path, sent, {"Content-Type": "application/json"} if sent else {})
        response = connection.getresponse()
        answer = response.read()
    finally:
        connection.close()
    try:
        return response.status, json.loads(answer) if answer else None
    except ValueError:
        return response.status, answer.decode(errors="replace")[:500]
