"""A real disk that is too small, where the machine allows making one."""

import functools
import os
import random

import pytest

from adapters.dataplane.processes import make_client
from comity.dataplane import pull
from comity.errors import StorageError
from support import small_disk as disks

MIB = 2**20
TOKEN = "Bearer " + "t" * 43


@pytest.fixture
def small_disk(tmp_path):
    with disks.mounted(tmp_path / "small", 8) as place:
        yield place


async def test_a_full_disk_names_the_path_and_the_transfer_goes_on_after_making_room(
    tmp_path, small_disk, serve
):
    (tmp_path / "src").mkdir()
    content = random.Random(6).randbytes(6 * MIB)
    (tmp_path / "src/a.bin").write_bytes(content)
    provider = serve(tmp_path / "src")
    (small_disk / "ballast").write_bytes(os.urandom(4 * MIB))
    client = make_client()
    request = functools.partial(client.stream, "GET")
    with pytest.raises(StorageError) as caught:
        await pull.Pull(request, reserve_bytes=MIB).run(provider.url, TOKEN, small_disk / "in")
    assert caught.value.code == "disk-full"
    assert str(small_disk) in caught.value.message
    assert not (small_disk / "in").exists()
    blind = pull.Pull(request, free=lambda _folder: 2**40, reserve_bytes=0)
    with pytest.raises(StorageError) as caught:
        await blind.run(provider.url, TOKEN, small_disk / "in")
    assert caught.value.code == "disk-full"
    assert "a.bin" in caught.value.message
    assert not (small_disk / "in/a.bin").exists()
    (small_disk / "ballast").unlink()
    received = await pull.Pull(request, reserve_bytes=0).run(provider.url, TOKEN, small_disk / "in")
    assert 0 < received.fetched_bytes < 4 * MIB
    assert (small_disk / "in/a.bin").read_bytes() == content
    await client.close()
