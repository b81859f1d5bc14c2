import pytest

from comity import errors
from comity.cli import policy
from comity.odrl import model

NOTHING = {"recipients": [], "until": None, "purposes": [], "places": [], "count": None}


def test_nothing_asked_for_is_no_policy():
    assert policy.build(**NOTHING) is None


def test_every_option_becomes_a_constraint_that_can_be_enforced():
    made = policy.build(
        recipients=["did:web:a", "did:web:b"], until="2027-12-31", purposes=["repair"], places=["DE"], count=3
    )
    model.check(model.parse(made))
    [rule] = made["permission"]
    assert [(each["leftOperand"], each["operator"], each["rightOperand"]) for each in rule["constraint"]] == [
        ("recipient", "isAnyOf", ["did:web:a", "did:web:b"]),
        ("dateTime", "lteq", "2027-12-31"),
        ("purpose", "eq", "repair"),
        ("spatial", "eq", "DE"),
        ("count", "lteq", "3"),
    ]


@pytest.mark.parametrize("until", ["tomorrow", "2027-02-30", "31.12.2027"])
def test_date_that_is_none_is_refused_with_the_form_it_needs(until):
    with pytest.raises(errors.InvalidInputError, match="is no date") as caught:
        policy.build(**{**NOTHING, "until": until})
    assert "2027-12-31" in caught.value.hint


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not JSON"),
        ("[]", "must be a JSON object"),
        ('{"permission": [], "permission": []}', "twice"),
        ('{"permission": [{"action": "us"}]}', "Unknown action"),
        ('{"permission": [{"action": "use"}], "obligation": [{"action": "pay"}]}', "unknown duty"),
    ],
)
def test_policy_file_is_checked_before_anything_is_hashed(tmp_path, content, said):
    file = tmp_path / "policy.json"
    file.write_text(content)
    with pytest.raises(errors.InvalidInputError, match=said) as caught:
        policy.read(file)
    assert str(file) in caught.value.message


def test_policy_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(errors.InvalidInputError, match=r"none\.json cannot be read: No such file"):
        policy.read(tmp_path / "none.json")
