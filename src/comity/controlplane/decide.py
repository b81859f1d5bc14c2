"""What to do next in a negotiation or a transfer: by policy here; by a person or a script where somebody puts one.

A decision sees a case (the record after the last step, and on the provider's side what we offer and whether policy
allows it) and returns a move. It is asked after every change of state, inside the step's transaction; it must not
wait. Replace it by passing other `Decisions` to the runtime.
"""

from __future__ import annotations

import re
from typing import Any, Final, Protocol

from msgspec import Struct

from comity.dsp import terms
from comity.dsp.negotiation import Negotiation
from comity.dsp.transfer import Transfer
from comity.management import approvals

WAIT, AGREE, OFFER, REQUEST, ACCEPT, VERIFY, FINALIZE, TERMINATE = (
    "wait",
    "agree",
    "offer",
    "request",
    "accept",
    "verify",
    "finalize",
    "terminate",
)
START, SUSPEND, COMPLETE = "start", "suspend", "complete"
_TIME: Final = re.compile(r"(dateTime|elapsedTime|inForceDate) lt")
"""How the term begins that says until when."""


class Move(Struct, frozen=True, kw_only=True):
    """What to send next; `policy` for offer and request (None: our standing terms), `after_s` delays the sending."""

    kind: str = WAIT
    policy: dict[str, Any] | None = None
    reason: str = ""
    code: str | None = None
    after_s: float = 0.0


class Standing(Struct, frozen=True):
    """What the provider offers for the asset now: its rules, where the request differs, and what policy says.

    `wanted` is who has to approve it.
    """

    policy: dict[str, Any]
    differences: tuple[str, ...]
    allowed: bool
    reasons: tuple[str, ...]
    wanted: tuple[approvals.Wanted, ...] = ()


class NegotiationCase(Struct, frozen=True):
    """A negotiation after a step; `standing` is set for a provider in REQUESTED or ACCEPTED while the offer stands.

    `people` says that people have to approve a move that says yes: it is made when they have.
    """

    negotiation: Negotiation
    standing: Standing | None
    people: bool = False


class TransferCase(Struct, frozen=True):
    """A transfer after a step; `allowed` and `reasons` are what policy says of serving it now (provider)."""

    transfer: Transfer
    allowed: bool
    reasons: tuple[str, ...]


class Decisions(Protocol):
    """The replaceable part."""

    def negotiation(self, case: NegotiationCase) -> Move:
        """Return the next move in a negotiation."""

    def transfer(self, case: TransferCase) -> Move:
        """Return the next move in a transfer."""


class ByPolicy:
    """Provider: agree to our own terms where policy allows, offer them where the request differs, finalize, start.

    Consumer: verify. An offer that a provider makes to us waits for a person; it is accepted where people approve it.
    """

    def negotiation(self, case: NegotiationCase) -> Move:
        """Return the next move in a negotiation."""
        negotiation = case.negotiation
        if negotiation.role == terms.CONSUMER:
            return _consume(case)
        if negotiation.state == terms.VERIFIED:
            return Move(kind=FINALIZE)
        if negotiation.state in {terms.REQUESTED, terms.ACCEPTED}:
            return _answer(case)
        return Move()

    def transfer(self, case: TransferCase) -> Move:
        """Return the next move in a transfer."""
        transfer = case.transfer
        if transfer.role != terms.PROVIDER or transfer.state != terms.REQUESTED:
            return Move()
        if case.allowed:
            return Move(kind=START)
        return Move(kind=TERMINATE, reason=refusal(case.reasons), code="policy")


def _consume(case: NegotiationCase) -> Move:
    if case.negotiation.state == terms.AGREED:
        return Move(kind=VERIFY)
    offered = case.negotiation.state == terms.OFFERED
    return Move(kind=ACCEPT) if offered and case.people else Move()


def _answer(case: NegotiationCase) -> Move:
    standing = case.standing
    if standing is None:
        return Move(
            kind=TERMINATE, reason="this is not offered any more; ask for the catalog again", code="no-offer"
        )
    if not standing.allowed:
        return Move(kind=TERMINATE, reason=refusal(standing.reasons), code="policy")
    if not standing.differences:
        return Move(kind=AGREE)
    if case.negotiation.version == 0:
        return Move(kind=OFFER)
    reason = f"these terms are not offered: {'; '.join(standing.differences)}"
    return Move(kind=TERMINATE, reason=reason, code="terms")


def no_more(reasons: tuple[str, ...]) -> str:
    """Say of an agreement whether its time is over or another of its terms does not hold."""
    over = any(_TIME.match(each) for each in reasons)
    return "the time of the agreement is over" if over else "the agreement does not allow it now"


def refusal(reasons: tuple[str, ...]) -> str:
    """Return one sentence that tells a partner which terms failed."""
    return f"the policy does not allow it: {'; '.join(reasons) or 'no permission applies'}"
