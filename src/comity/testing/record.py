"""What was seen of connectors, as plain structs: the inputs of `history.check`, from whatever source there is.

Times are milliseconds since 1970 UTC, by clocks that agree to a few milliseconds. Participants are named by their whole
ids. A field that is None was not recorded, which is not the same as an empty one: what depends on it is then not
decided. Bodies hold what was on the wire, tokens of data addresses too: treat a history as a secret.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from comity.dsp import terms

Document = dict[str, Any]

BOTH, SENDER, RECEIVER = "both", "sender", "receiver"
OK, FAIL, INFO = "ok", "fail", "info"


class Message(Struct, frozen=True, kw_only=True):
    """One request between two connectors and its answer; `path` is that below the receiver's base address.

    `status` is None where no whole answer was seen: what became of the request is unknown, never failed. `leg` says
    whose view this is: BOTH where nothing stood between them; a proxy that loses, repeats or invents something
    records what the SENDER sent and was answered, and each copy that the RECEIVER got and how it answered. `sender` is
    who its token says it is, empty where that was not seen.
    """

    at: int
    sender: str
    receiver: str
    path: str
    method: str = "POST"
    body: bytes = b""
    status: int | None = None
    answer: bytes = b""
    answered_at: int | None = None
    leg: str = BOTH


class Served(Struct, frozen=True, kw_only=True):
    """One request for data and what was served, from `at` to `until`, by the participant `provider`.

    `transfer_id` is the provider's id of it; of a push (`pushed`) the consumer's, and `receiver` took the bytes.
    `token_sha256` is the hex digest of the bearer token, `receiver` who got the bytes where that is known, `path` what
    of the transfer was asked for. `sha256` is of the `size` bytes that were sent; `whole` says that these are all of
    it, from its first byte to its last.
    """

    at: int
    until: int
    provider: str
    transfer_id: str
    receiver: str = ""
    token_sha256: str = ""
    path: str = ""
    status: int = 200
    size: int = 0
    sha256: str = ""
    whole: bool = True
    pushed: bool = False


class Process(Struct, frozen=True, kw_only=True):
    """A negotiation or a transfer in one side's store; `state` is None before the first acknowledgement.

    `number` is how many events there were of it, None where they are not counted; `error` the reason of its end.
    """

    kind: str
    id: str
    role: str
    counterparty_id: str
    counterparty_pid: str = ""
    state: str | None
    error: str = ""
    agreement_id: str = ""
    asset_id: str = ""
    offer: Document | None = None
    number: int | None = None


class Agreement(Struct, frozen=True, kw_only=True):
    """An agreement in one side's store; `message_sha256` (hex) is of the message that carried it, if kept.

    `retired_at` is when a person took it out of use.
    """

    id: str
    negotiation_id: str
    document: Document
    counterparty_id: str
    finalized: bool
    message_sha256: str = ""
    retired_at: int | None = None


class Outgoing(Struct, frozen=True, kw_only=True):
    """A message of one side that is to be sent or acknowledged; `implied` if it is known to have arrived."""

    process_id: str
    message: str
    leads_to: str
    implied: bool = False


class Event(Struct, frozen=True, kw_only=True):
    """A change of a process's state in one side's log; `state` is None for "made, nothing acknowledged yet"."""

    seq: int
    id: str
    subject: str
    number: int
    state: str | None
    at: int


class Evidence(Struct, frozen=True):
    """A row of one side's evidence: the record as bytes, and the hash that chains it (`comity.evidence.entry`).

    Several writers have a `chain` each.
    """

    seq: int
    record: bytes
    hash: bytes
    chain: int = 0


class Head(Struct, frozen=True):
    """The end of a chain as it was seen at some time: so many rows, the last of them with this hash."""

    size: int
    hash: bytes
    chain: int = 0


class Side(Struct, frozen=True, kw_only=True):
    """All that one connector's store holds; what it does not keep, or nobody may see, is None.

    `heads` are ends of its evidence that were seen earlier. `oldest_event` is the `seq` of the oldest event of any kind
    that it keeps: if that is not 1, the first events of old processes may have been forgotten.
    """

    participant_id: str
    processes: tuple[Process, ...] | None = None
    agreements: tuple[Agreement, ...] | None = None
    outbox: tuple[Outgoing, ...] | None = None
    events: tuple[Event, ...] | None = None
    oldest_event: int = 1
    evidence: tuple[Evidence, ...] | None = None
    heads: tuple[Head, ...] = ()


class Reading(Struct, frozen=True, kw_only=True):
    """An agreement as somebody read it at some time, from a store or an API."""

    at: int
    participant_id: str
    agreement_id: str
    document: Document


class Content(Struct, frozen=True, kw_only=True):
    """What a provider published as an asset: path -> SHA-256 (hex); a single resource has the empty path.

    An asset that was published again has several of these.
    """

    provider: str
    asset_id: str
    files: dict[str, str]


class Received(Struct, frozen=True, kw_only=True):
    """Data that a consumer holds for complete, as it lies there: path -> SHA-256 (hex); `transfer_id` is its own."""

    consumer: str
    transfer_id: str
    files: dict[str, str]


class Operation(Struct, frozen=True, kw_only=True):
    """A request of a person or program to its own connector, and what came of it.

    `outcome` is OK (2xx), FAIL (refused: nothing was done) or INFO (nobody knows). A request that begins a process says
    of which kind in `creates`, and the id in the answer is `created`; requests with one `key` are one. Any other says
    in `process_id` what it was about, and in `leads_to` the state that it has to reach, if there is one.
    """

    at: int
    participant_id: str
    outcome: str
    key: str = ""
    creates: str = ""
    created: str = ""
    process_id: str = ""
    leads_to: str = ""


class Delivery(Struct, frozen=True, kw_only=True):
    """An event as a receiver (a webhook's address, a reader of the stream) got it from a connector."""

    at: int
    participant_id: str
    receiver: str
    event_id: str
    subject: str
    number: int


class Sample(Struct, frozen=True, kw_only=True):
    """A figure of a process before and after: memory, open files, tasks, rows; it may have grown by `allowed`."""

    participant_id: str
    name: str
    before: float
    after: float
    allowed: float = 0.0


class Outage(Struct, frozen=True, kw_only=True):
    """A time in which a connector could not decide: store down, disk full, policy or identity broken (`what`)."""

    participant_id: str
    at: int
    until: int
    what: str


class Contact(Struct, frozen=True, kw_only=True):
    """A connection that a connector made, or tried to: seen by a listener or resolver put there to see it."""

    participant_id: str
    address: str
    allowed: bool
    at: int = 0


class Text(Struct, frozen=True):
    """Something that others may read: a log, an answer of an API, a dump. `where` names it."""

    where: str
    content: bytes


class History(Struct, frozen=True, kw_only=True):
    """All that was seen of some connectors; None where there was nobody to see it.

    `quiet` says that faults have ended and the connectors had their time to come together: nothing may be open that is
    not waiting for a person. What waits for one is in `resting`, pairs of kind and state. `every_operation` says that
    nothing was begun but by `operations`. `resends` is how often one message may be sent within a second. `secrets`
    are texts that must not stand in `texts`, nor in any message.
    """

    sides: tuple[Side, ...] = ()
    messages: tuple[Message, ...] | None = None
    served: tuple[Served, ...] | None = None
    contents: tuple[Content, ...] | None = None
    received: tuple[Received, ...] | None = None
    readings: tuple[Reading, ...] = ()
    operations: tuple[Operation, ...] | None = None
    every_operation: bool = False
    deliveries: tuple[Delivery, ...] | None = None
    samples: tuple[Sample, ...] | None = None
    outages: tuple[Outage, ...] | None = None
    contacts: tuple[Contact, ...] | None = None
    texts: tuple[Text, ...] | None = None
    secrets: tuple[bytes, ...] = ()
    quiet: bool = True
    resting: frozenset[tuple[str, str]] = frozenset(
        {
            (terms.NEGOTIATION, terms.OFFERED),
            (terms.TRANSFER, terms.STARTED),
            (terms.TRANSFER, terms.SUSPENDED),
        }
    )
    resends: int = 12
