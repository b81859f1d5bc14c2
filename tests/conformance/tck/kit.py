"""Brings the kit by Maven, writes its properties and runs it; what it prints is read as it comes."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from conformance.tck import seed, table, triggers

HERE = Path(__file__).parent
MAIN = ("org.eclipse.dataspacetck.dsp.suite.DspTckSuite",)
OURS = (str(HERE / "Launch.java"),)
RELEASE, CANDIDATE = "1.0.1", "1.0.0-RC6"
JAVA = 17
MAVEN_S = 540
RUN_S = 900
WAIT_S = 10


class MissingError(Exception):
    """The machine lacks something that a run needs."""


@dataclass(frozen=True)
class Kit:
    """A kit that can be started: its name for people, its class path and what Java is told to run."""

    name: str
    class_path: str
    main: tuple[str, ...]


def check_machine(*, maven: bool) -> None:
    """Tell what is missing.

    Raises:
        MissingError: Java 17 or newer, or (if asked for) Maven.
    """
    if shutil.which("java") is None or (maven and shutil.which("mvn") is None):
        raise MissingError(f"make tck needs Java ({JAVA} or newer) and Maven")
    said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', said)
    if not found or int(found[1]) < JAVA:
        raise MissingError(
            f"make tck needs Java {JAVA} or newer, here is {said.partition(chr(10))[0] or 'none'}"
        )


def bring(version: str, folder: Path) -> Kit:
    """Have Maven resolve a version of the kit.

    Raises:
        MissingError: Maven cannot have it.
    """
    target = folder / f"{version}.classpath"
    profile = "candidate" if "-RC" in version else "release"
    command = ["mvn", "-q", "-B", "-f", str(HERE / "pom.xml"), f"-P{profile}", f"-Dkit.version={version}"]
    command += ["dependency:build-classpath", f"-Dmdep.outputFile={target}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=MAVEN_S, check=False)
    if done.returncode or not target.exists():
        raise MissingError(f"Maven cannot bring the kit {version}: {_complaint(done.stdout)}")
    return Kit(version, target.read_text().strip(), MAIN if profile == "release" else OURS)


def _complaint(said: str) -> str:
    """Return what Maven misses, or else the end of its words, in one line."""
    missing = re.search(r"(?:artifact |: )([\w.]+:[\w.-]+:(?:jar|pom):[\w.-]+)", said)
    return f"there is no {missing[1]}" if missing else " ".join(said.split())[-300:]


def bring_newest(folder: Path, tell: Callable[[str], None]) -> Kit:
    """Return the release, or where Maven cannot have it the last candidate, whose tests are the same, and say so.

    Raises:
        MissingError: Maven can have neither.
    """
    try:
        return bring(RELEASE, folder)
    except MissingError as missing:
        try:
            found = bring(CANDIDATE, folder)
        except MissingError:
            raise missing from None
        tell(f"{missing}; going on with its candidate {CANDIDATE}, which has the same tests")
        return found


@dataclass(frozen=True)
class Places:
    """Addresses of a run: the connector's root and protocol base, its triggers, and the kit's own port."""

    participant_id: str
    root: str
    dsp: str
    triggers: str
    port: int


def properties(places: Places, offer_ids: Mapping[str, str]) -> dict[str, str]:
    """Return the kit's settings for a run."""
    connector = "dataspacetck.dsp.connector."
    found = {
        "dataspacetck.ansi": "false",
        "dataspacetck.host": "127.0.0.1",
        "dataspacetck.port": str(places.port),
        "dataspacetck.callback.address": f"http://127.0.0.1:{places.port}",
        "dataspacetck.dsp.local.connector": "false",
        "dataspacetck.dsp.default.wait": str(WAIT_S),
        connector + "agent.id": places.participant_id,
        connector + "http.url": places.dsp,
        connector + "http.base.url": places.root,
        connector + "http.headers.authorization": f'{{"clientId":"{seed.KIT}"}}',
        connector + "negotiation.initiate.url": places.triggers + triggers.NEGOTIATIONS,
        connector + "transfer.initiate.url": places.triggers + triggers.TRANSFERS,
    }
    for test, subject in table.SUBJECTS.items():
        key = test.replace(":", "_").replace("-", "_")
        if test.startswith("TP"):
            found |= {f"{key}_AGREEMENTID": subject, f"{key}_FORMAT": "HttpData-PULL"}
        else:
            found[f"{key}_DATASETID"] = subject
        if subject in offer_ids:
            found[f"{key}_OFFERID"] = offer_ids[subject]
    return found


def write_properties(values: Mapping[str, str], path: Path) -> None:
    """Write a Java properties file; our values are ASCII without line ends."""
    lines = [f"{name}={value.replace(chr(92), chr(92) * 2)}\n" for name, value in values.items()]
    path.write_text("".join(lines), encoding="ascii")


async def run(kit: Kit, settings: Path, tell: Callable[[str], None]) -> str:
    """Run the kit and return all it printed; each line is told as it comes."""
    command = ["java", "-Dfile.encoding=UTF-8", "-cp", kit.class_path, *kit.main, "-config", str(settings)]
    environment = {
        name: value
        for name, value in os.environ.items()
        if name != "JAVA_TOOL_OPTIONS" and not name.startswith("DATASPACETCK_")
    }
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=environment
    )
    lines: list[str] = []
    try:
        async with asyncio.timeout(RUN_S):
            assert process.stdout is not None
            while line := await process.stdout.readline():
                lines.append(line.decode("utf-8", errors="replace"))
                tell(lines[-1])
            await process.wait()
    except TimeoutError:
        lines.append(f"(ended after {RUN_S} s)\n")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return "".join(lines)
