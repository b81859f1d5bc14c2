"""What people have to approve, who may, and whether enough of them have: a rule, what it needs, what was decided.

People are the names of API keys. A rule stands at an offer or at a partner; where both have one, both need to be met.
Four eyes are two different people, neither of them who asked: who wrote the offer, or who began the negotiation here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct

from comity import errors
from comity.management import names, wire

Document = dict[str, Any]
WAITING, APPROVED, REFUSED, EXPIRED, WITHDRAWN = "WAITING", "APPROVED", "REFUSED", "EXPIRED", "WITHDRAWN"
STATES = (WAITING, APPROVED, REFUSED, EXPIRED, WITHDRAWN)
DAY_S = 24 * 3600
WITHIN_S = 3 * DAY_S
LONGEST_S = 365 * DAY_S
MOST_PEOPLE = 50
FOUR_EYES = 2
MAX_REASON = 1000
FIELDS = ("state", "contractNegotiationId", "counterPartyId", "assetId", "dueAt", "createdAt")


class Rule(Struct, frozen=True, rename="camel"):
    """Who may approve, whether it takes two of them, and how long they have."""

    approvers: tuple[str, ...]
    four_eyes: bool = False
    within_seconds: int = WITHIN_S


class Wanted(Struct, frozen=True):
    """A rule that applies, and the API key of who wrote the offer that has it."""

    rule: Rule
    written_by: str = ""


class Need(Struct, frozen=True, rename="camel"):
    """How many of which people have to approve; `not_by` asked for it, and is none of four eyes."""

    approvers: tuple[str, ...]
    people: int = 1
    not_by: tuple[str, ...] = ()

    @property
    def may(self) -> tuple[str, ...]:
        """Who may approve."""
        return tuple(each for each in self.approvers if each not in self.not_by)


class Decision(Struct, frozen=True, rename="camel"):
    """What a person said, and why; `at` in ms."""

    by: str
    approved: bool
    reason: str
    at: int


def need(rule: Rule, asked_by: Iterable[str]) -> Need:
    """Return what a rule needs where these people asked."""
    if not rule.four_eyes:
        return Need(rule.approvers)
    return Need(rule.approvers, FOUR_EYES, tuple(sorted({each for each in asked_by if each})))


def read(body: Document) -> Rule | None:
    """Read the member `approval` of an offer or a partner; None where it is absent or says nothing.

    Raises:
        InvalidInputError: with the place of what is wrong.
    """
    said = wire.mapping(body, "approval")
    if not said:
        return None
    path = "$.approval"
    approvers = wire.texts(said, "approvers", path=path)
    if not 0 < len(approvers) <= MOST_PEOPLE or len(set(approvers)) != len(approvers):
        raise errors.InvalidInputError(
            f"approvers must be 1 to {MOST_PEOPLE} different names of API keys", path=f"{path}.approvers"
        )
    within_s = names.get(said, "withinSeconds", WITHIN_S)
    if isinstance(within_s, bool) or not isinstance(within_s, int) or not 0 < within_s <= LONGEST_S:
        raise errors.InvalidInputError(
            f"withinSeconds must be a number from 1 to {LONGEST_S}", path=f"{path}.withinSeconds"
        )
    return Rule(tuple(approvers), wire.flag(said, "fourEyes", path=path), within_s)


def check(rule: Rule, known: Iterable[str], written_by: str = "") -> None:
    """Refuse a rule that nobody could meet; `known` are the names of the API keys whose role lets them approve.

    Raises:
        InvalidInputError: it names somebody who is not known, or leaves too few for four eyes.
    """
    strangers = sorted(set(rule.approvers) - set(known))
    if strangers:
        raise errors.InvalidInputError(
            f"there is no API key {strangers[0]} that may approve",
            path="$.approval.approvers",
            hint="make one with: comity apikey add NAME --role approver",
        )
    needed = need(rule, [written_by])
    if len(needed.may) < needed.people:
        but = f" beside {written_by}, who writes this" if written_by in rule.approvers else ""
        raise errors.InvalidInputError(
            f"four eyes need two different people{but}", path="$.approval.approvers"
        )


def document(rule: Rule | None) -> Document:
    """Return a rule as it is kept and shown, empty where there is none."""
    return {} if rule is None else msgspec.to_builtins(rule)


def stored(kept: Document) -> Rule | None:
    """Return a rule that was kept."""
    return msgspec.convert(kept, Rule) if kept else None


def missing(needs: Iterable[Need], decisions: Sequence[Decision]) -> list[tuple[int, tuple[str, ...]]]:
    """Return for each need that is not met how many more have to approve, and who of those may that have not yet."""
    given = {each.by for each in decisions if each.approved}
    left = [(each.people - len(given.intersection(each.may)), each.may) for each in needs]
    return [(more, tuple(name for name in may if name not in given)) for more, may in left if more > 0]


def check_person(needs: Sequence[Need], decisions: Sequence[Decision], person: str) -> None:
    """Refuse a decision of somebody who may not make it.

    Raises:
        PolicyError: the person is not named, or asked for it.
        ConflictError: the person has decided already.
    """
    if not person:
        raise errors.PolicyError(
            "the key of the data folder is no person's: who decides needs an API key of their own",
            hint="comity apikey add NAME --role approver makes one; give it in COMITY_API_KEY",
        )
    before = next((each for each in decisions if each.by == person), None)
    if before is not None:
        said = "approved" if before.approved else "refused"
        raise errors.ConflictError(f"{person} has {said} it already, and nobody decides twice")
    if any(person in each.may for each in needs):
        return
    if any(person in each.not_by for each in needs):
        raise errors.PolicyError(f"{person} asked for it, and is none of the four eyes")
    raise errors.PolicyError(f"{person} is not one of those who may approve it")


def waits_for(shown: Document) -> str:
    """Return in a sentence for whom an approval waits, as `show` wrote it; empty if for nobody."""
    if shown.get("state") != WAITING:
        return ""
    parts = [
        f"{each['people']} more approval{'s' if each['people'] != 1 else ''} by {', '.join(each['approvers'])}"
        for each in shown.get("missing") or []
    ]
    return f"waits for {' and '.join(parts)} until {moment(shown['dueAt'])}"


def moment(at: int) -> str:
    """Return a time in ms as a person reads it everywhere: in UTC."""
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def show(  # noqa: PLR0913  an approval has these members
    name: str,
    *,
    negotiation_id: str,
    counterparty_id: str,
    asset_id: str,
    needs: Sequence[Need],
    move: str,
    decisions: Sequence[Decision],
    state: str,
    due_at: int,
    created_at: int,
) -> Document:
    """Write an approval; `missing` is what it still waits for, and `waitsFor` says it in a sentence."""
    lacking = missing(needs, decisions) if state == WAITING else []
    shown = wire.document(
        "Approval",
        name,
        contractNegotiationId=negotiation_id,
        counterPartyId=counterparty_id,
        assetId=asset_id,
        state=state,
        move=move,
        needs=[msgspec.to_builtins(each) for each in needs],
        missing=[{"people": more, "approvers": list(may)} for more, may in lacking],
        decisions=[msgspec.to_builtins(each) for each in decisions],
        dueAt=due_at,
        createdAt=created_at,
    )
    sentence = waits_for(shown)
    return {**shown, "waitsFor": sentence} if sentence else shown
