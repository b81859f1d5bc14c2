"""The checker's own proof, the data: faults planted in serving and receiving, each caught by what it breaks."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from comity import errors
from comity.api import dataplane
from comity.controlplane import content, decide, get, retirements, transfer_moves
from comity.dataplane import disk, packages, part, target
from comity.db import offers, sqlite
from comity.db.offers import Asset
from comity.dsp import terms
from comity.management import retirements as forms
from comity.odrl import evaluate
from comity.testing import history
from comity.testing.invariants import data
from support import pair as pairs
from support import process as processes
from support import wire
from support.witnessed import World


async def running(world):
    """A transfer that runs, of one of two assets."""
    await world.publish("asset", a=b"hello", b=b"world" * 1000)
    await world.publish("other", a=b"something else")
    agreed = await world.negotiate()
    found = await world.transfer(agreed.id)
    await world.fetch(found.id)
    return found


async def suspended(world):
    """A transfer whose data is asked for after the provider has suspended it."""
    found = await running(world)
    await world.move(world.provider, found.counterparty_pid, decide.SUSPEND)
    await world.both(found.id, terms.SUSPENDED)
    await world.fetch(found.id)


async def retired(world):
    """A transfer whose data is asked for after its agreement was retired."""
    found = await running(world)
    await retirements.retire(
        world.provider.connector, forms.Retirement(agreement_id=found.agreement_id, reason="no longer made")
    )
    await world.both(found.id, terms.TERMINATED)
    await world.fetch(found.id)


async def expired(world):
    """A transfer whose data is asked for after the last day of its agreement."""
    end = datetime.now(UTC) + timedelta(seconds=1)
    policy = wire.until(end.isoformat(timespec="milliseconds").replace("+00:00", "Z"))
    await world.provider.publish("asset", files={"a.txt": b"hello"}, policy=policy)
    world.note_content("asset", {"a.txt": b"hello"})
    agreed = await world.negotiate()
    found = await world.transfer(agreed.id)
    await world.fetch(found.id)
    await pairs.wait_for(lambda: time.time() > end.timestamp() + 0.05)
    await world.fetch(found.id)


async def intruded(world):
    """A transfer whose data another partner asks for, with the token of a transfer of its own."""
    found = await running(world)
    _, agreement_id = await processes.finalized(world.stranger, world.provider, "other")
    _, _, token = await processes.started(world.stranger, world.provider, agreement_id)
    endpoint, _ = world.access(found.id)
    await world.stranger.fetch(endpoint + "/files/a.txt", token)


async def broken(world):
    """A transfer whose data is asked for while the provider's store answers nothing."""
    found = await running(world)

    async def no(self, unit):
        raise errors.DatabaseError("the store does not answer")

    with world.outage(world.provider, "its store was broken"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite.Database, "read", no)
        await world.fetch(found.id)


async def got(world):
    """A package that is fetched whole, and again after it was published anew."""
    folder = str(world.consumer.folder.parent / "got")
    for version in (
        {"a": b"one", "b": b"first" * 50},
        {"a": b"two", "b": b"second" * 60},
    ):
        files = {f"{name}.txt": data for name, data in version.items()}
        await world.provider.publish("asset", files=files)
        world.note_content("asset", files)
        await _get(world, folder)


async def _get(world, folder):
    begun = await get.start(world.consumer.connector, world.provider.did, "asset", folder)

    async def done():
        return (await get.status(world.consumer.connector, begun.id))["stage"] in {get.COMPLETED, get.FAILED}

    await pairs.wait_for(done)
    await world.calm()


def _looking_up(patch, ask):
    """Let data requests be answered by `ask(door.lookup, transfer_id, token_digest)`."""
    answer = dataplane._answer

    async def asking(door, flow, scope, path):
        lookup = functools.partial(ask, door.lookup)
        return await answer(dataclasses.replace(door, lookup=lookup), flow, scope, path)

    patch.setattr(dataplane, "_answer", asking)


def grants_remembered(patch, world):
    """Who was served once is served again, whatever has happened since."""
    known = {}

    async def remember(lookup, transfer_id, token_digest):
        if (transfer_id, token_digest) not in known:
            known[transfer_id, token_digest] = await lookup(transfer_id, token_digest)
        return known[transfer_id, token_digest]

    _looking_up(patch, remember)


def dates_ignored(patch, world):
    """Every policy allows everything when data is asked for."""
    patch.setattr(transfer_moves.offering, "judge", lambda *_: evaluate.Decision(allowed=True))


def any_token_opens(patch, world):
    async def check(self, tx, transfer_id, token_digest):
        return await content.transfers.load(tx, transfer_id)

    patch.setattr(content.Contents, "_check", check)


def another_asset(patch, world):
    real = content.Contents._known

    async def other(self, named):
        found = await self._connector.database.read(lambda tx: offers.find(tx, Asset, "other"))
        return await real(self, msgspec.structs.replace(named, asset=found))

    patch.setattr(content.Contents, "_known", other)


def yes_in_doubt(patch, world):
    """What was allowed before is allowed when nobody can be asked."""
    last = {}

    async def lenient(lookup, transfer_id, token_digest):
        with contextlib.suppress(errors.DatabaseError):
            last[transfer_id] = await lookup(transfer_id, token_digest)
        return last[transfer_id]

    _looking_up(patch, lenient)


def short_file_taken(patch, world):
    """Half of what comes never reaches the disk, and nobody looks at the digest."""
    append = part.FilePart._append

    def short(self, run):
        half = run[: max(1, len(run) // 2)]
        append(self, half)
        self.size += len(run) - len(half)

    async def careless(self, grown, sha256):
        await self.add(grown)
        return True

    patch.setattr(part.FilePart, "_append", short)
    patch.setattr(packages.Keeping, "take", careless)
    patch.setattr(target.Folder, "_check_free", lambda self, ours, name: None)


def equal_size_taken_for_equal(patch, world):
    """A file that lies there with the right size is not fetched again."""
    look = disk.look

    def careless(folder, files, *more):
        whole, begun = look(folder, files, *more)
        lying = {each.path: Path(folder, each.path) for each in files}
        sizes = {path: place.stat().st_size for path, place in lying.items() if place.exists()}
        return {*whole, *(each.path for each in files if sizes.get(each.path) == each.size_bytes)}, begun

    patch.setattr(disk, "look", careless)


class Fault(NamedTuple):
    plant: Callable[[Any, World], None]
    drive: Callable[[World], Awaitable[Any]]
    breaks: str


FAULTS = {
    "data is served after a suspension": Fault(grants_remembered, suspended, "I7"),
    "data is served after a retirement": Fault(grants_remembered, retired, "I7"),
    "data is served after the last day": Fault(dates_ignored, expired, "I7"),
    "data is served to another participant": Fault(any_token_opens, intruded, "I7"),
    "data of another asset is served": Fault(another_asset, suspended, "I7"),
    "in doubt, data is served": Fault(yes_in_doubt, broken, "I13"),
    "a short file is taken for a whole one": Fault(short_file_taken, got, "I8"),
    "files of two versions are taken for one": Fault(equal_size_taken_for_equal, got, "I8"),
}
DRIVES = {fault.drive.__name__: fault.drive for fault in FAULTS.values()}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_a_planted_fault_is_caught_by_the_invariant_that_it_breaks(world, monkeypatch, fault):
    with monkeypatch.context() as patch:
        fault.plant(patch, world)
        await fault.drive(world)
    report = history.check(await world.history())
    assert fault.breaks in {each.invariant for each in report.violations}, str(report)


@pytest.mark.parametrize("drive", DRIVES.values(), ids=DRIVES)
async def test_the_same_without_the_fault_violates_nothing(world, drive):
    await drive(world)
    await world.calm()
    report = history.check(await world.history())
    assert report.violations == (), str(report)


@pytest.mark.parametrize(
    ("left", "right", "until"),
    [
        ("dateTime", "2027-01-02T00:00:00Z", True),
        ("inForceDate", "2027-01-02T00:00:00Z", True),
        ("https://w3id.org/edc/v0.0.1/ns/inForceDate", "contractAgreement+1d", True),
        ("edc:inForceDate", {"@value": "contractAgreement+24h"}, True),
        ("inForceDate", "contractAgreement+", False),
        ("purpose", "2027-01-02T00:00:00Z", False),
    ],
)
def test_the_last_day_of_an_agreement_is_known_however_it_is_said(left, right, until):
    document = {**wire.constrained(left, "lteq", right), "timestamp": "2027-01-01T00:00:00.7Z"}
    last_ms = int(datetime(2027, 1, 2, tzinfo=UTC).timestamp() * 1000)
    assert [data._in_time(document, last_ms + after) for after in (-1, 0, 1)] == [True, True, not until]
