"""Terms follow data into what is published from it, and what contradicts them is refused and named."""

import pytest

from comity import errors
from comity.odrl import derived, model, policy

US, THEM, OTHER = "did:web:us", "did:web:them", "did:web:other"
USE = {"@type": "Set", "permission": [{"action": "use"}]}


def atom(operand, operator, right):
    return {"leftOperand": operand, "operator": operator, "rightOperand": right}


def offered(*constraints, **more):
    return {"@type": "Set", "permission": [{"action": "use", "constraint": list(constraints)}], **more}


def agreed(*constraints, never=None, must=(), **more):
    made = offered(*constraints, **more) if constraints else {**USE, **more}
    if never is not None:
        made["prohibition"] = [{"action": "distribute", **({"constraint": never} if never else {})}]
    return made | ({"obligation": list(must)} if must else {})


def refused(offer, agreement):
    with pytest.raises(errors.PolicyError) as caught:
        derived.derive(offer, agreement, us=US)
    return caught.value


SPARED = [atom("recipient", "isNoneOf", [US, THEM])]


def test_an_agreement_without_terms_adds_none():
    assert derived.derive(USE, USE, us=US) == USE


def test_a_prohibition_to_pass_it_on_lets_nobody_have_it():
    for agreement in (
        agreed(never=[]),
        agreed(never=[atom("recipient", "neq", US)]),
        agreed(never=[atom("spatial", "eq", "AA")]),
    ):
        error = refused(USE, agreement)
        assert "nobody" in error.message
        assert error.reasons[0].startswith("prohibited: distribute")


@pytest.mark.parametrize(
    "codes", [["cx.thirdParty.forbidden:1"], ["cx.manipulation.forbidden", "cx.thirdParty.forbidden"]]
)
def test_what_catenax_forbids_third_parties_is_passed_on_to_nobody_wherever_it_stands(codes):
    restricted = atom("cx-policy:UsageRestriction", "isAllOf", codes)
    for constraint in (
        restricted,
        {"and": [restricted, atom("AffiliatesRegion", "isAnyOf", ["cx.region.asia:1"])]},
    ):
        agreement = {**USE, "prohibition": [{"action": "use", "constraint": [constraint]}]}
        assert "nobody" in refused(USE, agreement).message
    others = {
        **USE,
        "prohibition": [
            {
                "action": "use",
                "constraint": [atom("UsageRestriction", "isAllOf", ["cx.derivations.forbidden:1"])],
            }
        ],
    }
    assert derived.derive(USE, others, us=US)["permission"] == [{"action": "use"}]


def test_who_is_spared_by_the_prohibition_is_all_that_may_have_it_and_gets_it_too():
    made = derived.derive(USE, agreed(never=SPARED), us=US)
    model.check(made)
    assert made["permission"][0]["constraint"] == [atom("recipient", "isAnyOf", [THEM])]
    assert made["prohibition"] == [{"action": "distribute", "constraint": SPARED}]
    named = derived.derive(offered(atom("recipient", "eq", THEM)), agreed(never=SPARED), us=US)
    assert named["prohibition"] == made["prohibition"]
    error = refused(offered(atom("recipient", "isAnyOf", [THEM, OTHER])), agreed(never=SPARED))
    assert OTHER in error.message
    assert THEM not in error.message


def test_what_only_we_may_use_is_passed_on_to_nobody():
    assert "nobody" in refused(USE, agreed(atom("recipient", "eq", US))).message


def test_other_terms_are_added_but_for_those_that_count_the_providers_own_deliveries():
    terms = [atom("dateTime", "lteq", "2027-12-31"), atom("purpose", "isAnyOf", ["repair", "assembly"])]
    counted = [atom("count", "lteq", "3"), atom("comity:licence", "eq", "L-1")]
    delete = {"action": "delete", "constraint": [atom("elapsedTime", "lteq", "P30D")]}
    made = derived.derive(
        offered(atom("purpose", "eq", "repair")), agreed(*terms, *counted, must=[delete]), us=US
    )
    assert made["permission"][0]["constraint"] == [atom("purpose", "eq", "repair"), *terms]
    assert made["obligation"] == [delete]
    assert derived.derive(made, agreed(*terms, must=[delete]), us=US) == made


def test_an_offer_for_values_of_which_none_was_agreed_is_refused():
    error = refused(offered(atom("purpose", "eq", "sale")), agreed(atom("purpose", "eq", "repair")))
    assert error.reasons == ("purpose eq repair",)
    assert "purpose eq sale" in error.message


def test_consent_must_be_asked_for_and_of_two_permissions_neither_is_guessed():
    assert "consent" in refused(USE, agreed(must=[{"action": "obtainConsent"}])).message
    assert (
        "2 permissions" in refused(USE, {**USE, "permission": [{"action": "use"}, {"action": "use"}]}).message
    )


def test_a_marking_follows_whether_it_must_stay_or_not_and_public_says_nothing_beside_others():
    label = {"rdfs:label": "partners-only"}
    for agreement in (agreed(**label), agreed(must=[{"action": "comity:keepMarking"}], **label)):
        assert derived.derive(USE, agreement, us=US)["rdfs:label"] == "partners-only"
        own = derived.derive({**USE, "rdfs:label": "report-use"}, agreement, us=US)
        assert own["rdfs:label"] == "partners-only, report-use"
        assert derived.derive(own, agreement, us=US) == own
        assert (
            derived.derive({**USE, "rdfs:label": "public"}, agreement, us=US)["rdfs:label"] == "partners-only"
        )
    public = {"rdfs:label": "public"}
    assert derived.derive({**USE, **label}, agreed(**public), us=US)["rdfs:label"] == "partners-only"
    assert derived.derive(USE, agreed(**public), us=US)["rdfs:label"] == "public"
    assert "rdfs:label" not in derived.derive(USE, USE, us=US)


def test_of_two_terms_the_stricter_wins_and_the_looser_is_not_added():
    terms = agreed(
        atom("dateTime", "lteq", "2027-12-31"),
        must=[{"action": "delete", "constraint": [atom("elapsedTime", "lteq", "P30D")]}],
    )
    soon = {"obligation": [{"action": "delete", "constraint": [atom("elapsedTime", "lteq", "P10D")]}]}
    strict = offered(atom("dateTime", "lt", "2027-06-30"), **soon)
    assert derived.derive(strict, terms, us=US) == strict
    late = {"obligation": [{"action": "delete", "constraint": [atom("elapsedTime", "lteq", "P60D")]}]}
    loose = derived.derive(offered(atom("dateTime", "lteq", "2028-01-01"), **late), terms, us=US)
    assert [each["rightOperand"] for each in loose["permission"][0]["constraint"]] == [
        "2028-01-01",
        "2027-12-31",
    ]
    assert [each["constraint"][0]["rightOperand"] for each in loose["obligation"]] == ["P60D", "P30D"]
    assert derived.derive(loose, terms, us=US) == loose


@pytest.mark.parametrize(
    ("own", "theirs"),
    [
        (atom("dateTime", "gteq", "2028-01-01"), atom("dateTime", "lteq", "2027-12-31")),
        (atom("dateTime", "gt", "2027-12-31"), atom("dateTime", "lteq", "2027-12-31")),
        (atom("spatial", "eq", "AA"), atom("spatial", "neq", "AA")),
        (atom("purpose", "isAnyOf", ["a", "b"]), atom("purpose", "isNoneOf", ["b", "a"])),
        (atom("comity:personNationality", "eq", "AA"), atom("comity:personNationality", "isAnyOf", ["BB"])),
    ],
)
def test_terms_of_which_neither_is_stricter_are_refused_by_name(own, theirs):
    error = refused(offered(own), agreed(theirs))
    assert policy.describe(model.parse(offered(theirs)).permission[0].constraints[0]) in error.reasons
    assert "the offer says" in error.message


def test_three_sets_of_which_each_two_meet_and_all_do_not_are_a_contradiction_too():
    once = derived.derive(
        offered(atom("purpose", "isAnyOf", ["a", "b"])), agreed(atom("purpose", "isAnyOf", ["b", "c"])), us=US
    )
    assert "isAnyOf" in refused(once, agreed(atom("purpose", "isAnyOf", ["a", "c"]))).message


def test_a_partner_may_have_two_classes_at_once_so_both_are_asked_for():
    one, two = (atom("comity:distributionClass", "eq", name) for name in ("partners-only", "project-7"))
    made = derived.derive(offered(one), agreed(two), us=US)
    assert made["permission"][0]["constraint"] == [one, two]


def test_it_may_always_go_back_to_its_owner_if_the_offer_names_nobody_else():
    back = offered(atom("recipient", "eq", THEM))
    for agreement in (
        agreed(
            atom("recipient", "eq", US), atom("purpose", "eq", "repair"), **{"rdfs:label": "no-re-export"}
        ),
        agreed(never=[]),
        agreed(must=[{"action": "obtainConsent"}]),
        {**USE, "permission": [{"action": "use"}, {"action": "use"}]},
    ):
        made = derived.derive(back, agreement, us=US, owner=THEM)
        assert made["permission"] == back["permission"]
        assert made.get("prohibition") == agreement.get("prohibition")
        assert made.get("obligation") == agreement.get("obligation")
        assert made.get("rdfs:label") == agreement.get("rdfs:label")
        derived.check_recipient(agreement, THEM, us=US, owner=THEM)
        for wider in (USE, offered(atom("recipient", "isAnyOf", [THEM, OTHER]))):
            with pytest.raises(errors.PolicyError):
                derived.derive(wider, agreement, us=US, owner=THEM)
        with pytest.raises(errors.PolicyError):
            derived.check_recipient(agreement, OTHER, us=US, owner=THEM)
