"""Of every policy: order and spelling change nothing, other changes are seen, nothing unknown allows."""

import copy
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from comity import errors
from comity.odrl import compare, enforcement, evaluate, explain, model, operands, vocabulary

WORDS = st.sampled_from(["active", "a", "b", "did:web:a", "urn:x", "é", "2027-12-31", "3"])
OPERATORS = st.sampled_from(sorted(vocabulary.OPERATORS))
OPERANDS = st.sampled_from([*operands.names(), "x:membership"])
RIGHTS = st.one_of(
    WORDS,
    st.lists(WORDS, min_size=2, max_size=3, unique=True),
    st.builds(lambda word: {"@value": word, "@type": "xsd:date"}, WORDS),
)
ATOMIC = st.fixed_dictionaries({"leftOperand": OPERANDS, "operator": OPERATORS, "rightOperand": RIGHTS})
CONSTRAINTS = st.recursive(
    ATOMIC,
    lambda inner: st.builds(
        lambda operator, members: {operator: members},
        st.sampled_from(vocabulary.LOGICAL),
        st.lists(inner, max_size=3),
    ),
    max_leaves=6,
)
DUTIES = st.fixed_dictionaries(
    {"action": st.sampled_from(["delete", "inform", "use", "x:act"])},
    optional={"constraint": st.lists(CONSTRAINTS, max_size=2)},
)
RULES = st.fixed_dictionaries(
    {"action": st.sampled_from(["use", "access", "read", "distribute", "x:act"])},
    optional={"constraint": st.lists(CONSTRAINTS, max_size=3)},
)
POLICIES = st.fixed_dictionaries(
    {"@id": st.just("urn:p"), "permission": st.lists(RULES, min_size=1, max_size=3)},
    optional={
        "prohibition": st.lists(RULES, max_size=2),
        "obligation": st.lists(DUTIES, max_size=1),
        "profile": st.lists(WORDS, max_size=2),
    },
)
FACTS = st.fixed_dictionaries(
    {},
    optional={
        "recipient": WORDS,
        "purpose": st.one_of(WORDS, st.sets(WORDS)),
        "spatial": WORDS,
        "count": st.integers(0, 5),
        "dateTime": st.datetimes(timezones=st.just(UTC)),
        "elapsedTime": st.timedeltas(min_value=timedelta(0)),
        "comity:personNationality": st.one_of(WORDS, st.just(evaluate.ELSEWHERE)),
        "Membership": st.just("active"),
    },
)
KEYS = ("@id", "@type", "@value", "@list", "odrl:action", "action", "permission", "x:y", "z", "")
KEYS += ("constraint", "leftOperand", "operator", "rightOperand", "or", "and")
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), WORDS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


def shuffled(value, random, key=""):
    """Turn around whatever has an order without a meaning."""
    if isinstance(value, dict):
        names = list(value)
        random.shuffle(names)
        return {name: shuffled(value[name], random, name) for name in names}
    if isinstance(value, list):
        items = [shuffled(item, random) for item in value]
        if key != "andSequence":
            random.shuffle(items)
        return items
    return value


def respelled(value, random, key=""):
    """Write the same thing as another connector might."""
    if isinstance(value, dict) and "@value" not in value:
        renamed = {}
        for name, member in value.items():
            prefix = (
                "" if name.startswith("@") else random.choice(["", "odrl:", "http://www.w3.org/ns/odrl/2/"])
            )
            renamed[prefix + name] = respelled(member, random, name)
        return renamed
    if isinstance(value, list):
        items = [respelled(item, random, key) for item in value]
        return items[0] if len(items) == 1 and random.random() < 0.5 else items
    if key in ("action", "leftOperand", "operator") and ":" not in value:
        return {"@id": "odrl:" + value} if random.random() < 0.5 else "odrl:" + value
    if key == "rightOperand" and isinstance(value, str) and random.random() < 0.5:
        return {"@value": value}
    return value


def leaves(value, place=()):
    if isinstance(value, dict):
        for name, member in value.items():
            yield from leaves(member, (*place, name))
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from leaves(member, (*place, index))
    else:
        yield place


def changed(policy, place):
    """Return a copy with another word at one leaf, one that stands nowhere else."""
    found = copy.deepcopy(policy)
    inner = found
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] += "-changed"
    return found


@given(POLICIES, st.randoms(use_true_random=False))
def test_order_changes_nothing(policy, random):
    other = shuffled(policy, random)
    assert compare.differences(policy, other) == ()
    assert compare.same(policy, other)
    assert compare.canonical(policy) == compare.canonical(other)


@given(POLICIES, st.randoms(use_true_random=False))
def test_spelling_changes_nothing(policy, random):
    other = respelled(policy, random)
    assert compare.differences(policy, other) == ()
    assert model.format(model.parse(policy)) == model.format(model.parse(other))


@given(POLICIES, st.data())
def test_any_changed_leaf_is_one_difference_at_its_place(policy, data):
    places = [place for place in leaves(policy) if place[0] != "@id"]
    place = data.draw(st.sampled_from(places))
    found = compare.differences(policy, changed(policy, place))
    assert len(found) == 1
    assert found[0].path.startswith(f"$.{place[0]}")
    assert not compare.same(policy, changed(policy, place))


@given(POLICIES, st.data())
def test_a_rule_given_once_more_is_a_difference(policy, data):
    rule = data.draw(st.sampled_from(policy["permission"]))
    more = {**policy, "permission": [*policy["permission"], copy.deepcopy(rule)]}
    assert len(compare.differences(policy, more)) == 1
    assert len(compare.differences(more, policy)) == 1


@given(POLICIES, POLICIES)
def test_same_differences_and_digest_never_disagree(one, other):
    is_same = compare.same(one, other)
    assert is_same is (compare.differences(one, other) == ())
    assert is_same is (compare.canonical(one) == compare.canonical(other))


@given(POLICIES)
def test_what_is_written_is_the_same_and_is_written_alike_again(policy):
    written = model.format(model.parse(policy))
    assert compare.same(policy, written)
    assert model.format(model.parse(written)) == written


@given(POLICIES, FACTS, st.randoms(use_true_random=False))
def test_order_and_spelling_do_not_change_the_decision(policy, facts, random):
    decision = evaluate.evaluate(policy, facts)
    assert evaluate.evaluate(shuffled(policy, random), facts).allowed is decision.allowed
    assert evaluate.evaluate(respelled(policy, random), facts).allowed is decision.allowed


@given(POLICIES, FACTS)
def test_a_decision_has_reasons_exactly_when_it_is_no(policy, facts):
    decision = evaluate.evaluate(policy, facts)
    assert decision.allowed is not bool(decision.reasons)
    assert all(reason.isprintable() for reason in decision.reasons)


@given(POLICIES, FACTS, st.sampled_from(["recipient", "purpose", "spatial", "count", "dateTime"]))
def test_to_keep_a_fact_back_never_turns_no_into_yes(policy, facts, name):
    assume(not evaluate.evaluate(policy, facts).allowed)
    less = {key: value for key, value in facts.items() if key != name}
    assert not evaluate.evaluate(policy, less).allowed


@given(POLICIES, RULES, FACTS)
def test_a_further_prohibition_never_turns_no_into_yes(policy, rule, facts):
    assume(not evaluate.evaluate(policy, facts).allowed)
    more = {**policy, "prohibition": [*policy.get("prohibition", []), rule]}
    assert not evaluate.evaluate(more, facts).allowed


@given(CONSTRAINTS, ATOMIC, FACTS, st.data())
def test_a_word_that_becomes_unknown_in_a_prohibition_never_turns_no_into_yes(inner, atomic, facts, data):
    rule = {"action": "use", "constraint": [{"or": [atomic, inner]}]}
    policy = {"permission": {"action": "use"}, "prohibition": [rule]}
    places = [place for place in leaves(policy) if place[-1] in ("leftOperand", "operator")]
    unknown = changed(policy, data.draw(st.sampled_from(places)))
    if not evaluate.evaluate(policy, facts).allowed:
        assert not evaluate.evaluate(unknown, facts).allowed


@given(st.dictionaries(st.sampled_from(["permission", "prohibition", "profile", "@id"]), JSON), FACTS)
def test_any_json_is_decided_or_refused(policy, facts):
    try:
        decision = evaluate.evaluate(policy, facts)
        model.check(policy)
        model.format(model.parse(policy))
    except errors.InvalidInputError:
        return
    assert isinstance(decision.allowed, bool)


@given(RIGHTS | JSON, OPERANDS, OPERATORS, FACTS)
def test_any_right_operand_is_decided_or_refused(right, operand, operator, facts):
    constraint = {"leftOperand": operand, "operator": operator, "rightOperand": right}
    policy = {"permission": {"action": "use", "constraint": constraint}}
    try:
        decision = evaluate.evaluate(policy, facts)
    except errors.InvalidInputError:
        return
    known = operands.find(operand)
    stated = known is not None and (known.known_as in facts or known.elsewhere or not known.decides)
    assert stated or not decision.allowed


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_instants_are_ordered_as_python_orders_them(now, limit):
    constraint = {"leftOperand": "dateTime", "operator": "lteq", "rightOperand": limit.isoformat()}
    policy = {"permission": {"action": "use", "constraint": constraint}}
    assert evaluate.evaluate(policy, {"dateTime": now}).allowed is (now <= limit)


def test_the_first_and_the_last_day_can_be_limits():
    for day in ("0001-01-01+14:00", "9999-12-31-14:00"):
        constraint = {"leftOperand": "dateTime", "operator": "neq", "rightOperand": day}
        policy = {"permission": {"action": "use", "constraint": constraint}}
        assert evaluate.evaluate(policy, {"dateTime": datetime(2026, 1, 1, tzinfo=UTC)}).allowed


UNKNOWN = st.sampled_from(["x:mood", "Mood", "odrl:industry", "comity:mood", "cx-policy:Mood"])


@given(POLICIES, UNKNOWN, OPERATORS, RIGHTS, FACTS, st.booleans())
def test_a_term_that_nothing_is_known_of_never_turns_into_a_yes(
    policy, name, operator, right, facts, everywhere
):
    unknown = {"leftOperand": name, "operator": operator, "rightOperand": right}
    limited = [
        {**rule, "constraint": [*rule.get("constraint", []), unknown]} for rule in policy["permission"]
    ]
    assert not evaluate.evaluate({**policy, "permission": limited}, facts, everywhere=everywhere).allowed
    with pytest.raises(errors.InvalidInputError):
        model.check({"permission": limited})


@given(POLICIES, DUTIES, FACTS)
def test_a_duty_never_turns_no_into_yes_and_an_unknown_one_says_no(policy, duty, facts):
    more = {**policy, "obligation": [*policy.get("obligation", []), duty]}
    if not evaluate.evaluate(policy, facts).allowed or duty["action"] == "x:act":
        assert not evaluate.evaluate(more, facts).allowed


@given(POLICIES, FACTS, st.sampled_from(["use", "access", "distribute", "x:act"]), st.booleans())
def test_what_is_explained_is_what_is_decided(policy, facts, action, everywhere):
    said = explain.explain(policy, facts, action=action, everywhere=everywhere)
    decided = evaluate.evaluate(policy, facts, action=action, everywhere=everywhere)
    assert (said.allowed, said.reasons) == (decided.allowed, decided.reasons)
    assert all(each["comity:enforced"] and each["comity:meaning"] for each in enforcement.document(policy))


@given(POLICIES, FACTS)
def test_to_decide_everywhere_is_never_more_than_to_leave_it_to_others(policy, facts):
    if evaluate.evaluate(policy, facts, everywhere=True).allowed:
        prohibited = {**policy, "prohibition": []}
        assert evaluate.evaluate(prohibited, facts).allowed
