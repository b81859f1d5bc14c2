import copy

import pytest

from comity import errors
from comity.odrl import compare, model


def atomic(left, operator, right, **more):
    return {"leftOperand": left, "operator": operator, "rightOperand": right, **more}


A, B, C = (atomic("count", "eq", text) for text in "123")
POLICY = {
    "permission": [
        {"action": "use", "constraint": [atomic("recipient", "isAnyOf", ["x", "y"]), {"or": [A, B]}]},
        {"action": "read", "constraint": [{"andSequence": [A, B]}]},
    ],
    "prohibition": [{"action": "distribute"}],
    "profile": ["urn:1", "urn:2"],
}


def permit(*constraints, **more):
    return {"permission": [{"action": "use", "constraint": list(constraints), **more}]}


def found(left, right):
    differences = compare.differences(left, right)
    assert compare.same(left, right) is (not differences)
    assert compare.same(right, left) is (not differences)
    assert (compare.canonical(left) == compare.canonical(right)) is (not differences)
    return differences


def test_a_policy_is_the_same_as_itself():
    assert found(POLICY, copy.deepcopy(POLICY)) == ()


def test_ids_parties_and_context_are_not_terms():
    assert found(POLICY, {"@id": "x", "target": "y", "@context": ["z"], **POLICY}) == ()


def test_parsed_policies_compare_like_their_json():
    assert found(model.parse(POLICY), POLICY) == ()
    other = {**POLICY, "profile": "urn:1"}
    assert compare.differences(model.parse(POLICY), model.parse(other)) == found(POLICY, other)


def test_order_that_means_nothing_does_not_matter():
    use, read = POLICY["permission"]
    recipient, either = use["constraint"]
    shuffled = {
        "profile": ["urn:2", "urn:1"],
        "prohibition": POLICY["prohibition"],
        "permission": [
            read,
            {
                "constraint": [{"or": [B, A]}, {**recipient, "rightOperand": ["y", "x"]}],
                "action": "use",
            },
        ],
    }
    assert either["or"] == [A, B]
    assert found(POLICY, shuffled) == ()


@pytest.mark.parametrize("operator", ["and", "or", "xone"])
def test_the_order_of_logical_members_does_not_matter(operator):
    assert found(permit({operator: [A, B]}), permit({operator: [B, A]})) == ()


def test_the_order_of_a_sequence_matters():
    differences = found(permit({"andSequence": [A, B]}), permit({"andSequence": [B, A]}))
    path = "$.permission[0].constraint[0].andSequence"
    assert [item.path for item in differences] == [f"{path}[0].rightOperand", f"{path}[1].rightOperand"]


def test_only_the_members_of_a_sequence_that_differ_are_named():
    differences = found(permit({"andSequence": [A, B]}), permit({"andSequence": [A, C]}))
    assert [item.path for item in differences] == [
        "$.permission[0].constraint[0].andSequence[1].rightOperand"
    ]


def test_a_sequence_may_differ_in_length():
    path = "$.permission[0].constraint[0].andSequence[1]"
    longer, shorter = permit({"andSequence": [A, B]}), permit({"andSequence": [A]})
    assert found(longer, shorter) == (compare.Difference(path, B, None, ("count eq 2", "")),)
    assert found(shorter, longer) == (compare.Difference(path, None, B, ("", "count eq 2")),)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (permit(A), {"odrl:permission": {"odrl:action": {"@id": "odrl:use"}, "odrl:constraint": A}}),
        (permit(), {"permission": {"action": "use"}, "prohibition": [], "obligation": None, "profile": []}),
        (permit(A), permit({**A, "rightOperand": 1})),
        (permit(A), permit({**A, "rightOperand": ["1"]})),
        (permit(A), permit({**A, "rightOperand": {"@value": "1"}})),
        (permit(A), permit({**A, "operator": {"@id": "odrl:eq"}, "@type": "Constraint"})),
        ({**permit(), "profile": "a"}, {**permit(), "odrl:profile": [{"@id": "a"}]}),
        (
            permit({**A, "rightOperand": {"@value": "1", "@type": "xs:int"}}),
            permit({**A, "rightOperand": {"@value": 1, "@type": "http://www.w3.org/2001/XMLSchema#int"}}),
        ),
        ({**permit(), "target": "a"}, {**permit(target="a"), "target": "a"}),
    ],
)
def test_spelling_does_not_matter(left, right):
    assert found(left, right) == ()


P = "$.permission[0]"
K = f"{P}.constraint[0]"


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (permit(A), {"permission": {"action": "read", "constraint": A}}, [(f"{P}.action", "use", "read")]),
        (permit(A), permit(B), [(f"{K}.rightOperand", "1", "2")]),
        (permit(A), permit({**A, "operator": "neq"}), [(f"{K}.operator", "eq", "neq")]),
        (permit(A), permit({**A, "leftOperand": "x"}), [(f"{K}.leftOperand", "count", "x")]),
        (permit(A), permit({**A, "unit": "h"}), [(f"{K}.unit", None, "h")]),
        (permit(A), permit(A, duty=5), [(f"{P}.duty", None, 5)]),
        (permit(A, duty=5), permit(B, duty=5), [(f"{K}.rightOperand", "1", "2")]),
        (permit(A), permit(A, A), [(f"{P}.constraint[1]", None, A)]),
        (permit(A, B), permit(B), [(K, A, None)]),
        (permit({"or": [A, B]}), permit({"or": [A, C]}), [(f"{K}.or[1].rightOperand", "2", "3")]),
        (permit({"or": [A], "x:y": 1}), permit({"or": [A], "x:y": 2}), [(f"{K}.x:y", 1, 2)]),
        (permit({"or": [A]}), permit({"and": [A]}), [(K, {"or": [A]}, {"and": [A]})]),
        (permit({"or": [A]}), permit(A), [(K, {"or": [A]}, A)]),
        (permit(A), permit({"or": [A]}), [(K, A, {"or": [A]})]),
        (permit(), {**permit(), "profile": "a"}, [("$.profile", None, ["a"])]),
        (
            {**permit(), "profile": ["a", "a"]},
            {**permit(), "profile": "a"},
            [("$.profile", ["a", "a"], ["a"])],
        ),
        (
            permit({**A, "rightOperand": ["1", "2"]}),
            permit({**A, "rightOperand": ["1", "2", "2"]}),
            [(f"{K}.rightOperand", ["1", "2"], ["1", "2", "2"])],
        ),
        (
            permit(),
            {**permit(), "obligation": {"action": "delete"}},
            [("$.obligation[0]", None, {"action": "delete", "constraint": []})],
        ),
        (
            {**permit(), "prohibition": {"action": "x"}},
            permit(),
            [("$.prohibition[0]", {"action": "x", "constraint": []}, None)],
        ),
    ],
)
def test_each_difference_is_named_with_its_place(left, right, expected):
    assert [(item.path, item.left, item.right) for item in found(left, right)] == expected


def test_terms_are_compared_with_those_about_the_same_thing():
    recipient, until = atomic("recipient", "isAnyOf", ["x", "y"]), atomic("dateTime", "lteq", "2027-12-31")
    later = atomic("dateTime", "lteq", "2030-01-01")
    assert found(permit(recipient, until), permit(later)) == (
        compare.Difference(K, recipient, None, ("recipient isAnyOf [x, y]", "")),
        compare.Difference(
            f"{P}.constraint[1].rightOperand",
            "2027-12-31",
            "2030-01-01",
            ("dateTime lteq 2027-12-31", "dateTime lteq 2030-01-01"),
        ),
    )
    assert [each.terms for each in found(permit(recipient), permit(later))] == [
        ("recipient isAnyOf [x, y]", ""),
        ("", "dateTime lteq 2030-01-01"),
    ]


def test_of_two_terms_about_the_same_thing_the_one_with_the_same_operator_is_compared():
    begin, end = atomic("dateTime", "gteq", "2026-01-01"), atomic("dateTime", "lteq", "2027-12-31")
    later = {**end, "rightOperand": "2030-01-01"}
    assert [each.path for each in found(permit(begin, end), permit(later))] == [
        K,
        f"{P}.constraint[1].rightOperand",
    ]


def test_rules_are_compared_with_those_of_the_same_action():
    read, use = {"action": "read", "constraint": [A]}, {"action": "use", "constraint": [A]}
    less = {"permission": [{**use, "constraint": [B]}]}
    assert [(each.path, each.right) for each in found({"permission": [read, use]}, less)] == [
        (P, None),
        ("$.permission[1].constraint[0].rightOperand", "2"),
    ]


def test_how_often_a_rule_is_given_counts():
    rule = permit(A)["permission"][0]
    assert found({"permission": [rule, rule]}, {"permission": [rule]}) != ()
    assert found({"permission": [rule, rule]}, {"permission": [copy.deepcopy(rule), rule]}) == ()


def test_true_is_not_one():
    assert found(permit({**A, "rightOperand": 1}), permit({**A, "rightOperand": True})) != ()
    assert found(permit(A, **{"x:y": 1}), permit(A, **{"x:y": True})) != ()


def test_a_datatype_is_part_of_the_terms():
    assert found(permit(A), permit({**A, "rightOperand": {"@value": "1", "@type": "xsd:integer"}})) != ()


def test_a_party_in_a_rule_means_what_the_policy_around_it_says():
    one, other = {**permit(target="a"), "target": "a"}, {**permit(target="a"), "target": "b"}
    assert [item.path for item in found(one, other)] == ["$.permission[0].target"]


def deep():
    value = []
    for _ in range(100_000):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value", [deep(), object(), 10**5000, "\ud800"], ids=["deep", "object", "huge", "surrogate"]
)
def test_what_is_not_json_is_refused_with_its_place(value):
    with pytest.raises(errors.InvalidInputError) as caught:
        compare.differences(permit(**{"x:y": value}), permit())
    assert caught.value.path == "$.permission[0]"


def test_what_is_not_json_is_refused_in_a_digest():
    with pytest.raises(errors.InvalidInputError):
        compare.canonical({**permit(), "profile": "\ud800"})


def test_what_is_no_policy_is_refused():
    with pytest.raises(errors.InvalidInputError) as caught:
        compare.differences(permit(), {"permission": "use"})
    assert caught.value.path == "$.permission[0]"


def test_the_digest_form_is_pinned():
    assert compare.canonical({**permit(B, A), "@id": "x", "profile": ["b", "a"]}) == (
        b'{"permission":[{"action":"use","constraint":['
        b'{"leftOperand":"count","operator":"eq","rightOperand":"1"},'
        b'{"leftOperand":"count","operator":"eq","rightOperand":"2"}]}],"profile":["a","b"]}'
    )


@pytest.mark.parametrize(
    ("left", "right", "said"),
    [
        (
            permit(A),
            permit(B),
            f"{K}.rightOperand differs from the offer: offered is count eq 1, asked count eq 2",
        ),
        (permit(A), permit(), f"{K} differs from the offer: offered is count eq 1, asked nothing"),
        (permit(), permit(A), f"{K} differs from the offer: offered is nothing, asked count eq 1"),
        (
            permit({"or": [A, B]}),
            permit(A),
            f"{K} differs from the offer: offered is or(count eq 1; count eq 2), asked count eq 1",
        ),
        (
            permit(),
            {"permission": {"action": "read"}},
            f"{P}.action differs from the offer: offered is permission use, asked permission read",
        ),
        (
            permit(A),
            permit(A, unit="h"),
            f'{P}.unit differs from the offer: offered is nothing, asked unit "h"',
        ),
        (
            {**permit(), "profile": "a"},
            permit(),
            "$.profile differs from the offer: offered is a, asked nothing",
        ),
        (
            {**permit(), "prohibition": [{"action": "distribute"}]},
            permit(),
            "$.prohibition[0] differs from the offer: offered is prohibition distribute, asked nothing",
        ),
    ],
)
def test_a_difference_is_said_with_the_terms_of_both_sides(left, right, said):
    assert compare.sentences(left, right, a_says="offered is", b_says="asked") == (said,)


def test_of_many_differences_the_first_are_said():
    many = permit(*({**A, "rightOperand": str(each)} for each in range(10, 30)))
    said = compare.sentences(many, permit(), a_says="offered is", b_says="asked")
    assert len(said) == compare.MAX_SAID + 1
    assert said[-1] == "and 10 more"
