"""AASX to package folder and back, with basyx-python-sdk as the other reader."""

import json
import tomllib
import warnings
import zipfile

import pytest

from comity.errors import InvalidInputError, StorageError
from comity.storage import aas_rules, aasx, aasx_export
from comity.techdata import about, manifest
from support import aasx as made

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from basyx.aas import model
    from basyx.aas.adapter import aasx as basyx

NAMES = sorted(path.name for path in made.SAMPLES.glob("*.aasx"))
ABOUT = """\
title = "Housing P100"

[[effectivity]]
part = "P100"
serialFrom = "100"
serialTo = "199"
plants = ["Ulm"]

[files."drawings/Gehäuse 1.pdf"]
documentId = "D-4711"
documentClass = "02-02"
revision = "C"
status = "released"
supersedes = "B"
title = "Gehäuse"
languages = ["de", "en"]
"""


@pytest.fixture
def there(tmp_path):
    return str(made.write(tmp_path / "housing.aasx", made.GOOD))


@pytest.fixture
def folder(tmp_path):
    """A package folder as people make one."""
    folder = tmp_path / "housing"
    (folder / "drawings").mkdir(parents=True)
    (folder / "drawings/Gehäuse 1.pdf").write_bytes(b"%PDF-2")
    (folder / "model.step").write_bytes(b"STEP" * 100)
    (folder / "50%20 #1 & 'so'.csv").write_bytes(b"")
    (folder / "comity-package.toml").write_text(ABOUT)
    return folder


def read_by_basyx(path, *, failsafe=False):
    found, files = model.DictIdentifiableStore(), basyx.DictSupplementaryFileContainer()
    with basyx.AASXReader(str(path), failsafe=failsafe) as reader:
        reader.read_into(found, files)
    return found, files


def test_files_keep_their_names_and_bytes_and_what_is_said_of_them_is_told(there, tmp_path):
    done = aasx.unpack(there, str(tmp_path / "out"))
    out = tmp_path / "out"
    assert (out / "aasx/files/Gehäuse.pdf").read_bytes() == b"%PDF-1"
    assert (out / "aasx/files/logo.png").read_bytes() == b"\x89PNG"
    assert (done.documents, done.submodels, done.files) == (2, ["HandoverDocumentation", "Nameplate"], 6)
    said = {
        "documentId": "D-4711",
        "documentClass": "02-02",
        "revision": "C",
        "status": "released",
        "title": "Gehäuse",
    }
    assert tomllib.loads((out / "comity-package.toml").read_text()) == {
        "title": "Housing",
        "effectivity": [{"part": "P100"}],
        "files": {
            "aasx/files/Gehäuse.pdf": {**said, "languages": ["de", "en"]},
            "aasx/files/model.step": said,
        },
    }


def test_other_submodels_are_kept_as_json_with_all_that_they_say(there, tmp_path):
    aasx.unpack(there, str(tmp_path / "out"))
    found = json.loads((tmp_path / "out/aas/submodels/Nameplate.json").read_bytes())
    assert found["submodelElements"] == [
        {"idShort": "SerialNumber", "valueType": "xs:string", "value": "<1 & 2> ", "modelType": "Property"},
        {"idShort": "Drill", "modelType": "Capability"},
        {
            "idShort": "Turn",
            "inputVariables": [
                {"value": {"idShort": "Angle", "valueType": "xs:int", "value": "90", "modelType": "Property"}}
            ],
            "modelType": "Operation",
        },
    ]


def test_a_package_is_handover_documentation_that_basyx_reads_without_a_complaint(folder, tmp_path):
    done = aasx_export.pack(str(folder), str(tmp_path / "housing.aasx"))
    assert (done.files, done.documents, done.notes) == (3, 3, [])
    found, files = read_by_basyx(tmp_path / "housing.aasx")
    (submodel,) = [each for each in found if isinstance(each, model.Submodel)]
    assert submodel.semantic_id.key[0].value == "0173-1#01-AHF578#003"
    documents = list(submodel.get_referable("Documents").value)
    assert len(documents) == 3
    (version,) = documents[1].get_referable("DocumentVersions").value
    assert version.get_referable("Version").value == "C"
    assert [each.value for each in version.get_referable("Language").value] == ["de", "en"]
    assert dict(version.get_referable("Title").value) == {"de": "Gehäuse"}
    assert (
        files.get_sha256("/drawings/Geh%C3%A4use%201.pdf").hex()
        == made.tree(folder)["drawings/Gehäuse 1.pdf"]
    )
    assert aas_rules.problems(done.environment) == []


def test_what_a_folder_says_comes_back_byte_for_byte(folder, tmp_path):
    aasx_export.pack(str(folder), str(tmp_path / "housing.aasx"))
    aasx.unpack(str(tmp_path / "housing.aasx"), str(tmp_path / "back"))
    before, after = made.tree(folder), made.tree(tmp_path / "back")
    assert {name: after[name] for name in before} == before
    assert sorted(after.keys() - before.keys()) == [
        "aas/shells/Housing_P100.json",
        "aas/submodels/HandoverDocumentation.json",
    ]


def test_a_folder_with_an_id_and_patterns_loses_the_id_and_is_the_same_from_then_on(folder, tmp_path):
    said = '# ours\nid = "urn:alpha:housing"\ntitle = "Housing"\n[files."drawings/*"]\nrevision = "C"\n'
    (folder / "comity-package.toml").write_text(said)
    trees = [made.tree(folder)]
    for name in ("once", "twice"):
        aasx_export.pack(str(folder), str(tmp_path / f"{name}.aasx"))
        aasx.unpack(str(tmp_path / f"{name}.aasx"), str(tmp_path / name))
        folder = tmp_path / name
        trees.append(made.tree(folder))
    written = (tmp_path / "once/comity-package.toml").read_text()
    assert "urn:alpha:housing" not in written
    assert '[files."drawings/Gehäuse 1.pdf"]' in written
    assert trees[1] == trees[2]
    assert {name for name in trees[0] if trees[0][name] != trees[1][name]} == {"comity-package.toml"}


def test_the_same_folder_makes_the_same_aasx(folder, tmp_path):
    for name in ("a.aasx", "b.aasx"):
        aasx_export.pack(str(folder), str(tmp_path / name))
    assert (tmp_path / "a.aasx").read_bytes() == (tmp_path / "b.aasx").read_bytes()


def test_what_is_changed_in_the_folder_changes_in_the_submodel_and_nothing_else_does(there, tmp_path):
    aasx.unpack(there, str(tmp_path / "out"))
    toml = tmp_path / "out/comity-package.toml"
    toml.write_text(toml.read_text().replace('revision = "C"', 'revision = "D"').replace("D-4711", "D-4712"))
    aasx_export.pack(str(tmp_path / "out"), str(tmp_path / "new.aasx"))
    aasx.unpack(str(tmp_path / "new.aasx"), str(tmp_path / "back"))
    assert (tmp_path / "back/comity-package.toml").read_text() == toml.read_text()
    name = "aas/submodels/HandoverDocumentation.json"
    before, after = ((tmp_path / each / name).read_text().splitlines() for each in ("out", "back"))
    assert len(before) == len(after)
    changed = [(one.strip(), other.strip()) for one, other in zip(before, after, strict=True) if one != other]
    version = ('"value": "C",', '"value": "D",')
    assert changed == [('"value": "D-4711",', '"value": "D-4712",'), version, version]


def test_files_of_one_document_with_two_ids_are_refused_by_name(there, tmp_path):
    aasx.unpack(there, str(tmp_path / "out"))
    toml = tmp_path / "out/comity-package.toml"
    toml.write_text(toml.read_text().replace("D-4711", "D-4712", 1))
    with pytest.raises(
        InvalidInputError, match=r"'aasx/files/Gehäuse.pdf' has another document id than the files"
    ):
        aasx_export.pack(str(tmp_path / "out"), str(tmp_path / "new.aasx"))
    assert not (tmp_path / "new.aasx").exists()


def test_a_received_package_is_exported_as_its_manifest_says(folder, tmp_path):
    (folder / "comity-package.toml").unlink()
    tree = made.tree(folder)
    files = about.describe(
        [manifest.File(name, (folder / name).stat().st_size, tree[name], "a/b") for name in tree],
        about.read(ABOUT.encode()).files,
    )
    received = manifest.Manifest("Housing P100", files, id="urn:alpha:housing", revision=3)
    (folder / ".comity-manifest.json").write_bytes(manifest.encode(received))
    done = aasx_export.pack(str(folder), str(tmp_path / "housing.aasx"))
    assert (
        done.environment["assetAdministrationShells"][0]["assetInformation"]["globalAssetId"]
        == "urn:alpha:housing"
    )
    aasx.unpack(str(tmp_path / "housing.aasx"), str(tmp_path / "back"))
    assert 'documentId = "D-4711"' in (tmp_path / "back/comity-package.toml").read_text()
    (folder / "model.step").write_bytes(b"STEQ" * 100)
    with pytest.raises(StorageError, match=r"'model.step' is not what the manifest says"):
        aasx_export.pack(str(folder), str(tmp_path / "other.aasx"))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["back", "housing", "housing.aasx"]


@pytest.mark.parametrize("name", ["there already", "a file"])
def test_what_is_there_is_not_overwritten(there, folder, tmp_path, name):
    target = tmp_path / "target"
    if name == "a file":
        target.write_text("mine")
    else:
        target.mkdir()
        (target / "mine").write_text("mine")
    with pytest.raises(StorageError, match="is there already"):
        aasx.unpack(there, str(target))
    with pytest.raises(StorageError, match="is there already"):
        aasx_export.pack(str(folder), str(target))


@made.missing
@pytest.mark.parametrize("name", NAMES)
def test_examples_of_idta_come_back_byte_for_byte(name, tmp_path):
    first = aasx.unpack(str(made.SAMPLES / name), str(tmp_path / "a"))
    aasx_export.pack(str(tmp_path / "a"), str(tmp_path / "a.aasx"))
    aasx.unpack(str(tmp_path / "a.aasx"), str(tmp_path / "b"))
    assert made.tree(tmp_path / "a") == made.tree(tmp_path / "b")
    with zipfile.ZipFile(made.SAMPLES / name) as before, zipfile.ZipFile(tmp_path / "a.aasx") as after:
        carried = [each for each in before.namelist() if each.startswith("aasx/files/")]
        assert {each: before.read(each) for each in carried} == {each: after.read(each) for each in carried}
    found, _ = read_by_basyx(tmp_path / "a.aasx", failsafe=True)
    assert set(first.submodels) == {each.id_short for each in found if isinstance(each, model.Submodel)}


@made.missing
def test_technical_data_of_idta_says_for_which_part_it_is(tmp_path):
    aasx.unpack(str(made.SAMPLES / "02003-2-0-1-technical-data-sample.aasx"), str(tmp_path / "out"))
    assert tomllib.loads((tmp_path / "out/comity-package.toml").read_text())["effectivity"] == [
        {"part": "12345"}
    ]


@made.missing
def test_the_handover_example_of_idta_is_told_in_full(tmp_path):
    aasx.unpack(str(made.SAMPLES / "02004-2-0-handover-documentation-example.aasx"), str(tmp_path / "out"))
    said = tomllib.loads((tmp_path / "out/comity-package.toml").read_text())["files"]
    assert {
        name: (each["documentId"], each["documentClass"], each["revision"]) for name, each in said.items()
    } == {
        "aasx/files/3dmodel.step": ("123-ABC-789", "02-02", "1.0"),
        "aasx/files/datasheet_de.pdf": ("123-ABC-456", "02-01", "1.0"),
        "aasx/files/datasheet_en.pdf": ("123-ABC-456", "02-01", "1.0"),
        "aasx/files/datasheet_en_de_fr.pdf": ("123-ABC-456", "02-01", "1.0"),
    }
    assert said["aasx/files/datasheet_en_de_fr.pdf"]["languages"] == ["en", "de", "fr"]
