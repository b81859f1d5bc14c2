"""`Connector`: a connector for programs and for the `comity` command, without an event loop.

What each method asks and returns is described once, in `calls`, `getting` and `reading`; `aconnector` has the same for
`async`. Results are the API's JSON with typed attributes (`records`).
"""

from __future__ import annotations

import functools
import io
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, TypedDict, Unpack, cast

from comity.client import calls, choosing, events, finding, getting, reading, saving, upkeep
from comity.client.blocking import Operation, Transport
from comity.client.calls import AGREEMENTS, NEGOTIATIONS, PAGE, PARTNER_TIMEOUT_S, PROTOCOL, TRANSFERS
from comity.client.choosing import Policies, Wanted
from comity.client.records import Applies, Asset, Event, File, Participant
from comity.client.saving import Got
from comity.client.stages import Told
from comity.client.steps import Document
from comity.client.tracing import Trace

__all__ = [
    "AGREEMENTS",
    "NEGOTIATIONS",
    "PAGE",
    "PARTNER_TIMEOUT_S",
    "PROTOCOL",
    "TIMEOUT_S",
    "TRANSFERS",
    "Connector",
    "Document",
    "Partner",
]
TIMEOUT_S = 60.0


class Who(TypedDict, total=False):
    """Who opens something, and what for."""

    purpose: str
    person: str
    nationality: Sequence[str]


class Access(Who, total=False):
    """Also under which terms (`accept`), and which revision of it."""

    accept: Policies
    revision: int


def wanted(partner: str, asset: str, access: Access) -> Wanted:
    """Return what is wanted of whom.

    Raises:
        TypeError: something is said that nobody knows.
        InvalidInputError: what is accepted is no policy.
    """
    named = opened_by(access, Access)
    return named._replace(
        partner=partner,
        asset=asset,
        accepted=choosing.accepted(access.get("accept")),
        revision=access.get("revision", 0),
    )


def opened_by(who: Who, known: type[Who] = Who) -> Wanted:
    """Return who opens something.

    Raises:
        TypeError: something is said that nobody knows.
    """
    for name in who:
        if name not in known.__annotations__:
            raise TypeError(f"there is no keyword argument {name!r}: {', '.join(known.__annotations__)}")
    nationality = who.get("nationality", ())
    named = (nationality,) if isinstance(nationality, str) else tuple(nationality)
    return Wanted("", "", who.get("purpose", ""), who.get("person", ""), named)


class Connector(Transport):
    """Your connector, reached at its management API; found as the `comity` command finds it if nothing is given.

    Args:
        address: such as `http://127.0.0.1:8281`; else COMITY_URL, else that of the data folder.
        api_key: else COMITY_API_KEY, else the data folder's.
        data: the data folder; else COMITY_DATA, else ./comity-data.
        timeout_s: how long an answer may take that needs no partner.
        trace: True prints every request to the error stream; a function gets each as a `Traced`.
        start_with: the command that starts it, for a hint.

    Raises:
        SettingsError: there is no connector, or no key for it.
    """

    def __init__(  # noqa: PLR0913  all have their usual values
        self,
        address: str = "",
        api_key: str = "",
        *,
        data: str | Path | None = None,
        timeout_s: float = TIMEOUT_S,
        trace: bool | Trace | None = None,
        start_with: str = "",
    ) -> None:
        hint = f"start it with: {start_with}" if start_with else ""
        place = finding.find(address, api_key, data=data, hint=hint)
        super().__init__(place, timeout_s=timeout_s, trace=trace)

    def partner(self, name: str) -> Partner:
        """Return a partner on the list by its name, DID or address; it is looked up when it is first asked."""
        return Partner(self, name)

    def save(
        self,
        transfer_id: str,
        to: str | Path,
        *,
        progress: Told | None = None,
        overwrite: bool = False,
        **who: Unpack[Who],
    ) -> Got:
        """Fetch what was received from the connector's store into a folder, and check every hash.

        Raises:
            ExchangeError: the terms do not allow it, or a hash does not hold.
        """
        flow = saving.save(transfer_id, to, opened_by(who), progress=progress, overwrite=overwrite)
        return self.run(flow)

    def watch(
        self, *, after: int | None = None, process_id: str = "", types: Sequence[str] = ()
    ) -> Iterator[Event]:
        """Yield events as they happen, those after the place `after` first; a connector that restarts is waited for.

        Raises:
            UnreachableError: the connector does not answer any more.
        """
        return events.follow(
            self,
            after=after,
            process_id=process_id,
            types=types,
            clock_s=time.monotonic,
            sleep=time.sleep,
        )

    request = Operation(calls.request)

    partners = Operation(calls.partners)
    add_partner = Operation(calls.add_partner)
    remove_partner = Operation(calls.remove_partner)
    api_keys = Operation(upkeep.api_keys)
    add_api_key = Operation(upkeep.add_api_key)
    remove_api_key = Operation(upkeep.remove_api_key)

    publish = Operation(calls.publish)
    publishing = Operation(calls.publishing)
    catalog = Operation(calls.catalog)
    dataset = Operation(calls.dataset)

    start_exchange = Operation(calls.start_exchange)
    exchange = Operation(calls.exchange)
    exchanges = Operation(calls.exchanges)
    follow = Operation(getting.follow)
    received = Operation(calls.received)
    received_files = Operation(calls.received_files)
    begin_reading = Operation(calls.begin_reading)
    reading = Operation(calls.reading)
    reading_files = Operation(calls.reading_files)
    end_reading = Operation(calls.end_reading)

    revisions = Operation(calls.revisions)
    changes = Operation(calls.changes)
    applies = Operation(calls.applies)
    recall = Operation(calls.recall)
    inquiries = Operation(calls.inquiries)
    inquiry = Operation(calls.inquiry)
    ask = Operation(calls.ask)
    settle_inquiry = Operation(calls.settle_inquiry)

    frameworks = Operation(upkeep.frameworks)
    framework = Operation(upkeep.framework)
    propose_framework = Operation(upkeep.propose_framework)
    offered_framework = Operation(upkeep.offered_framework)
    sign_framework = Operation(upkeep.sign_framework)
    deliver = Operation(upkeep.deliver)
    change_framework = Operation(upkeep.change_framework)

    find = Operation(calls.find)
    find_all = Operation(calls.find_all)
    load = Operation(calls.load)
    move = Operation(calls.move)
    approvals = Operation(calls.approvals)
    settle_approval = Operation(calls.settle_approval)
    deletions = Operation(calls.deletions)
    delete_received = Operation(calls.delete_received)
    receipts = Operation(calls.receipts)
    carry = Operation(calls.carry)
    take_carried = Operation(calls.take_carried)
    carried_receipts = Operation(calls.carried_receipts)

    events = Operation(upkeep.events)
    checkpoints = Operation(upkeep.checkpoints)
    compare_checkpoint = Operation(upkeep.compare_checkpoint)
    acknowledge_finding = Operation(upkeep.acknowledge_finding)
    identity = Operation(upkeep.identity)
    rotate_key = Operation(upkeep.rotate_key)
    retire_key = Operation(upkeep.retire_key)
    evidence = Operation(upkeep.evidence)
    export_evidence = Operation(upkeep.export_evidence)


class Partner:
    """A partner on the list, as `Connector.partner` names it.

    What may be said with an asset: `purpose` and `person` (with `nationality`), where its terms ask for them; `accept`,
    the policy or policies that you accept (else the first offer is taken); `revision`, a number (else the newest).
    """

    def __init__(self, connector: Connector, name: str) -> None:
        self.connector = connector
        self.name = name

    def __repr__(self) -> str:
        return f"Partner({self.name!r})"

    def details(self) -> Participant:
        """Return how it stands on the list."""
        return self.connector.run(getting.partner(self.name))

    def catalog(self) -> list[Asset]:
        """Return what it offers to you, and under which terms."""
        return self.connector.run(getting.catalog(self.name))

    def asset(self, name: str) -> Asset:
        """Return one asset that it offers, by its id or title."""
        return self.connector.run(getting.asset(self.name, name))

    def get(
        self,
        asset: str,
        to: str | Path,
        *,
        progress: Told | None = None,
        timeout_s: float | None = None,
        overwrite: bool = False,
        **access: Unpack[Access],
    ) -> Got:
        """Get an asset into a folder: agree, wait for who has to approve, receive, fetch, check every hash.

        Again, it goes on where it stood: an agreement in force is used, and no file is fetched that is there.

        Raises:
            ExchangeError: with the stage in which it ended, the partner's words, and what was offered and accepted.
        """
        flow = getting.get(
            wanted(self.name, asset, access),
            to,
            progress=progress,
            timeout_s=timeout_s,
            overwrite=overwrite,
        )
        return self.connector.run(flow)

    def applies(
        self, asset: str, *, part: str = "", serial: str = "", lot: str = "", plant: str = ""
    ) -> Applies:
        """Return which revision of an asset applies to a unit, as far as the partner told us of it."""
        unit = {"part": part, "serial": serial, "lot": lot, "plant": plant}
        return self.connector.run(getting.applies(self.name, asset, **unit))

    def files(self, asset: str, **access: Unpack[Access]) -> list[File]:
        """Return which files an asset has; an agreement is made for it, and nothing is fetched.

        Raises:
            ExchangeError: with the stage in which it ended.
        """
        return self.connector.run(reading.files(wanted(self.name, asset, access)))

    def open(self, asset: str, path: str = "", **access: Unpack[Access]) -> BinaryIO:
        """Open a file of an asset where it lies: only what is read of it is fetched.

        Raises:
            ExchangeError: with the stage in which it ended.
        """
        opened = self.connector.run(reading.open_(wanted(self.name, asset, access), path))
        fetch = functools.partial(_range, self.connector, opened)
        raw = reading.Ranges(opened.file.size_bytes, fetch)
        return cast("BinaryIO", io.BufferedReader(raw, reading.BUFFER_BYTES))

    def read(self, asset: str, path: str = "", **access: Unpack[Access]) -> bytes:
        """Return the bytes of a file of an asset.

        Raises:
            ExchangeError: with the stage in which it ended, or that its hash does not hold.
        """
        opened = self.connector.run(reading.open_(wanted(self.name, asset, access), path))
        return reading.checked(opened.file, self.connector.fetch(opened.source).content)


def _range(connector: Connector, opened: reading.Opened, begin: int, end: int) -> bytes:
    headers = {"Range": f"bytes={begin}-{end - 1}"}
    if opened.file.sha256:  # what is read of one file is of one content
        headers["If-Match"] = f'"sha256-{opened.file.sha256}"'
    return connector.fetch(opened.source, headers).content
