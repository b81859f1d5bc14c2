"""The strict check: what a body of a strict version has to say, and where it does not."""

import pytest

from comity.errors import InvalidInputError
from comity.management import forms, names, strict
from comity.management.forms.form import Form, may, must, strictly

CONTEXT = "https://example.org/context"
KNOWN = {
    "Thing": Form(
        text="A thing.",
        types=("Thing", "OtherThing"),
        identified="always",
        either=("a", "b"),
        members={
            "a": may("text"),
            "b": may("text"),
            "size": must("number"),
            "said": strictly("flag"),
            "inner": may("Part"),
            "inners": may("[Part]"),
            "rules": may("rules"),
            "words": may("texts"),
            "bag": may("object"),
        },
    ),
    "Part": Form(text="A part.", types=("Part",), members={"x": must("any")}),
    "Ours": Form(text="No form of EDC's.", members={"x": must("text")}),
}
BODY = {"@context": [CONTEXT, "x"], "@type": "Thing", "@id": "1", "a": "a", "size": 1, "said": True}
PART = {"@type": "Part", "x": 0}


def check(body, name="Thing"):
    strict.check(KNOWN, name, body, CONTEXT)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"@type": "OtherThing"},
        {"unknown": None},
        {"size": 1.5, "said": False, "words": [], "bag": {}, "rules": [{}]},
        {"inner": PART, "inners": []},
        {"inners": [PART, {**PART, "x": []}]},
    ],
)
def test_a_body_that_says_what_it_is_is_taken(more):
    check({**BODY, **more})


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"@context": None}, "$.@context"),
        ({"@context": CONTEXT}, "$.@context"),
        ({"@context": []}, "$.@context"),
        ({"@context": [CONTEXT, {}]}, "$.@context"),
        ({"@type": ["Thing"]}, "$.@type"),
        ({"@type": "thing"}, "$.@type"),
        ({"@id": None}, "$.@id"),
        ({"size": "1"}, "$.size"),
        ({"size": True}, "$.size"),
        ({"said": "true"}, "$.said"),
        ({"a": {"@id": "a"}}, "$.a"),
        ({"b": "b"}, "$.b"),
        ({"inner": [PART]}, "$.inner"),
        ({"inner": {"x": 1}}, "$.inner.@type"),
        ({"inner": {**PART, "x": None}}, "$.inner.x"),
        ({"inners": PART}, "$.inners"),
        ({"inners": [PART, 1]}, "$.inners[1]"),
        ({"inners": [PART, {"@type": "Part"}]}, "$.inners[1].x"),
        ({"rules": []}, "$.rules"),
        ({"rules": {}}, "$.rules"),
        ({"rules": ["use"]}, "$.rules"),
        ({"words": "a"}, "$.words"),
        ({"words": [1]}, "$.words"),
        ({"bag": []}, "$.bag"),
        ({"bag": None}, "$.bag"),
    ],
)
def test_a_body_that_does_not_is_refused_with_its_place(changes, path):
    with pytest.raises(InvalidInputError) as caught:
        check({**BODY, **changes})
    assert caught.value.path == path


@pytest.mark.parametrize("name", ["@context", "@type", "@id", "a", "size", "said"])
def test_what_has_to_be_there_is_named_when_it_is_not(name):
    with pytest.raises(InvalidInputError) as caught:
        check({key: value for key, value in BODY.items() if key != name})
    assert caught.value.path == f"$.{name}"


def test_a_form_that_edc_does_not_have_is_not_checked():
    check({"anything": 1}, "Ours")


def test_every_kind_of_every_form_is_known():
    for name, form in forms.BODIES.items():
        for member in form.members.values():
            kind = member.kind.strip("[]")
            assert kind in forms.BODIES or kind in strict._CHECKS, (name, kind)
    assert strict._CHECKS.keys() == strict._WANTED.keys()


@pytest.mark.parametrize("name", sorted(forms.OWN))
def test_every_form_of_ours_knows_its_own_example_in_any_spelling(name):
    example = forms.OWN[name].example or {}
    strict.check_known(forms.OWN, name, example | {"@context": {}, "@type": "x", "@id": "y"})
    strict.check_known(forms.OWN, name, {f"{names.EDC}{each}": value for each, value in example.items()})
    with pytest.raises(InvalidInputError, match="there is no member polcy here") as caught:
        strict.check_known(forms.OWN, name, example | {"polcy": {}})
    assert caught.value.path == "$.polcy"


def test_a_member_of_a_member_is_known_too():
    rule = {"approvers": ["anna"], "fourEye": True}
    with pytest.raises(InvalidInputError) as caught:
        strict.check_known(forms.OWN, "NewPackage", {"folder": "/srv", "approval": rule})
    assert caught.value.path == "$.approval.fourEye"
    assert "fourEyes" in caught.value.hint
