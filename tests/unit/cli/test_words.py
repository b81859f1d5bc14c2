import pytest

from comity.cli import words


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (23_100_000, "23.1 MB"),
        ("5368709120", "5.4 GB"),
        (2e15, "2000 TB"),
        ("", ""),
        ("many", ""),
        (None, ""),
    ],
)
def test_size_is_told_in_the_unit_that_fits(size_bytes, text):
    assert words.size(size_bytes) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.44, "0.4 s"), (12.3, "12 s"), (185, "3 min 5 s")])
def test_duration_is_told_in_words(seconds, text):
    assert words.duration(seconds) == text


@pytest.mark.parametrize("at_ms", [None, "", "soon", 1e30, float("nan")])
def test_time_that_is_none_is_told_as_nothing(at_ms):
    assert words.moment(at_ms) == ""


def atom(operand, operator, right):
    return {"leftOperand": operand, "operator": operator, "rightOperand": right}


def policy(*constraints, **more):
    return {"permission": [{"action": "use", "constraint": list(constraints)}], **more}


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (policy(), "use, no conditions"),
        (
            policy(atom("recipient", "eq", "did:web:us"), atom("dateTime", "lteq", "2027-12-31")),
            "use by you, until 2027-12-31",
        ),
        (policy(atom("recipient", "isAnyOf", ["did:web:us", "did:web:b"])), "use by you or did:web:b"),
        (policy(atom("purpose", "eq", "repair"), atom("spatial", "eq", "DE")), "use for repair, in DE"),
        (policy(atom("count", "lteq", "3")), "use at most 3 times"),
        (policy(atom("odrl:dateTime", "odrl:lt", {"@value": "2027-01-01"})), "use before 2027-01-01"),
        (
            policy({"or": [atom("spatial", "eq", "DE"), atom("purpose", "eq", "repair")]}),
            "use (in DE or for repair)",
        ),
        (
            policy({"xone": [atom("spatial", "eq", "DE"), atom("spatial", "eq", "FR")]}),
            "use exactly one of (in DE, in FR)",
        ),
        (
            policy(atom("inForceDate", "lteq", "contractAgreement+30d")),
            "use until 30 days after the agreement",
        ),
        (policy(atom("elapsedTime", "lt", "P1D")), "use if elapsedTime lt P1D"),
        (policy(atom("dateTime", "lteq", "tomorrow")), "use if dateTime lteq tomorrow"),
        (policy(prohibition=[{"action": "distribute"}]), "use, no conditions; never distribute"),
        (policy(obligation=[{"action": "delete"}]), "use, no conditions; must delete"),
        (
            {"permission": [{"action": "use"}, {"action": "print"}]},
            "use, no conditions or print, no conditions",
        ),
        ({}, "nothing is permitted"),
        (None, "no terms"),
    ],
)
def test_terms_are_told_as_a_sentence(said, text):
    assert words.terms(said, us="did:web:us") == text


def test_terms_that_cannot_be_read_are_said_to_be_so():
    assert words.terms({"permission": [{}]}).startswith("terms that cannot be read: ")


def test_one_offer_or_many_in_either_spelling():
    assert words.offers({"odrl:hasPolicy": {"@id": "o"}}) == [{"@id": "o"}]
    assert words.offers({"hasPolicy": [{"@id": "a"}, {"@id": "b"}]}) == [{"@id": "a"}, {"@id": "b"}]
    assert words.datasets({"dcat:dataset": {"@id": "d"}}) == [{"@id": "d"}]


def test_title_is_found_in_its_usual_spellings():
    assert words.title({"dct:title": {"@value": "Housing", "@language": "en"}}) == "Housing"
    assert words.title({"name": "housing"}) == "housing"
    assert words.title({"edc:name": "housing"}) == "housing"
    assert words.title({"dct:title": 7}) == ""
