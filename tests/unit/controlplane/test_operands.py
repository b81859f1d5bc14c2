"""Operands that other packages bring are found by their entry points, and one that cannot be used is named."""

import shutil
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from comity import errors
from comity.controlplane import operands as brought
from comity.odrl import codes, evaluate, model, operands
from comity.odrl.operand import Use

EXAMPLE = Path(__file__).parents[2] / "support" / "operands"
POINTS = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]["entry-points"][brought.GROUP]


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a package where Python finds it, as pip does."""

    def put(points: dict[str, str], module: str = "") -> None:
        about = tmp_path / "example_operands-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: example-operands\nVersion: 1.0\n")
        lines = [f"[{brought.GROUP}]", *(f"{name} = {value}" for name, value in points.items())]
        (about / "entry_points.txt").write_text("\n".join(lines))
        if module:
            (tmp_path / "example_operands.py").write_text(module)
        else:
            shutil.copy(EXAMPLE / "example_operands.py", tmp_path)

    monkeypatch.syspath_prepend(tmp_path)
    brought.load.cache_clear()
    yield put
    for name in ("example:clearance", "example:officeHours"):
        operands.forget(name)
    codes.forget("spatial")
    sys.modules.pop("example_operands", None)
    brought.load.cache_clear()


def permit(left, operator, right):
    atom = {"leftOperand": left, "operator": operator, "rightOperand": right}
    return {"permission": [{"action": "use", "constraint": [atom]}]}


def use(hour: int) -> Use:
    at = datetime(2027, 6, 1, hour, tzinfo=UTC)
    return Use(partner_id="did:web:b", attributes={}, now_ms=int(at.timestamp() * 1000))


def test_what_a_package_brings_is_known_from_then_on(install):
    install(POINTS)
    assert sorted(brought.load()) == ["codes of spatial", "example:clearance", "example:officeHours"]
    assert brought.load() == brought.load()
    hours = permit("example:officeHours", "eq", "yes")
    model.check(hours)
    assert evaluate.evaluate(hours, operands.own_facts(use(9))).allowed
    assert not evaluate.evaluate(hours, operands.own_facts(use(20))).allowed
    assert evaluate.evaluate(permit("spatial", "isPartOf", "EU"), {"spatial": "DE"}).allowed


MODULE = """
from comity.odrl.operand import Operand

WRONG = Operand(name="mood", kind="text", enforced="attested", meaning="It is.", source="a guess")
NONE = 3
"""


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("example_operands:WRONG", "needs a name with a prefix"),
        ("example_operands:NONE", "int is no Operand and no CodeList"),
        ("example_operands:ABSENT", "AttributeError"),
        ("example_nowhere:X", "ModuleNotFoundError"),
    ],
)
def test_one_that_cannot_be_used_is_named_with_its_package(install, value, said):
    install({"feeling": value}, MODULE)
    with pytest.raises(errors.SettingsError, match=said) as caught:
        brought.load()
    assert f"the operand feeling ({value}) of example-operands cannot be used" in caught.value.message


def test_without_such_a_package_there_is_nothing(install):
    assert brought.load() == ()
