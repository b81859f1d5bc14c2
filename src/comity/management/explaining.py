"""Questions about policies and their answers: why a partner may have something, and who could if it were otherwise.

The answers have our facts in them, so they are for our own people; what a partner is told is `odrl.evaluate`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from comity import errors
from comity.management import names, partner, policy, wire
from comity.odrl import catenax, values
from comity.odrl.explain import Explanation, Finding, RuleFinding

Document = dict[str, Any]
HIDDEN, SEEN, ALLOWED = "sees nothing", "sees it", "may have it"
ORDER = (HIDDEN, SEEN, ALLOWED)
_MICROSECONDS = 1000


class Question(Struct, frozen=True):
    """Why may this partner see and have this asset or not, at a time (None: now), for a purpose (empty: any)."""

    participant: str
    asset_id: str
    at_ms: int | None
    purpose: str


class Supposed(Struct, frozen=True):
    """What if: another policy, another time, other facts about partners, framework agreements or licences ended.

    `participant` is whose `attributes` are supposed (empty: everybody's); `policy` is None for what is offered.
    """

    asset_id: str
    policy: Document | None
    at_ms: int | None
    participant: str
    attributes: Mapping[str, Sequence[str]]
    without: frozenset[str]


class Outcome(Struct, frozen=True):
    """What becomes of a partner's wish: one of `ORDER`, and the sentence that says why."""

    kind: str
    because: str


def decode(body: Document) -> Question:
    """Read a question.

    Raises:
        InvalidInputError: with the place of what is wrong.
    """
    return Question(
        wire.text(body, "participant", required=True),
        wire.text(body, "assetId", required=True),
        _moment(body),
        wire.text(body, "purpose"),
    )


def decode_simulation(body: Document) -> Supposed:
    """Read what is supposed.

    Raises:
        InvalidInputError: with the place of what is wrong, a term of the policy that is not known among it.
    """
    return Supposed(
        wire.text(body, "assetId", required=True),
        policy.read(body) if names.get(body, "policy") is not None else None,
        _moment(body),
        wire.text(body, "participant"),
        {catenax.operand(name): said for name, said in partner.read_attributes(body).items()},
        frozenset(wire.texts(body, "without")),
    )


def _moment(body: Document) -> int | None:
    """Read a day (its end) or a time, in ms."""
    text = wire.text(body, "at")
    read = values.read_time(text) if text else None
    if text and read is None:
        raise errors.InvalidInputError(
            f"{text[:100]} is no date or time",
            path="$.at",
            hint="write 2027-12-31 (its end, UTC) or 2027-12-31T12:00:00Z",
        )
    return None if read is None else int(read[1]) // _MICROSECONDS


def encode(question: Question, at_ms: int, said: Sequence[tuple[str, Explanation]]) -> Document:
    """Write why."""
    return wire.document(
        "PolicyExplanation",
        participant=question.participant,
        assetId=question.asset_id,
        at=at_ms,
        explanations=[{"about": label, **_explanation(each)} for label, each in said],
    )


def _explanation(found: Explanation) -> Document:
    return {
        "allowed": found.allowed,
        "because": found.because,
        "reasons": list(found.reasons),
        "rules": [_rule(each) for each in found.rules],
    }


def _rule(found: RuleFinding) -> Document:
    return {
        "path": found.path,
        "rule": found.words,
        "effect": found.effect,
        "terms": [_term(each) for each in found.terms],
    }


def _term(found: Finding) -> Document:
    said = {
        "path": found.path,
        "term": found.words,
        "verdict": found.verdict,
        "fact": found.fact,
        "source": found.source,
        "enforced": found.enforced,
        "why": found.why,
    }
    return {name: value for name, value in said.items() if value}


def encode_simulation(supposed: Supposed, rows: Sequence[tuple[str, str, Outcome, Outcome]]) -> Document:
    """Write what each partner gets before and after."""
    return wire.document(
        "PolicySimulation",
        assetId=supposed.asset_id,
        partners=[
            {
                "participant": participant,
                "name": name,
                "before": _outcome(before),
                "after": _outcome(after),
                "changes": before.kind != after.kind,
            }
            for participant, name, before, after in rows
        ],
    )


def _outcome(found: Outcome) -> Document:
    return {"outcome": found.kind, "because": found.because}
