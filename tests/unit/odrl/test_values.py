from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from comity.odrl import values

DAY_US = 86_400_000_000


def us(*parts, zone=UTC):
    return values.microseconds(datetime(*parts, tzinfo=zone))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2023-12-31T06:00Z", us(2023, 12, 31, 6)),
        ("2023-12-31T06:00:00Z", us(2023, 12, 31, 6)),
        ("2023-12-31T06:00:00.5Z", us(2023, 12, 31, 6, 0, 0, 500_000)),
        ("2023-12-31T06:00:00.123456789Z", us(2023, 12, 31, 6, 0, 0, 123_456)),
        ("2023-12-31T06:00", us(2023, 12, 31, 6)),
        ("2023-12-31T06:00+02:00", us(2023, 12, 31, 4)),
        ("2023-12-31T06:00:00-05:30", us(2023, 12, 31, 11, 30)),
        ("2023-12-31T24:00:00Z", us(2024, 1, 1)),
        ("9999-12-31T24:00:00Z", us(9999, 12, 31) + DAY_US),
        ("0001-01-01T00:00:00+14:00", us(1, 1, 1) - 14 * 3_600_000_000),
    ],
)
def test_an_instant_is_read_in_every_form_partners_send(text, expected):
    assert values.read_time(text) == (expected, expected)


def test_a_date_is_its_whole_day():
    assert values.read_time("2027-12-31") == (us(2027, 12, 31), us(2028, 1, 1) - 1)


def test_a_date_with_a_zone_is_the_day_there():
    start, end = values.read_time("2027-12-31+02:00")
    assert (start, end - start) == (us(2027, 12, 30, 22), DAY_US - 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "2027",
        "2027-13-01",
        "2027-02-29",
        "0000-01-01",
        "2027-12-31T",
        "2027-12-31T25:00Z",
        "2027-12-31T24:00:01Z",
        "2027-12-31T06:60Z",
        "2027-12-31T06:00:60Z",
        "2027-12-31T06Z",
        "2027-12-31T06:00z",
        "2027-12-31 06:00",
        "2027-12-31T06:00+15:00",
        "2027-12-31T06:00+01:60",
        "2027-12-31\n",
        "\uff12027-12-31",
        "-2027-12-31",
        "12027-12-31",
    ],
)
def test_what_is_no_time_is_not_read(text):
    assert values.read_time(text) is None


@pytest.mark.parametrize(
    ("text", "kind", "is_read"),
    [
        ("2027-12-31", "xsd:date", True),
        ("2027-12-31", "xsd:dateTime", False),
        ("2027-12-31T06:00Z", "xsd:dateTime", True),
        ("2027-12-31T06:00Z", "xsd:dateTimeStamp", True),
        ("2027-12-31T06:00Z", "xsd:date", False),
        ("2027-12-31T06:00Z", "xsd:string", False),
    ],
)
def test_a_time_must_be_what_its_datatype_says(text, kind, is_read):
    assert (values.read_time(text, kind) is not None) is is_read


def test_a_time_without_a_zone_is_utc():
    assert values.microseconds(datetime(2026, 1, 1)) == us(2026, 1, 1)  # noqa: DTZ001


def test_instants_in_different_zones_are_one():
    assert us(2026, 1, 1, 2, zone=timezone(timedelta(hours=2))) == us(2026, 1, 1)


def test_the_first_and_the_last_instant_can_be_told_in_any_zone():
    ahead = timezone(timedelta(hours=14))
    assert us(1, 1, 1, zone=ahead) < us(1, 1, 1)
    assert us(9999, 12, 31, 23, zone=timezone(-timedelta(hours=14))) > us(9999, 12, 31, 23)


@pytest.mark.parametrize(("text", "number"), [("5", 5), ("-5", -5), ("+5", 5), ("5.50", Decimal("5.5"))])
def test_a_number_is_read_exactly(text, number):
    assert values.read_number(text) == (number, number)


@pytest.mark.parametrize(
    "text", ["", "five", "1e3", "inf", "nan", "0x5", "5.", ".5", "\uff15", "5 ", "1" * 41]
)
def test_what_is_no_plain_number_is_not_read(text):
    assert values.read_number(text) is None


def test_a_number_of_another_datatype_is_not_read():
    assert values.read_number("5", "xsd:date") is None
    assert values.read_number("5", "xsd:unsignedShort") == (5, 5)


@pytest.mark.parametrize(
    ("right", "kind", "expected"),
    [
        ("a", "text", frozenset("a")),
        (["a", "b", "a"], "text", frozenset("ab")),
        ({"@id": "did:web:a"}, "text", frozenset({"did:web:a"})),
        ({"@value": "a"}, "text", frozenset("a")),
        ({"@value": "a", "@type": "xs:string"}, "text", frozenset("a")),
        ({"@value": "u:a", "@type": "xsd:anyURI"}, "text", frozenset({"u:a"})),
        ({"@value": 5, "@type": "xsd:integer"}, "number", ((5, 5),)),
        ({"@value": 5}, "number", ((5, 5),)),
        (["5", {"@value": "6"}], "number", ((5, 5), (6, 6))),
        ({"@value": "1970-01-01T00:00Z", "@type": "xsd:dateTime"}, "time", ((0, 0),)),
    ],
)
def test_right_operands_are_read_in_every_form(right, kind, expected):
    assert values.read(right, kind) == expected


@pytest.mark.parametrize("kind", ["text", "time", "number"])
@pytest.mark.parametrize(
    "right",
    [
        [],
        {},
        {"@list": ["a"]},
        {"@id": 5},
        {"@id": "a", "b": "c"},
        {"@value": {"a": 1}},
        {"@value": {"a": 1}, "@type": "xsd:date"},
        {"@value": "5", "@type": ["xsd:integer"]},
        {"@value": "5", "@type": 7},
        {"@value": "a", "@language": "en"},
        ["a", {}],
        {"@value": "true", "@type": "xsd:boolean"},
    ],
)
def test_a_right_operand_with_a_part_that_cannot_be_read_is_not_read_at_all(right, kind):
    assert values.read(right, kind) is None


def test_one_unreadable_value_spoils_the_others():
    assert values.read(["5", "six"], "number") is None


@pytest.mark.parametrize(
    ("right", "expected"),
    [
        ("a", "a"),
        (["a"], "a"),
        ([], []),
        (["b", {"@value": "a"}], ["b", "a"]),
        ({"@value": 5}, "5"),
        ({"@value": "a", "@type": "http://www.w3.org/2001/XMLSchema#string"}, "a"),
        ({"@value": 5, "@type": "xs:integer"}, {"@value": "5", "@type": "xsd:integer"}),
        ({"@id": "a"}, {"@id": "a"}),
        ({"@value": "a", "@language": "en"}, {"@value": "a", "@language": "en"}),
        ({"@value": None}, {"@value": None}),
        ({"@value": "a", "@type": 1}, {"@value": "a", "@type": 1}),
    ],
)
def test_a_right_operand_has_one_spelling(right, expected):
    assert values.canonical(right) == expected


@pytest.mark.parametrize(
    ("right", "expected"),
    [
        ("a", "a"),
        (5, "5"),
        (5.0, "5"),
        (5.5, "5.5"),
        (1e300, "1e+300"),
        (True, "true"),
        (False, "false"),
        ({"@value": 5}, "5"),
        ({"@value": None}, {"@value": None}),
        ([1, "a", {"@id": "b"}], ["1", "a", {"@id": "b"}]),
        ({"x": 1}, {"x": 1}),
        (None, None),
        ([None], None),
        ([["a"]], None),
        (float("nan"), None),
        (float("inf"), None),
        pytest.param(10**5000, None, id="huge"),
    ],
)
def test_a_right_operand_is_written_as_the_schema_wants_it(right, expected):
    assert values.wire(right) == expected
