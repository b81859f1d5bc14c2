"""The main job, told as a story with the real values: two partners sign what they mean to make, and hand over data.

Two `comity serve` processes, each with its own folder, SQLite file, keys and did:web name. It begins with the framework
agreement and ends with evidence that somebody else verifies. Every step is the command that a user would type; every
claim is checked, and the exit status is 0 only if all of them held.

    python demo/run.py [--keep]
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import package
from rich.console import Console

from comity import settings as configuration
from comity.client.connector import AGREEMENTS, NEGOTIATIONS, TRANSFERS, Connector

READY_S = 15.0
CUT_S = 5.0
ASSET = "urn:demo:pump-p100"
UNTIL = "2035-12-31"
PURPOSE = "production:pump-p100"

out = Console(highlight=False, soft_wrap=True)


class DemoError(Exception):
    """Something that was claimed did not hold."""


@dataclass
class Side:
    """One organisation: its name, country, data folder and process."""

    name: str
    country: str
    folder: Path
    address: str
    process: subprocess.Popen[bytes] | None = None

    @property
    def did(self) -> str:
        """The participant id."""
        return configuration.load(self.folder).participant_id

    @property
    def api(self) -> Connector:
        """The management API."""
        settings = configuration.load(self.folder)
        return Connector(settings.management_address, settings.management_key)

    def comity(self, *words: str, show: bool = True) -> str:
        """Run a `comity` command of this organisation; return what it printed, or show it as it comes."""
        if show:
            out.print(f"  [dim]$ comity {' '.join(map(_shell, words))}[/dim]")
        command = [sys.executable, "-m", "comity", *words]
        environment = {**os.environ, "COMITY_DATA": str(self.folder)}
        done = subprocess.run(command, env=environment, check=False, stdout=None if show else subprocess.PIPE)
        if done.returncode:
            raise DemoError(f"comity {words[0]} ended with status {done.returncode}")
        return "" if show else done.stdout.decode()


def _shell(word: str) -> str:
    return f'"{word}"' if " " in word else word


def main() -> int:
    """Tell the story; return the exit status."""
    parser = argparse.ArgumentParser(description="Two connectors exchange a technical data package.")
    parser.add_argument("--keep", action="store_true", help="leave both connectors running")
    keep = parser.parse_args().keep
    folder = Path(tempfile.mkdtemp(prefix="comity-demo-"))
    began = time.monotonic()
    sides: list[Side] = []
    try:
        with stopping(sides, folder, keep=keep):
            tell(folder, sides)
    except DemoError as error:
        out.print(f"\n[red bold]This did not hold:[/] {error}")
        for side in sides:
            out.print(f"  log of {side.name}: {side.folder}.log")
        return 1
    out.print(f"\n[green bold]All of it held.[/] {time.monotonic() - began:.1f} s.")
    if keep:
        look_around(sides)
    return 0


@contextlib.contextmanager
def stopping(sides: list[Side], folder: Path, *, keep: bool) -> Iterator[None]:
    """Stop the connectors and remove the folder at the end, unless they are to be kept or something went wrong."""
    whole = False
    try:
        yield
        whole = True
    finally:
        if not (keep and whole):
            for side in sides:
                if side.process is not None:
                    side.process.send_signal(signal.SIGTERM)
                    side.process.wait(timeout=15)
            if whole:
                shutil.rmtree(folder, ignore_errors=True)


def tell(folder: Path, sides: list[Side]) -> None:
    """Tell the story from the beginning to the end."""
    chapter("Two organisations, each with a connector of its own")
    sides += [start(folder, "Alpha Pumps", "AA"), start(folder, "Beta Works", "BB")]
    alpha, beta = sides
    chapter("They know each other: by name, address and key")
    for side, other in ((alpha, beta), (beta, alpha)):
        side.comity(
            *("partner", "add", other.address, "--name", other.name),
            *("--spatial", other.country, "--purpose", PURPOSE),
        )
    chapter("They sign what all else will stand under: the framework agreement")
    urn = sign_framework(folder, alpha, beta)

    chapter(f"{alpha.name} publishes a technical data package under it, for {beta.name} alone, until {UNTIL}")
    source = folder / "pump-p100"
    package.make(source)
    alpha.comity(
        *("publish", str(source), "--id", ASSET, "--title", "Pump P-100, revision C"),
        *("--framework", urn, "--to", beta.did, "--until", UNTIL, "--purpose", PURPOSE),
    )
    chapter(f"{beta.name} finds it in the catalog, agrees and pulls it")
    beta.comity("catalog", alpha.did)
    received = folder / "received-by-beta"
    beta.comity("get", alpha.did, ASSET, "--purpose", PURPOSE, "-o", str(received))
    check_files(source, received)

    chapter(f"{alpha.name} publishes a revision: {beta.name} is told what changed, and fetches only that")
    check_revision(alpha, beta, source, received)

    chapter("Both hold the same agreement")
    check_agreement(alpha, beta)
    chapter("Both hold evidence that neither can quietly change")
    for side in sides:
        side.comity("evidence", "verify")
    check_tampering(folder, beta)

    chapter(f"{alpha.name} suspends a transfer: the same token gets nothing from then on")
    check_suspension(alpha, beta)

    chapter("Somebody who knows neither side verifies what happened: one file, no database, no network")
    check_bundle(folder, alpha, beta)


def chapter(title: str) -> None:
    """Begin a part of the story."""
    out.print(f"\n[bold]{title}[/bold]")


def says(text: str) -> None:
    """State something that was checked."""
    out.print(f"  [green]✓[/green] {text}")


def start(folder: Path, name: str, country: str) -> Side:
    """Make a connector and start it; it must answer."""
    port, own = free_port(), free_port()
    side = Side(name, country, folder / name.partition(" ")[0].lower(), f"http://127.0.0.1:{port}")
    side.comity(
        *("init", "--address", side.address, "--name", name, "--management", f"127.0.0.1:{own}"),
        *("--insecure", "--root", str(folder)),
    )
    log = Path(f"{side.folder}.log").open("wb")  # noqa: SIM115  the process writes to it after we have gone
    began = time.monotonic()
    side.process = subprocess.Popen(
        [sys.executable, "-m", "comity", "serve"],
        env={**os.environ, "COMITY_DATA": str(side.folder)},
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    wait_for(lambda: answers(f"{side.address}/health"), READY_S, f"{name} to answer")
    says(
        f"{name} is [bold]{side.did}[/bold], process {side.process.pid}, up after {time.monotonic() - began:.2f} s"
    )
    return side


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(url: str) -> bool:
    """Return whether a GET of `url` is answered with 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)  # noqa: PLR2004  OK
    except OSError:
        return False


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> float:
    """Wait until a condition holds and return how long that took."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            raise DemoError(f"waited {seconds:g} s for {what}")
        time.sleep(0.02)
    return time.monotonic() - began


def sign_framework(folder: Path, alpha: Side, beta: Side) -> str:
    """Have both sides sign a framework agreement, and return its URN with the hash that binds it."""
    draft = folder / "intent"
    alpha.comity(
        *("framework", "draft", str(draft), "--title", "Pump P-100, made together", "--with", beta.did),
        *("--until", UNTIL, "--purpose", PURPOSE, "--programme", "pump-p100"),
        *("--language", "en", "--language", "de"),
    )
    alpha.comity("framework", "propose", str(draft))
    urn = str(frameworks(alpha)[0]["@id"])
    beta.comity("framework", "show", urn, "--with", alpha.did)
    beta.comity("framework", "sign", urn, "--with", alpha.did)
    for side in (alpha, beta):
        wait_for(
            lambda side=side: frameworks(side)[0]["state"] == "signed",  # type: ignore[misc]
            CUT_S,
            f"{side.name} to hold both signatures",
        )
    if frameworks(alpha)[0]["@id"] != frameworks(beta)[0]["@id"]:
        raise DemoError("the two sides hold different framework agreements")
    says(f"{urn}, signed by both; each side holds the other's signature")
    return urn


def frameworks(side: Side) -> list[dict[str, Any]]:
    """Return the framework agreements of a side."""
    return list(json.loads(side.comity("framework", "--json", show=False)))


def check_bundle(folder: Path, alpha: Side, beta: Side) -> None:
    """Export the evidence of the agreement, and verify it in a folder that has nothing but the file."""
    auditor = folder / "auditor"
    auditor.mkdir()
    bundle = auditor / "pump-p100.evidence.json"
    beta.comity("evidence", "export", data_agreement(beta)["@id"], "--output", str(bundle))
    pins = [word for side in (alpha, beta) for word in ("--key", f"{side.did}={thumbprint(side)}")]
    out.print(f"  [dim]$ cd {auditor}; comity evidence verify {bundle.name} --key …[/dim]")
    done = verify_alone(auditor, bundle, *pins)
    out.print(done.stdout.rstrip(), markup=False)
    if done.returncode:
        raise DemoError(f"the bundle does not hold: {done.stderr}")
    says(f"{bundle.stat().st_size:,} bytes hold, read by a process that knows neither side")
    content = bytearray(bundle.read_bytes())
    content[len(content) // 2] ^= 1
    altered = auditor / "altered.evidence.json"
    altered.write_bytes(content)
    done = verify_alone(auditor, altered, *pins)
    if done.returncode == 0:
        raise DemoError("a bundle with one bit flipped was taken")
    says(f"one bit flipped: {done.stderr.partition(chr(10))[0].removeprefix('error: ')}")


def verify_alone(folder: Path, bundle: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Verify a bundle in a process without a data folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COMITY_")}
    command = [sys.executable, "-m", "comity", "evidence", "verify", str(bundle), *words]
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder, env=environment)


def thumbprint(side: Side) -> str:
    """Return what identifies the key that a side signs with, as its operator would tell it over another way."""
    keys = json.loads(side.comity("identity", "show", "--json", show=False))["keys"]
    return str(next(each["thumbprint"] for each in keys if each["state"] == "SIGNING"))


def data_agreement(side: Side) -> dict[str, Any]:
    """Return the agreement about the package."""
    held = [each for each in side.api.find(AGREEMENTS, limit=10) if each["assetId"] == ASSET]
    if len(held) != 1:
        raise DemoError(f"{side.name} must hold one agreement about {ASSET}")
    return held[0]


def check_files(source: Path, received: Path) -> None:
    """Compare every file by its SHA-256, computed here on both sides."""
    files = sorted(each.relative_to(source) for each in source.rglob("*") if each.is_file())
    for each in files:
        sent, got = (digest(folder / each) for folder in (source, received))
        if sent != got:
            raise DemoError(f"{each} was received with another SHA-256")
        says(f"{each}  {(received / each).stat().st_size:,} bytes  sha-256 {got[:16]}…")
    total = sum((received / each).stat().st_size for each in files)
    says(f"{len(files)} files, {total:,} bytes, every SHA-256 equal")


def digest(path: Path) -> str:
    """Return the hex SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_revision(alpha: Side, beta: Side, source: Path, received: Path) -> None:
    """Publish the folder again with one file changed, and get it again under the agreement that is there."""
    changed = package.revise(source).relative_to(source)
    before = stamps(received)
    alpha.comity("publish", str(source), "--serials", "P100-030000..P100-059999")
    wait_for(
        lambda: bool(json.loads(beta.comity("revisions", "list", "--json", show=False))),
        CUT_S,
        f"{beta.name} to be told of the revision",
    )
    beta.comity("revisions", "changes", ASSET)
    beta.comity("get", alpha.did, ASSET, "--purpose", PURPOSE, "-o", str(received))
    check_files(source, received)
    after = stamps(received)
    fetched = [path for path, stamp in after.items() if before.get(path) != stamp]
    if fetched != [changed]:
        raise DemoError(f"{fetched} were written anew, where {changed} alone has changed")
    says(f"only {changed} was written anew; the other {len(after) - 1} files are those of revision 1")
    for serial in ("P100-000042", "P100-030042"):
        beta.comity("revisions", "applies", ASSET, "--serial", serial)


def stamps(folder: Path) -> dict[Path, tuple[int, int]]:
    """Return for each file of a folder which one it is on the disk, and when it was written."""
    files = sorted(each for each in folder.rglob("*") if each.is_file() and not each.name.startswith("."))
    return {each.relative_to(folder): (each.stat().st_ino, each.stat().st_mtime_ns) for each in files}


def check_agreement(alpha: Side, beta: Side) -> None:
    """Compare the agreement that each side holds, field by field."""
    ours, theirs = (data_agreement(side) for side in (alpha, beta))
    names = ("@id", "providerId", "consumerId", "assetId", "policy")
    differing = [name for name in names if ours[name] != theirs[name]]
    if differing:
        raise DemoError(f"the agreements differ at {', '.join(differing)}")
    states = {each["state"] for side in (alpha, beta) for each in side.api.find(NEGOTIATIONS, limit=10)}
    if states != {"FINALIZED"}:
        raise DemoError(f"the negotiation is {states}, not FINALIZED on both sides")
    says(f"agreement {ours['@id']}, FINALIZED on both sides")
    says(f"provider {ours['providerId']}, consumer {ours['consumerId']}")
    says(
        f"terms {json.dumps(ours['policy'].get('permission') or ours['policy'].get('odrl:permission'))[:200]}"
    )


def check_tampering(folder: Path, side: Side) -> None:
    """Change one byte in a copy of the evidence: the check must name the row."""
    import sqlite3  # noqa: PLC0415  for this act alone

    copy = folder / "tampered.sqlite"
    with contextlib.closing(sqlite3.connect(side.folder / "comity.sqlite")) as store:
        store.execute("VACUUM INTO ?", (str(copy),))
    with contextlib.closing(sqlite3.connect(copy)) as store:
        row, record = store.execute(
            "SELECT seq, record FROM evidence ORDER BY seq LIMIT 1 OFFSET 2"
        ).fetchone()
        altered = bytes(record).replace(b'"after"', b'"After"')
        store.execute("UPDATE evidence SET record = ? WHERE seq = ?", (altered, row))
        store.commit()
    command = [sys.executable, "-m", "comity", "evidence", "verify", str(copy)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode == 0 or f"row {row}" not in done.stderr:
        raise DemoError(f"the altered row {row} was not named: {done.stderr}")
    named = done.stderr.partition("\n")[0].removeprefix("error: ")
    says(f"one letter changed in a copy: {named}")


def check_suspension(alpha: Side, beta: Side) -> None:
    """Start a transfer, use its token, suspend it at the provider, use the same token again."""
    agreement = data_agreement(beta)
    body = {
        "@type": "TransferRequest",
        "contractId": agreement["@id"],
        "counterPartyId": alpha.did,
        "counterPartyAddress": f"{alpha.address}/dsp/2025-1",
        "protocol": "dataspace-protocol-http:2025-1",
        "transferType": "HttpData-PULL",
    }
    started = beta.api.request("POST", "transferprocesses", body)["@id"]
    wait_for(lambda: beta.api.load(TRANSFERS, started)["state"] == "STARTED", CUT_S, "the transfer to start")
    access = beta.api.request("GET", f"edrs/{started}/dataaddress")
    before = fetch(access)
    says(f"token {access['authorization'][:8]}… of transfer {started}: status {before}")
    theirs = beta.api.load(TRANSFERS, started)["correlationId"]
    alpha.comity("transfers", theirs, "suspend", "--reason", "revision C is under review")
    began = time.monotonic()
    wait_for(lambda: fetch(access) in {401, 403}, CUT_S, "the token to die")
    says(f"the same token {time.monotonic() - began:.2f} s later: status {fetch(access)}, no data")
    wait_for(
        lambda: beta.api.load(TRANSFERS, started)["state"] == "SUSPENDED", CUT_S, "both sides to agree on it"
    )
    says("SUSPENDED on both sides")
    if before != 200:  # noqa: PLR2004  OK
        raise DemoError("the token did not open the data before")


def fetch(access: dict[str, Any]) -> int:
    """Ask for the data as any HTTP client would and return the status."""
    request = urllib.request.Request(
        access["endpoint"], headers={"Authorization": f"Bearer {access['authorization']}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def look_around(sides: list[Side]) -> None:
    """Say how to go on with the connectors that are left running."""
    out.print("\nBoth connectors are still running. Look around:\n")
    out.print(f"  export PATH={Path(sys.executable).parent}:$PATH")
    for side in sides:
        out.print(f"\n  [bold]# {side.name}[/bold]")
        out.print(f"  export COMITY_DATA={side.folder}")
        for command in ("partner list", "framework", "agreements", "transfers", "evidence show"):
            out.print(f"  comity {command}")
        out.print(f"  tail {side.folder}.log")
    pids = " ".join(str(side.process.pid) for side in sides if side.process)
    out.print(f"\n  [bold]# stop both and clean up[/bold]\n  kill {pids} && rm -r {sides[0].folder.parent}")


if __name__ == "__main__":
    sys.exit(main())
