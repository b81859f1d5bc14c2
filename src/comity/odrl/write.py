"""From a `Policy` to JSON that is valid by DSP 2025-1 contract-schema.json (Offer, MessageOffer, Agreement).

Arrays always, none of them empty, bare words, strings for numbers; rules and constraints in the order they
came in, and members that are not ours unchanged, since a partner compares an agreement with its offer
(dsp.md section 3, point 8).
"""

from __future__ import annotations

import re

import msgspec

from comity import errors
from comity.odrl import catenax, vocabulary
from comity.odrl.policy import Constraint, Logical, Policy, Rule

_TIMESTAMP = re.compile(
    r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?"
    r"(Z|[+-](0\d|1[0-3]):[0-5]\d|[+-]14:00)?",
    re.ASCII,
)
_PARTIES = ("target", "assigner", "assignee")


def format(policy: Policy) -> dict[str, object]:  # noqa: A001  text and JSON are parsed and formatted throughout
    """Write a policy: an Agreement if it is one, else an Offer (which has its target if the policy has one).

    Raises:
        InvalidInputError: it lacks what the schema asks for (`@id`, a permission or prohibition, the
            parties of an agreement) or has what the schema has no place for; `path` says where.
    """
    is_agreement = policy.type == "Agreement"
    head: dict[str, object] = {"@id": policy.id, "@type": "Agreement" if is_agreement else "Offer"}
    if not policy.id:
        raise errors.InvalidInputError("A policy that is sent needs an @id.", path="$.@id")
    for name in _PARTIES:
        value = getattr(policy, name)
        if value:
            head[name] = value
        elif is_agreement:
            raise errors.InvalidInputError(f"An agreement needs its {name}.", path=f"$.{name}")
    if policy.timestamp:
        if is_agreement and _TIMESTAMP.fullmatch(policy.timestamp) is None:
            raise errors.InvalidInputError("A timestamp is an xsd:dateTime with seconds.", path="$.timestamp")
        head["timestamp"] = policy.timestamp
    return {**policy.extra, **head, **terms(policy)}


def offer(policy: Policy, offer_id: str, target: str = "") -> dict[str, object]:
    """Write the terms as an offer: for a catalog without a target, for a message with one (a dataset's id).

    Raises:
        InvalidInputError: as `format`.
    """
    return format(
        msgspec.structs.replace(
            policy, id=offer_id, type="Offer", target=target, assigner="", assignee="", timestamp=""
        )
    )


def agreement(  # noqa: PLR0913  an agreement has these members
    policy: Policy, agreement_id: str, *, target: str, assigner: str, assignee: str, timestamp: str
) -> dict[str, object]:
    """Write the terms as an agreement from provider (assigner) to consumer; timestamp is an xsd:dateTime.

    Raises:
        InvalidInputError: as `format`.
    """
    return format(
        msgspec.structs.replace(
            policy,
            id=agreement_id,
            type="Agreement",
            target=target,
            assigner=assigner,
            assignee=assignee,
            timestamp=timestamp,
        )
    )


def terms(policy: Policy) -> dict[str, object]:
    """Write only what is agreed: permission, prohibition, obligation and profile, each where there is one.

    Raises:
        InvalidInputError: as `format`.
    """
    if not policy.permission and not policy.prohibition:
        raise errors.InvalidInputError(
            "A policy needs a permission or a prohibition.",
            path="$.permission",
            hint='To let every partner use it, write {"action": "use"} as the permission.',
        )
    found: dict[str, object] = {
        kind: [rule(each) for each in rules]
        for kind in ("permission", "prohibition", "obligation")
        if (rules := getattr(policy, kind))
    }
    if policy.profile:
        found["profile"] = policy.profile[0] if len(policy.profile) == 1 else list(policy.profile)
    return found


def rule(said: Rule) -> dict[str, object]:
    """Write one rule.

    Raises:
        InvalidInputError: as `format`.
    """
    if "target" in said.extra:
        raise errors.InvalidInputError("A rule has no target of its own in DSP.", path=f"{said.path}.target")
    action = catenax.NAMESPACE + said.action if said.action == catenax.ACCESS else said.action
    found: dict[str, object] = {**said.extra, "action": action}
    if said.constraints:
        found["constraint"] = [constraint(each) for each in said.constraints]
    return found


def constraint(said: Constraint) -> dict[str, object]:
    """Write one constraint.

    Raises:
        InvalidInputError: as `format`.
    """
    if isinstance(said, Logical):
        return {
            **said.extra,
            said.operator: [constraint(member) for member in said.members],
        }
    if said.operator not in vocabulary.SCHEMA_OPERATORS:
        raise errors.InvalidInputError("DSP has no such operator.", path=f"{said.path}.operator")
    return {
        **said.extra,
        "leftOperand": (said.known and said.known.written) or said.operand,
        "operator": said.operator,
        "rightOperand": said.right,
    }
