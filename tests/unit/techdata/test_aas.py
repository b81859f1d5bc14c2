"""XML of an environment is its JSON, and what 02004 and 02003 say is written as their templates have it."""

import json
import zipfile

import pytest

from comity.errors import InvalidInputError
from comity.techdata import aas, handover, technical
from comity.techdata.manifest import File
from support import aasx as made

TECHNICAL = b"""\
[general]
manufacturerName = "Alpha GmbH"
manufacturerProductDesignation = "Housing"
manufacturerArticleNumber = "P100"
manufacturerOrderCode = "P100-A"
[[classification]]
system = "ECLASS"
id = "0173-1#01-AGZ376#021"
[properties]
hardened = true
delivered = 2026-11-28
[properties.mass]
value = 12.5
unit = "kg"
"""


@made.missing
def test_xml_of_idtas_example_says_what_its_json_says():
    stem = "02004-2-0-handover-documentation-example"
    with zipfile.ZipFile(made.SAMPLES / f"{stem}.aasx") as opened:
        (name,) = [each for each in opened.namelist() if each.endswith(".aas.xml")]
        of_xml = aas.read(opened.read(name), is_xml=True, what=name)
    assert of_xml == aas.read((made.SAMPLES / f"{stem}.json").read_bytes(), is_xml=False, what="json")
    assert len(list(aas.walk(of_xml))) > 1000


@pytest.mark.parametrize(
    "data", [b"[]", b"{", b'{"submodels": 1}', b'{"submodels": [{"id": 1}]}', b'{"a": 1, "a": 2}']
)
def test_json_that_is_no_environment_is_refused(data):
    with pytest.raises(InvalidInputError, match="x is not read"):
        aas.read(data, is_xml=False, what="x")


def test_what_says_nothing_is_left_out():
    submodel = {
        "id": "a",
        "displayName": [{"language": "de", "text": ""}, {"language": "en", "text": "A"}],
        "semanticId": {"type": "ExternalReference", "keys": [{"type": "GlobalReference", "value": ""}]},
        "submodelElements": [
            {"idShort": "f", "value": "", "modelType": "File"},
            {"idShort": "p", "value": "", "category": "", "modelType": "Property"},
        ],
    }
    found = aas.read(json.dumps({"submodels": [submodel]}).encode(), is_xml=False, what="x")
    assert found["submodels"] == [
        {
            "id": "a",
            "displayName": [{"language": "en", "text": "A"}],
            "submodelElements": [
                {"idShort": "f", "modelType": "File"},
                {"idShort": "p", "value": "", "modelType": "Property"},
            ],
        }
    ]


def test_a_document_that_is_written_is_read_back():
    files = [
        File("a.pdf", 1, "0" * 64, "application/pdf", "D-1", "02-02", "C", "released", "", "A", ("de", "en")),
        File("b ä.pdf", 1, "0" * 64, "application/pdf", "D-1", "02-02", "C"),
        File("c.bin", 1, "0" * 64),
    ]
    submodel = handover.write(None, files, "urn:x")
    assert handover.read([submodel]) == {each.path: handover.as_said(each) for each in files}
    assert handover.named(submodel) == {each.path for each in files}
    assert len(submodel["submodelElements"][0]["value"]) == 2


def test_what_a_manifest_cannot_hold_is_left_to_the_submodel():
    submodel = handover.write(
        None, [File("a.pdf", 1, "0" * 64, "a/b", "D-1", "02-02", "C", "s", "", "T")], "urn:x"
    )
    spoiled = json.loads(
        json.dumps(submodel)
        .replace('"D-1"', f'"{"D" * 201}"')
        .replace('"02-02"', '"99-99"')
        .replace('"T"', '"T\\u202e"')
        .replace('"a/b"', '"no type"')
    )
    assert handover.read([spoiled]) == {"a.pdf": handover.Said(revision="C", status="s")}


@pytest.mark.parametrize("value", ["https://x.example/a", "file:///etc/passwd", None, 1, ""])
def test_what_lies_elsewhere_is_no_file_of_the_package(value):
    assert handover.path_of(value) == ""


def test_technical_data_is_written_as_its_template_has_it():
    submodel = technical.submodel(TECHNICAL, "urn:x")
    assert aas.semantic_id(submodel) == "0173-1#01-AHX837#002"
    general, classes, areas = submodel["submodelElements"]
    assert [aas.text(each) for each in general["value"]] == ["Alpha GmbH", "Housing", "P100", "P100-A"]
    assert aas.text(classes["value"][0]["value"][0]) == "ECLASS"
    hardened, delivered, mass = areas["value"][0]["value"]
    assert (hardened["valueType"], hardened["value"]) == ("xs:boolean", "true")
    assert (delivered["valueType"], delivered["value"]) == ("xs:date", "2026-11-28")
    assert (mass["valueType"], mass["value"]) == ("xs:double", "12.5")
    assert mass["embeddedDataSpecifications"][0]["dataSpecificationContent"]["unit"] == "kg"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"a", "technical data: "),
        (b"[general]", "required field `manufacturerName`"),
        (TECHNICAL + b"extra = 1", "unknown field"),
        (TECHNICAL.replace(b"true", b"[1]"), "properties.hardened: a value is"),
        (TECHNICAL.replace(b"hardened", b'"9 lives"'), "cannot name a property"),
        (b"#" * (technical.MAX_BYTES + 1), "more than"),
    ],
)
def test_technical_data_that_is_wrong_is_refused_with_its_place(data, why):
    with pytest.raises(InvalidInputError, match=why):
        technical.submodel(data, "urn:x")
