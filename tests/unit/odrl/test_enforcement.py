import itertools
import re
from pathlib import Path

import pytest

from comity.odrl import catenax, duties, edc, enforcement, model, operands, vocabulary

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "policy-terms.md"


def atom(left, operator, right):
    return {"leftOperand": left, "operator": operator, "rightOperand": right}


POLICY = {
    "permission": [
        {
            "action": "use",
            "constraint": [
                atom("dateTime", "lteq", "2027-12-31"),
                {"or": [atom("purpose", "eq", "repair"), atom("comity:personNationality", "eq", "DE")]},
                atom("mood", "eq", "good"),
            ],
        }
    ],
    "prohibition": [
        {"action": "distribute", "constraint": [atom("recipient", "isNoneOf", ["did:web:b"])]},
        {"action": "print"},
        {"action": "x:fly"},
    ],
    "obligation": [
        {"action": "delete", "constraint": [atom("elapsedTime", "lteq", "P30D")]},
        {"action": "pay"},
    ],
}


def test_every_term_of_a_policy_has_its_place_and_class():
    assert [(each.path, each.words, each.enforced) for each in enforcement.terms(POLICY)] == [
        ("$.permission[0].constraint[0]", "dateTime lteq 2027-12-31", "provider-enforced"),
        ("$.permission[0].constraint[1].or[0]", "purpose eq repair", "node-enforced"),
        ("$.permission[0].constraint[1].or[1]", "comity:personNationality eq DE", "node-enforced"),
        ("$.permission[0].constraint[2]", "mood eq good", ""),
        ("$.prohibition[0].constraint[0]", "recipient isNoneOf [did:web:b]", "node-enforced"),
        ("$.prohibition[1]", "print", "contract-only"),
        ("$.prohibition[2]", "x:fly", ""),
        ("$.obligation[0].constraint[0]", "elapsedTime lteq P30D", "attested"),
        ("$.obligation[1]", "pay", ""),
    ]


def test_the_document_says_of_each_term_what_it_means():
    found = enforcement.document(model.parse(POLICY))
    assert len(found) == 9
    assert found[0] == {
        "comity:rule": "permission",
        "comity:action": "use",
        "comity:term": "dateTime lteq 2027-12-31",
        "comity:enforced": "provider-enforced",
        "comity:meaning": operands.find("dateTime").meaning,
    }
    assert found[3]["comity:enforced"] == "unknown"
    assert all(each["comity:meaning"] for each in found)


def test_a_policy_without_conditions_has_no_terms():
    assert enforcement.document({"permission": [{"action": "use"}]}) == []


@pytest.mark.parametrize(
    ("kind", "action", "name", "enforced"),
    [
        ("permission", "use", "recipient", "provider-enforced"),
        ("permission", "access", "count", "provider-enforced"),
        ("permission", "use", "spatial", "attested"),
        ("permission", "print", "count", "contract-only"),
        ("permission", "distribute", "recipient", "contract-only"),
        ("prohibition", "use", "", "provider-enforced"),
        ("prohibition", "sell", "", "node-enforced"),
        ("prohibition", "distribute", "Liability", "contract-only"),
        ("obligation", "comity:keepMarking", "", "node-enforced"),
        ("obligation", "obtainConsent", "", "attested"),
        ("obligation", "attribute", "dateTime", "contract-only"),
        ("obligation", "use", "DataProvisioningEndDate", "contract-only"),
        ("permission", "use", "Warranty", "contract-only"),
        ("permission", "use", "mood", ""),
    ],
)
def test_the_class_follows_from_rule_action_and_operand(kind, action, name, enforced):
    assert enforcement.of(kind, action, name) == enforced


@pytest.mark.parametrize(
    ("codes", "enforced"),
    [(["cx.thirdParty.forbidden:1"], "node-enforced"), (list(catenax.RESTRICTIONS), "contract-only")],
)
def test_a_term_is_no_better_than_its_weakest_part(codes, enforced):
    policy = {
        "permission": [{"action": "use"}],
        "prohibition": [{"action": "use", "constraint": [atom("UsageRestriction", "isAllOf", codes)]}],
    }
    assert [each.enforced for each in enforcement.terms(policy)] == [enforced]


def test_no_known_term_is_without_a_class_and_a_sentence():
    known = itertools.product(
        ("permission", "prohibition", "obligation"),
        [*vocabulary.ACTIONS, *duties.KNOWN],
        ["", *operands.names()],
    )
    for kind, action, name in known:
        enforced = enforcement.of(kind, action, name)
        is_known = (
            action in duties.KNOWN or action == "use"
            if kind == "obligation"
            else action in vocabulary.ACTIONS
        )
        assert (enforced in enforcement.CLASSES) is is_known, (kind, action, name)


def rows(heading):
    """The rows of the table below a heading of the page, without its head."""
    section = PAGE.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip().strip("`") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


def test_the_page_says_what_each_class_means():
    assert rows("Classes") == [[name, meaning] for name, meaning in enforcement.CLASSES.items()]


@pytest.mark.parametrize(
    ("heading", "expected"),
    [
        ("Left operands", [each for each in operands.every() if not each.written and ":" not in each.name]),
        ("Comity's own", [each for each in operands.every() if each.name.startswith("comity:")]),
        ("Eclipse EDC", [edc.IN_FORCE]),
        ("Catena-X", catenax.OPERANDS),
    ],
)
def test_the_page_has_every_operand_with_its_class_and_meaning(heading, expected):
    assert rows(heading) == [[each.name, each.kind, each.enforced, each.meaning] for each in expected]


def test_the_page_has_every_duty_with_its_class_and_meaning():
    assert rows("Duties") == [[name, duty.enforced, duty.meaning] for name, duty in duties.KNOWN.items()]
