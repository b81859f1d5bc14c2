import pytest

from comity import errors
from comity.odrl import duties, model, values

USE = [{"action": "use"}]
DAY_US = 86_400_000_000


def policy(*constraints, action="delete", **more):
    return {"permission": USE, "obligation": [{"action": action, "constraint": list(constraints), **more}]}


def atom(left, operator, right):
    return {"leftOperand": left, "operator": operator, "rightOperand": right}


WITHIN = atom("elapsedTime", "lteq", "P30D")
BY = atom("dateTime", "lteq", "2027-12-31")
END = atom("event", "eq", "comity:agreementEnd")


@pytest.mark.parametrize("action", duties.KNOWN)
def test_a_known_duty_may_be_published(action):
    model.check(policy(action=action))


@pytest.mark.parametrize(
    ("wrong", "path", "said"),
    [
        (policy(action="pay"), "$.obligation[0].action", "unknown duty"),
        (policy(atom("count", "lteq", "3")), "$.obligation[0]", "a deletion is due"),
        (policy(atom("elapsedTime", "gt", "P1D")), "$.obligation[0]", "a deletion is due"),
        (policy({"or": [WITHIN, BY]}), "$.obligation[0]", "a deletion is due"),
        (policy(atom("event", "eq", "x:flood")), "$.obligation[0].constraint[0]", "cannot be read"),
        (policy(atom("elapsedTime", "lteq", "soon")), "$.obligation[0].constraint[0]", "cannot be read"),
        (
            policy({"and": [atom("mood", "eq", "x")]}),
            "$.obligation[0].constraint[0].and[0]",
            "unknown operand",
        ),
        (policy(until="x"), "$.obligation[0].until", "cannot say until"),
        (
            {"permission": [{"action": "use", "constraint": [END]}]},
            "$.permission[0].constraint[0]",
            "says nothing in a permission",
        ),
    ],
)
def test_a_duty_that_nobody_could_keep_is_refused_with_its_place(wrong, path, said):
    with pytest.raises(errors.InvalidInputError, match=said) as caught:
        model.check(wrong)
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("flawed", "said"),
    [
        (policy(until="x"), "unknown member until"),
        (policy({"and": [atom("mood", "eq", "x")]}), "unknown operand"),
        (policy(action="use"), "an obligation to use says nothing"),
    ],
)
def test_a_duty_says_why_nobody_could_keep_it(flawed, said):
    parsed = model.parse(flawed)
    assert duties.flaw(parsed.obligation[0]) == said
    assert duties.deletions(parsed) == ()


@pytest.mark.parametrize(
    ("constraints", "within_us", "by_us", "events"),
    [
        ((), None, None, ()),
        ((WITHIN,), 30 * DAY_US, None, ()),
        ((atom("elapsedTime", "lteq", ["P30D"]), atom("elapsedTime", "lt", "P7D")), 7 * DAY_US, None, ()),
        ((BY,), None, values.read_time("2027-12-31")[1], ()),
        ((END,), None, None, ("comity:agreementEnd",)),
        (({"and": [WITHIN, END]},), 30 * DAY_US, None, ("comity:agreementEnd",)),
    ],
)
def test_when_data_must_be_deleted_is_read_from_the_duty(constraints, within_us, by_us, events):
    found = duties.deletions(model.parse(policy(*constraints)))
    assert found == (duties.Deletion("$.obligation[0]", within_us, by_us, events),)


def test_without_a_duty_nothing_must_be_deleted():
    assert duties.deletions(model.parse({"permission": USE, "obligation": [{"action": "inform"}]})) == ()


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("P30D", 30 * DAY_US, 30 * DAY_US),
        ("P1W", 7 * DAY_US, 7 * DAY_US),
        ("PT12H", DAY_US // 2, DAY_US // 2),
        ("P1DT1M1.5S", DAY_US + 61_500_000, DAY_US + 61_500_000),
        ("P1M", 28 * DAY_US, 31 * DAY_US),
        ("P1Y", 365 * DAY_US, 366 * DAY_US),
    ],
)
def test_a_duration_is_read_exactly_or_as_the_span_it_may_mean(text, low, high):
    assert values.read_duration(text) == (low, high)


@pytest.mark.parametrize("text", ["", "P", "PT", "P1", "1D", "-P1D", "P1DT", "P1.5D", "PT1.5H", "p1d", "P1H"])
def test_what_is_no_duration_is_not_read(text):
    assert values.read_duration(text) is None
    assert values.read_duration("P1D", "xsd:date") is None


@pytest.mark.parametrize(
    ("constraints", "ends"),
    [
        ((), ()),
        ((BY,), (values.read_time("2027-12-31")[1],)),
        (({"and": [BY, atom("count", "lteq", "3")]},), (values.read_time("2027-12-31")[1],)),
        ((atom("DataUsageEndDate", "eq", "2027-12-31T00:00:00Z"),), (values.read_time("2027-12-31")[0],)),
        (({"or": [BY, atom("count", "lteq", "3")]},), ()),
        ((atom("dateTime", "gteq", "2027-12-31"),), ()),
    ],
)
def test_a_permission_ends_at_the_time_that_it_needs(constraints, ends):
    assert (
        duties.ends(model.parse({"permission": [{"action": "use", "constraint": list(constraints)}]})) == ends
    )


@pytest.mark.parametrize(
    ("permissions", "over"),
    [
        ([USE[0]], None),
        ([{"action": "use", "constraint": [atom("elapsedTime", "lteq", "P1D")]}], DAY_US),
        (
            [
                {"action": "use", "constraint": [atom("elapsedTime", "lteq", "P1D")]},
                {"action": "use", "constraint": [atom("elapsedTime", "lteq", "P3D")]},
            ],
            3 * DAY_US,
        ),
        ([{"action": "use", "constraint": [atom("elapsedTime", "lteq", "P1D")]}, USE[0]], None),
        ([{"action": "use", "constraint": [atom("elapsedTime", "gt", "P1D")]}], None),
    ],
)
def test_a_policy_is_over_for_good_when_its_last_permission_is(permissions, over):
    assert duties.over(model.parse({"permission": permissions}), 0) == over
