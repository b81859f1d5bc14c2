"""What the file system gives, and no longer gives: terms, purposes, the cache, words of errors."""

import asyncio
import http.client
import json

import fsspec
import pandas as pd
import pytest
import zarr
from aiohttp import web

from comity.client import Connector
from comity.controlplane import partners
from comity.dsp import terms
from support import asgi, distance, wire
from support.pair import wait_for

PURPOSE = "production:programme-1"
CENTURY_MS = 100 * 366 * 24 * 3600 * 1000
CONTENT = bytes(range(256)) * 1024


@pytest.fixture
def publish(sides):
    """Publishes an asset with two files under a policy."""

    def published(asset_id, policy=None, content=CONTENT):
        folder = sides.provider.folder.parent / asset_id.replace("/", "-").replace("%", "-")
        (folder / "deep").mkdir(parents=True, exist_ok=True)
        (folder / "deep" / "a b.bin").write_bytes(content)
        (folder / "note.txt").write_text("hello")
        sides.publish(asset_id, folder, **({"policy": policy} if policy else {}))

    return published


@pytest.fixture
def fs(sides):
    def made(**more):
        return fsspec.filesystem("comity", **sides.options, **more, skip_instance_cache=True)

    return made


def sent_since(sides, before):
    return [
        each for each in sides.data.sent[before:] if each.method == "GET" and each.path.startswith("files/")
    ]


def test_partners_assets_and_files_are_listed_and_found(sides, publish, fs):
    publish("urn:x:1/2%3")
    found = fs()
    asset = sides.url("urn:x:1%2F2%253").removeprefix("comity://")
    assert found.ls("", detail=False) == ["alpha"]
    assert f"alpha/{asset.partition('/')[2]}" in found.ls("alpha", detail=False)
    assert asset in found.ls(asset.partition("/")[0], detail=False)
    assert found.ls(asset, detail=False) == [f"{asset}/deep", f"{asset}/note.txt"]
    assert found.find(asset) == [f"{asset}/deep/a b.bin", f"{asset}/note.txt"]
    assert found.glob(f"{asset}/**/*.bin") == [f"{asset}/deep/a b.bin"]
    assert [each[1:] for each in found.walk(asset)] == [(["deep"], ["note.txt"]), ([], ["a b.bin"])]
    assert found.info(f"comity://{asset}/deep/a b.bin")["size"] == len(CONTENT)
    assert found.isdir(f"{asset}/deep")
    assert not found.exists(f"{asset}/deep/other")
    with pytest.raises(FileNotFoundError, match=r"deep/other: there is no such file"):
        found.open(f"{asset}/deep/other")
    with pytest.raises(PermissionError, match="there is no partner nobody on the list"):
        found.ls("nobody/asset")


def test_ranges_are_cut_exactly_and_read_once(sides, publish, fs):
    publish("ranges")
    found, url = fs(), sides.url("ranges", "deep", "a b.bin")
    before = len(sides.data.sent)
    ranges = [(0, 10), (131_000, 131_200), (262_100, 262_144), (5, 5), (-4, None)]
    starts, ends = zip(*ranges, strict=True)
    cut = found.cat_ranges([url] * len(ranges), list(starts), list(ends))
    assert cut == [CONTENT[start:end] for start, end in ranges]
    with found.open(url) as file:
        file.seek(131_000)
        assert file.read(200) == CONTENT[131_000:131_200]
        file.seek(0)
        assert file.read() == CONTENT
    assert found.cat(url) == CONTENT
    assert sum(each.size_bytes for each in sent_since(sides, before)) <= 3 * len(CONTENT)
    before = len(sides.data.sent)
    assert found.cat(url) == CONTENT
    assert sent_since(sides, before) == []


def test_more_ranges_at_once_than_a_provider_hands_out_all_come_after_one_look(sides, publish, fs):
    publish("many", content=CONTENT * 100)
    found, url = fs(cache=0), sides.url("many", "deep", "a b.bin")
    before = len(sides.data.sent)
    starts = list(range(0, 10_000_000, 100_000))
    cut = found.cat_ranges([url] * 100, starts, [each + 7 for each in starts], on_error="raise")
    assert cut == [(CONTENT * 100)[each : each + 7] for each in starts]
    looks = [each.method for each in sides.data.sent[before:] if not each.path]
    assert sorted(looks) == ["GET", "HEAD"]


def test_a_purpose_is_asked_for_in_one_sentence_and_has_a_cache_of_its_own(sides, publish, fs):
    publish("purposed", wire.constrained("purpose", "isAnyOf", [PURPOSE, "repair"]))
    url = sides.url("purposed", "note.txt")
    with pytest.raises(PermissionError) as caught:
        fs().open(url)
    said = f"name the purpose for which it is read: {PURPOSE}, repair"
    assert said in str(caught.value)
    assert fs(purpose="repair").cat(url) == b"hello"
    before = len(sides.data.sent)
    assert fs(purpose=PURPOSE).cat(url) == b"hello"
    assert len(sent_since(sides, before)) == 1
    told = sides.run(sides.provider.rows("SELECT purpose FROM transfer WHERE asset_id = 'purposed'"))
    assert sorted(each[0] for each in told) == sorted([PURPOSE, "repair"])
    ours = sides.run(sides.consumer.entries())
    accesses = {
        each["purpose"] for each in ours if each["message"] == "comity:Access" and each.get("purpose")
    }
    assert accesses == {PURPOSE, "repair"}
    with pytest.raises(PermissionError, match="it is not offered for sale"):
        fs(purpose="sale").open(url)


def test_nothing_that_was_read_is_given_after_the_provider_suspended_it(sides, publish, fs):
    publish("suspended")
    found, url = fs(), sides.url("suspended", "note.txt")
    file = found.open(url)
    assert file.read() == b"hello"
    theirs = sides.run(sides.provider.rows("SELECT id FROM transfer WHERE asset_id = 'suspended'"))[0][0]
    ours = sides.run(sides.consumer.rows("SELECT id FROM transfer WHERE asset_id = 'suspended'"))[0][0]
    sides.run(sides.provider.move(theirs, "suspend", reason="a check"))
    sides.run(sides.consumer.reaches(ours, terms.SUSPENDED))
    with pytest.raises(PermissionError, match="its transfer is SUSPENDED: a check"):
        found.open(url)
    asked_long_ago(found)
    file.seek(0)
    with pytest.raises(PermissionError, match="it cannot be read now: suspended"):
        file.read()
    with pytest.raises(PermissionError, match="suspended"):
        found.cat(url)
    sides.run(sides.provider.move(theirs, "start"))
    sides.run(sides.consumer.reaches(ours, terms.STARTED))
    assert found.cat(url) == b"hello"


def test_a_slow_reader_holds_the_partner_back_and_is_cut_with_the_agreement(sides, fs):
    folder = sides.provider.folder.parent / "slow"
    folder.mkdir()
    size = 96 * 2**20
    with (folder / "big.bin").open("wb") as file:
        file.truncate(size)
    sides.publish("slow", folder)
    found = fs()
    assert found.info(sides.url("slow", "big.bin"))["size"] == size
    name = sides.run(sides.consumer.rows("SELECT id FROM exchange WHERE asset_id = 'slow'"))[0][0]
    before = len(sides.data.sent)
    connection = http.client.HTTPConnection(sides.address.removeprefix("http://"), timeout=20)
    key = {"X-Api-Key": sides.consumer.conf.management_key}
    connection.request("GET", f"/management/v3/readings/{name}/files/big.bin", headers=key)
    answer = connection.getresponse()
    assert answer.read(100_000) == bytes(100_000)
    ours, theirs = (
        sides.run(site.rows("SELECT id FROM transfer WHERE asset_id = 'slow'"))[0][0]
        for site in (sides.consumer, sides.provider)
    )
    sides.run(sides.provider.move(theirs, "suspend", reason="a check"))
    sides.run(sides.consumer.reaches(ours, terms.SUSPENDED))
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        answer.read()
    connection.close()
    sides.run(wait_for(lambda: len(sides.data.sent) > before))
    (sent,) = [each for each in sides.data.sent[before:] if each.path == "files/big.bin"]
    assert sent.size_bytes < size / 2


def test_nothing_that_was_read_is_given_after_its_time(sides, publish, fs):
    publish("timed", wire.constrained("dateTime", "lteq", "2099-12-31"))
    found, url = fs(), sides.url("timed", "note.txt")
    assert found.cat(url) == b"hello"
    real = sides.consumer.connector.now_ms
    object.__setattr__(sides.consumer.connector, "now_ms", lambda: real() + CENTURY_MS)
    try:
        asked_long_ago(found)
        for read in (found.cat, found.open):
            with pytest.raises(PermissionError, match="dateTime lteq 2099-12-31"):
                read(url)
    finally:
        object.__setattr__(sides.consumer.connector, "now_ms", real)


def asked_long_ago(found):
    """Let the connector have been asked longer ago than the file system waits."""
    for distant in found._of_loop.values():
        for held in distant._held.values():
            held.asked_at -= 3600


def test_under_a_count_each_file_system_is_a_use(sides, publish, fs):
    publish("counted", wire.constrained("count", "lteq", "1"))
    url = sides.url("counted", "note.txt")
    found = fs()
    assert found.cat(url) == found.cat(url) == b"hello"
    with pytest.raises(PermissionError, match="count lteq 1"):
        fs().open(url)
    found.close()
    with pytest.raises(PermissionError, match="count lteq 1"):
        found.cat(url)


def test_a_newer_revision_is_never_mixed_into_an_open_file(sides, publish, fs):
    publish("revised")
    found, url = fs(cache=0), sides.url("revised", "deep", "a b.bin")
    file = found.open(url)
    assert file.read(100) == CONTENT[:100]
    publish("revised", content=CONTENT[::-1])
    with pytest.raises(
        OSError, match=r"the partner has another 'a b.bin' now .*open the file again|open it again"
    ):
        file.read(100)
    found.invalidate_cache()
    assert found.cat(url) == CONTENT[::-1]


def test_whoever_has_nothing_open_goes_on_with_the_newest_revision(sides, publish, fs):
    publish("renewed")
    early, url = fs(cache=0), sides.url("renewed", "deep", "a b.bin")
    assert early.cat(url) == CONTENT
    folder = sides.provider.folder.parent / "renewed"
    (folder / "new.txt").write_text("new")
    publish("renewed", content=CONTENT[1:])
    late = fs()  # as in another process: the connector has looked a moment ago
    with early.open(sides.url("renewed", "new.txt")) as file:
        assert file.read() == b"new"
    with late.open(url) as file:
        assert file.read() == CONTENT[1:]
    assert late.cat(url) == early.cat(url) == CONTENT[1:]
    assert early.size(url) == len(CONTENT) - 1
    publish("renewed", content=CONTENT[2:])
    assert early.cat_file(url, 0, 10) == CONTENT[2:12]
    (folder / "new.txt").unlink()
    publish("renewed", content=CONTENT[2:])
    with pytest.raises(FileNotFoundError):
        late.open(sides.url("renewed", "new.txt"))


def test_what_a_partner_ended_without_a_word_is_begun_anew(sides, publish, fs):
    publish("forgotten")
    long, url = fs(), sides.url("forgotten", "note.txt")
    assert long.cat(url) == b"hello"

    async def off_and_on():
        provider, consumer = sides.provider, sides.consumer
        await partners.remove(provider.connector, consumer.did)
        await provider.befriend(consumer, name="beta", purpose=distance.PURPOSES)

    sides.run(off_and_on())
    with fs().open(url) as file:  # as a new process
        assert file.read() == b"hello"
    with long.open(url) as file:
        assert file.read() == b"hello"
    sides.run(off_and_on())
    long.invalidate_cache()
    assert long.cat(url) == b"hello"
    sides.run(off_and_on())
    client = Connector(**sides.options)
    assert client.partner("alpha").read("forgotten", "note.txt") == b"hello"
    states = "SELECT state, count(*) FROM transfer WHERE asset_id = 'forgotten' GROUP BY state"
    for site in (sides.provider, sides.consumer):
        assert dict(sides.run(site.rows(states))) == {"STARTED": 1, "TERMINATED": 3}
    (listed,) = sides.run(
        sides.consumer.rows(
            "SELECT count(*) FROM reading JOIN exchange ON id = exchange_id"
            " WHERE asset_id = 'forgotten' AND ended_at IS NULL"
        )
    )
    assert listed == (1,)


def test_a_file_that_is_not_what_was_published_is_named_and_no_failure_of_the_connection(sides, publish, fs):
    publish("spoilt")
    (sides.provider.folder.parent / "spoilt" / "note.txt").write_text("other")
    found, url = fs(), sides.url("spoilt", "note.txt")
    with pytest.raises(OSError, match=r"'note.txt' is not what was published.*publish it again") as caught:
        found.cat(url)
    assert not isinstance(caught.value, ConnectionError)


def test_an_option_that_there_is_not_is_refused(sides):
    with pytest.raises(TypeError, match=r"no option revison; there are: purpose, .*revision"):
        fsspec.filesystem("comity", revison=1, **sides.options)


def test_a_partner_or_an_asset_that_is_not_there_is_no_missing_file(sides, publish, fs):
    publish("present")
    found = fs()
    for path in ("nobody/present/note.txt", "alpha/nope/note.txt"):
        assert (found.exists(path), found.isdir(path), found.isfile(path)) == (False, False, False)
        for read in (found.info, found.ls, found.open, found.cat):
            with pytest.raises(PermissionError, match=r"no partner nobody|no asset nope"):
                read(path)
        store = zarr.storage.FsspecStore.from_url(f"comity://{path}", storage_options=sides.options)
        with pytest.raises(PermissionError, match=r"no partner nobody|no asset nope"):
            zarr.open_group(store, mode="r")
    assert found.isfile("alpha/present/note.txt")


async def offered(sides, asset_id, address):
    """Offer one resource that is no package, as any other connector would."""
    api = asgi.Client(sides.provider.parts.internal, sides.provider.conf.management_key)
    definition = {"accessPolicyId": asset_id, "contractPolicyId": asset_id}
    wanted = [{"operandLeft": "id", "operator": "=", "operandRight": asset_id}]
    for noun, body in (
        ("assets", {"@id": asset_id, "properties": {}, "dataAddress": address}),
        ("policydefinitions", {"@id": asset_id, "policy": {"permission": [{"action": "use"}]}}),
        ("contractdefinitions", {"@id": asset_id, **definition, "assetsSelector": wanted}),
    ):
        assert (await api.request("POST", noun, body)).status == 200


def test_an_asset_that_is_no_package_is_one_file(sides, fs):
    path = sides.provider.folder.parent / "single.bin"
    path.write_bytes(CONTENT)
    sides.run(offered(sides, "single", {"type": "File", "path": str(path)}))
    found, url = fs(), sides.url("single")
    assert (found.info(url)["type"], found.size(url)) == ("file", len(CONTENT))
    assert found.cat_file(url, 1000, 1010) == CONTENT[1000:1010]
    with found.open(f"{url}/single.bin") as file:
        assert file.read() == CONTENT
    assert [each["size"] for each in found.ls(url)] == [len(CONTENT)]


def test_what_has_no_size_is_read_whole_when_it_is_opened(sides, fs):
    async def stream(request):
        answer = web.StreamResponse()
        answer.enable_chunked_encoding()
        await answer.prepare(request)
        if request.method == "GET":
            await answer.write(b"a,b\n1,2\n")
        return answer

    async def back_end():
        runner = web.ServerRunner(web.Server(stream))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner

    running = sides.run(back_end())
    address = f"http://127.0.0.1:{running.addresses[0][1]}/table"
    sides.run(offered(sides, "streamed", {"type": "HttpData", "baseUrl": address}))
    found, url = fs(), sides.url("streamed")
    assert found.info(url)["size"] is None
    with found.open(url, "rt") as file:
        assert file.read() == "a,b\n1,2\n"
    assert found.cat_file(url, 4) == b"1,2\n"
    sides.run(running.cleanup())


def test_nothing_is_written_and_nothing_is_copied_away(sides, publish, fs, tmp_path):
    publish("read")
    found, url = fs(), sides.url("read", "note.txt")
    for refused in (
        lambda: found.open(url, "wb"),
        lambda: found.pipe(url, b"x"),
        lambda: found.rm(url),
        lambda: found.get(url, str(tmp_path / "copy")),
        lambda: fsspec.open(f"simplecache::{url}", comity=sides.options).open(),
        lambda: fsspec.open(f"filecache::{url}", comity=sides.options).open(),
        lambda: fsspec.open(f"blockcache::{url}", comity=sides.options).open(),
        lambda: fsspec.open(
            f"simplecache::{url}", comity=sides.options, simplecache={"compression": "gzip"}
        ).open(),
        lambda: fsspec.open(
            f"filecache::{url}", comity=sides.options, filecache={"compression": "gzip"}
        ).open(),
    ):
        with pytest.raises(PermissionError, match=r"only read|copies nothing away"):
            refused()
    assert list(tmp_path.iterdir()) == []


def test_another_file_system_in_an_event_loop_reads_the_same(sides, publish):
    publish("awaited")
    url = sides.url("awaited", "note.txt")

    async def read():
        found = fsspec.filesystem("comity", asynchronous=True, **sides.options, skip_instance_cache=True)
        try:
            return await found._cat_file(url, start=1, end=3)
        finally:
            await found.end()

    assert asyncio.run(read()) == b"el"


def test_a_file_system_is_the_same_after_json(sides, fs):
    found = fs(purpose="repair")
    assert json.loads(found.to_json())["purpose"] == "repair"
    assert fsspec.AbstractFileSystem.from_json(found.to_json())._access == {"purpose": "repair"}


def test_a_connector_that_is_away_is_named(sides):
    away = fsspec.filesystem("comity", address="http://127.0.0.1:1", api_key="x", skip_instance_cache=True)
    with pytest.raises(ConnectionError, match=r"the connector at http://127.0.0.1:1 cannot be reached"):
        away.open("comity://alpha/asset/file")


def test_pandas_shows_the_sentence_about_a_partner_or_an_asset_that_is_not_there(sides, publish, fs):
    publish("there")
    [partner] = fs().ls("", detail=False)
    with pytest.raises(PermissionError, match=r"there is no partner nobody on the list .*comity partner"):
        pd.read_parquet("comity://nobody/asset/a.parquet", storage_options=sides.options)
    with pytest.raises(PermissionError, match=r"offers you no asset not-there .*comity catalog"):
        pd.read_parquet(f"comity://{partner}/not-there/a.parquet", storage_options=sides.options)
