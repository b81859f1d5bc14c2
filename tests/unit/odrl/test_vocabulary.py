import pytest

from comity.odrl import vocabulary


@pytest.mark.parametrize(
    "spelling", ["use", "odrl:use", "http://www.w3.org/ns/odrl/2/use", "https://www.w3.org/ns/odrl/2/use"]
)
def test_every_spelling_of_an_odrl_word_is_the_bare_word(spelling):
    assert vocabulary.term(spelling) == "use"


def test_a_word_of_another_vocabulary_stays_as_it_is():
    assert vocabulary.term("cx-policy:Membership") == "cx-policy:Membership"


@pytest.mark.parametrize("spelling", ["xsd:date", "xs:date", "http://www.w3.org/2001/XMLSchema#date"])
def test_every_spelling_of_a_datatype_is_one(spelling):
    assert vocabulary.datatype(spelling) == "xsd:date"


def test_a_datatype_of_another_vocabulary_stays_as_it_is():
    assert vocabulary.datatype("geo:wktLiteral") == "geo:wktLiteral"


@pytest.mark.parametrize(
    ("rule", "asked", "covered"),
    [
        ("use", "use", True),
        ("use", "read", True),
        ("use", "display", True),
        ("play", "display", True),
        ("read", "use", False),
        ("use", "sell", False),
        ("transfer", "sell", True),
        ("use", "teleport", False),
        ("", "use", False),
    ],
)
def test_an_action_covers_those_it_includes(rule, asked, covered):
    assert vocabulary.covers(rule, asked) is covered


def test_every_action_leads_to_a_root():
    for action in vocabulary.ACTIONS:
        assert vocabulary.covers("use", action) or vocabulary.covers("transfer", action)


@pytest.mark.parametrize("name", ["@id", "uid", "dct:title", "rdfs:label", "http://purl.org/dc/terms/title"])
def test_a_description_limits_nothing(name):
    assert vocabulary.annotates(name)


@pytest.mark.parametrize("name", ["constraints", "duty", "cx:unit", "@context", "@index"])
def test_any_other_member_may_limit(name):
    assert not vocabulary.annotates(name)
