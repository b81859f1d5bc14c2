"""The folder that takes files: one call at a time, nothing of the user's replaced, and room for all of it."""

import asyncio
import hashlib
from pathlib import Path

import pytest

from comity import errors
from comity.client import ExchangeError, aconnector, connector, placing
from comity.client.steps import Download, Look
from comity.techdata import manifest
from unit.client import standin

OLD, NEW, MINE = b"an older revision", b"a newer revision", b"written by hand"


def wanted(folder, content=NEW, name="a.txt", size=None):
    digest = hashlib.sha256(content).hexdigest()
    return Download("x", str(folder / name), size or len(content), digest, lambda _: None)


def look(folder, *files, overwrite=False):
    return [Path(each.target).name for each in placing.look(Look(str(folder), files, overwrite))]


def listed(content, name="a.txt"):
    return {"path": name, "sizeBytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


@pytest.fixture
def ours(api):
    """A connector whose transfer `t` has brought one file that is no package."""
    api.says("GET", "received?transferId=t", [])
    api.says("GET", "received/t/files", [listed(NEW)])
    api.says("GET", "received/t/files/a.txt?export=true", NEW)
    return connector.Connector(api.address, standin.KEY)


def in_a_loop(ours, transfer_id, to, **more):
    async def run():
        async with aconnector.AsyncConnector(ours.address, standin.KEY) as client:
            return await client.save(transfer_id, to, **more)

    return asyncio.run(run())


@pytest.mark.parametrize("save", [connector.Connector.save, in_a_loop])
def test_while_one_call_receives_into_a_folder_another_is_refused(ours, tmp_path, save):
    refused = []

    def meanwhile(_):
        with pytest.raises(ExchangeError, match="another transfer is being received into") as caught:
            ours.save("t", tmp_path)
        refused.append(caught.value.code)

    assert save(ours, "t", tmp_path, progress=meanwhile).file.read_bytes() == NEW
    assert set(refused) == {"conflict"}
    assert ours.save("t", tmp_path).file.read_bytes() == NEW


def test_a_call_that_fails_leaves_the_folder_free(ours, tmp_path):
    def breaks(_):
        raise KeyError

    with pytest.raises(KeyError) as caught:
        ours.save("t", tmp_path, progress=breaks)
    assert ours.save("t", tmp_path).file.read_bytes() == NEW, caught


def test_what_a_connector_receives_into_is_taken(tmp_path):
    from comity.dataplane import target  # noqa: PLC0415  the client knows nothing of it

    held = target.Folder(tmp_path)
    try:
        with pytest.raises(errors.ConflictError):
            placing.chosen(tmp_path)
    finally:
        held.close()
    assert placing.chosen(tmp_path) == tmp_path


@pytest.mark.parametrize("save", [connector.Connector.save, in_a_loop])
def test_a_file_of_the_users_is_replaced_only_where_that_is_said(ours, tmp_path, save):
    (tmp_path / "a.txt").write_bytes(MINE)
    with pytest.raises(ExchangeError, match="was not received here") as caught:
        save(ours, "t", tmp_path)
    assert "overwrite=True" in caught.value.hint
    assert (tmp_path / "a.txt").read_bytes() == MINE
    assert save(ours, "t", tmp_path, overwrite=True).file.read_bytes() == NEW


def test_what_an_earlier_call_brought_is_replaced_unless_it_was_changed(api, ours, tmp_path):
    for path in ("received/t/files", "received/t/files/a.txt?export=true"):
        del api.replies["GET", path]
    for content in (OLD, NEW):
        api.says("GET", "received/t/files", [listed(content)])
        api.says("GET", "received/t/files/a.txt?export=true", content)
    assert ours.save("t", tmp_path).file.read_bytes() == OLD
    assert ours.save("t", tmp_path).file.read_bytes() == NEW
    (tmp_path / "a.txt").write_bytes(MINE)
    with pytest.raises(ExchangeError, match="or was changed since"):
        ours.save("t", tmp_path)


def test_files_that_a_manifest_names_are_replaced(tmp_path):
    digest = hashlib.sha256(OLD).hexdigest()
    before = manifest.Manifest("P", (manifest.File("a.txt", len(OLD), digest),))
    (tmp_path / placing.MANIFEST_NAME).write_bytes(manifest.encode(before))
    (tmp_path / "a.txt").write_bytes(OLD)
    assert look(tmp_path, wanted(tmp_path)) == ["a.txt"]


def test_what_a_killed_call_put_there_is_replaced_by_a_third_revision(tmp_path):
    look(tmp_path, wanted(tmp_path, OLD), wanted(tmp_path, OLD, "b.txt"))
    (tmp_path / "a.txt").write_bytes(OLD)  # and then it was killed
    assert look(tmp_path, wanted(tmp_path), wanted(tmp_path, name="b.txt")) == ["a.txt", "b.txt"]


def test_a_note_that_says_nonsense_is_none(tmp_path):
    for nonsense in (b"{", b"[1]", b'{"a": 1}', b"\xff"):
        (tmp_path / placing.RECEIVING_NAME).write_bytes(nonsense)
        assert look(tmp_path, wanted(tmp_path)) == ["a.txt"]


def test_a_link_or_a_folder_in_the_place_of_a_file_is_refused(tmp_path):
    (tmp_path / "real.txt").write_bytes(NEW)
    (tmp_path / "a.txt").symlink_to(tmp_path / "real.txt")
    (tmp_path / "b.txt").mkdir()
    with pytest.raises(errors.StorageError, match="was not received here"):
        look(tmp_path, wanted(tmp_path))
    for overwrite in (False, True):
        with pytest.raises(errors.StorageError, match="is a folder already"):
            look(tmp_path, wanted(tmp_path, name="b.txt"), overwrite=overwrite)


def test_without_room_nothing_is_begun(tmp_path):
    with pytest.raises(
        errors.StorageError, match=r"no room .* more bytes are needed, and .* are free"
    ) as full:
        look(tmp_path, wanted(tmp_path, size=1 << 60))
    assert full.value.code == "disk-full"
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_folder_is_refused_before_anything_is_asked(ours, api, tmp_path):
    (tmp_path / "mk.py").write_bytes(MINE)
    for to in (tmp_path / "mk.py", tmp_path / "mk.py" / "out"):
        with pytest.raises(ExchangeError, match="is no folder") as caught:
            ours.partner("alpha").get("pump", to=to)
        assert caught.value.stage == "finding"
    assert api.asked == []


def test_a_tilde_is_ones_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert placing.chosen("~/out") == tmp_path / "out"


def test_without_the_purpose_that_its_terms_ask_for_nothing_is_fetched(api, ours, tmp_path):
    asked = {"leftOperand": "purpose", "operator": "eq", "rightOperand": "repair"}
    policy = {"permission": [{"action": "use", "constraint": [asked]}]}
    api.replies["GET", "received?transferId=t"] = [(200, [{"@id": "t", "policy": policy}])]
    with pytest.raises(ExchangeError, match="ask for a purpose") as caught:
        ours.save("t", tmp_path)
    assert (caught.value.stage, caught.value.hint) == ("receiving", 'say what it is for: purpose="repair"')
    assert not any("export" in path for _, path, _, _ in api.asked)
