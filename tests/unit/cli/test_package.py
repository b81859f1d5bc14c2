import json
import sys

from support import aasx as made


def test_an_aasx_becomes_a_folder_and_a_folder_an_aasx(comity, tmp_path):
    path = made.write(tmp_path / "housing.aasx", made.GOOD)
    done = comity("package", "import", str(path), str(tmp_path / "housing"))
    assert done.out == (
        f"imported   {tmp_path / 'housing'}\n"
        f"files      6 files, {done.out.split('6 files, ')[1].splitlines()[0]}\n"
        "documents  2\n"
        "submodels  HandoverDocumentation, Nameplate\n"
    )
    assert (
        "it breaks rules of the AAS metamodel, other tools may drop that part: SubmodelElementList: "
        in done.err
    )
    again = comity("packages", "export", str(tmp_path / "housing"), str(tmp_path / "new.aasx"), "--json")
    assert json.loads(again.out)["files"] == 3
    assert json.loads(again.out)["documents"] == 2


def test_technical_data_goes_into_it_and_not_twice(comity, tmp_path):
    (tmp_path / "housing").mkdir()
    (tmp_path / "housing/a.pdf").write_bytes(b"%PDF")
    general = "".join(
        f'manufacturer{each} = "{each}"\n'
        for each in ("Name", "ProductDesignation", "ArticleNumber", "OrderCode")
    )
    (tmp_path / "t.toml").write_text(f"[general]\n{general}")
    words = ("package", "export", str(tmp_path / "housing"), str(tmp_path / "a.aasx"))
    done = comity(*words, "--technical-data", str(tmp_path / "t.toml"))
    assert "submodels  TechnicalData, HandoverDocumentation\n" in done.out
    assert done.err == ""
    comity("package", "import", str(tmp_path / "a.aasx"), str(tmp_path / "back"))
    words = ("package", "export", str(tmp_path / "back"), str(tmp_path / "b.aasx"))
    done = comity(*words, "--technical-data", str(tmp_path / "t.toml"))
    assert (done.code, done.err) == (2, "error: the folder has TechnicalData already, below aas/submodels\n")


def test_without_the_extra_it_works_and_says_what_was_not_checked(comity, tmp_path, monkeypatch):
    for name in [each for each in sys.modules if each == "basyx" or each.startswith("basyx.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "basyx", None)
    path = made.write(tmp_path / "housing.aasx", made.GOOD)
    done = comity("package", "import", str(path), str(tmp_path / "housing"))
    assert done.code == 0
    assert done.err == (
        "whether it keeps the rules of the AAS metamodel was not checked;"
        " the extra has it checked: pip install '.[aas]' in a clone of Comity\n"
    )


def test_what_is_no_aasx_is_an_error_of_one_line(comity, tmp_path):
    (tmp_path / "x.aasx").write_bytes(b"%PDF")
    done = comity("package", "import", str(tmp_path / "x.aasx"), str(tmp_path / "x"))
    assert done.code == 2
    assert done.err.startswith("error: x.aasx is not read: it is no zip")
    assert done.err.count("\n") == 1
