"""The two state machines of the protocol, as two tables to be read beside the specification.

Rule: everything that changes the state of a negotiation or a transfer is a row here; what is not a row is an error.
A row is (state, message, sender) -> state; the state None is "no process yet". Source: Dataspace Protocol 2025-1,
"Contract Negotiation: States / State Machine" and "Transfer Process: States / State Machine".

Two rows go beyond the diagrams, each with its reason:
- Termination is accepted from either side in every state that is not terminal: the text says so ("may be sent at any
  state"), the diagram shows less, and other connectors do it (docs/decisions).
- A provider may send a start in STARTED: when a consumer resumes a pull, only the provider's own start can carry the
  fresh data address.
"""

from __future__ import annotations

from collections.abc import Mapping

from comity import errors
from comity.dsp import terms
from comity.dsp.terms import (
    ACCEPTED,
    AGREED,
    COMPLETED,
    CONSUMER,
    FINALIZED,
    OFFERED,
    PROVIDER,
    REQUESTED,
    STARTED,
    SUSPENDED,
    TERMINATED,
    VERIFIED,
)

Table = Mapping[tuple[str | None, str, str], str]

REQUEST = "ContractRequestMessage"
OFFER = "ContractOfferMessage"
ACCEPT = "ContractNegotiationEventMessage:ACCEPTED"
AGREEMENT = "ContractAgreementMessage"
VERIFICATION = "ContractAgreementVerificationMessage"
FINALIZE = "ContractNegotiationEventMessage:FINALIZED"
NEGOTIATION_TERMINATION = "ContractNegotiationTerminationMessage"

NEGOTIATION: Table = {
    (None, REQUEST, CONSUMER): REQUESTED,
    (None, OFFER, PROVIDER): OFFERED,
    (REQUESTED, OFFER, PROVIDER): OFFERED,
    (REQUESTED, AGREEMENT, PROVIDER): AGREED,
    (REQUESTED, NEGOTIATION_TERMINATION, CONSUMER): TERMINATED,
    (REQUESTED, NEGOTIATION_TERMINATION, PROVIDER): TERMINATED,
    (OFFERED, REQUEST, CONSUMER): REQUESTED,
    (OFFERED, ACCEPT, CONSUMER): ACCEPTED,
    (OFFERED, NEGOTIATION_TERMINATION, CONSUMER): TERMINATED,
    (OFFERED, NEGOTIATION_TERMINATION, PROVIDER): TERMINATED,
    (ACCEPTED, AGREEMENT, PROVIDER): AGREED,
    (ACCEPTED, NEGOTIATION_TERMINATION, CONSUMER): TERMINATED,
    (ACCEPTED, NEGOTIATION_TERMINATION, PROVIDER): TERMINATED,
    (AGREED, VERIFICATION, CONSUMER): VERIFIED,
    (AGREED, NEGOTIATION_TERMINATION, CONSUMER): TERMINATED,
    (AGREED, NEGOTIATION_TERMINATION, PROVIDER): TERMINATED,
    (VERIFIED, FINALIZE, PROVIDER): FINALIZED,
    (VERIFIED, NEGOTIATION_TERMINATION, CONSUMER): TERMINATED,
    (VERIFIED, NEGOTIATION_TERMINATION, PROVIDER): TERMINATED,
}

TRANSFER_REQUEST = "TransferRequestMessage"
START = "TransferStartMessage"
SUSPENSION = "TransferSuspensionMessage"
COMPLETION = "TransferCompletionMessage"
TRANSFER_TERMINATION = "TransferTerminationMessage"

TRANSFER: Table = {
    (None, TRANSFER_REQUEST, CONSUMER): REQUESTED,
    (REQUESTED, START, PROVIDER): STARTED,
    (REQUESTED, TRANSFER_TERMINATION, CONSUMER): TERMINATED,
    (REQUESTED, TRANSFER_TERMINATION, PROVIDER): TERMINATED,
    (STARTED, START, PROVIDER): STARTED,
    (STARTED, SUSPENSION, CONSUMER): SUSPENDED,
    (STARTED, SUSPENSION, PROVIDER): SUSPENDED,
    (STARTED, COMPLETION, CONSUMER): COMPLETED,
    (STARTED, COMPLETION, PROVIDER): COMPLETED,
    (STARTED, TRANSFER_TERMINATION, CONSUMER): TERMINATED,
    (STARTED, TRANSFER_TERMINATION, PROVIDER): TERMINATED,
    (SUSPENDED, START, CONSUMER): STARTED,
    (SUSPENDED, START, PROVIDER): STARTED,
    (SUSPENDED, TRANSFER_TERMINATION, CONSUMER): TERMINATED,
    (SUSPENDED, TRANSFER_TERMINATION, PROVIDER): TERMINATED,
}

TABLES: Mapping[str, Table] = {terms.NEGOTIATION: NEGOTIATION, terms.TRANSFER: TRANSFER}
TERMINATIONS = {terms.NEGOTIATION: NEGOTIATION_TERMINATION, terms.TRANSFER: TRANSFER_TERMINATION}
TERMINAL = frozenset({FINALIZED, TERMINATED, COMPLETED})


def check(kind: str, state: str | None, message: str, sender: str) -> None:
    """Refuse `message` from `sender` unless the table of `kind` has a row for it in `state`.

    Raises:
        ProtocolError: names state, message and sender.
    """
    apply(kind, state, message, sender)


def apply(kind: str, state: str | None, message: str, sender: str) -> str:
    """Return the state that `message` from `sender` leads to.

    Raises:
        ProtocolError: there is no such row; callers say whether it was ours or the partner's.
    """
    following = TABLES[kind].get((state, message, sender))
    if following is None:
        raise errors.ProtocolError(refusal(kind, state, message, sender))
    return following


def refusal(kind: str, state: str | None, message: str, sender: str) -> str:
    """Say that there is no row for `message` from `sender` in `state`, and what there is."""
    now = f"in state {state}" if state else "without a process"
    may = ", ".join(allowed(kind, state, sender)) or "nothing"
    return f"{message} from the {sender} is not allowed {now}; the {sender} may send: {may}"


def allowed(kind: str, state: str | None, sender: str) -> tuple[str, ...]:
    """Return the messages that `sender` may send in `state`."""
    return tuple(message for (at, message, by) in TABLES[kind] if at == state and by == sender)
