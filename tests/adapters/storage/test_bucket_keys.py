"""Where the credentials of buckets come from: a file or a secret, as it is now, and never in an error."""

import dataclasses

import pytest

from comity import data_folder, errors, joining, settings
from comity.controlplane import bucket_keys, secrets
from comity.db import stores
from comity.db.seal import Seal
from comity.management.secrets import SecretForm
from comity.storage import buckets

SECTION = """
[buckets.drawings]
url = "s3://acme-drawings/out"
endpoint = "https://s3.acme.example"
region = "eu-1"
credentials_file = "keys/drawings.json"

[buckets.plans]
url = "azure://plans"
account = "acme"
credentials_secret = "plans"
"""


@pytest.fixture
def folder(tmp_path):
    data_folder.initialize(tmp_path / "data", address="https://alpha.example")
    file = tmp_path / "data" / settings.FILE
    file.write_text(file.read_text() + SECTION)
    return tmp_path / "data"


@pytest.fixture
async def store(folder):
    loaded = settings.load(folder)
    async with stores.opened(loaded.database, "", insecure=True, place="") as made:
        yield made


async def test_settings_name_buckets_and_their_credentials_are_read_each_time(folder, store):
    drawings, plans = settings.load(folder).buckets
    seal = Seal(settings.seal_key(settings.load(folder)))
    keys = bucket_keys.Keys(folder, store, seal)
    for text in ("planted-1", "planted-2"):
        (folder / "keys" / "drawings.json").write_text(text + "\n")
        assert await keys.find(drawings) == text
    with pytest.raises(errors.StorageError, match="names the secret 'plans', and there is none"):
        await keys.find(plans)
    connector = type("Connector", (), {"database": store, "seal": seal, "now_ms": staticmethod(lambda: 1)})
    await secrets.create(connector, SecretForm(id="plans", value="planted-3"))
    assert await keys.find(plans) == "planted-3"


async def test_file_that_cannot_be_read_is_said_without_its_content(folder, store):
    drawings, _ = settings.load(folder).buckets
    keys = bucket_keys.Keys(folder, store, Seal(bytes(32)))
    with pytest.raises(errors.StorageError, match="the credentials of the bucket drawings cannot be read"):
        await keys.find(drawings)
    (folder / "keys" / "drawings.json").write_bytes(b"\xffplanted")
    with pytest.raises(errors.StorageError) as caught:
        await keys.find(drawings)
    assert "planted" not in str(caught.value)


def test_wrong_bucket_is_said_with_the_file_and_the_key(folder):
    file = folder / settings.FILE
    file.write_text(file.read_text().replace('account = "acme"', 'acount = "acme"'))
    with pytest.raises(
        errors.SettingsError, match=r"comity\.toml: there is no setting buckets\.plans\.acount"
    ):
        settings.load(folder)


def test_further_replica_has_the_same_buckets(folder, tmp_path):
    mine = settings.load(folder)
    joined = joining.join(
        tmp_path / "second",
        database="postgresql://u:p@host/name",
        seal_key=settings.seal_key(mine),
        shared=joining.share(mine),
        keys={},
    )
    assert joined.buckets == mine.buckets
    other = dataclasses.replace(mine, buckets=mine.buckets[:1])
    assert not joining.differs(mine, joining.share(mine))
    assert joining.differs(mine, joining.share(other)) or joining.differs(other, joining.share(mine))


def test_page_has_a_row_for_each_setting_of_a_bucket(pytestconfig):
    page = (pytestconfig.rootpath / "docs" / "reference" / "settings.md").read_text()
    assert all(f"| `buckets.NAME.{name}` |" in page for name in buckets.KEYS)
