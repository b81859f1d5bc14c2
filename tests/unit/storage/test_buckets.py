"""Which bucket an address names, and what is refused of settings and data addresses."""

import pytest

from comity.errors import InvalidInputError, SettingsError, StorageError
from comity.storage import buckets

GIVEN = {"url": "s3://acme-drawings/out", "endpoint": "https://s3.acme.example", "region": "eu-1"}
KEYED = {**GIVEN, "credentials_file": "keys/drawings.json"}
DRAWINGS = buckets.read("drawings", KEYED, insecure=False)
BLOBS = buckets.read(
    "blobs", {"url": "azure://plans", "account": "acme", "credentials_secret": "plans"}, insecure=False
)
OPEN = buckets.read("open", {"url": "gcs://public-data", "anonymous": True}, insecure=False)
LISTED = (DRAWINGS, BLOBS, OPEN)


def test_address_names_an_object_of_a_listed_bucket():
    place = buckets.find(LISTED, "s3://drawings/pump/a b.pdf")
    assert (place.bucket, place.path, place.key) == (DRAWINGS, "pump/a b.pdf", "out/pump/a b.pdf")
    assert str(place.below("x")) == "s3://drawings/pump/a b.pdf/x"
    assert str(buckets.find(LISTED, "gcs://open/")) == "gcs://open"


def test_key_that_no_store_takes_is_refused():
    with pytest.raises(StorageError, match="more than 1024 bytes"):
        buckets.find(LISTED, "s3://drawings/in").below("x" * 1020)


@pytest.mark.parametrize("text", ["/srv/data", "s3:/x", "https://s3.example/x", "S3://x", "folder", ""])
def test_what_is_a_path_is_no_address(text):
    assert not buckets.is_address(text)


@pytest.mark.parametrize(
    "address",
    [
        "s3://acme-drawings/x",
        "s3://169.254.169.254/x",
        "s3://user:key@drawings/x",
        "gcs://drawings/x",
        "s3://drawings/../x",
        "s3://drawings/a//b",
        "s3://drawings/./b",
        "s3://drawings/a\nb",
        "s3://drawings/" + "x" * 1000,
    ],
)
def test_address_of_anything_else_is_refused(address):
    with pytest.raises(StorageError):
        buckets.find(LISTED, address)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"url": "https://acme"}, "url"),
        ({"url": "s3://a"}, "url"),
        ({"url": "s3://acme/../x"}, "url"),
        ({"credentials_secret": "also"}, "needs one of"),
        ({"credentials_file": ""}, "needs one of"),
        ({"endpoint": "http://s3.acme.example"}, "is http"),
        ({"endpoint": "https://key:secret@s3.acme.example"}, "endpoint"),
        ({"endpoint": "s3.acme.example"}, "endpoint"),
        ({"account": "acme"}, "account"),
        ({"access_key_id": "AKIA"}, "there is no setting"),
        ({"region": 3}, "must be a text"),
    ],
)
def test_wrong_section_is_refused_by_name(change, said):
    with pytest.raises(SettingsError, match=said):
        buckets.read("drawings", {**KEYED, **change}, insecure=False)


def test_section_is_written_as_it_was_read():
    assert all(buckets.read(each.name, each.written(), insecure=False) == each for each in LISTED)
    assert DRAWINGS.written() == KEYED


def test_credentials_are_not_shown():
    assert "keys/drawings" not in repr(DRAWINGS)


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ({"type": "AmazonS3", "bucketName": "acme-drawings", "objectName": "out/a.pdf"}, "s3://drawings/a.pdf"),
        (
            {
                "type": "AmazonS3", "bucketName": "acme-drawings", "folderName": "out/p", "objectName": "a.pdf",
                "region": "eu-1", "endpointOverride": "https://s3.acme.example/",
            },
            "s3://drawings/p/a.pdf",
        ),
        ({"type": "AzureStorage", "account": "acme", "container": "plans", "blobName": "x"}, "azure://blobs/x"),
        ({"type": "GoogleCloudStorage", "bucket_name": "public-data", "blob_name": "x"}, "gcs://open/x"),
    ],
)  # fmt: skip
def test_data_address_of_edc_names_a_listed_bucket(address, found):
    assert str(buckets.from_edc(LISTED, address, at="$.dataAddress", one=True)) == found


@pytest.mark.parametrize(
    "change",
    [
        {"bucketName": "another"},
        {"endpointOverride": "http://169.254.169.254"},
        {"endpointOverride": "https://s3.acme.example.evil"},
        {"region": "us-1"},
        {"objectName": "elsewhere/a.pdf"},
        {"objectName": "out/../elsewhere/a.pdf"},
        {"objectName": "outside"},
        {"objectName": ""},
        {"objectName": ["out/a.pdf"]},
        {"objectName": "out/\ud800"},
        {"objectPrefix": "out/"},
        {"accessKeyId": "AKIA", "secretAccessKey": "secret"},
        {"keyName": "secret-of-the-vault"},
    ],
)
def test_data_address_of_another_bucket_or_endpoint_is_refused(change):
    address = {"type": "AmazonS3", "bucketName": "acme-drawings", "objectName": "out/a.pdf", **change}
    with pytest.raises((InvalidInputError, StorageError)):
        buckets.from_edc(LISTED, address, at="$.dataAddress", one=True)


def test_an_empty_region_of_the_settings_is_the_usual_one():
    plain = buckets.read("plain", {"url": "s3://beta-2", "anonymous": True}, insecure=False)
    address = {"type": "AmazonS3", "bucketName": "beta-2", "folderName": "in", "region": "us-east-1"}
    assert str(buckets.from_edc([plain], address, at="$", one=False)) == "s3://plain/in"


@pytest.mark.parametrize(
    ("change", "path", "said"),
    [
        (
            {"region": "us-1"},
            "$.region",
            "region is eu-1 for the bucket drawings of the settings, not 'us-1'",
        ),
        ({"endpointOverride": "http://x"}, "$.endpointOverride", "https://s3.acme.example for the bucket"),
        ({"bucketName": "another"}, "$.bucketName", "no s3 bucket of the settings is called 'another'"),
    ],
)
def test_what_describes_another_bucket_is_named(change, path, said):
    address = {"type": "AmazonS3", "bucketName": "acme-drawings", "objectName": "out/a.pdf", **change}
    with pytest.raises(InvalidInputError, match=said) as caught:
        buckets.from_edc(LISTED, address, at="$", one=True)
    assert caught.value.path == path
