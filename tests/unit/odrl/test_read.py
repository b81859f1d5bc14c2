import pytest

from comity import errors
from comity.odrl import model, policy, read

ATOMIC = {"leftOperand": "count", "operator": "eq", "rightOperand": "3"}


def permit(*constraints):
    return {"@id": "urn:p", "permission": [{"action": "use", "constraint": list(constraints)}]}


PLAIN = {
    "@id": "urn:p",
    "@type": "Offer",
    "target": "urn:a",
    "assigner": "did:web:a",
    "assignee": "did:web:b",
    "timestamp": "2026-01-01T00:00:00Z",
    "profile": ["urn:profile"],
    "permission": [{"action": "use", "constraint": [ATOMIC, {"or": [ATOMIC]}]}],
    "prohibition": [{"action": "distribute"}],
    "obligation": [{"action": "delete"}],
}
IRI = "http://www.w3.org/ns/odrl/2/"
SPELLED = {
    "@context": {"odrl": IRI},
    "uid": "urn:p",
    "@type": ["odrl:Offer"],
    "odrl:target": {"@id": "urn:a"},
    IRI + "assigner": [{"@id": "did:web:a"}],
    "odrl:assignee": {"@value": "did:web:b"},
    "timestamp": {"@value": "2026-01-01T00:00:00Z"},
    "odrl:profile": {"@id": "urn:profile"},
    "odrl:permission": {
        "@type": "odrl:Permission",
        "odrl:target": {"@id": "urn:a"},
        "odrl:action": [{"odrl:type": {"@id": "odrl:use"}}],
        "odrl:constraint": {
            "@list": [
                {
                    "@type": "AtomicConstraint",
                    "odrl:leftOperand": {"@id": IRI + "count"},
                    "odrl:operator": {"@id": "odrl:eq"},
                    "odrl:rightOperand": 3,
                },
                {
                    "@type": "LogicalConstraint",
                    "odrl:or": {
                        "@set": [{**ATOMIC, "operator": "odrl:eq", "rightOperand": "3", "dct:x": None}]
                    },
                },
            ]
        },
    },
    "prohibition": {"action": {"type": "distribute"}, "constraint": None},
    "obligation": {"action": "delete", "constraint": []},
}


def test_every_spelling_is_read_as_the_plain_one():
    assert model.format(model.parse(SPELLED)) == model.format(model.parse(PLAIN))


def test_the_members_are_read():
    found = model.parse(PLAIN)
    assert (found.id, found.type, found.target) == ("urn:p", "Offer", "urn:a")
    assert (found.assigner, found.assignee) == ("did:web:a", "did:web:b")
    assert (found.timestamp, found.profile) == ("2026-01-01T00:00:00Z", ("urn:profile",))
    assert found.source is PLAIN
    assert [rule.action for rule in found.permission + found.prohibition] == ["use", "distribute"]
    assert found.permission[0].constraints[0].path == "$.permission[0].constraint[0]"
    assert found.unknown == ()


def test_an_empty_policy_is_read():
    assert model.parse({}).permission == ()


def refusal(json):
    with pytest.raises(errors.InvalidInputError) as caught:
        model.parse(json)
    assert caught.value.message.endswith(".")
    return caught.value


P = "$.permission[0]"
C = f"{P}.constraint[0]"


@pytest.mark.parametrize(
    ("json", "path"),
    [
        ([], "$"),
        (None, "$"),
        ({"@id": 5}, "$.@id"),
        ({"@id": ""}, "$.@id"),
        ({"target": ["a", "b"]}, "$.target"),
        ({"target": {"@id": {"@id": {"@id": {"@id": {"@id": "a"}}}}}}, "$.target"),
        ({"profile": [True]}, "$.profile[0]"),
        ({"permission": "use"}, P),
        ({"permission": [{"action": "use"}, 5]}, "$.permission[1]"),
        ({"permission": [], "odrl:permission": []}, "$.permission"),
        ({"permission": {}}, f"{P}.action"),
        ({"prohibition": {"action": None}}, "$.prohibition[0].action"),
        ({"obligation": {"action": ""}}, "$.obligation[0].action"),
        ({"permission": {"action": ["use", "read"]}}, f"{P}.action"),
        ({"permission": {"action": {"@id": "use", "refinement": []}}}, f"{P}.action"),
        ({"permission": {"action": {"value": "use"}}}, f"{P}.action"),
        ({"permission": {"action": "use", "@type": 5}}, f"{P}.@type"),
        ({"permission": {"action": "use", "target": 5}, "target": "a"}, f"{P}.target"),
        (permit("count lt 5"), C),
        (permit({}), f"{C}.leftOperand"),
        (permit({"leftOperand": "count", "operator": "eq"}), f"{C}.rightOperand"),
        (permit({**ATOMIC, "operator": None}), f"{C}.operator"),
        (permit({**ATOMIC, "leftOperand": 5}), f"{C}.leftOperand"),
        (permit({**ATOMIC, "rightOperand": [["a"]]}), f"{C}.rightOperand"),
        (permit({"and": [], "or": []}), C),
        (permit({**ATOMIC, "or": []}), C),
        (permit({"or": [ATOMIC, {"xone": ["x"]}]}), f"{C}.or[1].xone[0]"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(json, path):
    assert refusal(json).path == path


@pytest.mark.parametrize(
    ("value", "word"),
    [("x", "a string"), ([], "an array"), (True, "true or false"), (5, "a number"), (2.5, "a number")],
)
def test_the_refusal_says_what_was_found(value, word):
    assert refusal({"permission": [{"action": "use"}, value]}).message.endswith(f"not {word}.") or value == []


@pytest.mark.parametrize(
    ("value", "word"), [("", "an empty string"), ({}, "an object"), ([None], "nothing"), ([], "an array")]
)
def test_the_refusal_of_a_name_says_what_was_found(value, word):
    assert refusal({"permission": {"action": value}}).message.endswith(f"not {word}.")


def nested(depth):
    constraint = ATOMIC
    for _ in range(depth - 1):
        constraint = {"and": [constraint]}
    return permit(constraint)


def test_the_deepest_allowed_policy_is_read_and_one_deeper_is_not():
    model.parse(nested(model.MAX_DEPTH))
    assert "16 deep" in refusal(nested(model.MAX_DEPTH + 1)).message


def test_absurd_depth_is_refused_like_any_other():
    assert "16 deep" in refusal(nested(10_000)).message


def test_absurd_depth_around_a_name_is_refused():
    name = "use"
    for _ in range(10_000):
        name = {"@id": name}
    assert refusal({"permission": {"action": name}}).path == "$.permission[0].action"


def test_the_largest_allowed_policy_is_read_and_one_constraint_more_is_not():
    model.parse(permit(*[ATOMIC] * model.MAX_CONSTRAINTS))
    inner = {"or": [ATOMIC] * model.MAX_CONSTRAINTS}
    assert refusal(permit(inner)).path == "$.permission[0].constraint[0].or[499]"


def test_too_many_rules_are_refused():
    rule = {"action": "use"}
    model.parse({"prohibition": [rule] * read.MAX_RULES})
    assert refusal({"prohibition": [rule] * (read.MAX_RULES + 1)}).path == "$.prohibition"


def test_too_many_values_are_refused_over_all_constraints():
    most = {**ATOMIC, "rightOperand": ["1"] * read.MAX_VALUES}
    model.parse(permit(most))
    one = {**ATOMIC, "rightOperand": ["1"]}
    assert refusal(permit(most, one)).path == "$.permission[0].constraint[1].rightOperand"


@pytest.mark.parametrize(
    ("right", "text"),
    [
        ("3", "count eq 3"),
        ({"@id": "urn:x"}, "count eq urn:x"),
        ({"strange": 1}, "count eq {..}"),
        ({"@value": {"strange": 1}}, "count eq {..}"),
        (list("abcdefghij"), "count eq [a, b, c, d, e, f, g, h, i, j]"),
        (list("abcdefghijk"), "count eq [a, b, c, d, e, f, g, h, i, j, ..]"),
        (["a", {"@id": "b"}], "count eq [a, b]"),
    ],
)
def test_a_constraint_is_described_for_people(right, text):
    constraint = model.parse(permit({**ATOMIC, "rightOperand": right})).permission[0].constraints[0]
    assert policy.describe(constraint) == text
