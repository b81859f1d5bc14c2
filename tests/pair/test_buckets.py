"""A package goes from a bucket of its provider into one of its consumer; neither sees the other's keys.

What depends on the kind of store is tried with S3 and Azure, and reading with Google Cloud Storage, too.
"""

from pathlib import Path

import obstore
import pytest

from comity.controlplane import catalog, deletions, export, get, offers, processes, publish
from comity.errors import ConflictError, InvalidInputError, StorageError
from comity.management import offers as asset_forms
from comity.storage import buckets, opening
from support import azurite, gcs, seaweed, spoiled_store, stores
from support import pair as pairs
from support.handed import agreed, request
from support.pair import wait_for
from support.process import finalized, transfer

BIG = bytes(range(256)) * 5_000
FILES = {"a.txt": b"hello", "b/c d.bin": BIG, "b/empty": b"", "b/twin.bin": BIG}


class Store:
    """A bucket of one side, seen with that side's own key."""

    def __init__(self, server, identity, folder):
        self.server, self.identity, self.container = server, identity, server.bucket(identity)
        path = folder / f"{self.container}.json"
        path.write_text(identity.credentials)
        values = {**server.section(identity, self.container, "in"), "credentials_file": str(path)}
        self.bucket = buckets.read("own", values, insecure=True)
        self.store = opening.store(self.bucket, identity.credentials, insecure=True)

    def at(self, path):
        return f"{self.bucket.kind}://own/{path}"

    def put(self, path, content):
        if self.bucket.kind == "gcs":  # the server takes no uploads of obstore's kind
            self.server.put(self.container, f"in/{path}", content)
        else:
            obstore.put(self.store, f"in/{path}", content)

    def get(self, path):
        return bytes(obstore.get(self.store, f"in/{path}").bytes())

    def names(self):
        found = (each["path"] for page in obstore.list(self.store) for each in page)
        return sorted(each.removeprefix("in/") for each in found)


def kinds(*pairs):
    """Run a test with stores of these kinds, the provider's and the consumer's."""
    names = ["-".join(each.__name__.rpartition(".")[2] for each in pair) for pair in pairs]
    return pytest.mark.parametrize("kinds_of_stores", pairs, ids=names, indirect=True)


@pytest.fixture
def kinds_of_stores(request):
    return getattr(request, "param", (seaweed, seaweed))


@pytest.fixture
def theirs(kinds_of_stores, tmp_path):
    server = kinds_of_stores[0].server()
    made = Store(server, server.alpha, tmp_path)
    for path, content in FILES.items():
        made.put(f"pkg/{path}", content)
    return made


@pytest.fixture
def ours(kinds_of_stores, tmp_path):
    server = kinds_of_stores[1].server()
    return Store(server, server.beta, tmp_path)


@pytest.fixture
async def pair(started, theirs, ours):
    made = await pairs.introduced(
        await started("provider", buckets=[theirs.bucket]), await started("consumer", buckets=[ours.bucket])
    )
    await publish.publish(made.provider.connector, theirs.at("pkg"), asset_id="asset")
    return made


async def fetched(pair):
    (bucket,) = pair.consumer.connector.objects.listed
    begun = await get.start(pair.consumer.connector, pair.provider.did, "asset", f"{bucket.kind}://own/got")

    async def done():
        return (await get.status(pair.consumer.connector, begun.id))["stage"] in {get.COMPLETED, get.FAILED}

    await wait_for(done, timeout_s=30)
    return await get.status(pair.consumer.connector, begun.id)


def received(ours, folder="got"):
    return {
        name.removeprefix(f"{folder}/"): ours.get(name)
        for name in ours.names()
        if name.startswith(f"{folder}/") and not name.startswith(f"{folder}/.")
    }


async def everything_seen(pair, caplog, *agreements):
    """Stores, evidence, messages, bundles and the log of both sides, as one text."""
    seen = caplog.text
    for site in pair:
        seen += stores.stored(site.conf).decode("latin-1") + str(await site.entries())
        seen += "".join(f"{each.path} {each.headers} {each.body!r}" for each in site.captured)
        for agreement_id in agreements:
            seen += (await export.export(site.connector, agreement_id)).decode("latin-1")
    return seen


@kinds((seaweed, seaweed), (azurite, azurite), (gcs, azurite))
async def test_package_goes_from_bucket_to_bucket_and_no_key_is_seen_anywhere(pair, theirs, ours, caplog):
    caplog.set_level("DEBUG")
    status = await fetched(pair)
    assert (status["stage"], status["error"]) == (get.COMPLETED, "")
    assert received(ours) == FILES
    assert "got/.comity-manifest.json" in ours.names()
    staged = [path for path in (pair.consumer.folder / "staging").rglob("*") if path.stat().st_size > 4096]
    assert [path for path in staged if path.is_file()] == []
    again = await fetched(pair)
    assert (again["stage"], again["bytesDone"]) == (get.COMPLETED, sum(map(len, FILES.values())))
    seen = await everything_seen(pair, caplog, status["agreementId"])
    for side in (theirs, ours):
        assert side.server.endpoint not in seen
    seen += "".join(str(site.conf) + str(site.connector.objects.listed) for site in pair)
    for side in (theirs, ours):
        for secret in side.identity.secrets:
            assert secret not in seen


@kinds((seaweed, seaweed), (azurite, azurite))
async def test_key_that_the_store_refuses_is_seen_nowhere_and_a_right_one_counts_at_once(
    pair, theirs, ours, caplog, tmp_path
):
    caplog.set_level("DEBUG")
    file = Path(theirs.bucket.credentials_file)
    wrong = theirs.server.refused[0]
    file.write_text(wrong.credentials)
    with pytest.raises(StorageError, match="refuses the credentials"):
        await publish.publish(pair.provider.connector, theirs.at("pkg"), asset_id="other")
    begun = await get.start(pair.consumer.connector, pair.provider.did, "asset", str(tmp_path / "got"))

    async def told():
        return (await get.status(pair.consumer.connector, begun.id))["error"]

    assert "the data cannot be read now" in await wait_for(told, timeout_s=20)
    status = await get.status(pair.consumer.connector, begun.id)
    seen = str(status) + await everything_seen(pair, caplog, status["agreementId"])
    for secret in (*wrong.secrets, *theirs.identity.secrets):
        assert secret not in seen
    file.write_text(theirs.identity.credentials)
    await publish.publish(pair.provider.connector, theirs.at("pkg"), asset_id="other")


@kinds((seaweed, seaweed), (azurite, azurite))
async def test_next_revision_fetches_only_what_the_bucket_does_not_have(pair, theirs, ours):
    await fetched(pair)
    theirs.put("pkg/a.txt", b"hello again")
    theirs.put("pkg/moved.bin", BIG)
    theirs.put("pkg/gone.txt", b"gone")
    await publish.publish(pair.provider.connector, theirs.at("pkg"), asset_id="asset")
    await fetched(pair)
    assert received(ours)["gone.txt"] == b"gone"
    obstore.delete(theirs.store, "in/pkg/gone.txt")
    await publish.publish(pair.provider.connector, theirs.at("pkg"), asset_id="asset")
    before = len(files_asked_for(pair))
    status = await fetched(pair)
    assert (status["stage"], status["error"]) == (get.COMPLETED, "")
    assert received(ours)["a.txt"] == b"hello again"
    assert received(ours)["moved.bin"] == BIG
    assert "gone.txt" not in received(ours)
    assert status["note"] == "removed, not in this revision any more: gone.txt"
    assert [path for path in files_asked_for(pair)[before:] if "bin" in path] == []


async def test_object_of_somebody_else_is_not_replaced(pair, ours):
    ours.put("got/a.txt", b"mine")
    status = await fetched(pair)
    assert status["stage"] == get.FAILED
    assert "was not received here; it is not replaced" in status["error"]
    assert ours.get("got/a.txt") == b"mine"


@kinds((seaweed, seaweed), (azurite, azurite), (gcs, seaweed))
async def test_object_that_changed_at_the_provider_is_not_handed_out(pair, theirs, ours):
    theirs.put("pkg/b/c d.bin", BIG[::-1])
    begun = await get.start(pair.consumer.connector, pair.provider.did, "asset", ours.at("got"))

    async def told():
        return (await get.status(pair.consumer.connector, begun.id))["error"]

    assert "not what was published" in await wait_for(told, timeout_s=20)
    assert not {"got/b/c d.bin", "got/.comity-manifest.json"} & set(ours.names())


@kinds((seaweed, seaweed), (azurite, azurite))
async def test_push_goes_into_the_consumers_bucket_through_its_own_node(pair, ours):
    destination = {**in_edcs_words(ours), "folderName": "in/pushed"}
    dataset = await catalog.request_dataset(pair.consumer.connector, pair.provider.did, None, "asset")
    agreement_id = await agreed(pair.consumer, pair.provider, dataset)
    transfer_id = await request(pair.consumer, agreement_id, destination)
    await pair.consumer.reaches(transfer_id, "COMPLETED", 30)
    assert received(ours, "pushed") == FILES
    sent = next(each for each in pair.provider.captured if each.path.endswith("/transfers/request"))
    assert ours.container.encode() not in sent.body
    document = await processes.load_transfer(pair.consumer.connector, transfer_id)
    assert document["dataDestination"]["path"] == ours.at("pushed")


def in_edcs_words(store):
    if store.bucket.kind == "s3":
        return {"type": "AmazonS3", "bucketName": store.container}
    return {"type": "AzureStorage", "account": store.bucket.account, "container": store.container}


@pytest.fixture
async def between(started, theirs, ours):
    """The two, with what spoils the answers of the provider's store and of the consumer's."""
    port = seaweed.server().port
    with spoiled_store.before(port) as there, spoiled_store.before(port) as here:
        sites = [
            await started(
                name,
                buckets=[
                    buckets.read("own", {**side.bucket.written(), "endpoint": each.endpoint}, insecure=True)
                ],
            )
            for name, side, each in (("provider", theirs, there), ("consumer", ours, here))
        ]
        pair = await pairs.introduced(*sites)
        await publish.publish(pair.provider.connector, "s3://own/pkg", asset_id="asset")
        yield pair, there, here


async def test_store_that_asks_for_patience_stops_nothing_for_good(between, ours):
    pair, _, here = between
    here.fault = spoiled_store.failing(503, "SlowDown", times=8)
    status = await fetched(pair)
    assert (status["stage"], status["error"]) == (get.COMPLETED, "")
    assert received(ours) == FILES


async def test_other_bytes_of_the_right_length_never_arrive(between, ours):
    pair, there, _ = between
    there.fault = spoiled_store.other_bytes
    status = await fetched(pair)
    assert (status["stage"], status["errorType"]) == (get.FAILED, "hash-mismatch")
    assert received(ours) == {"b/empty": b""} or received(ours) == {}


async def test_consumer_that_is_restarted_goes_on_with_what_is_in_its_bucket(between, ours):
    pair, _, here = between
    put = []

    def refused_after_one(answer):
        if answer.method in {"PUT", "POST"} and "comity" not in answer.path:
            put.append(answer.path)
            if len(put) > 1:
                spoiled_store.failing(503, "SlowDown")(answer)

    here.fault = refused_after_one
    begun = await get.start(pair.consumer.connector, pair.provider.did, "asset", "s3://own/got")

    async def told():
        return (await get.status(pair.consumer.connector, begun.id))["error"]

    assert "does not answer as it should" in await wait_for(told, timeout_s=40)
    await pair.consumer.stop()
    here.fault = None
    asked_before = len(files_asked_for(pair))
    await pair.consumer.start()

    async def done():
        return (await get.status(pair.consumer.connector, begun.id))["stage"] == get.COMPLETED

    await wait_for(done, timeout_s=30)
    assert received(ours) == FILES
    assert len(files_asked_for(pair)) == asked_before  # all was staged: nothing is fetched again


def files_asked_for(pair):
    return [each.path for each in pair.provider.captured if "/files/" in each.path]


@kinds((seaweed, seaweed), (azurite, azurite))
async def test_what_is_to_be_deleted_is_deleted_from_the_bucket_and_nothing_else(pair, ours):
    status = await fetched(pair)
    ours.put("got/b/mine", b"of somebody else")
    await deletions.delete(pair.consumer.connector, status["transferId"], by="Ann")
    assert [name for name in ours.names() if not name.startswith("got/.comity")] == ["got/b/mine"]


async def test_changed_object_is_not_deleted(pair, ours):
    status = await fetched(pair)
    ours.put("got/a.txt", b"changed by us")
    with pytest.raises(ConflictError, match=r"changed since they were received.*a\.txt"):
        await deletions.delete(pair.consumer.connector, status["transferId"], by="Ann")
    assert ours.get("got/a.txt") == b"changed by us"


@kinds((seaweed, seaweed), (azurite, azurite))
async def test_bucket_that_cannot_be_received_into_is_said_before_anything_is_agreed(
    started, theirs, ours, tmp_path
):
    keyless = {**ours.bucket.written(), "credentials_file": theirs.bucket.credentials_file}
    kind = ours.bucket.kind
    missing = {**ours.bucket.written(), "url": f"{kind}://beta-none"}
    site = await started(
        "consumer",
        buckets=[
            buckets.read(name, each, insecure=True)
            for name, each in (("keyless", keyless), ("missing", missing))
        ],
    )
    for address, said in (
        (f"{kind}://keyless/x", "refuses the credentials of the bucket keyless"),
        (f"{kind}://missing/x", "there is no bucket 'beta-none'"),
    ):
        with pytest.raises(StorageError, match=said):
            await get.start(site.connector, "did:web:nobody.example", "asset", address)


async def test_address_and_data_address_that_nobody_listed_are_refused(pair, theirs):
    for address in ("s3://other/got", "gcs://own/got", "s3://169.254.169.254/got", "s3://own/../got"):
        with pytest.raises(StorageError):
            await get.start(pair.consumer.connector, pair.provider.did, "asset", address)
    for change in (
        {"bucketName": "not-listed"},
        {"endpointOverride": "http://169.254.169.254"},
        {"accessKeyId": "AKIA", "secretAccessKey": "planted"},
        {"keyName": "planted"},
    ):
        whole = {"type": "AmazonS3", "bucketName": theirs.container, "objectName": "in/pkg/a.txt", **change}
        with pytest.raises(InvalidInputError) as caught:
            await create(pair.provider.connector, whole)
        assert "planted" not in str(caught.value)


async def create(connector, address):
    await offers.create_asset(connector, asset_forms.decode_asset({"@id": "one", "dataAddress": address}))


@kinds((seaweed, seaweed), (azurite, azurite))
async def test_one_object_is_offered_by_a_data_address_of_edc(pair, theirs, tmp_path):
    made = pair.provider.connector
    name = "objectName" if theirs.bucket.kind == "s3" else "blobName"
    address = {**in_edcs_words(theirs), name: "in/pkg/a.txt"}
    await create(made, address)
    policy = {"@id": "p", "policy": {"@type": "Set", "permission": [{"action": "use"}]}}
    await offers.create_policy(made, asset_forms.decode_policy(policy))
    contract = {"@id": "c", "accessPolicyId": "p", "contractPolicyId": "p", "assetsSelector": []}
    await offers.create_contract(made, asset_forms.decode_contract(contract))
    begun = await get.start(pair.consumer.connector, pair.provider.did, "one", str(tmp_path / "got"))

    async def done():
        return (await get.status(pair.consumer.connector, begun.id))["stage"] == get.COMPLETED

    await wait_for(done)
    assert (tmp_path / "got" / "a.txt").read_bytes() == b"hello"


def elsewhere(kind, **properties):
    listed = [{"@type": "EndpointProperty", "name": name, "value": each} for name, each in properties.items()]
    return {"@type": "DataAddress", "endpointType": kind, "endpointProperties": listed}


async def test_nothing_that_a_partner_names_is_opened_as_a_bucket(started, peer, theirs, monkeypatch):
    opened = []
    real = opening.store
    monkeypatch.setattr(
        opening, "store", lambda bucket, *more, **named: opened.append(bucket) or real(bucket, *more, **named)
    )
    site = await started("site", buckets=[theirs.bucket])
    await site.befriend(peer)
    await publish.publish(site.connector, "s3://own/pkg", asset_id="asset")
    agreement_id = (await finalized(peer, site))[1]
    other = "http://127.0.0.1:9"
    for address in (
        elsewhere(
            "AmazonS3", bucketName=theirs.container, endpointOverride=other, region="x", folderName="in"
        ),
        elsewhere("AmazonS3", bucketName=theirs.container, folderName="in"),
        elsewhere("AzureStorage", account="acme", container="x", endpoint=other),
        elsewhere("GoogleCloudStorage", bucket_name="x"),
        elsewhere("HttpData", baseUrl="s3://own/pkg"),
        elsewhere("HttpData", baseUrl=f"s3://{theirs.container}/in"),
    ):
        process = transfer(peer, site)
        answer = await process.request_data(agreement_id, format="HttpData-PUSH", dataAddress=address)
        assert answer.status == 400, answer.body
        answer = await process.request_data(agreement_id, format="AmazonS3-PUSH", dataAddress=address)
        assert answer.status == 400, answer.body
    assert set(opened) <= {theirs.bucket}


async def test_address_in_a_manifest_or_a_name_is_no_bucket(pair, theirs, ours):
    theirs.put("odd/s3:/own/x", b"a name like an address")
    with pytest.raises(InvalidInputError):
        await publish.publish(pair.provider.connector, "s3://own/odd", asset_id="odd")
