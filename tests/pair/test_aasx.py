"""A package that came out of an AASX goes to a partner, who makes an AASX of what was received."""

from comity.controlplane import get, publish
from comity.storage import aasx, aasx_export
from support import aasx as made
from support.pair import wait_for
from support.wire import USE


async def test_what_came_out_of_an_aasx_is_received_and_becomes_one_again(pair, tmp_path):
    pump = pair.provider.folder.parent / "published" / "pump"
    pump.parent.mkdir()
    path = made.write(tmp_path / "pump.aasx", made.GOOD)
    aasx.unpack(str(path), str(pump))
    await publish.publish(pair.provider.connector, str(pump), asset_id="pump", policy=USE)
    begun = await get.start(pair.consumer.connector, pair.provider.did, "pump", str(tmp_path / "got"))

    async def done():
        return (await get.status(pair.consumer.connector, begun.id))["stage"] == get.COMPLETED

    await wait_for(done)
    aasx_export.pack(str(tmp_path / "got"), str(tmp_path / "again.aasx"))
    aasx.unpack(str(tmp_path / "again.aasx"), str(tmp_path / "back"))
    before, after = made.tree(pump), made.tree(tmp_path / "back")
    assert before.keys() == after.keys()
    assert {name for name in before if before[name] != after[name]} <= {"comity-package.toml"}
    assert 'documentId = "D-4711"' in (tmp_path / "back/comity-package.toml").read_text()
