"""What a negotiation and a transfer have in common: two parties, one state, and moves that are on their way.

Pure decisions over one record: is this message a step, a repeat or an error, and which state follows. A move of ours
that the partner has not acknowledged yet is an *intent* (an open row in the outbox, not a state): the partner's next
message may arrive before the acknowledgement is recorded, and then counts as the acknowledgement. Source: Dataspace
Protocol 2025-1, state machines; the race is discussed upstream as issue 32 of the specification.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from msgspec import Struct

from comity import errors
from comity.dsp import binding, machine, terms

PAUSING = frozenset({terms.STARTED, terms.SUSPENDED})


class Process(Struct, frozen=True, kw_only=True):
    """A process as this side knows it: our `role`, the partner, its id of the process once known, and the state.

    `events` counts its changes of state, of which the first is that it was made; `told` is the state of the last one
    that was stored. `collection` and `endpoints` are the parts of its paths (HTTPS binding).
    """

    kind: ClassVar[str]
    collection: ClassVar[str]
    endpoints: ClassVar[Mapping[str, str]]

    id: str
    role: str
    counterparty_id: str
    counterparty_address: str
    counterparty_pid: str | None
    state: str | None
    version: int
    last_received: bytes | None = None
    error: str = ""
    created_at: int
    updated_at: int
    events: int = 1
    told: str | None = None

    @property
    def consumer_pid(self) -> str:
        """The consumer's id of this process; the other side's may not be known yet (then empty)."""
        return self.id if self.role == terms.CONSUMER else self.counterparty_pid or ""

    @property
    def provider_pid(self) -> str:
        """The provider's id of this process; the other side's may not be known yet (then empty)."""
        return self.id if self.role == terms.PROVIDER else self.counterparty_pid or ""

    @property
    def pids(self) -> dict[str, str]:
        """Both ids, as the messages have them."""
        return {"provider_pid": self.provider_pid, "consumer_pid": self.consumer_pid}

    def path(self, message: str = "") -> str:
        """Return the path of this process, or of what takes `message` in it, below the partner's base address."""
        process = f"/{binding.segment(self.counterparty_pid)}" if self.counterparty_pid else ""
        return f"/{self.collection}{process}{self.endpoints[message] if message else ''}"


class Step(Struct, frozen=True):
    """The effect of a received message: the state it left, the state it leads to, and what became of our open intent.

    `implied` is True when the message shows that the partner has our intent; `withdrawn` when it overtook it.
    """

    before: str | None
    after: str
    implied: bool = False
    withdrawn: bool = False

    @property
    def through(self) -> str | None:
        """The state of our intent, if the message showed that it was reached."""
        return self.before if self.implied else None


def receive(  # noqa: PLR0913  both machines, both sides and the wire have a word in it
    kind: str, state: str | None, intent: str | None, message: str, sender: str, *, under_way: bool = True
) -> Step:
    """Return what `message` from `sender` does to a process in `state` with an open `intent` (a state, or None).

    Our own end of a process is not undone: only an end may overtake it, and only a termination a termination.

    A suspension may meet a start or another suspension in a transfer that is STARTED. One of the two must be withdrawn,
    or they might be taken in another order there than here: a start gives way to a suspension, the consumer's
    suspension to the provider's. That has to wait while ours is `under_way`: what is on the wire can still be taken.

    Raises:
        RemoteProtocolError: the message is legal neither before nor after our intent, or would undo our termination.
        ConflictError: our message is on its way; a partner that sends again finds it there, or finds it withdrawn.
    """
    table = machine.TABLES[kind]
    # whether the partner has our message does not matter once it ends the process
    if table.get((state, message, sender)) == terms.TERMINATED:
        return Step(state, terms.TERMINATED, withdrawn=intent is not None)
    after = table.get((state, message, sender))
    if (
        state == terms.STARTED
        and intent in PAUSING
        and after in PAUSING
        and terms.SUSPENDED in {intent, after}
    ):
        gives_way = message == machine.START or (intent == terms.SUSPENDED and sender == terms.CONSUMER)
        if gives_way or under_way:
            raise _met(message, intent, retry_after_s=2 if gives_way else 1)
        return Step(state, after, withdrawn=True)
    if intent is not None and (intent, message, sender) in table:
        return Step(intent, table[(intent, message, sender)], implied=True)
    if after is None:
        raise errors.RemoteProtocolError(machine.refusal(kind, intent or state, message, sender))
    if intent == terms.COMPLETED and after not in machine.TERMINAL:
        raise _met(message, intent)
    if intent == terms.TERMINATED:
        raise errors.RemoteProtocolError(f"{message} comes too late: this process is being terminated here")
    return Step(state, after, withdrawn=intent is not None)


def _met(message: str, intent: str | None, *, retry_after_s: float = 1) -> errors.ConflictError:
    """Say that a message met ours; what gives way comes again later than what it gives way to."""
    return errors.ConflictError(
        f"{message} met our message that leads to {intent}, which is on its way; send it again later",
        retry_after_s=retry_after_s,
    )


def move(kind: str, state: str | None, intent: str | None, message: str, role: str) -> str:
    """Return the state that our own `message` will lead to.

    Raises:
        LocalProtocolError: not allowed now, or another message of ours is still on its way.
    """
    ends = message == machine.TERMINATIONS[kind]
    if intent is not None and not ends:
        raise errors.LocalProtocolError(f"a message that leads to {intent} is still on its way; wait for it")
    try:
        return machine.apply(kind, intent or state, message, role)
    except errors.ProtocolError as error:
        raise errors.LocalProtocolError(error.message) from None
