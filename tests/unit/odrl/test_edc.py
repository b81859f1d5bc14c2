"""EDC's `inForceDate`, judged as EDC judges it (`ContractExpiryCheckFunction` and its tests)."""

from datetime import UTC, datetime, timedelta

import pytest

from comity import errors
from comity.odrl import compare, derived, duties, edc, enforcement, evaluate, explain, model

FULL = "https://w3id.org/edc/v0.0.1/ns/inForceDate"
SIGNED = "2027-06-01T11:00:00.900Z"
NOW = datetime(2027, 6, 1, 12, tzinfo=UTC)
US, THEM = "did:web:us", "did:web:them"
NAMES = ["inForceDate", "edc:inForceDate", FULL, {"@id": FULL}]


def atom(operator, right, left="inForceDate"):
    return {"leftOperand": left, "operator": operator, "rightOperand": right}


def offer(*constraints):
    return {"@type": "Offer", "permission": [{"action": "use", "constraint": list(constraints)}]}


def agreement(*constraints, timestamp=SIGNED, **more):
    parties = {"@id": "urn:a", "@type": "Agreement", "target": "asset", "assigner": THEM, "assignee": US}
    return {**offer(*constraints), **parties, "timestamp": timestamp, **more}


def holds(policy, now=NOW):
    return evaluate.evaluate(policy, {"dateTime": now}, everywhere=True).allowed


@pytest.mark.parametrize("name", NAMES)
def test_it_is_known_in_every_spelling_and_written_with_its_whole_name(name):
    said = offer(atom("lteq", "contractAgreement+30d", left=name))
    model.check(said)
    assert compare.same(said, offer(atom("lteq", "contractAgreement+30d")))
    (written,) = model.format(model.parse({**said, "@id": "urn:o"}))["permission"][0]["constraint"]
    assert written == atom("lteq", "contractAgreement+30d", left=FULL)


@pytest.mark.parametrize(
    ("operator", "right", "expected"),
    [
        ("gteq", "2027-06-01T12:00:00Z", True),
        ("gt", "2027-06-01T12:00:00Z", False),
        ("lteq", "2027-06-01T12:00:00Z", True),
        ("lt", "2027-06-01T12:00:00Z", False),
        ("eq", "2027-06-01T12:00:00Z", True),
        ("neq", "2027-06-01T12:00:00Z", False),
        ("neq", "2027-06-01T11:59:56Z", True),
        ("lteq", "2027-06-01T11:59:50Z", False),
        ("lteq", "2027-06-01T13:00:00+01:00", True),
        ("lteq", "2027-06-01T12:59:59+01:00", False),
        ("lteq", "2027-06-01t12:00:00z", True),
        ("lteq", {"@value": "2027-06-01T12:00:00Z", "@type": "xsd:datetime"}, True),
        ("lteq", {"@value": "contractAgreement+1h", "@type": "edc:inForceDate:dateExpression"}, True),
        ("lteq", ["contractAgreement+1h"], True),
        ("lteq", "contractAgreement+100d", True),
        ("lteq", "contractAgreement+61m", True),
        ("lteq", "contractAgreement+60m", True),
        ("lt", "contractAgreement+60m", False),  # it counts from the second in which it was signed
        ("eq", "contractagreement+3600s", True),
        ("lteq", "contractAgreement+3599s", False),
        ("gteq", "contractAgreement+-5m", True),
        ("lteq", "contractAgreement+-5m", False),
        ("gteq", "contractAgreement+1d", False),
        ("lteq", "contractAgreement+2147483647d", True),
        ("gteq", "contractAgreement+-2147483648d", True),
    ],
)
def test_an_agreement_is_in_force_when_edc_says_so(operator, right, expected):
    assert holds(agreement(atom(operator, right))) is expected


@pytest.mark.parametrize(
    "right",
    [
        "2027-12-31",
        "2027-12-31T12:00:00",
        "2027-12-31T12:00Z",
        "2027-12-31T12:00:00+01",
        "2027-13-31T12:00:00Z",
        "contractAgreement+5ms",
        "contractAgreement + 5m",
        "contractAgreement-5m",
        "contractAgreement+d",
        "ContractAgreement+5d",
        "contractAgreement+2147483648s",
        "P30D",
        {"@id": "contractAgreement+5d"},
        ["contractAgreement+5d", "contractAgreement+6d"],
        5,
    ],
)
def test_what_edc_cannot_read_is_refused_at_publishing_with_its_place_and_says_no(right):
    with pytest.raises(errors.InvalidInputError, match="a value that cannot be read") as caught:
        model.check(offer(atom("lteq", right)))
    assert caught.value.path == "$.permission[0].constraint[0]"
    assert "2027-12-31T12:00:00Z or contractAgreement+30d" in caught.value.hint
    assert not holds(agreement(atom("lteq", right)))


@pytest.mark.parametrize("operator", ["isAnyOf", "isNoneOf", "isA"])
def test_an_operator_that_edc_does_not_take_is_refused_and_says_no(operator):
    with pytest.raises(errors.InvalidInputError, match=f"{operator} has no meaning for inForceDate"):
        model.check(offer(atom(operator, "contractAgreement+5d")))
    assert not holds(agreement(atom(operator, "contractAgreement+5d")))


@pytest.mark.parametrize("kind", ["prohibition", "obligation"])
def test_it_stands_in_a_permission_alone_as_at_edc(kind):
    rule = {"action": "use", "constraint": [atom("gt", "contractAgreement+5d")]}
    with pytest.raises(errors.InvalidInputError, match=f"inForceDate says nothing in a {kind}"):
        model.check({"permission": [{"action": "use"}], kind: [rule]})
    assert not holds({**agreement(), "obligation": [rule]})


@pytest.mark.parametrize("right", ["2020-01-01T00:00:00Z", "contractAgreement+-1d", "contractAgreement+1d"])
def test_before_there_is_an_agreement_it_decides_nothing_and_is_named(right):
    decision = evaluate.evaluate(offer(atom("lteq", right)), {"dateTime": NOW})
    assert decision.allowed
    assert decision.elsewhere == (f"inForceDate lteq {right}",)


def test_where_nobody_knows_when_it_was_signed_it_cannot_be_told():
    for signed in (None, "yesterday"):
        unsigned = agreement(atom("lteq", "contractAgreement+30d"), timestamp=signed)
        assert not holds(unsigned)
        assert not holds({name: value for name, value in unsigned.items() if name != "@type"})
        assert duties.over(model.parse(unsigned), 0) is None
        assert holds(agreement(atom("gt", "2020-01-01T00:00:00Z"), timestamp=signed))


def test_what_keeps_somebody_out_says_until_when():
    ended = agreement({"and": [atom("gteq", "contractAgreement+0s"), atom("lteq", "contractAgreement+1m")]})
    said = "inForceDate lteq contractAgreement+1m (2027-06-01T11:01:00Z)"
    assert evaluate.evaluate(ended, {"dateTime": NOW}, everywhere=True).reasons == (said,)
    term = explain.explain(ended, {"dateTime": NOW}).rules[0].terms[2]
    assert (term.words, term.verdict, term.fact) == (said, explain.FAILS, "2027-06-01T12:00:00Z")
    assert [each.enforced for each in enforcement.terms(ended)] == ["provider-enforced"] * 2


@pytest.mark.parametrize(
    ("constraints", "after"),
    [
        ([atom("lteq", "contractAgreement+1d")], timedelta(days=1)),
        ([atom("lteq", "contractAgreement+1d"), atom("lt", "2027-06-01T12:00:00Z")], timedelta(hours=1)),
        (
            [atom("lteq", "contractAgreement+1d"), atom("lteq", "PT1H", left="elapsedTime")],
            timedelta(hours=1),
        ),
        ([atom("gteq", "contractAgreement+1d")], None),
        ([{"or": [atom("lteq", "contractAgreement+1d"), atom("lteq", "contractAgreement+2d")]}], None),
    ],
)
def test_it_says_when_an_agreement_is_over(constraints, after):
    parsed, began = model.parse(agreement(*constraints)), edc.signed(SIGNED)
    expected = None if after is None else began + after // timedelta(microseconds=1)
    assert duties.over(parsed, began) == expected


def test_a_span_beyond_all_dates_ends_with_the_last_one():
    ends = [
        duties.ends(model.parse(agreement(atom("lteq", f"contractAgreement+{n}d"))))[0]
        for n in (-(2**31), 2**31 - 1)
    ]
    first, last = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=each) for each in ends)
    assert (first.year, last.year) == (1, 9999)


def test_what_counts_from_an_agreement_ends_then_in_what_is_published_from_it_too():
    received = agreement(
        {"and": [atom("lteq", "contractAgreement+1d")]}, atom("gteq", "2020-01-01T00:00:00Z")
    )
    made = derived.derive(offer(), received, us=US, owner=THEM)
    assert made["permission"][0]["constraint"] == [
        {"and": [atom("lteq", "2027-06-02T11:00:00Z", left=FULL)]},
        atom("gteq", "2020-01-01T00:00:00Z", left=FULL),
    ]
    sooner = derived.derive(
        offer(atom("lteq", "2027-06-02T10:00:00Z")), agreement(atom("lteq", "contractAgreement+1d")), us=US
    )
    assert sooner["permission"][0]["constraint"] == [atom("lteq", "2027-06-02T10:00:00Z", left=FULL)]
    with pytest.raises(errors.PolicyError, match="the offer says"):
        derived.derive(
            offer(atom("gt", "2027-07-01T00:00:00Z")), agreement(atom("lteq", "contractAgreement+1d")), us=US
        )


@pytest.mark.parametrize(
    ("right", "words"),
    [
        ("contractAgreement+30d", "30 days after the agreement"),
        ("contractAgreement+1h", "1 hour after the agreement"),
        ("contractAgreement+-5m", "5 minutes before the agreement"),
        ("2027-12-31T12:00:00Z", "2027-12-31T12:00:00Z"),
    ],
)
def test_a_right_operand_is_told_in_plain_words(right, words):
    assert edc.words(right) == words
