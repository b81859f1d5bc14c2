"""Events on the wire: their names and what they say, CloudEvents 1.0, EDC's envelope, and which of them somebody wants.

Every change of a process's state is an event, and every change of what is offered. Names are EDC's
(`contract.negotiation.finalized`); who wants some of them names how theirs begin, as EDC's `callbackAddresses` do.
Nothing secret is in an event: no token, no data address.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct

from comity import errors
from comity.management import wire

Document = dict[str, Any]
NEGOTIATION, TRANSFER, APPROVAL = "contract.negotiation.", "transfer.process.", "approval."
INITIATED, INITIAL = "initiated", "INITIAL"
STATES = ("requested", "offered", "accepted", "agreed", "verified", "finalized", "terminated")
APPROVAL_STEPS = ("asked", "approved", "refused", "expired", "withdrawn")
INQUIRY, UNDELIVERED = "inquiry.", "undelivered"
INQUIRY_STEPS = (
    "asked", "said", "proposed", "answered", "granted", "refused", "revised", "revoked", "withdrawn",
    UNDELIVERED,
)  # fmt: skip
INCOMPLETE, AFFECTED = "incomplete", "affected"
REVISION, REVISION_STEPS = "revision.", ("published", "recalled", INCOMPLETE, AFFECTED)
DELETION_WAITING = "deletion.waiting"
LOG, LOG_STEPS = "log.", ("forked", "restarted", "consistent")
TRANSFER_STATES = ("requested", "started", "suspended", "completed", "terminated")
CREATED, UPDATED, DELETED = "created", "updated", "deleted"
NAMES = (
    *(NEGOTIATION + state for state in (INITIATED, *STATES)),
    *(TRANSFER + state for state in (INITIATED, *TRANSFER_STATES)),
    *(APPROVAL + step for step in APPROVAL_STEPS),
    *(INQUIRY + step for step in INQUIRY_STEPS),
    *(REVISION + step for step in REVISION_STEPS),
    DELETION_WAITING,
    *(LOG + step for step in LOG_STEPS),
    *(
        f"{noun}.{change}"
        for noun in ("asset", "policy.definition", "contract.definition")
        for change in (CREATED, UPDATED, DELETED)
    ),
)
"""Every event that there is."""
PROGRESS = TRANSFER + "progress"
"""How far a transfer's bytes have come: told in streams to those who name it, and written down nowhere."""
ELSEWHERE = (
    *(f"secret.{change}" for change in (CREATED, UPDATED, DELETED)),
    *(
        TRANSFER + step
        for step in (
            "preparationRequested", "prepared", "provisioned", "resuming", "deprovisioningRequested", "deprovisioned",
        )
    ),
)  # fmt: skip
"""Events of EDC that never happen here: its clients may name them among others."""
ENDS = frozenset(
    {NEGOTIATION + "finalized", NEGOTIATION + "terminated", TRANSFER + "completed", TRANSFER + "terminated"}
)
"""Events after which there is none of the same process."""
MAX_TYPES = 50


class NegotiationData(
    Struct, kw_only=True, rename="camel", omit_defaults=True, tag_field="protocol", tag=wire.PROTOCOL
):
    """What an event says of a negotiation, in EDC's words; `type` is our role."""

    contract_negotiation_id: str
    type: str
    state: str
    counter_party_id: str
    counter_party_address: str
    correlation_id: str | None = None
    asset_id: str
    contract_agreement_id: str | None = None
    reason: str = ""


class TransferData(
    Struct, kw_only=True, rename="camel", omit_defaults=True, tag_field="protocol", tag=wire.PROTOCOL
):
    """What an event says of a transfer, in EDC's words; `contract_id` is the agreement's."""

    transfer_process_id: str
    type: str
    state: str
    counter_party_id: str
    counter_party_address: str
    correlation_id: str | None = None
    asset_id: str
    contract_id: str
    transfer_type: str
    reason: str = ""


class ProgressData(Struct, kw_only=True, rename="camel"):
    """How far a transfer's bytes have come; `bytes_total` and `files_total` are 0 while they are not known."""

    transfer_process_id: str
    files_done: int
    files_total: int
    bytes_done: int
    bytes_total: int


class ApprovalData(Struct, kw_only=True, rename="camel"):
    """What an event says of an approval; `approvers` are the names of who may decide, `due_at` in ms."""

    approval_id: str
    contract_negotiation_id: str
    counter_party_id: str
    asset_id: str
    state: str
    approvers: list[str]
    due_at: int


class InquiryData(Struct, kw_only=True, rename="camel"):
    """What an event says of an inquiry; `type` is our role in it, `answer_by` the day that the asker named."""

    inquiry_id: str
    type: str
    kind: str
    state: str
    counter_party_id: str
    agreement_id: str
    asset_id: str
    answer_by: str


class RevisionData(Struct, kw_only=True, rename="camel"):
    """What an event says of a revision, a partner's or (`counter_party_id` is empty) ours.

    `reason` is of a recall, or says which file is not to be had, or what it was made from and became of that.
    """

    asset_id: str
    counter_party_id: str
    revision: int
    state: str
    manifest_sha256: str
    reason: str


class DeletionData(Struct, kw_only=True, rename="camel"):
    """What an event says of something that the store has deleted as agreed, and whose copies wait for a person.

    `copies` are the folders that they are in, one of them empty for a program that read it; `contract_id` is the
    agreement's.
    """

    transfer_process_id: str
    counter_party_id: str
    contract_id: str
    asset_id: str
    copies: list[str]
    due_at: int


class LogData(Struct, rename="camel"):
    """What an event says of a partner's log of evidence that has two faces, or begins anew; `said` is the reason."""

    finding_id: str
    participant_id: str
    origin: str
    said: str


class AssetData(Struct, rename="camel"):
    """What an event says of an asset."""

    asset_id: str


class PolicyDefinitionData(Struct, rename="camel"):
    """What an event says of a policy definition."""

    policy_definition_id: str


class ContractDefinitionData(Struct, rename="camel"):
    """What an event says of a contract definition."""

    contract_definition_id: str


class Event(Struct, frozen=True, kw_only=True):
    """An event as it was recorded: `seq` orders all of them, `number` counts those of one process (0: of no process).

    `at` in ms since 1970, `data` the JSON of what it says, `id` a UUID URN that no other event has.
    """

    seq: int
    id: str
    type: str
    subject: str
    number: int
    at: int
    data: bytes


def name_of(prefix: str, state: str | None) -> str:
    """Return the name of the event that a process has reached a state."""
    return prefix + (state.lower() if state else INITIATED)


def cloud_event(event: Event, source: str) -> Document:
    """Write an event in the structured form of CloudEvents 1.0, with `sequence` and `number` as its extensions."""
    numbered = {"number": event.number} if event.number else {}
    return {
        "specversion": "1.0",
        "id": event.id,
        "source": source,
        "type": event.type,
        "subject": event.subject,
        "time": _time(event.at),
        "datacontenttype": "application/json",
        "sequence": f"{event.seq:020d}",
        **numbered,
        "data": msgspec.Raw(event.data),
    }


def progress_event(figures: ProgressData, source: str, *, id_: str, at: int) -> Document:
    """Write how far a transfer has come as a CloudEvent without a place in the log."""
    return {
        "specversion": "1.0",
        "id": id_,
        "source": source,
        "type": PROGRESS,
        "subject": figures.transfer_process_id,
        "time": _time(at),
        "datacontenttype": "application/json",
        "data": figures,
    }


def envelope(event: Event) -> Document:
    """Write an event as EDC sends it to a `callbackAddress`: `type` is the name of its class."""
    kind = "".join(word.capitalize() for word in event.type.split("."))
    return {"id": event.id, "at": event.at, "payload": msgspec.Raw(event.data), "type": kind}


def _time(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def wanted(prefixes: Sequence[str], name: str) -> bool:
    """Return whether an event is one of those that somebody wants; no prefixes mean all."""
    return not prefixes or name.startswith(tuple(prefixes))


def check_types(listed: Sequence[str], path: str, *more: str) -> tuple[str, ...]:
    """Return prefixes of names of events after a look whether each of them is one; here there are `more`.

    Raises:
        InvalidInputError: at `path`; a prefix that no event has would wait for ever.
    """
    if len(listed) > MAX_TYPES:
        raise errors.InvalidInputError(f"at most {MAX_TYPES} types are taken", path=path)
    for at, each in enumerate(listed):
        if not each or not any(name.startswith(each) for name in (*NAMES, *ELSEWHERE, *more)):
            raise errors.InvalidInputError(
                f"no event has a name that begins with {each[:100]!r}",
                path=f"{path}[{at}]",
                hint=f"there is: {', '.join((*NAMES, *more))}",
            )
    return tuple(dict.fromkeys(listed))
