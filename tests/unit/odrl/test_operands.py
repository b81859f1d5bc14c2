from collections.abc import Iterator

import pytest

from comity import errors
from comity.odrl import codes, evaluate, model, operands
from comity.odrl.operand import CONTRACT, PROVIDER, Operand, Use

USE = Use(partner_id="did:web:b", attributes={}, now_ms=0)


def operand(name="example:mood", **more) -> Operand:
    said = {"kind": "text", "enforced": PROVIDER, "meaning": "It is checked.", "source": "a thermometer"}
    return Operand(**{"name": name, **said, **more})


@pytest.fixture
def register() -> Iterator:
    names = []

    def add(new: Operand) -> Operand:
        operands.register(new)
        names.append(new.name)
        return new

    yield add
    for name in names:
        operands.forget(name)


def permit(left, operator, right):
    atom = {"leftOperand": left, "operator": operator, "rightOperand": right}
    return {"permission": [{"action": "use", "constraint": [atom]}]}


def test_an_operand_is_known_from_its_registration_until_it_is_forgotten(register):
    policy = permit("example:mood", "eq", "good")
    with pytest.raises(errors.InvalidInputError, match="unknown operand"):
        model.check(policy)
    mood = register(operand())
    operands.register(mood)
    model.check(policy)
    assert evaluate.evaluate(policy, {"example:mood": "good"}).allowed
    assert not evaluate.evaluate(policy, {"example:mood": "bad"}).allowed
    assert not evaluate.evaluate(policy, {}).allowed
    operands.forget("example:mood")
    operands.forget("recipient")
    assert operands.find("example:mood") is None
    assert operands.find("recipient") is not None


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (operand(name="mood"), "a prefix"),
        (operand(name=":mood"), "a prefix"),
        (operand(name="ex:m\nd"), "a prefix"),
        (operand(name="comity:mood"), "belongs to Comity or to ODRL"),
        (operand(name="odrl:mood"), "belongs to Comity or to ODRL"),
        (operand(kind="colour"), "no kind of value"),
        (operand(enforced="somehow"), "no class of enforcement"),
        (operand(meaning=""), "needs its meaning"),
        (operand(source=""), "needs its meaning"),
    ],
)
def test_an_operand_that_says_wrongly_what_it_is_is_refused(new, said):
    with pytest.raises(errors.InvalidInputError, match=said):
        operands.register(new)
    assert operands.find(new.name) is None


@pytest.mark.parametrize("name", ["edc:inForceDate", "cx-policy:membership"])
def test_a_name_that_is_another_spelling_of_a_known_one_is_refused(name):
    with pytest.raises(errors.InvalidInputError, match="known already"):
        operands.register(operand(name=name))


def test_a_name_that_is_taken_is_refused(register):
    register(operand())
    with pytest.raises(errors.InvalidInputError, match="known already"):
        operands.register(operand(meaning="Another."))


def test_the_fact_of_an_own_operand_is_computed_from_the_use(register):
    register(operand(fact=lambda use: use.partner_id))
    register(operand(name="example:stated"))
    assert operands.own_facts(USE) == {"example:mood": "did:web:b"}
    assert "example:stated" in operands.attributes()
    assert "example:mood" not in operands.attributes()


def test_a_fact_that_cannot_be_computed_says_no(register):
    register(operand(fact=lambda use: 1 // 0))
    facts = operands.own_facts(USE)
    assert facts == {"example:mood": None}
    assert not evaluate.evaluate(permit("example:mood", "neq", "bad"), facts).allowed


def test_an_operand_of_the_receivers_own_decides_there_and_not_here(register):
    register(operand(elsewhere=True))
    policy = permit("example:mood", "eq", "good")
    assert evaluate.evaluate(policy, {}) == evaluate.Decision(True, (), ("example:mood eq good",))
    assert not evaluate.evaluate(policy, {"example:mood": "bad"}).allowed
    assert not evaluate.evaluate(policy, {}, everywhere=True).allowed
    assert evaluate.evaluate(policy, {"example:mood": "good"}, everywhere=True).allowed


def test_an_operand_that_the_contract_alone_keeps_decides_nowhere(register):
    register(operand(enforced=CONTRACT))
    policy = permit("example:mood", "eq", "good")
    assert evaluate.evaluate(policy, {"example:mood": "bad"}, everywhere=True).allowed


@pytest.fixture
def countries() -> Iterator[None]:
    codes.register(codes.CodeList(operand="spatial", broader={"DE": ("EU",), "FR": ("EU",), "US": ()}))
    codes.register(
        codes.CodeList(
            operand="spatial", broader={"EU": ("EUROPE",), "SCHENGEN": ("EUROPE",), "DE": ("SCHENGEN",)}
        )
    )
    yield
    codes.forget("spatial")


@pytest.mark.parametrize(
    ("operator", "right", "places", "verdict"),
    [
        ("isPartOf", "EU", "DE", True),
        ("isPartOf", "EUROPE", "DE", True),
        ("isA", "EU", ("DE", "FR"), True),
        ("isA", "SCHENGEN", "DE", True),
        ("isA", "SCHENGEN", "FR", False),
        ("isPartOf", "DE", "DE", True),
        ("isPartOf", "EU", "US", False),
        ("isPartOf", "EU", ("DE", "US"), None),
        ("isPartOf", "EU", "MARS", None),
        ("isPartOf", "MARS", "DE", None),
        ("hasPart", "DE", "EU", True),
        ("hasPart", ["DE", "FR"], "EU", True),
        ("hasPart", ["DE", "US"], "EU", None),
        ("eq", "EU", "DE", False),
    ],
)
def test_a_list_of_codes_says_what_is_part_of_what(countries, operator, right, places, verdict):
    allowed = permit("spatial", operator, right)
    assert evaluate.evaluate(allowed, {"spatial": places}).allowed is (verdict is True)
    [rule] = allowed["permission"]
    forbidden = {"permission": [{"action": "use"}], "prohibition": [rule]}
    assert evaluate.evaluate(forbidden, {"spatial": places}).allowed is (verdict is False)


def test_without_a_list_a_place_is_part_of_itself_alone():
    assert evaluate.evaluate(permit("spatial", "isPartOf", "DE"), {"spatial": "DE"}).allowed
    assert not evaluate.evaluate(permit("spatial", "isPartOf", "EU"), {"spatial": "DE"}).allowed


def test_a_list_in_a_circle_is_refused():
    with pytest.raises(errors.InvalidInputError, match="part of itself"):
        codes.register(codes.CodeList(operand="spatial", broader={"A": ("B",), "B": ("A",)}))
    assert codes.test("spatial", "isPartOf") is None
