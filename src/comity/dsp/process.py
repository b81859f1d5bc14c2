"""What a negotiation and a transfer have in common: two parties, one state, and moves that are on their way.

Pure decisions over one record: is this message a step, a repeat or an error, and which state follows. A move of ours
that the partner has not acknowledged yet is an *intent* (an open row in the outbox, not a state): the partner's next
message may arrive before the acknowledgement is recorded, and then counts as the acknowledgement. Source: Dataspace
Protocol 2025-1, state machines; the race is discussed upstream as issue 32 of the specification.
"""

from __future__ import annotations

from msgspec import Struct

from comity import errors
from comity.dsp import machine, terms


class Party(Struct, frozen=True, kw_only=True):
    """The other side of a process: who, where its messages go, and its own id for the process once known."""

    id: str
    address: str
    pid: str | None


class Step(Struct, frozen=True):
    """The effect of a received message: the state it left, the state it leads to, and what became of our open intent.

    `implied` is True when the message shows that the partner has our intent; `withdrawn` when it overtook it.
    """

    before: str | None
    after: str
    implied: bool = False
    withdrawn: bool = False


def receive(kind: str, state: str | None, intent: str | None, message: str, sender: str) -> Step:
    """Return what `message` from `sender` does to a process in `state` with an open `intent` (a state, or None).

    Our own end of a process is not undone: only an end may overtake it, and only a termination a termination.

    Raises:
        RemoteProtocolError: the message is legal neither before nor after our intent, or would undo our termination.
        ConflictError: our completion is on its way; a partner that sends again finds it there.
    """
    table = machine.TABLES[kind]
    # whether the partner has our message does not matter once it ends the process
    if table.get((state, message, sender)) == terms.TERMINATED:
        return Step(state, terms.TERMINATED, withdrawn=intent is not None)
    if intent is not None and (intent, message, sender) in table:
        return Step(intent, table[(intent, message, sender)], implied=True)
    if (state, message, sender) not in table:
        raise errors.RemoteProtocolError(machine.refusal(kind, intent or state, message, sender))
    after = table[(state, message, sender)]
    if intent == terms.COMPLETED and after not in machine.TERMINAL:
        raise errors.ConflictError(f"{message} met our completion, which is on its way; send it again later")
    if intent == terms.TERMINATED:
        raise errors.RemoteProtocolError(f"{message} comes too late: this process is being terminated here")
    return Step(state, after, withdrawn=intent is not None)


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
