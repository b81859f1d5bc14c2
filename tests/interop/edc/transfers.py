"""Checks of transfers: bytes in both directions with their SHA-256, suspended, resumed, ended, refused."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import quote, urlsplit

from comity.errors import ComityError
from interop.edc.checks import CheckError, Checks, equal, wait_for
from interop.edc.places import sha256
from interop.edc.stock import PROTOCOL, RefusedError
from interop.edc.world import (
    COMITY_ID,
    EDC_ASSET,
    EDC_EXPIRED,
    EDC_ID,
    EDC_SMALL,
    OUR_ENDED,
    OUR_FILE,
    OUR_PACKAGE,
    OUR_TIMED,
    TRANSFERS,
    World,
)

Document = dict[str, Any]
PULL, PUSH = "HttpData-PULL", "HttpData-PUSH"
EVENTS = "/events"
REVIEW = "under review"
NO_ACCESS = {401, 403}
NO_PULL = ("No Endpoint generator function registered", "No dataplane found")
"""Why EDC cannot start a pull of its data: 0.15 offers one without having it, 0.14 does not offer it."""


def run(world: World, checks: Checks) -> None:
    """Check transfers."""
    checks.step("Comity to EDC by pull: EDC keeps the EDR, the bytes come with it", lambda: _pull(world))
    checks.step("Comity suspends and resumes", lambda: _suspended_by_us(world))
    checks.step("EDC suspends and resumes", lambda: _suspended_by_edc(world))
    checks.step("EDC terminates: the token is dead", lambda: _terminated_by_edc(world))
    checks.step("Comity to EDC by pull, files of a package", lambda: _pull_package(world))
    checks.step("Comity completes", lambda: _completed_by_us(world))
    checks.step("Comity to EDC by pull, in force for 30 days", lambda: _pull_timed(world))
    checks.step("Comity refuses: what it offered is not in force any more", lambda: _refused_by_us(world))
    checks.step("EDC to Comity by push, to an endpoint", lambda: _push_to_endpoint(world))
    checks.step("EDC to Comity by push, received into a folder", lambda: _push_to_folder(world))
    checks.step("EDC to Comity by pull: EDC's start fails", lambda: _pull_of_edc(world))
    checks.step("`comity get` from EDC", lambda: _get(world))
    checks.step("`comity get` from EDC into the node's store", lambda: _get_into_store(world))
    checks.step("reading from EDC: its start fails, or it offers no pull", lambda: _reading(world))
    checks.step("EDC refuses: its policy is not met any more", lambda: _refused_by_edc(world))


# Comity to EDC


def _start_pull(world: World, asset: str) -> tuple[str, str]:
    """Have EDC ask for data of ours and return both ids, ours first."""
    theirs = _ask_pull(world, asset)
    world.edc_reaches(TRANSFERS, theirs, "STARTED")
    ours = world.ours_of(TRANSFERS, theirs)
    world.ours_reaches(TRANSFERS, ours, "STARTED")
    return ours, theirs


def _ask_pull(world: World, asset: str) -> str:
    world.endpoint.received.clear()
    events = {
        "@type": "CallbackAddress",
        "uri": world.endpoint.address + EVENTS,
        "events": ["transfer.process"],
    }
    body = {
        "@type": "TransferRequest",
        "counterPartyAddress": world.us.dsp,
        "counterPartyId": COMITY_ID,
        "protocol": PROTOCOL,
        "contractId": world.known[f"EDC's agreement {asset}"],
        "transferType": PULL,
        "callbackAddresses": [{**events, "transactional": False}],
    }
    return str(world.edc.request("POST", TRANSFERS, body)["@id"])


def _edr(world: World, theirs: str) -> tuple[str, str, str]:
    """Return endpoint, token and how EDC gave them: its API of EDRs, or its event where it is without that API."""
    try:
        found = wait_for(lambda: _kept_edr(world, theirs), "EDC to keep the EDR")
        return found["endpoint"], found["authorization"], "/v3/edrs"
    except RefusedError as refused:
        if refused.status != 404:
            raise
    return (
        *wait_for(lambda: _event(world, theirs), "EDC's event with the EDR"),
        "TransferProcessStarted event",
    )


def _kept_edr(world: World, theirs: str) -> Document | None:
    """Return the EDR as EDC's API has it: EDC keeps it a moment after it calls the transfer STARTED."""
    try:
        found: Document = world.edc.request("GET", f"edrs/{theirs}/dataaddress")
    except RefusedError as refused:
        if refused.status == 404 and isinstance(refused.body, list):
            return None
        raise
    return found


def _event(world: World, theirs: str) -> tuple[str, str] | None:
    for body in reversed(world.endpoint.at(EVENTS)):
        event = json.loads(body)
        address = event["payload"].get("dataAddress")
        if address and event["payload"]["transferProcessId"] == theirs:
            said = {name.rpartition("/")[2]: value for name, value in address["properties"].items()}
            return said["endpoint"], said["authorization"]
    return None


def _fetch(endpoint: str, token: str, path: str = "") -> tuple[int, bytes]:
    parts = urlsplit(endpoint)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        connection.request("GET", parts.path + path, headers={"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def _pull(world: World) -> str:
    ours, theirs = _start_pull(world, OUR_FILE)
    world.known["pull"] = f"{ours} {theirs}"
    return _whole(world, theirs)


def _whole(world: World, theirs: str) -> str:
    endpoint, token, way = _edr(world, theirs)
    status, body = _fetch(endpoint, token)
    equal(status, 200, "the status of the data")
    equal(sha256(body), sha256((world.folder / "pump.bin").read_bytes()), "the SHA-256")
    return f"EDR by {way}; {len(body):,} bytes, sha-256 {sha256(body)[:16]}... equal"


def _pull_timed(world: World) -> str:
    ours, theirs = _start_pull(world, OUR_TIMED)
    seen = _whole(world, theirs)
    world.us.api.move(TRANSFERS, ours, "complete")
    return seen


def _refused_by_us(world: World) -> str:
    theirs = _ask_pull(world, OUR_ENDED)
    _ended(world, theirs, "TERMINATED")
    mine = world.ours_reaches(TRANSFERS, world.ours_of(TRANSFERS, theirs), "TERMINATED")
    if "inForceDate lteq 2020-01-01T00:00:00Z" not in mine["errorDetail"]:
        raise CheckError(f"our errorDetail is {mine['errorDetail']!r}")
    return f"TERMINATED on both sides; Comity shows {mine['errorDetail']!r}"


def _suspended_by_us(world: World) -> str:
    ours, theirs = world.known["pull"].split()
    endpoint, old, _ = _edr(world, theirs)
    world.us.api.move(TRANSFERS, ours, "suspend", reason=REVIEW)
    return _suspended(world, endpoint, old, lambda: world.us.api.move(TRANSFERS, ours, "resume"))


def _suspended(world: World, endpoint: str, old: str, resume: Any) -> str:
    ours, theirs = world.known["pull"].split()
    world.edc_reaches(TRANSFERS, theirs, "SUSPENDED")
    shown = world.ours_reaches(TRANSFERS, ours, "SUSPENDED").get("errorDetail")
    dead, _ = _fetch(endpoint, old)
    resume()
    world.edc_reaches(TRANSFERS, theirs, "STARTED")
    world.ours_reaches(TRANSFERS, ours, "STARTED")
    token = wait_for(lambda: _other(world, theirs, old), "a new token")
    status, body = _fetch(endpoint, token)
    if dead not in NO_ACCESS or status != 200:
        raise CheckError(f"the old token got {dead} while suspended, the new one {status}")
    equal(sha256(body), sha256((world.folder / "pump.bin").read_bytes()), "the SHA-256")
    at_edc = world.edc.load(TRANSFERS, theirs).get("errorDetail")
    return f"both SUSPENDED (here {shown!r}, at EDC {at_edc!r}), token {dead}; both STARTED, new token 200"


def _other(world: World, theirs: str, old: str) -> str:
    token = _edr(world, theirs)[1]
    return token if token != old else ""


def _suspended_by_edc(world: World) -> str:
    _, theirs = world.known["pull"].split()
    endpoint, old, _ = _edr(world, theirs)
    body = {"@type": "SuspendTransfer", "reason": REVIEW}
    world.edc.request("POST", f"{TRANSFERS}/{theirs}/suspend", body)
    resume = f"{TRANSFERS}/{theirs}/resume"
    return _suspended(world, endpoint, old, lambda: world.edc.request("POST", resume))


def _terminated_by_edc(world: World) -> str:
    ours, theirs = world.known["pull"].split()
    endpoint, token, _ = _edr(world, theirs)
    body = {"@type": "TerminateTransfer", "reason": "done with it"}
    world.edc.request("POST", f"{TRANSFERS}/{theirs}/terminate", body)
    mine = world.ours_reaches(TRANSFERS, ours, "TERMINATED")
    _ended(world, theirs, "TERMINATED")
    status, _ = _fetch(endpoint, token)
    equal(status in NO_ACCESS, True, f"no access ({status})")
    return f"TERMINATED here ({mine.get('errorDetail')!r}), at EDC too; token {status}"


def _ended(world: World, theirs: str, state: str) -> str:
    """Wait for an end; EDC goes on from there to DEPROVISIONED by itself."""
    states = {state, "DEPROVISIONING", "DEPROVISIONED"}
    return str(
        wait_for(
            lambda: (found := world.edc.load(TRANSFERS, theirs)["state"]) in states and found,
            f"EDC to be {state}",
        )
    )


def _pull_package(world: World) -> str:
    ours, theirs = _start_pull(world, OUR_PACKAGE)
    world.known["pull package"] = f"{ours} {theirs}"
    endpoint, token, _ = _edr(world, theirs)
    seen = []
    for name in ("manual.txt", "drawings/body.stl"):
        status, body = _fetch(endpoint, token, f"/files/{name}")
        equal(status, 200, f"the status of {name}")
        equal(sha256(body), sha256((world.folder / "package" / name).read_bytes()), f"the SHA-256 of {name}")
        seen.append(f"{name} {len(body):,} bytes")
    return f"{', '.join(seen)}, every sha-256 equal"


def _completed_by_us(world: World) -> str:
    ours, theirs = world.known["pull package"].split()
    world.us.api.move(TRANSFERS, ours, "complete")
    world.ours_reaches(TRANSFERS, ours, "COMPLETED")
    return f"COMPLETED here, {_ended(world, theirs, 'COMPLETED')} at EDC"


# EDC to Comity


def _ask(world: World, asset: str, transfer_type: str, **more: Any) -> str:
    body = {
        "@type": "TransferRequest",
        "counterPartyId": EDC_ID,
        "counterPartyAddress": world.edc.dsp,
        "protocol": PROTOCOL,
        "contractId": world.known[f"agreement {asset}"],
        "transferType": transfer_type,
        **more,
    }
    return str(world.us.api.request("POST", TRANSFERS, body)["@id"])


def _push_to_endpoint(world: World) -> str:
    target = f"{world.endpoint.address}/in/pump"
    ours = _ask(world, EDC_ASSET, PUSH, dataDestination={"type": "HttpData", "baseUrl": target})
    world.known["push"] = f"{ours} {world.theirs_of(TRANSFERS, ours)}"
    found = wait_for(lambda: world.endpoint.at("/in/pump"), "the bytes to come")
    equal(sha256(found[0]), sha256(world.endpoint.served["/pump"]), "the SHA-256")
    return (
        f"{len(found[0]):,} bytes, sha-256 {sha256(found[0])[:16]}... equal; {_both_complete(world, 'push')}"
    )


def _both_complete(world: World, name: str) -> str:
    ours, theirs = world.known[name].split()
    world.ours_reaches(TRANSFERS, ours, "COMPLETED")
    return f"COMPLETED here, {_ended(world, theirs, 'COMPLETED')} at EDC"


def _push_to_folder(world: World) -> str:
    folder = world.folder / "received"
    ours = _ask(world, EDC_ASSET, PUSH, dataDestination={"type": "File", "path": str(folder)})
    world.known["push folder"] = f"{ours} {world.theirs_of(TRANSFERS, ours)}"
    ended = _both_complete(world, "push folder")
    files = [each for each in folder.rglob("*") if each.is_file() and not each.name.startswith(".")]
    equal(len(files), 1, "the number of files")
    equal(sha256(files[0].read_bytes()), sha256(world.endpoint.served["/pump"]), "the SHA-256")
    _opened(world, ours)
    seen = f"{files[0].relative_to(folder)}, {files[0].stat().st_size:,} bytes, sha-256 equal"
    return f"{seen}, opened under its terms; {ended}"


def _pull_of_edc(world: World) -> str:
    """Stock EDC advertises pull and has nothing that would serve it: its start fails, and it says so."""
    ours = _ask(world, EDC_SMALL, PULL)
    theirs = world.theirs_of(TRANSFERS, ours)
    world.known["pull of EDC"] = f"{ours} {theirs}"
    mine = world.ours_reaches(TRANSFERS, ours, "TERMINATED")
    if not (mine.get("errorDetail") or "").startswith(NO_PULL):
        raise CheckError(f"our errorDetail is {mine.get('errorDetail')!r}")
    return f"TERMINATED on both sides; Comity shows {mine['errorDetail']!r}"


def _get(world: World) -> str:
    """Where EDC offers push alone, the command has it pushed; else it asks for a pull and ends with EDC's reason."""
    done = world.us.run("get", "EDC", EDC_SMALL, "-o", str(world.folder / "got"), timeout_s=120)
    told = " ".join((done.stdout + done.stderr).split())
    if PULL not in world.formats:
        equal(done.returncode, 0, f"the exit status ({told})")
        (file,) = [each for each in (world.folder / "got").iterdir() if not each.name.startswith(".")]
        equal(sha256(file.read_bytes()), sha256(world.endpoint.served["/manual"]), "the SHA-256")
        return f"exit 0 by {PUSH}, {file.name}, {file.stat().st_size} bytes, sha-256 equal"
    if not told.partition("it was not received: ")[2].startswith(NO_PULL):
        raise CheckError(f"exit {done.returncode}: {told}")
    return f"agreed; exit {done.returncode}: {told.partition('error: ')[2].partition(' hint:')[0]}"


def _get_into_store(world: World) -> str:
    """As `_get`; what came by push lies encrypted in the store, and is opened while EDC's term lets it."""
    done = world.us.run("get", "EDC", EDC_SMALL, timeout_s=120)
    told = " ".join((done.stdout + done.stderr).split())
    if PULL in world.formats:
        return _no_pull(told)
    equal(done.returncode, 0, f"the exit status ({told})")
    (held,) = [each for each in world.us.api.request("GET", "received") if each["destination"] == "store:"]
    (file,) = world.us.api.request("GET", f"received/{quote(held['@id'], safe='')}/files")
    equal(file["sha256"], sha256(world.endpoint.served["/manual"]), "the SHA-256")
    equal(_opened(world, held["@id"], file["path"]), world.endpoint.served["/manual"].decode(), "the text")
    return f"exit 0 by {PUSH}, sha-256 equal, opened under its terms"


def _opened(world: World, *named: str) -> str:
    done = world.us.run("received", "open", *named)
    equal(done.returncode, 0, f"the exit status of open ({done.stderr})")
    return done.stdout


def _no_pull(told: str) -> str:
    if not told.partition("it was not received: ")[2].startswith(NO_PULL):
        raise CheckError(told)
    return told.partition("error: ")[2].partition(" hint:")[0]


def _reading(world: World) -> str:
    """Reading at a distance is a pull, which stock EDC cannot serve: it ends, and says why."""
    asked = {"counterPartyId": EDC_ID, "assetId": EDC_SMALL}
    try:
        begun = world.us.api.request("POST", "readings", asked)
    except ComityError as refused:
        return f"refused: {refused.message}"
    at = f"readings/{quote(begun['@id'], safe='')}"

    def ended() -> Document | None:
        found: Document = world.us.api.request("GET", at)
        return found if found["stage"] in {"READY", "FAILED", "ENDED"} else None

    found: Document = wait_for(ended, "the reading to end")
    equal(found["stage"], "FAILED", "the stage")
    if not found["error"]:
        raise CheckError("no reason is given")
    return f"FAILED: {found['error']}"


def _refused_by_edc(world: World) -> str:
    ours = _ask(world, EDC_EXPIRED, PULL)
    mine = world.ours_reaches(TRANSFERS, ours, "TERMINATED")
    return f"Comity shows {(mine['errorDetail'] or '').partition(' answers ')[2]!r}"
