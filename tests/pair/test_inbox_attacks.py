"""What must not go wrong at the inbox when figures are saved late, a provider swaps its data, or a folder is in use."""

import hashlib
import json

import aiohttp
import pytest

from comity.controlplane import receiving
from comity.dataplane import inbox, target
from comity.db import exchanges, pulls
from support import handed as handing
from support.handed import CONTENT, listing


@pytest.fixture
async def http():
    async with aiohttp.ClientSession(headers={"User-Agent": "scripted"}) as session:
        yield session


@pytest.fixture
async def handed(site, peer, http, tmp_path):
    made = await handing.hand_over(site, peer, http, tmp_path)
    await made.start()
    return made


async def test_figures_that_are_saved_while_all_of_it_is_noted_as_here_do_not_undo_that(handed, monkeypatch):
    monkeypatch.setattr(receiving, "SAVE_S", 0)
    monkeypatch.setattr("comity.controlplane.progress.SAVE_S", 0)
    assert (await handed.send("POST", CONTENT)).status == 204
    assert (await handed.row())[0] == "DONE"
    assert (await handed.process.send("TransferCompletionMessage")).status == 200
    await handed.site.reaches(handed.id, "COMPLETED")
    state, *_, error = await handed.row()
    assert (state, error) == ("DONE", "")


async def promise(handed, content):
    """Let the transfer be part of an exchange whose catalog entry promised these bytes."""
    found = await handed.site.rows("SELECT counterparty_id, asset_id FROM transfer")
    exchange = exchanges.Exchange(
        id="urn:exchange",
        counterparty_id=found[0][0],
        asset_id=found[0][1],
        destination=str(handed.folder),
        manifest_sha256=hashlib.sha256(content).hexdigest(),
        transfer_id=handed.id,
        created_at=1,
    )
    await handed.site.connector.database.write(lambda tx: exchanges.save(tx, exchange))


async def test_a_resource_in_the_place_of_what_the_catalog_promised_is_not_taken(handed):
    await promise(handed, CONTENT)
    assert (await handed.send("POST", b"something else")).status == 460
    assert listing(handed.folder) == {}
    assert (await handed.row())[0] != "DONE"
    assert (await handed.send("POST", CONTENT)).status == 204
    assert listing(handed.folder) == {"data": CONTENT}


async def test_a_resource_in_parts_in_the_place_of_what_was_promised_is_not_taken(handed):
    await promise(handed, CONTENT)
    wrong = b"x" * len(CONTENT)
    assert (await handed.rest(wrong[:1000], 0, len(wrong))).status == 204
    assert (await handed.rest(wrong[1000:], 1000, len(wrong))).status == 460
    assert listing(handed.folder) == {}
    assert (await handed.rest(CONTENT, 0, len(CONTENT))).status == 204
    assert listing(handed.folder) == {"data": CONTENT}


async def test_a_part_that_came_whole_before_a_kill_is_looked_at_as_any_other(handed):
    await promise(handed, CONTENT)
    total = len(CONTENT)
    assert (await handed.rest((b"x" * total)[:-1], 0, total)).status == 204
    await handed.site.stop()
    with (handed.folder / ".resource.part").open("ab") as part:
        part.write(b"x")
    (handed.folder / ".resource.runs").unlink()  # a part without a journal counts as it is
    await handed.site.start()
    stand = await handed.send("HEAD", Tus_Resumable="1.0.0")
    assert stand.headers["Upload-Offset"] == "0"
    assert listing(handed.folder) == {}


async def test_a_folder_that_is_in_use_is_not_named_to_the_sender(handed):
    other = target.Folder(handed.folder)
    try:
        for method in ("POST", "HEAD"):
            answer = await handed.send(method, b"x")
            assert answer.status == 423
            assert handed.folder.name not in answer.body.decode()
            assert str(handed.folder.parent) not in answer.body.decode()
    finally:
        other.close()


async def test_manifests_of_many_transfers_are_kept_in_memory_up_to_a_size(site, monkeypatch):
    monkeypatch.setattr(receiving, "KEPT_BYTES", 2500)
    receiver = receiving.Receiving(site.connector)
    for number in range(5):
        row = pulls.Pull(transfer_id=str(number), destination="/x", updated_at=0)
        await receiver._remember(row, inbox.Package(b"x" * 1000, {}, {}))
    assert list(receiver._packages) == ["3", "4"]
    row = pulls.Pull(transfer_id="big", destination="/x", updated_at=0)
    await receiver._remember(row, inbox.Package(b"x" * 9000, {}, {}))
    assert list(receiver._packages) == ["big"]


def a_manifest(**files):
    listed = [
        {
            "mediaType": "a/b",
            "path": path,
            "sha256": hashlib.sha256(data).hexdigest(),
            "sizeBytes": len(data),
        }
        for path, data in files.items()
    ]
    size = sum(map(len, files.values()))
    body = {"files": listed, "format": "comity-package/1", "sizeBytes": size, "title": "t"}
    return json.dumps(body, separators=(",", ":")).encode()


@pytest.mark.parametrize("end", ["TransferTerminationMessage", "TransferCompletionMessage"])
async def test_what_a_provider_leaves_unfinished_leaves_no_rows(handed, end):
    data = a_manifest(a=b"hello", b=b"more")
    assert (await handed.send("POST", data, path="/.comity-manifest.json")).status == 204
    assert (await handed.send("PUT", b"hello", path="/a")).status == 204
    assert await handed.site.rows("SELECT path FROM received_file") == [("a",)]
    assert (await handed.process.send(end)).status == 200
    assert await handed.site.rows("SELECT path FROM received_file") == []
