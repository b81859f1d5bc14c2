"""Where what is received goes, as one text says it: a folder below the operator's, a bucket, the node's own store.

It is checked when it is named, and opened when data comes; what a partner names is never a destination of ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from comity import errors
from comity.controlplane import kept
from comity.controlplane.connector import Connector
from comity.dataplane import bucket, places, target
from comity.dataplane.kept import STORE
from comity.storage import buckets, opening


def check(connector: Connector, destination: str) -> str:
    """Return a destination as it is written down; empty stays empty, then the data is for whoever asks for the address.

    Raises:
        StorageError: it is a folder that may not be received into, or in no bucket of the settings.
    """
    if destination in {"", STORE}:
        return destination
    if buckets.is_address(destination):
        return str(connector.objects.find(destination))
    return connector.files.check_destination(destination)


async def reach(connector: Connector, destination: str) -> None:
    """Find out, before anything is agreed for it, whether a bucket can be received into at all.

    A store that does not answer now is no reason: what is received waits for it.

    Raises:
        StorageError: its key is refused, or it is not there.
    """
    if buckets.is_address(destination):
        try:
            await connector.objects.reach(connector.objects.find(destination))
        except errors.StorageError as error:
            if error.code != opening.AWAY:
                raise


def of_bucket(connector: Connector, address: Mapping[str, str]) -> str:
    """Return the destination that a data address names in EDC's words: a folder of a bucket that is listed.

    Raises:
        InvalidInputError: it names another bucket, an endpoint of its own, or one object.
        StorageError: its path is none that objects can have.
    """
    found = buckets.from_edc(connector.objects.listed, address, at="$.dataDestination", one=False)
    return str(found)


async def open_(connector: Connector, transfer_id: str, destination: str) -> places.Target:
    """Return the place that a transfer is received into, locked until it is closed.

    Raises:
        ConflictError: somebody receives into it.
        StorageError: it cannot be used.
    """
    if destination == STORE:
        return await kept.target(connector, transfer_id)
    if buckets.is_address(destination):
        return await open_bucket(connector, destination)
    folder = connector.files.check_destination(destination)
    return await asyncio.to_thread(target.Folder, folder)


async def open_bucket(connector: Connector, destination: str) -> bucket.Bucket:
    """Return the place in a bucket that an address names, locked until it is closed.

    Raises:
        ConflictError, StorageError: as `open_`.
    """
    objects = connector.objects
    place = objects.find(destination)
    opened = await objects.open_bucket(place)
    return await asyncio.to_thread(bucket.Bucket, place, opened, objects.staging)
