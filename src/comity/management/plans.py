"""How a policy is evaluated here, rule by rule, without evaluating it (EDC's PolicyEvaluationPlan); and is it valid.

Nothing is ever left out of an evaluation, so nothing is `filtered`: what is not known says no. Beside EDC's members
every step has `evaluation`, one sentence that says what decides it, in which scope.
"""

from __future__ import annotations

from typing import Any

from comity import errors
from comity.management import wire
from comity.odrl import duties, model, vocabulary
from comity.odrl.policy import describe

Document = dict[str, Any]
CATALOG, NEGOTIATION, TRANSFER, MONITOR = (
    "catalog",
    "contract.negotiation",
    "transfer.process",
    "policy.monitor",
)
SCOPES = {
    CATALOG: "as an access policy, whenever the catalog, a dataset or an offer is asked for",
    NEGOTIATION: "as a contract policy, when an agreement is asked for, and again when it is accepted",
    TRANSFER: "as part of an agreement, before each start and at each request for data",
    MONITOR: "as part of an agreement, every two seconds while data flows; nothing is watched while none does",
}
PERMISSION, PROHIBITION, DUTY = "PermissionStep", "ProhibitionStep", "DutyStep"
_UNKNOWN = {
    PERMISSION: "the permission never applies",
    PROHIBITION: "ignored, the prohibition holds all the same",
    DUTY: "nothing is known of it, so it says no",
}
_COUNT_IN_CATALOG = "counted as a first use: the catalog shows what a first use is allowed"
_STEPS = {"or": "OrConstraintStep", "xone": "XoneConstraintStep"}


def decode_scope(body: Document) -> str:
    """Read a request for a plan and return the scope; one that begins like a known one is that.

    Raises:
        InvalidInputError: it is missing, or nothing is evaluated in it here.
    """
    given = wire.text(body, "policyScope", required=True)
    known = next((each for each in SCOPES if given == each or given.startswith(each + ".")), "")
    known = known or next((each for each in SCOPES if given.endswith("." + each)), "")
    if not known:
        raise errors.InvalidInputError(
            f"no policy is evaluated in the scope {given[:100]}",
            path="$.policyScope",
            hint=f"there is: {', '.join(SCOPES)}",
        )
    return known


def validate(terms: Document) -> list[str]:
    """Return why a policy could not be enforced as it is written, with the place; empty if it can."""
    try:
        model.check(model.parse(terms))
    except errors.InvalidInputError as error:
        return [f"{error.path}: {error.message}"]
    return []


def encode_validation(problems: list[str]) -> Document:
    """Write whether a policy is valid."""
    return wire.document("PolicyValidationResult", isValid=not problems, errors=problems)


def encode_plan(name: str, terms: Document, scope: str) -> Document:
    """Write how a policy is evaluated in a scope.

    Raises:
        InvalidInputError: it cannot be read any more.
    """
    parsed = model.parse(terms)
    return wire.document(
        "PolicyEvaluationPlan",
        policyDefinitionId=name,
        policyScope=scope,
        evaluation=f"evaluated {SCOPES[scope]}; a permission to use has to apply, and no prohibition",
        preValidators=_unknown(parsed),
        permissionSteps=[{**_rule(each, PERMISSION, scope), "dutySteps": []} for each in parsed.permission],
        prohibitionSteps=[_rule(each, PROHIBITION, scope) for each in parsed.prohibition],
        obligationSteps=[_obligation(each, scope) for each in parsed.obligation],
        postValidators=[],
    )


def _unknown(parsed: model.Policy) -> list[str]:
    """Return what is looked at before any rule: a member that may limit the policy in an unknown way says no."""
    return [f"unknown member {name}: always says no" for name in parsed.unknown]


def _rule(rule: model.Rule, kind: str, scope: str) -> Document:
    return {
        "@type": kind,
        "isFiltered": False,
        "filteringReasons": [],
        "ruleFunctions": [f"unknown member {name}: {_UNKNOWN[kind]}" for name in rule.unknown],
        "action": rule.action,
        "evaluation": _effect(rule, kind),
        "constraintSteps": [_constraint(each, scope) for each in rule.constraints],
    }


def _effect(rule: model.Rule, kind: str) -> str:
    if rule.action in vocabulary.ACTIONS and not vocabulary.covers(rule.action, "use"):
        return f"about {rule.action}: it does not decide about use"
    if kind == PROHIBITION:
        return "forbids, unless one of its constraints is known not to hold"
    if rule.action not in vocabulary.ACTIONS:
        return "never applies: nothing is known of its action"
    return "applies if all of its constraints are known to hold"


def _obligation(rule: model.Rule, scope: str) -> Document:
    flaw = duties.flaw(rule)
    said = f"says no: {flaw}" if flaw else "does not decide: it follows from having agreed"
    return {**_rule(rule, DUTY, scope), "evaluation": said}


def _constraint(constraint: model.Constraint, scope: str) -> Document:
    if isinstance(constraint, model.Logical):
        return {
            "@type": _STEPS.get(constraint.operator, "AndConstraintStep"),
            "evaluation": f"can never be told: {constraint.flaw}" if constraint.flaw else constraint.operator,
            "constraintSteps": [_constraint(each, scope) for each in constraint.members],
        }
    known = not constraint.flaw and constraint.known is not None
    step: Document = {
        "@type": "AtomicConstraintStep",
        "isFiltered": False,
        "filteringReasons": [],
        "functionParams": [f"'{constraint.operand}'", constraint.operator, _right(constraint)],
        "evaluation": _fact(constraint, scope)
        if known
        else f"can never be told, so it says no: {constraint.flaw}",
    }
    return {**step, "functionName": constraint.operand} if known else step


def _fact(constraint: model.Atomic, scope: str) -> str:
    if constraint.operand == "count" and scope == CATALOG:
        return _COUNT_IN_CATALOG
    known = constraint.known
    if known is None or not known.decides:
        return "not decided here: it is agreed, and does not say no"
    return f"compared with {known.source}"


def _right(constraint: model.Atomic) -> str:
    before = f"{constraint.operand} {constraint.operator} "
    return describe(constraint).removeprefix(before)
