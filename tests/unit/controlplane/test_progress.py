"""Bytes end where their transfer is another replica's, or may be."""

from dataclasses import dataclass, field

import pytest

from comity import errors
from comity.controlplane import progress
from comity.db import pulls
from support.pair import wait_for

PULL = pulls.Pull(transfer_id="urn:t", destination="/x", state=pulls.WAITING, updated_at=1)


@dataclass
class Store:
    """A store whose lease and whose write the test ends."""

    lease: Exception | None = None
    write_fails: Exception | None = None
    written: list[object] = field(default_factory=list)

    def check_lease(self):
        if self.lease:
            raise self.lease

    async def write(self, unit):
        self.written.append(unit)
        if self.write_fails:
            raise self.write_fails


@dataclass
class Connector:
    database: Store = field(default_factory=Store)

    def now_ms(self):
        return 1


async def test_bytes_end_with_the_lease():
    connector = Connector()
    moving = progress.Progress(connector, PULL, None)
    moving.tell(1, 1, 2)
    connector.database.lease = errors.DatabaseError("the lease is over")
    with pytest.raises(errors.ConflictError, match="the lease is over"):
        moving.tell(1, 2, 2)
    connector.database.lease = None
    moving.tell(1, 2, 2)


async def test_bytes_end_when_a_save_shows_that_another_one_goes_on():
    connector = Connector(
        Store(write_fails=errors.ConflictError("another replica goes on with this transfer"))
    )
    moving = progress.Progress(connector, PULL, None)
    async with moving.kept():
        await wait_for(lambda: moving._taken)
        with pytest.raises(errors.ConflictError, match="another replica"):
            moving.tell(1, 2, 2)


async def test_a_full_disk_ends_no_bytes():
    connector = Connector(Store(write_fails=errors.DatabaseError("the disk is full")))
    moving = progress.Progress(connector, PULL, None)
    async with moving.kept():
        await wait_for(lambda: connector.database.written)
        moving.tell(1, 2, 2)
