"""Seals of packages: made by who publishes, checked by who receives before any file comes, kept beside the manifest."""

import msgspec

from comity.controlplane import content, get, keyring, seals
from comity.dataplane import serve
from comity.identity import jose
from comity.techdata import manifest
from comity.techdata import seal as sealing
from support.pair import wait_for

SEAL = ".comity-seal.jws"


async def got(pair, folder):
    """Let the consumer get what the provider has published, to its end, and return how it ended."""
    begun = await get.start(pair.consumer.connector, pair.provider.did, "asset", str(folder))

    async def done():
        pair.consumer.connector.resolver.forget(pair.provider.did)  # else it is asked for at most every 30 s
        return (await get.status(pair.consumer.connector, begun.id))["stage"] in {get.COMPLETED, get.FAILED}

    await wait_for(done)
    return await get.status(pair.consumer.connector, begun.id)


async def test_a_seal_is_checked_before_the_files_come_and_kept_beside_the_manifest(pair, tmp_path):
    await pair.provider.publish()
    status = await got(pair, tmp_path / "got")
    assert (status["stage"], status["error"]) == (get.COMPLETED, "")
    text = (tmp_path / "got" / SEAL).read_text()
    said = sealing.read(text)
    assert (said.sealed_by, said.kid) == (pair.provider.did, f"{pair.provider.did}#key-1")
    assert said.sha256 == manifest.digest((tmp_path / "got" / ".comity-manifest.json").read_bytes())
    assert await pair.consumer.rows("SELECT seal FROM delivery") == [(text,)]
    assert status["sealedBy"] == pair.provider.did
    kept = await pair.consumer.rows("SELECT kid FROM public_key WHERE participant_id = ?1", pair.provider.did)
    assert (said.kid,) in kept


async def test_a_seal_whose_key_has_left_is_made_anew_by_who_publishes(pair, tmp_path):
    await pair.provider.publish()
    await keyring.retire(pair.provider.connector, "key-1")
    status = await got(pair, tmp_path / "got")
    assert (status["stage"], status["error"]) == (get.COMPLETED, "")
    assert sealing.read((tmp_path / "got" / SEAL).read_text()).kid == f"{pair.provider.did}#key-2"


async def test_a_package_sealed_with_a_revoked_key_is_refused_and_nothing_of_it_comes(
    pair, tmp_path, monkeypatch
):
    await pair.provider.publish()
    await keyring.retire(pair.provider.connector, "key-1")
    monkeypatch.setattr(seals, "renewed", lambda _, kept: kept)  # somebody has the stolen key, and uses it
    status = await got(pair, tmp_path / "got")
    assert status["stage"] == get.FAILED
    assert "#key-1, which did:web:" in status["error"]
    assert "does not publish (any more)" in status["error"]
    assert status["errorType"] == "bad-seal"
    assert not (tmp_path / "got" / "a.txt").exists()


async def test_a_seal_of_somebody_else_is_refused(pair, tmp_path):
    await pair.provider.publish()
    stranger = jose.SigningKey.generate("key-1")

    def resealed(kept):
        text = sealing.make(stranger, kept.manifest.encode(), sealer=pair.provider.did, at_s=1)
        return msgspec.structs.replace(kept, seal=text)

    await pair.provider.hand_out(resealed)
    status = await got(pair, tmp_path / "got")
    assert (status["stage"], status["errorType"]) == (get.FAILED, "bad-seal")
    assert "was not made with" in status["error"]


async def test_a_seal_that_was_taken_away_is_missed(pair, tmp_path):
    await pair.provider.publish()
    await pair.provider.hand_out(lambda kept: msgspec.structs.replace(kept, seal=""))
    status = await got(pair, tmp_path / "got")
    assert (status["stage"], status["errorType"]) == (get.FAILED, "bad-seal")
    assert f"{pair.provider.did} has sealed it, and there is no seal" in status["error"]


async def test_a_partner_that_gives_no_seal_is_received_from_all_the_same(pair, tmp_path):
    await pair.provider.publish()

    def first(kept):
        described = manifest.decode(kept.manifest.encode())
        files = tuple(manifest.File(each.path, each.size_bytes, each.sha256) for each in described.files)
        return content.Sealed(manifest.encode(manifest.Manifest("old", files)).decode(), kept.files)

    await pair.provider.hand_out(first)
    status = await got(pair, tmp_path / "got")
    assert (status["stage"], status["error"]) == (get.COMPLETED, "")
    assert not (tmp_path / "got" / SEAL).exists()
    assert status["sealedBy"] == ""
    assert await pair.consumer.rows("SELECT seal FROM delivery") == [("",)]


async def test_a_package_that_is_pushed_brings_its_seal_and_one_that_does_not_hold_is_refused(
    pair, tmp_path, monkeypatch
):
    monkeypatch.setattr("comity.dsp.transfer.FORMATS", ("HttpData-PUSH",))
    await pair.provider.publish()
    status = await got(pair, tmp_path / "got")
    assert (status["stage"], status["error"], status["sealedBy"]) == (get.COMPLETED, "", pair.provider.did)
    text = (tmp_path / "got" / SEAL).read_text()
    assert await pair.consumer.rows("SELECT seal FROM delivery") == [(text,)]
    await pair.provider.hand_out(lambda kept: msgspec.structs.replace(kept, seal=""))
    status = await got(pair, tmp_path / "again")
    assert (status["stage"], status["errorType"]) == (get.FAILED, "bad-seal")
    assert not (tmp_path / "again" / "a.txt").exists()


async def test_the_seal_is_served_beside_the_manifest():
    kept = serve.Package(b"{}", "ab" * 32, {}, "a.b.c")
    answer = await serve.answer(serve.Grant("t", kept), "GET", "/seal", {}, {})
    assert (answer.status, answer.body, dict(answer.headers)["Content-Type"]) == (
        200,
        b"a.b.c",
        "application/jose",
    )
